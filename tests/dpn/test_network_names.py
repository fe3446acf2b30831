"""Anybody's network by its name: whatever is wrong with it is one line that says what, and what to write instead."""

import sys
from pathlib import Path

import pytest

from dpn.error_words import in_words
from dpn.network_names import NetworkError, imported, parse_hw

FACTORIES = """
from torch import nn

def net():
    return nn.Conv2d(3, 17, 3)

def sized(width, depth=2):
    return nn.Conv2d(3, width, 3)

def misspelt():
    return nn.Conv2D(3, 17, 3)

def wrong_inside():
    return nn.Conv2d(3)

def leaves():
    raise SystemExit(3)

def asserts():
    assert False

def text():
    return "no network"

def talks():
    print("building")
    return nn.Conv2d(3, 17, 3)

number = 3
print("importing")
"""


@pytest.fixture(autouse=True)
def _factories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "factories.py").write_text(FACTORIES)
    monkeypatch.syspath_prepend(str(tmp_path))


def test_a_factory_builds() -> None:
    assert imported("factories:net")().out_channels == 17  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("factories:sized", "must build a network when called without arguments: missing a required argument: 'width'"),
        ("factories:misspelt", "fails when it is called: AttributeError: module 'torch.nn' has no attribute 'Conv2D'"),
        ("factories:wrong_inside", r"fails when it is called: TypeError: .*missing 2 required positional arguments"),
        ("factories:leaves", "fails when it is called: SystemExit: 3"),
        ("factories:asserts", "fails when it is called: AssertionError$"),
        ("factories:text", "must return a torch.nn.Module, not a str"),
        ("factories:number", "is of type int; name a function that builds a network"),
        ("factories:nett", "has no 'nett'; the nearest is net"),
        ("factories:zzzzzz", "has no 'zzzzzz'$"),
        ("factories.py:net", "cannot import 'factories.py'|write mine:net"),
        ("./factories.py:net", "write mine:net for net in mine.py"),
        ("../factories:net", "write mine:net for net in mine.py"),
        ("factories:", "is package.module:factory, not 'factories:'"),
    ],
)
def test_what_builds_no_network_is_one_line(name: str, message: str) -> None:
    with pytest.raises(NetworkError, match=message) as caught:
        imported(name)()
    assert "\n" not in str(caught.value)


def test_what_is_printed_stays_out_of_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    """There a script may read an answer."""
    sys.modules.pop("factories", None)
    imported("factories:talks")()
    assert tuple(capsys.readouterr()) == ("", "importing\nbuilding\n")


def test_a_size_has_no_channels() -> None:
    with pytest.raises(NetworkError, match="without channels, of which every image has 3, not '1x256x192'"):
        parse_hw("1x256x192")


def test_sizes_end_where_the_message_says() -> None:
    assert parse_hw("9999x1") == (9999, 1)
    for text in ("10000x1", "1x10000", "0x5", "5", "5x"):
        with pytest.raises(NetworkError, match="of 9999 at most"):
            parse_hw(text)


def test_errors_in_words() -> None:
    assert in_words(ValueError("two\nlines")) == "ValueError: two lines"
    assert in_words(AssertionError()) == "AssertionError"
