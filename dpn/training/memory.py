"""Memory on a CPU: what a step frees stays with the process, and how much may be kept. Imports no torch."""

import ctypes
import multiprocessing
from contextlib import suppress
from pathlib import Path

from dpn.processor import control_groups

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Of glibc's malloc.h."""

MEMINFO = Path("/proc/meminfo")

LIMITS = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
"""Where control groups of versions 2 and 1 tell what they may take, have taken, and have of files that nobody reads."""


def keep_freed() -> bool:
    """Tells the C library to hand no memory back to the system while this process lives, where it is glibc.

    A network's tensors are large. By default each comes from the system and goes back to it in every step, and the
    system fills every page with zeros anew: some 5 % of the time of `quick/dpn1_32_lite`.

    Returns:
        Whether the library took it.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):  # musl, macOS, Windows
        return False
    return bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, -1))


def room(most_gb: float, processes: int) -> int:
    """Bytes that each of several processes may keep: `most_gb` 10^9 bytes, or its share of half of what is free.

    0 where workers are not forked, since they would share none of it.
    """
    if multiprocessing.get_start_method() != "fork":
        return 0
    free = _free()
    return int(most_gb * 1e9 if free is None else min(most_gb * 1e9, free / 2 / processes))


def _free() -> int | None:
    """Bytes that the machine, and every control group of this process, has left; None where nothing tells."""
    left = []
    with suppress(OSError, ValueError, IndexError):
        left.append(1024 * _number_after("MemAvailable:", MEMINFO))
    for folder in control_groups("memory"):
        for most, taken, cached in LIMITS:
            with suppress(OSError, ValueError, IndexError):  # "max" is no limit
                used = int((folder / taken).read_text()) - _number_after(cached, folder / "memory.stat")
                left.append(int((folder / most).read_text()) - used)
    return max(0, min(left)) if left else None


def _number_after(word: str, file: Path) -> int:
    return int(file.read_text().split(word, 1)[1].split()[0])
