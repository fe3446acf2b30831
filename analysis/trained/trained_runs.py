"""Networks trained on synthetic figures: which records stand for which network of Tables II to V, and what is missing.

Two budgets, never mixed: `quick`, the paper's modules at width 32 behind a light stem, and `full`, its own networks.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from analysis.evidence import Evidence
from bench.record import METRICS, Record
from bench.reported import HEADER, Reported
from bench.trained import recipe_digest
from dpn.spec import DPNLiteSpec, DPNSpec, ModelSpec
from dpn.training.recipes import RECIPES

TABLES = ("table-2", "table-3", "table-4", "table-5")

BUDGETS: Mapping[str, str] = {
    "quick": "Quick: the paper's modules at width 32 behind a stem of two convolutions, trained for some minutes.",
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
        left_out: how many records are of older recipes, definitions or data, or of batch norm over another number of
            people.
    """

    budget: str
    by_network: Mapping[str, Mapping[int, Record]]
    left_out: int

    def of(self, evidence: Evidence, subject: str) -> Mapping[int, Record]:
        """The runs that stand for a network of the paper's tables, by seed."""
        return self.by_network.get(stand_in(evidence, self.budget, subject) or "", {})

    def needed(self, evidence: Evidence, *tables: str) -> list[str]:
        """Networks that the tables need, by default all of `TABLES`."""
        found = {stand_in(evidence, self.budget, cell.subject): None for cell in printed_aps(evidence, *tables)}
        return [name for name in found if name]

    def few(self, evidence: Evidence, *tables: str) -> list[str]:
        """Those of them that have fewer runs than `SEEDS`."""
        return [name for name in self.needed(evidence, *tables) if len(self.by_network.get(name, {})) < SEEDS]


def runs(evidence: Evidence, budget: str) -> Runs:
    """The current runs of a budget: of today's recipes and definitions, all validated on the same people.

    All were trained with as many people in a batch norm, too. Where there are several such sets of runs, the one with
    most runs is taken, and the newest of equals. Of a network and a seed that was trained twice, the newest run counts.
    """
    there = [r for r in reversed(evidence.store.records) if r.metric == METRIC and r.protocol.get("budget") == budget]
    current = [record for record in there if _is_current(evidence, record, budget)]
    grounds = Counter(map(_ground, current))  # counted from the newest on, which is first among equals
    ground = grounds.most_common(1)[0][0] if grounds else ()
    found: dict[str, dict[int, Record]] = {}
    for record in current:
        if _ground(record) == ground:
            found.setdefault(record.subject, {}).setdefault(int(str(record.protocol["seed"])), record)
    ordered = {name: dict(sorted(by_seed.items())) for name, by_seed in found.items()}
    left_out = len(there) - sum(_ground(record) == ground for record in current)
    return Runs(budget=budget, by_network=ordered, left_out=left_out)


def every_budget(evidence: Evidence) -> tuple[Runs, ...]:
    """The runs of each budget that has any."""
    return tuple(found for budget in BUDGETS if (found := runs(evidence, budget)).by_network)


def _is_current(evidence: Evidence, record: Record, budget: str) -> bool:
    spec, recipe = evidence.zoo.get(record.subject), RECIPES.get(f"{budget}/{record.subject}")
    if spec is None or recipe is None or record.metric_version != METRICS[METRIC].version:
        return False
    return record.spec_digest == spec.digest() and record.protocol.get("recipe") == recipe_digest(recipe)


def _ground(record: Record) -> tuple[str, ...]:
    """What scores must share to be compared."""
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
