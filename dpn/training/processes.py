"""One process or several: who is first, Lightning's trainer, and how an error in one of them ends all."""

import logging
import os
import signal
import subprocess
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import lightning.pytorch as lightning
import torch
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.strategies.launchers import subprocess_script
from lightning.pytorch.utilities import rank_zero_only

from dpn.program.error_words import first_said
from dpn.training.errors import TrainingError
from dpn.training.flow import Flow
from dpn.training.folder import RunFolder
from dpn.training.options import RunOptions
from dpn.training.recipe import Recipe
from dpn.training.stopping import Stopped
from dpn.training.task import PoseTask

CONNECTIONS = ("gloo", "NCCL", "Connection closed", "Connection reset", "Broken pipe")
"""Words of torch's errors when another process of a run is not there any more."""

ENDING_S = 20
"""Given to the other processes of this machine to say what is wrong with them, or to end, before they are killed."""


LOST = "another process of this run has ended, and says why if it could; {}"


def rank() -> int:
    """Of this process, known before Lightning starts: what starts the processes sets it."""
    return int(getattr(rank_zero_only, "rank", 0))


def check_count(where: RunOptions) -> None:
    """Raises ValueError where there are too few GPUs, or torchrun or Slurm started another number of processes.

    Each of them would train by itself, all in the same folder.
    """
    if where.device() == "cuda" and where.devices > (there := torch.cuda.device_count()):
        raise ValueError(f"--devices {where.devices}: this machine has {there} GPUs; take --devices {there} or less")
    asked = where.processes
    if SLURMEnvironment.detect():
        starter, started = "Slurm", int(os.environ["SLURM_NTASKS"])
    elif "LOCAL_RANK" in os.environ:
        starter, started = "torchrun", int(os.environ.get("WORLD_SIZE", asked))
    else:
        return
    if started != asked:
        raise ValueError(f"{starter} has started {started} processes, and --devices {where.devices} with --num-nodes "
                         f"{where.num_nodes} makes {asked}; give the numbers that are started")  # fmt: skip


def _trainer(recipe: Recipe, where: RunOptions, flow: Flow, *, idle: bool) -> lightning.Trainer:
    """Lightning's trainer, which starts processes and moves tensors, and does nothing else by itself."""
    device, alone = where.device(), where.processes == 1
    backend = "nccl" if device == "cuda" else "gloo"
    return lightning.Trainer(
        accelerator="gpu" if device == "cuda" else "cpu",
        devices=where.devices,
        num_nodes=where.num_nodes,
        strategy="auto" if alone else DDPStrategy(process_group_backend=backend, find_unused_parameters=idle),
        precision="bf16-mixed" if recipe.precision == "bf16" else "32-true",
        benchmark=device == "cuda",  # all batches have one shape, for which cuDNN looks for its fastest algorithms
        sync_batchnorm=recipe.sync_batch_norm and device == "cuda",
        plugins=[SLURMEnvironment(auto_requeue=False)] if SLURMEnvironment.detect() else None,
        max_epochs=1,  # one pass through the batches that are left; the epochs of the recipe are counted in steps
        use_distributed_sampler=False,
        callbacks=[flow],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=flow.folder.path,
    )


def fit(task: PoseTask, recipe: Recipe, where: RunOptions, flow: Flow, *, idle: bool = False) -> None:
    """Trains, and leaves no process behind.

    Args:
        task: what is trained.
        recipe: how.
        where: on what.
        flow: what happens between its steps.
        idle: some parameters never have a gradient, for which several processes would wait.

    Raises:
        TrainingError: a process died, of those that make samples or of those that train.
        KeyboardInterrupt: Ctrl-C came a second time.
        Exception: whatever else ended the training.
    """
    with _quiet(), _observed(flow.folder):
        trainer = _trainer(recipe, where, flow, idle=idle)
        try:
            trainer.fit(task)
        except SystemExit as error:  # what Lightning makes of it
            _end(trainer, at_once=True)
            if isinstance(error.__context__, KeyboardInterrupt):
                raise KeyboardInterrupt from None
            raise
        except Exception as error:
            lost = isinstance(error, RuntimeError) and any(word in str(error) for word in CONNECTIONS)
            _end(trainer, at_once=not (lost or isinstance(error, Stopped)))
            _explain(error, flow.folder, lost=lost and where.processes > 1)
            raise
        _end(trainer, at_once=False)


def _explain(error: Exception, folder: RunFolder, *, lost: bool) -> None:
    """Raises in the place of torch's messages about dead processes one with a remedy."""
    if type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
        raise TrainingError(
            f"the network cannot be compiled: {first_said(error)}; install a C++ compiler such as g++, or "
            "train with --no-compile"
        ) from error
    again = _again(folder)
    cut_off = isinstance(error, ConnectionError | EOFError)  # it was killed while it was sending
    if cut_off or "DataLoader worker" in str(error):
        raise TrainingError(f"a process that makes samples {_what_befell(str(error))}; {again}") from error
    if lost:
        raise TrainingError(LOST.format(again)) from error


def _what_befell(said: str) -> str:
    """A process that makes samples, by torch's words, with a remedy; these have the worker's own error at their end."""
    if "</torch_" in said or "out of shared memory" in said:
        reason = said.strip().rpartition(": ")[2] if "</torch_" in said else "it is full"
        return (f"cannot write a batch into shared memory, the files in /dev/shm: {reason}; make room there or raise "
                "the limit (df /dev/shm, ulimit -f, docker --shm-size), or take --workers 0")  # fmt: skip
    if said.startswith("Caught "):
        return f"failed: {said.strip().splitlines()[-1]}; --workers 0 with DPN_TRACEBACK=1 shows where"
    return "died, as when memory is full; take fewer --workers if it comes back"


def _again(folder: RunFolder) -> str:
    return f"{folder.path} holds the last state: start again to continue"


@contextmanager
def _observed(folder: RunFolder) -> Iterator[None]:
    """Puts in the place of Lightning's observer, which kills all processes without a word, one that waits and tells.

    A process that ended is mostly noticed by the exchange of gradients, whose error is explained; but some exchanges
    wait for ever.
    """
    over = threading.Event()

    def observe(processes: list[subprocess.Popen[bytes]]) -> None:
        while not over.wait(1.0):
            if any(process.poll() for process in processes):
                if not over.wait(2 * ENDING_S):
                    for process in processes:
                        process.kill()
                    os.write(2, f"error: {LOST.format(_again(folder))}\n".encode())
                    os._exit(1)
                return

    def start(child_processes: list[subprocess.Popen[bytes]]) -> None:
        threading.Thread(target=observe, args=(child_processes,), daemon=True).start()

    names, observer = vars(subprocess_script), "_launch_process_observer"
    before = names[observer]
    names[observer] = start
    try:
        yield
    finally:
        over.set()
        names[observer] = before


def _end(trainer: lightning.Trainer, *, at_once: bool) -> None:
    """Waits for the processes that this one has started, and kills those that do not end."""
    started: list[subprocess.Popen[bytes]] = getattr(trainer.strategy.launcher, "procs", [])
    for process in started:
        if not at_once:
            with suppress(subprocess.TimeoutExpired):
                process.wait(ENDING_S)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Lightning's advice: its loaders, its logger and its devices are chosen here."""
    logs = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.ERROR)  # they also announce their maker's products
    try:
        with warnings.catch_warnings():
            for module in ("lightning", "torch.utils.data"):
                warnings.filterwarnings("ignore", module=module)
            yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)
