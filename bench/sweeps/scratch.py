"""Folders for temporary files; what a killed process left of them is removed by the next process that needs one.

A folder holds a file that its process keeps locked. The kernel gives the lock back however the process ends, so a lock
that can be taken is a dead process's: no process ids, which are given out again, and no ages. Imports no torch.
"""

import os
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from dpn.program.locks import taken

PREFIX = "bench-"

OWNER = ".bench-owner"
"""The locked file. A folder without one is somebody else's, whatever its name, and stays."""


class Scratch:
    """A folder for temporary files that goes with its process.

    Attributes:
        path: of the folder.

    Example:
        >>> with Scratch() as folder:
        ...     (folder / "model.onnx").write_bytes(b"...")
        3
        >>> folder.exists()
        False
    """

    def __init__(self) -> None:
        """Makes the folder, and removes those of dead processes.

        Raises:
            OSError: the system's folder for temporary files cannot be written.
        """
        remove_orphans()
        self._folder = tempfile.TemporaryDirectory(prefix=PREFIX)
        self.path = Path(self._folder.name)
        aside = self.path / f"{OWNER}.part"
        self._lock = aside.open("xb")
        taken(self._lock.fileno(), aside)
        aside.rename(self.path / OWNER)  # it gets its name when it is locked, so that nobody finds it before

    def close(self) -> None:
        """Removes the folder."""
        self._folder.cleanup()
        self._lock.close()

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_: object) -> None:
        self.close()


def remove_orphans() -> None:
    """Removes the folders that killed processes of this user left; what cannot be removed now stays for the next."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):
            _remove_if_orphan(folder)


def _remove_if_orphan(folder: Path) -> None:
    """Removes a folder if its owner is dead.

    Raises:
        OSError: there is no owner, or something in it cannot be removed.
    """
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        return
    with (folder / OWNER).open("rb") as owner:
        if not taken(owner.fileno(), folder / OWNER):
            return
        if os.fstat(owner.fileno()).st_nlink == 0:  # another process has removed it since it was opened
            return
        for path in folder.iterdir():
            if path.name == OWNER:  # goes last: without it nobody would know what else is left
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        (folder / OWNER).unlink()
        folder.rmdir()
