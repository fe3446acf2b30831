"""Verdicts between two sets of records: counts exactly, times by `bench.statistics`. Imports no torch."""

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from bench.recording.count_changes import count_changes
from bench.records.record import METRICS, Record, identity
from bench.records.rows import ABOUT_MEASURING, CEILINGS, LARGER_IS_BETTER, TIMES, Row, quantities, rows
from bench.records.store import Store
from bench.verdicts.fought import Fought
from bench.verdicts.turns import compare_times

Verdict = Literal[
    "equal", "changed", "added", "removed", "faster", "slower", "same", "ambiguous", "larger", "smaller"
]  # fmt: skip

QUIET = frozenset({"equal", "same"})
"""Verdicts that a reader in a hurry can skip."""

INCOMPLETE = "incomplete on both sides: what nobody can count is in neither, nor whether it changed"

SAME_RECORD = "the same record on both sides"

NO_TEST = "two values, no test"

MEMORY_EFFECT = 0.01
"""The memory of a cell repeats within 1 %, so a larger difference is one."""


class DifferentMachinesError(ValueError):
    """The same cell was timed on two machines, whose times say nothing about the code."""


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One quantity in both sets, or in the one that has it.

    Attributes:
        base: the row of the first set, or None.
        head: the row of the second set, or None.
        verdict: what became of it.
        ratio: head over base as a time or a size, above 1 is worse; None for counts and where one side is missing.
            Rates (throughput, ceilings) are inverted, so that this holds in every row.
        interval: of the ratio, or None where it comes from two values only.
        p: of the rank test, or None where there was none.
        notes: why the verdict is what it is, what changed, and what else differs between the two.
    """

    base: Row | None
    head: Row | None
    verdict: Verdict
    ratio: float | None = None
    interval: tuple[float, float] | None = None
    p: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def row(self) -> Row:
        """The newer of its rows."""
        row = self.head or self.base
        assert row is not None
        return row

    @property
    def metric(self) -> str:
        """What is compared."""
        return self.row.record.metric

    @property
    def machine(self) -> str:
        """The machine, or both of them."""
        machines = dict.fromkeys(row.record.machine for row in (self.base, self.head) if row)
        return " -> ".join(machines)

    @property
    def incomplete(self) -> bool:
        """Whether neither count is complete, so that what changed may be in neither."""
        return bool(self.base and self.head and not (self.base.record.complete or self.head.record.complete))

    @property
    def same_record(self) -> bool:
        """Whether a measured quantity is equal because one record stands on both sides."""
        return SAME_RECORD in self.notes

    @property
    def across_machines(self) -> bool:
        """Whether the two were measured on different machines."""
        return bool(self.base and self.head and self.base.record.machine != self.head.record.machine)


@dataclass(frozen=True, kw_only=True)
class Report:
    """Every quantity of either set.

    Attributes:
        compared: one entry for each, in the order of the rows.
        effect: the smallest difference of times that mattered.
        head: all current rows of the second set, those about measuring too: what the comparison rests on.
        duels: fought live between the same two, where there were any.
        allowed: what would have failed and was let pass, in words; empty where nothing was.
        warnings: which lines of either set cannot be used, so that what they hold seems to be missing, and why.
        unread: those files about counts of the first set that have such lines, so that HEAD's counts seem to be new.
    """

    compared: tuple[Compared, ...]
    effect: float
    head: tuple[Row, ...] = field(repr=False)
    duels: tuple[Fought, ...] = ()
    allowed: str = ""
    warnings: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()

    def noteworthy(self) -> tuple[Compared, ...]:
        """The entries whose verdict is neither equal nor same."""
        return tuple(entry for entry in self.compared if entry.verdict not in QUIET)


def compare(base: Store, head: Store, *, effect: float = 0.05, across_machines: bool = False) -> Report:
    """Every quantity of two sets of records, matched by subject, metric, protocol and machine.

    The digest takes no part: what a change did to a network is the question.

    Args:
        base: the records to compare with.
        head: the records to judge.
        effect: the smallest difference of times that matters, such as 0.05 for 5 %.
        across_machines: compare times of different machines too; their rows say so and pass every gate.

    Raises:
        DifferentMachinesError: a cell was timed on different machines only, and `across_machines` is False.
        ValueError: the effect is not a positive number, or a record contradicts itself.
    """
    if not (math.isfinite(effect) and effect > 0):
        raise ValueError(f"effect must be a positive number such as 0.05, not {effect!r}")
    old, new = rows(base), rows(head)
    by_old, by_new = ({identity(row.record): row for row in _quantities_and_opinions(found)} for found in (old, new))
    pairs = [(by_old.get(key), by_new.get(key)) for key in {**by_old, **by_new}]
    crossing = _crossing(pairs)
    if crossing and not across_machines:
        first, second = crossing[0]
        raise DifferentMachinesError(
            f"{first.record.metric} of {first.record.subject} was measured on {first.record.machine} in the base "
            f"and on {second.record.machine} in the head; measure both on one machine, or add --across-machines"
        )
    crossed = {id(row) for pair in crossing for row in pair}
    pairs = [pair for pair in pairs if not any(id(row) in crossed for row in pair)] + list(crossing)
    compared = [_entry(first, second, effect) for first, second in pairs]
    warnings = (*_warnings("base", base), *_warnings("head", head))
    return Report(
        compared=tuple(compared), effect=effect, head=tuple(new), warnings=warnings, unread=_unread_counts(base)
    )  # fmt: skip


def _warnings(side: str, store: Store) -> list[str]:
    """What the store says of lines that cannot be used, its files named as in every row."""
    return [f"{side}: {warning.removeprefix(f'{store.root}/')}" for warning in store.warnings()]


def _unread_counts(store: Store) -> tuple[str, ...]:
    """The files about counts that have a line which cannot be used, or cannot be read at all."""
    said = store.warnings()
    counts = {name for name, metric in METRICS.items() if metric.exact} - ABOUT_MEASURING
    return tuple(
        f"{path.parent.name}/{path.name}"
        for path in sorted(store.root.glob("*/*.jsonl"))
        if path.stem in counts and any(warning.startswith((f"{path},", f"{path}:")) for warning in said)
    )


def _quantities_and_opinions(found: list[Row]) -> list[Row]:
    """The rows that two sets of records are compared by: quantities, and what other counters say of them."""
    return quantities(found) + [row for row in found if row.record.metric == "second_opinions"]


def compare_rows(base: Row, head: Row, effect: float) -> Compared:
    """One quantity of two sets of records.

    Args:
        base: the row to compare with.
        head: the row to judge.
        effect: the smallest difference of times that matters.
    """
    versions: tuple[str, ...] = ()
    if base.record.metric_version != head.record.metric_version:
        both = f"version {base.record.metric_version} and version {head.record.metric_version}"
        versions = (f"measured by {both} of the metric",)
    if METRICS[head.record.metric].exact:
        return _counts(base, head, versions)
    if versions:
        return Compared(base=base, head=head, verdict="ambiguous", notes=versions)
    if base.record == head.record:
        return Compared(base=base, head=head, verdict="equal", notes=(SAME_RECORD,))
    decide = _times if head.record.metric in TIMES else _values
    return decide(base, head, effect, _differences(base.record, head.record))


def _entry(base: Row | None, head: Row | None, effect: float) -> Compared:
    if base is None or head is None:
        return Compared(base=base, head=head, verdict="added" if base is None else "removed")
    return compare_rows(base, head, effect)


def _counts(base: Row, head: Row, versions: tuple[str, ...]) -> Compared:
    """Exactly; a count in another way is a change, for nothing says that the two ways count one network alike."""
    changes = (*versions, *count_changes(base.record, head.record))
    found = Compared(base=base, head=head, verdict="changed" if changes else "equal", notes=changes)
    return replace(found, notes=(*changes, INCOMPLETE)) if found.incomplete else found


def _times(base: Row, head: Row, effect: float, notes: tuple[str, ...]) -> Compared:
    """By the samples of both sides' processes; a flag on either side leaves the verdict open."""
    found = compare_times(base, head, effect)
    verdict: Verdict = found.verdict if base.trusted and head.trusted else "ambiguous"
    reason = (found.reason,) if found.reason else ()
    return Compared(
        base=base, head=head, verdict=verdict, ratio=found.ratio,
        interval=(found.interval.low, found.interval.high), p=found.p,
        notes=(*_flags(base, head), *reason, *notes),
    )  # fmt: skip


