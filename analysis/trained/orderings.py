"""Every ordering that the paper's Tables II to V claim, and what networks trained on synthetic figures say of it."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

from analysis.evidence import Evidence
from analysis.trained import trained_runs
from analysis.trained.seeds import Ordering, holm, ordering
from analysis.trained.trained_runs import Runs
from bench.records.record import Record
from bench.records.reported import HEADER, Reported, ReportedTable
from bench.statistics import CONFIDENCE

GRIDDING = (("d2", "d4"), ("d4", "d6"), ("d6", "d8"), ("d1", "d8"))
"""Columns of Table III: beyond D = 2 a larger D is worse, and D = 8 is worse than ordinary convolution."""


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """An ordering that the paper's tables claim.

    Attributes:
        table: whose.
        words: which, such as "DPM over normal, DPN1_64".
        better: the printed AP that is higher.
        worse: the one that is lower.
    """

    table: str
    words: str
    better: Reported
    worse: Reported

    @property
    def id(self) -> str:
        """One word, unique in the table of orderings."""
        return f"{self.table.replace('-', '_')}_{self.better.subject}_over_{self.worse.subject}"

    @property
    def difference(self) -> Decimal:
        """How much higher the paper prints it, in percent AP."""
        assert self.better.number is not None
        assert self.worse.number is not None
        return self.better.number - self.worse.number


def claimed(evidence: Evidence) -> list[Claimed]:
    """The orderings: DPM over normal, over each constant D and over reversed; high resolution over low; deep over flat.

    And a small constant D over a larger one, which is how the paper shows gridding. Depth is that of the paper's own
    module: Table II at width 64, Table V at width 32.
    """
    tables = evidence.reported
    found = [
        *_rows_against(tables["table-2"], "dpm", "normal", "DPM over normal"),
        *_schedules(tables["table-3"]),
        *_rows_against(tables["table-4"], "ap_64x48", "ap_32x24", "64×48 over 32×24"),
        *_rows_against(tables["table-5"], "dpm", "rdpm", "DPM over reversed"),
        *_depths(tables["table-2"]),
        *_depths(tables["table-5"]),
    ]
    return [one for one in found if one.difference > 0]


def _rows_against(printed: ReportedTable, better: str, worse: str, words: str) -> Iterator[Claimed]:
    for column in printed.columns_of("ap"):
        name = printed.cell(HEADER, column).printed
        cells = printed.cell(better, column), printed.cell(worse, column)
        yield Claimed(table=printed.name, words=f"{words}, {name}", better=cells[0], worse=cells[1])


def _schedules(printed: ReportedTable) -> Iterator[Claimed]:
    for row in printed.rows[1:]:
        name = printed.cell(row, "network").printed
        for column in printed.columns_of("ap"):
            if column != "dpm":
                words = f"DPM over {printed.cell(HEADER, column).printed.replace('=', ' = ')}, {name}"
                better, worse = printed.cell(row, "dpm"), printed.cell(row, column)
                yield Claimed(table=printed.name, words=words, better=better, worse=worse)
        for one, other in GRIDDING:
            names = [printed.cell(HEADER, column).printed.replace("=", " = ") for column in (one, other)]
            better, worse = printed.cell(row, one), printed.cell(row, other)
            yield Claimed(table=printed.name, words=f"{names[0]} over {names[1]}, {name}", better=better, worse=worse)


def _depths(printed: ReportedTable) -> Iterator[Claimed]:
    for shallow, deep in pairwise(printed.columns_of("ap")):
        names = [printed.cell(HEADER, column).printed for column in (deep, shallow)]
        better, worse = printed.cell("dpm", deep), printed.cell("dpm", shallow)
        yield Claimed(table=printed.name, words=f"{names[0]} over {names[1]}", better=better, worse=worse)


@dataclass(frozen=True, kw_only=True)
class OverSeeds:
    """An ordering on synthetic figures, at one budget.

    Attributes:
        claim: what the paper says.
        pair: the networks that were trained, the one that should be better first.
        ap: what their AP says, in percent.
        oks: what the mean similarity of their keypoints says; None where it is not known.
        records: behind it.
    """

    claim: Claimed
    pair: tuple[str, str]
    ap: Ordering
    oks: Ordering | None
    records: tuple[Record, ...]


def over_seeds(evidence: Evidence, runs: Runs) -> list[OverSeeds]:
    """The orderings whose two networks were trained with at least one common seed."""
    found = []
    for claim in claimed(evidence):
        sides = [runs.of(evidence, cell.subject) for cell in (claim.better, claim.worse)]
        ap = ordering(*({seed: 100 * float(record.value) for seed, record in side.items()} for side in sides))
        if ap is None:
            continue
        oks = ordering(*map(_oks, sides))
        records = tuple(side[seed] for seed in ap.differences for side in sides)
        pair = (records[0].subject, records[1].subject)
        found.append(OverSeeds(claim=claim, pair=pair, ap=ap, oks=oks, records=records))
    return found


def _oks(side: Mapping[int, Record]) -> dict[int, float]:
    return {seed: value for seed, record in side.items() if (value := trained_runs.mean_oks(record)) is not None}


def is_empty(evidence: Evidence) -> bool:
    """Whether no two networks that the paper orders have a seed in common."""
    return not any(over_seeds(evidence, runs) for runs in trained_runs.every_budget(evidence))


def once(found: list[OverSeeds]) -> list[OverSeeds]:
    """Orderings of the same two trained networks, the first of each."""
    return list({one.pair: one for one in reversed(found)}.values())[::-1]


def counted(found: list[OverSeeds]) -> str:
    """How many orderings got each verdict, in words."""
    outcomes = Counter(one.ap.outcome for one in found)
    return (
        f"{outcomes['holds']} of {len(found)} orderings of Tables II to V hold over seeds, "
        f"{outcomes['does not hold']} do not, {outcomes['undecided']} are undecided"
    )


def corrected(found: list[OverSeeds]) -> str:
    """Which of those that hold do so with Holm's correction for all of them, in a sentence; empty where none holds.

    Those of a single seed have no test, and count among the comparisons all the same.
    """
    p_values = holm([one.ap.mean_p for one in found])
    holding = [(one, p) for one, p in zip(found, p_values, strict=True) if one.ap.outcome == "holds"]
    if not holding:
        return ""
    left = [one.claim.words for one, p in holding if p <= 1 - CONFIDENCE]
    which = f": {'; '.join(left)}" if left else ""
    of = f"{len(left)} of the {len(holding)} still hold{which}"
    return f"With Holm's correction for the {len(found)} comparisons {of}."
