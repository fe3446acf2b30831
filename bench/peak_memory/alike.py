"""Interpreters as alike as the system allows, so that equal processes need equal memory. Imports no torch.

Where the system puts the heap and each mapping, and how Python's sets and dictionaries are ordered, is drawn anew for
every process. Both decide where free blocks lie and are found again, and so how many pages a process holds: torch's
differ by up to one percent of a small network. So does the order in which threads allocate. What is timed keeps its
chance, round by round, because a time in one layout says nothing about others; what is weighed need not.
"""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PROCESS = Path("/proc/self")

VARIABLES = {"PYTHONHASHSEED": "0"}
"""Environment of an interpreter that is to be like others."""

_ADDR_NO_RANDOMIZE, _ASK = 0x0040000, 0xFFFFFFFF  # linux/personality.h, personality(2)


@contextmanager
def fixed_addresses() -> Iterator[None]:
    """Programs that this thread starts meanwhile get the same addresses each time; elsewhere than on Linux, nothing.

    A sandbox may forbid it, as that of Docker does unless told otherwise; then addresses stay random.
    """
    personality = _personality()
    if personality is None:
        yield
        return
    before = personality(_ASK)
    personality(before | _ADDR_NO_RANDOMIZE)
    try:
        yield
    finally:
        personality(before)


@contextmanager
def one_core() -> Iterator[None]:
    """This thread, and those that it starts meanwhile, share one core; afterwards all may run where this one might.

    Threads that take turns allocate in much the same order each time, where threads side by side never do.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    with suppress(OSError):  # a sandbox may forbid it
        os.sched_setaffinity(0, {min(allowed)})
    try:
        yield
    finally:
        for thread in (PROCESS / "task").iterdir():
            with suppress(OSError):  # it has ended
                os.sched_setaffinity(int(thread.name), allowed)


def settings() -> list[str]:
    """What this process has in common with others, one line each."""
    found = []
    personality = _personality()
    if personality is not None and personality(_ASK) & _ADDR_NO_RANDOMIZE:
        found.append("addresses are not random")
    if os.environ.get("PYTHONHASHSEED") == VARIABLES["PYTHONHASHSEED"]:
        found.append("hashes are not random")
    return found


def _personality() -> "ctypes._NamedFuncPointer | None":
    if sys.platform != "linux":
        return None
    function: ctypes._NamedFuncPointer | None = getattr(ctypes.CDLL(None), "personality", None)
    if function is not None:
        function.argtypes = [ctypes.c_ulong]
    return function
