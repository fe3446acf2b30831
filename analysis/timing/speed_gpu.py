"""What a GPU's times are made of: the wall clock, events and graph replay, and what the GPU was doing meanwhile."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from statistics import median
from typing import Any

from analysis.evidence import Evidence
from analysis.tabular.cells import NOT_MEASURED, Cell, Column, Row, State, Table, label
from analysis.timing import timings
from analysis.timing.speed_cells import MARKS, NAMED, PERCENT, decimals, flag_notes
from bench.machine.gpu import IDLE, LEAST_CLOCK_SHARE, THROTTLING
from bench.records.record import Record
from bench.statistics import Interval, median_interval
from dpn.program.quantities import some

ID = "table-gpu-times"

HOLDING = "cuda"
"""The entry of a record's detail with what `bench.sampling.cuda_timing.measure` found in each process."""

THROTTLED = "GPU throttled"
SLOWED = ("SM clock", THROTTLED)
"""How those reasons for discarding a block begin that are no other processes' doing (`bench.machine.gpu.reasons`)."""


def table_gpu(evidence: Evidence, machine: str) -> Table:
    """Latency on one GPU in three ways, with its clock, power, temperature and throttling around each block."""
    rows: list[Row] = []
    records: list[tuple[str, Record]] = []
    before = None
    settings = timings.settings(evidence, machine, "latency")
    for subject, section in timings.measured_on(evidence, machine, "latency"):
        for setting in settings:
            found = timings.found(evidence, subject, "latency", machine, setting)
            if found.record is None or not found.record.detail.get(HOLDING):
                continue
            words = {"network": label(subject), "setting": label(setting.group)}
            cells = _cells(found.record, "stale" if found.stale else "measured")
            rows.append(Row(f"{subject}/{setting.id}", words | cells, rule_above=bool(rows) and section != before))
            records.append((f"{subject} ({setting.group})", found.record))
            before = section
    clock, times = "SM clock (MHz)", "time of a call (ms)"
    return Table(
        id=ID,
        title="",
        caption=f"Time of a call on {machine} in three ways: by the wall clock, between two events on the GPU's "
        "own clock, and by the wall clock where the call is replayed as one CUDA graph; and what the GPU was doing "
        "before and after each block of calls.",
        columns=(
            Column(id="network", label="Network", align="left"),
            Column(id="setting", label="back end", align="left"),
            Column(id="wall", label="wall", group=times),
            Column(id="event", label="events", group=times, hide_on_phone=True),
            Column(id="graph", label="graph", group=times, hide_on_phone=True),
            Column(id="launch", label="launch-bound (%)"),
            Column(id="clock", label="median", group=clock, hide_on_phone=True),
            Column(id="lowest", label="lowest", group=clock, hide_on_phone=True),
            Column(id="power", label="power (W)", hide_on_phone=True),
            Column(id="temperature", label="°C", hide_on_phone=True),
            Column(id="throttled", label="throttled", hide_on_phone=True),
        ),
        rows=tuple(rows),
        notes=tuple(_notes(rows, records)),
    )


def _cells(record: Record, state: State) -> dict[str, Cell]:
    """The numbers of one record; each that no process has is missing."""
    made = {
        **{way: _time(record, f"{way}_s") for way in ("wall", "event", "graph")},
        "launch": _launch(record),
        "clock": _reading(record, "sm_clock_mhz", "MHz", median),
        "lowest": _reading(record, "sm_clock_mhz", "MHz", min),
        "power": _reading(record, "power_w", "W", median),
        "temperature": _reading(record, "temperature_c", "°C", median),
        "throttled": _throttled(record),
    }
    return {name: cell if cell.state == "missing" else replace(cell, state=state) for name, cell in made.items()}


def _time(record: Record, name: str) -> Cell:
    """Milliseconds of a call."""
    return _over_processes(record, _of_processes(record, name), lambda seconds: 1e3 * seconds, "ms")


def _launch(record: Record) -> Cell:
    """The share of the time that launching costs, in percent; below 0 where a replay is slower than the call."""
    left = [1 - share for share in _of_processes(record, "launch_bound_share")]  # replay over wall clock: positive
    return _over_processes(record, left, lambda share: PERCENT * (1 - share), "%, 1 - graph / wall of each process")


