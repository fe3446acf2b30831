"""What tests that start sweeps share."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def own_lock(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files, and with it a machine lock, that no other process knows."""
    tmp_path_factory.getbasetemp()  # pytest's own folders stay where they are
    with tempfile.TemporaryDirectory(prefix="t-") as folder:  # not tmp_path, whose name is too long for a socket
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setenv("DPN_LOCKS", folder)
        monkeypatch.setattr(tempfile, "tempdir", None)
        yield Path(folder)
        monkeypatch.undo()
