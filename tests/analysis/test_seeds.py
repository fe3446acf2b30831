"""Means over seeds and orderings, against scipy's own intervals and tests, and by their long-run behaviour."""

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from analysis.trained.seeds import Ordering, holm, mean_interval, mean_p, ordering


@pytest.mark.parametrize("count", [2, 3, 10])
def test_the_interval_is_student_s(count: int) -> None:
    values = np.random.default_rng(count).normal(40, 3, count)
    found = mean_interval(list(values))
    low, high = stats.t.interval(0.95, count - 1, values.mean(), stats.sem(values))
    assert found is not None
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-12)


@pytest.mark.parametrize("values", [[1.0, 2.0, 2.5], [-3.0, -3.1], [0.1, -0.2, 0.4, 5.0]])
def test_the_p_of_a_mean_is_student_s(values: list[float]) -> None:
    assert mean_p(values) == pytest.approx(stats.ttest_1samp(values, 0).pvalue)
    assert (mean_p(values[:1]), mean_p([0.0, 0.0]), mean_p([2.0, 2.0])) == (1, 1, 0)


def test_holm_s_correction_is_the_closed_test_of_bonferroni_s() -> None:
    """A hypothesis falls when every set of hypotheses with it falls, each by its smallest p times its size."""
    p_values = [0.04, 0.001, 0.2, 0.012, 0.012, 0.9]
    sets = [chosen for size in range(1, 7) for chosen in combinations(range(6), size)]
    closed = [
        max(min(1.0, len(chosen) * min(p_values[other] for other in chosen)) for chosen in sets if one in chosen)
        for one in range(6)
    ]
    assert holm(p_values) == pytest.approx(closed)
    assert holm([0.01, 0.02, 0.03, 0.04, 0.05]) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])  # p.adjust of R
    assert holm([]) == []


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
