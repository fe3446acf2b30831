"""Whether training keeps the gridding that the wiring predicts: the table of neighbours' cosines, and its sentence."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from analysis.effective_fields.few_draws import FEW_IMAGES, over_draws
from analysis.effective_fields.gridding_records import DEEP, LIGHT, METRIC
from analysis.evidence import Evidence
from analysis.field_tables.fields import of_schedule
from analysis.tabular.cells import Cell, Column, Row, Table, label
from bench.records.record import METRICS, Record
from bench.statistics import CONFIDENCE, Interval
from dpn import dilation
from dpn.spec import DPNSpec

ID = "table-neighbours"
MAKE = "python -m analysis neighbours"
RANDOM, TRAINED = "random", "trained"


@dataclass(frozen=True)
class Shown:
    """A cosine: of one network, or a mean over several.

    Attributes:
        value: of it.
        low: lower end of the 95 % interval; of several trained networks the lowest.
        high: upper end, likewise.
    """

    value: float
    low: float
    high: float

    def text(self) -> str:
        """In percent with its interval; what is exactly zero is 0."""
        return f"{_percent(self.value)} % ({self.ends()})" if self.high else _percent(self.value)

    def ends(self) -> str:
        """The interval."""
        return f"{_percent(self.low)}–{_percent(self.high)}"


@dataclass(frozen=True)
class Network:
    """What is known of one network.

    Attributes:
        subject: its name.
        schedule: the name of its module's schedule.
        records: by `RANDOM` or `TRAINED`, one for each file of weights, the newest first.
    """

    subject: str
    schedule: str
    records: Mapping[str, Sequence[Record]] = field(default_factory=dict)

    def inside(self, kind: str) -> Shown | None:
        """The mean over the maps between the module's input and output."""
        return _mean([(r, {"value": float(r.value), "interval": r.detail["interval"]}) for r in self._of(kind)])

    def entering(self, kind: str) -> Shown | None:
        """The same of the map that the module reads."""
        return _mean([(r, r.detail["maps"][name]) for r in self._of(kind) for name in r.detail["entering"]])

    def _of(self, kind: str) -> Sequence[Record]:
        return self.records.get(kind, ())

    @property
    def overlap(self) -> float:
        """Share of what an output reads of the maps between that its neighbour reads too, exactly."""
        return of_schedule(self.schedule).mean_interior_overlap or 0.0


def networks(evidence: Evidence) -> list[Network]:
    """The networks of `SHOWN` with their current records, all from as many images of one source.

    Where there are records of several sources or numbers of images, those that most records have are taken; of random
    weights likewise those that are drawn in one way, with as many seeds.
    """
    there = [record for record in reversed(evidence.store.records) if _is_current(evidence, record)]
    there = _alike(there, "source", "images")
    random = _alike([record for record in there if _is_random(record)], "weights", "seeds")
    trained = [record for record in there if not _is_random(record)]
    found = []
    for subject in (*LIGHT, DEEP):
        spec = evidence.zoo[subject]
        assert isinstance(spec, DPNSpec)
        schedule = next(name for name, dilations in dilation.SCHEDULES.items() if dilations == spec.dilations)
        kinds: dict[str, dict[str, Record]] = {RANDOM: {}, TRAINED: {}}
        for kind, records in ((RANDOM, random), (TRAINED, trained)):
            for record in records:
                if record.subject == subject:
                    kinds[kind].setdefault(str(record.protocol["weights"]), record)
        found.append(Network(subject, schedule, {kind: list(records.values()) for kind, records in kinds.items()}))
    return found


def _is_current(evidence: Evidence, record: Record) -> bool:
    if record.metric != METRIC or record.metric_version != METRICS[METRIC].version:
        return False
    spec = evidence.zoo.get(record.subject)
    return spec is not None and record.spec_digest == spec.digest()


def _is_random(record: Record) -> bool:
    return str(record.protocol["weights"]).startswith("random")


def _alike(records: Sequence[Record], *entries: str) -> list[Record]:
    """Those whose protocols have the entries that most have; of records from the newest on, which counts first."""
    grounds = [tuple(str(record.protocol[name]) for name in entries) for record in records]
    most = Counter(grounds).most_common(1)
    return [record for record, ground in zip(records, grounds, strict=True) if ground == most[0][0]]


