"""What happens between the steps of a run: logging, validation, saving, stopping."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning

from dpn.training.folder import Log, RunFolder
from dpn.training.recipes import Recipe
from dpn.training.state import State, save
from dpn.training.stopping import Stopped, Stopping
from dpn.training.task import PoseTask

LOG_EVERY = 10
"""Steps between two rows of the log."""


@dataclass(kw_only=True)
class Flow(lightning.Callback):
    """Follows a run from step to step; only rank 0 writes, all ranks validate and stop together.

    Attributes:
        folder: of the run.
        recipe: what is trained.
        per_epoch: steps of an epoch.
        validate: scores the network that is meant to be used; called by all ranks.
        picture: draws its predictions after an epoch; called by rank 0.
        told: is told of progress: steps done, and what to show.
        stopping: see `Stopping`.
        save_every_s: seconds between two saved states within an epoch.
        data: names and digests of the data, for the state.
        versions: for the state.
        best: the best validation so far.
        seconds: spent before this process.
        scores: of the last validation.
    """

    folder: RunFolder
    recipe: Recipe
    per_epoch: int
    validate: Callable[[], dict[str, Any]]
    picture: Callable[[int], None]
    told: Callable[[int, str], None]
    stopping: Stopping
    save_every_s: float
    data: dict[str, str]
    versions: dict[str, str]
    best: dict[str, float] | None = None
    seconds: float = 0.0
    scores: dict[str, Any] = field(default_factory=dict)
    _began: float = 0.0

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Opens the log at the step that the run is at."""
        task = _task(pl_module)
        self._began = self._saved = self._logged = time.monotonic()
        self._first = self._logged_step = task.step
        self._log = Log(self.folder.log, task.step) if trainer.is_global_zero else None
        self._board = board(self.folder.path / "tensorboard", task.step) if trainer.is_global_zero else None
        task.rest()

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Closes what shows the curves."""
        del trainer, pl_module
        if self._board:
            self._board.close()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:  # fmt: skip
        """Counts the step; at the end of an epoch validates; saves when it is time; stops when asked to.

        Raises:
            Stopped: a signal came; the state is saved.
            TrainingError: the loss is not finite, or the state cannot be saved.
        """
        del batch, batch_idx
        task = _task(pl_module)
        task.ended(outputs["loss"])
        if task.step % LOG_EVERY == 0:
            self._add_row(task, loss=float(trainer.strategy.reduce(outputs["loss"].detach(), reduce_op="mean")))
        epoch_ended = task.step % self.per_epoch == 0
        if epoch_ended:
            self._end_epoch(trainer, task)
        stop = self.stopping.now(task.step, trainer.strategy.root_device)
        due = time.monotonic() - self._saved > self.save_every_s
        if trainer.is_global_zero and (epoch_ended or stop or due):
            self._save(trainer, task)
        if stop and task.step < self.per_epoch * self.recipe.epochs:
            raise Stopped
        task.rest()

    def _end_epoch(self, trainer: lightning.Trainer, task: PoseTask) -> None:
        epoch, recipe = task.step // self.per_epoch, self.recipe
        if epoch % recipe.val_every and epoch != recipe.epochs:
            return
        task.check_loss()
        self.scores = self.validate()
        if not trainer.is_global_zero:
            return
        score = float(self.scores["score"])
        self._add_row(task, score=score)
        self.picture(epoch)
        if self.best is None or score > self.best["score"]:
            self.best = {"step": float(task.step), "score": score}
            save(self.folder.best, self.state(task, {}), resumable=False)

    def _save(self, trainer: lightning.Trainer, task: PoseTask) -> None:
        task.check_loss()
        save(self.folder.last, self.state(task, trainer.optimizers[0].state_dict()))
        self._saved = time.monotonic()

    def state(self, task: PoseTask, optimizer: Mapping[str, Any]) -> State:
        """The state of the run after this step."""
        return task.state(
            optimizer=optimizer, best=self.best, recipe=self.recipe.identity(), digest=self.recipe.digest(),
            data=self.data, versions=self.versions, seconds=self.spent_s(),
        )  # fmt: skip

    def spent_s(self) -> float:
        """Time spent on the run, before it was continued too."""
        return self.seconds + (time.monotonic() - self._began if self._began else 0.0)

    def _add_row(self, task: PoseTask, **values: float) -> None:
        now, epoch = time.monotonic(), (task.step - 1) // self.per_epoch
        people = (task.step - self._logged_step) * self.recipe.batch
        row: dict[str, Any] = {
            "step": task.step, "epoch": epoch, "lr": self.recipe.learning_rate(epoch),
            "seconds": round(self.spent_s(), 3), **values,
        }  # fmt: skip
        if people:
            row |= {"people_per_s": round(people / (now - self._logged), 2),
                    "waiting_share": round(task.waited_s / (now - self._logged), 4)}  # fmt: skip
        self._logged, self._logged_step, task.waited_s = now, task.step, 0.0
        if self._log:
            self._log.add(row)
        if self._board:
            for name in ("loss", "lr", "people_per_s", "waiting_share", "score"):
                if name in row:
                    self._board.add_scalar(name, row[name], task.step)
        best = f", best {self.best['score']:.3f}" if self.best else ""
        self.told(task.step, f"loss {values.get('loss', math.nan):.2e}{best}")


def board(path: Path, step: int) -> Any:
    """What TensorBoard reads, from this step on; None where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(path), purge_step=step)


def _task(module: lightning.LightningModule) -> PoseTask:
    assert isinstance(module, PoseTask)
    return module
