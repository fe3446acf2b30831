"""A package that is not installed is named in one line, when a program starts and when a verb needs it."""

import re
import runpy
import sys
import tomllib
from pathlib import Path

import pytest

from dpn.program import cli
from dpn.program.missing import OURS, REMEDY, told

Capture = pytest.CaptureFixture[str]
ROOT = Path(__file__).resolve().parents[3]


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


def test_what_a_remedy_installs_is_an_extra_of_the_checkout_for_no_index_has_this_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    sources = "".join(path.read_text() for name in OURS for path in (ROOT / name).rglob("*.py"))
    assert f"{project['name']}[" not in sources
    named = {extra for words in re.findall(r"""\binstall\(["']([\w,]+)["']\)""", sources) for extra in words.split(",")}
    assert {"training", "backends"} <= named <= project["optional-dependencies"].keys()
