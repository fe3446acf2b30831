"""Networks trained on synthetic figures: which records stand for which network of Tables II to V, and what is missing.

Two budgets, never mixed: `quick`, the paper's modules at width 32 behind a light stem, and `full`, its own networks.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from analysis.evidence import Evidence
from bench.recording.trained import CONTINUED, precision_by_digest
from bench.records.record import METRICS, Record
from bench.records.reported import HEADER, Reported
from dpn.spec import DPNLiteSpec, DPNSpec, ModelSpec
from dpn.training.recipes import RECIPES

TABLES = ("table-2", "table-3", "table-4", "table-5")

BUDGETS: Mapping[str, str] = {
    "quick": "Quick: the paper's modules at width 32 behind a stem of two convolutions.",
    "full": "Full: the paper's own networks, trained on one GPU.",
}
"""Budgets in the order of tables, and what they are."""

SEEDS = 3
"""Runs that a network should have."""

METRIC = "ap"
COLLECT = "python -m bench trained runs"


def command(budget: str, table: str = TABLES[0]) -> str:
    """What trains the networks of a table.

    Example:
        >>> command("quick")
        'python -m dpn sweep table-2 --budget quick --seeds 3'
    """
    return f"python -m dpn sweep {table} --budget {budget} --seeds {SEEDS}"


@dataclass(frozen=True, kw_only=True)
class Runs:
    """The runs of one budget that can stand beside each other.

    Attributes:
        budget: see `BUDGETS`.
        by_network: records by network and seed.
        precision: that all of them were trained in; empty where there are none.
        left_out: how many records are of older recipes, definitions or data, of another precision, or of batch norm
            over another number of people.
    """

    budget: str
    precision: str
    by_network: Mapping[str, Mapping[int, Record]]
    left_out: int

    def of(self, evidence: Evidence, subject: str) -> Mapping[int, Record]:
        """The runs that stand for a network of the paper's tables, by seed."""
        return self.by_network.get(stand_in(evidence, self.budget, subject) or "", {})

    def needed(self, evidence: Evidence, *tables: str) -> list[str]:
        """Networks that the tables need, by default all of `TABLES`."""
        found = {stand_in(evidence, self.budget, cell.subject): None for cell in printed_aps(evidence, *tables)}
        return [name for name in found if name]

    def minutes(self, evidence: Evidence, *tables: str) -> str:
        """How long the runs of the tables' networks took: "5 to 97 minutes"; empty where none of them has a run."""
        names = self.needed(evidence, *tables)
        took = [run.detail["seconds"] / 60 for name in names for run in self.by_network.get(name, {}).values()]
        ends = dict.fromkeys(f"{end(took):.0f}" for end in (min, max) if took)
        return f"{' to '.join(ends)} minutes" if took else ""

    def conditions(self, evidence: Evidence, *tables: str) -> Iterator[str]:
        """What the runs of the tables' networks do not share: how bf16 is multiplied, and whether one was continued."""
        every = [run for name in self.needed(evidence, *tables) for run in self.by_network.get(name, {}).values()]
        exact = [run for run in every if "fp32" in str(run.detail.get("bf16_products", ""))]
        if 0 < len(exact) < len(every):
            yield (
                f"Of {len(every)} runs {len(exact)} multiplied in fp32 what they had rounded to bf16, on a processor "
                f"that has no products of bf16: {_named(exact)}."
            )
        if continued := [run for run in every if CONTINUED in run.flags]:
            yield f"Continued with other versions, threads or another commit: {_named(continued)}."

    def few(self, evidence: Evidence, *tables: str) -> list[str]:
        """Those of them that have fewer runs than `SEEDS`."""
        return [name for name in self.needed(evidence, *tables) if len(self.by_network.get(name, {})) < SEEDS]