def table_neighbours(evidence: Evidence) -> Table:
    """Neighbours' cosines of every schedule, with random and with trained weights, beside what the wiring says."""
    rows = []
    found = networks(evidence)
    for one in found:
        deep = one.subject == DEEP
        name = f"{one.schedule}, last of DPN4_32" if deep else one.schedule
        cells = {"schedule": label(name), "wired": _wired(one)}
        for kind in (RANDOM, TRAINED):
            cells |= {kind: _cell(one, kind, one.inside(kind)), f"{kind}_input": _cell(one, kind, one.entering(kind))}
        rows.append(Row(one.subject, cells, rule_above=deep))
    inside, before = "inside the module", "at its input"
    return Table(
        id=ID,
        title="Neighbours, by their gradients",
        caption="How much two neighbouring outputs of a module depend on the same positions: the cosine of their "
        "squared gradients in percent, with 95 % intervals. Where the wiring parts them it is exactly 0, whatever the "
        "weights. Above the line: one module of width 32 behind a light stem of two convolutions.",
        columns=(
            Column(id="schedule", label="Module", align="left"),
            Column(id="wired", label="wired (%)", hide_on_phone=True),
            Column(id=RANDOM, label="random", group=inside),
            Column(id=TRAINED, label="trained", group=inside),
            Column(id=f"{RANDOM}_input", label="random", group=before, hide_on_phone=True),
            Column(id=f"{TRAINED}_input", label="trained", group=before, hide_on_phone=True),
        ),
        rows=tuple(rows),
        notes=(*_protocol(found), *_missing(found)),
    )


def _wired(one: Network) -> Cell:
    share = one.overlap
    how = f"exact, stack of the dilations {one.schedule}: mean overlap of neighbours over the maps between"
    return Cell(text=f"{100 * share:.1f}".removesuffix(".0"), value=share, how=how)


def _cell(one: Network, kind: str, shown: Shown | None) -> Cell:
    if shown is None:
        return Cell(text="–", state="missing", how=f"not measured yet; run: {_command(one, kind)}")
    record, *further = one.records[kind]
    ends = f"95 % interval {shown.low:.6g} to {shown.high:.6g}"
    n = int(record.detail["networks"])
    how = f"mean over {n} initialisations"
    if further:
        n += len(further)
        how = f"mean over {n} trained networks, with the lowest and the highest end of their intervals"
    elif kind == TRAINED:
        n = int(str(record.protocol["images"]))
        how = f"one trained network, {n} images"
    return Cell(
        text=_percent(shown.value), value=shown.value, state="measured", note=shown.ends() if shown.high else "",
        record=record, further=tuple(further), how=f"{how}; {ends}", n=n,
        interval=Interval(shown.low, shown.high, CONFIDENCE),
        flags=("widest ends of several intervals",) if further else (),
    )  # fmt: skip


def _command(one: Network, kind: str) -> str:
    weights = "" if kind == RANDOM else " --weights released" if one.subject == DEEP else " --weights FILE"
    return f"{MAKE} {one.subject}{weights}"


def _protocol(found: Sequence[Network]) -> list[str]:
    """How it was measured, and what a small cosine does not mean."""
    records = [one.records[kind][0] for kind in (RANDOM, TRAINED) for one in found if one.records.get(kind)]
    if not records:
        return []
    said = [
        f"The central output with its neighbours below and to the right; {records[0].protocol['images']} images "
        f"({records[0].protocol['source']}) through each network. Inside: mean over the maps between the module's "
        "input and output. wired: share of what an output reads of these maps that its neighbour reads too, exactly."
    ]
    said.append(
        "A value is of these images. Its interval (the bootstrap's, reflected at the value and widened by Student's t) "
        "is of what very many images would give, usually a little more, so that a value may stand near its lower end."
    )
    drawn = max(record.detail["networks"] for record in records)
    runs = max(len(one.records.get(TRAINED, ())) for one in found)
    if drawn > 1:
        said.append(f"random: weights drawn, mean over {drawn} initialisations, which the interval draws anew.")
    if runs == 1:
        few = f" With fewer than {FEW_IMAGES} images it holds less than 95 %, with 32 about 90 %."
        few = few if int(str(records[0].protocol["images"])) < FEW_IMAGES else ""
        said.append(f"trained: one network, whose interval is over images and says nothing of other seeds.{few}")
    elif runs:
        said.append(f"trained: mean over up to {runs} runs, with the lowest and highest end of their intervals.")
    return [
        *said,
        "A small cosine is no gridding by itself: an output that shortcuts lead mostly to its own position has little "
        "in common with its neighbours, however it is wired.",
    ]


