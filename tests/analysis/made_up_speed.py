"""A store of made-up times beside the checkout's own counts, for tests of tables, figures and answers about speed."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.machine.gpu import GpuState
from bench.records.record import METRICS, Record
from bench.records.store import RECORDS, Store
from bench.sampling import cuda_timing, timing
from dpn.spec import ModelSpec
from dpn.zoo import ZOO
from tests.bench.timing_records import timing_record

MACHINE = "made-up-2-cores"
GPU = "made-up-gpu"
SPEEDS = {("eager", 1): 20e9, ("eager", 2): 35e9, ("onnxruntime", 1): 30e9, ("onnxruntime", 2): 55e9}
"""Multiply-adds a second that a network without dilation reaches, by back end and threads."""

SPREAD = (0.98, 0.99, 1.0, 1.01, 1.02)
"""Medians of five processes, relative to the cell's."""

COMPARED = ("hourglass8", "cpn_r50", "sbl_r50", "hrnet_w32", "hrnet_w48", "dpn4_32", "dpn4_64", "dpn2_hrnet")


def processes(seconds: float) -> list[list[float]]:
    """Times of five processes whose median is the given one."""
    return [[seconds * factor * jitter for jitter in (0.999, 1.0, 1.001)] for factor in SPREAD]


def counted(name: str, metric: str) -> int:
    """A count from the checkout's own records."""
    record = committed().find(ZOO[name], metric).record
    assert record is not None
    return int(record.value)


@cache
def committed() -> Store:
    """The checkout's own records, read once and only where they are needed."""
    return Store(RECORDS)


def seconds_of(spec: ModelSpec, backend: str, threads: int) -> float:
    """The made-up time of a network: dilation costs it half of its speed."""
    slower = 2.0 if spec.family.startswith("dpn") else 1.0
    return slower * counted(spec.name, "macs") / SPEEDS[backend, threads]


def fill(root: Path, names: Sequence[str] = COMPARED, machine: str = MACHINE) -> Store:
    """Counts, latencies and ceilings of some networks of the zoo."""
    store = Store(root)
    for name in names:
        spec = ZOO[name]
        for metric in ("macs", "live_macs"):
            found = committed().find(spec, metric).record
            if found is not None and store.newest(found.key()) is None:
                store.append(found)
        for backend, threads in SPEEDS:
            seconds = seconds_of(spec, backend, threads)
            ceiling = 60e9 * threads
            floor = counted(name, "macs") / ceiling
            roofline = {
                "share": floor / seconds, "bound": "arithmetic", "floor_s": floor, "arithmetic_ceiling": ceiling,
                "copy_ceiling": 1e10,
            }  # fmt: skip
            store.append(
                timing_record(
                    name, processes(seconds), machine=machine, spec_digest=spec.digest(),
                    input_hw=list(spec.input_hw), backend=backend, threads=threads, detail={"roofline": roofline},
                )
            )  # fmt: skip
    return store


def ceiling(metric: str, value: float, machine: str = MACHINE, **protocol: Any) -> Any:
    """A machine's ceiling, reached by the second of two candidates."""
    rates = {"torch matmul 2048": {"rate": 0.7 * value}, "onnxruntime convolution": {"rate": value}}
    return timing_record(
        "machine", [[1.0]], metric=metric, metric_version=1, unit=METRICS[metric].unit, value=value,
        spec_digest="machine", machine=machine, detail={"winner": "onnxruntime convolution", "candidates": rates},
    ).model_copy(update={"protocol": {"device": "cpu", **protocol}})  # fmt: skip


def trial(index: int, ratio: float, seen: float | None = None, machine: str = MACHINE) -> Any:
    """A duel of eight rounds whose ratio of times is `seen`, by default the true one, with noise of a tenth of 1 %."""
    seen = ratio if seen is None else seen
    rounds = [
        {"a": [0.01 * (1 + 0.001 * ((7 * k + index) % 5)) for k in range(6)],
         "b": [0.01 * seen * (1 + 0.001 * ((7 * k + index + r) % 5)) for k in range(6)]}
        for r in range(8)
    ]  # fmt: skip
    return timing_record(
        "dpn1_32", [[1.0]], metric="trial", metric_version=1, unit="ratio", value=seen, machine=machine,
        input_hw=[64, 48], true_ratio=ratio, trial=index,
        detail={"rounds": rounds, "effect": 0.05, "disturbances": []},
    )  # fmt: skip


