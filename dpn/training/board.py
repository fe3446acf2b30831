"""Curves for TensorBoard while a run goes on. Imports no torch.

TensorBoard's own writer writes in a thread, whose errors nobody can catch: a full disk would end in a traceback.
"""

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

SHOWN = ("loss", "lr", "people_per_s", "waiting_share", "score")
"""Columns of log.csv that are drawn."""


class Board:
    """A file of events in a folder, from a step on: TensorBoard forgets what it has seen from there on."""

    def __init__(self, folder: Path, step: int) -> None:
        from tensorboard.compat.proto import event_pb2, summary_pb2  # type: ignore[import-untyped]
        from tensorboard.summary.writer.record_writer import RecordWriter  # type: ignore[import-untyped]

        self._event, self._summary = event_pb2.Event, summary_pb2.Summary
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"events.out.tfevents.{time.time_ns()}.{os.getpid()}"
        self._records = RecordWriter(path.open("wb"))
        self._write(file_version="brain.Event:2")
        start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        self._write(session_log=start, step=step)

    def add(self, row: Mapping[str, Any]) -> None:
        """Adds the columns of a row of the log that are drawn."""
        values = [self._summary.Value(tag=name, simple_value=row[name]) for name in SHOWN if name in row]
        self._write(summary=self._summary(value=values), step=row["step"])

    def close(self) -> None:
        """Closes the file; what a full disk has refused has been told of, and would be refused again."""
        with suppress(OSError):
            self._records.close()

    def _write(self, **fields: Any) -> None:
        self._records.write(self._event(wall_time=time.time(), **fields).SerializeToString())
        self._records.flush()


def board(folder: Path, step: int) -> Board | None:
    """What TensorBoard reads, from this step on; None where it is not installed."""
    try:
        return Board(folder, step)
    except ImportError:
        return None
