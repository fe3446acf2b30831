"""Intervals of medians and comparisons of two sides, by order statistics and ranks. Imports no torch.

Times are skewed and slow down in bursts, so nothing here assumes a distribution. The unit of independence is the fresh
process (or the round of two of them), never the sample: samples of one process share its memory layout and its hour.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dpn.program.quantities import so_many

Verdict = Literal["faster", "slower", "same", "ambiguous"]

CONFIDENCE = 0.95
"""Of the intervals that verdicts rest on."""

ALPHA = 0.02
"""Two-sided level of the rank tests behind "faster" and "slower".

Eight rounds reach it with one dissenting round of the smallest size (p = 0.0156), five against five processes with one
exchanged pair (p = 0.0159); at 0.01 a single process caught in a burst would hide a true slowdown. The rank test alone
thus errs in at most 2 % of comparisons of a network with itself, and the smallest effect takes most of these away.
"""

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A confidence interval.

    Attributes:
        low: its lower end.
        high: its upper end.
        confidence: the probability that it really covers, which small samples keep below what was asked for.
    """

    low: float
    high: float
    confidence: float

    def relative_width(self, center: float) -> float:
        """Half the width over the center.

        Example:
            >>> Interval(low=1.5, high=2.5, confidence=0.95).relative_width(2.0)
            0.25
        """
        return (self.high - self.low) / 2 / center


@dataclass(frozen=True)
class Comparison:
    """What two sides come to.

    Attributes:
        ratio: time of B (head) over time of A (base); above 1 is slower.
        interval: of the ratio.
        p: of the two-sided rank test that the ratio is 1.
        effect: the smallest relative difference that matters.
        verdict: faster, slower, same or ambiguous.
        reason: one line for people.
    """

    ratio: float
    interval: Interval
    p: float
    effect: float
    verdict: Verdict
    reason: str


