"""Records put to the test: a network and its copies in one sweep, every pair of which is the same. Imports no torch.

Duels have trials of their own, `bench.verdicts.trials`. These are of what most comparisons rest on: records of one
sweep, a process of each in every round, compared by their processes. A network that is slower by a tenth would have the
same times multiplied, so the same records say how often that is found.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations

from bench.cell import Cell
from bench.machine import environment
from bench.records.record import METRICS, Record, key_of
from bench.records.rows import row_of
from bench.records.store import Store
from bench.statistics import Comparison
from bench.sweeps import assemble
from bench.sweeps.journal import Journal
from bench.sweeps.plan import Plan
from bench.sweeps.pool import machine_to_itself
from bench.sweeps.processes import prepare
from bench.sweeps.scratch import Scratch
from bench.sweeps.sweep import Rival, Sweep, journal_key
from bench.verdicts.turns import compare_times

METRIC = "copy"


@dataclass(frozen=True, kw_only=True)
class Copies:
    """The copies of one sweep.

    Attributes:
        records: one of each copy, of one network, setting and machine.
    """

    records: tuple[Record, ...]

    @property
    def machine(self) -> str:
        """The machine's key."""
        return self.records[0].machine

    def comparisons(self, ratio: float = 1.0) -> list[Comparison]:
        """Every pair, a later copy against an earlier one, as records are compared.

        Args:
            ratio: the later copy's times are multiplied by it; 1.1 is a slowdown of ten percent.
        """
        rows = [row_of(record) for record in self.records]
        slowed = [
            row_of(record.model_copy(update={"samples": tuple(ratio * sample for sample in record.samples)}))
            for record in self.records
        ]
        return [compare_times(rows[i], slowed[j]) for i, j in combinations(range(len(rows)), 2)]


def check(number: int) -> None:
    """That so many copies can be compared.

    Raises:
        ValueError: there are fewer than two.
    """
    if number < 2:
        raise ValueError(f"--copies {number}: two copies are the fewest that can be compared")


def measure(
    store: Store, cell: Cell, number: int, plan: Plan, tell: Callable[[str, float], None] = lambda _text, _cells: None
) -> int:
    """Measures the copies that the store lacks, and returns how many were added: all of them, or none.

    A stopped call keeps its processes, and the next one goes on. One in which a process failed keeps nothing: what the
    next one adds to some of the copies would not be measured in turns with the others.

    Args:
        store: where the copies are kept.
        cell: the latency of a small network.
        number: of copies, at least two.
        plan: of each.
        tell: see `bench.sweeps.sweep.Tell`.

    Raises:
        ValueError: fewer than two copies, the network cannot be measured here, or a process of a copy failed.
        WorkerError: the network cannot be built.
    """
    plan.check()
    check(number)
    sweep = Sweep(store, plan, tell)
    with machine_to_itself(), Journal(store.root) as journal, Scratch() as home:
        store.refresh()
        prepared = prepare([cell], home)
        if prepared["failures"]:
            raise ValueError(f"{cell}: {'; '.join(prepared['failures'].values())}")
        keys = [_key(cell, prepared["digest"], copy, number) for copy in range(number)]
        if all(store.newest(key) for key in keys):
            return 0
        rivals = [Rival(cell, prepared, home, journal_key(key), journal.results(journal_key(key))) for key in keys]
        for rival in sweep.rounds(rivals, journal):
            if rival.refused:
                for one in rivals:
                    journal.done(one.key)
                raise ValueError(f"{cell}: {rival.refused}")
        for copy, rival in enumerate(rivals):
            record = assemble.record(cell, prepared["digest"], rival.results, plan, prepared, None)
            known = {"metric": METRIC, "metric_version": METRICS[METRIC].version}
            store.append(record.model_copy(update=known | {"protocol": _protocol(cell, copy, number)}))
        for rival in rivals:
            journal.done(rival.key)
    return number


def found(records: Iterable[Record]) -> Iterator[Copies]:
    """Every set of copies that is whole, the newest record of each copy; flagged ones are among them.

    Args:
        records: any, the older ones first.
    """
    newest = {record.key(): record for record in records if record.metric == METRIC}
    sets: dict[str, list[Record]] = {}
    for record in newest.values():
        sets.setdefault(_set_of(record), []).append(record)
    for copies in sets.values():
        if len(copies) == copies[0].protocol["copies"]:
            yield Copies(records=tuple(sorted(copies, key=lambda record: int(str(record.protocol["copy_number"])))))


def _protocol(cell: Cell, copy: int, number: int) -> dict[str, int | float | str | bool | list[int]]:
    return cell.protocol() | {"copy_number": copy, "copies": number}


def _key(cell: Cell, digest: str, copy: int, number: int) -> str:
    where = environment.machine(cell.device)
    return key_of(where, METRIC, METRICS[METRIC].version, digest, _protocol(cell, copy, number))


def _set_of(record: Record) -> str:
    shared = {name: value for name, value in record.protocol.items() if name != "copy_number"}
    return key_of(record.machine, METRIC, record.metric_version, record.spec_digest, shared)
