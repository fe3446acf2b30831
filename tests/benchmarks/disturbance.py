"""How often a disturbed block of work is noticed, and how often a clean one is rejected.

Run it from the checkout, on an otherwise idle machine; it takes about five minutes and is no part of the test suite:

    .venv/bin/python tests/benchmarks/disturbance.py [--blocks 40]

A block is a row of matrix products of one size, on one thread or on one for each physical core, for as long as it is
said to last. Half of the blocks run beside two busy processes that the script starts. Printed are the shares of blocks
that `machine.disturbance.reasons` finds something against. It fails (exit code 1) when it notices less than 95 %
of the disturbed blocks of 0.3 s and longer, or, on a machine that was idle before and after, rejects more than 5 % of
the clean ones; on a machine that was not, their share says nothing about the rule and is not judged. Shorter blocks
are printed for what they are worth.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # each of our threads multiplies on its own; numpy reads this when it is imported

import numpy as np  # noqa: E402 - see above

from bench.machine import environment  # noqa: E402
from bench.machine.disturbance import FOREIGN_SHARE, Disturbance, between, reasons, snapshot  # noqa: E402
from dpn.processor import granted_cores  # noqa: E402

DURATIONS_S = (0.05, 0.1, 0.3, 0.5, 1.0)
JUDGED_S = 0.3
LEAST_NOTICED, MOST_REJECTED = 0.95, 0.05
RIVALS = 2


def multiply(seconds: float) -> None:
    """Matrix products until the time is over."""
    matrix = np.ones((256, 256), dtype=np.float32)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        matrix @ matrix


def block(pool: ThreadPoolExecutor, threads: int, seconds: float) -> Disturbance:
    """One block of work and what happened meanwhile."""
    before = snapshot()
    for work in [pool.submit(multiply, seconds) for _ in range(threads)]:
        work.result()
    return between(before, snapshot())


@contextmanager
def rivals(number: int) -> Iterator[None]:
    """Busy processes, running when the block begins."""
    code = "print(flush=True)\nwhile True: pass"
    started = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(number)]
    try:
        for process in started:
            if process.stdout is not None:
                process.stdout.readline()
        yield
    finally:
        for process in started:
            process.kill()
            process.communicate()


def found_share(threads: int, seconds: float, blocks: int) -> float:
    """Share of blocks that something is found against."""
    with ThreadPoolExecutor(threads) as pool:
        block(pool, threads, seconds)  # starts the threads and reads the libraries
        return sum(bool(reasons(block(pool, threads, seconds), threads)) for _ in range(blocks)) / blocks


def others_share(seconds: float = 3.0) -> float:
    """How much of a processor others use while this process does nothing."""
    before = snapshot()
    time.sleep(seconds)
    seen = between(before, snapshot())
    if seen.foreign_cpu_s is None:
        raise SystemExit("error: this system does not count what other processes do; run the script on Linux")
    return seen.foreign_cpu_s / seen.wall_s


def snapshot_ms(times: int = 500) -> float:
    """Median duration of a snapshot."""
    durations = []
    for _ in range(times):
        begin = time.perf_counter()
        snapshot()
        durations.append(time.perf_counter() - begin)
    return 1000 * sorted(durations)[times // 2]


def main() -> int:
    """Prints both shares for each duration and thread count; 0 when they are good enough."""
    parser = argparse.ArgumentParser(description="How often disturbed blocks are noticed and clean ones rejected.")
    parser.add_argument("--blocks", type=int, default=40, help="blocks of each kind")
    blocks = parser.parse_args().blocks
    before = others_share()
    print(f"{environment.machine()}; before: others used {before:.0%} of a processor; snapshot {snapshot_ms():.2f} ms")
    print(f"{blocks} blocks of each kind\nthreads  block/s  noticed beside {RIVALS} busy processes  rejected alone")
    worst_noticed, worst_rejected = 1.0, 0.0
    for threads in dict.fromkeys((1, granted_cores())):
        for seconds in DURATIONS_S:
            rejected = found_share(threads, seconds, blocks)
            with rivals(RIVALS):
                noticed = found_share(threads, seconds, blocks)
            print(f"{threads:7}  {seconds:7.2f}  {noticed:31.1%}  {rejected:14.1%}", flush=True)
            if seconds >= JUDGED_S:
                worst_noticed, worst_rejected = min(worst_noticed, noticed), max(worst_rejected, rejected)
    after = others_share()
    idle = max(before, after) < FOREIGN_SHARE / 2
    print(f"after: others used {after:.0%} of a processor")
    print(f"from {JUDGED_S} s: noticed at least {worst_noticed:.1%} (at least {LEAST_NOTICED:.0%}), ", end="")
    judged = f"at most {MOST_REJECTED:.0%}" if idle else "not judged: the machine was not idle"
    print(f"rejected at most {worst_rejected:.1%} ({judged})")
    return int(worst_noticed < LEAST_NOTICED or (idle and worst_rejected > MOST_REJECTED))


if __name__ == "__main__":
    sys.exit(main())
