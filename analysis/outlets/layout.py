"""What every written form of a table shares: how a state looks, clean text, spanning headers, widths in characters."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from analysis.tabular.cells import Cell, Column, State, Table

LONG, MIDDLING = 36, 18
"""A left-aligned column with a cell of more characters than `LONG` holds sentences, and wraps; beside such a column,
one with more than `MIDDLING` wraps too, to leave it room."""


@dataclass(frozen=True)
class Look:
    """How a state is told apart without colour.

    Attributes:
        mark: one character behind the cell's text, or empty.
        word: the state in a word or two, for those who cannot see the mark.
        meaning: what the state says, for the legend.
    """

    mark: str
    word: str
    meaning: str


LOOKS: dict[State, Look] = {
    "match": Look("✓", "match", "measured, and rounds to the digits in print"),
    "differs": Look("≠", "differs", "measured, and does not round to the digits in print; the difference follows"),
    "measured": Look("", "measured", "measured, with nothing in print to compare it with"),
    "reported": Look("", "reported", "as the paper prints it, not measured here"),
    "stale": Look("↻", "stale", "measured before a definition changed, and to be measured again"),
    "missing": Look("○", "missing", "neither in print nor measured"),
}
"""Every state but `label`, in the order of legends."""


@dataclass(frozen=True)
class Span:
    """Neighbouring columns under one spanning header.

    Attributes:
        group: the header's text; empty for a single column without one.
        columns: the columns below, at least one.
        start: the first column's position in the table.
    """

    group: str
    columns: tuple[Column, ...]
    start: int


def spans(columns: Sequence[Column]) -> tuple[Span, ...]:
    """The spanning headers in order; together they cover each column once.

    Example:
        >>> [(s.group, s.start, len(s.columns)) for s in spans(tuple(
        ...     Column(id=i, label=i, group=g) for i, g in zip("abcd", ("", "", "AP", "AP"))))]
        [('', 0, 1), ('', 1, 1), ('AP', 2, 2)]
    """
    numbered = enumerate(columns)
    found = []
    for _, run in groupby(numbered, key=lambda item: item[1].group or item[0]):
        items = tuple(run)
        found.append(Span(items[0][1].group, tuple(column for _, column in items), items[0][0]))
    return tuple(found)


def plain(text: str) -> str:
    r"""One line without control, formatting or surrogate characters, so that no text can steer a terminal or a reader.

    Example:
        >>> plain("a\n  b\x1b[31m\u202e")
        'a b[31m'
    """
    line = re.sub(r"[ \t\n\r\f\v\x85\u2028\u2029]+", " ", text).strip(" ")
    if line.isprintable():  # then there are none, and this is told much faster
        return line
    return "".join(char for char in line if unicodedata.category(char) not in ("Cc", "Cf", "Cs"))


def mark(cell: Cell) -> str:
    """The mark of the cell's state, or nothing."""
    return LOOKS[cell.state].mark if cell.state in LOOKS else ""


def column_cells(table: Table, column: Column) -> tuple[Cell, ...]:
    """The column's cells from top to bottom."""
    return tuple(row.cells[column.id] for row in table.rows)


def text_width(table: Table, column: Column) -> int:
    """Characters of the longest text in the column, without header, marks and notes."""
    return max((len(plain(cell.text)) for cell in column_cells(table, column)), default=0)


def note_width(table: Table, column: Column) -> int:
    """Characters of the longest note in the column."""
    return max((len(plain(cell.note)) for cell in column_cells(table, column)), default=0)


def long_columns(table: Table) -> frozenset[str]:
    """The ids of the columns that hold text that wraps; see `LONG`."""
    widths = {column.id: text_width(table, column) for column in table.columns if column.align == "left"}
    limit = MIDDLING if any(width > LONG for width in widths.values()) else LONG
    return frozenset(name for name, width in widths.items() if width > limit)


def states(table: Table) -> tuple[State, ...]:
    """The states that the table's cells are in, labels aside, in the legend's order."""
    present = table.counts()
    return tuple(state for state in LOOKS if state in present)
