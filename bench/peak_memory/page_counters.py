"""The kernel's quick count of a process's pages, from which it keeps the peak: how far it lags, and lagging less.

Linux counts a process's pages on each core apart, anonymous and file pages each by themselves, and adds a core's count
to the process's sum only when it has reached a batch: 32 pages, or two for each core where that is more. The peak is
kept from the sums alone, so two equal processes differ by up to a batch a core and kind, depending on where their
threads happened to run and in what order libraries were read (pages of files come 16 at a time). A page-by-page count
when nothing runs tells the lag of that moment, and the cores' counts can be emptied then. What lags at the peak of a
call is then what a core has counted since it last gave much memory back. Imports no torch.
"""

import mmap
import os
from contextlib import suppress
from pathlib import Path

PROCESS = Path("/proc/self")

_SMALLEST_BATCH_PAGES = 32  # linux/percpu_counter.h; the kernel takes twice the number of cores where that is more


def counted_bytes(folder: Path = PROCESS) -> int:
    """Resident bytes of this process by the kernel's quick count, which is what its peak starts from after a reset.

    Raises:
        OSError: the system has no /proc.
    """
    fields = (folder / "stat").read_text().rpartition(")")[2].split()  # the name before it may hold anything
    return int(fields[21]) * mmap.PAGESIZE


def empty() -> None:
    """Brings what each core has counted of anonymous pages into the sum; nothing where threads are not tied to cores.

    On each core that this thread may use, more pages than a batch are filled and given back at once: over any batch.
    """
    if not hasattr(os, "sched_setaffinity"):
        return
    pages = 4 * max(_SMALLEST_BATCH_PAGES, 2 * (os.cpu_count() or 1))
    allowed = os.sched_getaffinity(0)
    with suppress(OSError):  # a sandbox may forbid it, or a core may have been taken away
        try:
            for core in sorted(allowed):
                os.sched_setaffinity(0, {core})
                with mmap.mmap(-1, pages * mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as region:
                    region[:: mmap.PAGESIZE] = bytes(pages)
        finally:
            os.sched_setaffinity(0, allowed)
