"""The report's sentences about time and memory: did fewer multiply-adds buy any, how sure is that, what is missing."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain

from analysis.evidence import Evidence
from analysis.timing import speed, timings
from analysis.timing.speed_cells import NAMED, PERCENT
from analysis.timing.speed_data import correlation, figure_latency_data, in_words
from analysis.timing.speed_machine import alarms, flagged_copies, pair_verdicts
from analysis.timing.speed_saved import Saving, savings
from analysis.timing.speed_verdicts import Tally, by_backend
from analysis.timing.timings import Setting
from bench.records.record import Record
from bench.verdicts.noise_floor import HOW_TO_MEASURE
from bench.verdicts.trials import SLOWDOWNS
from bench.verdicts.turns import APART
from dpn.program.quantities import so_many, some

UNTIMED = f"No time is measured yet; run: {speed.LATENCY}"
TURNS_ON = (("dpn4_64", "hrnet_w32"), ("dpn4_64", "sbl_r50"))
"""The comparisons that the paper's argument turns on: its main network and the two it names as heavy."""


def answer(evidence: Evidence) -> str:
    """Chapter 5: did DPN's fewer multiply-adds buy time, and memory?"""
    machines = timings.machines(evidence, "latency")
    if not machines:
        return UNTIMED
    compared = _compared(evidence)
    sentences = [*_verdicts(compared), *chain.from_iterable(_pair(compared, *pair) for pair in TURNS_ON)]
    data = figure_latency_data(evidence)
    drawn = data[data.drawn]
    taus = {} if drawn.empty else {column: correlation(data, column) for column in ("macs", "live_macs")}
    if any(taus.values()):
        macs, live = map(in_words, taus.values())
        sentences.append(
            f"Over {len(drawn)} networks on {drawn.machine.iloc[0]} ({drawn.setting.iloc[0]}) the order by time "
            f"follows that by multiply-adds with Kendall's tau {macs}, and by live ones with {live}."
        )
    sentences += chain.from_iterable(_memory(evidence, *pair) for pair in TURNS_ON)
    why = "none has a current record" if data.empty else "no two that could be compared"
    return " ".join(sentences) or f"Networks were timed on {machines[0]}, but {why}."


def _compared(evidence: Evidence) -> dict[str, list[Saving]]:
    """The comparisons of each machine that has some."""
    found = {machine: savings(evidence, machine) for machine in timings.machines(evidence, "latency")}
    return {machine: own for machine, own in found.items() if own}


def _verdicts(compared: dict[str, list[Saving]]) -> Iterator[str]:
    """Whether a DPN is faster, and whether by as much as its multiply-adds promise; nothing where nothing is compared.

    For example "Of 324 comparisons of a DPN with a network that takes more multiply-adds (26 pairs in the settings of
    3 machines), 33 of which are set aside, the DPN is faster in 290 of 291 and slower in 0. It saves clearly less time
    than multiply-adds in 62 of 129 in eager, 0 of 92 in onnxruntime, and clearly more in 13 of all."
    """
    found = list(chain.from_iterable(compared.values()))
    if not found:
        return
    tally = Tally.of(found)
    pairs, machines = len({(s.ours, s.other) for s in found}), len(compared)
    where = f"{so_many(pairs, 'pair')} in the settings of {so_many(machines, 'machine')}"
    aside = f", {tally.aside} of which {'are' if tally.aside > 1 else 'is'} set aside" if tally.aside else ""
    less = ", ".join(f"{own.larger} of {own.judged} in {name}" for name, own in by_backend(found).items() if own.judged)
    said = f"Of {tally.comparisons} comparisons of a DPN with a network that takes more multiply-adds ({where})"
    if not tally.judged:
        yield f"{said} all are set aside.{_not_in_turns(tally)}"
        return
    yield (
        f"{said}{aside}, the DPN is faster in {tally.faster} of {tally.judged} and slower in {tally.slower}. It saves "
        f"clearly less time than multiply-adds in {less}, and clearly more in {tally.smaller} of all."
        f"{_not_in_turns(tally)}"
    )


