"""How a person reads a value, a ratio and the outcome of a comparison; here alone numbers are rounded. No torch."""

from collections import Counter
from collections.abc import Iterable, Sequence

from bench.escaping import one_line
from bench.records.record import EXACT
from bench.records.rows import Row
from bench.statistics import ALPHA
from bench.verdicts.compare import Compared, Report
from bench.verdicts.fought import Fought
from bench.verdicts.unjudged import unjudged
from dpn.program.quantities import so_many

_SCALES = {
    "second": (1e3, "ms"),
    "byte": (1 / 2**20, "MiB"),
    "MAC/second": (1e-9, "GMAC/s"),
    "byte/second": (1e-9, "GB/s"),
    "image/second": (1, "images/s"),
    "joule/image": (1, "J/image"),
}
"""By unit of a measured value: the factor to, and the name of, the unit that people read."""


def amount(row: Row | None, value: float | None = None) -> str:
    """A row's value, or another value in its unit, to four digits; a count in full; nothing for no row."""
    if row is None:
        return ""
    record = row.record
    number = record.value if value is None else value
    if record.machine == EXACT:
        return f"{number:,}" + ("" if record.complete else " (incomplete)")
    factor, unit = _SCALES.get(record.unit, (1, record.unit))
    return f"{number * factor:.4g} {unit}"


def ratio_words(entry: Compared) -> str:
    """The ratio with its interval, to three decimals; nothing where there is none."""
    if entry.ratio is None:
        return ""
    interval = f" ({entry.interval[0]:.3f} to {entry.interval[1]:.3f})" if entry.interval else ""
    return f"{entry.ratio:.3f}{interval}"


def verdict_line(report: Report, failures: Sequence[str]) -> str:
    """The outcome in one line."""
    counted = _counted(entry.verdict for entry in report.compared) or "nothing to compare"
    if report.duels:
        counted += f"; timed in turns: {_counted(duel.verdict for duel in report.duels)}"
    if incomplete := sum(entry.incomplete for entry in report.compared):
        counted += f"; {incomplete} incomplete on both sides"
    if same := sum(entry.same_record for entry in report.compared):
        counted += f"; {so_many(same, 'value')} not measured again, the same record on both sides"
    if open_ := unjudged(report.compared):
        counted += f"; {open_}"
    gate = f"fails for {so_many(len(failures), 'reason')}" if failures else "passes"
    if report.allowed:
        gate += f" with {report.allowed} allowed"
    return f"The comparison {gate}: {counted}"


def times_compared(report: Report) -> str:
    """How many times were compared, by which test, and that nothing corrects for so many; empty where none was."""
    number = sum(entry.p is not None for entry in report.compared) + len(report.duels)
    test = f"each by a two-sided rank test at {ALPHA:g}; no correction is made for their number"
    return f"{number}, {test}" if number else ""


def duel_line(duel: Fought) -> tuple[str, ...]:
    """A duel's verdict, name, ratio, rounds and reason."""
    ratio = f"{duel.ratio:.3f} ({duel.interval[0]:.3f} to {duel.interval[1]:.3f})"
    return duel.verdict, duel.name, ratio, so_many(duel.rounds, "round"), duel.reason


def as_text(report: Report, failures: Sequence[str]) -> str:
    """A comparison for the terminal: rows that changed in columns, reasons to fail, the outcome, what it rests on."""
    header = ("verdict", "network", "metric", "protocol", "machine", "base", "head", "ratio", "why")
    lines = [header, *(_line(entry) for entry in report.noteworthy())]
    text = columns(lines) if len(lines) > 1 else ""
    tests = times_compared(report)
    closing = [verdict_line(report, failures), *([f"times compared: {tests}"] if tests else [])]
    return text + "".join(f"{line}\n" for line in [*(f"fails: {one_line(failure)}" for failure in failures), *closing])


def columns(lines: Sequence[Sequence[str]]) -> str:
    """Lines of equal length as text in aligned columns.

    Example:
        >>> print(columns([("a", "b"), ("long", "c")]), end="")
        a     b
        long  c
    """
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "".join(line.rstrip() + "\n" for line in padded)


def _counted(verdicts: Iterable[str]) -> str:
    return ", ".join(f"{number} {verdict}" for verdict, number in Counter(verdicts).most_common())


def _line(entry: Compared) -> tuple[str, ...]:
    record = entry.row.record
    words = (entry.verdict, record.subject, record.metric, entry.row.settings(), entry.machine, amount(entry.base),
             amount(entry.head), ratio_words(entry), "; ".join(entry.notes))  # fmt: skip
    return tuple(one_line(word) for word in words)
