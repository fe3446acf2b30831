"""A log outlives whatever ends its process: a torn end is cut off, other damage is one line that says what to do."""

import errno
import os
from pathlib import Path

import pytest

from dpn.training.errors import TrainingError, written
from dpn.training.folder import Log, RunFolder, rows


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


def test_a_file_that_the_system_opens_but_does_not_read_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unread(_: Path) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    folder = RunFolder(path.parent)
    folder.result_file.touch()
    monkeypatch.setattr(Path, "read_bytes", unread)
    for read, name in ((folder.result, folder.result_file), (lambda: rows(path), path)):
        with pytest.raises(OSError, match=os.strerror(errno.EIO)) as caught:
            read()
        assert caught.value.filename == str(name)


@pytest.mark.parametrize("name", ["", "last.pt", "log.csv", "pictures"])
@pytest.mark.parametrize(
    ("number", "mend"), [(errno.ENOSPC, "make room and"), (errno.EACCES, "see that it can be written and")]
)
def test_a_run_that_cannot_be_written_says_how_it_goes_on(tmp_path: Path, name: str, number: int, mend: str) -> None:
    def said() -> str:
        with pytest.raises(TrainingError) as caught, written(tmp_path / name):
            raise OSError(number, os.strerror(number))
        return str(caught.value)

    begin = f"{tmp_path / name} cannot be written: {os.strerror(number)}; "
    assert said() == f"{begin}{mend} start the same command again, or name another place with --folder"
    RunFolder(tmp_path).last.touch()
    assert said() == (
        f"{begin}the last good checkpoint is whole: {mend} start the same command again to continue, or copy the run's "
        "folder to another place and name that with --folder"
    )
