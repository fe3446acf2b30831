"""Means of maps, how they converge, and intervals that cover."""

import numpy as np
import pytest

from analysis.effective_fields.erf_estimate import Estimate, bootstrap, convergence
from analysis.effective_fields.erf_expected import expected_field
from analysis.effective_fields.erf_metrics import INFLATED, Values, area_ratio, high_frequency_share, scalars


def mass(field: Values) -> dict[str, float | None]:
    return {"mass": float(field.sum())}


def share_of_first(field: Values) -> dict[str, float | None]:
    return {"share": float(field[0, 0] / field.sum())}


def frequencies(field: Values) -> dict[str, float | None]:
    return {"high_frequency_share": high_frequency_share(field)}


def estimate(maps: Values) -> Estimate:
    middle = maps.shape[1] // 2, maps.shape[2] // 2
    return Estimate(
        maps=maps, unit=middle, centre=(float(middle[0]), float(middle[1])), of="output", to="input",
        recipe="squared", clusters=np.arange(len(maps)), of_shape=(4, *maps.shape[1:]),
        to_shape=(3, *maps.shape[1:]),
    )  # fmt: skip


def test_an_interval_covers_as_often_as_it_says() -> None:
    """Means of 60 maps whose shares are known to be one half: 95 % of 300 intervals, give or take sampling."""
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(300):
        maps = rng.exponential(size=(60, 1, 2))
        interval = bootstrap(maps, share_of_first, resamples=200, seed=seed)["share"].interval
        assert interval is not None
        covered += interval.low <= 0.5 <= interval.high
    assert 0.9 <= covered / 300 <= 0.98


def test_the_interval_of_frequencies_covers_although_noise_has_them_all() -> None:
    """Squares of normal gradients in a short DPM: the mean has too much high frequency, its resamples have more."""
    exact = expected_field((8, 4, 2, 1), (32, 24), (16, 12))
    truth = scalars(exact)["high_frequency_share"]
    assert truth is not None
    covered = {"reflected": 0, "plain": 0}
    for seed in range(40):
        maps = exact * np.random.default_rng(seed).chisquare(1, size=(64, *exact.shape))
        for name, inflated in (("reflected", INFLATED), ("plain", ())):
            found = bootstrap(maps, frequencies, inflated=inflated, resamples=100)["high_frequency_share"]
            assert found.interval is not None
            covered[name] += found.interval.low <= truth <= found.interval.high
    assert covered["reflected"] >= 36
    assert covered["plain"] <= 4


def test_maps_that_belong_together_are_drawn_together() -> None:
    """Copies of a map say nothing new: ten copies of each of six maps give the interval of the six."""
    maps = np.random.default_rng(1).exponential(size=(6, 4, 5))
    once = bootstrap(maps, share_of_first)["share"]
    many = bootstrap(maps.repeat(10, axis=0), share_of_first, clusters=np.arange(6).repeat(10))["share"]
    apart = bootstrap(maps.repeat(10, axis=0), share_of_first)["share"]
    assert once.interval is not None
    assert many.interval is not None
    assert apart.interval is not None
    assert (once.n, many.n, apart.n) == (6, 6, 60)
    assert (many.interval.low, many.interval.high) == pytest.approx((once.interval.low, once.interval.high))
    assert apart.interval.high - apart.interval.low < (once.interval.high - once.interval.low) / 2


def test_one_map_has_no_interval_and_empty_ones_no_value() -> None:
    one = estimate(np.ones((1, 6, 4))).scalars(resamples=20)
    assert all(scalar.interval is None and scalar.n == 1 for scalar in one.values())
    none = estimate(np.zeros((7, 6, 4))).scalars(resamples=20)
    assert (none["area_50"].value, none["area_50"].interval, none["area_50"].n) == (None, None, 7)


@pytest.mark.parametrize("n", [2, 3, 8, 16])
def test_intervals_of_few_maps_cover_as_often_as_they_say(n: int) -> None:
    """Shares whose mean is one half: 95 % of 200 intervals, give or take sampling; percentiles alone cover less."""
    rng, covered, bare = np.random.default_rng(n), 0, 0
    for seed in range(200):
        found = bootstrap(rng.exponential(size=(n, 1, 2)), share_of_first, resamples=100, seed=seed)["share"]
        assert found.interval is not None
        assert found.ends is not None
        covered += found.interval.low <= 0.5 <= found.interval.high
        bare += found.ends[0] <= 0.5 <= found.ends[1]
    assert covered / 200 >= 0.9
    assert bare < covered


def test_the_interval_of_a_share_ends_at_one_and_that_of_a_length_need_not() -> None:
    found = estimate(np.random.default_rng(0).exponential(size=(2, 16, 12))).scalars(resamples=100)
    assert found["area_99"].interval is not None
    assert found["area_99"].interval.high <= 1
    assert found["sigma_y"].most == np.inf


def test_every_scalar_has_its_n_and_interval() -> None:
    rng = np.random.default_rng(2)
    hill = np.outer(np.exp(-((np.arange(16) - 8) ** 2) / 8), np.exp(-((np.arange(12) - 6) ** 2) / 8))
    one = estimate(rng.exponential(size=(30, 16, 12)) * hill)
    found = one.scalars(resamples=100)
    assert found.keys() == scalars(one.mean).keys()
    for name, scalar in found.items():
        assert scalar.n == 30
        assert scalar.value == pytest.approx(scalars(one.mean)[name])
        assert scalar.interval is not None
        assert scalar.interval.low <= scalar.interval.high
    assert area_ratio(one.mean, 0.5) == pytest.approx(found["area_50"].value)
    assert found == one.scalars(resamples=100)  # the seed decides


def test_scaling_changes_no_interval() -> None:
    maps = np.random.default_rng(3).exponential(size=(12, 8, 8))
    before, after = (estimate(scale * maps).scalars(resamples=50) for scale in (1.0, 1e6))
    for name, scalar in before.items():
        if scalar.interval is not None:
            other = after[name].interval
            assert other is not None
            assert (other.low, other.high) == pytest.approx(
                (scalar.interval.low, scalar.interval.high), rel=0, abs=1e-6
            )


def test_running_means_converge_to_what_they_should() -> None:
    """Random halves of a uniform field: the distance falls as one over the root of n, and ends at 0 for the mean."""
    maps = np.random.default_rng(4).integers(0, 2, (400, 8, 8)).astype(float)
    to_mean, to_exact = convergence(maps), convergence(maps, np.ones((8, 8)))
    assert to_mean[-1] == 0
    assert to_exact[-1] > 0
    assert to_exact[24] / to_exact[399] == pytest.approx(4, rel=0.4)
    assert to_exact[0] == pytest.approx(0.5, abs=0.15)
    assert convergence(np.zeros((3, 2, 2))).tolist() == [0, 0, 0]


def test_what_are_no_maps_is_refused() -> None:
    for bad in (np.ones((3, 3)), np.ones((0, 3, 3))):
        with pytest.raises(ValueError, match=r"maps are \(n, H, W\)"):
            bootstrap(bad, mass)
