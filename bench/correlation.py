"""Rank correlation with an interval: does the order by one quantity follow that by another? Imports no torch."""

import math
from collections.abc import Sequence

import numpy as np

from bench.statistics import CONFIDENCE, Interval, Values

RESAMPLES = 2000
"""Of the bootstrap of Kendall's tau: the ends of a 95 % interval then have 50 resamples outside each."""


def kendall(x: Sequence[float], y: Sequence[float], groups: Sequence[object] = ()) -> tuple[float, Interval]:
    """Kendall's tau-b of paired values, with the 95 % percentile interval of a bootstrap over groups of pairs.

    The bootstrap's seed is fixed. A resample in which one side is constant has no tau and is left out. Resamples of a
    perfect order are all perfect, so there the interval's other end is the exact bound from the n // 2 disjoint, hence
    independent, pairs of groups that were all in order: a tau of t puts a pair in order with probability (1 + t) / 2.

    Args:
        x: one value for each point.
        y: as many.
        groups: of which group each point is: variants of one thing say little more than one of them, and are drawn
            together; by default each point is a group of its own.

    Raises:
        ValueError: different lengths, values that are not finite, or a side that is constant: it has no order.

    Example:
        >>> tau, interval = kendall([1, 2, 3, 4, 5, 6], [1, 3, 2, 4, 6, 5])
        >>> round(tau, 3), interval.low < tau <= interval.high
        (0.733, True)
    """
    one, other = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if one.shape != other.shape or one.ndim != 1:
        raise ValueError(f"kendall needs as many x as y, not {len(x)} and {len(y)}")
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        raise ValueError("kendall needs finite values; leave out points without one")
    n, group = len(one), np.arange(len(one))
    if groups:
        _, group = np.unique(np.asarray(groups), return_inverse=True)
        if len(group) != n:
            raise ValueError(f"kendall needs the group of each of {n} points, not {len(group)} groups")
    count = len(set(group.tolist()))
    if groups and count < 2:
        raise ValueError("kendall needs two groups; how one of them varies is not known")
    signs = [np.sign(values[:, None] - values[None, :]) for values in (one, other)]
    generator = np.random.default_rng(0)
    draws = generator.multinomial(count, np.full(count, 1 / max(count, 1)), size=RESAMPLES) if n else np.ones((1, 0))
    weights = draws[:, group].astype(float)
    tau = float(_weighted_tau(np.ones((1, n)), *signs)[0])
    if math.isnan(tau):
        raise ValueError("kendall needs two different values on each side; a constant has no order")
    miss = 1 - CONFIDENCE
    if abs(tau) > 1 - 1e-12:
        bound = 2 * (miss / 2) ** (1 / (count // 2)) - 1
        low, high = (bound, 1.0) if tau > 0 else (-1.0, -bound)
    else:
        taus = _weighted_tau(weights, *signs)
        low, high = np.quantile(taus[~np.isnan(taus)], [miss / 2, 1 - miss / 2])
    return min(max(tau, -1.0), 1.0), Interval(float(low), float(high), CONFIDENCE)


def _weighted_tau(weights: Values, sign_x: Values, sign_y: Values) -> Values:
    """Tau-b for each row of weights, how often each point was drawn: (B, n) -> (B,), nan where a side is constant."""
    agreement, varied_x, varied_y = (
        ((weights @ matrix) * weights).sum(axis=1) for matrix in (sign_x * sign_y, np.abs(sign_x), np.abs(sign_y))
    )
    scale = np.sqrt(varied_x * varied_y)
    taus: Values = np.divide(agreement, scale, out=np.full(len(weights), np.nan), where=scale > 0)
    return taus
