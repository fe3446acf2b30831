"""Every way to write a table down: HTML and CSV here, LaTeX and terminal text from their modules, and files.

HTML comes from a Jinja2 template with autoescape, not from pandas' Styler: Styler gives header cells no `scope`, cannot
attach a source to a cell, spans no lone header over two lines, and puts a random id on every table.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from analysis.outlets.latex import to_latex
from analysis.outlets.layout import LOOKS, column_cells, long_columns, mark, note_width, plain, spans, states
from analysis.outlets.terminal import to_text
from analysis.tabular.cells import Cell, Column, State, Table

__all__ = [
    "FILES",
    "legend_html",
    "stylesheet",
    "to_csv",
    "to_html",
    "to_latex",
    "to_page",
    "to_text",
    "write_table",
]

_HERE = Path(__file__).parent
_JINJA = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_HERE),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)
_Attributes = dict[str, str | int | None]


def stylesheet() -> str:
    """The look of the whole report, for a <style> element; its first comment lists the classes."""
    return (_HERE / "page.css").read_text(encoding="utf-8")


def to_html(table: Table) -> str:
    """The table as one <figure> whose id is the table's; the page must have the `stylesheet`.

    Each body cell carries its column in `data-column`, what it rests on in `title`, and its state as a class
    `state-...` and as a named mark. Columns hidden on a phone have the class `phone-hidden`.
    """
    styles = _styles(table)
    rows = [
        {
            "attributes": {
                "id": re.sub(r"\s+", "_", f"{table.id}:{plain(row.id)}"),
                "class": "rule-above" if row.rule_above else None,
            },
            "cells": [
                _body_cell(column, styles[column.id], row.cells[column.id], stacked=table.stacked)
                for column in table.columns
            ],
        }
        for row in table.rows
    ]
    return _macro("figure", _cleaned(table), _header(table, styles), rows, [plain(note) for note in table.notes])


def legend_html(shown: Iterable[State]) -> str:
    """What the marks of these states mean, as a list; labels need no explanation.

    Example:
        >>> "does not round" in legend_html(["differs"]), legend_html(["label"])
        (True, '')
    """
    wanted = set(shown)
    looks = [(state, look) for state, look in LOOKS.items() if state in wanted]
    return _macro("legend", looks) if looks else ""


def _macro(name: str, *arguments: object) -> str:
    # A plain string: what callers put into a template of their own, they must call safe themselves.
    return str(getattr(_JINJA.get_template("table.html.j2").module, name)(*arguments))


def _cleaned(table: Table) -> dict[str, str]:
    return {
        "id": table.id,
        "title": plain(table.title),
        "caption": plain(table.caption),
        "class": "stacked" if table.stacked else "",
    }


@dataclass(frozen=True)
class _Style:
    """What all cells of a column share.

    Attributes:
        classes: of header and cells.
        is_stub: the column names the rows.
        note_width: characters of its longest note.
        marked: some cell has a mark.
    """

    classes: str
    is_stub: bool
    note_width: int
    marked: bool


def _styles(table: Table) -> dict[str, _Style]:
    """By a column's id."""
    long = long_columns(table)
    styles = {}
    for column in table.columns:
        is_stub = column is table.columns[0]
        named = {"stub": is_stub, "long": column.id in long, "phone-hidden": column.hide_on_phone}
        styles[column.id] = _Style(
            classes=" ".join([column.align, *(name for name, holds in named.items() if holds)]),
            is_stub=is_stub,
            note_width=note_width(table, column),
            marked=any(map(mark, column_cells(table, column))),
        )
    return styles


def _header(table: Table, styles: Mapping[str, _Style]) -> list[list[dict[str, Any]]]:
    """One line of labels, or two where columns have groups; an ungrouped label then spans both."""
    groups = spans(table.columns)
    if not any(span.group for span in groups):
        return [[_label(column, styles[column.id]) for column in table.columns]]
    upper = []
    for span in groups:
        if not span.group:
            upper.append(_label(span.columns[0], styles[span.columns[0].id], rowspan=2))
            continue
        total, on_phone = len(span.columns), sum(not column.hide_on_phone for column in span.columns)
        group: _Attributes = {"scope": "colgroup", "colspan": total, "class": "group"}
        if on_phone < total:
            group["class"] = "group phone-hidden"
        upper.append({"text": plain(span.group), "attributes": group})
        if 0 < on_phone < total:
            # A colspan cannot follow the columns that a phone hides: it gets a header of its own.
            phone = group | {"colspan": on_phone, "class": "group phone-only", "hidden": "hidden"}
            upper.append({"text": plain(span.group), "attributes": phone})
    return [upper, [_label(column, styles[column.id]) for column in table.columns if column.group]]


def _label(column: Column, style: _Style, rowspan: int | None = None) -> dict[str, Any]:
    attributes: _Attributes = {"scope": "col", "rowspan": rowspan, "class": style.classes}
    return {"text": plain(column.label), "attributes": attributes}


