"""Words that are no command: one line names the option, what was typed, what it must be, and where the help is."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import pytest
import tyro

from dpn.program import cli
from dpn.verbs.train import train_named

Capture = pytest.CaptureFixture[str]


@dataclass(frozen=True, kw_only=True)
class Size:
    side: int = 1
    hw: Annotated[str | None, tyro.conf.arg(metavar="HxW")] = None

    def __post_init__(self) -> None:
        if self.side < 1:
            raise ValueError("--side is at least 1")


def work(
    file: tyro.conf.Positional[Path],
    *more: tyro.conf.Positional[Literal["left", "right"]],
    lr: float = 1.0,
    drops: tuple[int, ...] = (1,),
    at_once: int | None = None,
    batch: Literal["all"] | int = "all",
    precision: Literal["fp32", "bf16"] | None = None,
    augment: bool = True,
    output: Annotated[Path, cli.OUT] = Path(),
    size: Annotated[Size, tyro.conf.OmitArgPrefixes] = Size(),
    as_json: cli.Json = False,
) -> None:
    """Works."""


def add(first: int, second: int = 2) -> None:
    """Adds two numbers."""


def name(network: cli.Network, data: Annotated[str, tyro.conf.arg(metavar="FOLDER")]) -> None:
    """Names data."""


VERBS = {
    "work": work,
    "add-up": add,
    "name": name,
    "data": cli.Group("Works on data.", {"add": add, "work": work}),
    "train": cli.ByName("RECIPE", "Trains a recipe.", train_named),
}


def refused(words: str, capsys: Capture) -> str:
    """The one line that these words give."""
    with pytest.raises(SystemExit) as caught:
        cli.run("prog", "Does things.", VERBS, words.split())
    assert caught.value.code == 2
    told = capsys.readouterr()
    assert not told.out
    (line,) = told.err.splitlines()
    return line.removeprefix("error: ")


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        ("f --lr x", "--lr x: must be a number"),
        ("--lr=x f", "--lr x: must be a number"),
        ("--lr x f", "--lr x: must be a number"),
        ("f --lr 1 --lr y", "--lr y: must be a number"),
        ("f --at_once 1.5", "--at-once 1.5: must be a whole number or None"),
        ("f --batch x", "--batch x: must be all or a whole number"),
        ("f --drops 3 x 9", "--drops 3 x 9: must be whole numbers"),
        ("f --precision fp8", "--precision fp8: must be fp32, bf16 or None"),
        ("f up", "MORE up: must be left or right"),
        ("f --side 0", "--side is at least 1"),
        ("f --lr", "--lr: must be followed by a number"),
        ("f --lr --json", "--lr: must be followed by a number"),
        ("f --out", "--output: must be followed by a path"),
        ("f --hw", "--hw: must be followed by HxW or None"),
        ("f left --augment False", "--augment False: must stand alone, it takes no value"),
        ("f left --json=True", "--json True: must stand alone, it takes no value"),
        ("", "FILE: must be given, a path"),
        ("--precison fp32 f", "--precison: no such option, the nearest is --precision"),
        ("f --at-onec=3", "--at-onec: no such option, the nearest is --at-once"),
        ("f --no-augmnt", "--no-augmnt: no such option, the nearest is --no-augment"),
        ("f --hlep", "--hlep: no such option, the nearest is --help"),
        ("f --qqqqqq 3 --lrr=3", "--qqqqqq: no such option; --lrr: no such option, the nearest is --lr"),
        ("f --lr -inf --sdie 3", "--sdie: no such option, the nearest is --side"),
    ],
)
@pytest.mark.parametrize("group", ["", "data "])
def test_what_is_wrong_behind_a_verb(group: str, words: str, wrong: str, capsys: Capture) -> None:
    assert refused(f"{group}work {words}", capsys) == f"{wrong}; see prog {group}work --help"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("", "a verb must follow; there are work, add-up, name, data, train; see prog --help"),
        ("xyz 3", "xyz: no such verb; there are work, add-up, name, data, train; see prog --help"),
        ("wrok f --lr 3", "wrok: no such verb, the nearest is work; see prog --help"),
        (
            "--json work f",
            "--json: options stand behind a verb; there are work, add-up, name, data, train; see prog --help",
        ),
        ("data", "a verb must follow; there are add, work; see prog data --help"),
        ("data ad --first 1", "ad: no such verb, the nearest is add; see prog data --help"),
        ("add-up", "--first: must be given, a whole number; see prog add-up --help"),
        ("add_up --frist 1", "--frist: no such option, the nearest is --first; see prog add-up --help"),
        ("add-up --first 1 2 3", "2 3: too many arguments; see prog add-up --help"),
        ("add-up --first=1 --second", "--second: must be followed by a whole number; see prog add-up --help"),
        ("name", "NETWORK: must be given; --data: must be given, FOLDER; see prog name --help"),
        ("train --lr 3", "--lr: a RECIPE must stand before it; see prog train --help"),
    ],
)
def test_what_is_wrong_with_the_whole(words: str, line: str, capsys: Capture) -> None:
    assert refused(words, capsys) == line


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        ("--lr x", "--lr x: must be a number"),
        ("--epochs 1.5", "--epochs 1.5: must be a whole number"),
        ("--precision fp8", "--precision fp8: must be fp32 or bf16"),
        ("--epoch 3", "--epoch: no such option, the nearest is --epochs"),
        ("--compile true", "--compile true: must stand alone, it takes no value"),
        ("again", "again: too many arguments"),
    ],
)
def test_what_is_wrong_with_a_recipe(words: str, wrong: str, capsys: Capture) -> None:
    named = "train quick/dpn1_32_lite"
    assert refused(f"{named} {words}", capsys) == f"{wrong}; see prog {named} --help"


@pytest.mark.parametrize("columns", ["1", "5"])
def test_a_terminal_of_a_few_columns_is_told_the_same(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert refused("work f --lr x", capsys) == "--lr x: must be a number; see prog work --help"


def test_a_verb_that_fails_is_no_bad_option(capsys: Capture) -> None:
    def verb() -> None:
        raise ValueError("no")

    with pytest.raises(SystemExit) as caught:
        cli.run("prog", "", {"fail": verb, "add": add}, ["fail"])
    assert (caught.value.code, capsys.readouterr().err) == (1, "error: no\n")


def test_help_behind_what_is_wrong_is_help(capsys: Capture) -> None:
    for words in ("work f --qqq --help", "train --lr 3 --help", "train -h"):
        with pytest.raises(SystemExit) as caught:
            cli.run("prog", "", VERBS, words.split())
        assert caught.value.code == 0
        assert "usage: prog" in capsys.readouterr().out


def test_another_tyro_tells_it_in_its_own_words(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setitem(sys.modules, "tyro._errors", None)
    with pytest.raises(SystemExit) as caught:
        cli.run("prog", "", VERBS, ["add-up", "--first", "x"])
    assert caught.value.code == 2
    assert "prog --help" in capsys.readouterr().err
