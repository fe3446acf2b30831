"""What else the machine did while a block of work was timed, read from Linux's counters. Imports no torch.

A snapshot before the block and one after it give a `Disturbance`: the CPU time of everybody else, time stolen by the
host, time that the block's own threads waited for a processor. What a system does not count is None, never 0; Linux
counts all of it, in a container that of the whole host, which is what matters here.

Example:
    >>> before = snapshot()
    >>> work = sum(range(100_000))
    >>> between(before, snapshot()).wall_s > 0
    True
"""

import ctypes
import os
import re
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

PROC = Path("/proc")

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100

FOREIGN_SHARE = 0.10
"""CPU time of others, as a share of one processor, that a clean block stays under. An idle system's services take about
1 %; a busy thread takes all of a processor, or half of one that it shares with the block."""

STEAL_SHARE = 0.05
"""Time that the host took from this virtual machine, as a share of one processor: it slows the block by as much."""

WAITING_SHARE = 0.05
"""Time that the block's threads were ready and did not run, as a share of the time that they could have run. Sharing a
processor with one busy thread costs half of it, a system's services much less than 1 %."""

PRESSURE_SHARE = 0.25
"""Share of the block in which some thread of the machine waited for a processor, used where the block's own waiting is
not counted. It is higher because it holds the waiting of others too, among themselves."""

SWITCHES_PER_SECOND = 50
"""Involuntary context switches of each thread, used where the block's own waiting is not counted. A busy rival on the
same processor causes one for each slice of the scheduler, 3 to 10 ms: at least 100 a second."""

TICK_ERROR_S = 0.02
"""What rounding makes of nothing: /proc/stat counts in ticks of 10 ms, at either end of the block. Below about 0.03 s a
busy thread on another processor is therefore not seen; one on the block's own processor is, by the block's waiting."""

WAITING_ERROR_S = 0.001
"""A single slice of a kernel thread's work in a block too short for shares."""