def memory(name: str, peaks: Sequence[float], machine: str = MACHINE, **protocol: Any) -> Any:
    """A record of peak memory of several processes."""
    spec = ZOO[name]
    return timing_record(
        name, [peaks], metric="memory", unit="byte", machine=machine, spec_digest=spec.digest(),
        input_hw=list(spec.input_hw), **protocol,
        detail={"weights_bytes": 4 * 3_336_529, "tensor_peak_bytes": 50_000_000, "before_bytes": 10, "processes": []},
    )  # fmt: skip


def refusal(name: str, reason: str, machine: str = MACHINE, **protocol: Any) -> Any:
    """A cell that could not be measured."""
    spec = ZOO[name]
    return timing_record(
        name, [[1.0]], metric="refusal", metric_version=1, unit="cell", value=0, machine=machine,
        spec_digest=spec.digest(), input_hw=list(spec.input_hw), of="latency", detail={"reason": reason}, **protocol,
    )  # fmt: skip


def gpu_state(**fields: Any) -> GpuState:
    """A busy GPU at its default clock, but for the fields that are given."""
    usual: dict[str, Any] = {
        "sm_clock_mhz": 1980, "default_sm_clock_mhz": 1980, "max_sm_clock_mhz": 1980, "power_w": 350.0,
        "temperature_c": 45, "throttle_reasons": (), "utilisation": 0.9, "own_memory_bytes": 10**9,
        "other_processes": 0,
    }  # fmt: skip
    return GpuState(**usual | fields)


def in_three_ways(
    wall_s: float, graph_s: float | None, read: Callable[[], GpuState | None], **runner: Any
) -> dict[str, Any]:
    """What `bench.sampling.cuda_timing.measure` finds where calls, and replays of them, take so long.

    Events miss a tenth.

    Args:
        wall_s: seconds of a call.
        graph_s: seconds of a replay; None where the call cannot be captured.
        read: what NVML says.
        runner: further attributes of the runner, such as the function and the input that a back end of PyTorch shows.
    """
    clock = SimpleNamespace(now=0.0)

    def spend(seconds: float) -> None:
        clock.now += seconds

    def event() -> Any:
        made = SimpleNamespace(at=0.0)
        made.record = lambda: setattr(made, "at", clock.now)
        made.elapsed_time = lambda later: 0.9 * 1000 * (later.at - made.at)
        return made

    def capture(_function: Any, _image: Any) -> Any:
        if graph_s is None:
            raise RuntimeError("operation not permitted when stream is capturing")
        return SimpleNamespace(replay=lambda: spend(graph_s))

    running = SimpleNamespace(call=lambda: spend(wall_s), synchronise=lambda: None, **runner)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cuda_timing, "perf_counter", lambda: clock.now)
        patch.setattr(timing, "perf_counter_ns", lambda: round(clock.now * 1e9))
        return cuda_timing.measure(running, 5, cuda_timing.Tools(event=event, capture=capture, read=read))


def on_gpu(
    name: str, wall_s: float = 0.002, graph_s: float | None = 0.0015,
    read: Callable[[], GpuState | None] = gpu_state, **protocol: Any,
) -> Record:  # fmt: skip
    """A latency on a GPU as `python -m bench measure --device cuda` writes it; by default a quarter is launching."""
    spec = ZOO[name]
    shown = {} if protocol.get("backend") == "onnxruntime" else {"function": None, "input": None}
    ways = [in_three_ways(wall_s * one, graph_s and graph_s * one, read, **shown) for one in SPREAD]
    usual = {"device": "cuda", "precision": "tf32", "machine": GPU, "input_hw": list(spec.input_hw)}
    detail = {"cuda": ways} | protocol.pop("detail", {})
    return timing_record(name, processes(wall_s), spec_digest=spec.digest(), detail=detail, **usual | protocol)


def gpu_memory(name: str, allocated: float, reserved: float, **protocol: Any) -> Record:
    """Peak memory on a GPU of three processes, as `bench.peak_memory.cuda_memory` finds it."""
    own = {"value": reserved, "allocated_bytes": allocated, "reserved_bytes": reserved, "process_bytes": None,
           "before_bytes": None}  # fmt: skip
    found = memory(name, [reserved] * 3, machine=GPU, device="cuda", precision="tf32", **protocol)
    detail = {name: found.detail[name] for name in ("weights_bytes", "tensor_peak_bytes")}
    return found.model_copy(update={"detail": detail | {"processes": [own] * 3}})
