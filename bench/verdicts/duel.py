"""Two networks, or one network at two commits, timed against each other in turns. Imports no torch.

A round starts a fresh process for each side; within it the sides take turns sample by sample, the first place changing,
so that whatever else the machine does meets both alike.
"""

import math
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any

from bench.cell import Cell
from bench.machine import disturbance, gpu
from bench.sampling.timing import TARGET_S
from bench.statistics import Comparison, compare_rounds
from bench.sweeps.plan import check_range
from bench.sweeps.pool import Worker, Zygote, machine_to_itself
from bench.sweeps.processes import modules_of, prepare
from bench.sweeps.scratch import Scratch
from bench.verdicts.revisions import unpack
from dpn.checkout import GIT, ROOT
from dpn.program.quantities import so_many

Round = tuple[list[float], list[float]]


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How a duel is fought.

    Attributes:
        rounds: pairs of fresh processes.
        most_rounds: rounds after which the answer stands, however wide its interval.
        pairs: samples of each side in a round.
        effect: the smallest relative difference that matters.
    """

    rounds: int = 8
    most_rounds: int = 16
    pairs: int = 24
    effect: float = 0.05

    def check(self) -> None:
        """Called where the numbers are used, so that a command line says in one line what is wrong with them.

        Raises:
            ValueError: numbers that make no sense; names the option.
        """
        check_range("rounds", self.rounds, self.most_rounds)
        if self.pairs < 1 or not 0 < self.effect < math.inf:
            raise ValueError(f"--pairs {self.pairs} and --effect {self.effect} must be finite numbers above 0")


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the two: a cell, the checkout whose code runs it, and by how much its work is multiplied.

    Attributes:
        cell: what to run.
        folder: a checkout; None is this one.
        work: calls for each call that is counted; 1.1 is a slowdown of exactly ten percent, for trials.
    """

    cell: Cell
    folder: Path | None = None
    work: float = 1.0


@dataclass
class Duel:
    """The samples of two sides, round by round, and what they come to.

    Attributes:
        effect: the smallest relative difference that matters.
        rounds: the times of A and of B.
        disturbances: of each round what else the machine did; where there is something to say, why it counts as
            "disturbed", the "reasons" of the GPU itself, and which sides were "unsteady" when their samples began.
    """

    effect: float
    rounds: list[Round] = field(default_factory=list)
    disturbances: list[dict[str, Any]] = field(default_factory=list)

    def comparison(self) -> Comparison:
        """B against A: above 1 is slower; ambiguous where the GPU itself was slowed down, whatever the times say."""
        found, slowed = compare_rounds(self.rounds, self.effect), self._met("reasons", "the GPU was slowed down")
        notes = (found.reason, slowed, self._met("disturbed", "disturbed"), self._met("unsteady", "no steady state"))
        return replace(
            found, verdict="ambiguous" if slowed else found.verdict, reason="; ".join(filter(None, notes))
        )  # fmt: skip

    def _met(self, name: str, words: str) -> str:
        """In how many rounds there was that to say, and what of the first of them; empty where in none."""
        met = [", ".join(seen[name]) for seen in self.disturbances if name in seen]
        return f"{words} in {len(met)} of {so_many(len(self.rounds), 'round')} (first: {met[0]})" if met else ""


def fight(a: Side, b: Side, rules: Rules, tell: Callable[[int], None] = lambda _round: None) -> Duel:
    """Rounds until the interval of the ratio is no wider than what matters, or the last round is over.

    The number of rounds depends on the width of the interval alone, never on the verdict. An interval that is narrow by
    chance ends the duel early, which costs about one point of its confidence: in 8,000 simulated duels of equals it
    covered the truth in 94.3 to 94.6 % where it names 95.5 %.

    Raises:
        ValueError: rules that make no sense, or a network that a side's back end cannot run.
        WorkerError: a side cannot be built, or fails as it runs.
    """
    rules.check()
    duel = Duel(rules.effect)
    with Scratch() as home:
        with machine_to_itself():
            prepare_sides((a, b), home)
        while len(duel.rounds) < rules.most_rounds:
            with machine_to_itself(), ExitStack() as stack:
                zygotes = start(stack, (a, b))
                add_round(duel, zygotes, (a, b), home, rules.pairs)
            tell(len(duel.rounds))
            if len(duel.rounds) >= rules.rounds:
                interval = duel.comparison().interval
                if interval.high - interval.low <= 2 * rules.effect:
                    break
    return duel


