"""The paper's tables and captions as stored: complete, true to the print, and refused with one clear error if not."""

import csv
import json
import re
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
from pydantic import ValidationError

from analysis.evidence import Evidence
from bench.records import reported
from bench.records.reported import FIGURES, HEADER, REPORTED, TABLES, Reported, ReportedError, captions, load, load_all
from bench.records.schemas import schemas, write
from bench.records.store import RECORDS, RESULTS
from dpn.zoo import ZOO

PRINTED_NUMBERS = {"table-2": 12, "table-3": 12, "table-4": 20, "table-5": 12, "table-6": 26, "table-7": 27}
ROMAN = dict(zip(TABLES, ("I", "II", "III", "IV", "V", "VI", "VII"), strict=True))


@pytest.mark.parametrize("table", TABLES)
def test_each_table_is_a_full_grid_under_a_header(table: str) -> None:
    grid = load(table)
    assert grid.rows[0] == HEADER
    assert set(grid.cells) == {(row, column) for row in grid.rows for column in grid.columns}
    assert all(cell.metric == "text" and not cell.subject for cell in grid.cells.values() if cell.row == HEADER)


@pytest.mark.parametrize("table", TABLES)
def test_every_cell_with_a_numeric_metric_holds_a_number_or_a_dash(table: str) -> None:
    for cell in load(table).cells.values():
        if cell.metric not in ("text", "resolution"):
            assert (cell.number is not None) != (cell.printed == "-"), cell


def test_the_paper_prints_so_many_numbers() -> None:
    for table, count in PRINTED_NUMBERS.items():
        cells = [c for c in load(table).cells.values() if c.metric != "text" and c.number is not None]
        # Table IV repeats its epochs in a merged cell for each of its four rows.
        assert len(cells) == count, table


def test_ablations_name_networks_of_the_zoo() -> None:
    for table in ("table-1", "table-2", "table-3", "table-4", "table-5"):
        subjects = {cell.subject for cell in load(table).cells.values()} - {""}
        assert subjects <= set(ZOO), table
        assert subjects


@pytest.mark.parametrize(
    ("table", "row", "column", "subject"),
    [
        ("table-2", "normal", "dpn1_64", "dpn1_64_normal"),
        ("table-3", "dpn1_32", "d1", "dpn1_32_normal"),
        ("table-3", "dpn4_32", "d8", "dpn4_32_d8"),
        ("table-4", "gflops_64x48", "dpn3_64", "dpn3_64_highres"),
        ("table-5", "rdpm", "dpn2_32", "dpn2_32_reversed"),
        ("table-6", "hrnet_w48", "ap", "hrnet_w48"),
    ],
)
def test_a_cell_is_about_the_network_that_its_headers_mean(table: str, row: str, column: str, subject: str) -> None:
    assert load(table).cell(row, column).subject == subject


@pytest.mark.parametrize("table", ["table-6", "table-7"])
def test_comparison_rows_are_their_subjects(table: str) -> None:
    assert all(cell.subject == cell.row for cell in load(table).cells.values() if cell.row != HEADER)


def block(source: str, table: str) -> str:
    """The lines of a table's body in the extraction."""
    body = source.split(f"TABLE {ROMAN[table]}: ", 1)[1].split("\n\n", 1)[1]
    return body.split("\n\n", 1)[0]


@pytest.mark.parametrize("table", [table for table in TABLES if table not in ("table-1",)])
def test_rows_stand_in_the_print_as_they_are_stored(table: str, paper_source: str) -> None:
    text = " ".join(block(paper_source, table).split())
    text = re.sub(r"\^\{(↑[\d.]+)\}", r" \1", text.replace("\\uparrow ", "↑"))
    without_arrows, arrows = (" ".join(re.findall(pattern, text)) for pattern in (r"(?<!\S)[^↑\s]\S*", r"↑\S+"))
    grid = load(table)
    labels = ("quantity", "scheme", "epochs", "resolution")
    for row in grid.rows:
        cells = [grid.cell(row, column).printed for column in grid.columns if column not in labels]
        assert " ".join(filter(None, cells)) in (arrows if row == "dpm_gain" else without_arrows), row
    stored = {cell.printed for cell in grid.cells.values()}
    assert set(re.findall(r"(?<![\w.=\[-])\d+\.\d+", text)) <= {re.sub(r"[^\d.]", "", printed) for printed in stored}


