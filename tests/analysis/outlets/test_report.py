"""The report from end to end: whole, self-contained, linked, repeatable, and never destroying an old one."""

import errno
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from analysis.__main__ import main
from analysis.catalogue import figures, tables
from analysis.evidence import Evidence
from analysis.outlets import report
from analysis.outlets.report import CHAPTERS, MARKER, Chapter, ReportError, write_report
from tests.analysis.html_elements import Elements
from tests.bench.programs import ran

ROOT = Path(__file__).resolve().parents[3]
LARGEST = 7_000_000
"""Bytes of the page: two machines' tables with every cell's source, twelve figures for light and for dark."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, committed: Evidence) -> Path:
    """A real report of the committed records, made where importing torch is an error: in the kernels too."""
    folder = tmp_path_factory.mktemp("report")
    out, without_torch = folder / "out", folder / "path"
    (without_torch / "torch").mkdir(parents=True)
    (without_torch / "torch" / "__init__.py").write_text("raise ImportError('the report imported torch')")
    command = [sys.executable, "-m", "analysis", "report", "--out", str(out), "--records", str(committed.records_root)]
    environment = os.environ | {"PYTHONPATH": str(without_torch)}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert str(out / "index.html") in done.stdout
    return out


def test_the_page_needs_nothing_from_the_network(made: Path) -> None:
    text = (made / "index.html").read_text(encoding="utf-8")
    assert len(text.encode()) <= LARGEST
    elements = Elements(text)
    assert "script" not in {tag for tag, _ in elements.found}
    for link in (*elements.values("src"), *elements.values("srcset")):
        assert link.startswith("data:image/svg+xml;base64,")
    assert re.findall(r"@import|url\(", text) == []


def test_every_link_leads_somewhere(made: Path) -> None:
    elements = Elements((made / "index.html").read_text(encoding="utf-8"))
    ids = elements.values("id")
    assert len(ids) == len(set(ids))
    links = elements.values("href")
    assert len(links) > 50
    for link in links:
        if link.startswith("#"):
            assert link[1:] in ids
        else:
            assert (made / link).is_file(), link


def test_every_chapter_table_and_figure_is_there(made: Path, committed: Evidence) -> None:
    ids = Elements((made / "index.html").read_text(encoding="utf-8")).values("id")
    shown = [name for name in tables.ALL if tables.tables(name, committed)]
    assert set(tables.ALL) - set(shown) <= tables.OPTIONAL
    drawings = figures.FIGURES.values()
    drawn = [drawing.id for drawing in drawings if not (drawing.optional and drawing.data(committed).empty)]
    for name in (*CHAPTERS, *shown, *drawn):
        assert name in ids
    for name in shown:
        assert all((made / "tables" / f"{name}.{suffix}").stat().st_size for suffix in ("html", "tex", "csv"))
    for name in drawn:
        assert all((made / "figures" / f"{name}.{suffix}").stat().st_size for suffix in ("png", "pdf", "svg", "csv"))
    assert all((made / "notebooks" / f"{name}.ipynb").is_file() for name in CHAPTERS)


def test_the_answers_are_computed(made: Path) -> None:
    text = (made / "index.html").read_text(encoding="utf-8")
    assert text.count('<p class="answer">') == len(CHAPTERS)
    assert "Of 16 published costs of DPN networks" in text
    assert "3,224,371,200" in text


@pytest.mark.slow
def test_a_second_run_writes_the_same_bytes(made: Path, tmp_path: Path, committed: Evidence) -> None:
    again = tmp_path / "again"
    write_report(again, records=committed.records_root, done=lambda _: None)
    for kind in ("tables", "figures"):
        first = {path.name: path.read_bytes() for path in (made / kind).iterdir()}
        assert first == {path.name: path.read_bytes() for path in (again / kind).iterdir()}


@pytest.fixture
def one_chapter(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report whose notebooks have run already, for tests of what is around them."""
    monkeypatch.setattr(report, "_chapters", lambda *_: [Chapter("some", "Some chapter", "<p>text</p>")])


