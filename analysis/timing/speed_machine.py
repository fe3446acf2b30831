"""What the machines themselves were measured to be: their ceilings, and how often the harness errs on them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from statistics import median

from analysis.evidence import Evidence
from analysis.tabular.cells import NOT_MEASURED, Cell, Column, Row, Table, label
from analysis.timing.speed_cells import PERCENT, flag_notes, marks_of, nothing_measured, rounded
from analysis.timing.timings import setting_of
from bench.records.record import Record
from bench.records.rows import UNTRUSTED, row_of
from bench.statistics import ALPHA, Comparison, Interval, compare_processes, least_p, share_interval
from bench.verdicts.copies import Copies
from bench.verdicts.noise_floor import FALSE_ALARMS, HOW_TO_MEASURE
from bench.verdicts.trials import SLOWDOWNS
from bench.verdicts.turns import APART
from bench.verdicts.yardsticks import ASV_ALPHA, ASV_FACTOR, asv_rule, pytest_benchmark_rule
from dpn.input_size import hw_text
from dpn.program.quantities import so_many

CEILINGS = {"arithmetic_ceiling": ("arithmetic", "GMAC/s"), "copy_ceiling": ("copy", "GB/s")}
BETWEEN_HOURS = (1.25, 1.4, 1.5, 2.0)
"""Slowdowns between records of different hours, of which a part is found."""

Decided = tuple[Record, Comparison]
Rule = Callable[[Decided], str]


def table_ceilings(evidence: Evidence) -> Table:
    """The best arithmetic and the fastest copy that each machine was seen to reach, and what reached it."""
    newest = {r.key(): r for r in evidence.store.records if r.metric in CEILINGS}
    records = sorted(newest.values(), key=lambda r: (r.machine, r.metric, str(r.protocol)))
    if not records:
        return nothing_measured(
            "table-ceilings", "Ceilings", "they are measured with the first latency: python -m bench measure NAME "
            "--metric latency",
        )  # fmt: skip
    rows: list[Row] = []
    for record in records:
        rule = bool(rows) and not rows[-1].id.startswith(f"{record.machine}/")
        rows.append(_ceiling_row(record, rule_above=rule))
    return Table(
        id="table-ceilings",
        title="Ceilings",
        caption="The most that each machine was seen to do, each the best of every installed library; shares of the "
        "ceiling refer to these.",
        columns=(
            Column(id="machine", label="Machine", align="left"),
            Column(id="kind", label="Ceiling", align="left"),
            Column(id="threads", label="threads"),
            Column(id="rate", label="10^9 a second"),
            Column(id="winner", label="reached by", align="left", hide_on_phone=True),
            Column(id="second", label="another library reached", align="left", hide_on_phone=True),
        ),
        rows=tuple(rows),
        notes=(
            "Arithmetic in multiply-adds, copy in bytes read and written. Every candidate ran in a process of its own; "
            "the fastest block of calls counts.",
            *flag_notes(records),
        ),
    )


def _ceiling_row(record: Record, *, rule_above: bool) -> Row:
    kind, unit = CEILINGS[record.metric]
    precision = str(record.protocol.get("precision", ""))
    rates = {name: float(found["rate"]) for name, found in record.detail.get("candidates", {}).items()}
    winner = str(record.detail.get("winner", ""))
    rivals = {name: rate for name, rate in rates.items() if name.split()[0] != winner.split()[0]} if winner else {}
    second = max(rivals, key=lambda name: rivals[name], default="")
    parts = [record.machine, kind, precision, str(record.protocol["threads"])]
    cells = {
        "machine": label(record.machine),
        "kind": label(" ".join(filter(None, (kind, precision)))),
        "threads": label("–" if record.protocol["device"] == "cuda" else str(record.protocol["threads"])),
        "rate": Cell(
            text=rounded(record.value / 1e9), value=record.value, state="measured", record=record,
            how=f"in {unit}, the best of {len(rates)} candidates", note=marks_of(record), flags=record.flags,
        ),
        "winner": label(winner),
        "second": label(f"{second}: {rounded(rivals[second] / 1e9)}" if second else "–"),
    }  # fmt: skip
    return Row("/".join(filter(None, parts)), cells, rule_above=rule_above)


def table_noise(evidence: Evidence) -> Table:
    """How often the harness errs, and how often two widely used rules would have on the same samples."""
    machines = sorted({record.machine for record, _ in evidence.trials} | {one.machine for one in evidence.copies})
    if not machines:
        return nothing_measured("table-noise", "Noise floor", HOW_TO_MEASURE)
    known: set[float] = {1.0, *SLOWDOWNS} if evidence.copies else set()
    ratios = sorted({_ratio(record) for record, _ in evidence.trials} | known)
    rows: list[Row] = []
    for machine in machines:
        found = [*_duels_rows(evidence, machine, ratios), *_copies_rows(evidence, machine, ratios)]
        rows += [replace(found[0], rule_above=bool(rows)), *found[1:]]
    return Table(
        id="table-noise",
        title="Noise floor",
        caption="Comparisons whose true answer is known: how many of a network with itself were called faster or "
        "slower, which is an error, and how many true slowdowns were called slower, which is right.",
        columns=(
            Column(id="machine", label="Machine", align="left", hide_on_phone=True),
            Column(id="rule", label="Rule", align="left"),
            *(Column(id=_column(ratio), label=_heading(ratio), group=_group(ratio)) for ratio in ratios),
        ),
        rows=tuple(rows),
        notes=(*_of_duels(evidence), *_of_copies(evidence), *_of_hours(evidence)),
    )


def _duels_rows(evidence: Evidence, machine: str, ratios: Sequence[float]) -> Iterator[Row]:
    """What each rule makes of the duels, where there are some on this machine."""
    if not any(record.machine == machine for record, _ in evidence.trials):
        return
    for name, (words, rule) in RULES.items():
        rates = {_column(ratio): _rate(evidence, machine, ratio, rule) for ratio in ratios}
        yield Row(f"{machine}/{name}", {"machine": label(machine), "rule": label(words)} | rates)


def _copies_rows(evidence: Evidence, machine: str, ratios: Sequence[float]) -> Iterator[Row]:
    """What comparing records makes of copies of a network, a row for each network and setting."""
    for place, copies in enumerate(one for one in evidence.copies if one.machine == machine):
        words = f"this harness, records of {_named(copies)}: exact rank test over processes, p <= {ALPHA:g}"
        cells = {_column(ratio): _rate_of_copies(copies, ratio) for ratio in ratios}
        yield Row(f"{machine}/records{place or ''}", {"machine": label(machine), "rule": label(words)} | cells)


def _named(copies: Copies) -> str:
    """For example "21 copies of dpn1_32 at 64x48 (eager, 1 thread)"."""
    record = copies.records[0]
    return f"{len(copies.records)} copies of {record.subject} at {_size(record)} ({setting_of(record.protocol)})"


def _rate_of_copies(copies: Copies, ratio: float) -> Cell:
    """How many pairs got a wanted verdict; without an interval, since each copy is in many pairs."""
    hits, pairs = _hits([copies], ratio)
    made = f", one multiplied by {ratio:g}" if ratio != 1 else ""
    return Cell(
        text=f"{hits} of {pairs}", value=PERCENT * hits / pairs, state="measured",
        record=copies.records[0], further=copies.records[1:], n=pairs,
        how=f"{hits} of {pairs} pairs of records of {len(copies.records)} copies on {copies.machine}{made}",
    )  # fmt: skip


def _of_duels(evidence: Evidence) -> Iterator[str]:
    """What the duels are and how rules decide them, where there are some."""
    if evidence.trials:
        yield f"Behind each share of duels: its 95 % interval (Clopper and Pearson). {_what(evidence)}"
        yield (
            "All rules of duels decide the same samples. The other two know neither rounds nor processes: each side's "
            "samples are pooled for them."
        )


def _of_copies(evidence: Evidence) -> Iterator[str]:
    """What the pairs of records are, where there are some."""
    if evidence.copies:
        told = dict.fromkeys(map(_named, evidence.copies))
        yield (
            f"Pairs of records are all pairs of {'; '.join(told)}, each measured in one sweep as networks are; a "
            "slowdown is one side's times multiplied by it. Each copy is in many pairs, so that the shares have no "
            f"simple interval.{_of_flags(evidence)}"
        )


def _of_hours(evidence: Evidence) -> Iterator[str]:
    """What can be found between records that were not measured in turns, told by the latencies themselves."""
    rows = [row_of(record) for record in evidence.store.current() if record.metric == "latency"]
    judged = [row for row in rows if row.trusted and least_p(row.processes, row.processes) <= ALPHA]
    times = [[[median(process)] for process in row.times_by_process] for row in judged]  # all that a process counts by
    if not times:
        return
    found = []
    for ratio in BETWEEN_HOURS:
        slowed = [[[ratio * time for time in process] for process in one] for one in times]
        verdicts = [
            compare_processes(one, other, apart=APART).verdict for one, other in zip(times, slowed, strict=True)
        ]
        found.append(f"{verdicts.count('slower')} by {PERCENT * (ratio - 1):.0f} %")
    yield (
        f"Records of different hours have intervals that are {PERCENT * APART:.0f} % wider at either end. Of "
        f"{so_many(len(times), 'latency', 'latencies')}, each compared so with itself, one side's times multiplied, "
        f"are called slower when they are: {', '.join(found)}."
    )


def _of_flags(evidence: Evidence) -> str:
    """That some of the copies would decide nothing elsewhere on the page, if any would."""
    told = flagged_copies(evidence.copies)
    return f" {told}, as a busy machine makes them; elsewhere such times decide nothing." if told else ""


def flagged_copies(sets: Sequence[Copies]) -> str:
    """How many copies are flagged, such as "21 of 21 copies are flagged (disturbed)"; empty where none is."""
    records = [record for one in sets for record in one.records]
    flagged = [record for record in records if UNTRUSTED & set(record.flags)]
    flags = " or ".join(sorted(UNTRUSTED & {flag for record in flagged for flag in record.flags}))
    return f"{len(flagged)} of {len(records)} copies are flagged ({flags})" if flagged else ""


def alarms(evidence: Evidence, machine: str) -> tuple[int, int, Interval] | None:
    """Comparisons of a network with itself that the harness called faster or slower, of how many, and the interval."""
    return _counted(evidence, machine, 1.0, _ours)


def pair_verdicts(evidence: Evidence, machine: str, ratio: float = 1.0) -> tuple[int, int]:
    """Pairs of records of copies of one network, one side's times multiplied: how many were called what counts, of all.

    What counts is a false alarm where the ratio is 1, and the true verdict elsewhere.
    """
    return _hits([one for one in evidence.copies if one.machine == machine], ratio)


def _hits(sets: Sequence[Copies], ratio: float) -> tuple[int, int]:
    """Pairs whose verdict is a wanted one at this ratio, and all pairs."""
    verdicts = [found.verdict for copies in sets for found in copies.comparisons(ratio)]
    return sum(verdict in _wanted(ratio) for verdict in verdicts), len(verdicts)


def _ours(trial: Decided) -> str:
    return trial[1].verdict


def _pytest_benchmark(trial: Decided) -> str:
    return pytest_benchmark_rule(*_pooled(trial[0]))


def _asv(trial: Decided) -> str:
    return asv_rule(*_pooled(trial[0]))


def _pooled(record: Record) -> tuple[list[float], list[float]]:
    rounds = record.detail["rounds"]
    a, b = ([time for fought in rounds for time in fought[side]] for side in ("a", "b"))
    return a, b


RULES: dict[str, tuple[str, Rule]] = {
    "harness": (f"this harness: exact rank test over rounds, p <= {ALPHA:g}", _ours),
    "pytest_benchmark": ("pytest-benchmark: min:5%", _pytest_benchmark),
    "asv": (f"asv: Mann-Whitney p < {ASV_ALPHA:g} and a factor of {ASV_FACTOR:g}", _asv),
}
"""Rules that decide the trials: a row's id, what it is called, and its verdict."""


