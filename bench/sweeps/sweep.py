"""Measures a grid of cells: rounds of fresh processes, all networks in turns, every finished process kept. No torch."""

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from bench.cell import Cell
from bench.machine import disturbance, environment
from bench.records.record import Record
from bench.records.store import Store
from bench.running import backends
from bench.subject import Subject
from bench.sweeps import assemble, ceilings
from bench.sweeps.journal import Journal
from bench.sweeps.plan import Plan
from bench.sweeps.pool import Worker, WorkerError, Zygote, machine_to_itself, waiting
from bench.sweeps.processes import ceiling_rates, modules_of, prepare, run_cell
from bench.sweeps.scratch import Scratch
from dpn import checkout
from dpn.digests import digest_of


@dataclass
class Progress:
    """What a sweep has done, as it goes.

    Attributes:
        measured: records added.
        present: cells that had their record already.
        refused: a line for each cell that cannot be measured.
        flagged: records whose value a reader must not trust blindly.
        keys: of the records that the cells have in the end.
        empty: networks of which nothing is known after all, because every one of their cells was refused.
    """

    measured: int = 0
    present: int = 0
    refused: list[str] = field(default_factory=list)
    flagged: int = 0
    keys: set[str] = field(default_factory=set)
    empty: list[str] = field(default_factory=list)


@dataclass(eq=False)
class Rival:
    """A cell that is under way.

    Attributes:
        cell: what is measured.
        prepared: what was learnt when its network was built.
        folder: with the files that its workers read.
        key: of its results in the journal.
        results: of its processes so far.
        refused: why it cannot be measured; empty while it can.
    """

    cell: Cell
    prepared: dict[str, Any]
    folder: Path
    key: str
    results: list[dict[str, Any]]
    refused: str = ""


Item = TypeVar("Item")

Tell = Callable[[str, float], None]
"""Told what is being measured and how many cells' worth of work ended since the last time."""


