"""Tables on standard output: numbers are never cut, and words fold at a terminal's edge. Imports no torch."""

import sys
from collections.abc import Collection, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

UNLIMITED = 10_000
"""Characters to a line where nobody sees a terminal: as many as any table needs."""

FOLDED = 10
"""Characters that the column which folds gets at least; a terminal without room for them breaks the lines itself."""

GAP = 2
"""Characters between two columns."""


def is_terminal() -> bool:
    """Whether standard output is a terminal; it can be closed, too."""
    return sys.stdout is not None and sys.stdout.isatty()


def width() -> int:
    """Characters to a line."""
    return Console().width if is_terminal() else UNLIMITED


def show(
    header: Sequence[str], rows: Sequence[Sequence[str | Text]], *, folds: str, numbers: Collection[str] = (),
    headed: bool = True,
) -> None:  # fmt: skip
    """Prints a table; what others say in it is no markup.

    Args:
        header: the name of each column.
        rows: their cells.
        folds: the one column that may take several lines.
        numbers: columns that stand to the right.
        headed: whether the header is printed, too.
    """
    cells = [[cell if isinstance(cell, Text) else Text(cell) for cell in row] for row in rows]
    shown = Table(box=None, pad_edge=False, show_header=headed, header_style="bold")
    least = GAP * (len(header) - 1)
    for name, *column in zip(header, *cells, strict=True):
        shown.add_column(
            name, justify="right" if name in numbers else "left", no_wrap=name != folds, overflow="fold"
        )  # fmt: skip
        needed = max([len(name), *(cell.cell_len for cell in column)])
        least += min(needed, FOLDED) if name == folds else needed
    for row in cells:
        shown.add_row(*row)
    Console(width=max(width(), least)).print(shown)
