"""Tables II to V once more, trained on synthetic figures: means over seeds with intervals, beside the paper's AP."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from analysis.evidence import Evidence
from analysis.tabular.cells import Cell, Column, Row, Table, from_print, label
from analysis.tabular.cost_cells import title
from analysis.tabular.printed_words import word_of
from analysis.trained import trained_runs
from analysis.trained.seeds import mean_interval
from analysis.trained.trained_runs import BUDGETS, COLLECT, SEEDS, Runs, command
from bench.counts.conventions import round_printed
from bench.records.record import Record
from bench.records.reported import HEADER, Reported, ReportedTable
from dpn.training.recipes import RECIPES

SUFFIX = "-synthetic"

INTERVAL_NOTE = (
    "±: half of the 95 % interval of the mean over seeds (Student's t). AP in percent; mean OKS, from 0 to 1, is the "
    "mean similarity of everyone's keypoints to the true ones, and moves before AP does."
)

Measure = Callable[[Record], float | None]


def table(name: str, evidence: Evidence) -> Table:
    """One of the ablations on synthetic figures.

    Args:
        name: of the paper's table, such as table-2.
        evidence: where the records are.
    """
    printed = evidence.reported[name]
    networks = printed.columns_of("ap")
    scored = [row for row in printed.rows if row != HEADER and printed.cell(row, networks[0]).metric == "ap"]
    grid = {row: [printed.cell(row, column) for column in networks] for row in scored}
    words = {row: _words(printed, row, networks) for row in scored}
    found = trained_runs.every_budget(evidence)
    rows = [
        Row(row, {"quantity": label(f"{words[row]}: AP in print, COCO")} | {c.column: from_print(c) for c in cells})
        for row, cells in grid.items()
    ]
    for runs in found:
        rows += _rows(evidence, runs, grid, words)
    return Table(
        id=f"{name}{SUFFIX}",
        title=f"{title(name)}, on synthetic figures",
        caption="The paper's comparison with networks trained here on synthetic figures, beside the AP that it prints "
        "for COCO. The numbers of the two tasks are not comparable; their order is.",
        columns=(
            Column(id="quantity", label="", align="left"),
            *(Column(id=c, label=printed.cell(HEADER, c).printed.partition("_")[0]) for c in networks),
        ),
        rows=tuple(rows),
        notes=tuple(_notes(evidence, name, found)),
    )


def is_empty(name: str, evidence: Evidence) -> bool:
    """Whether no network of the paper's table of that name has a run."""
    cells = list(trained_runs.printed_aps(evidence, name))
    return not any(runs.of(evidence, cell.subject) for runs in trained_runs.every_budget(evidence) for cell in cells)


def _words(printed: ReportedTable, row: str, networks: Iterable[str]) -> str:
    """The schemes of a printed row, without what all rows share."""
    named = [word_of(printed.cell(row, c)) for c in printed.columns if c not in networks]
    return ", ".join(word for word in named if word and word != "AP" and "epochs" not in word)


def _rows(
    evidence: Evidence, runs: Runs, grid: Mapping[str, list[Reported]], words: Mapping[str, str]
) -> Iterator[Row]:  # fmt: skip
    """AP of every scheme that was trained at a budget, and then the mean OKS of every one."""
    first = True
    for kind, name, measure, scale, decimals in (
        ("ap", "AP", _value, 100, 1),
        ("oks", "mean OKS", trained_runs.mean_oks, 1, 3),
    ):
        for row, cells in grid.items():
            if any(runs.of(evidence, cell.subject) for cell in cells):
                made = {
                    cell.column: mean_cell(runs.of(evidence, cell.subject), measure, scale, decimals, runs.budget)
                    for cell in cells
                }
                stub = label(f"{words[row]}: {name}, {runs.budget} budget")
                yield Row(f"{runs.budget}_{row}_{kind}", {"quantity": stub} | made, rule_above=first)
                first = False


def _value(record: Record) -> float:
    return float(record.value)


def mean_cell(by_seed: Mapping[int, Record], measure: Measure, scale: int, decimals: int, budget: str) -> Cell:
    """The mean over seeds with half of its interval, and every seed in its sources.

    Args:
        by_seed: the runs of one network.
        measure: what of them is shown.
        scale: factor on it.
        decimals: shown.
        budget: of the runs.
    """
    values = {seed: scale * value for seed, record in by_seed.items() if (value := measure(record)) is not None}
    if not values:
        return Cell(text="–", state="missing", how=f"not trained yet; run: {command(budget)}, then: {COLLECT}")
    interval = mean_interval(list(values.values()))
    mean = sum(values.values()) / len(values)
    each = ", ".join(f"{round_printed(value, decimals)} with seed {seed}" for seed, value in values.items())
    how = f"mean of {len(values)} runs: {each}" if interval else f"a single run: {each}"
    note = "one seed"
    if interval:
        note = f"±{round_printed((interval.high - interval.low) / 2, decimals)}"
        ends = [round_printed(end, decimals) for end in (interval.low, interval.high)]
        how += f"; 95 % t interval {ends[0]} to {ends[1]}"
    record, *further = by_seed.values()
    return Cell(
        text=round_printed(mean, decimals), value=mean, state="measured", note=note, record=record,
        further=tuple(further) if measure is _value else (), how=how, interval=interval, n=len(values),
        flags=tuple(dict.fromkeys(flag for one in by_seed.values() for flag in one.flags)),
    )  # fmt: skip


def _notes(evidence: Evidence, name: str, found: tuple[Runs, ...]) -> Iterator[str]:
    if not found:
        yield f"Nothing is trained yet; run: {command('quick', name)}, then: {COLLECT}"
        return
    yield INTERVAL_NOTE
    for runs in found:
        minutes = runs.minutes(evidence, name)
        took = f"In {runs.precision}, a run in {minutes}. " if minutes else ""
        yield f"{BUDGETS[runs.budget]} {took}{_seeds(evidence, runs, name)}{same_epochs(evidence, runs, name)}"
        yield from runs.conditions(evidence, name)
        if few := runs.few(evidence, name):
            told = f"Fewer than {SEEDS} runs at the {runs.budget} budget: {', '.join(few)}"
            yield f"{told}; run: {command(runs.budget, name)}"


def _seeds(evidence: Evidence, runs: Runs, name: str) -> str:
    """How many runs the means of a table are of."""
    counts = {len(runs.of(evidence, cell.subject)) for cell in trained_runs.printed_aps(evidence, name)} - {0}
    return f"Seeds of each network: {' to '.join(map(str, sorted({min(counts, default=0), max(counts, default=0)})))}."


def same_epochs(evidence: Evidence, runs: Runs, name: str) -> str:
    """That all rows are trained for as long, where the paper's Table IV is not."""
    epochs = {
        RECIPES[f"{runs.budget}/{network}"].epochs
        for cell in trained_runs.printed_aps(evidence, name)
        if (network := trained_runs.stand_in(evidence, runs.budget, cell.subject))
        and f"{runs.budget}/{network}" in RECIPES
    }
    if name != "table-4" or len(epochs) != 1:
        return ""
    return f" Both resolutions are trained for {epochs.pop()} epochs here; the paper trains the high one for longer."
