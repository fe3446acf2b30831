"""Sentences about accuracy that was measured here: on the paper's data, and on synthetic figures over seeds."""

from collections.abc import Iterator

from analysis.evidence import Evidence
from analysis.tabular import accuracy_cells
from analysis.trained import trained_runs
from analysis.trained.orderings import OverSeeds, corrected, counted, once, over_seeds
from analysis.trained.trained_runs import BUDGETS, COLLECT, SEEDS, TABLES, Runs, command
from bench.counts.conventions import round_printed

NAMED = 6
"""So many missing networks are named; more are only counted."""


def answer(evidence: Evidence) -> str:
    """What networks trained here add to the paper's APs."""
    said = [
        f"Trained here on synthetic figures at the {runs.budget} budget ({_built(runs)}), {counted(found)}. "
        f"{corrected(found)}".rstrip()
        for runs in trained_runs.every_budget(evidence)
        if (found := once(over_seeds(evidence, runs)))
    ]
    return (
        " ".join(["AP is the paper's, on COCO.", *said])
        if said
        else "AP is the paper's; no network is trained here yet."
    )


def unevaluated(evidence: Evidence) -> list[str]:
    """What is not known of the accuracy of networks built here."""
    if accuracy_cells.any_found(evidence, accuracy_cells.printed(evidence)):
        return []
    if trained_runs.every_budget(evidence):
        return [
            "Accuracy on COCO and MPII is quoted from the paper: networks are trained here on synthetic figures only."
        ]
    return ["Accuracy is quoted from the paper everywhere: no network has been trained or evaluated here."]


def sentences(evidence: Evidence) -> list[str]:
    """What training on synthetic figures says of the paper's orderings, and what is missing, one sentence each."""
    budgets = trained_runs.every_budget(evidence)
    if budgets:
        return [sentence for runs in budgets for sentence in _said(evidence, runs)]
    old = sum(trained_runs.runs(evidence, budget).left_out for budget in BUDGETS)
    older = f", but for {old} runs of older recipes or data" if old else ""
    return [
        f"No network is trained on synthetic figures yet{older}; run: {command('quick')}, the same for tables 3 to 5, "
        f"and then: {COLLECT}"
    ]


def _said(evidence: Evidence, runs: Runs) -> Iterator[str]:
    where = f"On synthetic figures, {runs.budget} budget"
    found = once(over_seeds(evidence, runs))
    if found:
        yield f"{where} ({_built(runs)}): {counted(found)}. {corrected(found)}".rstrip()
    for one in found:
        if one.ap.outcome == "does not hold":
            yield f"{where}, this does not hold: {one.claim.words}. {_against(one)}"
    open_ = [one.claim.words for one in found if one.ap.outcome == "undecided" and one.ap.mean <= 0]
    if open_:
        yield f"{where}, undecided and with a mean that is not in the paper's favour: {'; '.join(open_)}."
    if runs.few(evidence):
        yield f"{where}: {_missing(evidence, runs)}"
    if runs.left_out:
        yield (
            f"{where}: {runs.left_out} records are of older recipes, networks or data, of another precision than "
            f"{runs.precision}, or of another number of processes, and are left out."
        )


def _built(runs: Runs) -> str:
    """What stands for the paper's networks, by whose names the orderings go."""
    return BUDGETS[runs.budget].partition(": ")[2].rstrip(".")


def _missing(evidence: Evidence, runs: Runs) -> str:
    """Networks that were not trained often enough, by name where they are few, and what trains them."""
    few, needed = runs.few(evidence), len(runs.needed(evidence))
    named = f": {', '.join(few)}" if len(few) <= NAMED else ""
    commands = [command(runs.budget, table) for table in TABLES if runs.few(evidence, table)]
    run = "; ".join((*commands, COLLECT))
    return f"{len(few)} of {needed} networks have fewer than {SEEDS} runs{named}; run: {run}"


def _against(one: OverSeeds) -> str:
    assert one.ap.interval is not None
    low, high = (round_printed(abs(end), 1) for end in (one.ap.interval.high, one.ap.interval.low))
    lower, n = round_printed(abs(one.ap.mean), 1), len(one.ap.differences)
    return (
        f"The AP of {one.pair[0]} is {lower} lower than that of {one.pair[1]} (95 % interval {low} to {high}), in "
        f"{n - one.ap.agreeing} of {n} seeds; the paper has it {one.claim.difference} higher on COCO."
    )
