"""Counts compare exactly, times by their processes, and nothing that is not comparable gets a verdict."""

import dataclasses
import io
import json
import random
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from analysis.evidence import Evidence
from bench.outlets.worded import verdict_line
from bench.recording.count_changes import count_changes
from bench.records.record import Record
from bench.records.store import RECORDS, Store
from bench.verbs import compare as compare_verbs
from bench.verbs.compare import records_of
from bench.verdicts import revisions
from bench.verdicts.compare import INCOMPLETE, Compared, DifferentMachinesError, Report, compare
from bench.verdicts.gate import Gate
from bench.verdicts.revisions import unpack
from bench.verdicts.turns import APART
from dpn.program.missing import REMEDY
from tests.bench.timing_records import MACHINE, count_record, timing_record
from tests.test_workflows import commit, git

ROOT = Path(__file__).resolve().parents[2]
OTHER = "another-machine-8-cores"
SAME = "2 equal; 1 value not measured again, the same record on both sides"


def times(factor: float = 1.0, seed: int = 0, processes: int = 8) -> list[list[float]]:
    """Samples of fresh processes around `factor` seconds, with noise of a few parts in a thousand."""
    noise = random.Random(seed)
    return [[factor * (1 + 0.003 * noise.gauss(0, 1)) for _ in range(30)] for _ in range(processes)]


def rates(factor: float = 1.0, seed: int = 0) -> list[list[float]]:
    return [[1 / time for time in process] for process in times(factor, seed)]


def store_of(*records: Record) -> Store:
    store = Store(Path("nowhere"))
    for record in records:
        store._add(record)
    return store


def report(base: Sequence[Record], head: Sequence[Record], **options: Any) -> Report:
    return compare(store_of(*base), store_of(*head), **options)


def only(base: Record, head: Record, **options: Any) -> Compared:
    (entry,) = report([base], [head], **options).compared
    return entry


def layers(**operators: int) -> Record:
    columns = {"module": list(operators), "macs": list(operators.values())}
    return count_record("a", "layers", len(operators), {"columns": columns})


@pytest.mark.parametrize(("factor", "verdict"), [(1.5, "slower"), (0.5, "faster"), (1.0, "same")])
def test_times_that_differ_beyond_doubt(factor: float, verdict: str) -> None:
    entry = only(timing_record("a", times()), timing_record("a", times(factor, seed=1)))
    assert entry.verdict == verdict
    assert entry.interval is not None
    assert entry.interval[0] <= factor <= entry.interval[1]
    assert entry.ratio == pytest.approx(factor, rel=0.01)


def test_exchanging_the_sides_inverts_the_ratio() -> None:
    one, other = timing_record("a", times()), timing_record("a", times(1.5, seed=1))
    there, back = only(one, other), only(other, one)
    assert there.ratio is not None
    assert back.ratio is not None
    assert there.ratio * back.ratio == pytest.approx(1, rel=1e-3)
    assert (there.verdict, back.verdict) == ("slower", "faster")


def test_a_lower_throughput_is_slower_by_the_ratio_of_times() -> None:
    latency = only(timing_record("a", times()), timing_record("a", times(1.5, seed=1)))
    throughput = only(
        timing_record("a", rates(), metric="throughput"), timing_record("a", rates(1.5, seed=1), metric="throughput")
    )
    assert throughput.verdict == latency.verdict == "slower"
    assert throughput.ratio == pytest.approx(latency.ratio)


@pytest.mark.parametrize("flag", ["disturbed", "no steady state"])
@pytest.mark.parametrize("flagged", ["base", "head"])
def test_a_flag_leaves_the_verdict_open(flag: str, flagged: str) -> None:
    flags = {"base": (), "head": ()} | {flagged: (flag,)}
    entry = only(
        timing_record("a", times(), flags=flags["base"]), timing_record("a", times(1.5, seed=1), flags=flags["head"])
    )
    assert entry.verdict == "ambiguous"
    assert f"{flagged}: {flag}" in entry.notes


def test_a_spent_budget_is_told_and_decides_nothing() -> None:
    entry = only(timing_record("a", times()), timing_record("a", times(1.5, seed=1), flags=("budget spent",)))
    assert entry.verdict == "slower"
    assert "head: budget spent" in entry.notes


def test_times_of_two_machines_are_refused_by_name() -> None:
    here, there = timing_record("a", times()), timing_record("a", times(), machine=OTHER)
    with pytest.raises(DifferentMachinesError, match=f"{MACHINE} in the base and on {OTHER} in the head"):
        only(here, there)


def test_across_machines_says_so_and_passes_every_gate() -> None:
    here, there = timing_record("a", times()), timing_record("a", times(3, seed=1), machine=OTHER)
    found = report([here], [there], across_machines=True)
    (entry,) = found.compared
    assert entry.verdict == "slower"
    assert entry.machine == f"{MACHINE} -> {OTHER}"
    assert f"machine {MACHINE} -> {OTHER}" in entry.notes
    assert Gate(gate_time=0.25).failures(found) == ()


def test_a_further_machine_is_no_reason_to_refuse() -> None:
    here, there = timing_record("a", times()), timing_record("a", times(), machine=OTHER)
    verdicts = [entry.verdict for entry in report([here], [here, there]).compared]
    assert sorted(verdicts) == ["added", "equal"]


