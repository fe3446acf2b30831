"""The table of the paper's orderings: as printed for COCO, and over seeds of networks trained on synthetic figures."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

from analysis.evidence import Evidence
from analysis.tabular.cells import Cell, Column, Row, Table, label
from analysis.tabular.cost_cells import title
from analysis.trained import trained_runs
from analysis.trained.orderings import Claimed, OverSeeds, claimed, corrected, once, over_seeds
from analysis.trained.seeds import LEAST, Ordering
from analysis.trained.trained_runs import BUDGETS, COLLECT, command
from bench.counts.conventions import round_printed

ID = "orderings-synthetic"

RULE = (
    f"Holds: ahead in every seed, at least {LEAST}, and the 95 % interval of the mean difference (Student's t) is "
    "above zero. Does not hold: behind in every seed, and the interval is below zero. Else undecided. Seeds: in how "
    "many the sign agrees, and p of the two-sided sign test, which three seeds cannot bring below 0.25. No verdict is "
    "corrected for the number of orderings; Holm's correction, where it is told, is of the paired t-tests that go with "
    "the intervals."
)
TWICE = (
    "The quick budget has one width, so that rows of different tables can rest on the same runs; they are counted once."
)


def table(evidence: Evidence) -> Table:
    """Every ordering with the paper's difference and, at each budget, the one over seeds."""
    found = {runs.budget: {one.claim.id: one for one in over_seeds(evidence, runs)}
             for runs in trained_runs.every_budget(evidence)}  # fmt: skip
    claims = claimed(evidence)
    shown = [claim for claim in claims if any(claim.id in by_claim for by_claim in found.values())] or claims
    columns = [
        Column(id="ordering", label="Ordering", align="left"),
        Column(id="table", label="Table", align="left", hide_on_phone=True),
        Column(id="paper", label="AP in the paper"),
    ]
    for budget in found:
        group = f"{budget} budget"
        columns += [
            Column(id=f"{budget}_ap", label="AP", group=group),
            Column(id=f"{budget}_oks", label="mean OKS", group=group, hide_on_phone=True),
            Column(id=f"{budget}_seeds", label="seeds", group=group, hide_on_phone=True),
            Column(id=f"{budget}_verdict", label="verdict", group=group, align="left"),
        ]
    rows, last = [], ""
    for claim in shown:
        cells = {"ordering": label(claim.words), "table": label(title(claim.table)), "paper": _paper(claim)}
        for budget, by_claim in found.items():
            cells |= _cells(budget, by_claim.get(claim.id))
        rows.append(Row(claim.id, cells, rule_above=bool(last) and claim.table != last))
        last = claim.table
    return Table(
        id=ID,
        title="The paper's orderings, on synthetic figures",
        caption="How much better the first network is than the second: as the paper prints it for COCO, and as the "
        "mean over seeds of networks trained here on synthetic figures.",
        columns=tuple(columns),
        rows=tuple(rows),
        notes=tuple(_notes(evidence, claims)),
    )


def _notes(evidence: Evidence, claims: list[Claimed]) -> Iterator[str]:
    budgets = trained_runs.every_budget(evidence)
    if not budgets:
        yield f"Nothing is trained yet; run: {command('quick')}, then: {COLLECT}"
        return
    yield RULE
    for runs in budgets:
        found = over_seeds(evidence, runs)
        told = (BUDGETS[runs.budget], TWICE if runs.budget == "quick" else "", corrected(once(found)))
        yield " ".join(filter(None, told))
        yield from runs.conditions(evidence)
        waiting = len(claims) - len(found)
        if waiting:
            yield f"{waiting} orderings wait for runs at the {runs.budget} budget."


def _paper(claim: Claimed) -> Cell:
    how = f"{claim.better.printed} - {claim.worse.printed}, {claim.worse.subject} in row {claim.worse.row}"
    return Cell(text=_signed(claim.difference, 1), value=claim.difference, state="reported", reported=claim.better,
                how=how)  # fmt: skip


def _cells(budget: str, one: OverSeeds | None) -> dict[str, Cell]:
    if one is None:
        absent = Cell(text="–", state="missing", how=f"no seed that both are trained with; run: {command(budget)}")
        return {f"{budget}_{column}": absent for column in ("ap", "oks", "seeds", "verdict")}
    seeds = f"{one.ap.agreeing} of {len(one.ap.differences)}, p = {one.ap.p:.2g}"
    record, *further = one.records  # with the AP alone: every cell's sources stand on the page
    return {
        f"{budget}_ap": replace(_difference(one.ap, 1), record=record, further=tuple(further)),
        f"{budget}_oks": _difference(one.oks, 3) if one.oks else Cell(text="–", state="missing"),
        f"{budget}_seeds": Cell(text=seeds, value=one.ap.agreeing, state="measured", how="of the AP's differences",
                                n=len(one.ap.differences), p=one.ap.p),
        f"{budget}_verdict": Cell(text=one.ap.outcome, state="measured", how="from the AP's differences, see below"),
    }  # fmt: skip


def _difference(found: Ordering, decimals: int) -> Cell:
    each = ", ".join(f"{_signed(value, decimals)} with seed {seed}" for seed, value in found.differences.items())
    note = "one seed"
    if found.interval:
        note = f"±{round_printed((found.interval.high - found.interval.low) / 2, decimals)}"
    text = _signed(found.mean, decimals)
    return Cell(
        text=text, value=found.mean, state="measured", note=note, how=f"mean of {each}", interval=found.interval,
        n=len(found.differences), p=found.mean_p if found.interval else None,
    )  # fmt: skip


def _signed(value: float | Decimal, decimals: int) -> str:
    return f"{value:+.{decimals}f}".replace("-", "−")
