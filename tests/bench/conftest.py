"""What tests that start sweeps share."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    tmp_path_factory.getbasetemp()  # pytest's own folders stay where they are
    # not tmp_path, whose name is too long for a socket
    with tempfile.TemporaryDirectory(prefix="t-") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", folder)
        patch.setenv("DPN_LOCKS", folder)
        patch.setattr(tempfile, "tempdir", None)
        yield Path(folder)


@pytest.fixture
def own_lock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for temporary files, and with it a machine lock, that no other process knows."""
    with _folder(tmp_path_factory) as folder:
        yield folder


@pytest.fixture(scope="module")
def lock_of_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Likewise, for a sweep that tests of one module share."""
    with _folder(tmp_path_factory) as folder:
        yield folder
