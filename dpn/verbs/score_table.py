"""How scores are shown on a terminal: a column for each number, rows for files, difference and interval."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path

from dpn.metrics.resampling import Interval


@dataclass(frozen=True)
class Column:
    """One number of one file, or of two.

    Attributes:
        name: of the number.
        values: of each file, in percent; NaN where there is none.
        interval: of the number, or of two files' difference.
    """

    name: str
    values: Sequence[float]
    interval: Interval | None

    @property
    def cells(self) -> list[float]:
        """The values, with a second one the difference, and the interval's ends."""
        ends = [self.interval.low, self.interval.high] if self.interval else [float("nan")] * 2
        return [*self.values, *([self.values[0] - self.values[1]] if len(self.values) > 1 else []), *ends]


def show(columns: Sequence[Column]) -> None:
    """A row of names above rows of numbers with one decimal; intervals where there are any."""
    compared = len(columns[0].values) > 1
    labels = ["results", "against", "difference"] if compared else [""]
    if any(column.interval for column in columns):
        labels += ["from", "to"]
    cells = [column.cells for column in columns]
    rows = [[""], *([label] for label in labels)]
    for column, numbers in zip(columns, cells, strict=True):
        rows[0].append(column.name)
        for row, label, number in zip(rows[1:], labels, numbers, strict=False):
            signed = compared and label in ("difference", "from", "to")
            row.append("-" if isnan(number) else f"{number:+.1f}" if signed else f"{number:.1f}")
    print_table(rows)


def print_table(rows: Sequence[Sequence[str]], least: int = 5) -> None:
    """Rows of cells below each other: the first cell of each to the left, the others to the right.

    Args:
        rows: of equally many cells; where all first ones are empty, they take no room.
        least: so wide is a column at least.
    """
    first, *others = zip(*rows, strict=True)
    room = max(map(len, first))
    widths = [max(least, *map(len, column)) for column in others]
    for label, *cells in rows:
        line = " ".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
        print(f"{label:<{room}} {line}".rstrip() if room else line)


def show_verdict(columns: Sequence[Column], results: Path, against: Path) -> None:
    """In words, whether the intervals of the differences exclude 0."""
    said: dict[str, list[str]] = {
        "higher, the interval excludes 0": [], "lower, the interval excludes 0": [], "undecided, it contains 0": [],
    }  # fmt: skip
    higher, lower, undecided = said.values()
    for column in columns:
        if column.interval:
            side = undecided if not column.interval.excludes_0 else higher if column.interval.low > 0 else lower
            side.append(column.name)
    if any(said.values()):
        print(f"difference of {results} from {against}")
    for words, names in said.items():
        if names:
            print(f"  {words}: {', '.join(names)}")
