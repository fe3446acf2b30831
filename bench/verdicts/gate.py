"""What makes a comparison fail, for exit codes and for the first line of a comment. Imports no torch."""

from dataclasses import dataclass

from bench.rows import ABOUT_MEASURING, TIMES
from bench.verdicts.compare import Compared, Report, compare_rows


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What makes a comparison fail.

    Attributes:
        counts: whether a count that changed does; counts by other tools never do, they follow those tools' versions.
        time: how much slower a stored time must be, such as 0.25 for 25 %; None lets every time pass, duels too. A duel
            is taken at its own word: it was fought for an effect of its own.
    """

    counts: bool = True
    time: float | None = None

    def __post_init__(self) -> None:
        if self.time is not None and not 0 < self.time < float("inf"):
            raise ValueError(f"--gate-time must be a positive number such as 0.25, not {self.time!r}")

    def failures(self, report: Report) -> tuple[str, ...]:
        """One line for each reason to fail; none lets the change pass."""
        stored = [
            f"{entry.metric} of {entry.row.record.subject} ({entry.row.settings()}): {reason}"
            for entry in report.compared
            if (reason := self._reason(entry))
        ]
        lost = [duel for duel in report.duels if self.time is not None and duel.verdict == "slower"]
        live = [f"{duel.name}: slower by {100 * duel.effect:g} % or more, {duel.ratio:.3f} times" for duel in lost]
        return (*stored, *live)

    def _reason(self, entry: Compared) -> str:
        if entry.verdict == "changed" and self.counts and entry.metric not in ABOUT_MEASURING:
            return "; ".join(entry.notes)
        if self.time is None or entry.metric not in TIMES or entry.across_machines:
            return ""
        if entry.base is None or entry.head is None:
            return ""
        judged = compare_rows(entry.base, entry.head, self.time)
        if judged.verdict != "slower":
            return ""
        return f"slower by the gate of {100 * self.time:g} %: {judged.ratio:.3f} times the base's time"
