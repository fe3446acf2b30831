"""The kernel's quick count of pages against its count page by page."""

import mmap
import os
import sys
from pathlib import Path

import pytest

from bench.peak_memory import memory, page_counters

linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux counts pages like this")


def test_the_quick_count_is_read_behind_a_name_that_looks_like_fields(tmp_path: Path) -> None:
    after = " ".join(str(number) for number in range(3, 53))
    (tmp_path / "stat").write_text(f"17 (a) S 1 (b) {after}\n")
    assert page_counters.counted_bytes(tmp_path) == 24 * mmap.PAGESIZE  # field 24 of proc(5)


@linux
def test_a_thread_may_run_afterwards_where_it_might_before() -> None:
    before = os.sched_getaffinity(0)
    try:
        page_counters.empty()
        assert os.sched_getaffinity(0) == before
        os.sched_setaffinity(0, {max(before)})
        page_counters.empty()
        assert os.sched_getaffinity(0) == {max(before)}
    finally:
        os.sched_setaffinity(0, before)


def test_a_system_that_ties_no_threads_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("not here")

    if hasattr(os, "sched_setaffinity"):
        monkeypatch.setattr(page_counters.os, "sched_setaffinity", refuse)
        page_counters.empty()
        monkeypatch.delattr(page_counters.os, "sched_setaffinity")
    page_counters.empty()


@linux
def test_after_emptying_the_lag_does_not_depend_on_what_was_counted_before() -> None:
    lags = []
    for pages in (0, 7, 14, 21, 28, 0):  # each less than a batch
        with mmap.mmap(-1, 64 * mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as region:
            region[: pages * mmap.PAGESIZE : mmap.PAGESIZE] = bytes(pages)
            page_counters.empty()
            lags.append((memory.resident_bytes() - page_counters.counted_bytes()) // mmap.PAGESIZE)
    assert max(lags) - min(lags) < 7
