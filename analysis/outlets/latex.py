"""Tables as publishable LaTeX: booktabs, spanning headers, right-aligned digits, and states told by type alone."""

import math
import re
import textwrap
from collections.abc import Sequence

from analysis.outlets.latex_text import escape
from analysis.outlets.layout import LONG, Span, column_cells, long_columns, note_width, plain, spans, states, text_width
from analysis.tabular.cells import Cell, Row, State, Table

NARROW, WIDE = 58, 118
"""Characters of 8-point text on the lines of IEEE's one column (3.487 in) and of its two (7.140 in)."""

PAGE_LINES = 56
"""Lines of a table, its header and notes included, that surely fit on a page; a taller one continues on the next."""

PREAMBLE = r"\usepackage{array,tabularx,booktabs,amssymb}"
"""What must stand after the document class; every file says so in its first line."""

_EXPLAINED: dict[State, str] = {
    "match": r"Upright: measured, and the same digits as in print.",
    "differs": r"Superscript $\neq$: measured, and other digits than in print; the difference follows.",
    "measured": r"Upright, where nothing is printed to compare with: measured.",
    "reported": r"\textit{Italic}: as printed, not measured.",
    "stale": r"Superscript $\dagger$: measured before a definition changed.",
    "missing": r"Dash: neither in print nor measured.",
}


def to_latex(table: Table) -> str:
    r"""The table as a float, `table` where one of two columns is wide enough for it, otherwise `table*`.

    `table-6` gets the label `tab:6`. Digits stand right-aligned; marks and notes hang to their right. A table too tall
    for a page becomes several floats. `PREAMBLE` is needed, and nothing else.
    """
    layout = _Layout(table)
    environment = "table" if layout.natural_width <= NARROW else "table*"
    size = r"\footnotesize" if layout.natural_width <= WIDE else r"\scriptsize"
    legend = " ".join(_EXPLAINED[state] for state in _told(table))
    notes = [note for note in (legend, *map(escape, table.notes)) if note]
    begin, end = layout.environment()
    label = re.sub(r"[^A-Za-z0-9:._-]", "-", table.id.removeprefix("table-"))
    lines = [f"% {plain(table.title)} ({plain(table.id)}), written by analysis/outlets/latex.py; needs {PREAMBLE}."]
    parts = layout.parts(reserved=len(notes))
    for number, rows in enumerate(parts):
        heading = [
            r"\setlength{\abovecaptionskip}{0pt}\setlength{\belowcaptionskip}{5pt}",
            rf"\caption[{{{escape(table.title)}}}]{{{escape(table.caption)}}}",
            rf"\label{{tab:{label}}}",
        ]
        continued = [rf"Table~\ref{{tab:{label}}}, continued.\par\smallskip"]
        lines += [rf"\begin{{{environment}}}[t]", r"\centering", *(continued if number else heading)]
        lines += [size, r"\setlength{\tabcolsep}{4pt}", begin, r"\toprule", *layout.header(), r"\midrule"]
        lines += [*layout.body(rows), r"\bottomrule", end]
        if notes and number == len(parts) - 1:
            lines += [r"\par\smallskip", r"\begin{minipage}{\linewidth}\footnotesize\raggedright"]
            lines += [*(note + r"\par" for note in notes), r"\end{minipage}"]
        lines.append(rf"\end{{{environment}}}")
    return "\n".join(lines) + "\n"


def _told(table: Table) -> list[State]:
    """The states to explain: of the upright ones, `match` says it for both."""
    present = states(table)
    return [state for state in present if state != "measured" or "match" not in present]