class Sweep:
    """One run over a grid of cells, writing to one store."""

    def __init__(
        self, store: Store, plan: Plan, tell: Tell = lambda _text, _cells: None, *, again: bool = False
    ) -> None:  # fmt: skip
        """Measures into `store` by `plan`, and tells a progress bar about it.

        Args:
            store: of the records.
            plan: how much to measure.
            tell: see `Tell`.
            again: measure what the store has, too, the machine's ceilings among it.
        """
        self.store, self.plan, self.tell, self.again = store, plan, tell, again
        self.progress = Progress()
        self._known: set[str] = set()  # networks with a record
        self._reached: dict[str, float] = {}  # ceilings by their keys; 0 where no candidate ran

    def run(self, work: Iterable[tuple[Subject, Sequence[Cell]]]) -> Progress:
        """Measures what the store lacks, or everything again.

        All cells are rivals: a round has one process of each, those of one setting side by side. What the machine does
        in the hour that a sweep lasts thus meets every network alike, and times of one sweep can be compared.

        Args:
            work: subjects with their cells.

        Raises:
            ValueError: a plan that makes no sense, or a commit (`dpn.checkout.commit`).
        """
        self.plan.check()
        checkout.commit()  # raises
        with (
            machine_to_itself(lambda: self.tell(waiting(), 0)),
            Journal(self.store.root) as journal,
            Scratch() as home,
        ):
            _say_dropped(journal.keep_only(_usable))
            self.store.refresh()
            rivals: list[Rival] = []
            asked = []
            for number, (subject, cells) in enumerate(work):
                rivals += self._of_subject(subject, cells, home / str(number), journal)
                asked += [subject.name] if cells else []
            for rival in self.rounds(_side_by_side(rivals), journal):
                if rival.refused:
                    self._refuse(rival.cell, rival.prepared["digest"], rival.refused)
                    journal.done(rival.key)
                else:
                    self._record(rival, journal)
        self.progress.empty = [name for name in asked if name not in self._known]
        return self.progress

    def _of_subject(self, subject: Subject, cells: Sequence[Cell], home: Path, journal: Journal) -> list[Rival]:
        wanted = list(cells) if self.again else self._missing(cells, subject.spec_digest(), journal)
        offered = []
        for cell in wanted:
            reason = backends.unavailable(cell)
            if reason is None:
                offered.append(cell)
            else:
                self._refuse(cell, subject.spec_digest(), reason)
        rivals = []
        for alike in _grouped(offered, lambda cell: cell.shape()):
            folder = home / "x".join(map(str, alike[0].shape()))
            folder.mkdir(parents=True)
            rivals += self._rivals(subject, alike, folder, journal)
        return rivals

    def _missing(self, cells: Sequence[Cell], digest: str | None, journal: Journal) -> list[Cell]:
        """The cells without a record; all of them while the network has no digest, because it is not built yet."""
        if digest is None:
            return list(cells)
        present = [cell for cell in cells if self.store.bring_forward(assemble.key(cell, digest), cell.subject)]
        for key in (assemble.key(cell, digest) for cell in present):
            journal.done(journal_key(key))  # killed between its record and this
            self.progress.keys.add(key)
        self.progress.present += len(present)
        self._known |= {cell.subject for cell in present}
        self.tell("", len(present))
        return [cell for cell in cells if cell not in present]

    def _rivals(self, subject: Subject, cells: list[Cell], folder: Path, journal: Journal) -> list[Rival]:
        self.tell(f"{cells[0].subject}: building", 0)
        try:
            prepared = prepare(cells, folder)
        except WorkerError as error:
            for cell in cells:
                self._refuse(cell, subject.spec_digest(), str(error))
            return []
        digest = prepared["digest"]
        if subject.spec_digest() is None and not self.again:
            cells = self._missing(cells, digest, journal)
        rivals = []
        for cell in cells:
            if cell.backend in prepared["failures"]:
                self._refuse(cell, digest, prepared["failures"][cell.backend])
                continue
            key = journal_key(assemble.key(cell, digest))
            rivals.append(Rival(cell, prepared, folder, key, journal.results(key)))
        return rivals

    def rounds(self, rivals: Sequence[Rival], journal: Journal) -> Iterator[Rival]:
        """Measures rivals in rounds of one process each, and yields each when it wants no more or is refused.

        Args:
            rivals: in the order of the first round, which is shifted in each further one.
            journal: where each result is kept.
        """
        left = list(rivals)
        began, number = datetime.now(UTC).isoformat(timespec="microseconds"), 0
        while True:
            for rival in [rival for rival in left if rival.refused or not self._wants_more(rival.results)]:
                left.remove(rival)
                yield rival
            if not left:
                return
            shift = number * len(left) // self.plan.processes % len(left)
            for rival, result in self._round(left[shift:] + left[:shift]):
                if isinstance(result, str):
                    rival.refused = result
                    continue
                result["round"] = f"{began} {number}"
                journal.add(rival.key, result)
                rival.results.append(result)
            number += 1
            self.tell(f"round {number} of {self.plan.processes} to {self.plan.most_processes} done", 0)

    def _wants_more(self, results: Sequence[dict[str, Any]]) -> bool:
        """Whether a cell needs another process: for its number, for a disturbed one, or for a narrower interval."""
        plan = self.plan
        counted = assemble.counted(results, plan)
        spent = sum(result["seconds"] for result in results)
        if len(results) < plan.processes:
            return len(results) < plan.fewest_processes() or spent < plan.budget_s
        if len(results) >= plan.most_processes:
            return False
        if any(result["reasons"] for result in counted):
            return True
        return not assemble.narrow(counted, plan) and spent < plan.budget_s

    def _round(self, rivals: Sequence[Rival]) -> Iterator[tuple[Rival, dict[str, Any] | str]]:
        """One process for each rival, forked from this round's own interpreters; a reason instead where it fails."""
        with ExitStack() as stack:
            zygotes: dict[tuple[tuple[str, ...], bool], Zygote] = {}
            for rival in rivals:
                result: dict[str, Any] | str
                try:
                    with _forked(rival.cell, zygotes, stack) as worker:
                        result = self._measured(rival.cell, worker, rival.folder)
                except WorkerError as error:
                    result = str(error)
                yield rival, result

    def _measured(self, cell: Cell, worker: Worker, folder: Path) -> dict[str, Any]:
        self.tell(str(cell), 1 / self.plan.processes)
        result = run_cell(worker, cell, folder, self.plan)
        seen = result.get("disturbance")
        reasons = disturbance.reasons(disturbance.Disturbance(**seen), cell.threads) if seen else []
        return result | {"reasons": reasons + result.get("reasons", [])}

    def _record(self, rival: Rival, journal: Journal) -> None:
        cell, prepared, bounds = rival.cell, rival.prepared, None
        if cell.metric in ("latency", "throughput") and prepared["macs"] is not None:
            bounds = self._ceilings(cell, journal)
        record = assemble.record(cell, prepared["digest"], rival.results, self.plan, prepared, bounds)
        self._append(record)
        self._known.add(cell.subject)
        self.progress.keys.add(record.key())
        journal.done(rival.key)

    def _append(self, record: Record) -> None:
        self.store.append(record)
        self.progress.measured += 1
        self.progress.flagged += bool(record.flags)

    def _refuse(self, cell: Cell, digest: str | None, reason: str) -> None:
        """Reports a cell that cannot be measured, and files the reason under the network's digest.

        Somebody's factory that cannot be built has no digest, and nothing is filed: its name does not say what it
        builds, so that a reason kept under the name would outlive the mistake. Each sweep tries it again and reports
        it again. No refusal keeps a later sweep from trying: what was in the way may have been removed.
        """
        self.progress.refused.append(f"{cell}: {reason}")
        self.tell(str(cell), 1)
        if digest is None:
            return
        refusal = assemble.refusal(cell, digest, reason)
        known = self.store.newest(refusal.key())
        if known is None or _without_numbers(known.detail["reason"]) != _without_numbers(reason):
            self.store.append(refusal)

    def _ceilings(self, cell: Cell, journal: Journal) -> tuple[float, float] | None:
        """The machine's arithmetic and copy ceilings for a cell; None where nothing reached one of them."""
        arithmetic, copy = self._ceiling("arithmetic", cell, journal), self._ceiling("copy", cell, journal)
        return (arithmetic, copy) if arithmetic and copy else None

    def _ceiling(self, kind: ceilings.Kind, cell: Cell, journal: Journal) -> float:
        """One of them, measured once a sweep at most: if asked to, or if the store has none of these libraries."""
        key = assemble.ceiling(kind, cell, {}).key()
        if key not in self._reached:
            known = None if self.again else self.store.newest(key)
            candidates = ceilings.candidates(kind, device=cell.device, precision=cell.precision)
            if known is None or ceilings.renewed(known.versions, environment.versions(), candidates):
                self._reached[key] = self._measured_ceiling(kind, cell, journal, journal_key(key))
            else:
                self._reached[key] = float(known.value)
            journal.done(journal_key(key))
        return self._reached[key]

    def _measured_ceiling(self, kind: ceilings.Kind, cell: Cell, journal: Journal, key: str) -> float:
        """A ceiling measured now, with what the journal has of it; 0 without a record where no candidate ran."""
        self.tell(f"{kind} ceiling of this machine, {cell.threads} threads", 0)
        rates = {result["candidate"]: result["rates"] for result in journal.results(key)}
        for candidate, rate in ceiling_rates(kind, cell, set(rates)):
            rates[candidate] = rate
            if "failure" not in rate:  # the next sweep tries it again
                journal.add(key, {"candidate": candidate, "rates": rate})
        try:
            _, best = ceilings.best(rates)
        except ValueError as error:  # the times are worth their records without it
            self.tell(str(error), 0)
            return 0.0
        self._append(assemble.ceiling(kind, cell, rates))
        return best


