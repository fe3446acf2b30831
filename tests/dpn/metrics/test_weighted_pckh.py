"""PCKh of weighted people or images against the people written out, to the last bit."""

import numpy as np
import pytest

from dpn.data.pckh_truth import Truth
from dpn.metrics.pckh import THRESHOLDS, score
from dpn.metrics.weighted_pckh import WeightedPCKh, numbers_of
from tests.dpn.metrics.test_pckh import made_up

IMAGES = ["b", "a", "b", "c", "a", "b", "d"]


def predicted(truth: Truth) -> np.ndarray:
    """Each joint off by up to 0.8 of the head's size along x and y."""
    rng = np.random.default_rng(1)
    return truth.joints + rng.uniform(-0.8, 0.8, truth.joints.shape) * truth.head_sizes[:, None, None]


def written_out(truth: Truth, rows: np.ndarray) -> Truth:
    return Truth(joints=truth.joints[rows], missing=truth.missing[rows], head_sizes=truth.head_sizes[rows])


@pytest.mark.parametrize("seed", range(4))
def test_weights_are_repeated_people(seed: int) -> None:
    truth = made_up(30)
    found = predicted(truth)
    weights = np.random.default_rng(seed).integers(0, 4, 30)
    rows = np.repeat(np.arange(30), weights)
    expected = score(written_out(truth, rows), found[rows])
    weighted = WeightedPCKh(truth, found)
    assert weighted.units == 30
    assert weighted(weights).tolist() == [number for at in THRESHOLDS for number in numbers_of(expected.at[at])]
    assert 5 < weighted(weights)[7] < 95


def test_people_of_one_image_come_together() -> None:
    truth = made_up(7)
    found = predicted(truth)
    weighted = WeightedPCKh(truth, found, IMAGES)
    assert weighted.units == 4
    rows = np.array([1, 4, 1, 4, 3])  # a twice, b not at all, c once, d not at all
    expected = score(written_out(truth, rows), found[rows])
    assert weighted(np.array([2, 0, 1, 0])).tolist() == [
        number for at in THRESHOLDS for number in numbers_of(expected.at[at])
    ]


def test_nobody_drawn_is_no_number() -> None:
    truth = made_up(3)
    assert np.isnan(WeightedPCKh(truth, truth.joints)(np.zeros(3, np.intp))).all()
