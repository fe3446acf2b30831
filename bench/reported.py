"""The paper's own numbers: every cell of its seven tables, as printed, from results/reported. Imports no torch."""

import csv
import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from bench.conventions import round_printed
from bench.store import RESULTS

REPORTED = RESULTS / "reported"
TABLES = tuple(f"table-{n}" for n in range(1, 8))
HEADER = "header"
"""Row id of a table's header cells."""


class ReportedError(ValueError):
    """A reported CSV is not what it must be; the message names file, row and column."""


class Reported(BaseModel):
    """One cell of one table of the paper, exactly as printed.

    Attributes:
        table: "table-6".
        row: the row's id, unique in the table.
        column: the column's id.
        subject: the network that the cell is about, as named in the zoo; empty for labels.
        metric: what the number is: params, gflops, ap, pckh, ap_gain, epochs, resolution; "text" for the rest.
        printed: the string in print; "-" where the paper prints a dash.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    table: str
    row: str = Field(min_length=1)
    column: str = Field(min_length=1)
    subject: str
    metric: str = Field(min_length=1)
    printed: str = Field(min_length=1)

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


def load(table: str, folder: Path = REPORTED) -> ReportedTable:
    """Reads one table, e.g. "table-6".

    Raises:
        ReportedError: the file is missing, a cell of the grid rows x columns is missing, empty or given twice.
    """
    path = folder / f"{table}.csv"
    if not path.is_file():
        raise ReportedError(f"{path} is missing; restore it: git checkout -- results/reported")
    cells: dict[tuple[str, str], Reported] = {}
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        expected = ["row", "column", "subject", "metric", "printed"]
        if reader.fieldnames != expected:
            raise ReportedError(f"{path}: the first line must be {','.join(expected)}, not {reader.fieldnames}")
        for line in reader:
            key = (line["row"] or "", line["column"] or "")
            where = f"{path}, line {reader.line_num}: row {key[0]!r}, column {key[1]!r}"
            if None in line or None in line.values():
                raise ReportedError(f"{where}: not {len(expected)} fields; quote fields that contain commas")
            if not (key[0] and key[1] and line["metric"] and line["printed"]):
                raise ReportedError(f"{where}: a field is empty; only `subject` may be")
            if key in cells:
                raise ReportedError(f"{where}: this cell is given twice")
            cells[key] = Reported(table=table, **line)
    rows = tuple(dict.fromkeys(row for row, _ in cells))
    columns = tuple(dict.fromkeys(column for _, column in cells))
    for row in rows:
        for column in columns:
            if (row, column) not in cells:
                raise ReportedError(f"{path}: the cell at row {row!r}, column {column!r} is missing")
    return ReportedTable(table, rows, columns, cells)


def load_all(folder: Path = REPORTED) -> dict[str, ReportedTable]:
    """All seven tables, by name."""
    return {table: load(table, folder) for table in TABLES}


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
