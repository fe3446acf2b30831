"""What is said of one results file, or of two: each number, its interval, and the interval of the difference.

Imports no torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dpn.arrays import Floats
from dpn.metrics.resampling import LEVEL, Draws, Interval, Weighted, intervals, resampled
from dpn.program.progress import Told

Name = tuple[str, ...]
"""Where a number stands in an object: ("AP",), or ("pckh@0.5", "mean")."""


@dataclass(frozen=True, kw_only=True)
class Units:
    """What is drawn.

    Attributes:
        of: "images" or "people".
        count: how many there are.
    """

    of: str
    count: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Uncertainty:
    """Intervals of n numbers.

    Attributes:
        units: what is drawn.
        draws: which resamples.
        each: of every file, n intervals; None where there is no number.
        difference: of the first file's numbers less the second's, with the same resamples for both; none for one file.
    """

    units: Units
    draws: Draws
    each: list[list[Interval | None]]
    difference: list[Interval | None]

    def as_dict(self, names: Sequence[Name], file: int = 0) -> dict[str, Any]:
        """For JSON: level, resamples, seed, over, units, and `of`, the intervals by the numbers' names, null for none.

        Args:
            names: of the numbers.
            file: whose.
        """
        return {
            "level": LEVEL, "resamples": self.draws.resamples, "seed": self.draws.seed,
            "over": self.units.of, "units": self.units.count,
            "of": nested(names, [one and [one.low, one.high] for one in self.each[file]]),
        }  # fmt: skip


def uncertainty(files: Sequence[Weighted], units: Units, draws: Draws, told: Told) -> Uncertainty | None:
    """Draws and scores; None without resamples, or without anything to draw.

    Args:
        files: how one results file is scored, or two of the same people.
        units: what is drawn.
        draws: which resamples.
        told: is told how many are done.
    """
    if not draws.resamples or not units.count:
        return None
    samples = resampled(files, units.count, draws, told)
    return Uncertainty(
        units=units, draws=draws, each=[intervals(one) for one in samples],
        difference=intervals(samples[0] - samples[1]) if len(files) > 1 else [],
    )  # fmt: skip


def differences(
    names: Sequence[Name], values: tuple[Floats, Floats], found: Uncertainty | None
) -> dict[str, Any]:  # fmt: skip
    """For JSON, by the numbers' names: difference (first less second), low, high and excludes_0; null for none.

    Args:
        names: of the n numbers.
        values: of both files (n,), NaN where there is none.
        found: their intervals, if any.
    """
    rows: list[dict[str, Any] | None] = []
    for number, difference in enumerate((values[0] - values[1]).tolist()):
        row: dict[str, Any] = {"difference": difference}
        interval = found.difference[number] if found else None
        if interval:
            row |= {"low": interval.low, "high": interval.high, "excludes_0": interval.excludes_0}
        rows.append(None if np.isnan(difference) else row)
    return nested(names, rows)


def nested(names: Sequence[Name], values: Sequence[Any]) -> dict[str, Any]:
    """Values in an object of objects.

    Example:
        >>> nested([("AP",), ("pckh@0.5", "head"), ("pckh@0.5", "mean")], [1, 2, 3])
        {'AP': 1, 'pckh@0.5': {'head': 2, 'mean': 3}}
    """
    found: dict[str, Any] = {}
    for (*path, last), value in zip(names, values, strict=True):
        place = found
        for name in path:
            place = place.setdefault(name, {})
        place[last] = value
    return found
