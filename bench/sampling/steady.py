"""Where a series of times becomes steady, by change points: `steady_start`. Imports no torch.

The idea is that of Barrett et al., "Virtual Machine Warmup Blows Hot and Cold" (arXiv 1602.00602): warm-up is whatever
lies before the last change of level, and a series without a stable end is a result, too. The constants below were
chosen on synthetic series of one seed and are tested on those of others (`tests/bench/test_steady.py`).
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

TOLERANCE = 0.05
"""Levels that differ by less are one: the smallest relative difference of times that matters to comparisons."""

LEAST = 3
"""Samples that a steady state takes at least."""

SHARE = 0.5
"""The steady state holds at least this share of the series; one that began later may end as suddenly."""

POINTS = 120
"""Longer series are thinned to the medians of as many blocks: the search takes time with the cube of the points."""

LEAST_NOISE = 0.005
"""Relative noise that is assumed at least, so that a series of equal clock ticks has no changes in its last digit."""

PENALTY = 2.0
"""Of a change point, in standard deviations of the noise times the log of the number of points."""

EXCURSION = 0.1
"""Bursts that last at most this share of the steady state, all together, do not end it."""

OUTLIER = 3.0
"""A leading sample further from the steady level than as many standard deviations belongs to the warm-up."""

NORMAL_QUARTILE = 0.6745
"""Standard deviations from the mean that half of a normal distribution lies within."""

LEAD = 0.5
"""Share of the tolerance by which the mean of several leading samples may differ from the steady level."""

LEAD_SCORE = 2.5
"""Standard errors by which it may differ."""

DOUBT = 2.0
"""Standard errors that two levels may differ by beyond the tolerance and still be one."""

TREND = 2.6
"""Standard normal score of Mann and Kendall's trend test from which on a trend is one; the largest of six samples."""


def steady_start(samples: Sequence[float]) -> int | None:
    """The index of the first sample of the steady state, or None where the series has none.

    Args:
        samples: times of one process in order, any unit, positive; at least three.

    Returns:
        None for a slow drift, for a change so late that less than half of the series is left, for levels that keep
        changing, and for fewer than three samples.

    Raises:
        ValueError: a sample is not a positive number.

    Example:
        >>> steady_start([0.31, 0.12, 0.101, 0.1, 0.102, 0.099, 0.1, 0.101])
        2
        >>> steady_start([0.1, 0.101, 0.099, 0.1, 0.102, 0.15, 0.151, 0.149]) is None
        True
    """
    times = np.asarray(samples, dtype=float)
    if len(times) < LEAST:
        return None
    if not (np.isfinite(times).all() and (times > 0).all()):
        raise ValueError("steady_start: every sample must be a positive number of seconds")
    logs = np.log(times)
    width = math.ceil(len(logs) / POINTS)
    points = _block_medians(logs, width)
    noise = _noise(points)
    start = _steady_segment(points, noise)
    start = _past_warm_up(points, start)
    if len(points) - start < max(LEAST, SHARE * len(points)) or _drifts(points[start:]):
        return None
    return start * width


def _block_medians(logs: Values, width: int) -> Values:
    """Medians of blocks of `width` samples; the last block may be longer."""
    blocks = len(logs) // width
    head = logs[: (blocks - 1) * width].reshape(blocks - 1, width)
    return np.append(np.median(head, axis=1), np.median(logs[(blocks - 1) * width :]))