@dataclass(frozen=True, kw_only=True)
class Disturbance:
    """What happened besides a block of work. None: this system does not say.

    Attributes:
        wall_s: duration of the block.
        own_cpu_s: CPU time, user and system, of this process with all its threads and of those named as its own.
        foreign_cpu_s: busy time of all processors less `own_cpu_s`, at least 0; in steps of 10 ms.
        steal_s: time that the host gave to others, over all processors; in steps of 10 ms.
        pressure_s: time in which some thread of the machine was ready and had no processor (PSI, `some`).
        run_delay_s: the same for the block's own threads, added up over them.
        involuntary_switches: how often one of them was made to leave its processor.
        load_1min: mean number of threads that run or are ready over the last minute, at the end of the block.
        frequency_mhz: of the first processors that the system names, mean of both ends; a virtual machine's is nominal.
    """

    wall_s: float
    own_cpu_s: float | None = None
    foreign_cpu_s: float | None = None
    steal_s: float | None = None
    pressure_s: float | None = None
    run_delay_s: float | None = None
    involuntary_switches: int | None = None
    load_1min: float | None = None
    frequency_mhz: float | None = None

    def to_dict(self) -> dict[str, float | int | None]:
        """The fields by name, floats rounded to microseconds; `Disturbance(**fields)` is the way back."""
        fields: dict[str, float | int | None] = asdict(self)
        return {name: round(value, 6) if isinstance(value, float) else value for name, value in fields.items()}


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The counters at one moment; only differences of two snapshots mean anything.

    Attributes:
        at_s: of a clock that never goes back.
        own_cpu_s: CPU time of each process that counts as own, by process id.
        busy_s: of all processors, since the system started.
        steal_s: likewise.
        pressure_s: likewise.
        run_delay_s: of each own thread, by (process, thread).
        switches: involuntary context switches of own processes.
        load_1min: as the system gives it.
        frequency_mhz: mean of the processors that were read.
    """

    at_s: float
    own_cpu_s: dict[int, float] | None = None
    busy_s: float | None = None
    steal_s: float | None = None
    pressure_s: float | None = None
    run_delay_s: dict[tuple[int, int], float] | None = None
    switches: int | None = None
    load_1min: float | None = None
    frequency_mhz: float | None = None


def snapshot(pids: Iterable[int] = ()) -> Snapshot:
    """The counters now, in well under a millisecond.

    Args:
        pids: processes whose work counts as own besides this one's: the workers of a process that times them.
    """
    own = [os.getpid(), *pids]
    busy, steal = _processors()
    return Snapshot(
        own_cpu_s=_cpu_times(own),
        busy_s=busy,
        steal_s=steal,
        pressure_s=_pressure(),
        run_delay_s=_run_delays(own),
        switches=_switches(own),
        load_1min=_load(),
        frequency_mhz=_frequency(),
        at_s=time.perf_counter(),
    )


def between(before: Snapshot, after: Snapshot) -> Disturbance:
    """What happened from one snapshot to the next.

    A thread that started in between counts whole; one that ended takes what it waited with it.

    Example:
        >>> between(Snapshot(at_s=1.0, busy_s=7.0, own_cpu_s={1: 2.0}),
        ...         Snapshot(at_s=2.0, busy_s=8.5, own_cpu_s={1: 3.0})).foreign_cpu_s
        0.5
    """
    own = _gained(before.own_cpu_s, after.own_cpu_s)
    busy = _difference(before.busy_s, after.busy_s)
    switches = _difference(before.switches, after.switches)
    frequencies = [seen.frequency_mhz for seen in (before, after) if seen.frequency_mhz is not None]
    return Disturbance(
        wall_s=after.at_s - before.at_s,
        own_cpu_s=own,
        foreign_cpu_s=None if busy is None or own is None else max(0.0, busy - own),
        steal_s=_difference(before.steal_s, after.steal_s),
        pressure_s=_difference(before.pressure_s, after.pressure_s),
        run_delay_s=_gained(before.run_delay_s, after.run_delay_s),
        involuntary_switches=None if switches is None else int(switches),
        load_1min=after.load_1min,
        frequency_mhz=sum(frequencies) / len(frequencies) if frequencies else None,
    )


def reasons(seen: Disturbance, threads: int) -> list[str]:
    """Why a block counts as disturbed; empty when nothing speaks against it.

    Load and frequency are kept but decide nothing: the first still remembers the minute before the block, and a
    processor may leave its idle frequency within it.

    Args:
        seen: what happened during the block.
        threads: how many threads the block worked with.

    Example:
        >>> reasons(Disturbance(wall_s=1.0, foreign_cpu_s=0.52, steal_s=0.0, run_delay_s=0.0), threads=1)
        ['other processes used 52 % of a processor']
        >>> reasons(Disturbance(wall_s=1.0, foreign_cpu_s=0.02, steal_s=0.0, run_delay_s=0.001), threads=1)
        []
    """
    if seen.wall_s <= 0:
        return []
    found = []
    if _exceeds(seen.foreign_cpu_s, FOREIGN_SHARE * seen.wall_s + TICK_ERROR_S):
        found.append(f"other processes used {_percent(seen.foreign_cpu_s, seen.wall_s)} of a processor")
    if _exceeds(seen.steal_s, STEAL_SHARE * seen.wall_s + TICK_ERROR_S):
        found.append(f"the host took {_percent(seen.steal_s, seen.wall_s)} of a processor")
    if seen.run_delay_s is not None:
        if seen.run_delay_s > WAITING_SHARE * seen.wall_s * threads + WAITING_ERROR_S:
            found.append(f"its threads waited {_percent(seen.run_delay_s, seen.wall_s * threads)} of their time")
        return found
    if _exceeds(seen.pressure_s, PRESSURE_SHARE * seen.wall_s + WAITING_ERROR_S):
        found.append(f"threads waited for a processor {_percent(seen.pressure_s, seen.wall_s)} of the time")
    if _exceeds(seen.involuntary_switches, SWITCHES_PER_SECOND * seen.wall_s * threads + 1):
        found.append(f"it was interrupted {seen.involuntary_switches} times in {seen.wall_s:.2g} s")
    return found


def _exceeds(value: float | None, limit: float) -> bool:
    return value is not None and value > limit


def _percent(part: float | None, whole: float) -> str:
    return f"{100 * (part or 0.0) / whole:.0f} %"


def _difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


def _gained(before: dict[Any, float] | None, after: dict[Any, float] | None) -> float | None:
    if before is None or after is None:
        return None
    return sum((value - before.get(key, 0.0) for key, value in after.items()), 0.0)


def _processors() -> tuple[float | None, float | None]:
    """Seconds that all processors were busy, and that the host took from them, since the start of the system."""
    first = (_text("stat", limit=256) or "").partition("\n")[0].split()
    if len(first) < 9 or first[0] != "cpu":
        return None, None
    user, nice, system, idle, _waiting, irq, softirq, steal = map(int, first[1:9])
    if not user + system + idle:  # a sandbox that keeps the file and counts nothing
        return None, None
    return (user + nice + system + irq + softirq) / TICKS_PER_SECOND, steal / TICKS_PER_SECOND


def _cpu_times(pids: list[int]) -> dict[int, float] | None:
    """CPU time of each process that still exists, to the nanosecond; None where others' clocks cannot be read."""
    times = {os.getpid(): time.process_time()}
    for pid in pids[1:]:
        clock = ctypes.c_int()
        try:
            failed = ctypes.CDLL(None).clock_getcpuclockid(pid, ctypes.byref(clock))
        except (AttributeError, OSError, TypeError):
            return None
        if not failed:
            with suppress(OSError):  # it ended in this very moment
                times[pid] = time.clock_gettime(clock.value)
    return times


def _run_delays(pids: list[int]) -> dict[tuple[int, int], float] | None:
    """Seconds that each thread was ready without running: the second field of its schedstat, in nanoseconds."""
    delays = {
        (pid, thread): int(text.split()[1]) / 1e9
        for pid in pids
        for thread in _threads(pid)
        if (text := _text(str(pid), "task", str(thread), "schedstat")) is not None
    }
    return delays or None


def _switches(pids: list[int]) -> int | None:
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    total = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
    for pid in pids[1:]:
        for thread in _threads(pid):
            status = _text(str(pid), "task", str(thread), "status") or ""
            total += sum(map(int, re.findall(r"^nonvoluntary_ctxt_switches:\s*(\d+)", status, re.MULTILINE)))
    return total


def _threads(pid: int) -> list[int]:
    try:
        return [int(name) for name in os.listdir(PROC / str(pid) / "task")]  # noqa: PTH208 - Path.iterdir is slower
    except OSError:
        return []


def _pressure() -> float | None:
    found = re.search(r"^some .*total=(\d+)", _text("pressure", "cpu") or "")
    return int(found[1]) / 1e6 if found else None


def _load() -> float | None:
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None


def _frequency() -> float | None:
    # The first kilobytes hold the first processors; the system writes the rest only when it is asked for.
    found = re.findall(r"^cpu MHz\s*:\s*([\d.]+)", _text("cpuinfo", limit=4096) or "", re.MULTILINE)
    return sum(map(float, found)) / len(found) if found else None


def _text(*parts: str, limit: int = -1) -> str | None:
    try:
        with PROC.joinpath(*parts).open(encoding="utf-8", errors="replace") as file:
            return file.read(limit)
    except OSError:
        return None
