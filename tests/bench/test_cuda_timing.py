"""Timing on a GPU against a stand-in whose calls take a known time, and against a real one where there is one."""

import json
from types import SimpleNamespace

import pytest
import torch

from bench.machine import gpu
from bench.sampling import cuda_timing, timing
from bench.sampling.cuda_timing import Tools

LAUNCH_S, GRAPH_S = 0.004, 0.003
GOOD = gpu.GpuState(sm_clock_mhz=1500, default_sm_clock_mhz=1500, throttle_reasons=())
SLOW = gpu.GpuState(sm_clock_mhz=900, default_sm_clock_mhz=1500, throttle_reasons=())


class Clock:
    """A GPU for which the time passes that its calls are said to take."""

    def __init__(self, monkeypatch, states=None):
        self.now, self.waits, self.graphs = 0.0, 0, 0
        self.states = states or (lambda: GOOD)
        monkeypatch.setattr(cuda_timing, "perf_counter", lambda: self.now)
        monkeypatch.setattr(timing, "perf_counter_ns", lambda: round(self.now * 1e9))

    def advance(self, seconds):
        self.now += seconds

    def event(self):
        made = SimpleNamespace(at=None)
        made.record = lambda: setattr(made, "at", self.now)
        made.elapsed_time = lambda later: 1000 * (later.at - made.at)
        return made

    def capture(self, _function, _image):
        self.graphs += 1
        return SimpleNamespace(replay=lambda: self.advance(GRAPH_S))

    def tools(self, **changes):
        return Tools(**{"event": self.event, "capture": self.capture, "read": lambda: self.states()} | changes)

    def runner(self, **more):
        def wait():
            self.waits += 1

        return SimpleNamespace(call=lambda: self.advance(LAUNCH_S), synchronise=wait, **more)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def test_the_launch_bound_share_is_what_the_graph_saves(clock):
    found = cuda_timing.measure(clock.runner(function=None, input=None), 20, clock.tools())
    assert found["wall_s"] == pytest.approx(LAUNCH_S)
    assert found["event_s"] == pytest.approx(LAUNCH_S)
    assert found["graph_s"] == pytest.approx(GRAPH_S)
    assert found["launch_bound_share"] == pytest.approx(1 - GRAPH_S / LAUNCH_S)
    assert (found["blocks"], found["discarded"], found["l2"], found["calls"]) == (10, 0, "warm", 3)
    json.dumps(found)


def test_warming_up_takes_at_least_its_time(clock):
    calls = cuda_timing.warm(clock.runner())
    assert calls * LAUNCH_S >= cuda_timing.WARMUP_S > (calls - 1) * LAUNCH_S
    assert cuda_timing.WARMUP_S >= 0.2


def test_blocks_at_a_low_clock_are_discarded_and_counted(monkeypatch):
    readings = iter([GOOD, SLOW, SLOW, GOOD])  # both blocks of the first turn
    clock = Clock(monkeypatch, lambda: next(readings, GOOD))
    found = cuda_timing.measure(clock.runner(function=None, input=None), 10, clock.tools())
    assert (found["blocks"], found["discarded"]) == (10, 2)
    assert found["reasons"] == ["SM clock at 60 % of its default"]
    assert all(state["sm_clock_mhz"] == 1500 for pair in found["states"] for state in pair)


def test_a_gpu_that_is_always_slowed_down_has_no_time(monkeypatch):
    clock = Clock(monkeypatch, lambda: SLOW)
    found = cuda_timing.measure(clock.runner(function=None, input=None), 10, clock.tools())
    assert (found["wall_s"], found["graph_s"], found["launch_bound_share"]) == (None, None, None)
    assert found["discarded"] == 2 * cuda_timing.ATTEMPTS * cuda_timing.BLOCKS


def test_a_call_that_cannot_be_captured_is_timed_without_a_graph(clock):
    def capture(_function, _image):
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    found = cuda_timing.measure(clock.runner(function=None, input=None), 10, clock.tools(capture=capture))
    assert found["wall_s"] == pytest.approx(LAUNCH_S)
    assert (found["graph_s"], found["launch_bound_share"]) == (None, None)
    assert found["graph_failure"] == "operation not permitted when stream is capturing"


def test_a_back_end_with_its_own_stream_has_neither_events_nor_a_graph(clock):
    found = cuda_timing.measure(clock.runner(), 10, clock.tools())
    assert found["wall_s"] == pytest.approx(LAUNCH_S)
    assert (found["event_s"], found["graph_s"], found["graph_failure"]) == (None, None, cuda_timing.NOT_TORCH)
    assert clock.graphs == 0


def test_without_nvml_every_block_counts(monkeypatch):
    clock = Clock(monkeypatch, lambda: None)
    found = cuda_timing.measure(clock.runner(function=None, input=None), 10, clock.tools())
    assert (found["discarded"], found["states"][0]) == (0, [None, None])


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_small_network_on_a_real_gpu_is_launch_bound():
    net = torch.nn.Sequential(*(torch.nn.Conv2d(8, 8, 3, padding=1) for _ in range(50))).cuda().eval()
    image = torch.rand(1, 8, 16, 16, device="cuda")

    def call():
        with torch.inference_mode():
            net(image)

    runner = SimpleNamespace(call=call, synchronise=torch.cuda.synchronize, function=net, input=image)
    found = cuda_timing.measure(runner, 20)
    assert found["graph_failure"] is None
    assert found["blocks"] > 0
    assert 0 < found["launch_bound_share"] < 1