def _noise(points: Values) -> float:
    """Standard deviation without the changes of level: from differences of neighbours, warm-up left out."""
    moves = np.abs(np.diff(points[len(points) // 3 :]))
    return max(float(np.median(moves)) / (NORMAL_QUARTILE * math.sqrt(2)), LEAST_NOISE)


def _segment_costs(points: Values) -> Values:
    """(n, n + 1): sum of distances from their median of points[i:j], infinite for fewer than two points."""
    n = len(points)
    costs = np.full((n, n + 1), np.inf)
    for length in range(2, n + 1):
        windows = np.sort(np.lib.stride_tricks.sliding_window_view(points, length), axis=1)
        half = length // 2
        starts = np.arange(n - length + 1)
        costs[starts, starts + length] = windows[:, length - half :].sum(axis=1) - windows[:, :half].sum(axis=1)
    return costs


def _segments(points: Values, noise: float) -> tuple[list[tuple[int, int]], float]:
    """The segments of least total cost, by optimal partitioning, and that cost in units of noise.

    Distances instead of squares, and two points at least, so that a spike never makes a segment of its own.
    """
    n = len(points)
    costs = _segment_costs(points) / noise
    penalty = PENALTY * math.log(n)
    best, before = np.full(n + 1, np.inf), np.zeros(n + 1, dtype=int)
    best[0] = -penalty
    for end in range(2, n + 1):
        totals = best[:end] + costs[:end, end] + penalty
        before[end] = int(np.argmin(totals))
        best[end] = totals[before[end]]
    found, end = [], n
    while end > 0:
        found.append((int(before[end]), end))
        end = int(before[end])
    return found[::-1], float(best[n])


def _steady_segment(points: Values, noise: float) -> int:
    """Where the last level begins: segments of the same level are one, across short bursts too."""
    segments, cost = _segments(points, noise)
    if len(segments) > 1 and _is_line(points, noise, cost):
        return len(points)
    start, burst = segments[-1][0], 0
    for first, end in reversed(segments[:-1]):
        apart = abs(np.median(points[first:end]) - np.median(points[start:]))
        doubt = noise * math.sqrt(1 / (end - first) + 1 / (len(points) - start))
        if apart > math.log1p(TOLERANCE) + DOUBT * doubt:
            burst += end - first
        elif burst <= EXCURSION * (len(points) - first):
            start = first
    return start


def _past_warm_up(points: Values, start: int) -> int:
    """Moves the start past samples that differ from what follows, one by one and as the mean of the first few.

    The end of a decay is too small for a change point, and one or two slow first samples are too few.
    """
    while len(points) - start > 2:
        rest = points[start:]
        away = rest - np.median(rest)
        spread = max(float(np.median(np.abs(away))) / NORMAL_QUARTILE, _noise(rest))
        sizes = 2 ** np.arange(int(math.log2(max(len(rest) // 4, 1))) + 1)
        clipped = np.cumsum(np.clip(away, -OUTLIER * spread, OUTLIER * spread))
        lead = np.abs(clipped[sizes - 1] / sizes)
        far = lead > np.maximum(LEAD * math.log1p(TOLERANCE), LEAD_SCORE * spread / np.sqrt(sizes))
        first = abs(away[0]) > max(math.log1p(TOLERANCE), OUTLIER * spread)
        if not (first or far[1:].any()):
            break
        start += 1
    return start


def _slope(points: Values) -> float:
    """Theil and Sen's: the median of the slopes between all pairs."""
    i, j = np.triu_indices(len(points), 1)
    return float(np.median((points[j] - points[i]) / (j - i)))


def _is_line(points: Values, noise: float, levels_cost: float) -> bool:
    """Whether the series is a drift, which levels only approximate: a line fits better, and to the end.

    After a warm-up the second half does not go on as the whole does.
    """
    n, slope = len(points), _slope(points)
    rest = points - slope * np.arange(n)
    cost = float(np.abs(rest - np.median(rest)).sum()) / noise + PENALTY * math.log(n)
    goes_on = math.copysign(4, slope) * _slope(points[n // 2 :]) > abs(slope)
    return cost < levels_cost and goes_on and abs(slope) * (n - 1) > math.log1p(TOLERANCE)


def _drifts(points: Values) -> bool:
    """Whether the level moves by more than the tolerance, steadily enough for Mann and Kendall's test."""
    n = len(points)
    i, j = np.triu_indices(n, 1)
    score = abs(np.sign(points[j] - points[i]).sum()) - 1
    significant = score / math.sqrt(n * (n - 1) * (2 * n + 5) / 18) >= TREND
    return bool(significant and abs(_slope(points)) * (n - 1) > math.log1p(TOLERANCE))