def _values(base: Row, head: Row, effect: float, notes: tuple[str, ...]) -> Compared:
    """By the two values alone, which the notes say: memory by 1 %, energy by the effect of times.

    A flag on either side, or memory that was measured in two ways, leaves the verdict open. A ceiling is the fastest
    block of all, no more than a hint that a machine has changed: a difference is left open.
    """
    metric, before, after = head.record.metric, base.record.value, head.record.value
    ways = _ways_of_memory(base, head)
    notes = (*_flags(base, head), *ways, NO_TEST, *notes)
    sure = base.trusted and head.trusted and not ways
    if min(before, after) <= 0:
        note = f"{before} and {after} have no ratio"
        return Compared(
            base=base, head=head, verdict="same" if sure and before == after else "ambiguous", notes=(note, *notes)
        )  # fmt: skip
    ratio = before / after if metric in LARGER_IS_BETTER else after / before
    least = MEMORY_EFFECT if metric == "memory" else effect
    verdict: Verdict = "larger" if ratio > 1 + least else "smaller" if ratio < 1 / (1 + least) else "same"
    if not sure or (metric in CEILINGS and verdict != "same"):
        verdict = "ambiguous"
    return Compared(base=base, head=head, verdict=verdict, ratio=ratio, notes=notes)


def _flags(base: Row, head: Row) -> tuple[str, ...]:
    return tuple(f"{side}: {flag}" for side, row in (("base", base), ("head", head)) for flag in row.record.flags)


