"""Files that are whole or not there, whatever stops the program that writes them. Imports no torch."""

import errno
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from dpn.program.locks import taken

_NAME_BYTES = 255
"""Of a file's name, on all common file systems."""


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Writes a file beside its place and renames it when it is on disk; after an error nothing is left of it.

    Its folder is made if it is missing. What killed programs left there goes when a process first writes into it.

    Raises:
        OSError: there is no room, or no permission; names the file that was to be written, not the one beside it.
    """
    with whole(path) as beside:
        beside.write_bytes(content)


def write_all(descriptor: int, data: bytes) -> None:
    """Writes all of it to an open file; `os.write` may take a part, as where a disk fills up.

    Raises:
        OSError: there is no room; what was written stays.
    """
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """`write_whole` for what writes to a path by itself, or is looked at before it gets its name.

    Behind a symbolic link, what it points to is replaced. What is replaced hands on its permissions.

    Yields:
        Where to write: a hidden file of the same folder, with an ending of its own. It is there, empty, and locked.

    Raises:
        OSError: as `write_whole`, or `refuse_special`.
    """
    refuse_special(path)
    asked, path = path, Path(os.path.realpath(path))
    ending = f".{secrets.token_hex(4)}.dpn-part"
    beginning = f".{path.name}".encode(errors="ignore")[: _NAME_BYTES - len(ending)].decode(errors="ignore")
    beside = path.with_name(beginning + ending)
    try:
        make_folder(path.parent)
        _remove_orphans(path.parent.absolute())
        with beside.open("xb") as owner:
            with suppress(OSError):  # some file systems have no locks
                taken(owner.fileno(), beside)
            yield beside
            _to_disk(beside)
            with suppress(OSError):  # there is none before, or no such bits
                beside.chmod(path.stat().st_mode & 0o777)
            beside.replace(path)
    except OSError as error:
        _remove(beside)
        others = {str(error.filename)} - {"None", str(beside), *map(str, path.parents)}
        if error.errno is None or others:
            raise
        raise type(error)(error.errno, error.strerror, str(asked)) from error
    except BaseException:  # Ctrl-C, or what was written is not good
        _remove(beside)
        raise


def refuse_special(path: Path) -> None:
    """Raises OSError for a device, a pipe or a socket, such as /dev/null, whose name a file would take."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OSError(errno.EINVAL, "is no regular file", str(path))


def make_folder(path: Path) -> None:
    """Makes a folder and those that it is in, unless they are there.

    Raises:
        OSError: it cannot be made; NotADirectoryError where a file has its name, or that of one above it.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path)) from error


@cache
def _remove_orphans(folder: Path) -> None:
    """Removes what killed processes left in a folder; once, since a folder may get thousands of files."""
    left = re.compile(r"\..+\.[0-9a-f]{8}\.dpn-part")
    for orphan in [other for other in folder.iterdir() if left.fullmatch(other.name)]:
        with suppress(OSError), orphan.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            if size and taken(file.fileno(), orphan):  # an empty one may be new, and not locked yet
                _remove(orphan)


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except OSError:  # it was never there, or nowhere
        return