def test_one_record_on_both_sides_is_no_question_however_noisy_it_is() -> None:
    noisy = timing_record("a", [[1.0, 2.0], [4.0, 3.0]], flags=("disturbed",))
    entry = only(noisy, noisy)
    assert (entry.verdict, entry.notes) == ("equal", ("the same record on both sides",))
    measured_again = noisy.model_copy(update={"recorded_at": "2026-01-02T00:00:00+00:00"})
    assert only(noisy, measured_again).verdict == "ambiguous"


def test_another_protocol_is_another_row() -> None:
    found = report([timing_record("a", times(), threads=1)], [timing_record("a", times(), threads=2)])
    assert [entry.verdict for entry in found.compared] == ["removed", "added"]


def test_the_digest_takes_no_part() -> None:
    entry = only(count_record("a", "macs", 5, spec_digest="x"), count_record("a", "macs", 5, spec_digest="y"))
    assert entry.verdict == "equal"


def test_the_newest_records_are_compared() -> None:
    old, new = count_record("a", "params", 5), count_record("a", "params", 6)
    (entry,) = report([old], [old, new]).compared
    assert (entry.verdict, entry.notes) == ("changed", ("5 -> 6",))


@pytest.mark.parametrize("value", [5, 15])
def test_a_count_by_another_version_of_the_metric_is_a_change_that_fails_until_it_is_allowed(value: int) -> None:
    """A rule that counts three times as much, and says so by its version, is let pass by somebody, never by itself."""
    found = report([count_record("a", "macs", 5)], [count_record("a", "macs", value, metric_version=2)])
    (entry,) = found.compared
    assert entry.verdict == "changed"
    assert "version 1 and version 2" in entry.notes[0]
    assert ("5 -> 15" in entry.notes) is (value == 15)
    assert len(Gate().failures(found)) == 1
    assert Gate(allow_changed="macs").failures(found) == ()


def test_a_time_by_another_version_of_the_metric_is_not_comparable() -> None:
    entry = only(timing_record("a", times(), metric_version=1), timing_record("a", times(), metric_version=2))
    assert entry.verdict == "ambiguous"
    assert "version 1 and version 2" in entry.notes[0]


@pytest.mark.parametrize(
    ("factor", "verdict"), [(1.009, "same"), (1.011, "larger"), (0.98, "smaller"), (0.995, "same")]
)
def test_memory_is_compared_within_one_percent(factor: float, verdict: str) -> None:
    base = timing_record("a", [[1e8]], metric="memory")
    assert only(base, timing_record("a", [[factor * 1e8]], metric="memory")).verdict == verdict


@pytest.mark.parametrize(
    ("metric", "before", "after", "verdict"),
    [
        ("copy_ceiling", 4e9, 2e9, "ambiguous"),
        ("arithmetic_ceiling", 3.18e10, 3e10, "ambiguous"),
        ("arithmetic_ceiling", 3.03e10, 3e10, "same"),
        ("memory", 1e8, 2e8, "larger"),
        ("energy", 1.0, 1.06, "larger"),
        ("energy", 0.0, 1.0, "ambiguous"),
    ],
)
def test_two_values_without_a_test_say_so_and_a_ceiling_claims_nothing(
    metric: str, before: float, after: float, verdict: str
) -> None:
    base, head = (timing_record("machine", [[1.0]], metric=metric, value=value) for value in (before, after))
    entry = only(base, head)
    assert (entry.verdict, "two values, no test" in entry.notes) == (verdict, True)
    assert entry.ratio == (pytest.approx(before / after if "ceiling" in metric else after / before) if before else None)


@pytest.mark.parametrize("flag", ["disturbed", "no steady state"])
@pytest.mark.parametrize("metric", ["memory", "energy", "copy_ceiling"])
@pytest.mark.parametrize("flagged", ["base", "head"])
def test_a_flag_leaves_two_values_open_even_where_they_are_equal(flag: str, metric: str, flagged: str) -> None:
    for before, after in ((1.0, 1.5), (1.0, 1.0), (0.0, 0.0)):
        base, head = (
            timing_record("a", [[value]], metric=metric, flags=(flag,) if flagged == side else ())
            for side, value in (("base", before), ("head", after))
        )
        entry = only(base, head)
        assert entry.verdict == "ambiguous"
        assert f"{flagged}: {flag}" in entry.notes


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [(True, True, "larger"), (False, False, "larger"), (True, False, "ambiguous"), (False, True, "ambiguous"),
     (None, None, "larger"), (None, False, "ambiguous")],
)  # fmt: skip
def test_memory_with_building_and_memory_without_it_are_not_compared(
    before: bool | None, after: bool | None, verdict: str
) -> None:
    base, head = (
        timing_record("a", [[value]], metric="memory", detail={} if reset is None else {"peak_reset": reset})
        for value, reset in ((1e8, before), (2e8, after))
    )
    entry = only(base, head)
    assert entry.verdict == verdict
    assert any(note.startswith("peak_reset ") for note in entry.notes) is (verdict == "ambiguous")


def test_counts_that_say_the_same_in_another_torch_are_equal() -> None:
    base = count_record("a", "macs", 5, {"by_kind": {"linear": 5}, "free": {"aten::add": 1}})
    head = count_record("a", "macs", 5, {"by_kind": {"linear": 5}, "free": {"aten::add_": 1}})
    assert count_changes(base, head) == ()


