"""What a worker does with its commands; that it is a process of its own is tested with its pool."""

import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from bench import worker
from bench.cell import Cell
from bench.machine import gpu
from bench.machine.disturbance import Disturbance
from bench.sampling import timing
from bench.sampling.steady import steady_start
from bench.sweeps.pool import WorkerError, Zygote
from bench.sweeps.processes import modules_of

CELL = Cell(subject="tests.bench.networks:leaves", input_hw=(8, 6))


def test_a_cell_survives_the_way_through_the_socket() -> None:
    cell = Cell(subject="dpn4_64", input_hw=(256, 192), backend="openvino", precision="bf16", batch=8, threads=2)
    assert worker.to_cell(json.loads(json.dumps(asdict(cell)))) == cell


def sampled(monkeypatch: pytest.MonkeyPatch, times: Iterator[float], **limits: Any) -> dict[str, Any]:
    monkeypatch.setattr(timing, "sample", lambda _runner, _calls: next(times))
    return worker.Worker().series(**{"at_least": 8, "keep": 6, "least_s": 0.0, "most_s": 100.0} | limits)


def flat() -> Iterator[float]:
    while True:
        yield from (1.0, 1.01, 0.99, 1.02, 0.98, 1.0)


def decaying(factor: float) -> Iterator[float]:
    value = 1.0
    while True:
        yield value
        value *= factor


def test_a_steady_series_ends_with_what_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    found = sampled(monkeypatch, flat())
    assert len(found["samples"]) == 8
    assert found["start"] == steady_start(found["samples"]) is not None
    assert Disturbance(**found["disturbance"]).wall_s > 0


def test_a_warm_up_makes_the_series_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    def warming() -> Iterator[float]:
        yield from (5.0, 4.0, 3.0, 2.0)
        yield from flat()

    found = sampled(monkeypatch, warming())
    assert found["start"] is not None
    assert found["start"] >= 4
    assert len(found["samples"]) - found["start"] >= 6


def test_a_series_that_never_settles_ends_with_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    found = sampled(monkeypatch, decaying(1.1), most_s=50.0)
    assert found["start"] is None
    assert sum(found["samples"][:-1]) <= 50.0 < sum(found["samples"])


def test_a_process_samples_for_as_long_as_it_must(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(sampled(monkeypatch, flat(), least_s=40.0)["samples"]) >= 40
    assert len(sampled(monkeypatch, flat(), most_s=0.5)["samples"]) == 8  # its fewest in any case


def test_a_gpu_that_is_slowed_down_while_it_is_timed_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    states = iter([gpu.GpuState(), gpu.GpuState(throttle_reasons=("power cap",)), gpu.GpuState(other_processes=1)])
    monkeypatch.setattr(gpu, "state", lambda: next(states, None))
    monkeypatch.setattr(timing, "throughput_sample", lambda *_: 5.0)
    assert sampled(monkeypatch, flat())["reasons"] == []  # a processor's
    monkeypatch.setattr(worker.Worker, "__init__", lambda self: vars(self).update(runner=None, calls=1, device="cuda"))
    assert sampled(monkeypatch, flat())["reasons"] == ["GPU throttled: power cap"]
    found = worker.Worker().throughput(samples=2, seconds=1.0, batch=1)
    assert found["reasons"] == ["1 other process on the GPU"]


def test_extra_work_makes_a_call_dearer_in_exact_proportion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "sample", lambda _runner, _calls: 0.25)
    assert worker.Worker().sample(calls=10, per=10) == {"seconds": 0.25}
    assert worker.Worker().sample(calls=11, per=10) == {"seconds": 0.275}


def test_an_error_is_an_answer_and_a_closed_connection_the_end(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        serving = threading.Thread(target=worker.serve, args=(path, "token"))
        serving.start()
        connection, _ = server.accept()
        with connection, connection.makefile("rw", encoding="utf-8") as stream:
            assert json.loads(stream.readline())["token"] == "token"
            for request in ({"command": "fly"}, {"command": "sample", "wings": 2}):
                stream.write(json.dumps(request) + "\n")
                stream.flush()
                (error,) = json.loads(stream.readline()).values()
                assert error.startswith(("AttributeError: ", "TypeError: "))
        serving.join(timeout=30)
        assert not serving.is_alive()


def test_a_network_that_leaves_is_an_answer_and_ends_nothing(tmp_path: Path, own_lock: Path) -> None:
    assert own_lock.is_dir()
    with Zygote(modules_of(CELL)) as zygote, zygote.fork() as worker:
        with pytest.raises(WorkerError, match=r"^SystemExit: left at \(1, 3, 8, 6\)$"):
            worker.ask("prepare", cell=asdict(CELL), folder=str(tmp_path), onnx=False)
        cell = asdict(Cell(subject="tests.bench.networks:pointwise", input_hw=(8, 6)))
        assert worker.ask("prepare", cell=cell, folder=str(tmp_path), onnx=False)["macs"] == 3 * 5 * 48


def test_a_child_that_a_network_forks_does_not_answer_in_its_place(tmp_path: Path, own_lock: Path) -> None:
    """Else each answer comes twice, and the second one is taken for that of the next command."""
    assert own_lock.is_dir()
    cell = asdict(Cell(subject="tests.bench.networks:forking", input_hw=(8, 6)))
    with Zygote(modules_of(CELL)) as zygote, zygote.fork() as worker:
        assert worker.ask("prepare", cell=cell, folder=str(tmp_path), onnx=False)["macs"] == 3 * 5 * 48
        opened = worker.ask("open", cell=cell, folder=str(tmp_path))
        assert set(opened) == {"outputs", "calls", "seconds"}
        for _ in range(2):
            assert set(worker.ask("sample", calls=1, per=1)) == {"seconds"}


def test_an_interpreter_that_measures_counts_gpus_as_nvml_does_before_it_imports(
    tmp_path: Path, own_lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert own_lock.is_dir()
    (tmp_path / "ordered.py").write_text("import os\n\nassert os.environ['CUDA_DEVICE_ORDER'] == 'PCI_BUS_ID'\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "")
    monkeypatch.delenv("CUDA_DEVICE_ORDER")
    Zygote(("ordered",)).close()


def test_a_folder_for_temporary_files_with_a_long_name_is_an_error_with_a_remedy(
    own_lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = own_lock / ("long" * 30)
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    with pytest.raises(OSError, match="set TMPDIR to a folder with a shorter path"):
        Zygote(("json",))
