"""What a notebook shows by hand is shown whole and leaves nothing behind."""

import re
import tempfile
from pathlib import Path

import pytest

from analysis.outlets.publish import Publisher
from analysis.plots import figure_files


def test_a_figure_by_hand_leaves_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Path] = []
    picture_html = figure_files.picture_html

    def seen(name: str, folder: Path, *, alt: str, caption: str) -> str:
        drawn.append(folder)
        return picture_html(name, folder, alt=alt, caption=caption)

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(figure_files, "picture_html", seen)
    shown = Publisher(records=str(tmp_path)).figure("figure-2")
    assert "data:image/svg+xml;base64," in shown.text
    assert [folder.parent for folder in drawn] == [tmp_path]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_records_that_is_not_there_is_refused_by_its_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A notebook's kernel starts beside the notebook, where the checkout's results/records is not."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=rf"^no folder {tmp_path}/results/records; give a folder of records such as /"):
        Publisher(records="results/records")


@pytest.mark.parametrize(("kind", "name", "near"), [
    ("table", "table-9", "table-"), ("figure", "Figure-9", "figure-"), ("answer", "costs", "cost$"),
    ("answer", "xyz", None),
])  # fmt: skip
def test_what_there_is_not_is_answered_with_the_nearest(tmp_path: Path, kind: str, name: str, near: str | None) -> None:
    there = f"the nearest are {near}" if near else "there are summary, network, fields, "
    with pytest.raises(KeyError) as error:
        getattr(Publisher(records=str(tmp_path)), kind)(name)
    assert re.match(f"no {kind} '{name}'; {there}", error.value.args[0])


def test_a_line_that_cannot_be_read_is_told_in_a_notebook_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "exact").mkdir()
    (tmp_path / "exact/macs.jsonl").write_text("{\n")
    Publisher(records=str(tmp_path))
    assert capsys.readouterr().err.startswith(f"warning: {tmp_path}/exact/macs.jsonl, line 1: not a record: ")