def test_what_changed_in_a_count_is_named() -> None:
    base = count_record("a", "macs", 5, {"by_kind": {"linear": 5, "matmul": 1}})
    head = count_record("a", "macs", 5, {"by_kind": {"linear": 4, "matmul": 1}}, complete=False)
    assert count_changes(base, head) == ("the count is incomplete now", "by_kind.linear: 5 -> 4")


def test_operators_that_came_went_and_changed_are_named() -> None:
    changes = count_changes(layers(stem=1, middle=2, head=3), layers(stem=1, head=4, tail=5))
    assert changes == (
        "1 operator added: tail",
        "1 operator removed: middle",
        "1 operator changed: head (macs 3 -> 4)",
    )


def test_the_first_few_operators_are_named_and_the_rest_counted() -> None:
    (_, change) = count_changes(layers(), layers(**dict.fromkeys("abcde", 1)))
    assert change == "5 operators added: a, b, c and 2 more"


def test_a_module_that_is_called_twice_is_two_operators() -> None:
    base, head = (
        count_record("a", "layers", calls, {"columns": {"module": ["head"] * calls, "macs": [1] * calls}})
        for calls in (1, 2)
    )
    assert count_changes(base, head) == ("1 -> 2", "1 operator added: head, call 2")


def test_columns_of_different_lengths_are_an_error() -> None:
    torn = count_record("a", "layers", 1, {"columns": {"module": ["a"], "macs": []}})
    with pytest.raises(ValueError, match="columns of different lengths; measure it again"):
        count_changes(layers(a=1), torn)


def test_columns_that_are_none_are_a_change_like_any_other() -> None:
    """Only of layers and receptive fields anybody checks, when a line is read, that their columns are some."""
    base, head = (count_record("a", "params", 1, {"columns": columns}) for columns in (3, {"module": ["a"]}))
    assert count_changes(base, head) == ("columns: 3 -> {'module': ['a']}",)


def test_the_order_of_operators_is_part_of_the_list() -> None:
    assert count_changes(layers(a=1, b=2), layers(b=2, a=1)) == ("the same operators in another order",)


@pytest.mark.parametrize(("factor", "fails"), [(1.1, False), (1.2, False), (1.4, True), (0.5, False)])
def test_the_gate_of_time_has_its_own_effect(factor: float, fails: bool) -> None:
    found = report([timing_record("a", times())], [timing_record("a", times(factor, seed=1))])
    assert bool(Gate(gate_time=0.25).failures(found)) == fails
    assert Gate().failures(found) == ()


def test_an_estimate_beyond_the_gate_is_told_from_what_is_sure() -> None:
    """The interval may reach below the gate: sure is only that the two are not equal."""
    head = [[factor] * 3 for factor in (1.05, 1.15, 1.25, 1.255, 1.26, 1.28, 1.35, 1.4)]
    found = report([timing_record("a", times())], [timing_record("a", head)], effect=0.25)
    (entry,) = found.compared
    assert entry.ratio is not None
    assert entry.interval is not None
    assert entry.interval[0] < 1.2 < 1.25 < entry.ratio
    assert entry.notes[0].startswith("surely not equal, and 25 % or more by estimate; 9")
    (failure,) = Gate(gate_time=0.25).failures(found)
    ends = f"{entry.interval[0]:.3f} to {entry.interval[1]:.3f}"
    assert failure.endswith(f"slower, 25 % or more by estimate: {entry.ratio:.3f} times the base's time ({ends})")


@pytest.mark.parametrize(
    ("processes", "fields", "why"),
    [
        (8, {"flags": ("disturbed",)}, "2 disturbed"),
        (8, {"flags": ("no steady state", "disturbed")}, "2 disturbed and no steady state"),
        (1, {}, "2 of too few processes"),
        (4, {}, "2 of too few processes"),
        (8, {"metric_version": 99}, "2 by another version of the metric"),
    ],
)
def test_times_that_nothing_could_be_said_of_pass_and_are_counted_with_the_reason(
    processes: int, fields: dict[str, Any], why: str
) -> None:
    base = [timing_record(name, times(processes=processes)) for name in "abc"]
    head = [timing_record(name, times(3, seed=1, processes=processes), **fields) for name in "ab"]
    found, gate = report(base, [*head, base[2], count_record("a", "macs", 5)]), Gate(gate_time=0.25)
    assert gate.failures(found) == ()
    unjudged = f"2 of 3 times could not be judged: {why}"
    assert verdict_line(found, ()) == (
        "The comparison passes: 2 ambiguous, 1 equal, 1 added; "
        f"1 value not measured again, the same record on both sides; {unjudged}"
    )
    assert gate.warnings(found) == [f"--gate-time 0.25: {unjudged}; none of these can fail, measure them again"]
    assert Gate().warnings(found) == []
    strict = dataclasses.replace(gate, fail_unjudged=True)
    assert strict.failures(found) == (f"--gate-time 0.25: {unjudged}; measure them again",)
    assert strict.warnings(found) == []


def test_what_is_the_same_or_too_noisy_to_tell_was_judged() -> None:
    base = [timing_record("a", times(processes=4)), timing_record("b", [[1 + index / 5] for index in range(8)])]
    head = [
        timing_record("a", times(seed=1, processes=4)),
        timing_record("b", [[1.3 + index / 5] for index in range(8)]),
    ]
    found = report(base, head)
    assert [entry.verdict for entry in found.compared] == ["same", "ambiguous"]
    assert "judged" not in verdict_line(found, ())
    assert Gate(gate_time=0.25).warnings(found) == []
    assert Gate(gate_time=0.25, fail_unjudged=True).failures(found) == ()


