"""The harness put to the test: comparisons whose true answer is known, decided by its own rules. Imports no torch.

A network duels with itself (A/A), or with itself doing 11 calls for every 10 or 5 for every 4 (A/B), on the machine as
it is. The samples are kept as records, so that every rule, ours and the yardsticks, decides the same trials.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.cell import Cell
from bench.records.record import Record
from bench.records.store import Store
from bench.statistics import Comparison, compare_rounds
from bench.sweeps import assemble
from bench.sweeps.pool import machine_to_itself
from bench.sweeps.scratch import Scratch
from bench.verdicts.duel import Duel, Rules, Side, add_round, prepare_sides, start

SLOWDOWNS = (1.1, 1.25)
"""True ratios of time beside 1, nothing changed: ten percent more, twenty-five percent more."""

BATCH = 10
"""Trials that go through their rounds together: they share the interpreters that their processes are forked from."""


def run(store: Store, cell: Cell, wanted: Mapping[float, int], rules: Rules, tell: Callable[[int], None]) -> int:
    """Fights the trials that the store lacks and returns how many were added.

    Args:
        store: where the trials are kept.
        cell: the network, small enough that thousands of processes are affordable.
        wanted: number of trials by true ratio.
        rules: of each duel, with the rounds and pairs of `Rules()`, which no key of a trial says: trials of others
            would be taken for these. Every trial takes exactly `rules.rounds` rounds.
        tell: told how many trials ended.
    """
    side, added = Side(cell=cell), 0
    # Kinds take turns, so that a busy hour does not meet one of them alone.
    trials = [(ratio, index) for ratio, number in wanted.items() for index in range(number)]
    trials.sort(key=lambda trial: (trial[1] / wanted[trial[0]], trial[0]))
    with Scratch() as home:
        with machine_to_itself():
            digest = prepare_sides((side, side), home)[0]["digest"]
        keys = {trial: _blank(cell, digest, *trial).key() for trial in trials}
        while True:
            with machine_to_itself():
                store.refresh()  # another process may have fought some meanwhile
                batch = [trial for trial in trials if store.newest(keys[trial]) is None][:BATCH]
                if not batch:
                    return added
                for (ratio, index), duel in zip(batch, _fought(side, batch, rules, home), strict=True):
                    store.append(_record(cell, digest, ratio, index, duel))
            added += len(batch)
            tell(len(batch))


def _fought(side: Side, batch: Sequence[tuple[float, int]], rules: Rules, home: Path) -> list[Duel]:
    duels = [Duel(rules.effect) for _ in batch]
    for _ in range(rules.rounds):
        with ExitStack() as stack:
            zygotes = start(stack, (side, side))
            for (ratio, _), duel in zip(batch, duels, strict=True):
                add_round(duel, zygotes, (side, replace(side, work=ratio)), home, rules.pairs)
    return duels


def rounds_of(record: Record) -> list[tuple[list[float], list[float]]]:
    """The samples of a trial, round by round, as `compare_rounds` takes them."""
    return [(fought["a"], fought["b"]) for fought in record.detail["rounds"]]


def decided(records: Sequence[Record]) -> Iterator[tuple[Record, Comparison]]:
    """Every trial with the verdict that the rules of today give it."""
    for record in records:
        if record.metric == "trial":
            yield record, compare_rounds(rounds_of(record), record.detail["effect"])


def _blank(cell: Cell, digest: str, ratio: float, index: int) -> Record:
    return _record(cell, digest, ratio, index, Duel(0.0))


def _record(cell: Cell, digest: str, ratio: float, index: int, duel: Duel) -> Record:
    detail: dict[str, Any] = {
        "effect": duel.effect,
        "rounds": [{"a": a, "b": b} for a, b in duel.rounds],
        "disturbances": duel.disturbances,
    }
    value = duel.comparison().ratio if duel.rounds else 0.0
    protocol = {"true_ratio": ratio, "trial": index}
    return assemble.make_for(cell, digest, "trial", value, protocol=cell.protocol() | protocol, detail=detail)
