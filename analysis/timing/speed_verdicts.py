"""Did fewer multiply-adds buy time: the comparisons of every machine counted by verdict."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from analysis.evidence import Evidence
from analysis.tabular.cells import Cell, Column, Row, Table, label
from analysis.timing import timings
from analysis.timing.speed_cells import PERCENT, nothing_measured
from analysis.timing.speed_saved import Saving, savings
from bench.records.rows import UNTRUSTED
from bench.statistics import ALPHA
from bench.verdicts.turns import APART

ID = "table-time-verdicts"
TITLE = "Time against multiply-adds"


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Comparisons of a DPN with a network that takes more multiply-adds, counted.

    Attributes:
        comparisons: all of them.
        aside: of these, how many decide nothing whatever they say: a time is flagged, or of too few processes.
        faster: in how many the DPN is faster.
        slower: in how many it is slower.
        larger: in how many its share of the time is clearly larger than that of the multiply-adds: all of the interval.
        smaller: in how many it is clearly smaller.
        together: in how many one sweep measured both in turns.
    """

    comparisons: int
    aside: int
    faster: int
    slower: int
    larger: int
    smaller: int
    together: int

    @property
    def judged(self) -> int:
        """Comparisons that can be in a verdict."""
        return self.comparisons - self.aside

    @classmethod
    def of(cls, found: Iterable[Saving]) -> Self:
        """Counts comparisons; one that decides nothing is in neither of two opposites."""
        every = list(found)
        decided = [s for s in every if s.decides]
        told = [s.times.verdict for s in decided]
        return cls(
            comparisons=len(every),
            aside=len(every) - len(decided),
            faster=told.count("faster"),
            slower=told.count("slower"),
            larger=sum(s.times.interval.low > s.macs_share for s in decided),
            smaller=sum(s.times.interval.high < s.macs_share for s in decided),
            together=sum(s.together for s in every),
        )


def by_backend(found: Iterable[Saving]) -> dict[str, Tally]:
    """The comparisons of each back end, PyTorch itself first; on a GPU it counts as another back end."""
    grouped: dict[str, list[Saving]] = defaultdict(list)
    for saving in sorted(found, key=lambda saving: (saving.setting.device, saving.setting.order())):
        on = " on a GPU" if saving.setting.device == "cuda" else ""
        grouped[f"{saving.setting.backend}{on}"].append(saving)
    return {backend: Tally.of(own) for backend, own in grouped.items()}


def table_time_verdicts(evidence: Evidence) -> Table:
    """How often a DPN is faster than a network with more multiply-adds, and by as much, on each machine."""
    rows: list[Row] = []
    effects: set[float] = set()
    for machine in timings.machines(evidence, "latency"):
        found = savings(evidence, machine)
        effects |= {saving.times.effect for saving in found}
        for backend, tally in by_backend(found).items():
            rule = bool(rows) and not rows[-1].id.startswith(f"{machine}/")
            words = {"machine": label(machine), "backend": label(backend)}
            rows.append(Row(f"{machine}/{backend}", words | _cells(tally), rule_above=rule))
    if not rows:
        return nothing_measured(ID, TITLE, "python -m bench measure --suite paper --metric latency")
    return Table(
        id=ID,
        title=TITLE,
        caption="Comparisons of a DPN with a network that the paper compares it with and that takes more "
        "multiply-adds, one image a call, each precision and thread count by itself: in how many the DPN is faster, "
        "and in how many its share of the other's time is larger or smaller than its share of the multiply-adds.",
        columns=(
            Column(id="machine", label="Machine", align="left"),
            Column(id="backend", label="back end", align="left"),
            Column(id="comparisons", label="comparisons"),
            Column(id="faster", label="faster", group="the DPN is"),
            Column(id="slower", label="slower", group="the DPN is"),
            Column(id="larger", label="larger", group="its share of time is"),
            Column(id="smaller", label="smaller", group="its share of time is"),
            Column(id="aside", label="set aside"),
            Column(id="together", label="in turns"),
        ),
        rows=tuple(rows),
        notes=(
            f"Faster, slower: p is at most {ALPHA:g}, the 95 % interval is on that side of 1, and the estimate "
            f"{PERCENT * max(effects):.0f} % or more. Larger, smaller: the whole 95 % interval is.",
            f"Set aside: a time is flagged ({' or '.join(sorted(UNTRUSTED))}), or its processes are too few for 95 %; "
            "it is in no other verdict.",
            "In turns: one sweep measured both networks side by side. The intervals of the others are "
            f"{PERCENT * APART:.0f} % wider at either end.",
            "No correction is made for the number of comparisons, which share times.",
        ),
    )  # fmt: skip


def _cells(tally: Tally) -> dict[str, Cell]:
    how = "the machine's comparisons in this back end, counted"
    return {
        name: Cell(text=str(number), value=number, state="measured", how=how) for name, number in vars(tally).items()
    }
