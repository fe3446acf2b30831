"""A file is whole or not there, and an error names it, not the one beside it in which it was written."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dpn.program.cli import message
from dpn.program.whole_files import whole, write_all, write_whole


def test_it_is_written_with_its_folder_and_in_place_of_another(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file.json"
    write_whole(path, b"one")
    write_whole(path, memoryview(b"two"))
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


def test_what_the_system_takes_in_parts_is_written_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:3]))
    with (tmp_path / "file").open("wb") as file:
        write_all(file.fileno(), b"ten bytes.")
        write_all(file.fileno(), b"")
    assert (tmp_path / "file").read_bytes() == b"ten bytes."


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_whatever_stops_it_leaves_what_was_there(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.json"
    write_whole(path, b"before")

    def fail(_: int) -> None:
        raise error

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(type(error)) as caught:
        write_whole(path, b"after")
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"before"
    if isinstance(caught.value, OSError):
        assert (caught.value.errno, caught.value.filename) == (28, str(path))


def test_an_error_names_the_file_or_what_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    for path, culprit in ((tmp_path / "file" / "x.png", "file/x.png"), (tmp_path / "folder", "folder")):
        with pytest.raises(OSError, match="director") as caught:
            write_whole(path, b"")
        assert caught.value.filename == str(tmp_path / culprit)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_what_is_found_bad_before_it_gets_its_name_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "file.onnx"

    def write() -> None:
        with whole(path) as beside:
            beside.write_bytes(b"half")
            assert [kept.parent for kept in tmp_path.iterdir()] == [path.parent]
            raise ValueError("computes something else")

    with pytest.raises(ValueError, match="computes something else"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_goes_with_the_next_write_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom dpn.program.whole_files import whole\n"
        "with whole(Path(sys.argv[1])) as beside:\n"
        "    beside.write_bytes(b'half')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    for _ in range(2):
        assert subprocess.run([sys.executable, "-c", code, str(path)]).returncode == -signal.SIGKILL
        (left,) = tmp_path.iterdir()  # of the second one: the first one's is gone
        assert left.read_bytes() == b"half"
    others = {tmp_path / name for name in (".last.pt.kept", ".last.pt.1234", "x.last.pt.0123abcd.dpn-part")}
    for other in others:
        other.write_bytes(b"somebody's")
    with whole(path) as beside:
        beside.write_bytes(b"first")
        write_whole(path, b"second")  # does not touch what is being written
        assert beside.read_bytes() == b"first"
    assert path.read_bytes() == b"first"
    assert set(tmp_path.iterdir()) == {path, *others}


def test_an_error_of_another_file_keeps_its_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, whole(tmp_path / "file.zip") as beside:
        beside.write_bytes((tmp_path / "source").read_bytes())
    assert caught.value.filename == str(tmp_path / "source")


@pytest.mark.parametrize("name", ["x" * 250 + ".json", "ö" * 125 + ".json"])
def test_the_longest_names_can_be_written(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    with whole(path) as beside:
        beside.write_bytes(b"one")
        assert re.fullmatch(r"\..+\.[0-9a-f]{8}\.dpn-part", beside.name)  # by which those of killed processes are found
    assert path.read_bytes() == b"one"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_link_points_to_is_written_and_the_link_stays(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / "file.json", tmp_path / "link.json"
    link.symlink_to(target)
    for content in (b"one", b"two"):  # into a file that is not there yet, and over one
        write_whole(link, content)
        assert link.is_symlink()
        assert target.read_bytes() == content
    assert list(target.parent.iterdir()) == [target]
    link.unlink()
    link.symlink_to(target / "below.json")
    with pytest.raises(OSError, match="director") as caught:
        write_whole(link, b"")
    assert caught.value.filename == str(link)


def test_what_is_no_regular_file_keeps_its_name(tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link):
        with pytest.raises(OSError, match="is no regular file") as caught:
            write_whole(path, b"one")
        assert caught.value.filename == str(path)
        assert message(caught.value).startswith(f"{path}: is no regular file; give the path of a file")
    assert pipe.is_fifo()
    assert sorted(tmp_path.iterdir()) == [link, pipe]


def test_a_name_that_no_file_can_have_is_told_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 256)
    with pytest.raises(OSError, match="too long") as caught:
        write_whole(path, b"one")
    assert caught.value.filename == str(path)
    assert not list(tmp_path.iterdir())


def test_what_is_replaced_hands_on_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.touch()
    for mode in (0o640, 0o200):
        path.chmod(mode)
        write_whole(path, b"one")
        assert path.stat().st_mode & 0o777 == mode