def _body_cell(column: Column, style: _Style, cell: Cell, *, stacked: bool) -> dict[str, Any]:
    sources = [plain(line) for line in cell.sources()]
    look = LOOKS.get(cell.state)
    told = [f"{look.word}: {look.meaning}", *sources] if look else sources
    stub = style.is_stub and bool(cell.text)
    attributes: _Attributes = {
        "scope": "row" if stub else None,
        "class": style.classes + (f" state-{cell.state}" if look else ""),
        "data-column": column.id,
        "data-label": plain(column.label) if stacked and cell.text else None,
        "title": "\n".join(told) or None,
    }
    # Right-aligned digits stay aligned when every cell leaves the same room for its mark and its note.
    aligned = column.align == "right" and bool(cell.text or look)
    width = style.note_width if aligned else 0
    return {
        "tag": "th" if stub else "td",
        "attributes": attributes,
        "text": plain(cell.text),
        "word": look.word if look else "",
        "mark": look.mark if look else "",
        "slot": aligned and style.marked,
        "note": plain(cell.note),
        "note_style": f"min-width:{width}ch" if width else None,
    }


BESIDE: Mapping[str, Callable[[Cell], object]] = {
    "low": lambda cell: cell.interval and cell.interval.low,
    "high": lambda cell: cell.interval and cell.interval.high,
    "confidence": lambda cell: cell.interval and cell.interval.confidence,
    "n": lambda cell: cell.n,
    "p": lambda cell: cell.p,
    "flags": lambda cell: "; ".join((*cell.flags, *(("stale",) if cell.state == "stale" else ()))) or None,
}
"""What a csv has beside a value, by what is added to the column's id, where a cell of the column has it."""


def to_csv(table: Table) -> str:
    r"""The exact values by row id and column id, as RFC 4180 has it but with "\n"; see `exact`.

    A column whose cells have an interval, a number of independent ones, a p value or flags is followed by columns of
    these: `eager_1` by `eager_1_low`, `eager_1_high` and so on, as `BESIDE` names them.
    """
    columns: list[tuple[str, str, Callable[[Cell], str]]] = []
    for column in table.columns:
        columns.append((column.id, column.id, exact))
        for name, read in BESIDE.items():
            if any(read(row.cells[column.id]) is not None for row in table.rows):
                columns.append((f"{column.id}_{name}", column.id, partial(_beside, read)))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["row", *(name for name, _, _ in columns)])
    for row in table.rows:
        writer.writerow([plain(row.id), *(written(row.cells[of]) for _, of, written in columns)])
    return buffer.getvalue()


def _beside(read: Callable[[Cell], object], cell: Cell) -> str:
    value = read(cell)
    return "" if value is None else repr(float(value)) if isinstance(value, float) else plain(str(value))


def exact(cell: Cell) -> str:
    """The cell's value in full, of an endless fraction 17 significant digits; the text where there is no value.

    Example:
        >>> exact(Cell(text="3.0", value=Fraction(3224371200, 2**30))), exact(Cell(text="0.7", value=Fraction(2, 3)))
        ('3.0029296875', '0.66666666666666667')
    """
    if isinstance(cell.value, Fraction):
        return _decimal(cell.value)
    if cell.value is None or isinstance(cell.value, str):
        return plain(cell.text if cell.value is None else cell.value)
    return repr(cell.value) if isinstance(cell.value, float) else str(cell.value)


def _decimal(value: Fraction) -> str:
    places = {2: 0, 5: 0}
    rest = value.denominator
    for prime in places:
        while rest % prime == 0:
            rest //= prime
            places[prime] += 1
    with localcontext() as context:
        if rest != 1:
            context.prec = 17
            return str(Decimal(value.numerator) / Decimal(value.denominator))
        needed = max(places.values())
        digits = value.numerator * 10**needed // value.denominator
        context.prec = len(str(digits)) + needed
        return format(Decimal(digits).scaleb(-needed), "f")


def to_page(table: Table) -> str:
    """The table as a page of its own, with the `stylesheet` and what its marks mean."""
    legend = Markup(legend_html(states(table)))
    return _macro("page", plain(table.title), Markup(stylesheet()), Markup(to_html(table)), legend)


FILES: Mapping[str, Callable[[Table], str]] = {"html": to_page, "tex": to_latex, "csv": to_csv}
"""What the report has of a table as a file, by its ending."""


def write_table(table: Table, folder: Path) -> tuple[Path, ...]:
    """Writes `FILES`: `table-6.html`, `table-6.tex` and `table-6.csv`; returns their paths.

    Raises:
        ValueError: the table's id would not make a file name.
    """
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", table.id):
        raise ValueError(f"a table cannot be called {table.id!r}; use lower-case letters, digits and single hyphens")
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for ending, written in FILES.items():
        path = folder / f"{table.id}.{ending}"
        path.write_text(written(table), encoding="utf-8", newline="\n")
        paths.append(path)
    return tuple(paths)
