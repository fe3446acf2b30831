"""The paper's own words: every cell of its seven tables and every caption, as printed, from results/reported.

Imports no torch. Subscripts, superscripts and line breaks inside a cell are written in one line of plain text: i_th,
2^(6-i), and "; " between the lines of a stack.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from bench.counts.conventions import round_printed
from bench.records.store import RESULTS

REPORTED = RESULTS / "reported"
TABLES = tuple(f"table-{n}" for n in range(1, 8))
FIGURES = tuple(f"figure-{n}" for n in range(1, 4))
HEADER = "header"
"""Row id of a table's header cells; the only cells that may be blank, above a column of row labels."""

_BLANK_ONLY_IN_HEADER: JsonDict = {
    "if": {"properties": {"row": {"not": {"const": HEADER}}}},
    "then": {"properties": {"printed": {"minLength": 1}}},
}


class ReportedError(ValueError):
    """A reported CSV is not what it must be; the message names file, row and column."""


class Reported(BaseModel):
    """One cell of one table of the paper, exactly as printed.

    Attributes:
        table: "table-6".
        row: the row's id, unique in the table.
        column: the column's id.
        subject: the network that the cell is about, as named in the zoo; empty where it is about no single one.
        metric: what the number is: params, gflops, ap, pckh, ap_gain, epochs, resolution; "text" for the rest.
        printed: the string in print; "-" where the paper prints a dash, empty where a header cell is blank.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra=_BLANK_ONLY_IN_HEADER)

    table: str
    row: str = Field(min_length=1)
    column: str = Field(min_length=1)
    subject: str
    metric: str = Field(min_length=1)
    printed: str

    @model_validator(mode="after")
    def _blank_only_in_header(self) -> Self:
        if not self.printed and self.row != HEADER:
            raise ValueError("`printed` may be empty in header cells only")
        return self

    @property
    def number(self) -> Decimal | None:
        """The number in the cell without its unit, or None where it holds no single number.

        Example:
            >>> Reported(table="t", row="r", column="c", subject="s", metric="params", printed="3.3 M").number
            Decimal('3.3')
        """
        match = re.fullmatch(r"↑?(\d+(?:\.\d+)?)(?: [MG])?", self.printed)
        return Decimal(match[1]) if match else None


@dataclass(frozen=True)
class ReportedTable:
    """One table of the paper: a full grid of cells in print order."""

    name: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: dict[tuple[str, str], Reported]

    def cell(self, row: str, column: str) -> Reported:
        """The cell at a row and a column id; a KeyError names those that exist."""
        try:
            return self.cells[row, column]
        except KeyError:
            raise KeyError(
                f"{self.name} has no cell ({row!r}, {column!r}); rows: {', '.join(self.rows)}; "
                f"columns: {', '.join(self.columns)}"
            ) from None

    def of(self, subject: str, metric: str) -> Reported | None:
        """The first cell about a network's metric, or None."""
        found = (cell for cell in self.cells.values() if cell.subject == subject and cell.metric == metric)
        return next(found, None)

    def columns_of(self, metric: str) -> tuple[str, ...]:
        """The columns that have a cell of that metric, in print order."""
        return tuple(c for c in self.columns if any(self.cell(r, c).metric == metric for r in self.rows))


def load(table: str, folder: Path = REPORTED) -> ReportedTable:
    """Reads one table, e.g. "table-6".

    Raises:
        ReportedError: the file is missing, a cell of the grid rows x columns is missing, empty or given twice.
    """
    path = folder / f"{table}.csv"
    cells: dict[tuple[str, str], Reported] = {}
    for number, line in _lines(path, ("row", "column", "subject", "metric", "printed")):
        key = line["row"], line["column"]
        where = f"{path}, line {number}: row {key[0]!r}, column {key[1]!r}"
        blank = [name for name in ("row", "column", "metric", "printed") if not line[name].strip()]
        if blank and not (blank == ["printed"] and line["row"] == HEADER):
            raise ReportedError(f"{where}: {' and '.join(blank)} must not be empty")
        if key in cells:
            raise ReportedError(f"{where}: this cell is given twice; remove one of the two lines")
        cells[key] = Reported(table=table, **line)
    rows = tuple(dict.fromkeys(row for row, _ in cells))
    columns = tuple(dict.fromkeys(column for _, column in cells))
    for row in rows:
        for column in columns:
            if (row, column) not in cells:
                raise ReportedError(f"{path}: the cell at row {row!r}, column {column!r} is missing; add its line")
    return ReportedTable(table, rows, columns, cells)


def load_all(folder: Path = REPORTED) -> dict[str, ReportedTable]:
    """All seven tables, by name."""
    return {table: load(table, folder) for table in TABLES}


def captions(folder: Path = REPORTED) -> dict[str, str]:
    """The paper's captions, without "TABLE I:", by "table-1" .. "table-7" and "figure-1" .. "figure-3".

    Raises:
        ReportedError: the file is missing, a caption is missing, empty or given twice, or belongs to nothing.
    """
    path = folder / "captions.csv"
    found: dict[str, str] = {}
    for number, line in _lines(path, ("table", "caption")):
        where = f"{path}, line {number}: {line['table']!r}"
        if line["table"] not in TABLES + FIGURES:
            raise ReportedError(f"{where} is no table or figure; there are {', '.join(TABLES + FIGURES)}")
        if line["table"] in found:
            raise ReportedError(f"{where}: this caption is given twice; remove one of the two lines")
        if not line["caption"].strip():
            raise ReportedError(f"{where}: caption must not be empty")
        found[line["table"]] = line["caption"]
    if missing := [name for name in TABLES + FIGURES if name not in found]:
        raise ReportedError(f"{path}: no caption for {', '.join(missing)}; add its line")
    return found


def _lines(path: Path, fields: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """The lines of a CSV that has exactly these fields, each with its line number; at least one."""
    if not path.is_file():
        raise ReportedError(f"{path} is missing; restore it: git checkout -- results/reported")
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != fields:
            raise ReportedError(f"{path}: the first line must be {','.join(fields)}, not {reader.fieldnames}")
        empty = True
        for line in reader:
            if None in line or None in line.values():
                named = ", ".join(f"{name} {line[name]!r}" for name in fields if line[name] is not None)
                raise ReportedError(
                    f"{path}, line {reader.line_num}: {named}: not {len(fields)} fields; quote fields with commas"
                )
            empty = False
            yield reader.line_num, line
    if empty:
        raise ReportedError(f"{path} has no lines; restore it: git checkout -- results/reported")


@dataclass(frozen=True)
class Verdict:
    """A measured value beside a printed one.

    Attributes:
        rounded: the measured value with as many decimals as the print has.
        difference: rounded minus printed; zero is a match.
    """

    rounded: str
    difference: Decimal

    @property
    def matches(self) -> bool:
        """Whether the measured value prints the same digits."""
        return self.difference == 0


def compare(value: Fraction | float, printed: Decimal) -> Verdict:
    """Compares at the printed precision: the value is rounded to as many decimals as the print has.

    Example:
        >>> compare(1.2499, Decimal("1.2")).matches, str(compare(1.251, Decimal("1.2")).difference)
        (True, '0.1')
    """
    exponent = printed.as_tuple().exponent
    if not isinstance(exponent, int):
        raise ValueError(f"{printed} is not a printed number")
    rounded = round_printed(value, max(0, -exponent))
    return Verdict(rounded, Decimal(rounded) - printed)