def test_table_1_stands_in_the_print_as_it_is_stored(paper_source: str) -> None:
    text = " ".join(block(paper_source, "table-1").replace("$", "").split())
    for mark, plain in (
        ("\\begin{bmatrix} ", "["),
        (" \\end{bmatrix}", "]"),
        (" \\\\ ", "; "),
        (" \\times ", "x"),
        ("]x", "] x"),
    ):
        text = text.replace(mark, plain)
    for cell in load("table-1").cells.values():
        for part in re.split(r"; (?![^\[]*\])", cell.printed):
            assert part in text, cell


def test_captions_stand_in_the_paper(paper_text: str) -> None:
    found = captions()
    assert tuple(found) == TABLES + FIGURES
    for name, caption in found.items():
        kind, number = name.split("-")
        label = f"TABLE {ROMAN[name]}: " if kind == "table" else f"Fig. {number}: "
        assert label + caption in paper_text, name


def test_header_cells_alone_may_be_blank() -> None:
    blank = {(t.name, c.row) for t in load_all().values() for c in t.cells.values() if not c.printed}
    assert blank == {(table, HEADER) for table in ("table-2", "table-3", "table-4", "table-5")}
    with pytest.raises(ValidationError, match="header cells only"):
        Reported(table="table-2", row="dpm", column="scheme", subject="", metric="text", printed="")


Lines = list[list[str]]


def _drop_a_cell(lines: Lines) -> None:
    lines.remove(["cpn_r50", "gflops", "cpn_r50", "gflops", "6.2"])


def _give_twice(lines: Lines) -> None:
    lines.append(["cpn_r50", "gflops", "cpn_r50", "gflops", "6.3"])


def _empty(lines: Lines) -> None:
    lines[lines.index(["cpn_r50", "gflops", "cpn_r50", "gflops", "6.2"])][4] = " "


def _shorten(lines: Lines) -> None:
    lines[lines.index(["cpn_r50", "gflops", "cpn_r50", "gflops", "6.2"])].pop()


def _lengthen(lines: Lines) -> None:
    lines[lines.index(["cpn_r50", "gflops", "cpn_r50", "gflops", "6.2"])].append("6.2")


BAD_CELLS = [_drop_a_cell, _give_twice, _empty, _shorten, _lengthen]


def spoil(folder: Path, name: str, change: Callable[[Lines], None]) -> Path:
    """A copy of results/reported with one file changed; returns that file."""
    shutil.copytree(REPORTED, folder, dirs_exist_ok=True)
    path = folder / name
    with path.open(newline="", encoding="utf-8") as file:
        lines = list(csv.reader(file))
    change(lines)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(lines)
    return path


@pytest.mark.parametrize("change", BAD_CELLS)
def test_a_bad_cell_is_refused_by_file_row_and_column(change: Callable[[Lines], None], tmp_path: Path) -> None:
    path = spoil(tmp_path, "table-6.csv", change)
    with pytest.raises(ReportedError) as caught:
        load_all(tmp_path)
    message = str(caught.value)
    assert str(path) in message
    assert "row 'cpn_r50'" in message
    assert "column 'gflops'" in message


def _wrong_header(lines: Lines) -> None:
    lines[0][0] = "line"


def _keep_the_header_only(lines: Lines) -> None:
    del lines[1:]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_wrong_header, "the first line must be"),
        (list.clear, "the first line must be"),
        (_keep_the_header_only, "has no lines"),
    ],
)
def test_a_bad_file_is_refused_by_name(change: Callable[[Lines], None], said: str, tmp_path: Path) -> None:
    path = spoil(tmp_path, "table-3.csv", change)
    with pytest.raises(ReportedError, match=f"{re.escape(str(path))}.*{said}"):
        load("table-3", tmp_path)


