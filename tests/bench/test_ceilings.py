"""Ceilings: the amounts of work against a count by hand and by our counter, the best of rates, and the roofline."""

import itertools
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from bench.counts.macs import count
from bench.machine import disturbance, gpu
from bench.sampling import workloads
from bench.sampling.workloads import Candidate
from bench.sweeps import ceilings

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")

positive = st.floats(1e-3, 1e15)


def test_candidates_are_named_apart_and_come_from_what_is_installed(monkeypatch):
    names = ceilings.candidates("arithmetic", device="cpu", precision="fp32")
    assert len(set(names)) == len(names)
    assert {name.split()[0] for name in names} >= {"torch"}
    monkeypatch.setattr(ceilings.importlib.util, "find_spec", lambda name: None if name == "openvino" else object())
    left = ceilings.candidates("arithmetic", device="cpu", precision="fp32")
    assert {name.split()[0] for name in left} == {"torch", "onnxruntime"}


@pytest.mark.parametrize(
    ("device", "precision"), [*itertools.product(("cpu", "cuda"), ("fp32", "bf16", "fp16", "tf32"))]
)
def test_every_candidate_has_modules_to_import(device, precision):
    for kind in ("arithmetic", "copy"):
        for name in ceilings.candidates(kind, device=device, precision=precision):
            assert name.split()[0] in ceilings.modules(name)


