"""Cells of the tables of speed: a median with its interval, a share of a ceiling, bytes, a ratio of two times."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from statistics import median

from analysis.tabular.cells import NOT_MEASURED, Cell, Column, Row, Table, from_record, label
from analysis.timing.timings import Setting
from bench.records.record import Record
from bench.records.rows import row_of
from bench.records.store import Found
from bench.statistics import CONFIDENCE, Comparison, Interval
from bench.verdicts.turns import compare_times

MARKS = {"disturbed": "*", "no steady state": "†", "budget spent": "‡"}
"""Behind a time whose record has the flag."""

MEANINGS = {
    "disturbed": "other work on the machine, or a GPU that was slowed down, met every attempt of at least one process",
    "no steady state": "a process never became steady; the second half of its samples counts",
    "budget spent": "the cell's time was spent while its interval was wider, or its processes fewer, than wanted",
}
PERCENT = 100
NAMED = 6
"""So many networks are named; of more, the first and how many more."""


def rounded(value: float, digits: int = 3) -> str:
    """A positive number with that many significant digits, never as a power of ten.

    Example:
        >>> rounded(51.237), rounded(0.01234), rounded(1234.5), rounded(9.996)
        ('51.2', '0.0123', '1234', '10.0')
    """
    return f"{value:.{decimals(value, digits)}f}"


def decimals(value: float, digits: int = 3) -> int:
    """Digits behind the point of a number that is shown with so many significant ones."""
    if value <= 0:
        return 0
    exponent = int(f"{value:.{digits - 1}e}".partition("e")[2])  # of the rounded value, so that 9.996 counts as 10.0
    return max(0, digits - 1 - exponent)


def span(low: float, high: float, like: float) -> str:
    """An interval with the decimals of the value it belongs to.

    Example:
        >>> span(50.04, 52.349, like=51.237)
        '50.0–52.3'
    """
    places = decimals(like)
    return f"{low:.{places}f}–{high:.{places}f}"


def timing(found: Found, unit: str, scale: float = 1.0) -> Cell:
    """A median with its interval, and marks for the record's flags.

    Args:
        found: the record of a latency, a throughput or an energy.
        unit: what is shown, such as "ms".
        scale: from the record's unit to the one shown.
    """
    record = found.record
    if record is None:
        return NOT_MEASURED
    cell = from_record(found, lambda value: rounded(float(value) * scale))
    value, interval = float(record.value) * scale, record.detail.get("interval")
    marks = marks_of(record)
    cell = replace(cell, value=value, n=len(record.detail.get("processes", ())) or None, flags=record.flags)
    if interval is None:
        return replace(cell, note=marks, how=unit)
    low, high = (float(end) * scale for end in interval)
    how = (
        f"in {unit}, the median of {len(record.samples)} samples of {len(record.detail.get('processes', ()))} fresh "
        f"processes; {PERCENT * float(record.detail.get('confidence', 0)):.4g} % interval {low:.6g} to {high:.6g}"
    )
    if record.flags:
        how += f"; {', '.join(record.flags)}"
    exact = Interval(low, high, float(record.detail.get("confidence", 0)))
    return replace(cell, note=span(low, high, value) + marks, how=how, interval=exact)


def marks_of(record: Record) -> str:
    """What stands behind a value for the flags of its record."""
    return "".join(MARKS.get(flag, "") for flag in record.flags)


def flag_notes(records: Iterable[Record | None]) -> list[str]:
    """What the marks that occur mean, one sentence each."""
    present = {flag for record in records if record is not None for flag in record.flags}
    return [f"{sign}: {flag}: {MEANINGS[flag]}." for flag, sign in MARKS.items() if flag in present]


def interval_notes(cells: Iterable[Cell]) -> list[str]:
    """One sentence that says what confidence the intervals of these cells have; none where there are no intervals.

    Example:
        >>> cells = [Cell(text="1", interval=Interval(0.9, 1.1, c), n=n) for c, n in ((0.9375, 5), (0.96875, 6))]
        >>> interval_notes(cells)
        ['Confidence of the intervals: 1 of 93.75 % (5 processes), 1 of 95 % or more.']
    """
    counts = Counter(_sureness(cell.interval, cell.n) for cell in cells if cell.interval is not None)
    told = ", ".join(f"{number} of {words}" for words, number in counts.most_common())
    return [f"Confidence of the intervals: {told}."] if told else []


def _sureness(interval: Interval, processes: int | None) -> str:
    if interval.confidence >= CONFIDENCE:
        return f"{PERCENT * CONFIDENCE:g} % or more"
    return f"{PERCENT * interval.confidence:.4g} %" + (f" ({processes} processes)" if processes else "")


def roofline_share(found: Found) -> Cell:
    """The share of the nearer ceiling that a network reached, in percent; a note says when that is the copies'."""
    record = found.record
    roofline = None if record is None else record.detail.get("roofline")
    if record is None or not roofline:
        return NOT_MEASURED
    share = PERCENT * float(roofline["share"])
    how = (
        f"{1e3 * float(roofline['floor_s']):.4g} ms at the nearer ceiling, {roofline['bound']}, over the time; "
        f"ceilings {float(roofline['arithmetic_ceiling']):.4g} MAC/s and {float(roofline['copy_ceiling']):.4g} byte/s"
    )
    shown = from_record(found, lambda _: rounded(share, 2), how=how)
    copies = roofline["bound"] == "copy"
    flags = (*record.flags, *(("copy is the nearer ceiling",) if copies else ()))
    return replace(shown, value=share, note="copy" if copies else "", flags=flags)


