"""Memory: exact tensor peaks against sums by hand, parsing against written maps, and real peaks in fresh processes."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from bench.cell import Cell
from bench.machine import gpu
from bench.peak_memory import alike, cuda_memory, memory, tensor_peak

CELL = Cell(subject="dpn4_64", input_hw=(256, 192), metric="memory")

MAPS = """\
55d0c0000000-55d0c0004000 r-xp 00000000 fe:00 1 /usr/bin/python3.11
Rss:                  16 kB
Shared_Clean:          8 kB
Private_Clean:         4 kB
Private_Dirty:         4 kB
7f0000000000-7f0000100000 rw-p 00000000 00:00 0
Rss:                1024 kB
Private_Clean:      1024 kB
7f1000000000-7f1000100000 r--p 00000000 fe:00 2 /opt/some where/libtorch_cpu.so
Private_Clean:        40 kB
7f1000000000-7f1000100000 rw-p 00000000 fe:00 2 /opt/libgomp.so.1.0.0
Private_Clean:         2 kB
Private_Dirty:        20 kB
7f2000000000-7f2000100000 r--p 00000000 fe:00 3 /models/weights.bin
Private_Clean:       512 kB
"""


def test_only_unchanged_pages_of_libraries_are_left_out(tmp_path):
    (tmp_path / "smaps").write_text(MAPS)
    (tmp_path / "smaps_rollup").write_text("Rss:   2000 kB\n")
    assert memory.library_bytes(tmp_path) == 1024 * (8 + 4 + 40 + 2)
    assert memory.resident_bytes(tmp_path) == 2000 * 1024


def test_a_system_that_tells_no_memory_is_named(tmp_path):
    with pytest.raises(RuntimeError, match="cannot be measured on this system"):
        memory.resident_bytes(tmp_path)
    (tmp_path / "smaps_rollup").write_text("Pss: 1 kB\n")
    with pytest.raises(RuntimeError, match="on Linux"):
        memory.resident_bytes(tmp_path)


def test_weights_that_two_layers_share_count_once():
    first, second = nn.Linear(10, 10), nn.Linear(10, 10)
    second.weight = first.weight
    assert tensor_peak.weights_bytes(nn.Sequential(first, second, nn.BatchNorm1d(10))) == 4 * (100 + 20 + 40) + 8


def test_the_peak_of_a_chain_is_two_neighbouring_maps_and_the_weights():
    net = nn.Sequential(*(nn.Conv2d(a, b, 1, bias=False) for a, b in ((2, 8), (8, 16), (16, 4)))).eval()
    image = torch.zeros(1, 2, 5, 5)

    def call():
        with torch.inference_mode():
            return net(image)

    weights = 4 * (2 * 8 + 8 * 16 + 16 * 4)
    assert tensor_peak.peak_bytes(call, net) == weights + 4 * 25 * (2 + 8 + 16)  # the input is alive throughout


def test_a_view_and_work_in_place_take_nothing():
    with tensor_peak.LiveStorages() as storages:
        image = torch.zeros(100)
        image.view(10, 10).add_(1).relu_()
    assert (storages.live, storages.peak) == (400, 400)


def test_what_is_released_within_the_call_is_released_in_the_count():
    with tensor_peak.LiveStorages() as storages:
        for _ in range(5):
            torch.zeros(1000)
    assert (storages.live, storages.peak) == (0, 4000)


@pytest.mark.parametrize("backend", ["compile", "onnxruntime", "openvino", "cudagraph"])
def test_what_a_back_end_hides_is_none(backend):
    cell = Cell(subject="dpn4_64", input_hw=(256, 192), backend=backend)
    assert memory.tensor_bytes(SimpleNamespace(call=lambda: None), cell) == (None, None)


def in_fresh_process(body, threads=1):
    """Runs `measure` there on a network that `body` makes, in place of the back ends; returns its answer."""
    code = f"""
import json, sys, types
from pathlib import Path
import torch
from torch import nn
from bench.peak_memory import memory
from bench.cell import Cell
torch.set_num_threads({threads})
def open_runner(cell, folder):
{body}
    def call():
        with torch.inference_mode():
            return net(image)
    return types.SimpleNamespace(call=call, synchronise=lambda: None, module=net)
