"""The verbs `show` and `explain` of `python -m analysis`: tables, and where the numbers in their cells come from."""

from pathlib import Path
from typing import Annotated, Literal

import tyro

from analysis.outlets.opened import evidence_of
from bench.records.store import RECORDS
from dpn.program.whole_files import write_whole

TableId = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TABLE")]
TableOrNot = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="[TABLE]")]
RowId = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="ROW")]
ColumnId = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="COLUMN")]
Format = Annotated[Literal["text", "tex", "csv", "html"], tyro.conf.arg(name="format")]


def show(
    table: TableOrNot = "", form: Format = "text", out: Path | None = None, records: Path = RECORDS
) -> None:  # fmt: skip
    """Prints a table, as text, LaTeX, csv or a page of its own; without a name, the id and title of every table.

    Args:
        table: its id, such as table-6 or table-7-one-unit; by default all ids are listed.
        form: text for a terminal, or what the report has as a file: tex (for booktabs), csv (exact values) or html.
        out: a file to write to in place of the terminal.
        records: the folder of the records.
    """
    from analysis.catalogue import tables
    from analysis.outlets.render import FILES, to_text

    evidence = evidence_of(records)
    if not table:
        if out is not None or form != "text":
            raise ValueError("--format and --out are for one table; name it")
        titles = tables.titles(evidence)
        width = max(map(len, titles))
        print("\n".join(f"{name:<{width}}  {title}" for name, title in titles.items()))
        return
    found = tables.table(table, evidence)
    text = to_text(found, for_file=out is not None) if form == "text" else FILES[form](found)
    if out is None:
        print(text, end="")
    else:
        write_whole(out, text.encode())
        print(out)


def explain(table: TableId, row: RowId, column: ColumnId, records: Path = RECORDS) -> None:
    """Says where the numbers in a cell come from: the printed string, the record, and how one follows from the other.

    Args:
        table: the table's id, such as table-6.
        row: the row's id; the network's name, for tables of networks.
        column: the column's id, or the part before its underscore: params stands for params_reported, params_measured.
        records: the folder of the records.
    """
    from analysis.catalogue import tables
    from analysis.catalogue.provenance import explain_cell

    found = tables.table(table, evidence_of(records))
    row = tables.as_written(row, [r.id for r in found.rows])
    ids = [c.id for c in found.columns if f"{c.id}_".casefold().startswith(f"{column}_".casefold())]
    for name in ids or [column]:
        print("\n".join(explain_cell(found, row, name, records)))
