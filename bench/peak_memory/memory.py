"""Peak memory of a network, in a process of its own and in a pass of its own.

Runs in a worker process. On the CPU the value is the peak of the process's resident memory while it makes calls, above
what was resident before the network was built: weights in whatever form the back end keeps them, maps, workspaces, and
the back end's own data. Code of libraries is left out on both sides, because how much of a library's file is resident
depends on what else runs on the machine. What would make two processes differ is switched off: by the interpreter that
the process is forked from (`bench.peak_memory.alike`), and in the process before anything is built (`settle`).
"""

import ctypes
import gc
import re
import sys
from contextlib import nullcontext
from pathlib import Path
from statistics import median_low
from typing import Any

from bench.cell import Cell
from bench.peak_memory import alike, page_counters
from bench.running import opening

WARM_CALLS = 2
"""Calls before the peak is measured: packing, compiling and late loading; the heap has its final shape after two."""

CALLS = 5
"""Calls whose peaks are measured, each by itself; the median is the value, because the kernel's peak is inexact.

What remains is what a core has counted at the peak and not yet added, see `bench.peak_memory.page_counters`.
"""

ALLOCATING_THREADS = ("onnxruntime",)
"""Back ends whose threads allocate side by side when a network is opened: they open and warm up on one core."""

PROCESS = Path("/proc/self")

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -2, -3, -8  # malloc.h
_PR_SET_THP_DISABLE = 41  # linux/prctl.h
_MMAP_THRESHOLD = 64 * 2**10


def measure(cell: Cell, folder: Path) -> dict[str, Any]:
    """Builds a network in its back end and measures the peak of its memory; meant for a fresh process.

    Args:
        cell: what to run.
        folder: with what `bench.running.artifacts.prepare` wrote for it.

    Returns:
        value: bytes, `peak_bytes - before_bytes`.
        before_bytes: resident before the network was built, library code left out.
        peak_bytes: the same at the peak of a call; the median of `peaks`.
        peaks: one for each measured call; what the kernel's peak lagged behind before the call is added to it.
        weights_bytes: parameters and buffers, None where the back end does not show them.
        tensor_peak_bytes: the exact peak of live tensors in one call, None where the back end hides them.
        settings: what was switched off so that processes agree.
        peak_reset: False where the system does not let a process reset its peak; building then counts, too.

    Raises:
        RuntimeError: the system does not tell a process its memory.
    """
    settings = settle()
    before = private_bytes()
    with alike.one_core() if cell.backend in ALLOCATING_THREADS else nullcontext():
        runner = opening.open_runner(cell, folder)
        for _ in range(WARM_CALLS):
            runner.call()
    peaks, reset = _peaks_of_calls(runner)
    weights, tensors = tensor_bytes(runner, cell)
    return {
        "value": median_low(peaks) - before,
        "before_bytes": before,
        "peak_bytes": median_low(peaks),
        "peaks": peaks,
        "weights_bytes": weights,
        "tensor_peak_bytes": tensors,
        "settings": settings,
        "peak_reset": reset,
    }


def tensor_bytes(runner: Any, cell: Cell) -> tuple[int | None, int | None]:
    """Bytes of weights and of live tensors at their peak; None for what a back end hides."""
    from bench.peak_memory import tensor_peak

    module = getattr(runner, "module", None)
    weights = None if module is None else tensor_peak.weights_bytes(module)
    if module is None or cell.backend not in tensor_peak.BACKENDS:
        return weights, None
    return weights, tensor_peak.peak_bytes(runner.call, module)


def settle() -> list[str]:
    """Switches off what makes the memory of two equal processes differ; returns what is off, one line each."""
    done = alike.settings()
    if sys.platform != "linux":
        return done
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(_PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0:
        # Whether the kernel finds a free 2 MiB page for an address range is chance, and so is the range's alignment.
        done.append("no transparent huge pages")
    mallopt = getattr(library, "mallopt", None)
    if mallopt is not None:
        for option, value, meaning in _MALLOC:
            if mallopt(option, value) == 1:
                done.append(meaning)
    return done


_MALLOC = (
    # Threads that meet at a lock open further arenas, each with free memory of its own: which threads meet is chance.
    (_M_ARENA_MAX, 1, "one malloc arena"),
    # The threshold grows with the first large block that is freed, so that later maps come from a heap whose holes
    # depend on the order of events. Fixed, every map is a mapping of its own and goes back when it is freed.
    (_M_MMAP_THRESHOLD, _MMAP_THRESHOLD, "blocks from 64 KiB are mappings of their own"),
    (_M_TRIM_THRESHOLD, 0, "the heap's free end goes back"),
    (_M_TOP_PAD, 0, "the heap grows by what is asked for"),
)


def private_bytes() -> int:
    """Resident bytes of this process, pages of library files left out.

    Raises:
        RuntimeError: the system has no /proc.
    """
    _tidy()
    return resident_bytes() - library_bytes()


def resident_bytes(folder: Path = PROCESS) -> int:
    """Resident bytes of this process, counted page by page: the kernel's quick counters lag behind by some KiB a core.

    Raises:
        RuntimeError: the system has no /proc.
    """
    return _field(folder / "smaps_rollup", "Rss")


def library_bytes(folder: Path = PROCESS) -> int:
    """Resident bytes that are unchanged pages of shared libraries and of the interpreter."""
    total, counts = 0, False
    with (folder / "smaps").open() as lines:  # line by line: the whole file as one string would stay in the peak
        for line in lines:
            if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                path = line.split(maxsplit=5)[5:]
                counts = bool(path) and re.search(r"\.so(\.|$)|/python[\d.]*$", path[0].rstrip()) is not None
            elif counts and (match := re.match(r"(?:Shared|Private)_Clean:\s+(\d+) kB", line)):
                total += 1024 * int(match[1])
    return total


def _peaks_of_calls(runner: Any) -> tuple[list[int], bool]:
    """Peak of resident bytes in each of `CALLS` calls, library code left out, and whether peaks can be reset."""
    peaks, reset = [], True
    for _ in range(CALLS):
        _tidy()
        page_counters.empty()
        reset = _reset_peak() and reset
        lag = resident_bytes() - page_counters.counted_bytes() if reset else 0
        runner.call()
        runner.synchronise()
        peaks.append(_field(PROCESS / "status", "VmHWM") + lag - library_bytes())
    return peaks, reset


def _tidy() -> None:
    """Gives back what is free: garbage of Python and the free pages of malloc."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def _reset_peak() -> bool:
    try:
        (PROCESS / "clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _field(path: Path, name: str) -> int:
    match = re.search(rf"^{name}:\s+(\d+) kB", _read(path), flags=re.MULTILINE)
    if match is None:
        raise RuntimeError(f"{path} has no {name}: peak memory can be measured on Linux 4.14 and later")
    return 1024 * int(match[1])


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise RuntimeError(f"{path} cannot be read, so peak memory cannot be measured on this system") from error