def _missing(found: Sequence[Network]) -> list[str]:
    """What no record says, and what makes them."""
    absent = [(one, kind) for one in found for kind in (RANDOM, TRAINED) if not one.records.get(kind)]
    if not absent:
        return []
    random = [MAKE] if any(kind == RANDOM for _, kind in absent) else []  # what is there is not made again
    commands = random + [_command(one, kind) for one, kind in absent if kind == TRAINED]
    return [f"{len(absent)} of {2 * len(found)} measurements are missing; run: {'; '.join(commands)}."]


def sentence(evidence: Evidence) -> str:
    """What the records say of training and gridding, in short; empty where they say nothing of trained weights."""
    found = [one for one in networks(evidence) if one.inside(TRAINED)]
    apart = [one for one in found if not one.overlap]
    joined = [one.schedule for one in apart if (shown := one.inside(TRAINED)) and shown.high]
    zero = [one.schedule for one in apart if one.schedule not in joined]
    said = [f"exactly 0 inside {_listed(zero)}, as the wiring demands"] if zero else []
    said += [f"above 0 inside {_listed(joined)}, against the wiring"] if joined else []
    said += [_compared(one) for one in found if one.overlap and one.schedule == "DPM"][:1]  # the table has the others
    each = ", one run each" if all(len(one.records[TRAINED]) == 1 for one in found) else ""
    opening = f"After training on synthetic figures{each}, the cosine of neighbouring outputs' squared gradients is "
    return f"{opening}{'; '.join(said)}.{_entering(found)}" if said else ""


def _entering(found: Sequence[Network]) -> str:
    """What the same says of the map that a module reads, where DPM and its reverse can be compared."""
    light = {one.schedule: one for one in found if one.subject in LIGHT}
    ours, reverse = light.get("DPM"), light.get("reversed")
    if ours is None or reverse is None:
        return ""
    ends = {one.schedule: (one.entering(TRAINED), one.inside(TRAINED)) for one in (ours, reverse)}
    (here, inside), (there, inside_reverse) = ends["DPM"], ends["reversed"]
    if here is None or inside is None or there is None or inside_reverse is None:
        return ""
    turned = there.low > here.high and inside.low > inside_reverse.high
    other_way = "it is the other way round, " if turned else "it is "
    return f" At a module's input {other_way}{there.text()} for the reversed one and {here.text()} for DPM."


def _compared(one: Network) -> str:
    random, trained = one.inside(RANDOM), one.inside(TRAINED)
    assert trained is not None
    name = f"the last module of DPN4_32 ({one.schedule})" if one.subject == DEEP else one.schedule
    told = f"{trained.text()} inside {name}"
    if random is None:
        return told
    if trained.low <= random.high and random.low <= trained.high:
        return f"{told}, not measurably other than {random.text()} with random weights"
    return f"{told}, {'down' if trained.value < random.value else 'up'} from {random.text()} with random weights"


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _mean(rows: Sequence[tuple[Record, Mapping[str, Any]]]) -> Shown | None:
    """The mean with the widest ends of the intervals; None where there are no rows of records."""
    if not rows:
        return None
    intervals = [
        over_draws(row["interval"], int(str(record.protocol["images"])), int(record.detail["networks"]))
        for record, row in rows
    ]
    return Shown(
        sum(row["value"] for _, row in rows) / len(rows), min(one.low for one in intervals),
        max(one.high for one in intervals),
    )  # fmt: skip


def _percent(value: float) -> str:
    return f"{100 * value:.1f}" if value else "0"