def _ways_of_memory(base: Row, head: Row) -> tuple[str, ...]:
    """That the peak of one side is of its calls alone and that of the other is not; empty where both are alike."""
    before, after = (row.record.detail.get("peak_reset", "absent") for row in (base, head))
    if before == after:
        return ()
    return (f"peak_reset {before} -> {after}: where a peak cannot be reset, building the network counts, too",)


def _differences(base: Record, head: Record) -> tuple[str, ...]:
    """What else differs and may explain a difference of times: machine, versions, environment."""
    found = [f"machine {base.machine} -> {head.machine}"] if base.machine != head.machine else []
    for before, after in ((base.versions, head.versions), (base.environment, head.environment)):
        found += _entries(before, after)
    return tuple(found)


def _entries(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    return [
        f"{name} {before.get(name, 'absent')} -> {after.get(name, 'absent')}"
        for name in {**before, **after}
        if before.get(name) != after.get(name)
    ]


def _crossing(pairs: list[tuple[Row | None, Row | None]]) -> list[tuple[Row, Row]]:
    """Pairs of one measured cell on different machines, where base and head have no machine in common."""
    sides: dict[tuple[str, ...], tuple[list[Row], list[Row], list[bool]]] = defaultdict(lambda: ([], [], []))
    for base, head in pairs:
        row = base or head
        if row is None or METRICS[row.record.metric].exact:
            continue
        old, new, matched = sides[identity(row.record)[:3]]
        matched.append(base is not None and head is not None)
        old.extend([base] if base else [])
        new.extend([head] if head else [])
    return [
        (first, second)
        for old, new, matched in sides.values()
        if not any(matched)
        for first in old
        for second in new
    ]  # fmt: skip
