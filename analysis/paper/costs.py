"""What a DPN costs: the two readings of Table I, the other counters' opinions, and every network in one list."""

from dataclasses import dataclass
from fractions import Fraction

from analysis.evidence import Evidence
from analysis.tabular.cells import (
    EMPTY,
    NOT_MEASURED,
    Cell,
    Column,
    Row,
    Table,
    compared,
    from_print,
    from_record,
    label,
)
from analysis.tabular.cost_cells import (
    BASIS_NOTE,
    COST_NOTE,
    GIMACS,
    LIVE_NOTE,
    MILLION,
    in_millions,
    live_share,
    title,
)
from bench.counts.conventions import CONVENTIONS, round_printed
from bench.records.reported import Reported

READINGS = ("costed", "printed")
COUNTED_FOR_SHOW = ("dpn4_32", "dpn4_64", "dpn4_64_highres")
"""Networks whose second opinions the report prints; the records have every network's."""


@dataclass(frozen=True, kw_only=True)
class Met:
    """How many published costs of DPN networks the readings of Table I reproduce; only what is counted is judged.

    Attributes:
        published: costs that the paper prints.
        counted: those for which both readings have a current count.
        costed: of the counted, how many the reading that the costs imply reproduces.
        printed: of the counted, how many Table I to the letter reproduces.
        one_alone: of the counted, how many only one of the readings reproduces.
    """

    published: int
    counted: int
    costed: int
    printed: int
    one_alone: int

    @property
    def words(self) -> str:
        """What was judged, such as "16 published costs of DPN networks"."""
        costs = f"{self.published} published costs of DPN networks"
        return costs if self.counted == self.published else f"the {self.counted} counted of {costs}"


def met(rows: tuple[Row, ...]) -> Met:
    """How the readings do, by the rows of `table_readings`."""
    states = [tuple(row.cells[reading].state for reading in READINGS) for row in rows]
    counted = [pair for pair in states if set(pair) <= {"match", "differs"}]
    costed, printed = (sum(pair[place] == "match" for pair in counted) for place in (0, 1))
    one_alone = sum(len(set(pair)) == 2 for pair in counted)
    return Met(published=len(rows), counted=len(counted), costed=costed, printed=printed, one_alone=one_alone)


def published_digits(evidence: Evidence) -> list[Reported]:
    """Every cost of a DPN network that Tables IV, VI and VII print: what a reading of Table I has to meet."""
    return [
        cell
        for name in ("table-4", "table-6", "table-7")
        for cell in evidence.reported[name].cells.values()
        if cell.metric in ("params", "gflops") and f"{cell.subject}_printed" in evidence.zoo
    ]


def table_readings(evidence: Evidence) -> Table:
    """The two readings of Table I against every published digit of a DPN's cost."""
    rows: list[Row] = []
    for cell in published_digits(evidence):
        cells = {
            "where": label(title(cell.table)),
            "network": label(cell.subject),
            "quantity": label("#Params (M)" if cell.metric == "params" else "GFLOPs"),
            "published": from_print(cell),
        }
        for reading, subject in zip(READINGS, (cell.subject, f"{cell.subject}_printed"), strict=True):
            cells[reading] = _reading(evidence, subject, cell)
        rows.append(Row(f"{cell.table}/{cell.row}/{cell.column}", cells, rule_above=_starts(rows, cell.table)))
    return Table(
        id="table-readings",
        title="Two readings of Table I",
        caption=_outcome(met(tuple(rows))),
        columns=(
            Column(id="where", label="In", align="left", hide_on_phone=True),
            Column(id="network", label="Network", align="left"),
            Column(id="quantity", label="Quantity", align="left"),
            Column(id="published", label="published"),
            Column(id="costed", label="costed", group="measured, by reading"),
            Column(id="printed", label="to the letter", group="measured, by reading"),
        ),
        rows=tuple(rows),
        notes=(
            "Costed: Table I with one more 1x1 convolution, batch norm and ReLU at the modules' resolution, and with "
            "the head's upsampling kept in the high-resolution networks. The paper states neither; its costs ask for "
            "both.",
            "DPN2_hrnet is not among them: how it gets from HRNet's 32 channels to 256 is a choice as well.",
            COST_NOTE,
            "Shown with three decimals; the comparison rounds to the published ones.",
        ),
    )


def _outcome(found: Met) -> str:
    if not found.counted:
        return f"{found.published} published costs of DPN networks; none is counted yet in both readings of Table I."
    return (
        f"Of {found.words}, {found.costed} are reproduced by the costed reading of Table I and {found.printed} by "
        f"Table I to the letter. Those that only one of them reproduces decide: {found.one_alone}."
    )


def _starts(rows: list[Row], table: str) -> bool:
    return bool(rows) and not rows[-1].id.startswith(f"{table}/")


def _reading(evidence: Evidence, subject: str, printed: Reported) -> Cell:
    metric = "params" if printed.metric == "params" else "macs"
    found = evidence.found(subject, metric)
    if found.record is None:
        return NOT_MEASURED
    if metric == "params":
        value, how = Fraction(int(found.record.value), MILLION), "parameters / 10^6"
    else:
        value, how = GIMACS.value(found.record.detail["by_kind"]), "multiply-adds / 2^30"
    cell = compared(found, value, printed, how=how)
    note = f"prints {cell.text}, {cell.note}" if cell.note else ""
    return Cell(
        text=round_printed(value, 3), value=value, state=cell.state, note=note, reported=printed, record=found.record,
        how=how,
    )  # fmt: skip


