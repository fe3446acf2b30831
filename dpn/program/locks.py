"""Locks on files, which the system releases when the process that has them ends, however. Imports no torch."""

import errno
import fcntl
import os
from pathlib import Path

_WITHOUT = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK)
"""What file systems say that have no locks, such as Lustre where it is not mounted with flock."""


class LockError(OSError):
    """The file system has no locks; the message names the file and the remedy."""


def taken(descriptor: int, path: Path, *, shared: bool = False, wait: bool = False) -> bool:
    """Locks an open file until it is closed; false where another process has it locked.

    Args:
        descriptor: of the file.
        path: of the file, for people.
        shared: with others that share it, too.
        wait: until it can be had.

    Raises:
        LockError: nobody can lock it.
    """
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _WITHOUT:
            raise
        raise LockError(
            f"{path} cannot be locked ({error.strerror}), and without a lock two programs could write the same files; "
            "name a folder on another file system, or have this one mounted with flock"
        ) from error
    return True


def is_locked(path: Path) -> bool:
    """Whether another process has this file locked for itself alone; where there are no locks, nobody has."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        return not taken(descriptor, path, shared=True)
    except LockError:
        return False
    finally:
        os.close(descriptor)