def _named(found: Iterable[Record]) -> str:
    """Networks with their seeds: "dpn1_32_lite (seeds 0, 2)"."""
    seeds: dict[str, list[str]] = {}
    for run in found:
        seeds.setdefault(run.subject, []).append(str(run.protocol["seed"]))
    return "; ".join(f"{name} (seed{'s' * (len(of) > 1)} {', '.join(of)})" for name, of in seeds.items())


def runs(evidence: Evidence, budget: str) -> Runs:
    """The current runs of a budget: of today's recipes and definitions, all validated on the same people.

    All were trained in one precision, and with as many people in a batch norm, too. Where there are several such sets
    of runs, the one with most runs is taken, and the newest of equals. Of a network and a seed that was trained twice,
    the newest run counts.
    """
    there = [r for r in reversed(evidence.store.records) if r.metric == METRIC and r.protocol.get("budget") == budget]
    grounds: dict[tuple[str, ...], list[Record]] = {}  # from the newest on, which is first among equals
    for record in there:
        if precision := _precision(evidence, record, budget):
            grounds.setdefault((precision, *_ground(record)), []).append(record)
    ground, taken = max(grounds.items(), key=lambda item: len(item[1]), default=(("",), []))
    found: dict[str, dict[int, Record]] = {}
    for record in taken:
        found.setdefault(record.subject, {}).setdefault(int(str(record.protocol["seed"])), record)
    ordered = {name: dict(sorted(by_seed.items())) for name, by_seed in found.items()}
    return Runs(budget=budget, precision=ground[0], by_network=ordered, left_out=len(there) - len(taken))


def every_budget(evidence: Evidence) -> tuple[Runs, ...]:
    """The runs of each budget that has any."""
    return tuple(found for budget in BUDGETS if (found := runs(evidence, budget)).by_network)


def _precision(evidence: Evidence, record: Record, budget: str) -> str | None:
    """In which precision a run of today's recipe and definitions was trained; None of any other."""
    spec, recipe = evidence.zoo.get(record.subject), RECIPES.get(f"{budget}/{record.subject}")
    if spec is None or recipe is None or record.metric_version != METRICS[METRIC].version:
        return None
    if record.spec_digest != spec.digest():
        return None
    return precision_by_digest(recipe).get(str(record.protocol.get("recipe")))


def _ground(record: Record) -> tuple[str, ...]:
    """What else scores must share to be compared."""
    names = ("data", "data_digest", "trained_on", "people", "protocol", "codec", "batch_norm")
    return tuple(str(record.protocol.get(name)) for name in names)


def stand_in(evidence: Evidence, budget: str, subject: str) -> str | None:
    """The network of a budget that stands for one of the paper's, or None where there is none.

    Example:
        >>> [stand_in(Evidence(), budget, "dpn4_64_normal") for budget in ("quick", "full")]
        ['dpn4_32_normal_lite', 'dpn4_64_normal']
    """
    spec = evidence.zoo.get(subject)
    if not isinstance(spec, DPNSpec):
        return None
    if budget == "full":
        return subject
    return next((name for name, other in evidence.zoo.items() if _is_light(other, spec)), None)


def _is_light(other: ModelSpec, spec: DPNSpec) -> bool:
    def essence(net: DPNSpec) -> tuple[object, ...]:
        return net.modules, net.dilations, net.conv2_stride, net.input_hw, net.joints

    return isinstance(other, DPNLiteSpec) and essence(other) == essence(spec)


def printed_aps(evidence: Evidence, *tables: str) -> Iterator[Reported]:
    """The AP cells of the paper's ablations, in print order."""
    for table in tables or TABLES:
        printed = evidence.reported[table]
        yield from (cell for cell in printed.cells.values() if cell.metric == "ap" and cell.row != HEADER)


def mean_oks(record: Record) -> float | None:
    """The mean similarity of keypoints to the true ones, from 0 to 1."""
    value = record.detail["scores"].get("mean_oks")
    return None if value is None else float(value)
