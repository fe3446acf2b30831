"""How sure a number is: intervals by the bootstrap, of a number and of the difference of two. Imports no torch.

Units, such as images, are drawn with replacement as often as there are units, and the number is found again each time;
the middle 95 % of these numbers are the interval (the percentile bootstrap, Efron and Tibshirani 1993, chapter 13). For
a difference both sides get the same draws, so that what makes an image hard for both leaves it.

Such intervals are a little too narrow. On drawn people, whose true numbers are known, they hold COCO's ten in 0.89 to
0.95 of data sets of 500 images, 0.90 to 0.94 of 200, and 0.67 to 0.83 of 50 (tests/benchmarks/interval_coverage.py).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from dpn.arrays import Floats
from dpn.metrics.matching import Rows
from dpn.program.progress import Told

LEVEL = 0.95
"""The share of the resamples' numbers that lie within an interval."""

LEAST = 100
"""Resamples: of fewer, less than three would lie outside on either side."""

Weighted = Callable[[Rows], Floats]
"""Numbers (n,) of a data set in which each unit (units,) stands so many times; NaN where there is no number."""


@dataclass(frozen=True, kw_only=True)
class Draws:
    """From which resamples intervals come.

    Attributes:
        resamples: how many, at least 100; with 0 there are no intervals.
        seed: of what is drawn: the same seed, data and number of resamples give the same intervals.
    """

    resamples: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.resamples and self.resamples < LEAST:
            raise ValueError(f"an interval takes at least {LEAST} resamples, not {self.resamples}; give --resamples "
                             "1000, or 0 for no intervals")  # fmt: skip
        if self.seed < 0:
            raise ValueError(f"a seed is 0 or more, not {self.seed}; give --seed 0")

    def weights(self, number: int, units: int) -> Rows:
        """How many times each unit stands in a resample; all of them together as many times as there are units.

        Example:
            >>> Draws(seed=3).weights(0, 5)
            array([3, 1, 0, 0, 1])
        """
        drawn = np.random.default_rng((self.seed, number)).integers(units, size=units)
        return np.bincount(drawn, minlength=units)


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Where a number lies in `LEVEL` of the resamples.

    Attributes:
        low: the end below.
        high: the end above.
    """

    low: float
    high: float

    @property
    def excludes_0(self) -> bool:
        """Whether 0 lies outside."""
        return self.low > 0 or self.high < 0


def resampled(numbers: Sequence[Weighted], units: int, draws: Draws, told: Told) -> Floats:
    """The numbers of each of S scorers in all resamples, the same for each: (S, resamples, n).

    Args:
        numbers: of the scorers, who all have the same units.
        units: how many there are, at least one.
        draws: which resamples.
        told: is told how many are done.
    """
    found = []
    for number in range(draws.resamples):
        weights = draws.weights(number, units)
        found.append([weighted(weights) for weighted in numbers])
        told(number + 1, draws.resamples)
    return np.array(found, np.float64).swapaxes(0, 1)


def intervals(samples: Floats) -> list[Interval | None]:
    """The middle `LEVEL` of resamples (R, n), for each of the n numbers.

    Resamples in which there is no number are left out, such as those without medium people; None where all are so.
    """
    ends = (1 - LEVEL) / 2, (1 + LEVEL) / 2
    known = [column[~np.isnan(column)] for column in samples.T]
    return [
        Interval(low=low, high=high) if len(column) else None
        for column in known
        for low, high in [np.quantile(column, ends).tolist() if len(column) else (np.nan, np.nan)]
    ]