def _over_processes(record: Record, values: Sequence[float], to: Callable[[float], float], unit: str) -> Cell:
    """The median over processes of positive numbers, carried to the unit that is shown; its interval is in the csv."""
    if not values:
        return replace(NOT_MEASURED, how=_absent(record))
    value, own = to(median(values)), median_interval(values)
    low, high = sorted(map(to, (own.low, own.high)))
    places = decimals(value) if unit == "ms" else 1
    marks = "".join(MARKS.get(flag, "") for flag in record.flags)
    how = (
        f"in {unit}, the median of {len(values)} fresh processes; {PERCENT * own.confidence:.4g} % interval {low:.6g} "
        f"to {high:.6g}"
    )
    return Cell(
        text=f"{value:z.{places}f}", value=value, state="measured", note=marks, record=record, how=how,
        interval=Interval(low, high, own.confidence), n=len(values), flags=record.flags,
    )  # fmt: skip


def _reading(record: Record, name: str, unit: str, of: Callable[[Sequence[float]], float]) -> Cell:
    """What NVML said around the blocks that count: one number of all readings; a clock at rest is not looked at."""
    states = [state for state in _states(record) if name != "sm_clock_mhz" or IDLE not in _held(state)]
    readings = [float(state[name]) for state in states if state.get(name) is not None]
    if not readings:
        return replace(NOT_MEASURED, how="NVML does not say")
    value = of(readings)
    how = (
        f"in {unit}, {of.__name__} of {len(readings)} readings of NVML around the blocks that count, from "
        f"{min(readings):g} to {max(readings):g}"
    )
    return Cell(text=f"{value:.0f}", value=value, state="measured", record=record, how=how)


def _throttled(record: Record) -> Cell:
    """Whether power, heat or a low clock slowed the GPU down in any block, counted or discarded, and by what."""
    why = _slowdowns(record)
    if not why and all(state.get("throttle_reasons") is None for state in _states(record)):
        return replace(NOT_MEASURED, how="NVML does not say")
    lost, kept = (sum(int(run.get(name, 0)) for run in _runs(record)) for name in ("discarded", "blocks"))
    told = f"; {', '.join(why)}" if why else ""
    how = f"{lost} of {lost + kept} blocks discarded{told}"
    return Cell(text="yes" if why else "no", state="measured", record=record, how=how)


def _slowdowns(record: Record) -> list[str]:
    """What slowed the GPU down, each once: in blocks that count, and in those that were discarded for it."""
    held = {name for state in _states(record) for name in _held(state) if name in THROTTLING}
    discarded = {reason for run in _runs(record) for reason in run.get("reasons", ()) if reason.startswith(SLOWED)}
    return sorted(held | {reason.removeprefix(f"{THROTTLED}: ") for reason in discarded})


def _notes(rows: Sequence[Row], records: Sequence[tuple[str, Record]]) -> Iterator[str]:
    """What the columns mean, why a graph is missing, where the GPU was slowed down; records with the names of rows."""
    yield (
        "Launch-bound: 1 - graph / wall, the share of the time that goes by because kernels are queued one by one; "
        "about 0, or slightly below, where launching costs nothing."
    )
    yield (
        "The L2 cache is warm: weights and input are the same in every call, and nothing is flushed between calls, "
        "which follow one another without a wait."
    )
    yield "Each time is the median of fresh processes; the csv has its interval."
    yield from flag_notes(record for _, record in records)
    failures: dict[str, list[str]] = {}
    for (name, _), row in zip(records, rows, strict=True):
        if row.cells["graph"].state == "missing":
            failures.setdefault(row.cells["graph"].how, []).append(name)
    for why, without in failures.items():
        yield f"No graph for {some(without, NAMED)}: {why}."
    if slowed := [f"{name}: {', '.join(by)}" for name, record in records if (by := _slowdowns(record))]:
        yield (
            "Throttled: NVML named a reason of power or heat, or the SM clock was below "
            f"{PERCENT * LEAST_CLOCK_SHARE:.0f} % of its default. Such a block is discarded, unless only power is "
            f"capped and the clock is not low. {some(slowed, NAMED, between='; ')}."
        )


def _runs(record: Record) -> list[dict[str, Any]]:
    """What each process found on the GPU."""
    runs: list[dict[str, Any]] = record.detail[HOLDING]
    return runs


def _of_processes(record: Record, name: str) -> list[float]:
    return [float(run[name]) for run in _runs(record) if run.get(name) is not None]


def _states(record: Record) -> list[dict[str, Any]]:
    """The GPU before and after every block that counted, as far as it said anything."""
    return [state for run in _runs(record) for pair in run.get("states", ()) for state in pair if state]


def _held(state: dict[str, Any]) -> Sequence[str]:
    return state.get("throttle_reasons") or ()


def _absent(record: Record) -> str:
    """Why there is no graph, or no time at all."""
    failures = [str(run["graph_failure"]) for run in _runs(record) if run.get("graph_failure")]
    return failures[0] if failures and _of_processes(record, "wall_s") else "no block of calls counted"
