"""What Linux says of the processor: how much of it is ours, and which half precision it multiplies in. No torch."""

import os
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
SYSTEM = Path("/sys/devices/system")
CGROUPS = Path("/sys/fs/cgroup")

ARITHMETIC = {
    "bf16": frozenset({"avx512_bf16", "amx_bf16", "bf16"}),
    "fp16": frozenset({"avx512_fp16", "amx_fp16", "asimdhp"}),
}
"""Instruction sets that multiply in a type, of x86 and of ARM: without one, torch's convolutions in it were seen to
take many times as long as those in fp32."""


def read(path: Path) -> str | None:
    """A small file's text without blanks around it; None where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def processors() -> set[int]:
    """Numbers of the processors that this process may use."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


def cores() -> int:
    """How many processors this process may use, hardware threads of one core each for itself."""
    return len(processors())


def physical_cores() -> int:
    """Cores that this process may use, those with two hardware threads once."""
    siblings = [read(SYSTEM / f"cpu/cpu{number}/topology/thread_siblings_list") for number in processors()]
    if all(siblings):
        return len(set(siblings))
    try:
        import psutil  # elsewhere than on Linux
    except ModuleNotFoundError:
        return len(siblings)
    return min(psutil.cpu_count(logical=False) or len(siblings), len(siblings))


def granted_cores() -> int:
    """Physical cores that this process may use, or as many of them as `cpu_quota` gives it the time of; at least 1."""
    cores = physical_cores()
    return max(1, min(cores, int(cpu_quota() or cores)))


def cpu_quota(root: Path | None = None, group: str | None = None) -> float | None:
    """Processors' worth of time that this process's control groups allow; None where they set no limit.

    Args:
        root: see `control_groups`.
        group: see `control_groups`.
    """
    limits = []
    for folder in control_groups("cpu", root, group):
        pair = (read(folder / "cpu.max") or "").split()  # version 2: "max 100000" or "150000 100000"
        if len(pair) != 2:  # version 1, where -1 stands for no limit
            names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
            pair = [found for name in names if (found := read(folder / name))]
        if len(pair) == 2 and pair[0].isdecimal():
            limits.append(int(pair[0]) / int(pair[1]))
    return min(limits, default=None)


def control_groups(controller: str, root: Path | None = None, group: str | None = None) -> Iterator[Path]:
    """Folders in which the limits of this process may be: of its control group and all above it, of either version.

    Args:
        controller: what is limited, "cpu" or "memory".
        root: where control groups are mounted.
        group: this process's group below it; read from the system if None.
    """
    root = root or CGROUPS
    own = Path(_group(controller) if group is None else group)
    for part in (own, *own.parents):
        for base in (root, root / controller):
            yield base / str(part).lstrip("/")


def _group(controller: str) -> str:
    """This process's control group: of the controller in version 1, or of version 2."""
    text = read(Path("/proc/self/cgroup")) or ""
    ways = (rf"^\d+:(?:[^:]*,)?{controller}(?:,[^:]*)?:(.*)$", r"^0::(.*)$")
    found = next(filter(None, (re.search(way, text, re.MULTILINE) for way in ways)), None)
    return found[1] if found else "/"


@cache
def fields() -> Mapping[str, str]:
    """What /proc/cpuinfo says of the first processor, by name; empty elsewhere."""
    pairs = (line.partition(":") for line in (read(CPUINFO) or "").partition("\n\n")[0].splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def instruction_sets() -> frozenset[str]:
    """Names of what the processor can do, as Linux has them; empty where it does not say."""
    return frozenset((fields().get("flags") or fields().get("Features") or "").split())


def multiplies_in(precision: str) -> bool:
    """Whether the processor has arithmetic for "bf16" or "fp16"; False where that is not known."""
    return not ARITHMETIC[precision].isdisjoint(instruction_sets())