def prepare_sides(sides: Sequence[Side], home: Path) -> list[dict[str, Any]]:
    """Writes what the workers of each side need below its folder, and returns what was learnt of its network.

    Raises:
        ValueError: a side's back end cannot run its network.
        WorkerError: a network cannot be built.
    """
    found = []
    for index, side in enumerate(sides):
        folder = home / str(index)
        folder.mkdir()
        found.append(prepare([side.cell], folder, side.folder))
        if found[-1]["failures"]:
            raise ValueError(f"{side.cell}: {'; '.join(found[-1]['failures'].values())}")
    return found


def start(stack: ExitStack, sides: Sequence[Side]) -> list[Zygote]:
    """A fresh interpreter for each side; one for both where they run the same libraries of the same checkout."""
    made: dict[tuple[Any, ...], Zygote] = {}
    for side in sides:
        kind = (side.folder, modules_of(side.cell))
        if kind not in made:
            made[kind] = stack.enter_context(Zygote(kind[1], folder=side.folder))
    return [made[(side.folder, modules_of(side.cell))] for side in sides]


def add_round(duel: Duel, zygotes: Sequence[Zygote], sides: Sequence[Side], home: Path, pairs: int) -> None:
    """One round: a fresh process for each side, warmed up, then sample by sample in turns."""
    with ExitStack() as stack:
        first = len(duel.rounds) % 2  # which side is started and warmed up first changes from round to round
        workers: list[Worker] = [stack.enter_context(zygotes[index].fork()) for index in range(2)]
        calls, unsteady = [0, 0], []
        for index in (first, 1 - first):
            calls[index], steady = _ready(workers[index], sides[index].cell, home / str(index))
            unsteady += [] if steady else ["AB"[index]]
        pids = [worker.pid for worker in workers]
        state, before = _gpu(sides), disturbance.snapshot(pids)
        samples: Round = ([], [])
        for pair in range(pairs):
            for index in (0, 1) if (pair + first) % 2 == 0 else (1, 0):
                work = Fraction(sides[index].work).limit_denominator(100)
                counted = -(-calls[index] // work.denominator) * work.denominator  # so that the extra work is exact
                answer = workers[index].ask("sample", calls=int(counted * work), per=counted)
                samples[index].append(answer["seconds"])
        reasons = gpu.reasons(state, _gpu(sides))
        seen = disturbance.between(before, disturbance.snapshot(pids))
    disturbed = disturbance.reasons(seen, max(side.cell.threads for side in sides))
    said = {"disturbed": disturbed, "reasons": reasons, "unsteady": unsteady}
    duel.rounds.append(samples)
    duel.disturbances.append(seen.to_dict() | {name: words for name, words in said.items() if words})


def _gpu(sides: Sequence[Side]) -> gpu.GpuState | None:
    """What the GPU is doing now, the sides' own processes apart; None where they run on the processor."""
    state = gpu.state() if any(side.cell.device == "cuda" for side in sides) else None
    return state and replace(state, other_processes=None)


def _ready(worker: Worker, cell: Cell, folder: Path) -> tuple[int, bool]:
    """Opens a network and warms it up: calls of a sample, and whether it reached a steady state."""
    opened = worker.ask("open", cell=asdict(cell), folder=str(folder))
    warm = worker.ask("series", at_least=8, keep=6, least_s=0.1, most_s=2.0)
    seconds: float = median(warm["samples"])
    return max(int(opened["calls"]), round(TARGET_S / seconds)), warm["start"] is not None


@contextmanager
def checkout(revision: str) -> Iterator[Path]:
    """A folder with the files of a commit of this project.

    Raises:
        ValueError: there is no such revision, it is from before networks could be timed, or it cannot be unpacked.
    """
    with Scratch() as folder:
        unpack(revision, ["bench", "dpn"], folder, instead="two networks without --of")
        if not (folder / "bench" / "worker.py").exists():
            raise ValueError(f"revision {revision!r} is from before networks could be timed; choose a later one")
        yield folder


def commit_of(revision: str) -> str:
    """The full name of a revision's commit; "unknown" where git has none."""
    command = [*GIT, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip() or "unknown"
