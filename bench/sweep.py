"""Measures a grid of cells: rounds of fresh processes, rivals interleaved, every finished process kept. No torch."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import assemble, backends, ceilings, disturbance
from bench.cell import Cell
from bench.journal import Journal
from bench.plan import Plan
from bench.pool import WorkerError, Zygote, machine_to_itself
from bench.processes import ceiling_rates, modules_of, prepare, run_cell
from bench.record import Record
from bench.scratch import Scratch, remove_orphans
from bench.store import Store
from bench.subject import Subject
from dpn import checkout


@dataclass
class Progress:
    """What a sweep has done, as it goes.

    Attributes:
        measured: records added.
        present: cells that had their record already.
        refused: a line for each cell that cannot be measured.
        flagged: records whose value a reader must not trust blindly.
        empty: networks of which nothing is known after all, because every one of their cells was refused.
    """

    measured: int = 0
    present: int = 0
    refused: list[str] = field(default_factory=list)
    flagged: int = 0
    empty: list[str] = field(default_factory=list)


Tell = Callable[[str, float], None]
"""Told what is being measured and how many cells' worth of work ended since the last time."""


class Sweep:
    """One run over a grid of cells, writing to one store."""

    def __init__(self, store: Store, plan: Plan, tell: Tell = lambda _text, _cells: None) -> None:
        """Measures into `store` by `plan`, and tells a progress bar about it."""
        self.store, self.plan, self.tell = store, plan, tell
        self.progress = Progress()

    def run(self, work: Iterable[tuple[Subject, Sequence[Cell]]], *, again: bool = False) -> Progress:
        """Measures what the store lacks; cells of one subject are rivals and take turns.

        Args:
            work: subjects with their cells.
            again: measure what the store has, too.
        """
        self.plan.check()
        with Journal(self.store.root) as journal:
            journal.keep_only(lambda key: key.endswith(_journal_key("")))
            for subject, cells in work:
                before = self.progress.measured + self.progress.present
                with machine_to_itself(lambda: self.tell("waiting for another sweep on this machine", 0)):
                    remove_orphans()
                    self._subject(subject, cells, journal, again=again)
                if cells and self.progress.measured + self.progress.present == before:
                    self.progress.empty.append(subject.name)
        return self.progress

    def _subject(self, subject: Subject, cells: Sequence[Cell], journal: Journal, *, again: bool) -> None:
        wanted = list(cells) if again else self._missing(cells, subject.spec_digest(), journal)
        offered = []
        for cell in wanted:
            reason = backends.unavailable(cell)
            if reason is None:
                offered.append(cell)
            else:
                self._refuse(cell, subject.spec_digest(), reason)
        if not offered:
            return
        with Scratch() as home:
            for size, rivals in _by_input(offered).items():
                folder = home / "x".join(map(str, size))
                folder.mkdir()
                self._rivals(subject, rivals, folder, journal, again=again)

    def _missing(self, cells: Sequence[Cell], digest: str | None, journal: Journal) -> list[Cell]:
        """The cells without a record; all of them while the network has no digest, because it is not built yet."""
        if digest is None:
            return list(cells)
        self.store.refresh()
        present = [cell for cell in cells if self.store.newest(assemble.key(cell, digest)) is not None]
        for cell in present:
            journal.done(_journal_key(assemble.key(cell, digest)))  # killed between its record and this
        self.progress.present += len(present)
        self.tell("", len(present))
        return [cell for cell in cells if cell not in present]

    def _rivals(
        self, subject: Subject, cells: list[Cell], folder: Path, journal: Journal, *, again: bool
    ) -> None:  # fmt: skip
        self.tell(f"{cells[0].subject}: building", 0)
        try:
            prepared = prepare(cells, folder)
        except WorkerError as error:
            for cell in cells:
                self._refuse(cell, subject.spec_digest(), str(error))
            return
        digest = prepared["digest"]
        if subject.spec_digest() is None and not again:
            cells = self._missing(cells, digest, journal)
        for cell in list(cells):
            if cell.backend in prepared["failures"]:
                self._refuse(cell, digest, prepared["failures"][cell.backend])
                cells.remove(cell)
        self._rounds(cells, prepared, folder, journal)

    def _rounds(self, cells: list[Cell], prepared: dict[str, Any], folder: Path, journal: Journal) -> None:
        digest: str = prepared["digest"]
        keys = {cell: _journal_key(assemble.key(cell, digest)) for cell in cells}
        found = {cell: journal.results(key) for cell, key in keys.items()}
        for number in range(self.plan.most_processes):
            unfinished = [cell for cell in cells if self._wants_more(found[cell])]
            if not unfinished:
                break
            shift = number % len(unfinished)  # every rival has every place in the order
            for cell, result in self._round(unfinished[shift:] + unfinished[:shift], folder):
                if isinstance(result, str):
                    self._refuse(cell, digest, result)
                    cells.remove(cell)
                    journal.done(keys[cell])
                    continue
                journal.add(keys[cell], result)
                found[cell].append(result)
        for cell in cells:
            self._record(cell, found[cell], prepared, journal)
            journal.done(keys[cell])

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

    def _round(self, cells: Sequence[Cell], folder: Path) -> Iterator[tuple[Cell, dict[str, Any] | str]]:
        """One process for each cell, forked from this round's own interpreters; a reason instead where it fails."""
        with ExitStack() as stack:
            zygotes: dict[tuple[tuple[str, ...], bool], Zygote] = {}
            for cell in cells:
                kind = modules_of(cell), cell.metric == "memory"
                try:
                    if kind not in zygotes:
                        zygotes[kind] = stack.enter_context(Zygote(kind[0], alike=kind[1]))
                    yield cell, self._measured(cell, zygotes[kind], folder)
                except WorkerError as error:
                    yield cell, str(error)

    def _measured(self, cell: Cell, zygote: Zygote, folder: Path) -> dict[str, Any]:
        self.tell(str(cell), 1 / self.plan.processes)
        with zygote.fork() as worker:
            result = run_cell(worker, cell, folder, self.plan)
        seen = result.get("disturbance")
        reasons = disturbance.reasons(disturbance.Disturbance(**seen), cell.threads) if seen else []
        return result | {"reasons": reasons}

    def _record(
        self, cell: Cell, results: Sequence[dict[str, Any]], prepared: dict[str, Any], journal: Journal
    ) -> None:
        bounds = None
        if cell.metric in ("latency", "throughput") and prepared["macs"] is not None:
            bounds = self._ceilings(cell, journal)
        record = assemble.record(cell, prepared["digest"], results, self.plan, prepared, bounds)
        self._append(record)
        self.progress.flagged += bool(record.flags)

    def _append(self, record: Record) -> None:
        self.store.append(record)
        self.progress.measured += 1

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

    def _ceilings(self, cell: Cell, journal: Journal) -> tuple[float, float]:
        """The machine's arithmetic and copy ceilings for a cell, measured when the store has none."""
        values = []
        kinds: tuple[ceilings.Kind, ...] = ("arithmetic", "copy")
        for kind in kinds:
            blank = assemble.ceiling(kind, cell, {})
            known, key = self.store.newest(blank.key()), _journal_key(blank.key())
            if known is None:
                self.tell(f"{kind} ceiling of this machine, {cell.threads} threads", 0)
                rates = {result["candidate"]: result["rates"] for result in journal.results(key)}
                for candidate, rate in ceiling_rates(kind, cell, set(rates)):
                    journal.add(key, {"candidate": candidate, "rates": rate})
                    rates[candidate] = rate
                known = assemble.ceiling(kind, cell, rates)
                self._append(known)
            journal.done(key)
            values.append(float(known.value))
        return values[0], values[1]


def _by_input(cells: Sequence[Cell]) -> dict[tuple[int, ...], list[Cell]]:
    groups: dict[tuple[int, ...], list[Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.shape(), []).append(cell)
    return groups


def _without_numbers(reason: str) -> str:
    """A reason as it is told again: by how much outputs differ may change from run to run."""
    return re.sub(r"\d+(\.\d+)?(e[+-]?\d+)?", "0", reason)


def _journal_key(key: str) -> str:
    """Results of another commit's code are not pooled with this one's."""
    return f"{key}@{checkout.commit()[0]}"
