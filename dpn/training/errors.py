"""What ends a training run in one line that says what to do. Imports no torch."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LAST = "last.pt"
"""In the folder of a run: its newest state, from which it continues."""


class TrainingError(ValueError):
    """Training cannot start or go on; the message says what to do."""


@contextmanager
def written(path: Path) -> Iterator[None]:
    """Says of a run's folder, or of a file in it, that cannot be written what that means for the run.

    Raises:
        TrainingError: the disk is full or the folder cannot be written. A run that has saved a state goes on from it
            where its folder is, or where that is copied to; in another folder it would begin anew.
    """
    try:
        yield
    except OSError as error:
        mend = "make room" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "see that it can be written"
        remedy = f"{mend} and start the same command again, or name another place with --folder"
        if any(os.path.isfile(folder / LAST) for folder in (path, path.parent)):  # noqa: PTH113 - Path's may raise
            remedy = (
                f"the last good checkpoint is whole: {mend} and start the same command again to continue, or copy the "
                "run's folder to another place and name that with --folder"
            )
        raise TrainingError(f"{path} cannot be written: {error.strerror or error}; {remedy}") from error
