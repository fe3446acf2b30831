"""Tables as publishable LaTeX: booktabs, spanning headers, right-aligned digits, and states told by type alone."""

import re
import textwrap
import unicodedata
from itertools import pairwise

from analysis.cells import Cell, State, Table
from analysis.layout import LONG, Span, column_cells, is_long, note_width, plain, spans, states, text_width

NARROW, WIDE = 58, 118
"""Characters of 8-point text on the lines of IEEE's one column (3.487 in) and of its two (7.140 in)."""

PACKAGES = ("array", "booktabs", "amssymb")

_EXPLAINED: dict[State, str] = {
    "match": r"Upright: measured, and the same digits as in print.",
    "differs": r"Superscript $\neq$: measured, and other digits than in print; the difference follows.",
    "measured": r"Upright, where nothing is printed to compare with: measured.",
    "reported": r"\textit{Italic}: as printed, not measured.",
    "stale": r"Superscript $\dagger$: measured before a definition changed.",
    "missing": r"Dash: neither in print nor measured.",
}

_ASCII = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    '"': "{''}",
    # At the start of a row, \\ would take [ and * for its own.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    # Two in a row would become a quotation mark.
    "'": "{'}",
    **{char: "\\" + char for char in "{}$&#_%"},
}
# A character and its command, in text and in mathematics.
_WORDS = """
• textbullet ° textdegree § S ¶ P © textcopyright ® textregistered ™ texttrademark … dots
ß ss æ ae Æ AE œ oe Œ OE ø o Ø O å aa Å AA ł l Ł L ı i
"""
_MATHS = """
α alpha β beta γ gamma δ delta ε epsilon ζ zeta η eta θ theta ι iota κ kappa λ lambda μ mu µ mu ν nu ξ xi π pi ρ rho
σ sigma τ tau υ upsilon φ phi χ chi ψ psi ω omega Γ Gamma Δ Delta Θ Theta Λ Lambda Ξ Xi Π Pi Σ Sigma Φ Phi Ψ Psi Ω Omega
× times ± pm · cdot ÷ div √ surd ∞ infty ∝ propto ∼ sim ≤ leq ≥ geq ≠ neq ≈ approx ≡ equiv ∈ in ∑ sum ∏ prod ∂ partial
↑ uparrow ↓ downarrow → rightarrow ← leftarrow ↔ leftrightarrow ⇒ Rightarrow ↻ circlearrowright ∇ nabla ∅ emptyset
○ circ ✓ checkmark ✗ times † dagger ‡ ddagger ⌊ lfloor ⌋ rfloor ⌈ lceil ⌉ rceil
"""
_words, _maths = _WORDS.split(), _MATHS.split()
_SYMBOLS = (
    {char: f"\\{name}{{}}" for char, name in zip(_words[::2], _words[1::2], strict=True)}
    | {char: f"$\\{name}$" for char, name in zip(_maths[::2], _maths[1::2], strict=True)}
    | {"−": "$-$", "∗": "$*$", "′": "$'$", "⁄": "/", "–": "{--}", "—": "{---}", "‐": "-", "‑": "-"}
    | {"‘": "{`}", "’": "{'}", "“": "{``}", "”": "{''}", "\xa0": "~", "\u2009": r"\,", "\u202f": r"\,"}
)
_ACCENTS = dict(
    zip("\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0327", "`'^~=u.\"rHvc", strict=True)
)


def escape(text: str) -> str:
    r"""The text as LaTeX that shows it, whatever it holds; a character that no font has becomes its code point.

    Only the encodings that LaTeX always has are used, so the journal's own preamble will do.

    Example:
        >>> print(escape("50% of A_1 & B, 64×48 ↑ é 中"))
        50\% of A\_1 \& B, 64$\times$48 $\uparrow$ \'{e} {[}U+4E2D{]}
    """
    chars = unicodedata.normalize("NFC", plain(text))
    escaped = ""
    for char, following in pairwise(chars + " "):
        # A second hyphen or comma would make one dash, one quotation mark of the two.
        ligature = char == following and char in "-,"
        escaped += _escape_char(char) + ("{}" if ligature else "")
    return escaped