def test_naming_candidates_imports_no_torch():
    code = (
        "import sys; from bench.sweeps import ceilings; ceilings.candidates('arithmetic', device='cpu');"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_work_of_a_convolution_is_what_the_counter_counts():
    candidate = Candidate(library="torch", operation="convolution", size=(8, 6, 5))
    net = nn.Conv2d(8, 8, 3, padding=1, bias=False)
    assert candidate.macs == count(net, (1, 8, 6, 5)).macs
    assert Candidate(library="torch", operation="matmul", size=(7,)).macs == 7 * 7 * 7


@pytest.mark.parametrize("library", ["torch", "onnxruntime", "openvino"])
@pytest.mark.parametrize("operation", ["matmul", "convolution"])
def test_every_library_builds_its_work_and_does_it(library, operation):
    pytest.importorskip(library)
    size = (16,) if operation == "matmul" else (4, 6, 5)
    load = workloads.build(
        Candidate(library=library, operation=operation, size=size), device="cpu", precision="fp32", threads=1
    )
    load.call()
    load.synchronise()
    assert load.amount == (16**3 if operation == "matmul" else 9 * 4 * 4 * 6 * 5)


@pytest.fixture(autouse=True)
def _torch_as_it_was():
    threads, grad = torch.get_num_threads(), torch.is_grad_enabled()
    products = torch.backends.cuda.matmul.fp32_precision
    benchmark = torch.backends.cudnn.benchmark
    yield
    torch.set_num_threads(threads)
    torch.set_grad_enabled(grad)
    torch.backends.cuda.matmul.fp32_precision = products
    torch.backends.cudnn.allow_tf32 = True  # as torch starts
    torch.backends.cudnn.benchmark = benchmark


@pytest.mark.parametrize(
    ("library", "operation", "arrays"), [("torch", "copy", 2), ("torch", "add", 3), ("numpy", "copy", 2)]
)
def test_a_copy_counts_what_it_reads_and_writes(monkeypatch, library, operation, arrays):
    monkeypatch.setattr(workloads, "_array_bytes", lambda: 4096)
    load = workloads.build(Candidate(library=library, operation=operation), device="cpu", precision="fp32", threads=1)
    load.call()
    assert load.amount == arrays * 4096


def test_copies_leave_the_cache_and_fit_the_memory():
    assert workloads.copy_bytes(0, 2**40) == workloads.LEAST_COPY_BYTES
    assert workloads.copy_bytes(2**30, 2**40) == 4 * 2**30
    assert workloads.copy_bytes(2**30, 2**32) == 2**32 // 16


def test_shared_caches_count_once(tmp_path):
    for cpu, (sharers, size) in enumerate([("0-1", "32M"), ("0-1", "32M"), ("2-3", "32768K"), ("2-3", "32768K")]):
        for level, text, who in ((1, "32K", str(cpu)), (3, size, sharers)):
            index = tmp_path / f"cpu{cpu}" / "cache" / f"index{level}"
            index.mkdir(parents=True)
            (index / "level").write_text(f"{level}\n")
            (index / "size").write_text(f"{text}\n")
            (index / "shared_cpu_list").write_text(f"{who}\n")
    assert workloads.last_level_cache(tmp_path) == 2 * 32 * 2**20
    assert workloads.last_level_cache(tmp_path / "nowhere") == 0


def test_blocks_keep_every_rate_and_the_ceiling_is_their_maximum(monkeypatch):
    now = [0.0]
    costs = itertools.chain([0.05] * 4, itertools.cycle([0.05, 0.1]))
    monkeypatch.setattr(ceilings.time, "perf_counter", lambda: now[0])

    def call():
        now[0] += next(costs)

    found = ceilings.block_rates(call, 1000, lambda: None, seconds=1.0)
    assert found["calls"] == 2
    assert found["rate"] == max(found["samples"])
    assert len(found["samples"]) >= 5
    assert found["disturbance"]["wall_s"] >= 1.0
    assert all(1000 / 0.1 <= rate <= 1000 / 0.05 + 1e-6 for rate in found["samples"])


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_rate_says_what_disturbed_it(monkeypatch, device):
    states = iter([gpu.GpuState(), gpu.GpuState(throttle_reasons=("power brake",))])
    load = SimpleNamespace(call=lambda: None, amount=1, synchronise=lambda: None)
    monkeypatch.setattr(ceilings.workloads, "build", lambda *_args, **_more: load)
    monkeypatch.setattr(ceilings, "WARMUP_S", 0.001)
    monkeypatch.setattr(ceilings, "BLOCK_S", 0.001)
    monkeypatch.setattr(gpu, "state", lambda: next(states))
    monkeypatch.setattr(disturbance, "reasons", lambda seen, threads: [f"busy {threads}"] if seen.wall_s > 0 else [])
    found = ceilings.measure("copy", "torch copy", device=device, threads=2, seconds=0.001)
    assert found["reasons"] == ["busy 2", *(["GPU throttled: power brake"] if device == "cuda" else [])]


def test_a_ceiling_is_renewed_by_a_library_that_was_not_there_and_not_by_one_that_is_gone():
    candidates, before = ["torch copy", "numpy copy"], {"torch": "2", "numpy": "2", "openvino": "1"}
    assert not ceilings.renewed(before, {"torch": "2", "numpy": "2"}, candidates)
    assert ceilings.renewed({"numpy": "2"}, before, candidates)
    assert ceilings.renewed(before, before | {"numpy": "3"}, candidates)


def test_the_best_rate_wins_and_none_is_an_error_with_its_reasons():
    assert ceilings.best({"a": {"rate": 1.0}, "b": {"rate": 3.0}, "c": {"rate": 2.0}}) == ("b", 3.0)
    with pytest.raises(ValueError, match="a: no kernel"):
        ceilings.best({"a": {"rate": 0.0, "failure": "no kernel"}})
    with pytest.raises(ValueError, match="no candidate"):
        ceilings.best({})


def test_an_unknown_candidate_and_an_unknown_kind_are_refused():
    with pytest.raises(ValueError, match="no candidate for arithmetic"):
        ceilings.measure("arithmetic", "torch matmul 3", device="cpu")
    with pytest.raises(ValueError, match="arithmetic or copy"):
        ceilings.candidates("network", device="cpu")


@given(macs=positive, moved=positive, arithmetic=positive, copy=positive)
def test_a_call_at_the_floor_has_a_share_of_one(macs, moved, arithmetic, copy):
    floor = max(macs / arithmetic, moved / copy)
    line = ceilings.roofline(macs, moved, floor, arithmetic, copy)
    assert line["share"] == pytest.approx(1)
    assert line["floor_s"] == floor
    assert line["bound"] == ("arithmetic" if macs / arithmetic >= moved / copy else "copy")
    assert ceilings.roofline(macs, moved, 4 * floor, arithmetic, copy)["share"] == pytest.approx(0.25)


def test_a_share_above_one_is_not_clipped():
    assert ceilings.roofline(1e9, 1.0, 0.01, 5e10, 1e10)["share"] == pytest.approx(2)


@pytest.mark.parametrize("wrong", [(0, 1, 1), (1, 0, 1), (1, 1, 0), (float("nan"), 1, 1)])
def test_a_roofline_without_time_or_ceiling_is_refused(wrong):
    with pytest.raises(ValueError, match="positive"):
        ceilings.roofline(1, 1, *wrong)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "candidate"), [("arithmetic", "torch matmul 2048"), ("copy", "numpy copy")])
def test_a_real_candidate_reaches_something(kind, candidate):
    found = ceilings.measure(kind, candidate, device="cpu", seconds=0.2)
    assert found["rate"] > 1e8


@pytest.mark.cuda
@needs_gpu
@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16", "fp16"])
def test_a_gpu_reaches_something_in_every_precision(precision):
    found = ceilings.measure("arithmetic", "torch matmul 4096", device="cuda", precision=precision, seconds=0.2)
    assert found["rate"] > 1e11


@pytest.mark.cuda
@needs_gpu
@pytest.mark.parametrize("candidate", ["torch copy", "torch add"])
def test_a_gpu_copies(candidate):
    assert ceilings.measure("copy", candidate, device="cuda", seconds=0.2)["rate"] > 1e10
