"""Means over seeds and orderings, against scipy's own intervals and tests, and by their long-run behaviour."""

import numpy as np
import pytest
from scipy import stats

from bench.seeds import Ordering, mean_interval, ordering


@pytest.mark.parametrize("count", [2, 3, 10])
def test_the_interval_is_student_s(count: int) -> None:
    values = np.random.default_rng(count).normal(40, 3, count)
    found = mean_interval(list(values))
    low, high = stats.t.interval(0.95, count - 1, values.mean(), stats.sem(values))
    assert found is not None
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-12)


def test_three_runs_cover_the_truth_as_often_as_they_say() -> None:
    """An interval of the normal distribution in Student's place would cover 85 % here."""
    draws = np.random.default_rng(0).normal(0, 1, (2000, 3))
    covered = [(found := mean_interval(list(row))) is not None and found.low <= 0 <= found.high for row in draws]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.015)


def test_one_run_has_no_interval_and_decides_nothing() -> None:
    assert mean_interval([1.0]) is None
    found = ordering({0: 1.0}, {0: 0.1})
    assert found is not None
    assert (found.interval, found.outcome) == (None, "undecided")


@pytest.mark.parametrize("signs", [(1, 1, 1), (1, 1, -1), (-1, -1, -1, -1), (1, 0, 1), (0, 0)])
def test_the_sign_test_is_the_binomial_one(signs: tuple[int, ...]) -> None:
    found = Ordering(differences=dict(enumerate(map(float, signs))), interval=None)
    ahead, moved = sum(sign > 0 for sign in signs), sum(sign != 0 for sign in signs)
    expected = stats.binomtest(ahead, moved).pvalue if moved else 1.0
    assert (found.agreeing, found.p) == (ahead, pytest.approx(expected))


@pytest.mark.parametrize(
    ("differences", "outcome"),
    [
        ([2.0, 2.1, 1.9], "holds"),
        ([-2.0, -2.1, -1.9], "does not hold"),
        ([2.0, 0.1, 4.0], "undecided"),  # ahead in every seed, but the interval reaches below zero
        ([-0.1, *[2.0, 2.1, 1.9] * 9], "undecided"),  # the interval is above zero, but one seed is behind
        ([0.0, 0.0, 0.0], "undecided"),
        ([2.0, 2.0001], "undecided"),  # far from zero, but of two seeds
        ([-2.0, -2.0001], "undecided"),
    ],
)
def test_verdicts(differences: list[float], outcome: str) -> None:
    found = ordering(dict(enumerate(differences)), dict.fromkeys(range(len(differences)), 0.0))
    assert found is not None
    assert found.outcome == outcome


def test_seeds_are_paired() -> None:
    """What a seed adds to both sides is taken out, and a seed of one side alone says nothing."""
    noise = {0: 10.0, 1: -20.0, 2: 30.0}
    worse = {seed: 50 + value for seed, value in noise.items()}
    found = ordering({seed: value + 1 for seed, value in worse.items()} | {7: 99.0}, worse)
    assert found is not None
    assert found.differences == {0: 1.0, 1: 1.0, 2: 1.0}
    assert found.outcome == "holds"
    assert ordering({1: 1.0}, {2: 1.0}) is None
