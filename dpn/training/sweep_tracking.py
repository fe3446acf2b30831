"""A run of a sweep and what has become of it: its claim, its job, its result. Imports no torch."""

import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dpn.program.cli import message
from dpn.program.locks import is_locked, taken
from dpn.training.sweep_executors import Job
from dpn.training.sweep_jobs import Run
from dpn.training.sweep_progress import Pace, pace_of

State = Literal["waiting", "running", "elsewhere", "finished", "failed", "stopped"]
"""`elsewhere` is trained by another process, or claimed by another sweep."""


@dataclass(kw_only=True)
class Tracked:
    """A run and what has become of it.

    Attributes:
        run: which.
        state: see `State`.
        pace: how far it is and how long that took.
        result: what came out, when it has finished.
        reason: why there is no result, when it has failed.
        log: the file with more about it, where there is one.
        job: while it runs; None for the job of another process.
        slot: its place among those that run at the same time.
        trained: whether another process trained in its folder when somebody last looked.
    """

    run: Run
    state: State = "waiting"
    pace: Pace = field(default_factory=Pace)
    result: dict[str, Any] | None = None
    reason: str = ""
    log: Path | None = None
    job: Job | None = None
    slot: int = 0
    trained: bool = False
    _claim: int | None = None
    _unread_since: float = 0.0

    @property
    def score(self) -> float | None:
        """Of the final weights, from 0 to 1."""
        return None if self.result is None else float(self.result["scores"]["score"])

    def claim(self) -> bool:
        """Keeps other sweeps away from the run; false where one has it."""
        if self._claim is None:
            self.run.jobs.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.run.claim, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                self._claim = descriptor if taken(descriptor, self.run.claim) else None
            finally:
                if self._claim is None:
                    os.close(descriptor)
        return self._claim is not None

    def release(self) -> None:
        """Lets others have the run; a job on this machine saves and stops."""
        if self._claim is not None:
            os.close(self._claim)
            self._claim = None

    def stop(self) -> None:
        """Asks its job, where there is one, to save and stop; only once."""
        if self.job and self._claim is not None:
            self.job.stop()
        self.release()

    def is_trained(self) -> bool:
        """Whether some process trains in its folder, as far as is known; not for often, since a look needs the lock."""
        with suppress(OSError):  # of a file system that is away for a moment
            self.trained = is_locked(self.run.folder.lock)
        return self.trained

    def find_result(self, patience_s: float = 0.0) -> bool | None:
        """Whether there is one; that of something else is no result but a failure, and so is a damaged one.

        Args:
            patience_s: how many seconds one that cannot be read is no failure yet, but None: nobody knows.
        """
        try:
            self.result = self.run.folder.result_of(self.run.recipe)
        except (OSError, ValueError, KeyError) as error:
            self._unread_since = self._unread_since or time.monotonic()
            if isinstance(error, OSError) and time.monotonic() - self._unread_since < patience_s:
                return None
            self.fail(message(error))
        else:
            self._unread_since = 0.0
            if self.result is None:
                return False
            self.state = "finished"
        self.look()
        return True

    def look(self) -> None:
        """Sees how far it is."""
        self.pace = pace_of(self.run, self.pace)

    def fail(self, reason: str, log: Path | None = None) -> None:
        """Notes that there will be no result."""
        self.state, self.reason, self.log = "failed", reason, log
