"""What networks take on a machine: time of an image, images per second, memory, and share of the machine's ceilings.

Each table is of one machine. The machine with most records has the plain id, such as table-latency; where there are
more, the second is table-latency-2.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain

from analysis.evidence import Evidence
from analysis.tabular.cells import Cell, Column, Row, Table, from_record, label
from analysis.timing import speed_gpu, speed_saved, timings
from analysis.timing.speed_cells import (
    allocated_megabytes,
    flag_notes,
    in_megabytes,
    interval_notes,
    nothing_measured,
    roofline_share,
    setting_columns,
    timing,
)
from analysis.timing.timings import Setting
from bench.counts.conventions import round_printed
from bench.records.store import Found
from dpn.input_size import hw_text

MEASURE = "python -m bench measure --suite paper"
LATENCY = f"{MEASURE} --metric latency --backend eager,onnxruntime --threads 1,all"
THROUGHPUT = f"{MEASURE} --metric throughput --backend eager,onnxruntime --batch 1,8,32"
MEMORY = f"{MEASURE} --metric memory --backend eager,onnxruntime"

NETWORK = (
    Column(id="network", label="Network", align="left"),
    Column(id="input", label="input", align="left", hide_on_phone=True),
)
MACS = (Column(id="macs", label="nominal", group="MACs (10^9)"), Column(id="live", label="live", group="MACs (10^9)"))


@dataclass(frozen=True, kw_only=True)
class PerMachine:
    """A table that stands once for each machine.

    Attributes:
        title: its short name.
        metric: whose records decide which machines have it.
        command: what makes them.
        make: the table of one machine.
        holding: an entry of a record's detail without which it does not count; then the page has the table only where
            some machine has such a record.
    """

    title: str
    metric: str
    command: str
    make: Callable[[Evidence, str], Table]
    holding: str = ""

    def machines(self, evidence: Evidence) -> tuple[str, ...]:
        """Those that have it, the one with most records first."""
        return timings.machines(evidence, self.metric, holding=self.holding)


def table(name: str, evidence: Evidence, number: int = 1) -> Table:
    """A table of `PER_MACHINE` for the machine of that number; one line instead where no machine has a record.

    Raises:
        KeyError: there are fewer machines.
    """
    kind = PER_MACHINE[name]
    found = kind.machines(evidence)
    if not found and number == 1:
        return nothing_measured(name, kind.title, kind.command)
    if not 1 <= number <= len(found):
        raise KeyError(f"no table {name}-{number}: {len(found)} machines have records of {kind.metric}")
    own_id = name if number == 1 else f"{name}-{number}"
    made = kind.make(evidence, found[number - 1])
    if not made.rows:
        return nothing_measured(own_id, kind.title, kind.command, machine=found[number - 1])
    return replace(made, id=own_id, title=kind.title)


def every_machine(name: str, evidence: Evidence) -> tuple[Table, ...]:
    """A table of `PER_MACHINE` for each machine that has records of it, or the one line that stands in their place."""
    count = len(PER_MACHINE[name].machines(evidence))
    return tuple(table(name, evidence, number) for number in range(1, max(1, count) + 1))


def _latency(evidence: Evidence, machine: str) -> Table:
    settings = timings.settings(evidence, machine, "latency")
    rows = _rows(evidence, machine, "latency", lambda subject: {
        "macs": _billions(evidence, subject, "macs"),
        "live": _billions(evidence, subject, "live_macs"),
        **{s.id: timing(timings.found(evidence, subject, "latency", machine, s), "ms", 1e3) for s in settings},
    })  # fmt: skip
    return Table(
        id="table-latency",
        title="",
        caption=f"Median time of one call on {machine}, in milliseconds, with the interval of the median. The paper "
        "reports no time, so there is nothing to agree with.",
        columns=(*NETWORK, *MACS, *setting_columns(settings, "ms")),
        rows=rows,
        notes=_about_times(evidence, settings, rows),
    )


def _throughput(evidence: Evidence, machine: str) -> Table:
    settings = timings.settings(evidence, machine, "throughput")
    rows = _rows(evidence, machine, "throughput", lambda subject: {
        s.id: timing(timings.found(evidence, subject, "throughput", machine, s), "images per second") for s in settings
    })  # fmt: skip
    return Table(
        id="table-throughput",
        title="",
        caption=f"Images per second on {machine}, calls in a row without a pause, with the interval of the median.",
        columns=(*NETWORK, *setting_columns(settings, "images/s")),
        rows=rows,
        notes=_about_times(evidence, settings, rows),
    )


def _memory(evidence: Evidence, machine: str) -> Table:
    settings = timings.settings(evidence, machine, "memory")

    def cells(subject: str) -> dict[str, Cell]:
        found = {s: timings.found(evidence, subject, "memory", machine, s) for s in settings}
        known = {
            name: next((cell for f in found.values() if (cell := in_megabytes(f, name)).record), in_megabytes(_NONE))
            for name in ("weights_bytes", "tensor_peak_bytes")
        }
        return {
            "weights": known["weights_bytes"],
            "tensors": known["tensor_peak_bytes"],
            **{s.id: in_megabytes(f) for s, f in found.items()},
            **{f"{s.id}_allocated": allocated_megabytes(f) for s, f in found.items() if s.device == "cuda"},
        }

    rows = _rows(evidence, machine, "memory", cells)
    what = (
        "what PyTorch's allocator reserved of the GPU at the peak of a call, and what live blocks took of that"
        if any(s.device == "cuda" for s in settings)
        else "what a process needs at its peak above what it had before the network was built"
    )
    return Table(
        id="table-memory",
        title="",
        caption=f"Memory on {machine}, in MB of 10^6 bytes: {what}, beside the weights alone and the most that live "
        "tensors ever take.",
        columns=(
            *NETWORK,
            Column(id="weights", label="weights", group="exact"),
            Column(id="tensors", label="tensor peak", group="exact"),
            *chain.from_iterable(map(_peak_columns, settings)),
        ),
        rows=rows,
        notes=(
            "Tensor peak: the most bytes of tensors alive at once in a call of eager PyTorch, its weights included.",
            *_usual(settings),
            *_left_out(evidence, rows),
        ),
    )


def _peak_columns(setting: Setting) -> list[Column]:
    columns = setting_columns([setting], "peak")
    if setting.device != "cuda":
        return columns
    (reserved,) = columns
    allocated = replace(reserved, id=f"{reserved.id}_allocated", label="allocated")
    return [allocated, replace(reserved, label="reserved")]


def _roofline(evidence: Evidence, machine: str) -> Table:
    settings = timings.settings(evidence, machine, "latency")
    rows = _rows(evidence, machine, "latency", lambda subject: {
        s.id: roofline_share(timings.found(evidence, subject, "latency", machine, s)) for s in settings
    })  # fmt: skip
    return Table(
        id="table-roofline",
        title="",
        caption=f"How much of what {machine} can do each network uses: the least time that the machine's ceilings "
        "allow, in percent of the time measured.",
        columns=(*NETWORK, *setting_columns(settings, "%")),
        rows=rows,
        notes=(
            "Arithmetic is the nearer ceiling, unless copy stands behind the number: then reading and writing every "
            "operator's maps and weights once would take longer.",
            "A share above 100 % is possible: maps that stay in a cache never move through memory, and an algorithm "
            "such as Winograd's needs fewer multiply-adds than are counted.",
            *_usual(settings),
            *_left_out(evidence, rows),
        ),
    )


_NONE = Found(None)


def _rows(evidence: Evidence, machine: str, metric: str, cells: Callable[[str], dict[str, Cell]]) -> tuple[Row, ...]:
    """A row for each network that has a number, a rule between the sections."""
    rows: list[Row] = []
    before = None
    for subject, section in timings.measured_on(evidence, machine, metric):
        made = cells(subject)
        own = [cell for name, cell in made.items() if name not in ("macs", "live")]
        if all(cell.record is None for cell in own):  # measured at other sizes only
            continue
        words = {"network": label(subject), "input": label(_input(own))}
        rows.append(Row(subject, words | made, rule_above=bool(rows) and section != before))
        before = section
    return tuple(rows)


def _input(cells: Iterable[Cell]) -> str:
    record = next(cell.record for cell in cells if cell.record is not None)
    size = record.protocol["input_hw"]
    return hw_text(size) if isinstance(size, list) else str(size)


def _billions(evidence: Evidence, subject: str, metric: str) -> Cell:
    return from_record(evidence.found(subject, metric), lambda value: round_printed(Fraction(value) / 10**9, 3))


def _about_times(evidence: Evidence, settings: Iterable[Setting], rows: tuple[Row, ...]) -> tuple[str, ...]:
    """The notes of a table of times: settings, confidence of the intervals, flags, and what is not measured."""
    cells = [cell for row in rows for cell in row.cells.values()]
    flags = flag_notes(cell.record for cell in cells)
    return (*_usual(settings), *interval_notes(cells), *flags, *_left_out(evidence, rows))


def _usual(settings: Iterable[Setting]) -> list[str]:
    """What the columns leave unsaid: precision and batch where they are the usual ones."""
    found = list(settings)
    parts = []
    if any(s.device == "cpu" and s.precision == "fp32" for s in found):
        parts.append("arithmetic is fp32")
    if any(s.batch == 1 for s in found):
        parts.append("a call takes one image")
    backends = ", ".join(dict.fromkeys(s.backend for s in found))
    said = f", and unless a column says otherwise {' and '.join(parts)}" if parts else ""
    return [f"Back ends: {backends}{said}."]


def _left_out(evidence: Evidence, rows: tuple[Row, ...]) -> list[str]:
    absent = len(set(evidence.networks) - {row.id for row in rows})
    return [f"Not measured on this machine: {absent} of the {len(evidence.networks)} networks."] if absent else []


PER_MACHINE: dict[str, PerMachine] = {
    "table-latency": PerMachine(title="Latency", metric="latency", command=LATENCY, make=_latency),
    "table-time-saved": PerMachine(
        title="What fewer multiply-adds buy", metric="latency", command=LATENCY, make=speed_saved.table_time_saved
    ),
    speed_gpu.ID: PerMachine(
        title="What a GPU's time is made of",
        metric="latency",
        command=f"{MEASURE} --metric latency --device cuda",
        make=speed_gpu.table_gpu,
        holding=speed_gpu.HOLDING,
    ),
    "table-throughput": PerMachine(title="Throughput", metric="throughput", command=THROUGHPUT, make=_throughput),
    "table-memory": PerMachine(title="Memory", metric="memory", command=MEMORY, make=_memory),
    "table-roofline": PerMachine(title="Share of the ceiling", metric="latency", command=LATENCY, make=_roofline),
}
"""Every table that stands once for each machine, by id."""
