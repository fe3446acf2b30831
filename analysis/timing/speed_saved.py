"""Did fewer multiply-adds buy time: each DPN of the paper against each network it is compared with, in both."""

from collections.abc import Iterator
from dataclasses import dataclass

from analysis.evidence import Evidence
from analysis.tabular.cells import NOT_MEASURED, Cell, Column, Row, Table, label
from analysis.timing import timings
from analysis.timing.speed_cells import (
    PERCENT,
    compared_times,
    flag_notes,
    interval_notes,
    rounded,
    setting_columns,
    time_share,
    trusted,
)
from analysis.timing.timings import Setting
from bench.records.rows import row_of
from bench.statistics import CONFIDENCE, Comparison
from bench.verdicts.turns import APART, in_turns


@dataclass(frozen=True, kw_only=True)
class Saving:
    """A DPN and a network that takes more multiply-adds, in one setting.

    Attributes:
        ours: the DPN.
        other: the network it is compared with.
        setting: how both were run.
        macs_share: multiply-adds of ours over the other's.
        times: time of ours over the other's.
        decides: whether neither time has a flag with which it decides nothing, and the interval is of 95 % or more.
        together: whether one sweep measured both in turns.
    """

    ours: str
    other: str
    setting: Setting
    macs_share: float
    times: Comparison
    decides: bool
    together: bool


def pairs(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Each DPN of Tables VI and VII with each other network of its table that takes the same input."""
    for name in ("table-6", "table-7"):
        table = evidence.reported[name]
        subjects = [table.cell(row, "params").subject for row in table.rows[1:]]
        built = [subject for subject in subjects if subject in evidence.zoo]
        for ours in (subject for subject in built if subject.startswith("dpn")):
            for other in (subject for subject in built if not subject.startswith("dpn")):
                if evidence.zoo[ours].input_hw == evidence.zoo[other].input_hw:
                    yield ours, other


def table_time_saved(evidence: Evidence, machine: str) -> Table:
    """Shares of multiply-adds beside shares of time on one machine."""
    settings = timings.settings(evidence, machine, "latency")
    rows: list[Row] = []
    for ours, other in pairs(evidence):
        cells = {
            s.id: time_share(*(timings.found(evidence, name, "latency", machine, s) for name in (ours, other)))
            for s in settings
        }
        if all(cell.record is None for cell in cells.values()):
            continue
        words = {"ours": label(ours), "other": label(other)}
        counts = {name: _count_share(evidence, ours, other, name) for name in ("macs", "live_macs")}
        rule = bool(rows) and not rows[-1].id.startswith(f"{ours}/")
        rows.append(Row(f"{ours}/{other}", words | counts | cells, rule_above=rule))
    shown = [cell for row in rows for cell in row.cells.values()]
    return Table(
        id="table-time-saved",
        title="",
        caption=f"Each DPN in percent of a network that the paper compares it with: of its multiply-adds, and of its "
        f"time on {machine}, with its interval. Where time is the larger share, fewer multiply-adds bought less "
        "time than they promise; where it is the smaller, more.",
        columns=(
            Column(id="ours", label="Network", align="left"),
            Column(id="other", label="in % of", align="left"),
            Column(id="macs", label="nominal", group="MACs"),
            Column(id="live_macs", label="live", group="MACs"),
            *setting_columns(settings, "time"),
        ),
        rows=tuple(rows),
        notes=(
            "Only networks that take the same input are compared. Ratio and interval come from the medians of fresh "
            "processes (Hodges-Lehmann estimate, exact rank test inverted). Where no sweep measured both in turns, "
            "they may be of different hours of a shared machine, and the interval is widened: its lower end is "
            f"divided, its upper end multiplied by {1 + APART:.2f}.",
            *interval_notes(shown),
            *flag_notes(record for cell in shown for record in (cell.record, *cell.further)),
        ),
    )


def savings(evidence: Evidence, machine: str) -> list[Saving]:
    """Every comparison of a DPN with a network that takes more multiply-adds, one image a call."""
    found = []
    settings = [setting for setting in timings.settings(evidence, machine, "latency") if setting.batch == 1]
    for ours, other in pairs(evidence):
        share = macs_share(evidence, ours, other, "macs")
        if share is None or share >= 1:
            continue
        for setting in settings:
            both = [timings.found(evidence, name, "latency", machine, setting) for name in (ours, other)]
            times, records = compared_times(*both), [one.record for one in both if one.record is not None]
            if times is not None:
                found.append(
                    Saving(ours=ours, other=other, setting=setting, macs_share=share, times=times,
                           decides=trusted(*both) and times.interval.confidence >= CONFIDENCE,
                           together=in_turns(*map(row_of, records)))
                )  # fmt: skip
    return found


def macs_share(evidence: Evidence, ours: str, other: str, metric: str) -> float | None:
    """Multiply-adds of one network over another's; None where one is not counted."""
    counts = [evidence.record(name, metric) for name in (ours, other)]
    if counts[0] is None or counts[1] is None:
        return None
    return counts[0].value / counts[1].value


def _count_share(evidence: Evidence, ours: str, other: str, metric: str) -> Cell:
    share, record, second = macs_share(evidence, ours, other, metric), *(
        evidence.record(name, metric) for name in (ours, other)
    )  # fmt: skip
    if share is None or record is None or second is None:
        return NOT_MEASURED
    return Cell(
        text=rounded(PERCENT * share), value=PERCENT * share, state="measured", record=record, further=(second,),
        how="the first count over the second, in percent",
    )  # fmt: skip
