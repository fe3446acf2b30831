"""Keeps what was predicted so far in a file, so that an evaluation that was stopped goes on where it was.

The file is a line of JSON that says what the predictions are of, then one row of K x 3 float64 for each person. Rows
are appended as they come; of a row that a kill cut short, the beginning is dropped. Imports no torch.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from dpn.data.people import Floats
from dpn.locks import taken
from dpn.whole_files import make_folder


class Kept:
    """The rows in the file, and where further ones go.

    Attributes:
        rows: (n, K, 3) float64: the first n people's.
    """

    def __init__(self, descriptor: int, rows: Floats) -> None:
        self._descriptor = descriptor
        self.rows = rows

    def add(self, keypoints: Floats) -> None:
        """Appends rows (m, K, 3)."""
        left = memoryview(np.ascontiguousarray(keypoints, dtype="<f8").tobytes())
        while left:
            left = left[os.write(self._descriptor, left) :]


@contextmanager
def kept(path: Path, asked: dict[str, Any], joints: int) -> Iterator[Kept]:
    """Opens the file; what is in it counts if it was kept for the same question, else it starts afresh.

    Args:
        path: of the file; it and its folder are made if they are missing.
        asked: everything that predictions depend on, as JSON can write it.
        joints: K.

    Raises:
        OSError: the file cannot be written, or another process is writing it.
    """
    make_folder(path.parent)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        if not taken(descriptor, path):
            raise OSError(f"{path}: another evaluation is writing it; wait for it, or give another --results")
        header = json.dumps(asked, sort_keys=True).encode() + b"\n"
        content = path.read_bytes()
        if not content.startswith(header):
            os.ftruncate(descriptor, 0)
            os.write(descriptor, header)
            content = header
        row_bytes = joints * 3 * 8
        count = (len(content) - len(header)) // row_bytes
        end = len(header) + count * row_bytes
        os.ftruncate(descriptor, end)
        rows = np.frombuffer(content[len(header) : end], dtype="<f8").reshape(count, joints, 3)
        try:
            yield Kept(descriptor, rows.astype(np.float64))
        finally:
            if os.fstat(descriptor).st_size == len(header):  # nobody was predicted
                path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)
