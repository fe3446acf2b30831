"""What a command line asks for, as cells; and bad requests, each of them one line."""

import math
import os
import resource
import sys
from pathlib import Path

import pytest

from bench.__main__ import main
from bench.running import backends
from bench.subject import resolve
from bench.sweeps import measuring
from bench.sweeps.choices import Choices
from bench.sweeps.measuring import open_store
from bench.sweeps.plan import Plan
from bench.sweeps.sweep import Sweep
from dpn import checkout
from dpn.processor import granted_cores
from tests.bench.programs import ran

NAN = math.nan
ROOM_BYTES = 1000
"""Less than a record."""


def test_cells_are_every_combination() -> None:
    chosen = Choices(metric="latency, memory", backend="eager,onnxruntime", batch="1,8", threads="1", input="64x48")
    cells = chosen.cells(resolve("dpn1_32", chosen.input_hw()))
    assert len(cells) == len(set(cells)) == 2 * 2 * 2
    assert {cell.input_hw for cell in cells} == {(64, 48)}


def test_all_is_every_physical_core_and_every_back_end_of_the_device() -> None:
    cells = Choices(metric="latency", backend="all", device="cpu,cuda").cells(resolve("dpn1_32"))
    for device, threads in (("cpu", granted_cores()), ("cuda", 1)):
        assert {cell.threads for cell in cells if cell.device == device} == {threads}
        assert [cell.backend for cell in cells if cell.device == device] == backends.offered(device)


def test_counts_need_no_cells() -> None:
    assert Choices().counts()
    assert Choices().timed() == ()
    assert Choices(metric="counts,latency,latency").timed() == ("latency",)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"metric": "speed"}, "--metric 'speed' is none of counts, latency"),
        ({"metric": ""}, "--metric '' is none of"),
        ({"backend": "eager,tflite"}, "--backend 'tflite' is none of eager, channels_last"),
        ({"device": "tpu"}, "--device 'tpu' is none of cpu, cuda"),
        ({"precision": "int8"}, "--precision 'int8' is none of fp32"),
        ({"threads": "0"}, "--threads takes numbers from 1 to 4096 or the word all"),
        ({"threads": "-1"}, "--threads takes numbers"),
        ({"threads": "4096"}, "physical cores; write"),
        ({"threads": "many", "device": "cuda"}, "--threads takes numbers"),
        ({"batch": "x"}, "--batch takes numbers from 1 to 4096"),
        ({"batch": "1,,2"}, "not ''"),
    ],
)
def test_what_does_not_exist_is_named_with_what_does(fields: dict[str, str], message: str) -> None:
    chosen = Choices(**{"metric": "latency"} | fields)
    with pytest.raises(ValueError, match=message):
        chosen.cells(resolve("dpn1_32", chosen.input_hw()))


@pytest.mark.parametrize(
    "fields",
    [{"processes": 0}, {"processes": 6, "most_processes": 5}, {"samples": 0}, {"seconds": 0.0}, {"width": -1.0},
     {"seconds": NAN}, {"least_s": NAN}, {"most_s": 0.0}, {"width": NAN}, {"budget_s": math.inf}],
)  # fmt: skip
def test_a_plan_that_measures_nothing_is_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"--{next(iter(fields)).replace('_', '-')} "):
        Plan(**fields).check()  # type: ignore[arg-type]


@pytest.mark.parametrize("call_s", [0.0, 1e-4, 0.05, 0.4, 1.0, 30.0])
def test_a_process_keeps_its_share_and_fewer_of_a_slow_network(call_s: float) -> None:
    plan = Plan()
    at_least, keep = plan.of_process(call_s)
    assert 3 <= keep < at_least
    assert plan.processes * keep >= plan.samples or plan.processes * keep * call_s >= plan.seconds


def error_of(*arguments: str) -> str:
    done = ran(main, arguments)
    assert done.returncode in (1, 2)
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    return str(line)


def test_bad_requests_are_one_line(own_lock: Path, tmp_path: Path) -> None:
    assert own_lock.is_dir()
    (tmp_path / "file").write_text("")
    (tmp_path / "corrupt.onnx").write_bytes(b"\x00\xff" * 50)
    latency = ("--metric", "latency", "--threads", "1")
    for arguments, part in [
        (("dpn1_32", "--metric", "latency", "--threads", "99999"), "--threads takes numbers"),
        (("dpn1_32", *latency, "--backend", "tflite"), "none of eager"),
        ((str(tmp_path / "no.onnx"), *latency), "no.onnx"),
        ((str(tmp_path / "corrupt.onnx"), *latency), "corrupt.onnx"),
        (("dpn1_32", *latency, "--records", str(tmp_path / "file")), "is a file; name a folder"),
        (("dpn1_32", *latency, "--records", "/proc/records"), "/proc/records"),
        (("dpn1_32", *latency, "--processes", "0"), "--processes 0 and"),
    ]:
        given = arguments if "--records" in arguments else (*arguments, "--records", str(tmp_path / "records"))
        assert part in error_of("measure", *given)
    assert not (tmp_path / "records").exists()


def test_records_that_cannot_be_written_are_named_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []

    def refuse(folder: Path, mode: int) -> bool:
        asked.append(folder)
        return not mode & os.W_OK

    monkeypatch.setattr(measuring.os, "access", refuse)  # root may write whatever its permissions say
    for records in (tmp_path, tmp_path / "new" / "records"):
        with pytest.raises(ValueError, match=f"--records {records} cannot be written; name another folder"):
            open_store(records, write=True)
        assert open_store(records).records == []  # to be read, it need not be written
    assert asked == [tmp_path, tmp_path]
    monkeypatch.undo()
    assert open_store(tmp_path / "new" / "records", write=True).records == []


def test_a_commit_that_is_none_is_told_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise ValueError("DPN_COMMIT='main' is no commit")

    monkeypatch.setattr(checkout, "commit", refuse)
    with pytest.raises(ValueError, match="is no commit"):
        open_store(tmp_path, write=True)
    with pytest.raises(ValueError, match="is no commit"):
        Sweep(open_store(tmp_path), Plan()).run(())


@pytest.mark.usefixtures("own_lock")
def test_a_full_disk_is_one_line_and_leaves_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ("measure", "dpn1_32", "--records", str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM_BYTES, hard))
    try:
        assert "File too large" in error_of(*arguments)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    done = ran(main, arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert "0 stored records verified" in done.stdout
