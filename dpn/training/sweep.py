"""Many runs, some at a time: finished ones are never repeated, stopped ones go on, and one that fails stops no other.

Imports no torch. Which runs belong to a table is in `ablation_tables`, how one is started in `sweep_executors`.

Two processes never train in one folder: a sweep has each run that it starts claimed by a lock, beside the lock that
training itself has. What is claimed or trained by another process is waited for, and gone on with if it was not ended.
"""

import signal
import time
from collections.abc import Callable, Sequence
from types import FrameType

from dpn.program.cli import EXPECTED, message
from dpn.program.interrupts import handled
from dpn.training.sweep_executors import Executor
from dpn.training.sweep_jobs import LEFT, STOPPED, Run
from dpn.training.sweep_progress import left_s
from dpn.training.sweep_tracking import State, Tracked

POLL_S = 0.25

LOOK_EVERY_S = 2.0
"""Between two looks into the logs of runs, and at those that are elsewhere."""

PATIENCE_S = 60.0
"""So long a file system may be away, with the result of a run, before that run has failed."""

Told = Callable[["Sweep", str], None]
"""Is told often, with what has just happened to a run or an empty text."""


class Sweep:
    """Runs, each at most once at a time.

    Attributes:
        tracked: all of them.
        stopping: somebody wishes that it stops.
    """

    def __init__(
        self, runs: Sequence[Run], executor: Executor, at_once: int, told: Told = lambda _sweep, _text: None
    ) -> None:
        """Looks for what is finished, and starts nothing.

        Args:
            runs: in the order in which they are started.
            executor: what starts them.
            at_once: how many at the same time.
            told: see `Told`.
        """
        self.tracked = [Tracked(run=run) for run in runs]
        self.stopping = False
        self._executor, self._at_once, self._told = executor, at_once, told
        self._looked = 0.0
        for one in self.tracked:
            if not one.find_result():
                one.look()

    def of(self, *states: State) -> list[Tracked]:
        """The runs in one of these states."""
        return [one for one in self.tracked if one.state in states]

    def left_s(self) -> float | None:
        """Seconds until everything is finished, as it looks; None while that is anybody's guess."""
        open_ = self.of("waiting", "running", "elsewhere")
        return left_s([one.pace for one in self.tracked], [one.pace for one in open_], self._at_once)

    def go(self) -> None:
        """Goes on until no run is left that could be started.

        With the first Ctrl-C or SIGTERM all runs save and stop, and it returns when they have; a second one raises
        KeyboardInterrupt, and they do so alone.
        """
        try:
            with handled(self._wish, signal.SIGINT, signal.SIGTERM):
                while self._step():
                    time.sleep(POLL_S)
        finally:
            for one in self.tracked:
                one.release()

    def _wish(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self.stopping:
            raise KeyboardInterrupt
        self.stopping = True

    def _step(self) -> bool:
        """Looks after everything once; false when nothing is left to do."""
        look = time.monotonic() - self._looked > LOOK_EVERY_S
        if look:
            self._looked = time.monotonic()
        if self.stopping:
            self._stop()
        for one in self.of("running"):
            if one.job and one.job.done():
                self._ended(one)
            elif look:
                one.look()
        if look:
            for one in self.of("elsewhere"):
                one.look()
                self._open(one)
        if not self.stopping:
            self._start()
        self._told(self, "")
        return bool(self.of("running")) or (not self.stopping and bool(self.of("waiting", "elsewhere")))

    def _start(self) -> None:
        """Fills the places that are free; a run that another process trains has one too."""
        for one in self.of("waiting"):
            taken = {other.slot for other in self.of("running")}
            busy = len(taken) + sum(other.trained for other in self.of("elsewhere"))
            if busy >= self._at_once:
                return
            one.slot = next(slot for slot in range(len(taken) + 1) if slot not in taken)
            self._open(one)
            if one.state == "waiting":
                self._launch(one)
            self._told(self, "")
            if self.stopping:
                return

    def _open(self, one: Tracked) -> None:
        """Claims a run and makes sure that nobody trains it; finds out what it is otherwise."""
        try:
            if one.find_result(PATIENCE_S if one.state == "elsewhere" else 0.0) is False:
                one.state = "waiting" if self._is_free(one) else "elsewhere"
        except EXPECTED as error:
            one.fail(message(error))
        if one.state == "finished":
            one.release()
            self._told(self, f"{one.run.name} was finished elsewhere, score {one.score:.4f}")
        elif one.state == "failed":
            one.release()
            self._told(self, f"{one.run.name} failed: {one.reason}")

    def _is_free(self, one: Tracked) -> bool:
        """Claims a run; whether nobody trains it but a job that an earlier sweep started, which is this one's now."""
        claimed = one.claim()
        one.job = self._executor.earlier(one.run) if claimed else None
        trained = one.is_trained()  # by whomever: it has a place
        return claimed and (one.job is not None or not trained)

    def _launch(self, one: Tracked) -> None:
        try:
            one.job = one.job or self._executor.start(one.run, one.slot)
        except EXPECTED as error:
            one.release()
            one.fail(message(error))
            self._told(self, f"{one.run.name} failed: {one.reason}")
            return
        one.state = "running"
        self._told(self, f"{one.run.name} {'goes on' if one.pace.share else 'started'}")

    def _ended(self, one: Tracked) -> None:
        """Says what came of a job, as soon as that is known."""
        found = one.find_result(0.0 if self.stopping else PATIENCE_S)
        if found is None:
            return
        job, one.job = one.job, None
        assert job is not None
        if found:
            said = f"finished, score {one.score:.4f}" if one.state == "finished" else f"failed: {one.reason}"
        elif not self.stopping and one.is_trained():
            one.state, said = "elsewhere", "is trained by another process; waiting for it"
        elif (reason := job.reason()) in (STOPPED, LEFT) and self.stopping:
            one.state, said = "stopped", "stopped and saved" if reason == STOPPED else "stopped"
        else:
            one.fail(reason, job.log)
            said = f"failed: {reason}; log: {job.log}"
        if one.state != "elsewhere":
            one.release()
        one.look()
        self._told(self, f"{one.run.name} {said}")

    def _stop(self) -> None:
        """Asks every run to save and stop; what was never started is left as it is."""
        for one in self.tracked:
            one.stop()
