"""Timing on a GPU in three ways at once: events, the wall clock, and replay of the same call as a CUDA graph.

Runs in a worker process. A call of a small network is often over on the GPU before the CPU has queued the next kernel.
A graph queues all kernels at once, so what it saves is the share of the time that launching costs. Blocks of the two
take turns; a block during which the GPU was slowed down is discarded and counted (`bench.machine.gpu.reasons`).
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from time import perf_counter
from typing import Any

from bench.machine import gpu
from bench.sampling import timing
from bench.sampling.timing import Runner

WARMUP_S = 0.2
"""Seconds of calls before anything is timed: after less, clocks are still those of an idle GPU."""

BLOCKS = 5
"""Blocks that the samples of each way are spread over."""

ATTEMPTS = 3
"""How many times as many blocks as are wanted may be tried."""

NOT_TORCH = "the back end is not PyTorch's: its stream shows neither events nor a graph"


@dataclass(frozen=True, kw_only=True)
class Block:
    """Samples taken in a row, with what the GPU was doing before and after.

    Attributes:
        wall: seconds per call by the wall clock, from before the first call until the work is done.
        events: seconds per call between two events on the GPU's own clock.
        before: the GPU just before.
        after: the GPU just after.
    """

    wall: tuple[float, ...]
    events: tuple[float, ...]
    before: gpu.GpuState | None
    after: gpu.GpuState | None


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What timing needs of a GPU; a stand-in takes its place in tests.

    Attributes:
        event: makes an event with `record()` and `elapsed_time(later)` in milliseconds.
        capture: makes a graph with `replay()` from a function and its input.
        read: the GPU's state.
    """

    event: Callable[[], Any]
    capture: Callable[[Any, Any], Any]
    read: Callable[[], gpu.GpuState | None] = gpu.state


class Replay:
    """A runner that replays one call of another runner as a CUDA graph."""

    def __init__(self, graph: Any, runner: Runner) -> None:
        self._graph, self._runner = graph, runner

    def call(self) -> None:
        """Queues all kernels of a call at once."""
        self._graph.replay()

    def synchronise(self) -> None:
        """Waits until the work of all calls is done."""
        self._runner.synchronise()


def measure(runner: Runner, samples: int, tools: Tools | None = None) -> dict[str, Any]:
    """Times a runner on the current GPU.

    Args:
        runner: a network on the GPU, its input in place.
        samples: of each way; each averages over enough calls to last about 10 ms.
        tools: by default PyTorch's.

    Returns:
        wall_s, event_s, graph_s: medians in seconds per call; None where no block counted, no graph
            was possible, or the back end has a stream of its own.
        launch_bound_share: 1 - graph_s / wall_s; slightly below 0 where launching costs nothing.
        graph_failure: why there is no graph, or None.
        l2: "warm": weights and input are the same in every call, and no cache is flushed between calls.
        calls: that each sample averages over, one after the other without a wait between.
        warmup_s: seconds of calls before the first sample.
        blocks: how many counted, eager and graph together.
        discarded: how many did not.
        reasons: why, each once.
        states: the GPU before and after every block that counted.
    """
    tools = tools or _torch_tools()
    warm(runner)
    calls = timing.calls_for(runner)
    runners, failure = _with_replay(runner, tools)
    per_block = max(1, -(-samples // BLOCKS))
    kept, discarded = _take_turns(runners, lambda chosen: take(chosen, per_block, calls, tools))
    wall = _median([sample for block in kept[0] for sample in block.wall])
    graph = _median([sample for blocks in kept[1:] for block in blocks for sample in block.wall])
    counted = [block for blocks in kept for block in blocks]
    return {
        "wall_s": wall,
        "event_s": None if failure == NOT_TORCH else _median([sample for block in kept[0] for sample in block.events]),
        "graph_s": graph,
        "launch_bound_share": None if wall is None or graph is None else 1 - graph / wall,
        "graph_failure": failure,
        "l2": "warm",
        "calls": calls,
        "warmup_s": WARMUP_S,
        "blocks": len(counted),
        "discarded": len(discarded),
        "reasons": sorted({reason for reasons in discarded for reason in reasons}),
        "states": [[_as_dict(block.before), _as_dict(block.after)] for block in counted],
    }


def warm(runner: Runner, seconds: float = WARMUP_S) -> int:
    """Keeps the device busy for at least so long; returns how many calls that took."""
    calls, end = 0, perf_counter() + seconds
    while not calls or perf_counter() < end:
        runner.call()
        runner.synchronise()
        calls += 1
    return calls


def take(runner: Runner, samples: int, calls: int, tools: Tools) -> Block:
    """One block: samples by the wall clock and by events of the same calls."""
    wall, events = [], []
    before = tools.read()
    for _ in range(samples):
        start, end = tools.event(), tools.event()
        begun = perf_counter()
        start.record()
        for _ in range(calls):
            runner.call()
        end.record()
        runner.synchronise()
        wall.append((perf_counter() - begun) / calls)
        events.append(start.elapsed_time(end) / 1000 / calls)
    return Block(wall=tuple(wall), events=tuple(events), before=before, after=tools.read())


def _torch_tools() -> Tools:
    import torch

    from bench.running import torch_runners

    return Tools(
        event=lambda: torch.cuda.Event(enable_timing=True),  # type: ignore[no-untyped-call]
        capture=lambda function, image: torch_runners.capture(function, image)[0],
    )


def _with_replay(runner: Runner, tools: Tools) -> tuple[list[Runner], str | None]:
    """The runner and its replay, or the runner alone and why it has none."""
    if not hasattr(runner, "function"):
        return [runner], NOT_TORCH
    try:
        replay = Replay(tools.capture(runner.function, runner.input), runner)  # type: ignore[attr-defined]
        warm(replay)
    except RuntimeError as error:  # it reads a value back from the GPU, or its shapes depend on values
        return [runner], str(error).strip().splitlines()[0][:200]
    return [runner, replay], None


def _take_turns(
    runners: Sequence[Runner], take_block: Callable[[Runner], Block]
) -> tuple[list[list[Block]], list[list[str]]]:
    """`BLOCKS` blocks of each runner that count, taken in turns, and the reasons of each that does not."""
    kept: list[list[Block]] = [[] for _ in runners]
    discarded: list[list[str]] = []
    for _ in range(ATTEMPTS * BLOCKS):
        for runner, blocks in zip(runners, kept, strict=True):
            if len(blocks) == BLOCKS:
                continue
            block = take_block(runner)
            reasons = gpu.reasons(block.before, block.after)
            if reasons:
                discarded.append(reasons)
            else:
                blocks.append(block)
    return kept, discarded


def _median(samples: Sequence[float]) -> float | None:
    return median(samples) if samples else None


def _as_dict(state: gpu.GpuState | None) -> dict[str, Any] | None:
    return None if state is None else asdict(state)
