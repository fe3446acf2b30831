"""The nouns of a table: cells that know where their number comes from, columns, rows and the table itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from bench.record import Record
from bench.reported import Reported

State = Literal["label", "reported", "measured", "match", "differs", "stale", "missing"]
"""`reported`: only the paper says so. `measured`: a record, with nothing to compare it with. `match` and `differs`: a
record beside a printed number. `stale`: a record of an older definition. `missing`: neither."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell: what is shown, what it exactly is, and where it comes from.

    Attributes:
        text: as shown, rounded.
        value: exact, for the csv; the text where there is nothing more exact.
        state: see `State`.
        note: a few characters behind the text, such as the difference from print, "+0.1".
        reported: the paper's cell behind it.
        record: the record behind it.
        how: for a derived number, how it follows from its sources, in one line.
    """

    text: str
    value: int | float | str | Decimal | Fraction | None = None
    state: State = "label"
    note: str = ""
    reported: Reported | None = None
    record: Record | None = None
    how: str = ""

    def sources(self) -> tuple[str, ...]:
        """Lines that say where the number comes from; empty for labels."""
        lines = []
        if self.reported is not None:
            r = self.reported
            lines.append(f"reported: {r.printed!r}, {r.table}, row {r.row}, column {r.column}")
        if self.record is not None:
            lines.append(f"measured: {self.record.value}, {self.record.provenance()}")
        if self.how:
            lines.append(self.how)
        return tuple(lines)


EMPTY = Cell(text="", value=None)


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column; neighbours with one `group` share a spanning header.

    Attributes:
        id: used in csv headers, in `explain` and in anchors.
        label: the header's text.
        group: the spanning header's text, or empty.
        align: "left" for words, "right" for numbers, "center".
        hide_on_phone: left out where the screen is narrow; it is in every file.
    """

    id: str
    label: str
    group: str = ""
    align: Literal["left", "right", "center"] = "right"
    hide_on_phone: bool = False


@dataclass(frozen=True)
class Row:
    """A row: an id, unique in its table, and a cell for each column id."""

    id: str
    cells: Mapping[str, Cell]
    rule_above: bool = False
    """A thin rule separates this row from the one above."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table: one id for csv, anchor, LaTeX label and `show`.

    Attributes:
        id: "table-6", "table-readings".
        title: "Table VI", or a short name where the paper has no such table.
        caption: one or two sentences, plain text.
        columns: in order.
        rows: in order; each has a cell for each column.
        notes: footnotes, each one sentence, plain text.
    """

    id: str
    title: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for row in self.rows:
            if missing := [column.id for column in self.columns if column.id not in row.cells]:
                raise ValueError(f"{self.id}: row {row.id!r} has no cell for {', '.join(missing)}")

    def cell(self, row: str, column: str) -> Cell:
        """The cell at a row and a column id; a KeyError names those that exist."""
        by_id = {r.id: r for r in self.rows}
        if row not in by_id:
            raise KeyError(f"{self.id} has no row {row!r}; it has {', '.join(by_id)}")
        if column not in by_id[row].cells:
            raise KeyError(f"{self.id} has no column {column!r}; it has {', '.join(c.id for c in self.columns)}")
        return by_id[row].cells[column]

    def counts(self) -> dict[State, int]:
        """How many cells are in each state, in no particular order."""
        states: dict[State, int] = {}
        for row in self.rows:
            for column in self.columns:
                state = row.cells[column.id].state
                states[state] = states.get(state, 0) + 1
        return states
