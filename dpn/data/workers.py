"""The same work for many things, in processes, with results in order and a progress bar. Imports no torch."""

import multiprocessing
import os
import signal
import sys
import threading
import types
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

import cv2

from dpn.processor import cores
from dpn.program.interrupts import withheld
from dpn.program.progress import progress

Item = TypeVar("Item")
Result = TypeVar("Result")

CHUNK = 16
"""Items that a process takes at a time."""

FEW = 400
"""So many items, of some milliseconds each, are done sooner than processes start."""

MOST_WORKERS = 256
"""Processes that are started for one thing at most: as many as large machines have cores."""

QUIET_S = 2.0
"""Seconds before a progress bar appears."""


def in_order(work: Callable[[Item], Result], items: Sequence[Item], *, title: str, workers: int | None = None
) -> Iterator[Result]:  # fmt: skip
    """What `work` makes of each item, in order; `work` must be of a module, so that other processes find it.

    Args:
        work: depends on nothing but the item.
        items: all that there is to do.
        title: for the progress bar, which appears on a terminal if it takes longer than 2 s.
        workers: processes; 0 works in this one, None chooses.

    Raises:
        ValueError: fewer than no processes, or more than `MOST_WORKERS`.
    """
    check_workers(workers)
    if workers is None:
        workers = cores() if len(items) > FEW else 0
    if multiprocessing.parent_process() is not None:  # a worker of somebody's, which may not start any
        _refuse_to_start_again()
        workers = 0
    with progress(title, after_s=QUIET_S) as told:
        for done, result in enumerate(_spread(work, items, workers) if workers > 1 else map(work, items), 1):
            yield result
            told(done, len(items))


def check_workers(workers: int | None) -> None:
    """Raises ValueError for fewer processes than none or too many; for those who want to know before they begin."""
    if workers is not None and not 0 <= workers <= MOST_WORKERS:
        raise ValueError(
            f"{workers} processes cannot work; give --workers 0 to work in this one, or up to {MOST_WORKERS}"
        )


def _refuse_to_start_again() -> None:
    """Ends a worker that runs its parent's script anew because that has no `if __name__ == "__main__"`."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise RuntimeError("a script that starts processes needs: if __name__ == '__main__'")


def _spread(work: Callable[[Item], Result], items: Sequence[Item], workers: int) -> Iterator[Result]:
    """In processes that are started afresh: OpenCV's and torch's threads do not survive a fork.

    Where they cannot be started, or die, this process goes on alone.
    """
    done = 0
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _start) as pool:
        try:
            with withheld(signal.SIGINT), _without_script():  # all processes start in here
                found = pool.map(partial(_chunk, work), _chunks(items))
            for results in found:
                yield from results
                done += len(results)
        except BrokenProcessPool:
            pass
        except BaseException:  # Ctrl-C, or the reader has enough: what has not started need not start
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    yield from map(work, items[done:])


def _chunks(items: Sequence[Item]) -> list[Sequence[Item]]:
    return [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]


def _chunk(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    return [work(item) for item in items]


@contextmanager
def _without_script() -> Iterator[None]:
    """Processes that are started in here do not run the user's script again, guarded by a check of `__name__` or not.

    They import what they work with by its module's name, and need nothing of the script.
    """
    script = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


def _start() -> None:
    """In each new process: one thread, Ctrl-C is the parent's affair, and an end when the parent ends, even by kill."""
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
