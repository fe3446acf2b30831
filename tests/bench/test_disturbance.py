"""Whether a block of work counts as disturbed: by made-up counters, a made-up /proc and real rivals."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench.machine import disturbance
from bench.machine.disturbance import Disturbance, Snapshot, between, reasons, snapshot

BEFORE = Snapshot(
    at_s=10.0, own_cpu_s={1: 4.0}, busy_s=100.0, steal_s=1.0, pressure_s=5.0, run_delay_s={(1, 1): 0.5, (1, 2): 0.25},
    switches=7, load_1min=0.5, frequency_mhz=2000.0,
)  # fmt: skip
AFTER = Snapshot(
    at_s=12.0, own_cpu_s={1: 5.5}, busy_s=103.0, steal_s=1.5, pressure_s=5.25, run_delay_s={(1, 1): 0.75, (1, 2): 0.25},
    switches=10, load_1min=0.75, frequency_mhz=3000.0,
)  # fmt: skip
QUIET = Disturbance(wall_s=1.0, own_cpu_s=1.0, foreign_cpu_s=0.0, steal_s=0.0, pressure_s=0.0, run_delay_s=0.0)

SPIN = "print(flush=True)\nwhile True: pass"


@pytest.fixture
def rivals() -> Iterator[list[int]]:
    """Process ids of two busy threads."""
    started = [subprocess.Popen([sys.executable, "-c", SPIN], stdout=subprocess.PIPE) for _ in range(2)]
    try:
        for process in started:
            assert process.stdout is not None
            process.stdout.readline()
        yield [process.pid for process in started]
    finally:
        for process in started:
            process.kill()
            process.communicate()


def work(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        sum(range(1000))


def test_differences() -> None:
    assert between(BEFORE, AFTER) == Disturbance(
        wall_s=2.0, own_cpu_s=1.5, foreign_cpu_s=1.5, steal_s=0.5, pressure_s=0.25, run_delay_s=0.25,
        involuntary_switches=3, load_1min=0.75, frequency_mhz=2500.0,
    )  # fmt: skip


def test_others_never_work_less_than_nothing() -> None:
    assert between(BEFORE, replace(AFTER, busy_s=100.01)).foreign_cpu_s == 0.0


def test_a_new_thread_counts_whole_and_an_ended_one_not() -> None:
    after = replace(AFTER, run_delay_s={(1, 1): 0.75, (1, 3): 0.125})
    assert between(BEFORE, after).run_delay_s == 0.375


@pytest.mark.parametrize(
    ("missing", "unknown"),
    [
        ("own_cpu_s", {"own_cpu_s", "foreign_cpu_s"}),
        ("busy_s", {"foreign_cpu_s"}),
        ("steal_s", {"steal_s"}),
        ("pressure_s", {"pressure_s"}),
        ("run_delay_s", {"run_delay_s"}),
        ("switches", {"involuntary_switches"}),
    ],
)
def test_what_is_not_counted_is_none(missing: str, unknown: set[str]) -> None:
    for before, after in ((replace(BEFORE, **{missing: None}), AFTER), (BEFORE, replace(AFTER, **{missing: None}))):
        fields = between(before, after).to_dict()
        assert {name for name, value in fields.items() if value is None} == unknown


def test_dictionary_is_json_and_leads_back() -> None:
    seen = replace(between(BEFORE, AFTER), wall_s=0.12345678)
    fields = json.loads(json.dumps(seen.to_dict()))
    assert Disturbance(**fields) == replace(seen, wall_s=0.123457)


@pytest.mark.parametrize("wall_s", [0.05, 0.3, 10.0])
@pytest.mark.parametrize("threads", [1, 4])
def test_limits(wall_s: float, threads: int) -> None:
    limits = {
        "foreign_cpu_s": disturbance.FOREIGN_SHARE * wall_s + disturbance.TICK_ERROR_S,
        "steal_s": disturbance.STEAL_SHARE * wall_s + disturbance.TICK_ERROR_S,
        "run_delay_s": disturbance.WAITING_SHARE * wall_s * threads + disturbance.WAITING_ERROR_S,
    }
    quiet = replace(QUIET, wall_s=wall_s)
    assert reasons(replace(quiet, **{name: 0.999 * limit for name, limit in limits.items()}), threads) == []
    for name, limit in limits.items():
        assert len(reasons(replace(quiet, **{name: 1.001 * limit}), threads)) == 1
    assert len(reasons(replace(quiet, **{name: 1.001 * limit for name, limit in limits.items()}), threads)) == 3


@pytest.mark.parametrize("field", ["pressure_s", "involuntary_switches"])
def test_pressure_and_switches_decide_where_waiting_is_not_counted(field: str) -> None:
    seen = replace(QUIET, **{field: 1000})
    assert reasons(seen, 2) == []
    assert len(reasons(replace(seen, run_delay_s=None), 2)) == 1
    assert reasons(replace(QUIET, run_delay_s=None), 2) == []


def test_nothing_known_is_no_reason() -> None:
    assert reasons(Disturbance(wall_s=1.0), 1) == []


def test_load_and_frequency_decide_nothing() -> None:
    assert reasons(replace(QUIET, load_1min=50.0, frequency_mhz=1.0), 1) == []


def test_counters_of_a_made_up_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disturbance, "PROC", tmp_path)
    monkeypatch.setattr(disturbance, "TICKS_PER_SECOND", 100)
    monkeypatch.setattr("os.getpid", lambda: 42)
    tick = "cpu  100 20 30 4000 500 6 7 80 9 1\ncpu0 1 1 1 1 1 1 1 1 1 1\n"
    files = {
        "stat": tick,
        "pressure/cpu": "some avg10=1.20 avg60=0.31 avg300=0.33 total=2500000\nfull avg10=0.00 total=9\n",
        "cpuinfo": "processor\t: 0\ncpu MHz\t\t: 2000.5\n\nprocessor\t: 1\ncpu MHz\t\t: 3000.5\n",
        "42/task/42/schedstat": "111 3000000000 5\n",
        "42/task/43/schedstat": "111 500000000 5\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    seen = snapshot()
    # Guests are part of user and nice; waiting for a disk is idle time.
    assert (seen.busy_s, seen.steal_s) == (1.63, 0.8)
    assert (seen.pressure_s, seen.frequency_mhz) == (2.5, 2500.5)
    assert seen.run_delay_s == {(42, 42): 3.0, (42, 43): 0.5}


@pytest.mark.parametrize("text", [None, "", "cpu  0 0 0 0 0 0 0 0 0 0\n", "cpu  1 2 3\n"])
def test_a_system_without_counters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None) -> None:
    monkeypatch.setattr(disturbance, "PROC", tmp_path)
    if text is not None:
        (tmp_path / "stat").write_text(text)
    before = snapshot()
    seen = between(before, snapshot())
    assert (seen.foreign_cpu_s, seen.steal_s, seen.pressure_s) == (None, None, None)
    assert (seen.run_delay_s, seen.frequency_mhz) == (None, None)
    assert seen.own_cpu_s is not None
    assert reasons(replace(seen, involuntary_switches=0), 1) == []


@pytest.mark.parametrize("threads", [1, 2])
def test_two_busy_threads_are_noticed(rivals: list[int], threads: int) -> None:
    assert len(rivals) == 2
    before = snapshot()
    work(0.4)
    seen = between(before, snapshot())
    if seen.foreign_cpu_s is None:
        pytest.skip("this system does not count what others do")
    assert reasons(seen, threads)


def test_work_of_named_processes_is_own(rivals: list[int]) -> None:
    own, named = snapshot(), snapshot(rivals)
    if named.own_cpu_s is None:
        pytest.skip("this system does not show the clocks of other processes")
    work(0.4)
    alone, together = between(own, snapshot()), between(named, snapshot(rivals))
    assert alone.own_cpu_s is not None
    assert together.own_cpu_s is not None
    assert together.own_cpu_s > 1.2 * alone.own_cpu_s


def test_a_process_that_ended_is_no_error(rivals: list[int]) -> None:
    gone = 2**22 + 1  # above the highest process id of Linux
    seen = between(snapshot([gone]), snapshot([gone, *rivals]))
    assert seen.wall_s > 0
