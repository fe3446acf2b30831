"""Cells that several tables share: measured costs in a convention, live shares, parameters."""

from dataclasses import replace
from fractions import Fraction

from analysis.evidence import Evidence
from analysis.tabular.cells import NOT_MEASURED, Cell, compared, from_record
from analysis.tabular.printed_costs import PUBLISHED_AS
from bench.counts.conventions import CONVENTIONS, Convention, round_printed
from bench.records.reported import Reported
from bench.records.store import Found

MILLION = 10**6
GIMACS = CONVENTIONS["gimacs"]
COST_NOTE = (
    "“GFLOPs” is the paper's word. Its DPN costs are multiply-adds of convolutions divided by 2^30, and measured "
    "costs are shown in that convention unless a row says otherwise."
)
BASIS_NOTE = (
    "Built from: released code that was run, code of another framework that was read (transcribed), or a publication "
    "alone (reconstructed), with what it leaves open chosen and said."
)
LIVE_NOTE = "Live: the share of multiply-adds whose tap falls inside the map; the others multiply padding."
NUMERALS = ("I", "II", "III", "IV", "V", "VI", "VII")


def title(table: str) -> str:
    """How the paper names a table.

    Example:
        >>> title("table-6")
        'Table VI'
    """
    return f"Table {NUMERALS[int(table.removeprefix('table-')) - 1]}"


def in_millions(value: float | Fraction) -> str:
    """Parameters as the paper prints them, with two more digits.

    Example:
        >>> in_millions(3_336_529)
        '3.337'
    """
    return round_printed(Fraction(value) / MILLION, 3)


def params(evidence: Evidence, subject: str, printed: Reported) -> Cell:
    """Measured parameters in millions, beside the print; in whole ones beside those of a source of whole numbers."""
    found = evidence.found(subject, "params")
    millions = None if found.record is None else Fraction(int(found.record.value), MILLION)
    published = PUBLISHED_AS.get((printed.table, printed.row))
    if millions is None or printed.number is None or not (published and published.resolve().whole):
        return compared(found, millions, printed)
    if printed.number != int(printed.number):
        return compared(found, millions, printed)
    whole = round_printed(millions, 0)
    return replace(compared(found, Fraction(whole), printed), text=whole, value=millions)


def cost(evidence: Evidence, subject: str, convention: Convention, printed: Reported | None) -> Cell:
    """The measured cost of a network in a convention, beside a printed one where there is one."""
    found = evidence.found(subject, "macs")
    if found.record is None:
        return NOT_MEASURED
    value = convention.value(found.record.detail["by_kind"])
    how = f"{found.record.value} multiply-adds in the convention {convention.name}: {convention.source}"
    if printed is None or printed.number is None:
        return from_record(found, lambda v: round_printed(v, 3), value=value, how=how)
    if convention.rounding == "nearest" and not convention.whole:
        return compared(found, value, printed, how=how)
    as_printed = convention.printed(found.record.detail["by_kind"], 0 if convention.whole else 1)
    return replace(compared(found, Fraction(as_printed), printed, how=how), text=as_printed, value=value)


def live_share(evidence: Evidence, subject: str) -> Cell:
    """Live multiply-adds over nominal ones, in percent."""
    nominal, live = evidence.found(subject, "macs"), evidence.found(subject, "live_macs")
    if nominal.record is None or live.record is None:
        return NOT_MEASURED
    share = Fraction(int(live.record.value), int(nominal.record.value)) * 100
    how = f"{live.record.value} live / {nominal.record.value} nominal multiply-adds"
    return from_record(
        Found(live.record, live.stale or nominal.stale), lambda v: round_printed(v, 1), value=share, how=how
    )
