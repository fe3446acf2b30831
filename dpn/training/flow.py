"""What happens between the steps of a run: logging, validation, saving, stopping."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import lightning.pytorch as lightning

from dpn.program.cli import note
from dpn.training.alike import check_alike
from dpn.training.board import Board, board
from dpn.training.errors import written
from dpn.training.folder import Log, RunFolder, rows
from dpn.training.legs import Leg, differing
from dpn.training.recipe import Recipe
from dpn.training.state import State, save
from dpn.training.stopping import Stopped, Stopping
from dpn.training.task import PoseTask

LOG_EVERY = 10
"""Steps between two rows of the log, and between two looks at the loss where a look waits for others: for a GPU, or for
the other processes, which all look at the mean of theirs."""

WATCHED_ROWS = 10
"""Of the log, after the first one, in which everything starts: so long is looked at how a run waits for its samples."""

LONG_WAIT = 0.2
"""Share of that time, from which on it is said."""

SAVINGS_APART = 30
"""Between two saved states within an epoch there are so many times the seconds that one takes, at least: as many as the
quicker one of the last two took, so that a file system that hangs once does not count."""


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
        save_every_s: seconds between two saved states within an epoch; more where saving takes long.
        data: names and digests of the data, for the state.
        versions: for the state.
        leg: what this process trains with from a step on, asked for when training begins; see `dpn.training.legs`.
        legs: those before, and then this one too.
        backbone: what the network started from besides its seed.
        definition: of the network, for the state.
        best: the best validation so far.
        seconds: spent before this process.
        due: see `State`; of the step that the run goes on from.
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
    leg: Callable[[int], Leg]
    legs: list[Leg] = field(default_factory=list)
    backbone: dict[str, Any] | None = None
    definition: str = ""
    best: dict[str, float] | None = None
    seconds: float = 0.0
    due: bool = False
    scores: dict[str, Any] = field(default_factory=dict)
    _began: float = 0.0
    _log: Log | None = None
    _scored: int = -1
    _board: Board | None = None
    _savings_s: tuple[float, float] = (0.0, 0.0)
    _waits: list[tuple[float, float]] = field(default_factory=list)

    def setup(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        """Raises TrainingError, in all processes, where they are not about to train the same."""
        del trainer, stage
        data = {f"{part} data": named for part, named in self.data.items()}
        names = {"recipe": self.recipe.digest(), "network": self.definition}
        check_alike({"step": _task(pl_module).step, "due": self.due, **names, **data, **self.versions})

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Opens the log at the step that the run is at, whose epoch is ended first where that is due.

        Raises:
            Stopped: a signal came meanwhile.
        """
        task = _task(pl_module)
        self.stopping.listen()
        if trainer.is_global_zero:
            self._begin_leg(task.step)
        self._open(task.step, writes=trainer.is_global_zero)
        if self.due:
            self._end_epoch(task)
        self._logged = time.monotonic()
        task.rest()

    def end_last_epoch(self, task: PoseTask, *, writes: bool) -> None:
        """Ends the last epoch of a run that was ended after its last step; by the first process if it `writes`.

        Raises:
            Stopped: a signal came meanwhile.
        """
        self._open(task.step, writes=writes)
        try:
            self._end_epoch(task)
        finally:
            self._close()

    def _open(self, step: int, *, writes: bool) -> None:
        self._began = self._saved = time.monotonic()
        self._logged_step = step
        self._log = self._board = None
        if writes:
            with written(self.folder.path):
                self._log = Log(self.folder.log, step)
                self._scored = max((int(row["step"]) for row in rows(self.folder.log) if row.get("score")), default=-1)
                self._board = board(self.folder.path / "tensorboard", step)

    def _begin_leg(self, step: int) -> None:
        """Says what this leg does not share with the one before, after which a run is not exactly continued."""
        leg = self.leg(step)
        changed = differing(self.legs[-1], leg) if self.legs else ""
        if changed:
            note(f"{self.folder.path} goes on at step {step} with {changed}; its weights are not bit for bit those of "
                 "an undisturbed run, and its record will say so")  # fmt: skip
        self.legs = [*self.legs, leg]

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Closes what shows the curves."""
        del trainer, pl_module
        self._close()

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException | None
    ) -> None:
        """Closes what shows the curves."""
        del trainer, pl_module, exception
        self._close()

    def _close(self) -> None:
        if self._board:
            self._board.close()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:  # fmt: skip
        """Counts the step; at the end of an epoch saves, then validates; saves when it is time; stops when asked to.

        A validation may take long: a wish to stop ends it, and the run goes on with it from the state saved before.

        Raises:
            Stopped: a signal came; the state is saved.
            TrainingError: the loss is not finite, or the state cannot be saved.
        """
        del batch, batch_idx
        task, loss = _task(pl_module), outputs["loss"].detach()
        task.ended()
        if task.step % LOG_EVERY == 0:
            loss = trainer.strategy.reduce(loss, reduce_op="mean")
            self._add_loss(task, float(loss))
        if task.step % LOG_EVERY == 0 or (trainer.world_size == 1 and loss.device.type == "cpu"):
            task.check_loss(float(loss))
        trained = time.monotonic()
        if task.step % self.per_epoch == 0:
            task.check_weights()
            self._save(trainer, task, due=True)
            self._end_epoch(task)
        stop = self.stopping.now(task.step, trainer.strategy.root_device)
        if stop or trained - self._saved > max(self.save_every_s, SAVINGS_APART * min(self._savings_s)):
            self._save(trainer, task)
        if stop and task.step < self.per_epoch * self.recipe.epochs:
            task.check_weights()  # alike in all processes, of which the first did not save if they are no numbers
            trainer.strategy.barrier()  # none ends before the state is saved
            raise Stopped
        self._logged += time.monotonic() - trained  # neither looking nor saving is training
        task.rest()

    def _end_epoch(self, task: PoseTask) -> None:
        """Validates and draws; both are done again where the run was stopped or killed meanwhile."""
        epoch, recipe = task.step // self.per_epoch, self.recipe
        if epoch % recipe.val_every == 0 or epoch == recipe.epochs:
            self._validate(task)
        if self._log:
            with written(self.folder.pictures):
                self.picture(epoch)

    def _validate(self, task: PoseTask) -> None:
        self.scores = self.validate()
        if not self._log:
            return
        score = float(self.scores["score"])
        if self.best is None or score > self.best["score"]:
            self.best = {"step": float(task.step), "score": score}
            save(self.folder.best, self.state(task, {}), resumable=False)
        self._add_row(task, {"score": score})

    def _save(self, trainer: lightning.Trainer, task: PoseTask, *, due: bool = False) -> None:
        """Saves the state, but none with weights that are no numbers, which the next loss will tell of."""
        if trainer.is_global_zero and task.has_finite_weights():
            began = time.monotonic()
            save(self.folder.last, self.state(task, trainer.optimizers[0].state_dict(), due=due))
            self._saved = time.monotonic()
            self._savings_s = (self._savings_s[1], self._saved - began)

    def state(self, task: PoseTask, optimizer: Mapping[str, Any], *, due: bool = False) -> State:
        """The state of the run after this step."""
        return task.state(
            optimizer=optimizer, best=self.best, recipe=self.recipe.identity(), digest=self.recipe.digest(),
            data=self.data, versions=self.versions, seconds=self.spent_s(), legs=self.legs, backbone=self.backbone,
            definition=self.definition, due=due,
        )  # fmt: skip

    def spent_s(self) -> float:
        """Time spent on the run, before it was continued too."""
        return self.seconds + (time.monotonic() - self._began if self._began else 0.0)

    def _add_loss(self, task: PoseTask, loss: float) -> None:
        """A row with the loss, and with the speed since the last such row."""
        now, people = time.monotonic(), (task.step - self._logged_step) * self.recipe.batch
        spent = now - self._logged
        row = {"loss": loss, "people_per_s": round(people / spent, 2), "waiting_share": round(task.waited_s / spent, 4)}
        if len(self._waits) <= WATCHED_ROWS:
            self._waits.append((task.waited_s, spent))
            self._say_waits(task)
        self._logged, self._logged_step, task.waited_s = now, task.step, 0.0
        self._add_row(task, row)
        best = f", best {self.best['score']:.3f}" if self.best else ""
        self.told(task.step, f"loss {loss:.2e}{best}")

    def _say_waits(self, task: PoseTask) -> None:
        """Says, once enough is known, that a GPU's process waits long for samples, made anew in every epoch."""
        if len(self._waits) <= WATCHED_ROWS or not self._log or task.device.type != "cuda" or not self.recipe.augment:
            return
        waited_s, spent_s = map(sum, zip(*self._waits[1:], strict=True))
        if waited_s > LONG_WAIT * spent_s:
            note(f"the process has waited for samples {waited_s / spent_s:.0%} of the time, while its GPU may still "
                 "have been at work; give more --workers if there are cores for them")  # fmt: skip

    def _add_row(self, task: PoseTask, values: Mapping[str, float]) -> None:
        epoch = (task.step - 1) // self.per_epoch
        row: dict[str, Any] = {
            "step": task.step, "epoch": epoch, "lr": self.recipe.learning_rate(epoch),
            "seconds": round(self.spent_s(), 3), **values,
        }  # fmt: skip
        with written(self.folder.log):
            if self._log and not ("score" in values and task.step == self._scored):  # had before the run was killed
                self._log.add(row)
            if self._board:
                self._board.add(row)


def _task(module: lightning.LightningModule) -> PoseTask:
    assert isinstance(module, PoseTask)
    return module
