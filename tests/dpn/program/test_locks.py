"""A lock keeps others away until it is closed, and looking for one keeps nobody away."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dpn.program.cli import message
from dpn.program.locks import LockError, is_locked, taken


def opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)


def test_one_has_the_lock_until_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not is_locked(path)
    one, other = opened(path), opened(path)
    assert not is_locked(path)
    assert taken(one, path)
    assert is_locked(path)
    assert not taken(other, path)
    assert not taken(other, path, shared=True)
    os.close(one)
    assert not is_locked(path)
    assert taken(other, path)
    os.close(other)


def test_those_who_look_do_not_see_each_other(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    looking = opened(path)
    assert taken(looking, path, shared=True)
    assert not is_locked(path)
    os.close(looking)


def test_where_no_file_can_be_nothing_is_locked(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert not is_locked(tmp_path / "file" / "lock")


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK])
def test_where_there_are_no_locks_it_is_said_with_the_file_as_it_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("lock")
    descriptor = opened(path)
    monkeypatch.setattr("dpn.program.locks.fcntl.flock", refusing(code))
    with pytest.raises(LockError) as caught:
        taken(descriptor, path)
    said = message(caught.value)
    assert said.startswith(f"{path} cannot be locked ({os.strerror(code)}), ")
    assert said.endswith("name a folder on another file system, or have this one mounted with flock")
    assert not is_locked(path)
    os.close(descriptor)


def test_what_else_is_wrong_with_a_file_is_not_taken_for_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    descriptor = opened(tmp_path / "lock")
    monkeypatch.setattr("dpn.program.locks.fcntl.flock", refusing(errno.EIO))
    with pytest.raises(OSError, match=os.strerror(errno.EIO)) as caught:
        is_locked(tmp_path / "lock")
    assert not isinstance(caught.value, LockError)
    os.close(descriptor)


def refusing(code: int) -> Callable[[int, int], None]:
    def flock(_descriptor: int, _operation: int) -> None:
        raise OSError(code, os.strerror(code))

    return flock