memory.opening.open_runner = open_runner
print(json.dumps(memory.measure(Cell(subject="any", input_hw=(64, 64), metric="memory", threads={threads}), Path("."))))
"""
    with alike.fixed_addresses():  # as a sweep starts its interpreters
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ | alike.VARIABLES
        )
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured on Linux")
def test_the_peak_is_the_weights_the_input_and_the_largest_pair_of_maps():
    found = in_fresh_process("""
    net = nn.Sequential(nn.Linear(2048, 2048, bias=False), nn.ReLU(), nn.ReLU())
    image = torch.ones(4096, 2048)
""")
    exact = 4 * (2048 * 2048 + 3 * 4096 * 2048)  # at the first ReLU: the image, its input and its output
    assert found["tensor_peak_bytes"] == exact
    assert found["weights_bytes"] == 4 * 2048 * 2048
    assert found["value"] == found["peak_bytes"] - found["before_bytes"]
    assert exact <= found["value"] < 1.1 * exact


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured on Linux")
@pytest.mark.parametrize(
    ("name", "memory_format", "threads"),
    [
        ("dpn4_64", "contiguous_format", 1),
        ("sbl_r50", "contiguous_format", 1),
        ("dpn1_32", "channels_last", 1),  # 17 MB: one percent is 42 pages
        ("dpn1_32", "channels_last", 2),
    ],
)
def test_memory_repeats_within_one_percent_over_ten_fresh_processes(name, memory_format, threads):
    body = f"""
    from bench.subject import resolve
    torch.manual_seed(0)
    subject = resolve({name!r})
    net = subject.factory().eval().to(memory_format=torch.{memory_format})
    image = torch.ones(1, 3, *subject.input_hw).to(memory_format=torch.{memory_format})
"""
    values = [in_fresh_process(body, threads)["value"] for _ in range(10)]
    assert max(values) < 1.01 * min(values)


class FakeCuda:
    """An allocator that reserved much while it warmed up, and less for the calls."""

    def __init__(self):
        self.reserved, self.log = 0, []

    def synchronize(self):
        self.log.append("context")

    def current_device(self):
        return 0

    def empty_cache(self):
        self.log.append("empty")

    def reset_peak_memory_stats(self):
        self.log.append("reset")

    def max_memory_allocated(self):
        return 300

    def max_memory_reserved(self):
        return 400


def test_on_a_gpu_the_peak_is_reset_after_the_first_calls(monkeypatch, tmp_path):
    cuda = FakeCuda()
    runner = SimpleNamespace(
        call=lambda: cuda.log.append("call"), synchronise=lambda: cuda.log.append("wait"), module=None
    )
    states = iter([gpu.GpuState(own_memory_bytes=1000), gpu.GpuState(own_memory_bytes=1500)])
    monkeypatch.setattr(cuda_memory.torch, "cuda", cuda)
    monkeypatch.setattr(cuda_memory.gpu, "state", lambda _index: next(states))
    monkeypatch.setattr(cuda_memory.opening, "open_runner", lambda _cell, _folder: runner)
    found = cuda_memory.measure(CELL, tmp_path)
    assert found["value"] == found["reserved_bytes"] == 400
    assert (found["allocated_bytes"], found["process_bytes"], found["before_bytes"]) == (300, 1500, 1000)
    calls = ["call"] * memory.WARM_CALLS
    assert cuda.log == ["context", *calls, "wait", "empty", "reset", *["call"] * memory.CALLS, "wait"]


def test_on_a_gpu_a_back_end_that_pytorch_does_not_allocate_for_has_no_peak(tmp_path):
    with pytest.raises(RuntimeError, match="onnxruntime does not tell what it takes of a GPU"):
        cuda_memory.measure(replace(CELL, device="cuda", backend="onnxruntime"), tmp_path)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_real_gpu_holds_at_least_the_tensors(monkeypatch, tmp_path):
    net = nn.Sequential(nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Conv2d(64, 64, 3)).cuda().eval()
    image = torch.ones(8, 3, 128, 128, device="cuda")

    def call():
        with torch.inference_mode():
            return net(image)

    runner = SimpleNamespace(call=call, synchronise=torch.cuda.synchronize, module=net)
    monkeypatch.setattr(cuda_memory.opening, "open_runner", lambda _cell, _folder: runner)
    found = cuda_memory.measure(CELL, tmp_path)
    assert found["tensor_peak_bytes"] <= found["allocated_bytes"] <= found["reserved_bytes"]
