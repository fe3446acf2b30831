"""Memory on a CPU: what a step frees stays with the process, and how much may be kept. Imports no torch."""

import ctypes
from contextlib import suppress
from pathlib import Path

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Of glibc's malloc.h."""

MEMINFO, GROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")
"""Where Linux tells what memory the machine has, and this container."""


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
    """Bytes that each of several processes may keep: `most_gb` 10^9 bytes, or its share of half of what is free."""
    free = _free()
    return int(most_gb * 1e9 if free is None else min(most_gb * 1e9, free / 2 / processes))


def _free() -> int | None:
    """Bytes that the machine, and the container that this process is in, have left; None where nothing tells."""
    left = []
    with suppress(OSError, ValueError, IndexError):
        left.append(1024 * _number_after("MemAvailable:", MEMINFO))
    with suppress(OSError, ValueError, IndexError):  # "max" is no limit; files that nobody reads now make room
        used = int((GROUP / "memory.current").read_text()) - _number_after("inactive_file", GROUP / "memory.stat")
        left.append(int((GROUP / "memory.max").read_text()) - used)
    return max(0, min(left)) if left else None


def _number_after(word: str, file: Path) -> int:
    return int(file.read_text().split(word, 1)[1].split()[0])
