"""Kendall's tau equals another library's, and its interval covers the truth as often as it says."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bench.correlation import kendall


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=3, max_size=12))
@settings(deadline=None, max_examples=50)
def test_tau_is_scipys(points: list[tuple[int, int]]) -> None:
    x, y = zip(*points, strict=True)
    if len(set(x)) == 1 or len(set(y)) == 1:
        with pytest.raises(ValueError, match="constant"):
            kendall(x, y)
        return
    tau, interval = kendall(x, y)
    assert tau == pytest.approx(stats.kendalltau(x, y).statistic)
    assert -1 <= interval.low <= interval.high <= 1
    assert kendall(x, y) == (tau, interval)  # the seed is fixed


def test_the_interval_of_tau_covers() -> None:
    """For a normal pair with correlation r, tau is 2/pi asin(r) (Greiner)."""
    generator = np.random.default_rng(11)
    for correlation, n in ((0.0, 15), (0.7, 40)):
        truth = 2 / math.pi * math.asin(correlation)
        covered = 0
        for _ in range(60):
            x, noise = generator.normal(size=(2, n))
            _, interval = kendall(list(x), list(correlation * x + math.sqrt(1 - correlation**2) * noise))
            covered += interval.low <= truth <= interval.high
        assert covered >= 51  # 95 % of 60 is 57, and three standard deviations of it are 5


def test_a_perfect_order_is_not_certain() -> None:
    for sign in (1, -1):
        tau, interval = kendall(list(range(10)), [sign * index for index in range(10)])
        assert tau == sign
        near, far = sorted((interval.low, interval.high), key=abs)
        assert far == sign
        # Five independent pairs, all in order, happen with this probability where tau is as far away as the near end.
        assert ((1 + sign * near) / 2) ** 5 == pytest.approx(0.025)


def test_variants_of_one_thing_are_drawn_together() -> None:
    x, y = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0, 3.0, 2.0, 4.0, 6.0, 5.0]
    tau, interval = kendall(x, y)
    twice, of_groups = kendall(x * 2, y * 2, groups=[*range(6)] * 2)
    assert twice == pytest.approx(tau)
    assert (of_groups.low, of_groups.high) == pytest.approx((interval.low, interval.high))
    _, of_points = kendall(x * 2, y * 2)
    assert of_points.high - of_points.low < 0.9 * (interval.high - interval.low)
    with pytest.raises(ValueError, match="needs two groups"):
        kendall(x, y, groups=["a"] * 6)
    with pytest.raises(ValueError, match="the group of each of 6 points, not 2 groups"):
        kendall(x, y, groups=["a", "b"])


def test_a_constant_has_no_order() -> None:
    with pytest.raises(ValueError, match="as many x as y"):
        kendall([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="finite"):
        kendall([1.0, math.nan], [1.0, 2.0])
    with pytest.raises(ValueError, match="constant"):
        kendall([], [])