def _not_in_turns(tally: Tally) -> str:
    """What comparisons of times from different hours cannot show; empty where there are none."""
    apart = tally.comparisons - tally.together
    which = f"{apart} were" if apart > 1 else "One was"
    return f" {which} not timed in turns, and show nothing within {PERCENT * APART:.0f} %." if apart else ""


def _pair(compared: dict[str, list[Saving]], ours: str, other: str) -> Iterator[str]:
    """One comparison over all settings in which it decides, each time share with its interval; a GPU by itself.

    For example "dpn4_64 takes 42 % of sbl_r50's multiply-adds and 58 to 61 % of its time by setting (intervals from 52
    to 70 %)."
    """
    pair = [s for s in chain.from_iterable(compared.values()) if (s.ours, s.other) == (ours, other) and s.decides]
    for device, on in (("cpu", ""), ("cuda", " on a GPU")):
        if not (both := [s for s in pair if s.setting.device == device]):
            continue
        share, where = _ends([s.times.ratio for s in both])
        low, high = min(s.times.interval.low for s in both), max(s.times.interval.high for s in both)
        yield (
            f"{ours} takes {PERCENT * both[0].macs_share:.0f} % of {other}'s multiply-adds and {share} % "
            f"of its time{on} {where} (intervals from {PERCENT * low:.0f} to {PERCENT * high:.0f} %)."
        )


def _memory(evidence: Evidence, ours: str, other: str) -> Iterator[str]:
    """One network's peak memory in another's, over all settings that both were measured in; a GPU's by itself.

    For example "dpn4_64 takes 17 to 25 % of hrnet_w32's memory at the peak of a call, by machine and setting."
    """
    shares: dict[str, list[float]] = {"": [], " of a GPU": []}
    for machine in timings.machines(evidence, "memory"):
        for setting in timings.settings(evidence, machine, "memory"):
            both = [timings.found(evidence, name, "memory", machine, setting) for name in (ours, other)]
            records = [one.record for one in both if one.record is not None and not one.stale]
            if len(records) == len(both) and setting.batch == 1:
                shares[" of a GPU" if setting.device == "cuda" else ""].append(records[0].value / records[1].value)
    for where, found in shares.items():
        if found:
            share, by = _ends(found)
            yield f"{ours} takes {share} % of {other}'s memory{where} at the peak of a call, {by}."


def _ends(shares: Sequence[float]) -> tuple[str, str]:
    """The least and the largest of some shares in percent, and in which settings that is."""
    ends = dict.fromkeys(f"{PERCENT * end(shares):.0f}" for end in (min, max))
    return " to ".join(ends), "by machine and setting" if len(ends) > 1 else "in every setting"


def findings(evidence: Evidence) -> list[str]:
    """What was found about time, for the summary's list; nothing where nothing is timed."""
    return list(_verdicts(_compared(evidence)))


def cards(evidence: Evidence) -> list[tuple[str, str]]:
    """The summary's numbers about time: networks timed on each machine, and each machine's noise floor."""
    found = []
    for machine in timings.machines(evidence):
        networks = {subject for metric in timings.TIMED for subject, _ in
                    timings.measured_on(evidence, machine, metric)}  # fmt: skip
        found.append((str(len(networks)), f"networks timed on {machine}"))
    for machine in sorted({record.machine for record, _ in evidence.trials}):
        counted = alarms(evidence, machine)
        if counted is not None:
            wrong, number, interval = counted
            words = (
                f"duels of a network with itself called faster or slower: the noise floor of duels on {machine} "
                f"(95 % interval {PERCENT * interval.low:.1f} to {PERCENT * interval.high:.1f} %)"
            )
            found.append((f"{wrong} of {number}", words))
    for machine in sorted({one.machine for one in evidence.copies}):
        (wrong, number), largest = pair_verdicts(evidence, machine), max(SLOWDOWNS)
        (hits, _) = pair_verdicts(evidence, machine, largest)
        flagged = flagged_copies([one for one in evidence.copies if one.machine == machine])
        words = (
            f"pairs of records of one network called faster or slower on {machine}; so compared, {hits} of {number} "
            f"slowdowns by {PERCENT * (largest - 1):.0f} % are found{f'; {flagged}' if flagged else ''}"
        )
        found.append((f"{wrong} of {number}", words))
    return found or [("none", "networks timed; the noise floor is not measured")]


