"""What a notebook shows by hand is shown whole and leaves nothing behind."""

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
    shown = Publisher(records=str(tmp_path / "none")).figure("figure-2")
    assert "data:image/svg+xml;base64," in shown.text
    assert [folder.parent for folder in drawn] == [tmp_path]
    assert list(tmp_path.iterdir()) == []
