"""Tables in all their forms, read back with other people's parsers."""

import csv
import io
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from analysis.catalogue import tables
from analysis.evidence import Evidence
from analysis.outlets.latex import PAGE_LINES, PREAMBLE
from analysis.outlets.latex_text import escape
from analysis.outlets.layout import LOOKS, spans
from analysis.outlets.render import (
    BESIDE,
    exact,
    legend_html,
    stylesheet,
    to_csv,
    to_html,
    to_latex,
    to_text,
    write_table,
)
from analysis.tabular.cells import EMPTY, Cell, Column, Row, State, Table
from bench.records.reported import Reported
from bench.statistics import Interval

HOSTILE = (
    "<script>alert('x')</script>",
    '"><img src=x onerror="alert(1)">',
    "{{ 7*7 }} {% raw %} </style></table>&amp;",
    r"\input{/etc/passwd} \end{tabular} 50% & a_b #1 $x$ ~ ^ {",
    "[red]no markup[/red] :smile:",
    "\x1b[31mred\x1b[0m\x07\u202egnp.exe\x00",
    'comma, "quote"\r\nnew line; =1+1',
)
UGLY = (
    *HOSTILE,
    "[4pt] optional argument?",
    "*starred",
    "64×48 ↑ 2.1 −0.3 ± ≤≥≠≈ α…Ω ∞ √ · • ° µm ½ x² CO₂ ﬁ",
    "naïve Čech Łódź Ångström Øre ſ ĝ ő ş Việt ŵ ų",
    "中文 عربى 🙂 e\u0301\u0333",
    "-- --- ,, '' `` << >> ?` !` “q” ‘q’ – — ‑ ‐",
    "\\\\ \\ || \t tabs\n\nparagraph",
)


def reported(printed: str) -> Reported:
    return Reported(
        table="table-6", row="dpn4_64", column="params", subject="dpn4_64", metric="params", printed=printed
    )


@pytest.fixture
def table() -> Table:
    """All states, two groups (one cut by a phone), notes, a rule, a lone column between groups."""
    columns = (
        Column(id="method", label="Method", align="left"),
        Column(id="printed", label="Printed", group="Params"),
        Column(id="measured", label="Measured", group="Params"),
        Column(id="unit", label="Unit", align="left", hide_on_phone=True),
        Column(id="gflops", label="As printed", group="“GFLOPs”", hide_on_phone=True),
        Column(id="gimacs", label="Gi MACs", group="“GFLOPs”"),
        Column(id="ap", label="AP", group="COCO", hide_on_phone=True),
    )
    states: tuple[State, ...] = ("match", "differs", "measured", "reported", "stale", "missing")
    rows = []
    for number, state in enumerate(states):
        cells = {
            "method": Cell(text=f"Net {number}"),
            "printed": Cell(text="3.3 M", state="reported", reported=reported("3.3 M")),
            "measured": Cell(
                text="3.3 M",
                value=3_336_785 + number,
                state=state,
                note="+0.1" if state == "differs" else "",
                reported=reported("3.3 M"),
                how="a sum",
            ),
            "unit": EMPTY,
            "gflops": Cell(text="3.0", value=Decimal("3.0"), state="reported"),
            "gimacs": Cell(text="3.0", value=Fraction(3_224_371_200 + number, 2**30), state=state),
            "ap": Cell(text="0.33", value=Fraction(1, 3) if number else 0.1 + 0.2),
        }
        rows.append(Row(f"net{number}", cells, rule_above=number == 3))
    return Table(
        id="table-6",
        title="Table VI",
        caption="Costs & scores.",
        columns=columns,
        rows=tuple(rows),
        notes=("GFLOPs are 2^30 multiply-adds.", "A second note."),
    )


def text_table(texts: tuple[str, ...], align: str = "left") -> Table:
    """A table that shows each text wherever a table shows text."""
    columns = tuple(
        Column(id=name, label=texts[index % len(texts)], group=texts[-1], align=align)  # type: ignore[arg-type]
        for index, name in enumerate("abc")
    )
    rows = tuple(
        Row(
            f"row {i}",
            {
                "a": Cell(text=text),
                "b": Cell(text=text, state="reported", how=text),
                "c": Cell(text=text, note=text, state="differs", how=text),
            },
        )
        for i, text in enumerate(texts)
    )
    everything = " ".join(texts)
    return Table(id="table-ugly", title=everything, caption=everything, columns=columns, rows=rows, notes=texts)


