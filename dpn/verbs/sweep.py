"""The verb `sweep` of `python -m dpn`: many runs, for whole tables. Imports no torch."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import tyro

from dpn.program.cli import Json, fail
from dpn.program.locks import is_locked
from dpn.training.ablation_tables import Budget, Table, recipes_of_all
from dpn.training.sweep import Sweep
from dpn.training.sweep_executors import executor_of, settled
from dpn.training.sweep_jobs import Run
from dpn.training.sweep_options import SweepOptions
from dpn.training.sweep_progress import pace_of
from dpn.training.sweep_tracking import Tracked

Tables = Annotated[tuple[Table, ...], tyro.conf.Positional]
List = Annotated[bool, tyro.conf.arg(name="list"), tyro.conf.FlagCreatePairsOff]

SAY_EVERY_S = 300.0
"""Between two lines about progress, where there is no terminal to show a bar on."""


def sweep(
    tables: Tables, budget: Budget = "quick", seeds: int = 3, data: str | None = None,
    val_data: str | None = None,
    options: Annotated[SweepOptions, tyro.conf.OmitArgPrefixes] = SweepOptions(),  # noqa: B008 - frozen
    as_list: List = False, as_json: Json = False,
) -> int:  # fmt: skip
    """Trains what tables of ablations compare, several runs at a time; the same command goes on after any stop.

    Finished runs are not repeated, and runs that tables share are trained once. A run that fails stops no other: its
    error and its log are named at the end, and the exit code is 1. Ctrl-C saves and stops all of them.

    Args:
        tables: which, one or more.
        budget: quick, behind the light stem, or full on synthetic figures, or coco.
        seeds: runs of each recipe, with seeds 0, 1, ...
        data: to learn from instead of the recipes' own, such as COCO's folder; validated on is its other split.
        val_data: to validate on instead, for a folder that has no splits.
        options: how runs are started.
        as_list: say which runs there are and how far each is, and start nothing.
        as_json: print the runs as one list of objects: recipe, seed, state, share, seconds, score, folder, error, log.
    """
    if not tables:
        raise ValueError("name at least one table, such as: python -m dpn sweep table-2")
    recipes = recipes_of_all(tables, budget, seeds, data, val_data)
    options = options if as_list else settled(options)
    return swept([Run(recipe=recipe, where=options.where(recipe)) for recipe in recipes], options, as_list, as_json)


def swept(runs: Sequence[Run], options: SweepOptions, as_list: bool = False, as_json: bool = False) -> int:
    """Trains these runs, or lists them, and says what came of each.

    Args:
        runs: in the order in which they are started.
        options: as `settled` returns them; not looked at where runs are listed.
        as_list: see `sweep`.
        as_json: likewise.

    Returns:
        The exit code: 0, or 1 if a run has failed.

    Raises:
        SystemExit: with 130, after it was asked to stop.
    """
    if as_list:
        _say_list(runs, as_json)
        return 0
    executor = executor_of(options)
    assert options.at_once is not None
    with _telling() as told:
        sweep = Sweep(runs, executor, options.at_once, told)
        sweep.go()
    if as_json:
        print(json.dumps([_as_dict(one) for one in sweep.tracked]))
    else:
        _say_scores(sweep.tracked)
    for one in sweep.of("failed"):
        print(f"error: {one.run.name}: {one.reason}" + (f"; log: {one.log}" if one.log else ""), file=sys.stderr)
    if sweep.of("waiting", "stopped", "elsewhere"):
        stopped, rest = len(sweep.of("stopped")), len(sweep.of("waiting", "elsewhere"))
        said = f"{stopped} runs keep what they have saved, {rest} had not begun here"
        fail(f"stopped: {said}; the same command goes on", 130)
    return 1 if sweep.of("failed") else 0


def _as_dict(one: Tracked) -> dict[str, Any]:
    return {
        "recipe": one.run.recipe.name,
        "seed": one.run.recipe.seed,
        "state": one.state,
        "share": round(one.pace.share, 4),
        "seconds": round(one.pace.seconds, 1),
        "score": one.score,
        "folder": str(one.run.folder.path),
        "error": one.reason or None,
        "log": str(one.log) if one.log else None,
    }


def _say_list(runs: Sequence[Run], as_json: bool) -> None:
    tracked = []
    for run in runs:
        one = Tracked(run=run)
        if not one.find_result():
            one.pace = pace_of(run)
            one.state = "elsewhere" if is_locked(run.claim) or one.is_trained() else "waiting"
        tracked.append(one)
    if as_json:
        print(json.dumps([_as_dict(one) for one in tracked]))
        return
    width = max(len(one.run.name) for one in tracked)
    for one in tracked:
        said = "running" if one.state == "elsewhere" else one.state
        print(f"{one.run.name:{width}}  {said:8}  {one.pace.share:4.0%}  {one.run.folder.path}")
    finished = sum(one.state == "finished" for one in tracked)
    print(f"{len(tracked)} runs, {finished} of them finished")


def _say_scores(tracked: Sequence[Tracked]) -> None:
    """A row for each recipe, a column for each seed."""
    seeds = sorted({one.run.recipe.seed for one in tracked})
    scores = {(one.run.recipe.name, one.run.recipe.seed): one.score for one in tracked}
    width = max(len(one.run.recipe.name) for one in tracked)
    print("  ".join([f"{'score':{width}}", *(f"seed {seed}" for seed in seeds), "  mean"]))
    for name in dict.fromkeys(one.run.recipe.name for one in tracked):
        found = [scores.get((name, seed)) for seed in seeds]
        have = [score for score in found if score is not None]
        mean = sum(have) / len(have) if have else None
        cells = ("-" if score is None else f"{score:.4f}" for score in (*found, mean))
        print("  ".join([f"{name:{width}}", *(f"{cell:>6}" for cell in cells)]))


def _counts(sweep: Sweep) -> str:
    left = sweep.left_s()
    parts = [f"{len(sweep.of('finished'))} of {len(sweep.tracked)} finished"]
    parts += [
        f"{len(found)} {word}"
        for word, found in (
            ("running", sweep.of("running")),
            ("failed", sweep.of("failed")),
            ("trained by others", sweep.of("elsewhere")),
        )
        if found
    ]
    return ", ".join(parts) + (f", {_clock(left)} left" if left else "")


def _clock(seconds: float) -> str:
    """Hours and minutes.

    Example:
        >>> _clock(3725), _clock(20)
        ('1:02 h', '1 min')
    """
    minutes = max(1, round(seconds / 60))
    return f"{minutes // 60}:{minutes % 60:02} h" if minutes >= 60 else f"{minutes} min"


@contextmanager
def _telling() -> Iterator[Callable[[Sweep, str], None]]:
    """Bars on a terminal that has rich, else a line for each thing that happens."""
    rich = _rich() if sys.stderr.isatty() else None
    if rich is None:
        yield _Lines()
        return
    with rich:
        yield _Bars(rich)


def _rich() -> Any:
    try:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
    except ImportError:
        return None
    columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.description}", markup=False))
    return Progress(*columns, console=Console(stderr=True))


class _Lines:
    """What happens, line by line, and now and then how far everything is."""

    def __init__(self) -> None:
        self._said = 0.0
        self._stopping = False

    def __call__(self, sweep: Sweep, text: str) -> None:
        if sweep.stopping and not self._stopping:
            self._stopping = True
            print("stopping: runs save and end", file=sys.stderr, flush=True)
        if text or time.monotonic() - self._said > SAY_EVERY_S:
            self._said = time.monotonic()
            print(f"{text + '; ' if text else ''}{_counts(sweep)}", file=sys.stderr, flush=True)


class _Bars:
    """A bar for all runs together, and one for each that runs."""

    def __init__(self, progress: Any) -> None:
        self._progress = progress
        self._whole = progress.add_task("", total=1.0)
        self._tasks: dict[str, Any] = {}

    def __call__(self, sweep: Sweep, text: str) -> None:
        if text:
            self._progress.console.print(text, highlight=False, markup=False)
        done = sum(1.0 if one.state == "failed" else one.pace.share for one in sweep.tracked)
        said = _counts(sweep) + ("; stopping: runs save and end" if sweep.stopping else "")
        self._progress.update(self._whole, completed=done, total=len(sweep.tracked), description=said)
        running = {one.run.name: one.pace.share for one in sweep.of("running", "elsewhere")}
        for name in self._tasks.keys() - running.keys():
            self._progress.remove_task(self._tasks.pop(name))
        for name, share in running.items():
            if name not in self._tasks:
                self._tasks[name] = self._progress.add_task(name, total=1.0)
            self._progress.update(self._tasks[name], completed=share)
