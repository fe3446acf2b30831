"""What libraries say on standard error is heard, and nothing else is lost."""

import os
import re
import tempfile
from pathlib import Path

import pytest

from dpn.program.silence import overheard


def test_what_else_is_said_on_standard_error_goes_there(capfd: pytest.CaptureFixture[str]) -> None:
    def work() -> int:
        os.write(2, b"one\ntwo 3\nfour\n")
        return 5

    assert overheard(work, re.compile(rb"two \d\n")) == (5, "two 3")
    assert overheard(work, re.compile(rb"six\n")) == (5, "")
    assert capfd.readouterr().err == "one\nfour\n" + "one\ntwo 3\nfour\n"


def test_without_a_place_for_temporary_files_nothing_is_heard_and_the_work_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    assert overheard(lambda: 5, re.compile(b"two")) == (5, "")
