"""How far the runs of a sweep are, by what they have logged, and how long the rest will take. Imports no torch."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from dpn.training.errors import TrainingError
from dpn.training.folder import rows
from dpn.training.sweep_jobs import Run

SURE_FROM = 0.01
"""Share of a run that must be done before its end can be foretold."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How far a run is.

    Attributes:
        share: of its steps that are done, from 0 to 1.
        seconds: that they took.
        recipe: whose pace this is.
    """

    share: float = 0.0
    seconds: float = 0.0
    recipe: str = ""

    @property
    def whole_s(self) -> float | None:
        """Seconds for all of the run, or None while too little of it is done."""
        return self.seconds / self.share if self.share >= SURE_FROM and self.seconds > 0 else None


def pace_of(run: Run, known: Pace | None = None) -> Pace:
    """How far a run is, by its result or its log.

    Args:
        run: which.
        known: what holds where neither is there or can be read: for a moment, or because it is damaged, and then the
            run itself says why it cannot go on.
    """
    folder, recipe = run.folder, run.recipe
    with suppress(OSError, TrainingError):  # the log may say how far the run got
        if (result := folder.result()) is not None:
            return Pace(share=1.0, seconds=float(result["seconds"]), recipe=recipe.name)
    with suppress(OSError, ValueError, KeyError):  # its lines may lack an epoch
        for last in rows(folder.log)[-1:]:
            steps = run.steps
            share = int(last["step"]) / steps if steps else int(last["epoch"]) / recipe.epochs
            return Pace(share=min(share, 1.0), seconds=float(last["seconds"]), recipe=recipe.name)
    return replace(known or Pace(), recipe=recipe.name)


def left_s(known: Sequence[Pace], left: Sequence[Pace], at_once: int) -> float | None:
    """Seconds until the runs that are left will have ended, so many at the same time.

    A run that has hardly begun will take as long as others of its recipe did, or else as the mean of all.

    Args:
        known: the pace of all runs, finished ones too.
        left: of those that have not ended.
        at_once: how many run at the same time.

    Returns:
        None where no run has got far enough to tell.

    Example:
        >>> half, new = Pace(share=0.5, seconds=60, recipe="a"), Pace(recipe="b")
        >>> left_s([half, new], [half, new], 1), left_s([half, new], [half, new], 2), left_s([new], [new], 2)
        (180.0, 120.0, None)
    """
    whole: dict[str, list[float]] = {}
    for pace in known:
        if pace.whole_s is not None:
            whole.setdefault(pace.recipe, []).append(pace.whole_s)
    if not whole:
        return None
    every = [seconds for found in whole.values() for seconds in found]
    rest = []
    for pace in left:
        alike = whole.get(pace.recipe, every)
        rest.append((pace.whole_s or sum(alike) / len(alike)) * (1 - pace.share))
    return max(sum(rest) / max(1, min(at_once, len(rest))), max(rest, default=0.0))
