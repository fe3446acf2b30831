"""The nouns of a table: cells that know where their number comes from, columns, rows and the table itself."""

import difflib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Literal, cast

from bench.counts.conventions import round_printed
from bench.records.record import Record
from bench.records.reported import Reported, compare
from bench.records.store import Found
from bench.statistics import Interval

State = Literal["label", "reported", "measured", "match", "differs", "stale", "missing"]
"""`reported`: only the paper says so. `measured`: a record, with nothing to compare it with. `match` and `differs`: a
record beside a printed number. `stale`: a record of an older definition. `missing`: neither."""


LISTED = 3
"""Further records of a cell that are listed one by one."""


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
        further: other records behind it, for a number that follows from several.
        how: for a derived number, how it follows from its sources, in one line.
        interval: of the value and in its unit, for the csv; the note shows it rounded.
        n: how many independent ones the value rests on: processes, trials, seeds, images or networks.
        p: of the test that goes with the value.
        flags: what limits the value, such as "disturbed".
    """

    text: str
    value: int | float | str | Decimal | Fraction | None = None
    state: State = "label"
    note: str = ""
    reported: Reported | None = None
    record: Record | None = None
    further: tuple[Record, ...] = ()
    how: str = ""
    interval: Interval | None = None
    n: int | None = None
    p: float | None = None
    flags: tuple[str, ...] = ()

    def sources(self) -> tuple[str, ...]:
        """Lines that say where the number comes from; empty for labels."""
        lines = []
        if self.reported is not None:
            r = self.reported
            lines.append(f"reported: {r.printed!r}, {r.table}, row {r.row}, column {r.column}")
        if self.record is not None:
            lines.append(f"measured: {self.record.value}, {self.record.provenance()}")
        lines += [f"measured: {other.value}, {other.provenance()}" for other in self.further[:LISTED]]
        if len(self.further) > LISTED:
            lines.append(f"and {len(self.further) - LISTED} more records like the last")
        if self.how:
            lines.append(self.how)
        return tuple(lines)


EMPTY = Cell(text="", value=None)
NOT_MEASURED = Cell(text="–", value=None, state="missing", how="no such network in the zoo yet, or nothing measured")


def label(text: str) -> Cell:
    """Words without a source."""
    return Cell(text=text)


def from_print(cell: Reported) -> Cell:
    """The paper's cell as it stands there."""
    return Cell(text=cell.printed, value=cell.number or cell.printed, state="reported", reported=cell)


def from_record(
    found: Found, shown: Callable[[float | Fraction], str], *, value: Fraction | None = None, how: str = ""
) -> Cell:
    """A measured number that has nothing to be compared with.

    Args:
        found: the store's answer.
        shown: turns the exact value into what is shown.
        value: the exact value, where it is not the record's own but follows from it.
        how: how it follows.
    """
    if found.record is None:
        return NOT_MEASURED
    exact = found.record.value if value is None else value
    state: State = "stale" if found.stale else "measured"
    return Cell(text=shown(exact), value=exact, state=state, record=found.record, how=how)


def compared(found: Found, value: Fraction | None, printed: Reported, *, how: str = "") -> Cell:
    """A measured number beside a printed one: shown with the print's decimals, and whether those digits agree.

    Where the paper prints a dash there is nothing to compare with, and the number has one decimal.

    Args:
        found: the record behind the value.
        value: the exact value in the unit of the print; None where nothing is measured.
        printed: the paper's cell.
        how: how the value follows from the record.
    """
    if found.record is None or value is None:
        return NOT_MEASURED
    if printed.number is None:
        text, state, note = round_printed(value, 1), "measured", ""
    else:
        verdict = compare(value, printed.number)
        text = verdict.rounded
        state = "match" if verdict.matches else "differs"
        note = "" if verdict.matches else f"{verdict.difference:+}"
    if found.stale:
        state = "stale"
    return Cell(
        text=text, value=value, state=cast(State, state), note=note, reported=printed, record=found.record, how=how
    )


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column; neighbours with one `group` share a spanning header.

    Attributes:
        id: used in csv headers, in `explain` and in anchors.
        label: the header's text.
        group: the spanning header's text, or empty.
        align: "left" for words, "right" for numbers.
        hide_on_phone: left out where the screen is narrow; it is in every file.
    """

    id: str
    label: str
    group: str = ""
    align: Literal["left", "right"] = "right"
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
        stacked: where the screen is narrow, the cells of a row stand below one another, each under its column's label:
            for a table of sentences.
    """

    id: str
    title: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    stacked: bool = False

    def __post_init__(self) -> None:
        for row in self.rows:
            if missing := [column.id for column in self.columns if column.id not in row.cells]:
                raise ValueError(f"{self.id}: row {row.id!r} has no cell for {', '.join(missing)}")

    def cell(self, row: str, column: str) -> Cell:
        """The cell at a row and a column id; a KeyError names the nearest, or all where none is near."""
        by_id = {r.id: r for r in self.rows}
        if row not in by_id:
            raise KeyError(f"{self.id} has no row {row!r}; {_near(row, by_id)}")
        if column not in by_id[row].cells:
            raise KeyError(f"{self.id} has no column {column!r}; {_near(column, [c.id for c in self.columns])}")
        return by_id[row].cells[column]

    def counts(self) -> Counter[State]:
        """How many cells are in each state."""
        return Counter(row.cells[column.id].state for row in self.rows for column in self.columns)


def _near(name: str, there: Iterable[str]) -> str:
    """Which names are like one that there is not; all of them where none is."""
    names = list(there)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    return f"the nearest are {', '.join(near)}" if near else f"it has {', '.join(names)}"
