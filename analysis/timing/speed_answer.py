"""The report's sentences about time: did fewer multiply-adds buy it, how far is it to be trusted, what is missing."""

from collections import defaultdict
from collections.abc import Iterator

from analysis.evidence import Evidence
from analysis.plots.figure_latency import correlation, in_words
from analysis.timing import speed, timings
from analysis.timing.speed_cells import PERCENT
from analysis.timing.speed_data import figure_latency_data
from analysis.timing.speed_machine import alarms, pair_alarms
from analysis.timing.speed_saved import Saving, savings
from analysis.timing.timings import Setting
from bench.record import Record
from bench.verdicts.noise_floor import HOW_TO_MEASURE
from bench.verdicts.turns import APART

UNTIMED = f"No time is measured yet; run: {speed.LATENCY}"
NAMED = 6
"""So many networks are named; of more, the first and how many more."""

TURNS_ON = (("dpn4_64", "hrnet_w32"), ("dpn4_64", "sbl_r50"))
"""The comparisons that the paper's argument turns on: its main network and the two it names as heavy."""


def answer(evidence: Evidence) -> str:
    """Chapter 5: did DPN's fewer multiply-adds buy time, on the machine with most records."""
    machines = timings.machines(evidence, "latency")
    if not machines:
        return UNTIMED
    data = figure_latency_data(evidence)
    drawn = data[data.drawn]
    sentences = []
    if found := savings(evidence, machines[0]):
        sentences.append(_verdicts(found))
        sentences += [line for pair in TURNS_ON if (line := _pair(found, *pair))]
    taus = {} if drawn.empty else {column: correlation(data, column) for column in ("macs", "live_macs")}
    if any(taus.values()):
        macs, live = map(in_words, taus.values())
        sentences.append(
            f"Over {len(drawn)} networks ({drawn.setting.iloc[0]}) the order by time follows that by multiply-adds "
            f"with Kendall's tau {macs}, and by live ones with {live}."
        )
    return f"On {machines[0]}: {' '.join(sentences) or 'networks were timed, but none has a current record.'}"


def _verdicts(found: list[Saving]) -> str:
    faster, slower, aside = _counts(found)
    pairs = len({(s.ours, s.other) for s in found})
    doubt = f"; {aside} are set aside, for a time that is flagged or too few processes" if aside else ""
    larger, smaller, open_ = _against_macs(found)
    backends: dict[str, list[Saving]] = defaultdict(list)
    for saving in sorted(found, key=lambda saving: saving.setting.order()):
        backends[saving.setting.backend].append(saving)
    each = "; ".join(f"{name} {'/'.join(map(str, _against_macs(own)))}" for name, own in backends.items())
    of = f"{pairs} pairs, each" if pairs > 1 else "one pair,"
    return (
        f"In {len(found)} comparisons of a DPN with a network that takes more multiply-adds ({of} counted once for "
        f"each setting{doubt}), the DPN is faster in {faster} and slower in {slower}. Its share of the time is clearly "
        f"larger than its share of the multiply-adds in {larger}, clearly smaller in {smaller}, and neither in {open_} "
        f"(by back end, larger/smaller/neither: {each}). {_turns(found)} No correction is made for the number of "
        "comparisons, which share times."
    )


def _turns(found: list[Saving]) -> str:
    """How many comparisons are of times that one sweep measured in turns, and what that means for the others."""
    together = sum(s.together for s in found)
    if together == len(found):
        return "Both networks of each were measured in turns."
    of, whose = (f"{together} of them", "the others") if together else ("None of them", "all")
    return f"{of} had both networks measured in turns; the intervals of {whose} are {PERCENT * APART:.0f} % wider."


def _against_macs(found: list[Saving]) -> tuple[int, int, int]:
    """In how many the share of time is larger than that of multiply-adds, in how many smaller, in how many neither.

    A comparison that decides nothing is neither.
    """
    decided = [s for s in found if s.decides]
    larger = sum(s.times.interval.low > s.macs_share for s in decided)
    smaller = sum(s.times.interval.high < s.macs_share for s in decided)
    return larger, smaller, len(found) - larger - smaller


def _pair(found: list[Saving], ours: str, other: str) -> str:
    """One comparison over all settings in which it decides, each time share with its interval; empty where in none.

    For example "dpn4_64 takes 42 % of sbl_r50's multiply-adds and 58 to 61 % of its time by setting (intervals from 52
    to 70 %)".
    """
    both = [s for s in found if (s.ours, s.other) == (ours, other) and s.decides]
    if not both:
        return ""
    ends = dict.fromkeys(f"{PERCENT * end(s.times.ratio for s in both):.0f}" for end in (min, max))
    low, high = min(s.times.interval.low for s in both), max(s.times.interval.high for s in both)
    where = "by setting" if len(ends) > 1 else "in every setting"
    return (
        f"{ours} takes {PERCENT * both[0].macs_share:.0f} % of {other}'s multiply-adds and {' to '.join(ends)} % of "
        f"its time {where} (intervals from {PERCENT * low:.0f} to {PERCENT * high:.0f} %)."
    )


def findings(evidence: Evidence) -> list[str]:
    """What was found about time, for the summary's list; nothing where nothing is timed."""
    by_machine = {machine: savings(evidence, machine) for machine in timings.machines(evidence, "latency")}
    return [f"Time, on {machine}: {_in_short(found)}" for machine, found in by_machine.items() if found]


def _in_short(found: list[Saving]) -> str:
    """What `_verdicts` says, without back ends and caveats."""
    faster, slower, aside = _counts(found)
    larger, smaller, _ = _against_macs(found)
    doubt = f", {aside} set aside" if aside else ""
    return (
        f"of {len(found)} comparisons with a network that takes more multiply-adds a DPN is faster in {faster} and "
        f"slower in {slower}{doubt}. Its share of the time is clearly larger than that of the multiply-adds in "
        f"{larger}, clearly smaller in {smaller}. {_turns(found)}"
    )


def _counts(found: list[Saving]) -> tuple[int, int, int]:
    """In how many the DPN is faster, in how many slower, and how many decide nothing."""
    verdicts = [s.times.verdict for s in found if s.decides]
    return verdicts.count("faster"), verdicts.count("slower"), len(found) - len(verdicts)


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
        wrong, number = pair_alarms(evidence, machine)
        found.append((f"{wrong} of {number}", f"pairs of records of one network called faster or slower on {machine}"))
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
            sentences.append(f"Latency on {machine} is not measured for {_listed(absent)}.")
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
            f"{metric.capitalize()} on {machine} was measured before a definition changed, for {_listed(names)}; "
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
        yield f"Could not be measured on {machine}: {_listed(refused)}: {reason.rstrip('.')}."


def _listed(names: list[str], most: int = NAMED) -> str:
    """Names, of many the first and how many more.

    Example:
        >>> _listed(["a", "b", "c"], most=2)
        'a, b and 1 more'
    """
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