@pytest.mark.parametrize("read", [lambda folder: load("table-1", folder), captions])
def test_a_missing_file_says_how_to_restore_it(read: Callable[[Path], object], tmp_path: Path) -> None:
    with pytest.raises(ReportedError, match="is missing; restore it: git checkout"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: lines.pop(), "no caption for figure-3"),
        (lambda lines: lines.append(["table-2", "again"]), "given twice"),
        (lambda lines: lines.append(["table-9", "what"]), "'table-9' is no table or figure"),
        (lambda lines: lines[1].__setitem__(1, ""), "'table-1': caption must not be empty"),
        (lambda lines: lines[1].pop(), "not 2 fields"),
    ],
)
def test_bad_captions_are_refused(change: Callable[[Lines], None], said: str, tmp_path: Path) -> None:
    path = spoil(tmp_path, "captions.csv", change)
    with pytest.raises(ReportedError, match=f"{re.escape(str(path))}.*{said}"):
        captions(tmp_path)


def test_a_cell_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(KeyError, match=r"table-6 has no cell \('cpn', 'ap'\); rows: header, openpose.*columns: method"):
        load("table-6").cell("cpn", "ap")


@pytest.mark.parametrize(
    ("printed", "number"),
    [
        ("3.3 M", "3.3"),
        ("6.0 G", "6.0"),
        ("↑4.8", "4.8"),
        ("128", "128"),
        ("-", None),
        ("64×48", None),
        ("1x1,128", None),
    ],
)
def test_numbers_lose_unit_and_arrow_and_keep_their_digits(printed: str, number: str | None) -> None:
    cell = Reported(table="t", row="r", column="c", subject="s", metric="m", printed=printed)
    assert (None if cell.number is None else str(cell.number)) == number


@pytest.mark.parametrize(
    ("value", "printed", "difference"),
    [
        (Fraction(5, 4), "1.3", "0.0"),
        (1.2499, "1.2", "0.0"),
        (1.251, "1.2", "0.1"),
        (127.73, "128", "0"),
        (8.991, "8.9", "0.1"),
    ],
)
def test_the_printed_precision_is_the_tolerance(value: Fraction | float, printed: str, difference: str) -> None:
    cell = Reported(table="t", row="r", column="c", subject="s", metric="m", printed=printed)
    assert cell.number is not None
    assert str(reported.compare(value, cell.number).difference) == difference


def test_published_schemas_are_current(tmp_path: Path) -> None:
    for path in write(tmp_path):
        published = RESULTS / path.relative_to(tmp_path)
        assert published.read_text() == path.read_text(), "run: python -m bench.records.schemas"


@pytest.mark.parametrize("schema", schemas().values(), ids=schemas())
def test_schemas_are_schemas(schema: dict[str, object]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(schema)


def test_every_reported_cell_is_valid_by_the_published_schema() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((RESULTS / "reported/reported.schema.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    cells = [cell.model_dump() for table in load_all().values() for cell in table.cells.values()]
    assert [error.message for cell in cells for error in validator.iter_errors(cell)] == []
    blank = next(cell for cell in cells if cell["row"] != HEADER) | {"printed": ""}
    assert not validator.is_valid(blank)


@pytest.mark.parametrize("apart", [10, pytest.param(1, marks=pytest.mark.slow)])
def test_stored_records_are_valid_by_the_published_schema(apart: int, committed: Evidence) -> None:
    """All of them in the slow part; the store itself reads every line by the models that the schema is made from."""
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(json.loads((RECORDS / "record.schema.json").read_text()))
    for path in committed.records_root.glob("*/*.jsonl"):
        for number, line in list(enumerate(path.read_text().splitlines(), start=1))[::apart]:
            record = json.loads(line)
            assert [error.message for error in validator.iter_errors(record)] == [], f"{path}, line {number}"
        assert not validator.is_valid(record | {"guess": 1})


def test_columns_are_found_by_what_they_hold() -> None:
    assert load("table-6").columns_of("params") == ("params",)
    assert load("table-3").columns_of("ap") == ("dpm", "d1", "d2", "d4", "d6", "d8")
    assert load("table-1").columns_of("ap") == ()
