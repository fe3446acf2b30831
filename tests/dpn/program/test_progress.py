"""A bar where somebody looks at a terminal, nothing anywhere else."""

import builtins
import io
import sys
from typing import Any

import pytest

from dpn.program.progress import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def drawn(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO | None, **options: Any) -> str:
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    with progress("reading", **options) as told:
        for done in range(1, 4):
            told(done, 3, "well" if done == 3 else "")
    return stream.getvalue() if stream else ""


def test_on_a_terminal_it_says_how_far_it_is_and_goes_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    text = drawn(monkeypatch, Terminal())
    assert "reading well" in text
    assert "3/3" in text
    assert text.endswith("\x1b[2K")  # the line is erased again


def test_steps_add_up_and_without_words_the_last_ones_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    with progress("reading", 2) as bar:
        bar.advance(0.5, "page 1")
        bar.advance(1.5)
    assert bar.seen
    last = stream.getvalue().rpartition("\n")[0] or stream.getvalue()
    assert "reading page 1" in last
    assert "2/2" in last


def test_who_steps_knows_whether_anybody_sees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress("reading", 2) as bar:
        bar.advance(1, "page 1")
    assert not bar.seen
    assert sys.stderr.getvalue() == ""


def test_there_is_none_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    assert drawn(monkeypatch, io.StringIO()) == ""
    assert drawn(monkeypatch, Terminal(), shown=False) == ""
    assert drawn(monkeypatch, Terminal(), after_s=1000) == ""
    assert drawn(monkeypatch, None) == ""  # a program without a standard error, such as a service


def test_there_is_none_without_rich(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] == "rich":
            raise ImportError(name)
        return original(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    assert drawn(monkeypatch, Terminal()) == ""


def test_an_error_gets_through_and_the_bar_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)

    def interrupted() -> None:
        with progress("reading") as told:
            told(1, 2)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert stream.getvalue().endswith("\x1b[2K")