def _escape_char(char: str) -> str:
    if char in _SYMBOLS:
        return _SYMBOLS[char]
    if char.isascii():
        return _ASCII.get(char, char)
    decomposed = unicodedata.decomposition(char).split()
    kind = decomposed.pop(0) if decomposed and decomposed[0].startswith("<") else ""
    parts = [chr(int(code, 16)) for code in decomposed]
    if kind:
        script = {"<super>": r"\textsuperscript{%s}", "<sub>": r"\textsubscript{%s}"}.get(kind, "%s")
        return script % "".join(map(_escape_char, parts))
    if len(parts) == 2 and parts[0].isascii() and parts[1] in _ACCENTS:
        dotless = {"i": r"\i", "j": r"\j"}
        return f"\\{_ACCENTS[parts[1]]}{{{dotless.get(parts[0], parts[0])}}}"
    return f"{{[}}U+{ord(char):04X}{{]}}"


def standalone_preamble() -> str:
    """The packages that the tables need, to stand after the document class."""
    return "".join(f"\\usepackage{{{package}}}\n" for package in PACKAGES)


def to_latex(table: Table) -> str:
    r"""The table as a float, `table` where one of two columns is wide enough for it, otherwise `table*`.

    `table-6` gets the label `tab:6`. Digits stand right-aligned; marks and notes hang to their right. The packages of
    `standalone_preamble` are needed, and nothing else.
    """
    layout = _Layout(table)
    environment = "table" if layout.natural_width <= NARROW else "table*"
    size = r"\footnotesize" if layout.natural_width <= WIDE else r"\scriptsize"
    legend = " ".join(_EXPLAINED[state] for state in _told(table))
    notes = [note for note in (legend, *map(escape, table.notes)) if note]
    lines = [
        f"% {plain(table.title)} ({plain(table.id)}), written by analysis/latex.py.",
        rf"\begin{{{environment}}}[t]",
        r"\centering",
        r"\setlength{\abovecaptionskip}{0pt}\setlength{\belowcaptionskip}{5pt}",
        rf"\caption[{{{escape(table.title)}}}]{{{escape(table.caption)}}}",
        rf"\label{{tab:{re.sub(r'[^A-Za-z0-9:._-]', '-', table.id.removeprefix('table-'))}}}",
        size,
        r"\setlength{\tabcolsep}{4pt}",
        rf"\begin{{tabular}}{{@{{}}{layout.preamble()}@{{}}}}",
        r"\toprule",
        *layout.header(),
        r"\midrule",
        *layout.body(),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    if notes:
        lines += [
            r"\par\smallskip",
            r"\begin{minipage}{\linewidth}\footnotesize\raggedright",
            *(note + r"\par" for note in notes),
            r"\end{minipage}",
        ]
    return "\n".join([*lines, rf"\end{{{environment}}}"]) + "\n"


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
        self.long = [is_long(table, column) for column in table.columns]
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
        return sum(32 if long else width for width, long in zip(self.widths, self.long, strict=True))

    def preamble(self) -> str:
        """The column specification, without the margins at both ends."""
        # Long columns share what the others leave, each by the square root of its length.
        room = max(WIDE - sum(w for w, long in zip(self.widths, self.long, strict=True) if not long), 0)
        roots = sum(w**0.5 for w, long in zip(self.widths, self.long, strict=True) if long)
        found = []
        for index, column in enumerate(self.table.columns):
            if self.long[index]:
                share = room * self.widths[index] ** 0.5 / roots - 2
                found.append(rf">{{\raggedright\arraybackslash}}p{{{max(share / WIDE, 0.12):.2f}\linewidth}}")
            else:
                found.append("r@{}l" if self.hangs[index] else column.align[0])
        return "".join(found)

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

    def body(self) -> list[str]:
        """A line for each row, and the rules between them."""
        lines = []
        for number, row in enumerate(self.table.rows):
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
