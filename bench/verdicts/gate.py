"""What makes a comparison fail, for exit codes and for the first line of a comment. Imports no torch."""

import math
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.records.record import METRICS
from bench.records.rows import ABOUT_MEASURING, TIMES, Row
from bench.verdicts.compare import Compared, Report, compare_rows
from bench.verdicts.fought import Fought
from bench.verdicts.turns import APART, in_turns
from bench.verdicts.unjudged import unjudged
from dpn.program.cli import Flag
from dpn.program.quantities import so_many, some

SHOWN = 3
"""How many rows with one reason to fail are named; the rest is counted."""

EVERY = "all"
"""Stands for every name in --allow-changed."""


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What makes a comparison fail. Counts by other tools never do, they follow those tools' versions.

    Attributes:
        gate_time: fail when a time is surely slower, and by estimate by this or more, such as 0.5, or gone; by default
            times never fail. A duel is taken at its own word: it was fought for an effect of its own.
        gate_memory: fail when peak memory is larger by this or more, such as 0.05, or gone; by default memory
            never fails. Up to 1 % is no difference.
        no_gate_counts: let counts change and go.
        allow_changed: networks or metrics whose counts were meant to change, separated by commas, or all.
        allow_removed: let rows of BASE be missing in HEAD.
        strict: fail when a count of HEAD is incomplete.
        fail_unjudged: with --gate-time or --gate-memory, fail when what these ask about could not be judged or is not
            there, or a duel ended ambiguous.
    """

    gate_time: float | None = None
    gate_memory: float | None = None
    no_gate_counts: Flag = False
    allow_changed: str = ""
    allow_removed: Flag = False
    strict: Flag = False
    fail_unjudged: Flag = False

    def check(self) -> None:
        """Called where the numbers are used, so that a command line says in one line what is wrong with them.

        Raises:
            ValueError: the gate of time or of memory is not a positive number, or there is none to judge for.
        """
        for name, share, usual in (("time", self.gate_time, 0.5), ("memory", self.gate_memory, 0.05)):
            if share is not None and not 0 < share < math.inf:
                raise ValueError(f"--gate-{name} must be a positive number such as {usual}, not {share!r}")
        if self.fail_unjudged and self.gate_time is None and self.gate_memory is None:
            raise ValueError("--fail-unjudged needs something to be judged; add --gate-time 0.5 or --gate-memory 0.05")

    def failures(self, report: Report) -> tuple[str, ...]:
        """One line for each reason to fail; none lets the change pass."""
        held = [entry for entry in report.compared if self._holds(entry) and not self._allows(entry)]
        stored = [
            f"{entry.metric} of {entry.row.record.subject} ({entry.row.settings()}): {reason}"
            for entry in held
            if (reason := self._reason(entry))
        ]
        gone = _by_file("gone from the head", (entry for entry in held if entry.verdict == "removed"))
        unknown = _by_file("with an incomplete count", (entry for entry in report.compared if self._falls_short(entry)))
        duels = report.duels if self.gate_time is not None else ()
        lost = [duel for duel in duels if duel.verdict == "slower"]
        live = [f"{duel.name}: {_slower(duel.effect, duel.ratio, duel.interval)}" for duel in lost]
        missing = [f"{line}; restore them, or --allow-removed" for line in gone]
        open_ = self._unjudged(report, duels) if self.fail_unjudged else ()
        return (*self._unread(report), *stored, *missing, *unknown, *live, *open_)

    def _unread(self, report: Report) -> list[str]:
        """A line for each file about counts of which a part was compared with nothing."""
        return [
            f"{file}: lines of the base cannot be used, and what became of their counts is not known; restore them, or "
            f"--allow-changed {Path(file).stem}"
            for file in report.unread
            if not self._meant(Path(file).stem)
        ]

    def _unjudged(self, report: Report, duels: Iterable[Fought]) -> list[str]:
        tied = [f"{duel.name}: ambiguous, {duel.reason}" for duel in duels if duel.verdict == "ambiguous"]
        return [*self._open(report, "measure them again"), *tied]

    def allowed(self, report: Report) -> str:
        """What would have failed and was let pass, such as "3 changed, 2 removed"; empty where nothing was."""
        passed = Counter(entry.verdict for entry in report.compared if self._holds(entry) and self._allows(entry))
        return ", ".join(f"{number} {verdict}" for verdict, number in passed.most_common())

    def warnings(self, report: Report) -> list[str]:
        """What this gate cannot decide, a line each: what could not be judged, or times not so finely without turns."""
        open_ = [] if self.fail_unjudged else self._open(report, "none of these can fail, measure them again")
        return [*open_, *self._apart(report)]

    def _open(self, report: Report, remedy: str) -> list[str]:
        """What was to be decided and could not be judged, or is not there, a line for times and one for memory."""
        found = []
        if self.gate_time is not None:
            pairs, gate = self._both(report, TIMES), f"--gate-time {self.gate_time:g}"
            times = unjudged(compare_rows(base, head, self.gate_time) for base, head in pairs)
            found += [f"{gate}: {times}; {remedy}"] if times else []
            if not (pairs or report.duels):
                found.append(f"{gate}: no time is in both sets on one machine, and no duel was fought, so that nothing "
                             "is judged; measure both sets on one machine, or give --duels")  # fmt: skip
        if self.gate_memory is not None:
            pairs, gate = self._both(report, {"memory"}), f"--gate-memory {self.gate_memory:g}"
            number = sum(compare_rows(base, head, self.gate_memory).verdict == "ambiguous" for base, head in pairs)
            of_all = f"{number} of {so_many(len(pairs), 'peak')} of memory could not be judged"
            found += [f"{gate}: {of_all}; {remedy}"] if number else []
            if not pairs:
                found.append(f"{gate}: no peak of memory is in both sets on one machine, so that nothing is judged; "
                             "measure both sets on one machine")  # fmt: skip
        return found

    def _apart(self, report: Report) -> list[str]:
        """That some times were not measured in turns, where the gate asks for what these cannot decide."""
        if self.gate_time is None or self.gate_time > APART:
            return []
        apart = sum(base.record != head.record and not in_turns(base, head) for base, head in self._both(report, TIMES))
        if not apart:
            return []
        seen = f"a slowdown below {100 * APART:g} % never fails, and for sure only one well beyond"
        return [f"--gate-time {self.gate_time:g}: {apart} of the times were not measured in turns: {seen}; "
                "python -m bench duel measures in turns"]  # fmt: skip

    def _both(self, report: Report, metrics: Collection[str]) -> list[tuple[Row, Row]]:
        """The rows of these metrics that are in both sets and can fail."""
        return [
            (entry.base, entry.head)
            for entry in report.compared
            if entry.base and entry.head and entry.metric in metrics and self._holds(entry)
        ]

    def _holds(self, entry: Compared) -> bool:
        """Whether this is a quantity that can fail at all."""
        if METRICS[entry.metric].exact:
            return entry.metric not in ABOUT_MEASURING
        return self._share(entry) is not None and not entry.across_machines

    def _share(self, entry: Compared) -> float | None:
        """How much worse a measured quantity must be to fail; None where it never does."""
        return self.gate_time if entry.metric in TIMES else self.gate_memory if entry.metric == "memory" else None

    def _allows(self, entry: Compared) -> bool:
        exact = METRICS[entry.metric].exact
        if entry.verdict == "removed":
            return self.allow_removed or (exact and self.no_gate_counts)
        return entry.verdict == "changed" and self._meant(entry.metric, entry.row.record.subject)

    def _meant(self, *names: str) -> bool:
        """Whether counts with one of these names were meant to change."""
        allowed = {name.strip() for name in self.allow_changed.split(",")}
        return self.no_gate_counts or not allowed.isdisjoint({EVERY, *names})

    def _falls_short(self, entry: Compared) -> bool:
        return self.strict and self._holds(entry) and entry.head is not None and not entry.head.record.complete

    def _reason(self, entry: Compared) -> str:
        if entry.verdict == "changed":
            return "; ".join(entry.notes)
        share = self._share(entry)
        if share is None or entry.base is None or entry.head is None:
            return ""
        judged = compare_rows(entry.base, entry.head, share)
        if judged.verdict == "slower" and judged.ratio is not None and judged.interval is not None:
            return _slower(share, judged.ratio, judged.interval)
        if judged.verdict == "larger" and judged.ratio is not None and judged.ratio >= 1 + share:
            return f"larger by {100 * share:g} % or more: {judged.ratio:.3f} times the base's memory"
        return ""


def _slower(effect: float, ratio: float, interval: tuple[float, float]) -> str:
    ends = f"{interval[0]:.3f} to {interval[1]:.3f}"
    return f"slower, {100 * effect:g} % or more by estimate: {ratio:.3f} times the base's time ({ends})"


def _by_file(what: str, entries: Iterable[Compared]) -> list[str]:
    """A line for each file of records that has some of these rows."""
    files: dict[str, list[str]] = {}
    for entry in entries:
        files.setdefault(entry.row.file, []).append(f"{entry.row.record.subject} ({entry.row.settings()})")
    return [f"{file}: {so_many(len(names), 'row')} {what}: {some(names, SHOWN)}" for file, names in files.items()]
