"""Intervals by the bootstrap: draws that a seed decides, ends against theory, differences with the same draws."""

import numpy as np
import pytest

from dpn.metrics.matching import Rows
from dpn.metrics.resampling import LEAST, Draws, Interval, Weighted, intervals, resampled
from dpn.metrics.uncertainty import Uncertainty, Units, differences, nested, uncertainty


def silent(done: int, total: int, text: str = "", /) -> None: ...


def mean_of(values: np.ndarray) -> Weighted:
    def weighted(weights: Rows) -> np.ndarray:
        return np.array([weights @ values / weights.sum()])

    return weighted


def drawn(count: int, *values: np.ndarray, seed: int = 0) -> Uncertainty:
    files = [mean_of(one) for one in values]
    found = uncertainty(files, Units(of="images", count=len(values[0])), Draws(resamples=count, seed=seed), silent)
    assert found
    return found


def test_the_help_says_how_many_resamples_an_interval_takes() -> None:
    assert f"at least {LEAST}; with 0" in str(Draws.__doc__)


def test_a_resample_is_decided_by_seed_and_number() -> None:
    draws = Draws(seed=5)
    assert draws.weights(3, 100).tolist() == Draws(seed=5, resamples=200).weights(3, 100).tolist()
    assert draws.weights(3, 100).tolist() != draws.weights(4, 100).tolist()
    assert draws.weights(3, 100).tolist() != Draws(seed=6).weights(3, 100).tolist()
    assert {int(draws.weights(number, 100).sum()) for number in range(50)} == {100}


def test_each_unit_is_drawn_equally_often() -> None:
    """Over many draws each stands there once on average, and as often as a Poisson variable of mean 1 not at all."""
    weights = np.array([Draws().weights(number, 50) for number in range(4_000)])
    assert weights.mean(axis=0) == pytest.approx(np.ones(50), abs=0.08)
    assert (weights == 0).mean() == pytest.approx((1 - 1 / 50) ** 50, abs=0.01)


def test_the_interval_of_a_mean_is_the_normal_one() -> None:
    values = np.random.default_rng(0).normal(3, 2, 400)
    (interval,) = drawn(4_000, values).each[0]
    assert interval
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert interval.low == pytest.approx(values.mean() - half, abs=0.06 * half)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.06 * half)


def test_a_difference_is_of_the_same_resamples() -> None:
    """Two files that differ by a constant differ by it in every resample, however much each of them varies."""
    values = np.random.default_rng(0).normal(0, 100, 60)
    (interval,) = drawn(200, values + 0.5, values).difference
    assert interval
    assert (interval.low, interval.high) == (pytest.approx(0.5), pytest.approx(0.5))
    assert interval.excludes_0
    assert drawn(200, values).difference == []


def test_an_interval_that_contains_0() -> None:
    values = np.random.default_rng(0).normal(0, 1, (2, 300))
    (interval,) = drawn(500, *values).difference
    assert interval
    assert not interval.excludes_0
    assert [Interval(low=low, high=high).excludes_0 for low, high in ((-2, -1), (0, 1), (-1, 0), (1, 2))] == [
        True, False, False, True,
    ]  # fmt: skip


def test_resamples_without_a_number_are_left_out() -> None:
    samples = np.array([[1.0, np.nan], [np.nan, np.nan], [3.0, np.nan]])
    assert intervals(samples) == [Interval(low=1.05, high=2.95), None]


def test_who_is_told_how_many_are_done() -> None:
    said: list[tuple[int, int]] = []
    found = resampled(
        [mean_of(np.arange(3.0))], 3, Draws(resamples=100), lambda done, total, _="": said.append((done, total))
    )
    assert found.shape == (1, 100, 1)
    assert said == [(done, 100) for done in range(1, 101)]


def test_nothing_is_drawn_without_resamples_or_units() -> None:
    files = [mean_of(np.zeros(0))]
    assert uncertainty(files, Units(of="images", count=0), Draws(), silent) is None
    assert uncertainty(files, Units(of="images", count=3), Draws(resamples=0), silent) is None


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"resamples": -1}, "at least 100 resamples, not -1; give --resamples 1000, or 0 for no intervals"),
        ({"resamples": 1}, "at least 100 resamples, not 1;"),
        ({"resamples": 99}, "at least 100 resamples, not 99;"),
        ({"seed": -3}, "a seed is 0 or more, not -3; give --seed 0"),
    ],
)
def test_wrong_numbers_are_refused(wrong: dict[str, int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Draws(**wrong)


def test_differences_are_named() -> None:
    found = drawn(100, np.array([2.0, 2.0]), np.array([1.0, 1.0]))
    assert differences([("a", "b")], (np.array([2.0]), np.array([1.0])), found) == {
        "a": {"b": {"difference": 1.0, "low": 1.0, "high": 1.0, "excludes_0": True}}
    }
    nothing = np.array([np.nan])
    assert differences([("AP",)], (nothing, nothing), found) == {"AP": None}
    assert differences([("AP",)], (np.array([2.0]), np.array([1.0])), None) == {"AP": {"difference": 1.0}}
    assert nested([("a", "b"), ("a", "c"), ("d",)], [1, 2, 3]) == {"a": {"b": 1, "c": 2}, "d": 3}
