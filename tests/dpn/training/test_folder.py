"""A log outlives whatever ends its process: a torn end is cut off, other damage is one line that says what to do."""

from pathlib import Path

import pytest

from dpn.training.errors import TrainingError
from dpn.training.folder import Log, rows


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A log of three steps."""
    path = tmp_path / "log.csv"
    log = Log(path, 0)
    for step in (10, 20, 30):
        log.add({"step": step, "epoch": 0, "loss": 1 / step, "lr": 1e-3, "seconds": step / 10})
    return path


def steps(path: Path) -> list[int]:
    return [int(row["step"]) for row in rows(path)]


@pytest.mark.parametrize(
    "torn", [b"40", b"40,0,0.025,0.001,,,,", b"40,0,0.025,0.001,,,,4.", b"40,\xf0", bytes(4096), b'40,"0'],
    ids=["a number", "no seconds", "half of the seconds", "half a letter", "zeros", "a quotation mark"],
)  # fmt: skip
def test_a_run_goes_on_after_a_line_that_its_end_has_torn(path: Path, torn: bytes) -> None:
    with path.open("ab") as file:
        file.write(torn)
    assert steps(path) == [10, 20, 30]
    Log(path, 20).add({"step": 40, "seconds": 4.0})
    assert steps(path) == [10, 20, 40]


@pytest.mark.parametrize(
    ("line", "damage", "told"),
    [
        (1, b"banana,epoch", "ValueError: no names of columns"),
        (1, b"seconds,epoch", "ValueError: no names of columns"),
        (2, b"", "ValueError: 0 values of 8"),
        (2, b"10,0,0.1", "ValueError: 3 values of 8"),
        (3, b"x,0,0.1,0.001,,,,1.0", "ValueError: invalid literal for int"),
        (3, b"20,0,lots,0.001,,,,1.0", "ValueError: could not convert string to float: 'lots'"),
        (3, b"20,0,0.1,0.001,,,,", "ValueError: could not convert string to float: ''"),
        (3, bytes(60), "ValueError: 1 values of 8"),
        (4, b"30,\xff,0.1,0.001,,,,1.0", "UnicodeDecodeError: "),
        (4, b"9" * 200_000, "Error: field larger than field limit"),
    ],
)
def test_other_damage_is_told_of_by_its_line(path: Path, line: int, damage: bytes, told: str) -> None:
    lines = path.read_bytes().splitlines()
    lines[line - 1] = damage
    path.write_bytes(b"\n".join([*lines, b""]))
    with pytest.raises(TrainingError) as caught:
        Log(path, 20)
    assert str(caught.value).startswith(f"{path}, line {line}: {told}")
    assert str(caught.value).endswith("; mend or remove the line, or move the file away")
    assert "\n" not in str(caught.value)
    assert path.read_bytes().splitlines() == lines  # which only its owner changes


@pytest.mark.parametrize("content", [b"", bytes(4096), b"step,epo"])
def test_a_log_of_which_nothing_is_left_begins_anew(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    Log(path, 20).add({"step": 30, "seconds": 3.0})
    assert steps(path) == [30]


def test_a_log_that_a_spreadsheet_has_saved_is_read(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert steps(path) == [10, 20, 30]
