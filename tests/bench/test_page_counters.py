"""The kernel's quick count against its count page by page, and threads that share a core and get theirs back."""

import mmap
import os
import sys
import threading
from pathlib import Path

import pytest

from bench import memory, page_counters

linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux counts pages like this")


def test_the_quick_count_is_read_behind_a_name_that_looks_like_fields(tmp_path: Path) -> None:
    after = " ".join(str(number) for number in range(3, 53))
    (tmp_path / "stat").write_text(f"17 (a) S 1 (b) {after}\n")
    assert page_counters.counted_bytes(tmp_path) == 24 * mmap.PAGESIZE  # field 24 of proc(5)


@linux
def test_threads_share_a_core_and_get_theirs_back() -> None:
    go, started = threading.Event(), threading.Event()
    seen: list[set[int]] = []

    def run() -> None:
        started.set()
        go.wait(30)
        seen.append(os.sched_getaffinity(0))

    before = os.sched_getaffinity(0)
    early = threading.Thread(target=run)
    early.start()
    started.wait(30)
    with page_counters.one_core() as core:
        assert os.sched_getaffinity(0) == {core}
        late = threading.Thread(target=run)
        late.start()
        go.set()
        early.join()
        late.join()
    assert seen == [{core}, {core}]
    assert core in before
    assert os.sched_getaffinity(0) == before


@linux
def test_a_thread_that_was_tied_stays_tied() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {max(before)})
        with page_counters.one_core() as core:
            page_counters.empty()
            assert os.sched_getaffinity(0) == {core} == {max(before)}
        assert os.sched_getaffinity(0) == {max(before)}
    finally:
        os.sched_setaffinity(0, before)


@linux
def test_after_emptying_the_lag_does_not_depend_on_what_was_counted_before() -> None:
    lags = []
    with page_counters.one_core():
        for pages in (0, 7, 14, 21, 28, 0):  # each less than a batch
            with mmap.mmap(-1, 64 * mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as region:
                region[: pages * mmap.PAGESIZE : mmap.PAGESIZE] = bytes(pages)
                page_counters.empty()
                lags.append((memory.resident_bytes() - page_counters.counted_bytes()) // mmap.PAGESIZE)
    assert max(lags) - min(lags) < 7
