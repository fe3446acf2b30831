"""What several seeds say: the mean with its interval, and in how many of them one side is ahead. Imports no torch.

The unit of independence is the run. Scores of a few runs are taken for normally distributed, since no interval without
an assumption covers 95 % with three of them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bench.statistics import CONFIDENCE, Interval

Outcome = Literal["holds", "does not hold", "undecided"]

LEAST = 3
"""Seeds below which nothing is decided: two runs that happen to differ alike have an interval as narrow as you like."""


def student(draws: float) -> float:
    """How many standard errors the interval of a mean reaches to either side: of normal draws, at least two.

    Example:
        >>> [round(student(draws), 3) for draws in (2, 3, 8, math.inf)]
        [12.706, 4.303, 2.365, 1.96]
    """
    from scipy.special import ndtri, stdtrit

    share = (1 + CONFIDENCE) / 2
    return float(stdtrit(draws - 1, share) if math.isfinite(draws) else ndtri(share))


def mean_interval(values: Sequence[float]) -> Interval | None:
    """Student's t interval of the mean; None of fewer than two values, which say nothing of their spread.

    Example:
        >>> found = mean_interval([1.0, 2.0, 3.0])
        >>> round(found.low, 3), round(found.high, 3)  # 2 -+ 4.303 / sqrt(3)
        (-0.484, 4.484)
    """
    if len(values) < 2:
        return None
    mean, error = float(np.mean(values)), float(np.std(values, ddof=1)) / math.sqrt(len(values))
    half = student(len(values)) * error
    return Interval(mean - half, mean + half, CONFIDENCE)


def mean_p(values: Sequence[float]) -> float:
    """The p of Student's two-sided test that the mean is 0, which `mean_interval` inverts; 1 of fewer than two values.

    Example:
        >>> round(mean_p([1.0, 2.0, 3.0]), 4)  # t = 2 sqrt(3), of two degrees of freedom
        0.0742
    """
    if len(values) < 2 or not any(values):
        return 1.0
    from scipy.special import stdtr

    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    t = abs(float(np.mean(values))) / error if error else math.inf
    return 2 * float(stdtr(len(values) - 1, -t))


def holm(p_values: Sequence[float]) -> list[float]:
    """Each p corrected for the number of tests by Holm's step-down method, in the order given.

    Example:
        >>> [round(p, 6) for p in holm([0.01, 0.04, 0.03])]
        [0.03, 0.06, 0.06]
    """
    ranks = np.argsort(p_values, kind="stable")
    stepped = np.maximum.accumulate(np.arange(len(ranks), 0, -1) * np.asarray(p_values, dtype=float)[ranks])
    corrected = np.empty(len(ranks))
    corrected[ranks] = np.minimum(stepped, 1)
    return [float(p) for p in corrected]


@dataclass(frozen=True, kw_only=True)
class Ordering:
    """How two networks compare over the seeds that both were trained with.

    Attributes:
        differences: of the one that should be better to the other, by seed.
        interval: of their mean; None of a single seed.
    """

    differences: Mapping[int, float]
    interval: Interval | None

    @property
    def mean(self) -> float:
        """The mean difference."""
        return float(np.mean(list(self.differences.values())))

    @property
    def agreeing(self) -> int:
        """Seeds in which the one that should be better is."""
        return sum(difference > 0 for difference in self.differences.values())

    @property
    def p(self) -> float:
        """Of the two-sided sign test that either is as often ahead; equal scores count for neither."""
        n = sum(difference != 0 for difference in self.differences.values())
        fewer = min(self.agreeing, n - self.agreeing)
        return float(min(1.0, 2 * sum(math.comb(n, k) for k in range(fewer + 1)) / 2**n))

    @property
    def mean_p(self) -> float:
        """Of the test that the interval inverts: the two-sided paired t-test."""
        return mean_p(list(self.differences.values()))

    @property
    def outcome(self) -> Outcome:
        """Holds: ahead in every seed, at least `LEAST`, and the interval above 0. Does not hold: the reverse."""
        if self.interval is None or len(self.differences) < LEAST:
            return "undecided"
        if self.interval.low > 0 and self.agreeing == len(self.differences):
            return "holds"
        behind = all(difference < 0 for difference in self.differences.values())
        return "does not hold" if self.interval.high < 0 and behind else "undecided"


def ordering(better: Mapping[int, float], worse: Mapping[int, float]) -> Ordering | None:
    """The comparison of two networks' scores by seed; None where they have no seed in common.

    Example:
        >>> found = ordering({0: 0.30, 1: 0.32, 2: 0.31}, {0: 0.20, 1: 0.23, 2: 0.20})
        >>> found.outcome, found.agreeing, found.p
        ('holds', 3, 0.25)
    """
    seeds = sorted(set(better) & set(worse))
    differences = {seed: better[seed] - worse[seed] for seed in seeds}
    return Ordering(differences=differences, interval=mean_interval(list(differences.values()))) if seeds else None