def test_a_changed_count_fails_unless_counts_may_change() -> None:
    found = report([count_record("a", "macs", 5)], [count_record("a", "macs", 6)])
    (failure,) = Gate().failures(found)
    assert "macs of a" in failure
    assert "5 -> 6" in failure
    assert Gate(no_gate_counts=True).failures(found) == ()


def test_what_other_counters_say_never_fails() -> None:
    found = report([count_record("a", "second_opinions", 5)], [count_record("a", "second_opinions", 6)])
    assert [entry.verdict for entry in found.compared] == ["changed"]
    assert Gate().failures(found) == ()


@pytest.mark.parametrize(
    ("names", "fails"),
    [("", "ab"), ("a", "b"), ("macs", ""), ("params, a", "b"), ("a,b", ""), ("all", ""), ("al", "ab")],
)
def test_a_change_that_was_meant_passes_by_its_network_or_metric_and_the_first_line_says_so(
    names: str, fails: str
) -> None:
    base, head = ([count_record(name, "macs", value) for name in "ab"] for value in (5, 6))
    found, gate = report(base, head), Gate(allow_changed=names)
    assert [failure.split()[2] for failure in gate.failures(found)] == list(fails)
    said = verdict_line(dataclasses.replace(found, allowed=gate.allowed(found)), gate.failures(found))
    assert (f" with {2 - len(fails)} changed allowed: 2 changed" in said) is (len(fails) < 2)


def test_counts_that_are_gone_fail_until_that_is_allowed() -> None:
    """Else the gate would be the greener, the more of the records were lost."""
    base = [count_record(name, metric, 5) for metric in ("params", "macs") for name in "abcde"]
    found = report(base, base[:1])
    assert Gate().failures(found) == (
        "exact/params.jsonl: 4 rows gone from the head: b (256x192, batch 1), c (256x192, batch 1), "
        "d (256x192, batch 1) and 1 more; restore them, or --allow-removed",
        "exact/macs.jsonl: 5 rows gone from the head: a (256x192, batch 1), b (256x192, batch 1), "
        "c (256x192, batch 1) and 2 more; restore them, or --allow-removed",
    )
    assert Gate(allow_changed="all").failures(found) != ()
    for gate in (Gate(allow_removed=True), Gate(no_gate_counts=True)):
        assert gate.failures(found) == ()
        assert gate.allowed(found) == "9 removed"


def test_times_that_are_gone_fail_with_the_gate_of_time() -> None:
    found = report([timing_record("a", times())], [timing_record("a", times(), threads=2)])
    assert Gate().failures(found) == ()
    assert Gate().allowed(found) == ""
    (failure,) = Gate(gate_time=0.25, no_gate_counts=True).failures(found)
    assert failure.startswith(f"{MACHINE}/latency.jsonl: 1 row gone from the head: a (256x192")
    assert Gate(gate_time=0.25, allow_removed=True).failures(found) == ()


def of_memory(value: float, **fields: Any) -> Record:
    return timing_record("a", [[value]], metric="memory", **fields)


@pytest.mark.parametrize(
    ("factor", "share", "fails"),
    [(1.5, 0.05, True), (1.05, 0.05, True), (1.04, 0.05, False), (0.5, 0.05, False), (1.009, 0.001, False)],
)
def test_the_gate_of_memory_has_its_own_share(factor: float, share: float, fails: bool) -> None:
    found = report([of_memory(1e8)], [of_memory(factor * 1e8)])
    assert Gate(gate_time=0.01).failures(found) == ()
    failures = Gate(gate_memory=share).failures(found)
    said = f"larger by {100 * share:g} % or more: {factor:.3f} times the base's memory"
    assert [failure.split("): ")[1] for failure in failures] == [said] * fails


def test_memory_that_is_gone_fails_with_the_gate_of_memory() -> None:
    found = report([of_memory(1e8), timing_record("a", times())], [of_memory(1e8, threads=2)])
    assert Gate(gate_time=0.25).failures(found) != Gate(gate_memory=0.05).failures(found)
    (failure,) = Gate(gate_memory=0.05, no_gate_counts=True).failures(found)
    assert failure.startswith(f"{MACHINE}/memory.jsonl: 1 row gone from the head: a (256x192")
    assert Gate(gate_memory=0.05, allow_removed=True).failures(found) == ()
    assert Gate(gate_memory=0.05, allow_removed=True).allowed(found) == "1 removed"


def test_memory_of_another_machine_or_that_could_not_be_judged_passes_and_the_latter_is_a_warning() -> None:
    gate = Gate(gate_memory=0.05)
    moved = report([of_memory(1e8)], [of_memory(2e8, machine=OTHER)], across_machines=True)
    nothing = (
        "--gate-memory 0.05: no peak of memory is in both sets on one machine, so that nothing is judged; "
        "measure both sets on one machine"
    )
    assert (gate.failures(moved), gate.warnings(moved)) == ((), [nothing])
    flagged = report([of_memory(1e8)], [of_memory(2e8, flags=("disturbed",))])
    assert gate.failures(flagged) == ()
    open_ = "1 of 1 peak of memory could not be judged; none of these can fail, measure them again"
    assert gate.warnings(flagged) == [f"--gate-memory 0.05: {open_}"]
    strict = dataclasses.replace(gate, fail_unjudged=True)
    assert (strict.failures(moved), strict.warnings(moved)) == ((nothing,), [])
    (failure,) = strict.failures(flagged)
    assert failure == "--gate-memory 0.05: 1 of 1 peak of memory could not be judged; measure them again"


