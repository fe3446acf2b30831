"""What starts the runs of a sweep: submitit, on this machine or on a Slurm cluster. Imports no torch.

Jobs on a cluster outlive their sweep, and a later one finds them; those on this machine do not, see `sweep_jobs`.
"""

import os
import signal
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from dpn import processor
from dpn.program.error_words import first_said
from dpn.program.interrupts import withheld
from dpn.program.missing import install
from dpn.training.cores import workers_for_gpu
from dpn.training.sweep_jobs import LEFT, Run, Training
from dpn.training.sweep_options import SweepOptions

REMEDY = f"sweeps need submitit; {install('training')}, or: pip install submitit"

WORKERS_ON_CLUSTER = 4
"""Of a run on a cluster, for each of its GPUs."""

FOREVER_MIN = 10 * 365 * 24 * 60


class Job(Protocol):
    """A run that was started.

    Attributes:
        log: the file with its last words.
    """

    log: Path

    def done(self) -> bool:
        """Whether its process has ended, however."""

    def reason(self) -> str:
        """Why it has ended without a result, in one line."""

    def stop(self) -> None:
        """Asks it to save and stop; needless where the sweep's lock does."""


class Executor(Protocol):
    """What starts jobs."""

    def start(self, run: Run, slot: int) -> Job:
        """Starts a run, in one of the places that there are for those at the same time."""

    def earlier(self, run: Run) -> Job | None:
        """The run's job that an earlier sweep started and that is still alive."""


class LocalExecutor:
    """Jobs on this machine."""

    def __init__(self, gpus: tuple[str, ...]) -> None:
        """Spreads runs over the GPUs, where there are some.

        Args:
            gpus: names as in CUDA_VISIBLE_DEVICES.
        """
        self._submitit = _submitit()
        self._gpus = gpus

    def start(self, run: Run, slot: int) -> Job:
        """Starts a run, which never hears of Ctrl-C, nor of SIGTERM before it asks for it.

        A terminal sends Ctrl-C to all processes in front of it. submitit's own process between sweep and job would kill
        the job a second later, and the job would take it for the second one, which does not wait for anything.
        """
        executor = self._submitit.LocalExecutor(run.jobs / "local")
        executor.update_parameters(timeout_min=FOREVER_MIN)
        gpu = self._gpus[slot % len(self._gpus)] if self._gpus else ""
        with withheld(signal.SIGINT, signal.SIGTERM):
            return LocalJob(executor.submit(Training(run=run, lease=run.claim, gpus=gpu)))

    def earlier(self, run: Run) -> Job | None:  # noqa: ARG002 - the protocol's signature
        """None: they stop with their sweep."""
        return None


class SlurmExecutor:
    """Jobs on a cluster."""

    def __init__(self, options: SweepOptions) -> None:
        """Takes partition, time and devices from the options.

        Raises:
            RuntimeError: there is no Slurm here.
        """
        self._submitit, self._options = _submitit(), options
        if not self._submitit.SlurmExecutor.affinity() > 0:
            raise RuntimeError("there is no Slurm here (no srun); leave out --executor slurm, or log in to the cluster")

    def start(self, run: Run, slot: int) -> Job:  # noqa: ARG002 - the cluster has places of its own
        """Puts a run into the queue."""
        options = self._options
        executor = self._submitit.SlurmExecutor(run.jobs / "slurm", max_num_timeout=100)
        executor.update_parameters(
            job_name=f"{run.recipe.name}-{run.recipe.seed}",
            time=options.time_min,
            ntasks_per_node=run.where.devices,
            cpus_per_task=run.where.workers_each() + 1,
            **({"gpus_per_node": options.gpus} if options.gpus else {}),
            **({"partition": options.partition} if options.partition else {}),
        )
        return SlurmJob(executor.submit(Training(run=run)))

    def earlier(self, run: Run) -> Job | None:
        """The newest job, if the cluster still knows it as waiting or running."""
        asked = max((run.jobs / "slurm").glob("*_submitted.pkl"), key=lambda path: path.stat().st_mtime, default=None)
        if asked is None:
            return None
        job = self._submitit.SlurmJob(asked.parent, asked.name.removesuffix("_submitted.pkl"))
        return None if job.done(force_check=True) or job.state == "UNKNOWN" else SlurmJob(job)


class LocalJob:
    """A job on this machine."""

    def __init__(self, job: Any) -> None:
        """One that has just been started: what came of an earlier one with the same number is forgotten."""
        self._job = job
        self.log = Path(job.paths.stderr)
        job.paths.result_pickle.unlink(missing_ok=True)

    def done(self) -> bool:
        """See `Job`."""
        return bool(self._job.done())

    def reason(self) -> str:
        """See `Job`."""
        if not self._job.paths.result_pickle.is_file():
            return "its process ended without a word, as when it is killed or memory is full"
        return _reason(self._job)

    def stop(self) -> None:
        """Nothing: it looks for the sweep's lock itself."""


class SlurmJob:
    """A job on a cluster, of whose tasks the first one speaks."""

    def __init__(self, job: Any) -> None:
        self._job = job
        self.log = Path(job.task(0).paths.stderr)

    def done(self) -> bool:
        """See `Job`."""
        return bool(self._job.done())

    def reason(self) -> str:
        """See `Job`; the cluster may cancel one before it has begun, or before it has said a word."""
        task = self._job.task(0)
        if not task.paths.result_pickle.is_file() and str(task.state).startswith("CANCELLED"):
            return LEFT
        return _reason(task)

    def stop(self) -> None:
        """Cancels it, and the cluster sends SIGTERM first."""
        with suppress(OSError):
            self._job.cancel(check=False)


def _reason(job: Any) -> str:
    try:
        return str(job.result())
    except Exception as error:  # submitit's, with a whole log in it
        return first_said(error)


def _submitit() -> Any:
    try:
        import submitit
    except ModuleNotFoundError as error:
        if error.name != "submitit":
            raise
        raise RuntimeError(REMEDY) from error
    return submitit


def settled(options: SweepOptions) -> SweepOptions:
    """The options with what this machine decides, where they leave it open: how many at once, and their workers.

    Raises:
        ValueError: no run could start.
    """
    if options.at_once is not None and options.at_once < 1:
        raise ValueError(f"--at-once is at least 1, not {options.at_once}")
    if options.executor == "slurm":
        workers, at_once = WORKERS_ON_CLUSTER if options.gpus else 1, options.at_once or sys.maxsize
    else:
        gpus = _gpus(options)
        at_once = options.at_once or len(gpus) or processor.granted_cores()
        workers = workers_for_gpu(at_once) if gpus else 1
    return replace(options, at_once=at_once, workers=workers if options.workers is None else options.workers)


def executor_of(options: SweepOptions) -> Executor:
    """What starts the jobs.

    Args:
        options: as `settled` returns them.

    Raises:
        RuntimeError: submitit or Slurm is missing.
        ValueError: a GPU is asked for, and there is none.
    """
    return SlurmExecutor(options) if options.executor == "slurm" else LocalExecutor(_gpus(options))


def _gpus(options: SweepOptions) -> tuple[str, ...]:
    """Those that runs may use, by the names that CUDA_VISIBLE_DEVICES has for them."""
    if options.accelerator == "cpu":
        return ()
    import torch

    count = torch.cuda.device_count()
    if not count and options.accelerator == "cuda":
        raise ValueError("no GPU here; leave out --accelerator cuda")
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    names = [name.strip() for name in visible.split(",")] if visible.strip() else [str(n) for n in range(count)]
    return tuple(names[:count])
