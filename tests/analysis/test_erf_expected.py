"""The exact expectation of squared gradients, against path counts and the checked numbers for shortcuts."""

import numpy as np
import pytest

from analysis.effective_fields.erf_expected import expected_field
from analysis.effective_fields.erf_metrics import high_frequency_share
from analysis.receptive_fields.stacks import stack

DPM = (32, 16, 8, 4, 2, 1)
REVERSED = DPM[::-1]


@pytest.mark.parametrize(
    ("ratio", "share"), [(None, 0.0014), (1.0, 0.088), (0.5, 0.221), (0.1, 0.687)], ids=["plain", "1", "1/2", "1/10"]
)
def test_centre_shares_of_one_module(ratio: float | None, share: float) -> None:
    field = expected_field(DPM, (127,), (63,), ratios=ratio)
    assert field.sum() == pytest.approx(1)
    assert field[63] == pytest.approx(share, abs=0.5 * 10 ** -(4 if ratio is None else 3))


@pytest.mark.parametrize("unit", [(32, 24), (0, 0), (3, 40)])
def test_without_shortcuts_it_is_the_path_counts(unit: tuple[int, int]) -> None:
    paths = stack(DPM, (64, 48)).backward("output", [unit], kind="paths", to=["input"])[0].values[0]
    assert np.allclose(expected_field(DPM, (64, 48), unit) * 9**6, paths)


def test_a_shortcut_that_weighs_as_much_as_one_tap_is_one_more_path() -> None:
    """With nine taps in the branch the ratio is 9 to 1; then graphs with shortcuts count the same."""
    paths = stack((4, 2, 1), (16, 12), shortcuts=True).backward("output", [(8, 6)], kind="paths", to=["input"])
    field = expected_field((4, 2, 1), (16, 12), (8, 6), ratios=9)
    assert np.allclose(field * 10**3, paths[0].values[0])


def test_growing_streams_leave_a_lattice_behind() -> None:
    """Variance that grows block by block, v = 1/i: .700 of the energy above half-Nyquist for DPM, .494 reversed."""
    ratios = [1 / i for i in range(1, 7)]
    for dilations, share in ((DPM, 0.700), (REVERSED, 0.494)):
        field = expected_field(dilations, (129, 129), (64, 64), ratios=ratios)
        assert high_frequency_share(field) == pytest.approx(share, abs=5e-4)


def test_ratios_belong_to_their_blocks() -> None:
    first, last = (expected_field((2, 1), (7,), (3,), ratios=ratios) for ratios in ([1e9, 0], [0, 1e9]))
    assert np.allclose(first, np.array([0, 1, 0, 1, 0, 1, 0]) / 3)
    assert np.allclose(last, np.array([0, 0, 1, 1, 1, 0, 0]) / 3)


@pytest.mark.parametrize(
    ("size", "at", "ratios", "said"),
    [((7,), (7,), None, "not on a map"), ((7, 7), (3,), None, "not on a map"), ((7,), (3,), [1.0], "1 ratios for 2"),
     ((7,), (3,), -1.0, "no negative ratio")],
)  # fmt: skip
def test_what_does_not_fit_is_refused(
    size: tuple[int, ...], at: tuple[int, ...], ratios: float | list[float] | None, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        expected_field((2, 1), size, at, ratios=ratios)