def test_a_gate_of_time_that_has_nothing_to_judge_is_a_warning_and_fails_where_that_is_asked_for(
    base: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else it would be green for ever, once the times are measured on another machine or no longer at all."""
    counted, duels = count_record("a", "macs", 5), tmp_path / "duels.jsonl"
    moved = folder_of(tmp_path / "moved", counted, timing_record("a", times(3), machine=OTHER))
    asked: dict[str, Any] = {"across_machines": True, "gate": Gate(gate_time=0.5, allow_removed=True)}
    nothing = (
        "--gate-time 0.5: no time is in both sets on one machine, and no duel was fought, so that nothing is judged; "
        "measure both sets on one machine, or give --duels\n"
    )
    for head in (moved, folder_of(tmp_path / "counted", counted)):
        assert code_of(base, head, **asked) == 0
        assert capsys.readouterr().err == f"warning: {nothing}"
        strict = asked | {"gate": dataclasses.replace(asked["gate"], fail_unjudged=True)}
        assert code_of(base, head, **strict) == 1
        assert f"fails: {nothing}" in capsys.readouterr().out
        duels.write_text(duel(verdict="same"))
        assert code_of(base, head, **strict, duels=duels) == 0
        assert capsys.readouterr().err == ""


def test_what_came_and_what_other_metrics_lost_passes() -> None:
    base = [timing_record("a", [[1.0]], metric="memory"), count_record("a", "second_opinions", 3)]
    head = [timing_record("b", times()), count_record("a", "macs", 5)]
    assert Gate(gate_time=0.25).failures(report(base, head)) == ()


def test_counts_that_are_incomplete_on_both_sides_are_told_and_fail_when_strict() -> None:
    both = [count_record("a", "macs", 5, complete=False), count_record("b", "macs", 5)]
    found = report(both, both)
    assert [entry.verdict for entry in found.compared] == ["equal", "equal"]
    assert [entry.incomplete for entry in found.compared] == [True, False]
    assert found.compared[0].notes == (INCOMPLETE,)
    assert verdict_line(found, ()) == "The comparison passes: 2 equal; 1 incomplete on both sides"
    assert Gate().failures(found) == ()
    strict = ("exact/macs.jsonl: 1 row with an incomplete count: a (256x192, batch 1)",)
    assert Gate(strict=True).failures(found) == strict
    assert Gate(strict=True).failures(report(both[1:], both)) == strict  # one that is new, too


@pytest.mark.parametrize("complete", [True, False])
def test_completeness_that_differs_is_a_change(complete: bool) -> None:
    base, head = (count_record("a", "macs", 5, complete=side) for side in (not complete, complete))
    found = report([base], [head])
    assert len(Gate().failures(found)) == 1
    assert "incomplete on both" not in verdict_line(found, ())


@pytest.mark.parametrize(
    ("gate_time", "sweep", "warns"),
    [(0.05, "sweep", False), (0.05, "another", True), (APART, "another", True), (0.5, "another", False)],
)
def test_a_gate_below_what_times_apart_can_decide_is_one_warning(
    gate_time: float, sweep: str, warns: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A slowdown of 20 % that nobody measured in turns is no failure of such a gate, and no pass to rely on."""
    sides = [
        folder_of(
            tmp_path / name, count_record("a", "params", round(10 * factor)),
            *(timing_record(of, times(factor), sweep=name) for of in "ab"),
        )
        for name, factor in (("sweep", 1.0), (sweep, 1.2))
    ] if sweep != "sweep" else [folder_of(tmp_path / "one", timing_record("a", times()))] * 2  # fmt: skip
    assert code_of(*sides, gate=Gate(gate_time=gate_time, no_gate_counts=True)) == 0
    warning = (
        f"warning: --gate-time {gate_time:g}: 2 of the times were not measured in turns: a slowdown below "
        f"{100 * APART:g} % never fails, and for sure only one well beyond; python -m bench duel measures in turns\n"
    )
    assert capsys.readouterr().err == (warning if warns else "")


def test_a_stable_slowdown_that_was_not_measured_in_turns_is_shown_and_open() -> None:
    found = report([timing_record("a", times())], [timing_record("a", times(1.2, seed=1), sweep="another")])
    (entry,) = found.noteworthy()
    assert entry.verdict == "ambiguous"
    assert entry.interval is not None
    assert entry.interval[1] > 1.2 * 1.2
    assert entry.notes[0].startswith(f"not measured in turns, which alone may make {100 * APART:g} %; ")


@pytest.mark.parametrize("effect", [0, -0.1, float("nan"), float("inf")])
def test_an_effect_that_is_none_is_an_error(effect: float) -> None:
    with pytest.raises(ValueError, match="effect must be a positive number"):
        report([], [], effect=effect)


def test_this_projects_records_equal_themselves(committed: Evidence) -> None:
    found = compare(committed.store, Store(committed.records_root))
    assert found.compared
    assert {entry.verdict for entry in found.compared} == {"equal"}
    assert Gate(gate_time=0.25).failures(found) == ()


def folder_of(folder: Path, *records: Record) -> str:
    store = Store(folder)
    for record in records:
        store.append(record)
    return str(folder)


def code_of(base: str, head: str, **options: Any) -> int:
    """The exit code of `python -m bench compare`."""
    try:
        return compare_verbs.compare(base, head, **options)
    except SystemExit as leaving:
        return int(str(leaving.code))


@pytest.fixture
def base(tmp_path: Path) -> str:
    return folder_of(tmp_path / "base", count_record("a", "macs", 5), timing_record("a", times()))


def test_exit_codes(base: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    slower = folder_of(tmp_path / "slow", count_record("a", "macs", 5), timing_record("a", times(1.5, seed=1)))
    larger = folder_of(tmp_path / "large", count_record("a", "macs", 6), timing_record("a", times()))
    moved = folder_of(tmp_path / "moved", timing_record("a", times(), machine=OTHER))
    assert code_of(base, base) == 0
    assert code_of(base, slower) == 0
    assert code_of(base, slower, gate=Gate(gate_time=0.25)) == 1
    assert code_of(base, larger) == 1
    assert code_of(base, larger, gate=Gate(no_gate_counts=True)) == 0
    capsys.readouterr()
    assert code_of(base, moved) == 2
    assert code_of(base, moved, across_machines=True, gate=Gate(allow_removed=True)) == 0
    assert code_of(base, base, effect=-1) == 2
    assert code_of(base, base, gate=Gate(gate_time=0)) == 2
    assert code_of(base, base, gate=Gate(gate_memory=0)) == 2
    assert code_of(base, base, gate=Gate(fail_unjudged=True)) == 2
    assert code_of(base, str(tmp_path / "no such thing")) == 2
    assert code_of(base, "--output=here") == 2
    assert code_of(base, base, also_fails=tmp_path / "no such file") == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 8
    assert all(line.startswith("error: ") for line in errors)


def test_what_cannot_be_read_is_named_with_a_remedy(
    base: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    (tmp_path / "odd" / "exact" / "macs.jsonl").mkdir(parents=True)
    assert code_of(base, str(tmp_path / "odd")) == 2
    warning, error = capsys.readouterr().err.splitlines()
    assert warning.endswith("macs.jsonl: Is a directory; skipped, make it a file that can be read, or remove it")
    assert error == f"error: no file below {tmp_path / 'odd'} can be read, for the reasons above"


def test_what_cannot_be_written_is_no_verdict_on_the_records(base: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1 says that a gate fails, and nothing else."""
    assert code_of(base, base, out=Path("/nonexistent/file")) == 2
    assert capsys.readouterr().err.startswith("error: /nonexistent/file: No such file or directory")
    command = [sys.executable, "-m", "bench", "compare", base, base]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (2, "error: No space left on device; see where the output goes\n")


def test_a_gate_that_fails_does_not_pass_as_its_reader_leaves(base: str, tmp_path: Path) -> None:
    """As in `python -m bench compare BASE HEAD | true` under pipefail."""
    larger = folder_of(tmp_path / "large", count_record("a", "macs", 6), timing_record("a", times()))
    process = subprocess.Popen(
        [sys.executable, "-m", "bench", "compare", base, larger],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout
    process.stdout.close()
    _, said = process.communicate()
    assert (process.returncode, said) == (141, b"")


def test_a_closed_output_is_no_error_where_the_report_goes_to_a_file(
    base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in `python -m bench compare BASE HEAD --out FILE >&-`."""
    monkeypatch.setattr(sys, "stdout", None)
    assert code_of(base, base, out=tmp_path / "out") == 0
    assert capsys.readouterr().err == ""
    assert (tmp_path / "out").read_text() == f"The comparison passes: {SAME}\n"


def test_a_bug_is_no_verdict_on_the_records(
    base: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    def broken(*_: object, **__: object) -> None:
        raise TypeError("nobody thought of this")

    monkeypatch.setattr(compare_verbs, "compare_records", broken)
    assert code_of(base, base) == 2
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert "TypeError: nobody thought of this" in said
    assert said.endswith("error: this is a bug; please report it with the lines above\n")


def test_a_package_that_is_not_installed_is_no_bug_and_no_verdict(
    base: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    def lacking(*_: object, **__: object) -> None:
        raise ModuleNotFoundError(name="no_such_package.part")

    monkeypatch.setattr(compare_verbs, "compare_records", lacking)
    assert code_of(base, base) == 2
    assert capsys.readouterr().err == f"error: the package no_such_package is not installed; {REMEDY}\n"


def test_lines_of_a_file_fail_too(base: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "errors"
    file.write_text("")
    assert code_of(base, base, also_fails=file) == 0
    capsys.readouterr()
    file.write_text("differs: macs of a: stored 5, counted now 6\n\n")
    assert code_of(base, base, also_fails=file, format_="comment") == 1
    said = capsys.readouterr()
    assert said.out.splitlines()[1] == f"**The comparison fails for 1 reason: {SAME}**"
    assert "- differs: macs of a: stored 5, counted now 6" in said.out
    assert said.err == "fails: differs: macs of a: stored 5, counted now 6\n"


def test_what_records_say_is_no_command_to_a_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Lines that begin with two colons are commands to GitHub's."""
    name = "x\n::error::y"
    base, head = (folder_of(tmp_path / str(value), count_record(name, "macs", value)) for value in (5, 6))
    bad = json.loads(count_record("a", "macs", 5).model_dump_json()) | {"versions": {name: 3}}
    with (Path(head) / "exact" / "macs.jsonl").open("a") as file:
        file.write(json.dumps(bad) + "\n")
    assert code_of(base, head, format_="comment") == 1
    warning, failure = capsys.readouterr().err.splitlines()
    assert "versions.x ::error::y: " in warning
    assert failure.startswith("fails: macs of x ::error::y (256x192, batch 1): ")


def test_nothing_in_common_is_not_a_pass(base: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A gate that compared nothing would be green for ever."""
    refused = timing_record("a", [[1.0]], metric="refusal", of="latency", detail={"reason": "none"})
    only_refused = folder_of(tmp_path / "refused", refused)
    other = folder_of(tmp_path / "other", count_record("b", "macs", 5))
    for one, two in ((only_refused, only_refused), (base, only_refused), (base, other)):
        assert code_of(one, two) == 2
        assert "have no quantity in common" in capsys.readouterr().err


def test_a_line_that_is_no_record_does_not_hide_the_others(
    base: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = shutil.copytree(base, tmp_path / "head")
    with (head / "exact" / "macs.jsonl").open("a") as file:
        file.write("{")
    assert code_of(base, str(head)) == 0
    assert "line 2" in capsys.readouterr().err


def spoilt(folder: str, metric: str) -> None:
    """The first count of a file loses its value."""
    path = Path(folder) / "exact" / f"{metric}.jsonl"
    path.write_text(path.read_text().replace('"value":5', '"value":', 1))


def test_counts_of_the_base_that_cannot_be_read_fail_until_that_is_allowed(tmp_path: Path) -> None:
    """Else what became of them seems to be new, and passes."""
    kept = [count_record("b", metric, 5) for metric in ("params", "macs", "second_opinions")]
    base = folder_of(tmp_path / "base", *(count_record("a", record.metric, 5) for record in kept), *kept)
    head = folder_of(tmp_path / "head", *(count_record("a", record.metric, 6) for record in kept), *kept)
    for metric in ("macs", "second_opinions"):
        spoilt(base, metric)
    params = Path(base) / "exact" / "params.jsonl"
    params.unlink()
    params.mkdir()
    found = compare(Store(Path(base)), Store(Path(head)))
    said = "lines of the base cannot be used, and what became of their counts is not known; restore them, or"
    unread = [f"exact/{metric}.jsonl: {said} --allow-changed {metric}" for metric in ("macs", "params")]
    assert Gate().failures(found) == tuple(unread)
    assert Gate(allow_changed="params").failures(found) == tuple(unread[:1])
    assert Gate(allow_changed="all").failures(found) == Gate(no_gate_counts=True).failures(found) == ()


def test_counts_of_the_head_that_cannot_be_read_are_gone(base: str, tmp_path: Path) -> None:
    head = str(shutil.copytree(base, tmp_path / "head"))
    spoilt(head, "macs")
    (failure,) = Gate().failures(compare(Store(Path(base)), Store(Path(head))))
    assert failure.startswith("exact/macs.jsonl: 1 row gone from the head: a ")


def test_json_holds_every_row_exactly(base: str, tmp_path: Path) -> None:
    slower = folder_of(tmp_path / "slow", timing_record("a", times(1.5, seed=1)))
    out = tmp_path / "out.json"
    code_of(base, slower, format_="json", out=out)
    answer = json.loads(out.read_text())
    by_metric = {row["metric"]: row for row in answer["rows"]}
    assert by_metric["macs"]["verdict"] == "removed"
    assert by_metric["latency"]["base"] == timing_record("a", times()).value
    assert by_metric["latency"]["head_key"] == timing_record("a", times(1.5, seed=1)).key()


def test_json_says_what_could_not_be_read_or_judged_and_what_was_not_measured_again(tmp_path: Path) -> None:
    few, again = timing_record("b", [[1.0]]), timing_record("b", [[3.0]])
    old = folder_of(tmp_path / "old", timing_record("a", times()), few)
    new = folder_of(tmp_path / "new", timing_record("a", times()), again)
    (tmp_path / "new" / MACHINE / "memory.jsonl").write_text("{\n")
    out = tmp_path / "out.json"
    assert code_of(old, new, format_="json", out=out) == 0
    answer = json.loads(out.read_text())
    assert answer["unjudged"] == "1 of 2 times could not be judged: 1 of too few processes"
    assert answer["same_record"] == 1
    (warning,) = answer["warnings"]
    assert warning.startswith(f"head: {MACHINE}/memory.jsonl, line 1: not a record: ")


def test_how_many_times_were_tested_stands_in_the_text_and_in_the_json(
    base: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slower = folder_of(tmp_path / "slow", count_record("a", "macs", 5), timing_record("a", times(1.5, seed=1)))
    said = "1, each by a two-sided rank test at 0.02; no correction is made for their number"
    assert code_of(base, slower) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"times compared: {said}"
    assert code_of(base, slower, format_="json") == 0
    assert json.loads(capsys.readouterr().out)["times_compared"] == said


def test_a_time_that_contradicts_itself_does_not_end_the_comparison(
    base: str, capsys: pytest.CaptureFixture[str]
) -> None:
    latency = Path(base) / MACHINE / "latency.jsonl"
    record = json.loads(latency.read_text())
    with latency.open("a") as file:
        file.write(json.dumps(record | {"samples": record["samples"][1:]}) + "\n")
    assert code_of(base, base) == 0
    assert "latency.jsonl, line 2: not a record of latency: detail.processes: " in capsys.readouterr().err


def duel(**changes: Any) -> str:
    said = {"name": "a: here against base", "verdict": "slower", "ratio": 1.4, "interval": [1.3, 1.5], "effect": 0.25,
            "rounds": 8, "reason": "beyond doubt", "machine": MACHINE, "samples": []}  # fmt: skip
    return json.dumps(said | changes) + "\n"


def test_duels_stand_in_the_report_and_fail_with_the_gate_of_time(
    base: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    duels = tmp_path / "duels.jsonl"
    duels.write_text(
        duel() + duel(name="b: here against base", verdict="same", ratio=1.0, interval=[0.9, 1.1], rounds=1)
    )
    assert code_of(base, base, duels=duels) == 0
    assert code_of(base, base, duels=duels, gate=Gate(gate_time=0.25), format_="comment") == 1
    said = capsys.readouterr()
    assert "timed in turns: 1 slower, 1 same" in said.out
    assert "| slower | a: here against base | 1.400 (1.300 to 1.500) | 8 rounds | beyond doubt |" in said.out
    assert "| 1.000 (0.900 to 1.100) | 1 round |" in said.out
    failure = "slower, 25 % or more by estimate: 1.400 times the base's time (1.300 to 1.500)"
    assert said.err == f"fails: a: here against base: {failure}\n"


def test_a_duel_that_ends_ambiguous_fails_where_that_is_asked_for(
    base: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    duels = tmp_path / "duels.jsonl"
    duels.write_text(duel(verdict="ambiguous", reason="too noisy"))
    assert code_of(base, base, duels=duels, gate=Gate(gate_time=0.25)) == 0
    assert code_of(base, base, duels=duels, gate=Gate(gate_time=0.25, fail_unjudged=True)) == 1
    assert "fails: a: here against base: ambiguous, too noisy\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    "line",
    ["{", duel(verdict="lost"), duel(ratio=None), "[]", duel(ratio=-3), duel(interval=[1.6, 1.4]), duel(rounds=-1),
     duel(interval=[0, 1]), duel(effect=0)],
)  # fmt: skip
def test_a_line_that_is_no_duel_is_named(
    line: str, base: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    duels = tmp_path / "duels.jsonl"
    duels.write_text(duel() + line)
    assert code_of(base, base, duels=duels) == 2
    assert "duels.jsonl, line 2: not a duel: " in capsys.readouterr().err


@pytest.mark.usefixtures("in_git")
def test_a_revision_is_read_without_touching_the_checkout() -> None:
    with records_of("HEAD") as folder:
        assert folder != RECORDS
        revised = {record.key() for record in Store(folder).records}
    assert revised
    assert revised <= {record.key() for record in Store(RECORDS).records}
    assert not folder.exists()


def test_a_repository_around_the_project_has_none_of_its_revisions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    (project / "bench").mkdir(parents=True)
    (project / "bench/worker.py").write_text("")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "project")
    commit(tmp_path, "Somebody else's")
    monkeypatch.setattr(revisions, "ROOT", project)
    with pytest.raises(ValueError, match=r"^no revision 'HEAD' of this project with bench \(.+\); give one, or none$"):
        unpack("HEAD", ["bench"], tmp_path / "unpacked", instead="none")
    monkeypatch.setattr(revisions, "ROOT", tmp_path)
    unpack("HEAD", ["project"], tmp_path / "unpacked", instead="none")
    assert (tmp_path / "unpacked/project/bench/worker.py").is_file()


def test_a_revision_that_a_shallow_clone_lacks_is_told_with_how_to_fetch_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, clone = tmp_path / "whole", tmp_path / "clone"
    whole.mkdir()
    git(whole, "init", "--quiet")
    for message in ("first", "second"):
        commit(whole, message)
    git(tmp_path, "clone", "--quiet", "--depth", "1", f"file://{whole}", "clone")
    told = r"\(fatal: .+\); this clone is shallow: git fetch --unshallow, or fetch-depth: 0; give one, or none$"
    for folder, revision, shallow in ((clone, "HEAD~1", True), (clone, "HEAD", False), (whole, "HEAD~9", False)):
        monkeypatch.setattr(revisions, "ROOT", folder)
        with pytest.raises(ValueError, match=f"no revision '{revision}' of this project") as error:
            unpack(revision, ["bench"], tmp_path / "unpacked", instead="none")
        assert bool(re.search(told, str(error.value))) is shallow


def test_what_cannot_be_unpacked_is_one_line_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    def archived(said: bytes) -> object:
        return lambda command, **_: subprocess.CompletedProcess(command, 0, stdout=said, stderr=b"")

    empty = io.BytesIO()
    tarfile.open(fileobj=empty, mode="w").close()
    for part, said in (("No space left on device", empty.getvalue()), ("truncated header", b"torn" * 100)):
        monkeypatch.setattr(subprocess, "run", archived(said))
        monkeypatch.setattr(tarfile.TarFile, "extractall", full)
        assert code_of("main", "main") == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert re.fullmatch(f"error: 'main' of this project .* cannot be unpacked below .*{part}.*; free space.*", line)
    monkeypatch.undo()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert code_of("main", "main") == 2
    assert capsys.readouterr().err == "error: git is not installed; install it, or give a folder of records\n"