def table_counters(evidence: Evidence) -> Table:
    """The same networks counted by other tools, each difference with its reason, to the last multiply-add."""
    rows: list[Row] = []
    for name in COUNTED_FOR_SHOW:
        macs, opinions = evidence.found(name, "macs"), evidence.found(name, "second_opinions").record
        if macs.record is None or opinions is None:
            continue
        ours = int(macs.record.value)
        rows.append(
            Row(
                f"{name}/own",
                {
                    "network": label(name),
                    "counter": label("this workbench"),
                    "total": from_record(macs, lambda v: f"{int(v):,}"),
                    "difference": EMPTY,
                    "reasons": label("multiply-adds of convolutions, and of nothing else here"),
                    "unexplained": EMPTY,
                },
                rule_above=bool(rows),
            )
        )
        for opinion in opinions.detail["opinions"]:
            cells = {"network": label(name), "counter": label(f"{opinion['counter']} {opinion['version']}")}
            if opinion["failure"]:
                blank = dict.fromkeys(("total", "difference", "unexplained"), NOT_MEASURED)
                cells |= blank | {"reasons": label(opinion["failure"])}
            else:
                difference = opinion["total"] - ours
                values = {
                    "total": opinion["total"], "difference": difference, "unexplained": opinion["unexplained"],
                }  # fmt: skip
                cells |= {
                    key: Cell(text=f"{value:+,}" if key == "difference" else f"{value:,}", value=value,
                              state="measured", record=opinions, how=f"{opinion['counter']}: {key}")
                    for key, value in values.items()
                }  # fmt: skip
                extras = "; ".join(f"{reason}: {count:+,}" for reason, count in opinion["extras"].items())
                cells["reasons"] = label(extras or "none")
            rows.append(Row(f"{name}/{opinion['counter']}", cells))
    return Table(
        id="table-counters",
        title="Second opinions",
        caption=f"The same network by other counters. {_explained(evidence)}",
        columns=(
            Column(id="network", label="Network", align="left"),
            Column(id="counter", label="Counter", align="left"),
            Column(id="total", label="MACs"),
            Column(id="difference", label="difference"),
            Column(id="reasons", label="which is", align="left", hide_on_phone=True),
            Column(id="unexplained", label="unexplained"),
        ),
        rows=tuple(rows),
        notes=("FlopCounterMode returns operations, two for each multiply-add; its total is halved here.",),
    )


def _explained(evidence: Evidence) -> str:
    """For how many networks the counters' differences have reasons."""
    asked = [record for name in evidence.networks if (record := evidence.record(name, "second_opinions"))]
    if not asked:
        return "None was asked yet."
    exact = sum(all(opinion["unexplained"] == 0 for opinion in record.detail["opinions"]) for record in asked)
    return (
        f"For {exact} of {len(asked)} networks that were counted by all of them, every difference is explained to the "
        "last multiply-add."
    )


def table_conventions(_: Evidence) -> Table:
    """What "GFLOPs" can mean, and who means it."""
    rows = [
        Row(
            convention.name,
            {
                "name": label(convention.name),
                "unit": label(convention.unit),
                "per_mac": label(str(convention.flops_per_mac)),
                "divisor": label({1: "1", 10**9: "10^9", 2**30: "2^30"}[convention.divisor]),
                "transposed": label(convention.transposed_at),
                "rounding": label(convention.rounding),
                "source": label(convention.source),
            },
        )
        for convention in CONVENTIONS.values()
    ]
    return Table(
        id="table-conventions",
        title="Conventions",
        caption="What a printed cost can mean; each measured cost names the one that it is in.",
        columns=(
            Column(id="name", label="Convention", align="left"),
            Column(id="unit", label="unit", align="left", hide_on_phone=True),
            Column(id="per_mac", label="for a multiply-add"),
            Column(id="divisor", label="divided by"),
            Column(id="transposed", label="deconvolutions at", align="left", hide_on_phone=True),
            Column(id="rounding", label="rounding", align="left", hide_on_phone=True),
            Column(id="source", label="who counts so", align="left"),
        ),
        rows=tuple(rows),
        notes=(
            "A deconvolution of stride 2 counted at its output size has four times its true multiply-adds.",
            "Batch norm, activations, pooling, upsampling, additions and biases count nothing in any of them.",
        ),
    )


def table_networks(evidence: Evidence) -> Table:
    """Every network of the zoo with its exact counts, but for those that are only trained."""
    rows = []
    for name in evidence.networks:
        spec = evidence.zoo[name]
        macs = evidence.found(name, "macs")
        gi = None if macs.record is None else GIMACS.value(macs.record.detail["by_kind"])
        rows.append(
            Row(
                name,
                {
                    "network": label(name),
                    "paper": label(spec.paper),
                    "basis": label(spec.basis),
                    "input": label("x".join(map(str, spec.input_hw))),
                    "params": from_record(evidence.found(name, "params"), in_millions),
                    "gimacs": from_record(macs, lambda v: round_printed(v, 3), value=gi, how="multiply-adds / 2^30"),
                    "macs": from_record(macs, lambda v: f"{int(v):,}"),
                    "live": live_share(evidence, name),
                },
            )
        )
    return Table(
        id="table-networks",
        title="Every network",
        caption="Exact counts of every network that this workbench builds.",
        columns=(
            Column(id="network", label="Network", align="left"),
            Column(id="paper", label="in the paper", align="left", hide_on_phone=True),
            Column(id="basis", label="built from", align="left", hide_on_phone=True),
            Column(id="input", label="input", align="left", hide_on_phone=True),
            Column(id="params", label="parameters (M)"),
            Column(id="gimacs", label="MACs / 2^30"),
            Column(id="macs", label="MACs", hide_on_phone=True),
            Column(id="live", label="live (%)"),
        ),
        rows=tuple(rows),
        notes=(LIVE_NOTE, BASIS_NOTE),
    )
