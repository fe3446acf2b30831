"""A package that is not installed is named in one line, when a program starts and when a verb needs it."""

import runpy
import sys

import pytest

from dpn import cli
from dpn.missing import REMEDY, told

Capture = pytest.CaptureFixture[str]


def assert_named(package: str, caught: pytest.ExceptionInfo[SystemExit], capsys: Capture) -> None:
    assert caught.value.code == 1
    assert capsys.readouterr().err == f"error: the package {package} is not installed; {REMEDY}\n"


@pytest.mark.parametrize("program", ["dpn", "bench", "analysis"])
def test_a_program_that_cannot_start_names_the_package(
    program: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    for imported in (f"{program}.__main__", "dpn.verbs.checkpoint"):
        monkeypatch.delitem(sys.modules, imported, raising=False)
    monkeypatch.setitem(sys.modules, "tyro", None)
    with pytest.raises(SystemExit) as caught:
        runpy.run_module(program, run_name="__main__")
    assert_named("tyro", caught, capsys)


def test_a_verb_that_lacks_a_package_names_it(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    def verb() -> None:
        import fvcore.nn  # noqa: F401

    monkeypatch.setitem(sys.modules, "fvcore", None)
    monkeypatch.delitem(sys.modules, "fvcore.nn", raising=False)
    with pytest.raises(SystemExit) as caught:
        cli.run("prog", "", {"verb": verb, "other": verb}, ["verb"])
    assert_named("fvcore", caught, capsys)


def test_a_package_that_is_there_and_lacks_a_module_is_a_bug() -> None:
    with pytest.raises(ModuleNotFoundError), told():
        import rich.no_such_module  # noqa: F401


def test_a_module_of_ours_that_is_missing_is_a_bug_and_a_traceback_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModuleNotFoundError), told():
        import dpn.no_such_module  # noqa: F401
    monkeypatch.setenv("DPN_TRACEBACK", "1")
    with pytest.raises(ModuleNotFoundError), told():
        raise ModuleNotFoundError(name="tyro")
