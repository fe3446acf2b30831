"""Tables on standard output: whole where nobody sees a terminal, and no number is ever cut."""

import pytest

from bench.outlets import terminal

NUMBERS = ("12,582,912", "113,246,208")
ROWS = [("stage2.0.fuse_layers.1.0.0.0 [/x]", *NUMBERS), ("head", "1", "2")]


def shown(capsys: pytest.CaptureFixture[str]) -> list[str]:
    terminal.show(("module", "MACs", "live MACs"), ROWS, folds="module", numbers=("MACs", "live MACs"))
    return capsys.readouterr().out.splitlines()


def test_elsewhere_a_table_is_as_wide_as_it_needs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    monkeypatch.setenv("COLUMNS", "30")
    header, first, last = shown(capsys)
    assert header.split() == ["module", "MACs", "live", "MACs"]
    assert first == "  ".join(ROWS[0])
    assert last == f"head{'1':>41}{'2':>13}"


@pytest.mark.parametrize(("columns", "widest"), [(80, 58), (40, 40), (15, 35)])
def test_on_a_terminal_words_fold_and_numbers_are_never_cut(
    columns: int, widest: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(terminal, "width", lambda: columns)
    lines = shown(capsys)
    assert max(map(len, lines)) == widest
    assert lines[1].endswith("  ".join(NUMBERS))
    names = "".join(line[: widest - 25].strip() for line in lines[1:-1])
    assert names.replace(" ", "") == ROWS[0][0].replace(" ", "")


def test_a_table_without_rows_is_its_header(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.show(("module", "MACs"), [], folds="module", numbers=("MACs",))
    assert capsys.readouterr().out.split() == ["module", "MACs"]