def in_megabytes(found: Found, name: str = "") -> Cell:
    """Bytes of a record of memory in units of 10^6: its value, or an entry of its detail."""
    record = found.record
    count = None if record is None else record.detail.get(name) if name else record.value
    if record is None or count is None:
        return NOT_MEASURED
    how = f"bytes / 10^6 of {name or 'the value'}"
    if not name and record.samples:
        how += f"; {len(record.samples)} processes, {min(record.samples):.0f} to {max(record.samples):.0f} bytes"
    shown = from_record(found, lambda _: rounded(float(count) / 1e6), how=how)
    n = None if name else len(record.samples) or None
    return replace(shown, value=float(count) / 1e6, n=n, flags=record.flags)


def allocated_megabytes(found: Found) -> Cell:
    """Bytes in live blocks of a GPU's memory at the peak, the median of the processes, in units of 10^6."""
    record = found.record
    counts = [] if record is None else [p.get("allocated_bytes") for p in record.detail.get("processes", ())]
    known = [float(count) for count in counts if count is not None]
    if not known:
        return NOT_MEASURED
    middle = median(known)
    how = f"bytes / 10^6, the median of {len(known)} processes, {min(known):.0f} to {max(known):.0f} bytes"
    return replace(from_record(found, lambda _: rounded(middle / 1e6), how=how), value=middle / 1e6, n=len(known))


def compared_times(ours: Found, other: Found) -> Comparison | None:
    """The time of one network over another's, by the fresh processes of both; None where one is not measured."""
    if ours.record is None or other.record is None or ours.stale or other.stale:
        return None
    return compare_times(row_of(other.record), row_of(ours.record))


def time_share(ours: Found, other: Found) -> Cell:
    """The time of one network in percent of another's, with its interval."""
    found = compared_times(ours, other)
    if found is None or ours.record is None or other.record is None:
        return NOT_MEASURED
    share, low, high = (PERCENT * value for value in (found.ratio, found.interval.low, found.interval.high))
    flags = {flag for record in (ours.record, other.record) for flag in record.flags}
    marks = "".join(sign for flag, sign in MARKS.items() if flag in flags)
    how = f"ratio of times by their processes: {found.verdict}, {found.reason}"
    return Cell(
        text=rounded(share), value=share, state="measured", note=span(low, high, share) + marks, record=ours.record,
        further=(other.record,), how=how, interval=Interval(low, high, found.interval.confidence), p=found.p,
        flags=tuple(flag for flag in MARKS if flag in flags),
    )  # fmt: skip


def trusted(*founds: Found) -> bool:
    """Whether no record is missing or has a flag with which it decides nothing."""
    return all(found.record is not None and row_of(found.record).trusted for found in founds)


def setting_columns(settings: Iterable[Setting], unit: str) -> list[Column]:
    """A column for each setting, those of one back end under one header that names the unit."""
    return [
        Column(id=setting.id, label=setting.place, group=f"{setting.group} ({unit})") for setting in settings
    ]  # fmt: skip


def nothing_measured(table_id: str, title: str, command: str, machine: str = "") -> Table:
    """The table that stands where no record exists, or none of a machine: the command that makes them."""
    return Table(
        id=table_id,
        title=title,
        caption=f"{machine or 'No machine'} has {'no' if machine else 'a'} record of this yet.",
        columns=(Column(id="command", label="to measure it", align="left"),),
        rows=(Row("none", {"command": label(command)}),),
    )
