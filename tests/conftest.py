"""What many tests read and none changes: the paper's text and the committed records."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from analysis.evidence import Evidence

ROOT = Path(__file__).resolve().parents[1]
PAPER = ROOT.parent / "shared" / "paper.txt"


def undo_extraction(text: str) -> str:
    """White space collapsed, and what the extraction made of bold face, mathematics and page breaks undone."""
    for mark, plain in (("**", ""), ("$", ""), ("\\times", "×"), ("\\uparrow ", "↑")):
        text = text.replace(mark, plain)
    text = re.sub(r"\^\{↑([\d.]+)\}", r" ↑\1", text)
    text = re.sub(r"\^\{([^{}]*)\}", r"^(\1)", text)
    text = re.sub(r"_\{([^{}]*)\}", r"_\1", text)
    text = " ".join(text.split())
    text = re.sub(r"(?<=[a-z]-) (?=[a-z])", "", text)
    return re.sub(r" ([.,])(?= |$)", r"\1", text)


@pytest.fixture(scope="session")
def paper_source() -> str:
    """The extraction as it is."""
    if not PAPER.is_file():
        pytest.skip(f"{PAPER} is not on this machine")
    return PAPER.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def paper_text(paper_source: str) -> str:
    """The paper in one line of plain text."""
    return undo_extraction(paper_source)


@pytest.fixture(scope="session")
def in_git() -> None:
    """For tests that ask this project's own repository, which a source archive lacks."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout")


@pytest.fixture(scope="session")
def committed(in_git: None) -> Iterator["Evidence"]:  # noqa: ARG001 - it skips
    """The records of HEAD, without those that `make report` adds on another machine, and the paper's tables; read once.

    Reading them takes a second.
    """
    from analysis.evidence import Evidence
    from bench.verbs.compare import records_of

    with records_of("HEAD") as folder:
        yield Evidence(records_root=folder)
