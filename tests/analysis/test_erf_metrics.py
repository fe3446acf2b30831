"""The metrics of fields: mathematics on fields whose answers are known, and no dependence on scale."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.effective_fields.erf_metrics import (
    SHARES,
    Place,
    Values,
    area_ratio,
    border_share,
    high_frequency_share,
    offset,
    radial_mass,
    saturated,
    scalars,
    total_variation,
)

SCALES = (1e-3, 0.7, 3.0, 1e3, 1e6)


def gaussian(shape: tuple[int, int], sigma_yx: tuple[float, float], centre: Place | None = None) -> Values:
    cy, cx = centre or (shape[0] // 2, shape[1] // 2)
    y, x = np.arange(shape[0]) - cy, np.arange(shape[1]) - cx
    return np.exp(-((y[:, None] / sigma_yx[0]) ** 2 + (x[None] / sigma_yx[1]) ** 2) / 2)


def single(shape: tuple[int, int], at: tuple[int, int]) -> Values:
    field = np.zeros(shape)
    field[at] = 1
    return field


def noisy(shape: tuple[int, int] = (64, 48), seed: int = 0) -> Values:
    return np.random.default_rng(seed).exponential(size=shape) * gaussian(shape, (9, 5))


def sigmas_of(field: Values, centre: Place | None = None) -> tuple[float | None, float | None]:
    found = scalars(field, centre)
    return found["sigma_y"], found["sigma_x"]


FIELDS = {
    "gaussian": gaussian((64, 48), (6, 4)),
    "noisy": noisy(),
    "uniform": np.ones((64, 48)),
    "saturated": gaussian((64, 48), (60, 60)),
    "single": single((64, 48), (32, 24)),
    "corner": single((64, 48), (0, 47)),
    "empty": np.zeros((64, 48)),
    "row": np.ones((1, 48)),
    "point": np.ones((1, 1)),
    "tiny": 1e-300 * gaussian((64, 48), (6, 4)),
}


@pytest.mark.parametrize("name", FIELDS)
def test_no_metric_depends_on_scale_and_none_is_nan(name: str) -> None:
    field = FIELDS[name]
    before, curve = scalars(field), radial_mass(field)
    assert not any(value is not None and math.isnan(value) for value in before.values())
    assert not np.isnan(curve).any()
    for scale in SCALES:
        after = scalars(scale * field)
        assert {key for key, value in after.items() if value is None} == {k for k, v in before.items() if v is None}
        for key, value in before.items():
            assert value is None or after[key] == pytest.approx(value, rel=0, abs=1e-6), (key, scale)
        assert np.abs(radial_mass(scale * field) - curve).max() <= 1e-6
        assert border_share(scale * field) == border_share(field)
        assert saturated(scale * field) == saturated(field)
        assert total_variation(scale * field, noisy(field.shape)) == pytest.approx(
            total_variation(field, noisy(field.shape)), rel=0, abs=1e-6
        )


def test_what_the_odd_fields_come_to() -> None:
    empty, point, even = FIELDS["empty"], FIELDS["single"], FIELDS["uniform"]
    none = [f"area_{100 * share:.0f}" for share in SHARES]
    none += ["sigma_y", "sigma_x", "high_frequency_share"]
    assert scalars(empty) == dict.fromkeys(none)
    assert border_share(empty) == border_share(point) == 0
    assert not radial_mass(empty).any()
    assert scalars(point) == {
        **dict.fromkeys(none[:4], 1 / (64 * 48)),
        "sigma_y": 0.0,
        "sigma_x": 0.0,
        "high_frequency_share": pytest.approx(1 - 33 * 25 / (64 * 48)),
    }
    assert sigmas_of(even) == (None, None)
    assert high_frequency_share(even) == 0
    assert saturated(even)
    assert saturated(FIELDS["saturated"])
    assert not saturated(empty)


@pytest.mark.parametrize("bad", [np.full((3, 3), np.nan), np.full((3, 3), np.inf), -np.eye(3), np.ones(3)])
def test_what_is_no_field_is_refused(bad: Values) -> None:
    for metric in (scalars, radial_mass, saturated):
        with pytest.raises(ValueError, match="a field is"):
            metric(bad)


def test_windows_against_a_search_over_all_of_them() -> None:
    """Every window written out as a slice, for units anywhere, on maps of either shape."""
    rng = np.random.default_rng(3)
    for height, width in ((9, 9), (8, 6), (5, 11)):
        field = rng.exponential(size=(height, width)) ** 3
        for cy in range(height):
            for cx in range(width):
                y, x = np.mgrid[:height, :width]
                scales = np.unique(np.maximum(2 * abs(y - cy) / height, 2 * abs(x - cx) / width).round(9))
                windows = [
                    np.s_[
                        max(0, math.ceil(cy - s * height / 2 - 1e-6)) : math.floor(cy + s * height / 2 + 1e-6) + 1,
                        max(0, math.ceil(cx - s * width / 2 - 1e-6)) : math.floor(cx + s * width / 2 + 1e-6) + 1,
                    ]
                    for s in scales
                ]
                for share in SHARES:
                    holding = (w for w in windows if field[w].sum() >= share * field.sum() * (1 - 1e-9))
                    expected = field[next(holding)].size / field.size
                    assert area_ratio(field, share, (cy, cx)) == pytest.approx(expected)


def test_windows_have_the_aspect_of_the_map_and_end_with_it() -> None:
    """On a uniform map of 64x48 a window holds what it covers: 8k + 1 rows and 6k + 1 columns at the least."""
    even = FIELDS["uniform"]
    for share in SHARES:
        ratio = area_ratio(even, share)
        assert ratio is not None
        assert share <= ratio <= share + 2 * (64 + 48) / (64 * 48)
    rows, columns = np.zeros((64, 48)), np.zeros((64, 48))
    rows[28:37], columns[:, 21:28] = 1, 1
    assert area_ratio(single((64, 48), (36, 27)), 1) == 9 * 7 / (64 * 48)
    assert area_ratio(rows, 1) == area_ratio(columns, 1) == 1
    assert area_ratio(single((64, 48), (63, 47)), 1, (0, 0)) == 1
    assert area_ratio(single((64, 48), (0, 0)), 1, (0, 0)) == 1 / (64 * 48)


@given(st.integers(0, 2**32), st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_more_mass_needs_more_area(seed: int, one: float, other: float) -> None:
    field = noisy((12, 9), seed)
    low, high = (area_ratio(field, share) for share in sorted((one, other)))
    assert low is not None
    assert high is not None
    assert 0 < low <= high <= 1


def test_a_share_that_is_none_is_refused() -> None:
    for share in (0.0, -0.1, 1.1):
        with pytest.raises(ValueError, match="above 0"):
            area_ratio(np.ones((3, 3)), share)


def test_radial_mass_of_discs() -> None:
    field = single((21, 15), (10, 10)) + 3 * single((21, 15), (7, 3))  # 3 to the right; 3 up and 4 to the left: 5
    curve = radial_mass(field)
    assert curve[:6].tolist() == [0, 0, 0, 0.25, 0.25, 1]
    assert len(curve) == 1 + math.ceil(math.hypot(10, 7))
    assert np.all(np.diff(radial_mass(noisy())) >= 0)
    assert radial_mass(noisy())[-1] == pytest.approx(1)


@pytest.mark.parametrize("centre", [(32.0, 24.0), (10.0, 40.0), (31.5, 23.25)])
def test_the_sigmas_of_a_gaussian_are_found_again(centre: Place) -> None:
    """Also one that the map cuts off, where the plain second moment is too small."""
    for sigmas in ((6.0, 4.0), (0.8, 2.5), (25.0, 30.0)):
        field = gaussian((64, 48), sigmas, centre)
        assert sigmas_of(field, centre) == pytest.approx(sigmas, rel=1e-6)
    y = np.arange(64) - centre[0]
    moment = math.sqrt(
        (gaussian((64, 48), (25, 30), centre).sum(axis=1) @ y**2) / gaussian((64, 48), (25, 30), centre).sum()
    )
    assert moment < 0.95 * 25


def test_the_sigmas_are_the_most_likely() -> None:
    field = noisy()
    sigma_y, sigma_x = (sigma or math.nan for sigma in sigmas_of(field))

    def likelihood(factor_y: float, factor_x: float) -> float:
        model = gaussian((64, 48), (factor_y * sigma_y, factor_x * sigma_x))
        return float((field * np.log(model / model.sum())).sum())

    for factors in ((1.01, 1), (0.99, 1), (1, 1.01), (1, 0.99)):
        assert likelihood(*factors) < likelihood(1, 1)


def test_a_field_that_no_gaussian_fits() -> None:
    ends = single((9, 9), (0, 4)) + single((9, 9), (8, 4))
    assert sigmas_of(ends) == (None, 0.0)


def test_frequencies_of_waves() -> None:
    """A wave on a mean of the same amplitude: the mean has energy 1, each of its two lines a quarter."""
    y, x = np.mgrid[:64, :48]
    assert high_frequency_share(1 + np.cos(2 * np.pi * 15 * y / 64)) == pytest.approx(0)
    assert high_frequency_share(1 + np.cos(2 * np.pi * 16 * y / 64)) == pytest.approx(0)  # 1/4 itself is not above
    assert high_frequency_share(1 + np.cos(2 * np.pi * 17 * y / 64)) == pytest.approx(1 / 3)
    assert high_frequency_share(1 + np.cos(2 * np.pi * 13 * x / 48)) == pytest.approx(1 / 3)


def test_saturation_by_the_border_ring() -> None:
    """64x48 has 220 outermost positions; 110 of them above 1 % of the peak are enough, 109 are not."""
    field = single((64, 48), (32, 24))
    field[0, :] = 0.02
    field[1:63, 0] = 0.02
    assert border_share(field) == pytest.approx(110 / 220)
    assert saturated(field)
    field[62, 0] = 0.01
    assert not saturated(field)
    assert not saturated(gaussian((64, 48), (6, 4)))
    assert saturated(gaussian((64, 48), (60, 60)))


def test_total_variation() -> None:
    a, b = single((4, 4), (0, 0)), single((4, 4), (1, 1))
    assert total_variation(a, b) == total_variation(b, a) == 1
    assert total_variation(a, 5 * a) == 0
    assert total_variation(a + b, a) == pytest.approx(0.5)
    assert total_variation(0 * a, b) == total_variation(b, 0 * a) == 1
    assert total_variation(0 * a, 0 * a) == 0
    with pytest.raises(ValueError, match="cannot be compared"):
        total_variation(a, np.ones((4, 5)))


def replknet_area_ratio(field: np.ndarray, share: float) -> float | None:
    """The area ratio of Ding et al. (CVPR 2022), as their script computes it.

    Their published script takes log10(x + 1), which is linear for small values and a logarithm for large ones, and
    square windows around the middle of 3 x 3 positions and more that end before the border; None where none of these
    holds more than the share.
    """
    logs = np.log10(np.asarray(field, dtype=np.float64) + 1)
    height, width = logs.shape
    y, x = height // 2, width // 2
    for reach in range(1, height // 2):
        inside = logs[y - reach : y + reach + 1, max(0, x - reach) : x + reach + 1].sum()
        if inside > share * logs.sum():
            return float((2 * reach + 1) ** 2 / (height * width))
    return None


def test_the_published_log_ratio_drifts_with_scale_and_ours_does_not() -> None:
    """The same Gaussian, a thousandth to a million times: 2.2 % becomes 11.7 %."""
    field = gaussian((155, 155), (10, 10))
    theirs = [replknet_area_ratio(scale * field, 0.5) for scale in (1e-3, 1e6)]
    assert theirs == [pytest.approx(0.022, abs=5e-4), pytest.approx(0.117, abs=5e-4)]
    ours = {area_ratio(scale * field, 0.5) for scale in (1e-3, 1.0, 1e6)}
    assert ours == {theirs[0]}  # where the logarithm is still linear, both agree


def test_the_published_log_ratio_gives_up_where_ours_answers() -> None:
    even = np.ones((64, 48))
    assert replknet_area_ratio(even, 0.99) is None
    assert area_ratio(even, 0.99) is not None
    assert replknet_area_ratio(np.zeros((64, 48)), 0.5) is None


@pytest.mark.parametrize("scale", SCALES)
def test_the_offset_is_that_of_the_mass_and_its_deviation_is_about_the_mass(scale: float) -> None:
    found = offset(scale * gaussian((64, 48), (3, 2), (20, 30)), (32, 24))
    assert found is not None
    assert found[0] == pytest.approx((-12, 6), abs=1e-4)
    assert found[1] == pytest.approx((3, 2), abs=1e-3)
    assert offset(single((64, 48), (0, 47))) == ((-32, 23), (0, 0))
    assert offset(np.zeros((64, 48))) is None
