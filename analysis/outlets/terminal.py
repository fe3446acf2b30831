"""Tables for a terminal, with rich: aligned, marked, and plain where nobody sees colour."""

import io
import os

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from analysis.outlets.layout import LONG, LOOKS, column_cells, long_columns, plain, states
from analysis.tabular.cells import Column, State, Table
from bench.outlets.terminal import UNLIMITED, is_terminal


def to_text(table: Table, *, color: bool | None = None, for_file: bool = False) -> str:
    """The table for a terminal: aligned, with its states' marks, a legend and its footnotes.

    Args:
        table: what to show.
        color: whether to use colour and italics; by default where it is shown on a terminal and NO_COLOR is not set.
        for_file: it is not shown where stdout goes; lines are then as long as the table needs, as without a terminal.
    """
    terminal = is_terminal() and not for_file
    if color is None:
        color = terminal and not os.environ.get("NO_COLOR")
    width = Console().width if terminal else UNLIMITED
    buffer = io.StringIO()
    console = Console(
        file=buffer, width=width, color_system="standard" if color else None, force_terminal=color, highlight=False
    )
    console.print(Text(f"{plain(table.title)}. {plain(table.caption)}", style="bold" if color else ""))
    console.print(_rich(table))
    told = [f"{_SIGNS[state]} {LOOKS[state].word}" for state in states(table) if _SIGNS[state]]
    for line in filter(None, ["  ".join(told), *map(plain, table.notes)]):
        console.print(Text(line))
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()) + "\n"


_SIGNS: dict[State, str] = {state: look.mark for state, look in LOOKS.items()} | {"reported": "r"}
"""Plain text has no italics, so what is reported carries a letter."""

_STYLES: dict[State, str] = {
    "match": "blue",
    "differs": "bold red",
    "reported": "italic",
    "stale": "yellow",
    "missing": "dim",
}


def _rich(table: Table) -> RichTable:
    shown = RichTable(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="")
    columns, long = [], long_columns(table)
    for column in table.columns:
        lines = [line for line in (plain(column.group), plain(column.label)) if line]
        # rich would strip what is behind right-aligned digits: these columns come padded, and stand to the left.
        padded = column.align == "right"
        heading = Text("\n".join(lines), justify=column.align)
        limit = 2 * LONG if column.id in long else None
        shown.add_column(heading, justify="left" if padded else column.align, max_width=limit, overflow="fold")
        cells = _text_cells(table, column)
        if padded:
            width = max([0, *map(len, lines), *map(len, cells)])
            for cell in cells:
                cell.pad_left(width - len(cell))
        columns.append(cells)
    for row, across in zip(table.rows, zip(*columns, strict=True), strict=True):
        if row.rule_above:
            shown.add_section()
        shown.add_row(*across)
    return shown


def _text_cells(table: Table, column: Column) -> list[Text]:
    """A column's cells with mark and note, in a right-aligned column filled up so that digits stand below digits."""
    cells = column_cells(table, column)
    behind = [" ".join(filter(None, [_SIGNS.get(cell.state, ""), plain(cell.note)])) for cell in cells]
    room = max(map(len, behind), default=0) if column.align == "right" else 0
    found = []
    for cell, words in zip(cells, behind, strict=True):
        tail = f" {words.ljust(room)}" if words or room else ""
        found.append(Text(plain(cell.text) + tail, style=_STYLES.get(cell.state, "")))
    return found