def median_interval(samples: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """The distribution-free interval of the median: the number of samples below it is binomial.

    Args:
        samples: independent samples, any unit; at least one.
        confidence: what to reach, above 0 and below 1.

    Returns:
        The narrowest symmetric pair of order statistics that reaches the confidence, or the smallest and largest sample
        where none does (fewer than six for 95 %); its `confidence` is the exact one.

    Example:
        >>> median_interval([3.0, 1.0, 2.0])
        Interval(low=1.0, high=3.0, confidence=0.75)
    """
    from scipy.special import bdtr

    ordered = np.sort(_times(samples, "samples"))
    left_out, reached = _left_out(bdtr(np.arange(len(ordered)), len(ordered), 0.5), len(ordered), confidence)
    return Interval(float(ordered[left_out]), float(ordered[-1 - left_out]), reached)


def share_interval(hits: int, trials: int) -> Interval:
    """The exact 95 % interval of a probability, after Clopper and Pearson.

    Args:
        hits: of the trials, from 0 to as many as there are.
        trials: independent ones, at least one.

    Example:
        >>> found = share_interval(0, 200)
        >>> found.low, round(found.high, 4)
        (0.0, 0.0183)
    """
    from scipy.stats import binomtest

    found = binomtest(hits, trials).proportion_ci(CONFIDENCE, method="exact")
    return Interval(low=float(found.low), high=float(found.high), confidence=CONFIDENCE)


def medians(processes: Sequence[Sequence[float]]) -> list[float]:
    """One value for each fresh process, however many samples it took: the median of them.

    Samples of one process are not independent, and on a busy machine a fast process delivers more of them than a slow
    one: pooled, they would weigh the machine's best minutes more.

    Args:
        processes: steady samples of each process, any unit.

    Raises:
        ValueError: no process, one without samples, or a sample that is not a positive number.
    """
    if not processes:
        raise ValueError("no process has samples; measure at least one")
    return [float(np.median(_times(process, "samples of a process"))) for process in processes]


def compare_rounds(rounds: Sequence[tuple[Sequence[float], Sequence[float]]], effect: float = 0.05) -> Comparison:
    """B against A where both were sampled in turns: a round is one fresh process of each.

    A round's statistic is the median of the log ratios of its adjacent pairs, so that a burst that lasts longer than a
    pair cancels and a shorter one is outvoted. Across rounds: the Hodges-Lehmann estimate, the interval that inverts
    the exact Wilcoxon signed-rank test, and that test's p.

    Args:
        rounds: for each round the times of A and of B, as many of one as of the other, a[i] and b[i] adjacent in time.
        effect: the smallest relative difference that matters. The estimate must reach it; the interval's nearer end
            need not, or a true 10 % would be missed whenever the interval is wider than 5 % to either side.

    Raises:
        ValueError: no round, sides of different lengths, or a time that is not a positive number.
    """
    if not rounds:
        raise ValueError("no round to compare; fight at least one")
    logs = np.array([_round_log(a, b, index) for index, (a, b) in enumerate(rounds)])
    i, j = np.triu_indices(len(logs))
    walsh = np.sort((logs[i] + logs[j]) / 2)
    counts = _signed_rank_counts(len(logs))
    interval, p = _inverted(walsh, counts), _two_sided(walsh, counts)
    units = so_many(len(logs), "round")
    return _judged(float(np.median(walsh)), interval, p, effect, units, 2.0 ** (1 - len(logs)))


def compare_processes(
    base: Sequence[Sequence[float]], head: Sequence[Sequence[float]], effect: float = 0.05, *, apart: float = 0.0
) -> Comparison:
    """Head against base: two sets of fresh processes.

    A process counts by the median of its samples, however many it took. The ratio is the median of all ratios of a
    process of head to one of base (Hodges and Lehmann); it lies inside the interval that inverts the exact Mann-Whitney
    test, as the ratio of two pooled medians need not.

    Args:
        base: steady times of each process.
        head: steady times of each process, same unit.
        effect: the smallest relative difference that matters.
        apart: how far the two may lie apart, relative, because they were not measured in turns; the interval is wider
            by so much at either end, and nothing is "same" for an effect that is smaller.

    Raises:
        ValueError: a side without processes, or a time that is not a positive number.
    """
    if not (base and head):
        raise ValueError("no process to compare on one side; measure both")
    a, b = (
        np.array([float(np.median(np.log(_times(process, f"process {index} of {side}"))))
                  for index, process in enumerate(processes)])
        for side, processes in (("base", base), ("head", head))
    )  # fmt: skip
    differences = np.sort((b[:, None] - a[None, :]).ravel())
    counts = _rank_sum_counts(len(a), len(b))
    interval, p = _inverted(differences, counts), _two_sided(differences, counts)
    units = f"{len(a)} against {len(b)} processes"
    least = least_p(len(a), len(b))
    return _judged(float(np.median(differences)), interval, p, effect, units, least, apart)


def least_p(base: int, head: int) -> float:
    """The smallest p that so many processes of base and of head can have in the two-sided rank test.

    Example:
        >>> round(least_p(4, 4), 4), round(least_p(5, 5), 4)
        (0.0286, 0.0079)
    """
    return 2 / math.comb(base + head, base)


def _times(samples: Sequence[float], name: str) -> Values:
    values = np.asarray(samples, dtype=float)
    if values.ndim != 1 or not len(values):
        raise ValueError(f"{name}: no samples; measure at least one")
    if not (np.isfinite(values).all() and (values > 0).all()):
        raise ValueError(
            f"{name}: a time must be a positive number, not {values[~(values > 0) | ~np.isfinite(values)][0]}"
        )
    return values


def _round_log(a: Sequence[float], b: Sequence[float], index: int) -> float:
    if len(a) != len(b):
        raise ValueError(f"round {index}: {len(a)} samples of A and {len(b)} of B; adjacent pairs need as many of each")
    return float(np.median(np.log(_times(b, f"round {index}, B")) - np.log(_times(a, f"round {index}, A"))))


@cache
def _signed_rank_counts(n: int) -> Values:
    """How many of the 2^n choices of signs give each sum of the positive ranks."""
    counts = np.ones(1)
    for rank in range(1, n + 1):
        counts = np.convolve(counts, [1.0] + [0.0] * (rank - 1) + [1.0])
    return counts


@cache
def _rank_sum_counts(m: int, n: int) -> Values:
    """How many of the choices of m ranks among m + n give each value of Mann and Whitney's U."""
    counts = np.zeros((m + 1, m * n + m * (m + 1) // 2 + 1))
    counts[0, 0] = 1
    for rank in range(1, m + n + 1):
        counts[1:, rank:] += counts[:-1, :-rank].copy()
    return counts[m, m * (m + 1) // 2 :]


def _inverted(ordered: Values, counts: Values) -> Interval:
    """The interval of e to the shift; the test's statistic counts the signs of the `ordered` estimates."""
    left_out, reached = _left_out(np.cumsum(counts) / counts.sum(), len(ordered), CONFIDENCE)
    return Interval(math.exp(ordered[left_out]), math.exp(ordered[-1 - left_out]), reached)


def _two_sided(ordered: Values, counts: Values) -> float:
    """The p of the test that the interval inverts: so many of the `ordered` estimates lie on one side of 0, or more.

    Those at 0 count half to either side, and half of one to neither.
    """
    ahead = abs(int((ordered > 0).sum()) - int((ordered < 0).sum()))
    on_one_side = (len(ordered) + ahead) // 2
    return min(1.0, 2 * float(counts[on_one_side:].sum() / counts.sum()))


def _left_out(tail: Values, values: int, confidence: float) -> tuple[int, float]:
    """How many order statistics an interval leaves out at each end, and the confidence that it reaches.

    Args:
        tail: tail[k] is the probability that at most k of the values lie on one side of the truth.
        values: how many there are.
        confidence: what to reach; where nothing reaches it, none is left out.
    """
    allowed = int(np.searchsorted(tail, (1 - confidence) / 2, side="right")) - 1
    left_out = min(max(allowed, 0), (values - 1) // 2)
    return left_out, max(1 - 2 * float(tail[left_out]), 0.0)


def _judged(
    shift: float, inner: Interval, p: float, effect: float, units: str, least: float, apart: float = 0.0
) -> Comparison:  # fmt: skip
    """The verdict from the log of the ratio, its interval and p; `least` is the smallest p of so many units."""
    interval = Interval(inner.low / (1 + apart), inner.high * (1 + apart), inner.confidence)

    def answer(verdict: Verdict, why: str) -> Comparison:
        return Comparison(math.exp(shift), interval, p, effect, verdict, why)

    seen = f"{100 * interval.confidence:.0f} % interval {interval.low:.3f} to {interval.high:.3f}, p = {p:.2g}"
    matters = f"{100 * effect:g} %"
    hour = f"not measured in turns, which alone may make {100 * apart:g} %"
    grounds = f"{seen}, {units}, {hour}" if apart else f"{seen}, {units}"
    if interval.confidence < CONFIDENCE:
        return answer("ambiguous", f"too few for a {100 * CONFIDENCE:.0f} % interval: {units}; measure more")
    if p <= ALPHA and not interval.low <= 1 <= interval.high and abs(shift) >= math.log1p(effect):
        return answer(
            "slower" if shift > 0 else "faster", f"surely not equal, and {matters} or more by estimate; {grounds}"
        )
    if interval.low > 1 / (1 + effect) and interval.high < 1 + effect:
        return answer("same", f"within {matters}; {grounds}")
    if least > ALPHA:
        return answer("ambiguous", f"too few for p <= {ALPHA:g}: {units}; measure more; {seen}")
    if apart:
        return answer("ambiguous", f"{hour}; {seen}, {units}")
    if p <= ALPHA:
        return answer("ambiguous", f"differs, by less than {matters} as far as can be seen; {grounds}")
    return answer("ambiguous", f"too noisy to tell {matters}; {grounds}")