def _forked(cell: Cell, zygotes: dict[tuple[tuple[str, ...], bool], Zygote], stack: ExitStack) -> Worker:
    """A fresh process for a cell; an interpreter that cannot fork is dropped, and the next rival gets another one."""
    kind = modules_of(cell), cell.metric == "memory"
    if kind not in zygotes:
        zygotes[kind] = stack.enter_context(Zygote(kind[0], alike=kind[1]))
    try:
        return zygotes[kind].fork()
    except WorkerError:
        zygotes.pop(kind).close()
        raise


def _side_by_side(rivals: Iterable[Rival]) -> list[Rival]:
    """The rivals of one setting next to each other, networks in the order in which they came."""

    def setting(rival: Rival) -> tuple[object, ...]:
        cell = rival.cell
        return cell.metric, cell.device, cell.backend, cell.precision, cell.threads, cell.batch

    return [rival for group in _grouped(rivals, setting) for rival in group]


def _grouped(items: Iterable[Item], key: Callable[[Item], tuple[object, ...]]) -> list[list[Item]]:
    """Those of one key together, in the order in which their first ones came."""
    groups: dict[tuple[object, ...], list[Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.values())


def _without_numbers(reason: str) -> str:
    """A reason as it is told again: by how much outputs differ may change from run to run."""
    return re.sub(r"\d+(\.\d+)?(e[+-]?\d+)?", "0", reason)


def journal_key(key: str) -> str:
    """Under which results wait for the record of that key, which names one code, one set of versions and one setting.

    Results of others are not pooled with them; those of this code wait until somebody asks under their setting again.
    """
    setting = digest_of(environment.versions() | environment.describe("cuda"))
    return f"{key}@{checkout.code()}@{environment.machine()}@{setting}"


def _usable(key: str) -> bool:
    """Whether a sweep of this code may ask for that key of a journal, here or elsewhere, now or later."""
    return f"@{checkout.code()}@" in key


def _say_dropped(dropped: Counter[str]) -> None:
    """One line on standard error if anything was dropped."""
    of = Counter("/".join(key.split("/")[:2]) for key in dropped.elements())  # machine and metric
    if of:
        parts = ", ".join(f"{number} of {name}" for name, number in of.items())
        print(f"{of.total()} results of other code are dropped: {parts}", file=sys.stderr, flush=True)
