"""One run of a sweep as a job in a process of its own. Imports no torch.

A job calls `dpn.training.run.train`; recipe and options go to its process as they are, so that nothing is written into
a command line and read back. Jobs on this machine live no longer than the sweep that started them, even one that was
killed: it holds a lock on a file in the run's folder, and when the system has released that lock the job saves and
stops.
"""

import json
import os
import signal
import sys
import threading
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from dpn.program.cli import EXPECTED, message
from dpn.program.locks import is_locked
from dpn.program.whole_files import write_whole
from dpn.training.folder import RunFolder
from dpn.training.options import RunOptions
from dpn.training.recipe import Recipe

STOPPED = "it was stopped from outside, and has saved; the same command goes on"

LEFT = "it was stopped from outside; the same command goes on"
"""Where there was nothing to save, or nobody knows."""

LOOK_EVERY_S = 0.5
"""Between two looks of a job for its sweep."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A recipe with its seed, and where it is trained.

    Attributes:
        recipe: what.
        where: on what, in which folder.
    """

    recipe: Recipe
    where: RunOptions

    @property
    def folder(self) -> RunFolder:
        """Its files."""
        return self.where.run_folder(self.recipe)

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.recipe.name} seed {self.recipe.seed}"

    @property
    def jobs(self) -> Path:
        """What submitit writes: what is asked for, logs, and what came of it, named by the job's number."""
        return self.folder.path / "jobs"

    @property
    def claim(self) -> Path:
        """Locked by the sweep that has this run among its jobs."""
        return self.folder.path / ".sweep"

    @property
    def steps_file(self) -> Path:
        """How many steps there will be, once that is known."""
        return self.jobs / "steps.json"

    @property
    def steps(self) -> int:
        """How many steps there will be; 0 while nobody knows, as where the file is damaged."""
        try:
            found = json.loads(self.steps_file.read_bytes())
        except (OSError, ValueError, RecursionError):
            return 0
        return found if type(found) is int and found > 0 else 0


@dataclass(frozen=True, kw_only=True)
class Training:
    """What a job calls, in its own process.

    Attributes:
        run: what is trained.
        lease: a file that the sweep has locked while the job is wanted; None for one that outlives the sweep.
        gpus: as CUDA_VISIBLE_DEVICES names those for this run; None leaves what the cluster has set.
    """

    run: Run
    lease: Path | None = None
    gpus: str | None = None

    def __call__(self) -> str:
        """Trains, and returns an empty text, or why there is no result."""
        signal.signal(signal.SIGTERM, _leave)  # submitit ignores it; training takes it over while it can save
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        if self.run.where.threads:
            os.environ["OMP_NUM_THREADS"] = str(self.run.where.threads)
        if self.gpus is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = self.gpus
        if self.lease:
            watch = threading.Thread(target=_stop_with, args=(self.lease,), daemon=True)
            watch.start()
        try:
            return self._trained()
        except _Left:
            return LEFT
        except EXPECTED as error:
            print(f"error: {message(error)}", file=sys.stderr)
            return message(error)
        except Exception as error:
            traceback.print_exc()
            return f"{type(error).__name__}: {message(error)}"

    def _trained(self) -> str:
        from dpn.training.run import train
        from dpn.training.stopping import Stopped

        try:
            train(self.run.recipe, self.run.where, self._told)
        except Stopped:
            return STOPPED
        return ""

    def _told(self, done: int, total: int, text: str = "") -> None:
        del done, text
        if self.run.steps != total:
            write_whole(self.run.steps_file, json.dumps(total).encode())

    def checkpoint(self) -> Any:
        """What submitit puts into the queue again when the cluster's time is up: the same, which goes on."""
        import submitit

        return submitit.helpers.DelayedSubmission(self)


class _Left(SystemExit):
    """A job that has nothing to save was asked to stop."""


def _leave(number: int, frame: FrameType | None) -> None:
    del frame
    raise _Left(128 + number)


def _stop_with(lease: Path) -> None:
    """Sends this process SIGTERM when nobody has locked the file any more; a second one never."""
    held = True
    while held:
        time.sleep(LOOK_EVERY_S)
        with suppress(OSError):  # of a file system that is away for a moment: nothing is known
            held = is_locked(lease)
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:  # it is where one has come already and is obeyed
        os.kill(os.getpid(), signal.SIGTERM)