def _counted(evidence: Evidence, machine: str, ratio: float, rule: Rule) -> tuple[int, int, Interval] | None:
    trials = [trial for trial in evidence.trials if trial[0].machine == machine and _ratio(trial[0]) == ratio]
    if not trials:
        return None
    hits = sum(rule(trial) in _wanted(ratio) for trial in trials)
    return hits, len(trials), share_interval(hits, len(trials))


def _wanted(ratio: float) -> frozenset[str]:
    """The verdicts that are counted where this is the true ratio."""
    return FALSE_ALARMS if ratio == 1 else frozenset({"slower" if ratio > 1 else "faster"})


def _rate(evidence: Evidence, machine: str, ratio: float, rule: Rule) -> Cell:
    counted = _counted(evidence, machine, ratio, rule)
    if counted is None:
        return NOT_MEASURED
    hits, number, interval = counted
    records = [r for r, _ in evidence.trials if r.machine == machine and _ratio(r) == ratio]
    share = PERCENT * hits / number
    return Cell(
        text=f"{hits} of {number}", value=share, state="measured", record=records[0], further=tuple(records[1:]),
        note=f"{PERCENT * interval.low:.1f}–{PERCENT * interval.high:.1f} %", n=number,
        interval=Interval(PERCENT * interval.low, PERCENT * interval.high, interval.confidence),
        how=f"{hits} of {number} trials on {machine}, decided from the raw rounds in their records: {share:.4g} %",
    )  # fmt: skip


def _ratio(record: Record) -> float:
    return float(str(record.protocol["true_ratio"]))


def _column(ratio: float) -> str:
    return f"ratio_{ratio:g}"


def _heading(ratio: float) -> str:
    return "with itself" if ratio == 1 else f"{PERCENT * abs(ratio - 1):.3g} %"


def _group(ratio: float) -> str:
    if ratio == 1:
        return "called different"
    return "called slower, truly slower by" if ratio > 1 else "called faster, truly faster by"


def _size(record: Record) -> str:
    size = record.protocol["input_hw"]
    assert isinstance(size, list)
    return hw_text(size)


def _what(evidence: Evidence) -> str:
    def listed(values: Sequence[str]) -> str:
        return ", ".join(dict.fromkeys(values))

    records = [record for record, _ in evidence.trials]
    sizes = [_size(record) for record in records]
    effects = [f"{PERCENT * float(record.detail['effect']):g} %" for record in records]
    rounds = [str(len(record.detail["rounds"])) for record in records]
    return (
        f"Trials are duels of {listed([r.subject for r in records])} at {listed(sizes)} in {listed(rounds)} rounds of "
        "two fresh processes; a slowdown is that many more calls. For this harness the smallest difference that "
        f"matters is {listed(effects)}."
    )
