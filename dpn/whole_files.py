"""Files that are whole or not there, whatever stops the program that writes them. Imports no torch."""

import errno
import os
from pathlib import Path


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Writes a file beside its place and renames it when it is on disk; after an error nothing is left of it.

    Its folder is made if it is missing.

    Raises:
        OSError: there is no room, or no permission; names the file that was to be written, not the one beside it.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        make_folder(path.parent)
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        _remove(beside)
        if error.errno is None:
            raise
        raise type(error)(error.errno, error.strerror, str(path)) from error
    except BaseException:  # Ctrl-C
        _remove(beside)
        raise


def make_folder(path: Path) -> None:
    """Makes a folder and those that it is in, unless they are there.

    Raises:
        OSError: it cannot be made; NotADirectoryError where a file has its name, or that of one above it.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path)) from error


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except OSError:  # it was never there, or nowhere
        return