def missing(evidence: Evidence) -> list[str]:
    """What the report cannot say about time, and why."""
    records = evidence.store.records
    present = {record.metric for record in records}
    sentences = []
    if absent := [metric for metric in timings.TIMED if metric not in present]:
        sentences.append(
            f"Not measured on any machine: {', '.join(absent)}; run: {speed.MEASURE} --metric {','.join(absent)}."
        )
    if not any(record.protocol.get("device") == "cuda" for record in records if record.metric in timings.TIMED):
        sentences.append(f"No GPU was timed; where there is one, run: {speed.MEASURE} --metric latency --device cuda.")
    if not evidence.trials and not evidence.copies:
        sentences.append(f"The noise floor of no machine is measured; run: {HOW_TO_MEASURE}.")
    for machine in timings.machines(evidence, "latency"):
        absent = [
            name for name in evidence.networks if name not in dict(timings.measured_on(evidence, machine, "latency"))
        ]
        if absent:
            sentences.append(f"Latency on {machine} is not measured for {some(absent, NAMED)}.")
    return [*sentences, *_stale(evidence), *_refusals(evidence)]


def _stale(evidence: Evidence) -> Iterator[str]:
    """One sentence for each machine and metric of which some cells have records of an older definition alone."""
    cells: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in evidence.store.records:
        if record.metric in timings.TIMED and _superseded(evidence, record):
            cells[record.machine, record.metric].append(record)
    for (machine, metric), old in sorted(cells.items()):
        names = list(dict.fromkeys(record.subject for record in old))
        yield (
            f"{metric.capitalize()} on {machine} was measured before a definition changed, for {some(names, NAMED)}; "
            f"there, run: {_again(names, metric, [timings.setting_of(record.protocol) for record in old])}."
        )


def _again(names: list[str], metric: str, settings: list[Setting]) -> str:
    """The command that measures these networks in these settings."""
    subjects = " ".join(names) if len(names) <= NAMED else "--suite paper"
    options = {
        name: ",".join(dict.fromkeys(str(getattr(setting, name)) for setting in sorted(settings, key=Setting.order)))
        for name in ("device", "backend", "precision", "batch", "threads")
    }
    usual = {"device": "cpu", "precision": "fp32", "batch": "1"}
    if options["device"] == "cuda":
        usual["threads"] = "1"
    asked = [f"--{name} {values}" for name, values in options.items() if usual.get(name) != values]
    return " ".join(["python -m bench measure", subjects, f"--metric {metric}", *asked])


def _superseded(evidence: Evidence, record: Record) -> bool:
    """Whether a record is all that its cell has, and is of an older definition."""
    if record.subject not in evidence.zoo:
        return False
    setting = timings.setting_of(record.protocol)
    return timings.found(evidence, record.subject, record.metric, record.machine, setting).stale


def _refusals(evidence: Evidence) -> Iterator[str]:
    """One sentence for each reason for which cells could not be measured, and never were since."""
    cells: dict[tuple[str, str], list[str]] = defaultdict(list)
    newest = {record.key(): record for record in evidence.store.records if record.metric == "refusal"}
    for record in newest.values():
        protocol = {name: value for name, value in record.protocol.items() if name != "of"}
        metric = str(record.protocol.get("of", "latency"))
        done = any(
            (other.metric, other.machine, other.spec_digest, other.protocol)
            == (metric, record.machine, record.spec_digest, protocol)
            for other in evidence.store.records
        )
        if not done:
            where = f"{metric} of {record.subject} ({timings.setting_of(protocol)})"
            cells[record.machine, str(record.detail.get("reason", "no reason is recorded"))].append(where)
    for (machine, reason), refused in cells.items():
        yield f"Could not be measured on {machine}: {some(refused, NAMED)}: {reason.rstrip('.')}."