def test_a_failing_notebook_leaves_the_old_report_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "report"
    out.mkdir()
    for name in ("index.html", MARKER):
        (out / name).write_text("old")
    broken = tmp_path / "notebooks"
    shutil.copytree(report.NOTEBOOKS, broken)
    source = broken / "reproduce.ipynb"
    source.write_text(source.read_text().replace('report.answer(\\"reproduce\\")', "1 / 0"))
    monkeypatch.setattr(report, "NOTEBOOKS", broken)
    monkeypatch.setattr(report, "CHAPTERS", ("reproduce",))
    with pytest.raises(ReportError, match=r"reproduce\.ipynb, cell \d: ZeroDivisionError"):
        write_report(out, done=lambda _: None)
    assert (out / "index.html").read_text() == "old"
    assert {path.name for path in tmp_path.iterdir()} == {"report", "notebooks"}


@pytest.mark.usefixtures("one_chapter")
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_full_disk_leaves_the_old_report_whole(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "report"
    write_report(out, done=lambda _: None)
    before = (out / "index.html").read_bytes()

    def full(*_: Any) -> str:
        raise OSError(number, "No space left on device", "index.html")

    monkeypatch.setattr(report, "page", full)
    with pytest.raises(ReportError, match="No space left on device; the old report is untouched"):
        write_report(out, done=lambda _: None)
    assert (out / "index.html").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_ctrl_c_between_the_renames_leaves_the_old_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "report"
    out.mkdir()
    (out / "index.html").write_text("old")
    rename = Path.rename

    def stopped(path: Path, target: Path) -> Path:
        if target == out and not path.name.endswith("-old"):
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", stopped)
    with pytest.raises(KeyboardInterrupt), report._aside(out) as folder:
        (folder / "index.html").write_text("new")
    assert (out / "index.html").read_text() == "old"
    assert list(tmp_path.iterdir()) == [out]


def test_a_folder_that_is_no_report_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ReportError, match="exists and is not a report"):
        write_report(tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"
    file = tmp_path / "thesis.tex"
    with pytest.raises(ReportError, match="exists and is not a report"):
        write_report(file)


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "prepare_environment", lambda: None)  # this process keeps its own
    file = tmp_path / "file"
    file.write_text("")
    done = ran(main, ["report", "--out", str(file / "report")])
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: cannot write beside")
    assert "--out" in line


@pytest.mark.usefixtures("one_chapter")
def test_an_old_report_is_replaced_and_marked(tmp_path: Path) -> None:
    out = tmp_path / "report"
    out.mkdir()  # an empty folder is welcome too
    write_report(out, done=lambda _: None)
    (out / "leftover.txt").write_text("of an older report")
    page = write_report(out, done=lambda _: None)
    assert page == out / "index.html"
    assert (out / MARKER).is_file()
    assert not (out / "leftover.txt").exists()


@pytest.mark.parametrize(("failures", "said", "starts"), [
    (1, "Kernel died before replying to kernel_info", 2), (9, "Kernel died before replying to kernel_info", 3),
    (9, "Kernel died", 1),
])  # fmt: skip
def test_a_kernel_whose_port_was_taken_is_started_again(
    failures: int, said: str, starts: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import papermill

    begun = []

    def execute_notebook(*_: object, **__: object) -> dict[str, object]:
        begun.append(1)
        if len(begun) <= failures:
            raise RuntimeError(said)
        return {"cells": []}

    monkeypatch.setattr(papermill, "execute_notebook", execute_notebook)
    notebook = report.NOTEBOOKS / "claims.ipynb"
    if failures < 9:
        assert report.execute(notebook, tmp_path, {}) == {"cells": []}
    else:
        with pytest.raises(RuntimeError, match=said):
            report.execute(notebook, tmp_path, {})
    assert len(begun) == starts
