"""What ends a training run in one line that says what to do. Imports no torch."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class TrainingError(ValueError):
    """Training cannot start or go on; the message says what to do."""


@contextmanager
def written(path: Path) -> Iterator[None]:
    """Says of a file of the run that cannot be written what that means for the run.

    Raises:
        TrainingError: the disk is full or the folder cannot be written; the older file is still whole.
    """
    try:
        yield
    except OSError as error:
        raise TrainingError(
            f"{path} cannot be written: {error.strerror or error}; the last good checkpoint is whole, make room or "
            "name another folder and start again to continue"
        ) from error