class _Layout:
    """Where a table's columns stand: one with notes takes two of LaTeX's columns, digits and what hangs behind them."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.hangs = [
            column.align == "right" and any(_hanging(cell) for cell in column_cells(table, column))
            for column in table.columns
        ]
        first = 1
        self.first: list[int] = []
        """The number of each column's first LaTeX column, counted from one as a cmidrule does."""
        for hangs in self.hangs:
            self.first.append(first)
            first += 2 if hangs else 1
        self.last = first - 1
        wrapped = long_columns(table)
        self.long = [column.id in wrapped for column in table.columns]
        self.labels = [
            textwrap.wrap(plain(column.label), LONG if long else max(12, text_width(table, column))) or [""]
            for column, long in zip(table.columns, self.long, strict=True)
        ]
        self.widths = [self._characters(index) for index in range(len(table.columns))]

    def _characters(self, index: int) -> int:
        """Characters that a column takes, its margins included; a long one as much as it would on one line."""
        column = self.table.columns[index]
        hanging = 3 + note_width(self.table, column) if self.hangs[index] else 0
        return max(text_width(self.table, column) + hanging, *map(len, self.labels[index])) + 2

    @property
    def natural_width(self) -> int:
        """Characters of the table's widest line, long columns at the least that they can be read in."""
        return sum(min(width, 20) if long else width for width, long in zip(self.widths, self.long, strict=True))

    def _weights(self) -> dict[int, float]:
        """How the long columns share what the others leave: by the square root of their text, one on average."""
        roots = {
            index: sum(len(cell.text) + 1 for cell in column_cells(self.table, self.table.columns[index])) ** 0.5
            for index, long in enumerate(self.long)
            if long
        }
        return {index: len(roots) * root / sum(roots.values()) for index, root in roots.items()}

    def environment(self) -> tuple[str, str]:
        """The beginning and the end of the table proper, without margins at its sides."""
        weights = self._weights()
        found = []
        for index, column in enumerate(self.table.columns):
            if index in weights:
                found.append(rf">{{\hsize={weights[index]:.3f}\hsize\raggedright\arraybackslash}}X")
            else:
                found.append("r@{}l" if self.hangs[index] else column.align[0])
        name, width = ("tabularx", r"{\linewidth}") if weights else ("tabular", "")
        return rf"\begin{{{name}}}{width}{{@{{}}{''.join(found)}@{{}}}}", rf"\end{{{name}}}"

    def parts(self, reserved: int) -> list[tuple[Row, ...]]:
        """The rows of each float, with as many lines reserved; a part rather ends where a rule is."""
        room = max(PAGE_LINES - 4 - reserved, 10)
        found: list[tuple[Row, ...]] = []
        part: list[Row] = []
        used = 0.0
        for row in self.table.rows:
            lines = self._lines(row)
            if part and (used + lines > room or (row.rule_above and used > 0.8 * room)):
                found.append(tuple(part))
                part, used = [], 0.0
            part.append(row)
            used += lines
        return [*found, tuple(part)]

    def _lines(self, row: Row) -> float:
        """How many lines the row will take, the space above it included."""
        weights = self._weights()
        if not weights:
            return 1.1
        room = WIDE - sum(width for width, long in zip(self.widths, self.long, strict=True) if not long)
        share = max(room, 12 * len(weights)) / len(weights)
        columns = self.table.columns
        return 0.5 + max(
            math.ceil(len(row.cells[columns[index].id].text) / (share * weight - 2))
            for index, weight in weights.items()
        )

    def header(self) -> list[str]:
        """The lines between top rule and rows."""
        lines = []
        groups = spans(self.table.columns)
        if any(span.group for span in groups):
            cells, rules = [], []
            for span in groups:
                start, end = self._reach(span)
                if span.group:
                    cells.append(
                        rf"\multicolumn{{{end - start + 1}}}{{{self._edged('c', start, end)}}}{{{escape(span.group)}}}"
                    )
                    rules.append(rf"\cmidrule(lr){{{start}-{end}}}")
                else:
                    cells.append("&" * (end - start))
            lines += [" & ".join(cells) + r" \\", " ".join(rules)]
        return [*lines, " & ".join(map(self._label, range(len(self.table.columns)))) + r" \\"]

    def _reach(self, span: Span) -> tuple[int, int]:
        last = span.start + len(span.columns) - 1
        return self.first[span.start], self.first[last] + self.hangs[last]

    def _edged(self, align: str, start: int, end: int) -> str:
        """No margin at the table's edges, where a spanning cell would bring its own."""
        return f"{'@{}' if start == 1 else ''}{align}{'@{}' if end == self.last else ''}"

    def _label(self, index: int) -> str:
        align = self.table.columns[index].align[0]
        lines = [escape(line) for line in self.labels[index]]
        stacked = r"\\".join(lines)
        label = stacked if len(lines) == 1 else rf"\shortstack[{align}]{{{stacked}}}"
        if not self.hangs[index]:
            return label
        start = self.first[index]
        return rf"\multicolumn{{2}}{{{self._edged(align, start, start + 1)}}}{{{label}}}"

    def body(self, rows: Sequence[Row]) -> list[str]:
        """A line for each row, and the rules between them."""
        lines = []
        for number, row in enumerate(rows):
            if row.rule_above and number:
                lines.append(r"\midrule[\cmidrulewidth]")
            elif any(self.long) and number:
                lines.append(r"\addlinespace")
            cells = [
                _shown(row.cells[column.id]) + (" & " if hangs else "") + _hanging(row.cells[column.id])
                for column, hangs in zip(self.table.columns, self.hangs, strict=True)
            ]
            lines.append(" & ".join(cells) + r" \\")
        return lines


def _number(text: str) -> str:
    """The text with a true minus where it is a negative number, and with a true dash where it is one."""
    line = plain(text)
    return "–" if line == "-" else re.sub(r"^-(?=\.?\d)", "−", line)


def _shown(cell: Cell) -> str:
    text = escape(_number(cell.text))
    if cell.state == "missing" and not text:
        return "---"
    return rf"\textit{{{text}}}" if cell.state == "reported" and text else text


def _hanging(cell: Cell) -> str:
    sign = {"differs": r"$\neq$", "stale": r"$\dagger$"}.get(cell.state, "")
    hanging = r"\,".join(part for part in (sign, escape(_number(cell.note))) if part)
    return rf"\textsuperscript{{{hanging}}}" if hanging else ""
