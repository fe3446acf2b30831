"""One sample of a runner's time: enough calls in a row to be long against the clock. Imports no torch."""

import math
from collections.abc import Callable
from time import perf_counter_ns
from typing import Protocol

TARGET_S = 0.01
"""What a sample lasts at least: thousands of times the clock's step and the cost of reading it."""

MOST_CALLS = 10_000

_TRIES = 3


class Runner(Protocol):
    """A network in a back end, its input in place."""

    def call(self) -> object:
        """One forward pass; on a device it may return before the work is done."""

    def synchronise(self) -> None:
        """Waits until the work of all calls is done."""


def calls_for(runner: Runner, target_s: float = TARGET_S) -> int:
    """How many calls one sample averages over, so that it lasts about `target_s` or longer; 1 for anything slower.

    The fastest of a few calls decides, so that one slow call at the start does not make samples too short.

    Args:
        runner: what will be sampled.
        target_s: seconds.

    Raises:
        ValueError: the target is not positive.
    """
    if not target_s > 0:
        raise ValueError(f"a sample must last longer than 0 s, not {target_s} s")
    calls, fastest = 1, sample(runner, 1)
    while calls * fastest < target_s and calls < MOST_CALLS:
        for _ in range(_TRIES):
            fastest = min(fastest, sample(runner, calls))
        wanted = min(MOST_CALLS, math.ceil(target_s / max(fastest, 1e-9)))
        if wanted <= calls:
            break
        calls = wanted
    return calls


def sample(runner: Runner, calls: int) -> float:
    """Seconds per call, over `calls` calls in a row and the wait for the last of them.

    Raises:
        ValueError: `calls` is less than 1.
    """
    if calls < 1:
        raise ValueError(f"a sample needs at least one call, not {calls}")
    call = runner.call
    start = perf_counter_ns()
    for _ in range(calls):
        call()
    runner.synchronise()
    return (perf_counter_ns() - start) / calls / 1e9


def throughput_sample(runner: Runner, seconds: float, batch: int) -> float:
    """Images per second of calls in a row for at least `seconds`, with no wait between calls of one group.

    On a device, calls return before their work is done: waiting after every call would leave it idle, and never
    waiting would only measure how fast calls can be queued. So the calls are made in groups that take about a tenth
    of the time, and the wait at the end counts.

    Args:
        runner: what to run.
        seconds: to run for.
        batch: images a call.

    Raises:
        ValueError: the time is not positive.
    """
    if not seconds > 0:
        raise ValueError(f"a window of throughput must last longer than 0 s, not {seconds} s")
    runner.synchronise()
    group, calls = 1, 0
    start = perf_counter_ns()
    while (spent := (perf_counter_ns() - start) / 1e9) < seconds:
        if calls:
            group = max(1, min(MOST_CALLS, int(0.1 * seconds * calls / spent)))
        calls += _group(runner.call, group)
        runner.synchronise()
    return calls * batch / spent


def _group(call: Callable[[], object], calls: int) -> int:
    for _ in range(calls):
        call()
    return calls
