"""Keeps what was predicted so far in a file, so that an evaluation that was stopped goes on where it was.

Each question has a file of its own beside the results, `.NAME.DIGEST.kept`: one asked otherwise takes nothing from
another, which goes on when it is asked again. The file is a line of JSON that says what the predictions are of, then
one row of K x 3 float64 for each person. Rows are appended as they come; of a row that a kill cut short, the beginning
is dropped. Imports no torch.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from dpn.arrays import Floats
from dpn.digests import digest_of
from dpn.program.locks import taken
from dpn.program.whole_files import make_folder, write_all


class Kept:
    """The rows in the file, and where further ones go.

    Attributes:
        path: of the file, which may go when nothing is to be predicted any more.
        rows: (n, K, 3) float64: the first n people's.
    """

    def __init__(self, path: Path, descriptor: int, rows: Floats) -> None:
        self.path = path
        self._descriptor = descriptor
        self.rows = rows

    def add(self, keypoints: Floats) -> None:
        """Appends rows (m, K, 3)."""
        write_all(self._descriptor, np.ascontiguousarray(keypoints, dtype="<f8").tobytes())


@contextmanager
def kept(results: Path, asked: dict[str, Any], joints: int) -> Iterator[Kept]:
    """Opens the file of a question; it and its folder are made if they are missing.

    Args:
        results: the file that the results are going to be in.
        asked: everything that predictions depend on, as JSON can write it.
        joints: K.

    Raises:
        OSError: the file cannot be written, or another process is writing it.
    """
    path = results.with_name(f".{results.name}.{digest_of(asked)}.kept")
    make_folder(path.parent)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        if not taken(descriptor, path):
            raise OSError(f"{path}: another evaluation is writing it; wait for it, or give another --results")
        header = json.dumps(asked, sort_keys=True).encode() + b"\n"
        content = path.read_bytes()
        if not content.startswith(header):  # it is new, or a kill cut its header short
            os.ftruncate(descriptor, 0)
            write_all(descriptor, header)
            content = header
        row_bytes = joints * 3 * 8
        count = (len(content) - len(header)) // row_bytes
        end = len(header) + count * row_bytes
        os.ftruncate(descriptor, end)
        rows = np.frombuffer(content[len(header) : end], dtype="<f8").reshape(count, joints, 3)
        try:
            yield Kept(path, descriptor, rows.astype(np.float64))
        finally:
            if os.fstat(descriptor).st_size == len(header):  # nobody was predicted
                path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def others_kept(results: Path, own: Path) -> list[Path]:
    """Files beside the results that were kept of other questions; of older versions of this workbench, too."""
    beside = (path for path in results.parent.iterdir() if path != own)
    return sorted(path for path in beside if path.name.startswith(f".{results.name}.") and path.name.endswith("kept"))