class Page(HTMLParser):
    """Elements with their attributes and the text inside each, in document order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.open: list[int] = []
        self.feed(html)
        self.close()
        assert not self.open, "an element is not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), []))
        if tag not in ("meta", "img", "br"):
            self.open.append(len(self.elements) - 1)

    def handle_endtag(self, tag: str) -> None:
        assert self.elements[self.open.pop()][0] == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        for index in self.open:
            self.elements[index][2].append(data)

    def all(self, tag: str) -> list[tuple[dict[str, str | None], str]]:
        return [(attributes, "".join(text)) for name, attributes, text in self.elements if name == tag]

    def lines(self) -> list[list[dict[str, str | None]]]:
        """The attributes of the cells of each <tr>."""
        lines: list[list[dict[str, str | None]]] = []
        for tag, attributes, _ in self.elements:
            if tag == "tr":
                lines.append([])
            elif tag in ("th", "td"):
                lines[-1].append(attributes)
        return lines


def classes(attributes: dict[str, str | None]) -> set[str]:
    return set((attributes.get("class") or "").split())


def test_html_cells_tell_state_source_and_column(table: Table) -> None:
    page = Page(to_html(table))
    assert page.all("figure")[0][0]["id"] == "table-6"
    cells = [(a, t) for a, t in page.all("td") if a["data-column"] == "measured"]
    assert len(cells) == len(table.rows)
    for row, (attributes, text) in zip(table.rows, cells, strict=True):
        cell = row.cells["measured"]
        assert f"state-{cell.state}" in classes(attributes)
        assert text == cell.text + LOOKS[cell.state].mark + cell.note
        assert (attributes["title"] or "").endswith("\n".join(cell.sources()))
    spoken = {a["aria-label"] for a, _ in page.all("span") if a.get("role") == "img"}
    assert spoken == {look.word for look in LOOKS.values()}
    assert [text for _, text in page.all("li")] == list(table.notes)


def test_html_headers_have_scopes_and_one_stub_per_row(table: Table) -> None:
    page = Page(to_html(table))
    scopes = [a.get("scope") for a, _ in page.all("th")]
    assert scopes.count("row") == len(table.rows)
    assert scopes.count("col") == len(table.columns)
    assert None not in scopes
    region = next(a for a, _ in page.all("div") if a.get("role") == "region")
    assert region["tabindex"] == "0"
    assert region["aria-label"] == table.title
    ruled = [a["id"] for a, _ in page.all("tr") if "rule-above" in classes(a)]
    assert ruled == ["table-6:net3"]


@pytest.mark.parametrize("phone", [False, True])
def test_header_lines_cover_each_column_once_on_screen_and_on_phone(table: Table, phone: bool) -> None:
    gone = "phone-hidden" if phone else "phone-only"
    upper, lower, *body = [[a for a in line if gone not in classes(a)] for line in Page(to_html(table)).lines()]
    across = sum(int(a.get("colspan") or 1) for a in upper)
    spanning_down = sum(a.get("rowspan") == "2" for a in upper)
    shown = sum(not (phone and column.hide_on_phone) for column in table.columns)
    assert across == shown
    assert spanning_down + len(lower) == shown
    assert {len(line) for line in body} == {shown}


def test_phone_headers_are_hidden_until_a_phone_shows_them(table: Table) -> None:
    for attributes, _ in Page(to_html(table)).all("th"):
        assert ("phone-only" in classes(attributes)) == ("hidden" in attributes)


def test_spans_cover_the_columns_in_order(table: Table) -> None:
    found = spans(table.columns)
    assert [column for span in found for column in span.columns] == list(table.columns)
    assert [span.start for span in found] == [0, 1, 3, 4, 6]


def test_csv_reads_back_exactly(table: Table) -> None:
    text = to_csv(table)
    assert "\r" not in text
    rows = list(csv.DictReader(io.StringIO(text)))
    stale = {"measured": "measured_flags", "gimacs": "gimacs_flags"}  # both have a stale cell
    ids = [[column.id, *([stale[column.id]] if column.id in stale else [])] for column in table.columns]
    assert list(rows[0]) == ["row", *(name for pair in ids for name in pair)]
    assert [line["measured_flags"] for line in rows] == ["", "", "", "", "stale", ""]
    for row, line in zip(table.rows, rows, strict=True):
        assert line["row"] == row.id
        assert int(line["measured"]) == row.cells["measured"].value
        assert Fraction(line["gimacs"]) == row.cells["gimacs"].value
        assert line["method"] == row.cells["method"].text
    assert float(rows[0]["ap"]) == 0.1 + 0.2
    assert abs(Fraction(rows[1]["ap"]) - Fraction(1, 3)) < Fraction(1, 10**17)


def test_csv_has_what_stands_behind_a_value_in_columns_of_its_own(table: Table) -> None:
    sure = Cell(
        text="51", value=51.25, state="stale", note="50–53*", interval=Interval(50.0, 1 / 3 + 52, 0.96875), n=6, p=0.25,
        flags=("disturbed", "budget spent"),
    )  # fmt: skip
    bare = Cell(text="48", value=48.0)
    columns = (Column(id="one", label="One"), Column(id="other", label="Other"))
    rows = (Row("a", {"one": sure, "other": bare}), Row("b", {"one": bare, "other": bare}))
    first, second = csv.DictReader(io.StringIO(to_csv(replace(table, columns=columns, rows=rows))))
    assert list(first) == ["row", "one", *(f"one_{name}" for name in BESIDE), "other"]
    assert (float(first["one_low"]), float(first["one_high"])) == (50.0, 1 / 3 + 52)
    assert (first["one_confidence"], first["one_n"], first["one_p"]) == ("0.96875", "6", "0.25")
    assert first["one_flags"] == "disturbed; budget spent; stale"
    assert {second[f"one_{name}"] for name in BESIDE} == {""}


@pytest.mark.parametrize(
    "value",
    [
        Fraction(7),
        Fraction(-7, 2**40),
        Fraction(1, 5**9 * 2),
        Fraction(10**30 + 1, 8),
        0,
        -3,
        Decimal("1.10"),
    ],
)
def test_finite_values_are_exact(value: int | float | Fraction | Decimal) -> None:
    assert Fraction(exact(Cell(text="", value=value))) == Fraction(value)


def test_hostile_text_is_inert_in_html() -> None:
    hostile = text_table(HOSTILE)
    clean = replace(hostile, title="t", caption="c", notes=("n",) * len(HOSTILE))
    page = Page(to_html(hostile))
    kinds = {tag for tag, _, _ in page.elements}
    assert kinds == {tag for tag, _, _ in Page(to_html(clean)).elements}
    assert "script" not in kinds
    assert all(not name.startswith("on") for _, attributes, _ in page.elements for name in attributes)
    shown = [text for _, text in page.all("li")]
    assert shown[:5] == list(HOSTILE[:5])
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", to_html(hostile))


def test_hostile_text_is_inert_in_csv_and_terminal() -> None:
    hostile = text_table(HOSTILE)
    lines = list(csv.reader(io.StringIO(to_csv(hostile))))
    assert {len(line) for line in lines} == {1 + len(hostile.columns)}
    assert lines[1][1] == HOSTILE[0]
    shown = to_text(hostile, color=False)
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", shown)
    assert "[red]no markup[/red] :smile:" in shown


def test_text_is_plain_without_a_terminal_and_styled_when_asked(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[" in to_text(table, color=True)
    plain = to_text(table, color=False)
    assert "\x1b" not in plain
    assert to_text(table) == plain
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in to_text(table)
    monkeypatch.delenv("NO_COLOR")
    assert "\x1b[" in to_text(table)


def test_text_holds_every_cell_and_aligns_digits(table: Table) -> None:
    shown = to_text(table, color=False)
    lines = [line for line in shown.splitlines() if line.startswith("Net ")]
    assert len(lines) == len(table.rows)
    # The measured column: its digits end at one character position whatever mark or note follows.
    assert len({[m.end() for m in re.finditer(r"3\.3 M", line)][1] for line in lines}) == 1
    assert "≠ +0.1" in lines[1]
    assert all(note in shown for note in table.notes)


def test_latex_labels_and_environment(table: Table) -> None:
    latex = to_latex(table)
    assert r"\label{tab:6}" in latex
    assert r"\label{tab:readings}" in to_latex(replace(table, id="table-readings"))
    wide = replace(table, rows=(Row("w", {c.id: Cell(text="a network of a long name") for c in table.columns}),))
    assert to_latex(wide).count("{table*}") == 2


def test_latex_rows_and_rules_cover_every_latex_column(table: Table) -> None:
    latex = to_latex(table)
    preamble = re.search(r"\\begin\{tabular\}\{(.*)\}", latex)
    assert preamble
    count = len(re.findall("[lrc]", preamble[1]))
    body = latex.split(r"\toprule")[1].split(r"\bottomrule")[0]
    for line in body.splitlines():
        if line.endswith(r"\\"):
            spanned = sum(int(n) - 1 for n in re.findall(r"\\multicolumn\{(\d+)\}", line))
            assert len(re.findall(r"(?<!\\)&", line)) + 1 + spanned == count, line
    rules = [(int(a), int(b)) for a, b in re.findall(r"\\cmidrule\(lr\)\{(\d+)-(\d+)\}", latex)]
    assert len(rules) == 3
    assert all(a <= b < c for (a, b), (c, _) in pairwise(rules))
    assert rules[-1][1] == count


def test_latex_states_differ_by_type(table: Table) -> None:
    shown = [line for line in to_latex(table).splitlines() if line.startswith("Net ")]
    measured = [re.sub(r"^Net \d & \\textit\{3\.3 M\} & ", "", line).split(" & &")[0] for line in shown]
    kinds = [text.split(" &  & ")[0] for text in measured]
    match, differs, plain, italic, stale, _ = kinds
    assert match == plain
    assert len({match, differs, italic, stale}) == 4
    assert r"$\neq$\,+0.1" in differs
    assert italic.startswith(r"\textit{")


def test_a_tall_table_continues_on_the_next_page_with_all_its_rows(table: Table) -> None:
    rows = tuple(replace(table.rows[n % 5], id=f"r{n}") for n in range(3 * PAGE_LINES))
    latex = to_latex(replace(table, rows=rows))
    floats = latex.count(r"\begin{tabular}")
    assert floats > 3
    assert latex.count(r"\caption") == latex.count(r"\label") == 1
    assert latex.count(r", continued.") == floats - 1
    assert latex.count("\nNet ") == len(rows)
    assert max(part.count("\nNet ") for part in latex.split(r"\bottomrule")) < PAGE_LINES
    assert table.notes[1] in latex.split(r"\bottomrule")[-1]


@pytest.mark.parametrize("text", UGLY)
def test_escaped_text_is_ascii_with_every_special_character_disarmed(text: str) -> None:
    escaped = escape(text)
    assert escaped.isascii()
    assert not re.search(r"(?<!\\)[%&#_]", escaped)
    assert not re.search(r"--(?![-}])|,,|''(?!\})", escaped.replace("{---}", "").replace("{--}", ""))


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_compiles(table: Table, tmp_path: Path) -> None:
    long = "“Our network is ↑2.1 AP better with 9.7% of the parameters & a_third of the cost, as we show below.”"
    quotes = replace(text_table((long, "short")), id="table-claims", title="Claims", caption="What is said.", notes=())
    flat = replace(table, id="table-flat", columns=tuple(replace(column, group="") for column in table.columns))
    first_hangs = replace(table, id="table-hang", columns=table.columns[2:3])
    ugly = (text_table(UGLY), replace(text_table(UGLY, "right"), id="table-right"))
    tables = (table, flat, quotes, first_hangs, *ugly, replace(table, id="table-empty", rows=(), notes=()))
    tall = tuple(replace(quotes.rows[n % 2], id=f"r{n}") for n in range(90))
    tables += (replace(quotes, id="table-tall", rows=tall),)
    source = tmp_path / "tables.tex"
    # Two passes in one file: the list of tables and the labels are read back, too.
    body = "".join(to_latex(each) + "\\clearpage\n" for each in tables)
    source.write_text(
        f"\\documentclass[10pt]{{article}}\n{PREAMBLE}\n\\textwidth=7.14in\n"
        "\\begin{document}\n\\listoftables See Table~\\ref{tab:6}.\n" + body + "\\end{document}\n",
        encoding="utf-8",
    )
    for _ in range(2):
        done = subprocess.run(
            ["pdflatex", "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", source.name],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=120,
        )
        assert done.returncode == 0, done.stdout[-3000:]
    log = (tmp_path / "tables.log").read_text(errors="replace")
    assert "undefined" not in log
    assert "Missing character" not in log


def test_forms_do_not_depend_on_the_order_of_a_row_s_cells(table: Table) -> None:
    rows = tuple(replace(row, cells=dict(reversed(row.cells.items()))) for row in table.rows)
    assert list(rows[0].cells) != list(table.rows[0].cells)
    for form in (to_html, to_latex, to_csv, to_text):
        assert form(table) == form(replace(table, rows=rows)), form.__name__


def test_forms_are_the_same_in_another_process() -> None:
    code = (
        "from analysis.tabular.cells import Cell, Column, Row, Table; from analysis.outlets.render import *\n"
        "c = tuple(Column(id=i, label=i, group='g') for i in 'ab')\n"
        "s = ('match', 'differs', 'stale', 'missing')\n"
        "r = tuple(Row(x, {i: Cell(text='1', note='+1', state=x) for i in 'ab'}) for x in s)\n"
        "t = Table(id='t', title='T', caption='C', columns=c, rows=r)\n"
        "print(to_html(t), to_latex(t), to_csv(t), to_text(t), legend_html(set(s)))"
    )
    outputs = set()
    for seed in ("0", "1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONUTF8": "1"}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
        outputs.add(done.stdout)
    assert len(outputs) == 1
    assert len(outputs.pop()) > 1000


def test_legend_explains_each_state_once_in_a_fixed_order() -> None:
    every: tuple[State, ...] = tuple(LOOKS)
    page = Page(legend_html(every))
    assert [next(iter(classes(a))) for a, _ in page.all("li")] == [f"state-{state}" for state in every]
    assert legend_html(reversed(every)) == legend_html(set(every)) == legend_html(every)
    marked = [look.mark for look in LOOKS.values() if look.mark]
    assert len(set(marked)) == len(marked)


def test_written_files_stand_alone(table: Table, tmp_path: Path) -> None:
    paths = write_table(table, tmp_path / "new" / "folder")
    assert [path.name for path in paths] == ["table-6.html", "table-6.tex", "table-6.csv"]
    html, tex, rows = (path.read_bytes().decode() for path in paths)
    assert (tex, rows) == (to_latex(table), to_csv(table))
    page = Page(html)
    assert page.all("style")[0][1].strip() == stylesheet().strip()
    assert not [a for _, a, _ in page.elements if "src" in a or "href" in a]
    assert to_html(table) in html


@pytest.mark.parametrize("name", ["../table-6", "table 6", "", "Table-6", "table-6/x"])
def test_a_file_name_cannot_leave_its_folder(table: Table, tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="lower-case"):
        write_table(replace(table, id=name), tmp_path)
    assert not list(tmp_path.iterdir())


def luminance(color: str) -> float:
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(a: str, b: str) -> float:
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def schemes() -> list[dict[str, str]]:
    """The colours of the light and of the dark scheme by name."""
    css = re.sub(r"/\*.*?\*/", "", stylesheet(), flags=re.DOTALL)
    blocks = re.findall(r":root\s*\{(.*?)\}", css, flags=re.DOTALL)
    return [dict(re.findall(r"--([a-z-]+):\s*(#[0-9a-f]{6})", block)) for block in blocks]


def test_contrast_reaches_wcag_aa_in_both_schemes() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    light, dark = schemes()
    assert light.keys() == dark.keys()
    for colors in (light, dark):
        for name in ("text", "muted", "link", "match", "differs", "stale", "reported"):
            for ground in ("page", "panel"):
                assert contrast(colors[name], colors[ground]) >= 4.5, (name, ground)
        for state in ("differs", "stale"):
            for name in (state, "text", "muted"):
                assert contrast(colors[name], colors[f"{state}-tint"]) >= 4.5, (name, state)


def test_the_stylesheet_knows_every_class_of_a_table(table: Table) -> None:
    html = to_html(table) + legend_html(LOOKS)
    used = {name for _, attributes, _ in Page(html).elements for name in classes(attributes)}
    styled = set(re.findall(r"\.([a-z][a-z-]*)", stylesheet()))
    assert used <= styled


def test_a_stacked_table_labels_its_cells_for_a_phone_and_no_other_does(committed: Evidence) -> None:
    ugly = '<b>"a" & b</b>'
    columns = (Column(id="a", label=ugly, align="left"), Column(id="b", label="second", align="left"))
    table = Table(id="table-s", title="S", caption="S.", columns=columns,
                  rows=(Row("r", {"a": Cell(text="words"), "b": Cell(text="")}),), stacked=True)  # fmt: skip

    def labels(shown: Table) -> list[str | None]:
        return [found["data-label"] for _, found, _ in Page(to_html(shown)).elements if "data-label" in found]

    assert labels(table) == [ugly]  # none on the empty cell, which a phone leaves out
    assert '<table class="stacked">' in to_html(table)
    flat = replace(table, stacked=False)
    assert (labels(flat), "stacked" in to_html(flat)) == ([], False)
    assert ".stacked [data-label]::before" in stylesheet()
    assert all(tables.table(name, committed).stacked for name in ("table-claims", "table-field-claims"))
