"""One run of a sweep as a job in a process of its own. Imports no torch.

A job calls `dpn.training.run.train`; recipe and options go to its process as they are, so that nothing is written into
a command line and read back. Jobs on this machine live no longer than the sweep that started them, even one that was
killed: it holds a lock on a file in the run's folder, and when the system has released that lock the job saves and
stops.
"""

import fcntl
import json
import os
import signal
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Literal

from dpn.cli import EXPECTED, message
from dpn.training.folder import RunFolder
from dpn.training.options import Where
from dpn.training.recipe import Recipe
from dpn.whole_files import write_whole

STOPPED = "it was stopped from outside, and has saved; the same command goes on"

LOOK_EVERY_S = 0.5
"""Between two looks of a job for its sweep."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How the runs of a sweep are started.

    Attributes:
        executor: on this machine, or as jobs of a Slurm cluster.
        folder: of all runs; each is in <recipe>/seed-<n> below it.
        at_once: runs at the same time; by default one for each physical core, or for each GPU, and with Slurm all.
        accelerator: cpu, cuda, or whichever there is.
        threads: of torch in each run; on a CPU they decide rounding, so runs are continued with the same number.
        workers: processes that make samples, for each run; by default one, and with GPUs each run's share of the cores.
        pictures_every: epochs between two pictures of predictions; 0 for none.
        sanity: look at data, network and scoring before each run.
        partition: of the cluster; by default its own default.
        gpus: of each run on the cluster; 0 trains on CPUs.
        time_min: minutes that the cluster gives a run; one that needs more is put into the queue again and goes on.
    """

    executor: Literal["local", "slurm"] = "local"
    folder: Path = Path("runs")
    at_once: int | None = None
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = 1
    workers: int | None = None
    pictures_every: int = 5
    sanity: bool = True
    partition: str | None = None
    gpus: int = 1
    time_min: int = 24 * 60

    def where(self, recipe: Recipe) -> Where:
        """What a run is told; the folder's name is that of a run by hand, below another root."""
        own = Where().run_folder(recipe).path
        on_cluster = self.executor == "slurm"
        return Where(
            folder=self.folder / own.relative_to(own.parts[0]),
            accelerator="cpu" if on_cluster and not self.gpus else self.accelerator,
            devices=max(1, self.gpus) if on_cluster else 1,
            workers=1 if self.workers is None else self.workers,
            threads=self.threads,
            pictures_every=self.pictures_every,
            sanity=self.sanity,
        )


@dataclass(frozen=True, kw_only=True)
class Run:
    """A recipe with its seed, and where it is trained.

    Attributes:
        recipe: what.
        where: on what, in which folder.
    """

    recipe: Recipe
    where: Where

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

    def _told(self, done: int, total: int, text: str) -> None:
        del done, text
        if not self.run.steps_file.is_file():
            write_whole(self.run.steps_file, json.dumps(total).encode())

    def checkpoint(self) -> Any:
        """What submitit puts into the queue again when the cluster's time is up: the same, which goes on."""
        import submitit

        return submitit.helpers.DelayedSubmission(self)


def _leave(number: int, frame: FrameType | None) -> None:
    """Ends a job that has nothing to save."""
    del frame
    raise SystemExit(128 + number)


def _stop_with(lease: Path) -> None:
    """Sends this process SIGTERM when nobody has locked the file any more; a second one never."""
    while is_locked(lease):
        time.sleep(LOOK_EVERY_S)
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:  # it is where one has come already and is obeyed
        os.kill(os.getpid(), signal.SIGTERM)


def is_locked(path: Path) -> bool:
    """Whether another process has this file locked."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
