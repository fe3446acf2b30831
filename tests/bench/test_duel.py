"""Duels: turns, exact extra work, revisions, what is printed and the exit codes."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.cell import Cell
from bench.machine import gpu
from bench.sweeps import pool
from bench.sweeps.choices import Choices
from bench.verbs import duel as duel_verbs
from bench.verdicts import duel
from bench.verdicts.duel import Duel, Rules, Side, checkout, fight
from bench.verdicts.fought import read
from dpn.checkout import ROOT
from dpn.checkout import commit as checkout_commit
from dpn.program.locks import is_locked
from tests.bench.onnx_models import convolution

pytestmark = pytest.mark.usefixtures("own_lock")

SHORT = Rules(rounds=2, most_rounds=2, pairs=4)

CHOSEN = Choices(metric="latency", backend="onnxruntime", threads="1")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(convolution(tmp_path_factory.mktemp("onnx") / "convolution.onnx", (1, 3, 64, 48)))


def of_file(file: str) -> Cell:
    return Cell(subject=file, input_hw=(64, 48), backend="onnxruntime")


def invented(ratio: float, rounds: int = 8, pairs: int = 6) -> Duel:
    times = [1.0 + 0.001 * number for number in range(pairs)]
    return Duel(0.05, [(times, [ratio * time for time in times])] * rounds, [{}] * rounds)


def test_a_round_holds_as_many_samples_of_each_side_and_says_what_disturbed_it(file: str) -> None:
    told: list[int] = []
    fought = fight(Side(cell=of_file(file)), Side(cell=of_file(file), work=1.1), SHORT, told.append)
    assert [[len(side) for side in sides] for sides in fought.rounds] == [[4, 4], [4, 4]]
    assert told == [1, 2]
    assert len(fought.disturbances) == 2
    assert all(sample > 0 for sides in fought.rounds for side in sides for sample in side)


class Recorder:
    """Workers that answer at once and write down who was asked what."""

    def __init__(self, name: str, log: list[tuple[str, int, int]], start: int | None = 0) -> None:
        self.name, self.log, self.pid, self.start = name, log, 1, start

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        if command == "open":
            return {"calls": 7}
        if command == "series":
            return {"samples": [0.01], "start": self.start}
        self.log.append((self.name, arguments["calls"], arguments["per"]))
        return {"seconds": 1.0}

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(self, *_: object) -> None: ...


@pytest.mark.parametrize(("work", "calls", "per"), [(1.1, 11, 10), (1.25, 10, 8), (1.0, 7, 7)])
def test_sides_take_turns_and_extra_work_is_exact(tmp_path: Path, work: float, calls: int, per: int) -> None:
    log: list[tuple[str, int, int]] = []

    class Forks:
        def __init__(self, name: str) -> None:
            self.name = name

        def fork(self) -> Recorder:
            return Recorder(self.name, log)

    sides = (Side(cell=of_file("a.onnx")), Side(cell=of_file("a.onnx"), work=work))
    fought = Duel(0.05)
    for _ in range(2):
        duel.add_round(fought, [Forks("a"), Forks("b")], sides, tmp_path, 2)  # type: ignore[list-item]
    assert [name for name, *_ in log] == ["a", "b", "b", "a", "b", "a", "a", "b"]
    assert {entry for entry in log if entry[0] == "b"} == {("b", calls, per)}
    assert calls / per == pytest.approx(work)


def test_a_round_on_a_gpu_says_what_slowed_it_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    states = iter([gpu.GpuState(other_processes=2), gpu.GpuState(throttle_reasons=("power brake",))] * 2)
    monkeypatch.setattr(gpu, "state", lambda: next(states))
    fought, fork = Duel(0.05), SimpleNamespace(fork=lambda: Recorder("a", []))
    for device in ("cuda", "cpu"):
        sides = [Side(cell=replace(of_file("a.onnx"), device=device))] * 2
        duel.add_round(fought, [fork, fork], sides, tmp_path, 1)  # type: ignore[list-item]
    on_gpu, on_processor = fought.disturbances
    assert on_gpu["reasons"] == ["GPU throttled: power brake"]
    assert "reasons" not in on_processor


def test_what_disturbed_a_round_is_told_with_the_reason_and_so_is_a_side_that_never_got_steady(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], file: str
) -> None:
    busy = iter([["other processes used 52 % of a processor"], [], []])
    monkeypatch.setattr(duel.disturbance, "reasons", lambda _seen, _threads: next(busy))
    fought, starts = Duel(0.05), iter([0, 0, 3, None, 0, 0])
    fork = SimpleNamespace(fork=lambda: Recorder("a", [], next(starts)))
    for _ in range(3):
        duel.add_round(fought, [fork, fork], [Side(cell=of_file("a.onnx"))] * 2, tmp_path, 1)  # type: ignore[list-item]
    assert fought.comparison().reason.endswith(
        "; disturbed in 1 of 3 rounds (first: other processes used 52 % of a processor); "
        "no steady state in 1 of 3 rounds (first: B)"
    )
    monkeypatch.setattr(duel_verbs, "fight", lambda *_: fought)
    duel_verbs.duel(file, file, choices=CHOSEN, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert (told["disturbances"], told["reason"]) == (fought.disturbances, fought.comparison().reason)
    assert fought.disturbances[1]["unsteady"] == ["B"]


def test_a_duel_on_a_gpu_that_was_slowed_down_is_open() -> None:
    fought = invented(1.2)
    assert fought.comparison().verdict == "slower"
    fought.disturbances[2] = {"reasons": ["GPU throttled: power brake"]}
    assert fought.comparison().verdict == "ambiguous"
    assert "; the GPU was slowed down in 1 of 8 rounds (first: GPU throttled: power" in fought.comparison().reason


@pytest.mark.parametrize(
    "fields",
    [
        {"rounds": 0}, {"rounds": 9, "most_rounds": 8}, {"pairs": 0}, {"effect": 0.0}, {"effect": float("nan")},
        {"effect": float("inf")},
    ],
)  # fmt: skip
def test_rules_without_an_answer_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="--"):
        Rules(**fields).check()


def test_rounds_end_with_a_narrow_interval_or_with_the_last(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    held = list[bool]()

    def wobbling(fought: Duel, *_: object) -> None:
        ratio = 1.5 if len(fought.rounds) % 2 else 0.7
        fought.rounds.append(([1.0, 1.0], [ratio, ratio]))

    def calm(fought: Duel, *_: object) -> None:
        fought.rounds.append(([1.0, 1.0], [1.0, 1.0]))

    monkeypatch.setattr(duel, "prepare_sides", lambda _sides, _home: held.append(is_locked(pool.machine_lock())))
    monkeypatch.setattr(duel, "start", lambda _stack, _sides: [])
    side = Side(cell=of_file(file))
    for add_round, rounds in ((wobbling, 16), (calm, 8)):
        monkeypatch.setattr(duel, "add_round", add_round)
        assert len(fight(side, side, Rules()).rounds) == rounds
    assert held == [True, True]  # networks are not built beside a sweep


@pytest.mark.parametrize(("ratio", "verdict", "code"), [(1.2, "slower", 1), (0.8, "faster", 0), (1.0, "same", 0)])
def test_the_gate_closes_for_slower_alone(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    file: str,
    ratio: float,
    verdict: str,
    code: int,
) -> None:
    monkeypatch.setattr(duel_verbs, "fight", lambda *_: invented(ratio))
    assert duel_verbs.duel(file, file, choices=CHOSEN, gate=True) == code
    assert duel_verbs.duel(file, file, choices=CHOSEN) == 0
    assert f": {verdict}; time ratio {ratio:.3f}" in capsys.readouterr().out


def test_an_ambiguous_end_passes_the_gate_unless_what_is_unjudged_fails(
    monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    monkeypatch.setattr(duel_verbs, "fight", lambda *_: invented(1.2, rounds=1))
    assert duel_verbs.duel(file, file, choices=CHOSEN, gate=True) == 0
    assert duel_verbs.duel(file, file, choices=CHOSEN, fail_unjudged=True) == 1


def test_what_is_printed_as_json_is_what_a_report_reads(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], file: str, tmp_path: Path
) -> None:
    monkeypatch.setattr(duel_verbs, "fight", lambda *_: invented(1.2))
    duel_verbs.duel(file, file, choices=CHOSEN, as_json=True)
    (tmp_path / "duels.jsonl").write_text(capsys.readouterr().out)
    (fought,) = read(tmp_path / "duels.jsonl")
    expected = invented(1.2).comparison()
    assert (fought.verdict, fought.ratio, fought.rounds) == ("slower", expected.ratio, 8)
    assert fought.interval == (expected.interval.low, expected.interval.high)
    answer = json.loads((tmp_path / "duels.jsonl").read_text())
    assert answer["samples"][0]["b"][0] == 1.2
    commit, dirty = checkout_commit()
    side = {"protocol": of_file(file).protocol(), "commit": commit, "dirty": dirty}
    assert answer["sides"] == {"a": side, "b": side}
    assert "onnxruntime" in answer["versions"]


def test_duels_of_one_pair_in_two_settings_are_told_apart_and_inputs_of_two_sizes_are_noted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], file: str, tmp_path: Path
) -> None:
    monkeypatch.setattr(duel_verbs, "fight", lambda *_: invented(1.0))
    wider = str(convolution(tmp_path / "wider.onnx", (1, 3, 64, 64)))
    for other, batch in ((file, "1"), (file, "2"), (wider, "1")):
        duel_verbs.duel(file, other, choices=replace(CHOSEN, batch=batch), as_json=True)
    said = capsys.readouterr()
    (tmp_path / "duels.jsonl").write_text(said.out)
    one, two = (f"64x48, batch {batch}, cpu, onnxruntime, fp32, 1 thread" for batch in "12")
    assert [fought.name for fought in read(tmp_path / "duels.jsonl")] == [
        f"{file} against {file} ({one})", f"{file} against {file} ({two})",
        f"{wider} against {file} ({one.replace('x48', 'x64')} against {one})",
    ]  # fmt: skip
    note = f"note: {wider} against {file}: their inputs differ in size; --input HxW gives both one"
    assert [line for line in said.err.splitlines() if "note" in line] == [note]


@pytest.mark.usefixtures("in_git")
def test_a_revision_is_unpacked_and_one_that_does_not_exist_is_named() -> None:
    with checkout("HEAD") as folder:
        assert (folder / "bench" / "worker.py").is_file()
        assert (folder / "dpn" / "zoo.py").is_file()
    assert not folder.exists()
    assert duel.commit_of("HEAD") == checkout_commit()[0]
    for name in ("no-such-branch", "--output=here"):
        with pytest.raises(ValueError, match=f"no revision '{name}' of this project"), checkout(name):
            pass


def test_networks_of_two_revisions_may_stand_apart(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = shutil.copy(file, tmp_path / "other.onnx")
    monkeypatch.setattr(duel_verbs, "fight", lambda *_: invented(1.0))
    assert duel_verbs.duel("here", "here", of=f"{file}, {other},{file}", choices=CHOSEN) == 0
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == [file, str(other)]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("no-such-branch", "here", "--of", "dpn1_32", "--threads", "1"), "no revision 'no-such-branch'"),
        (("dpn1_32", "dpn9", "--threads", "1"), "the nearest names are"),
        (("dpn1_32", "dpn2_32", "--threads", "1", "--batch", "1,8"), "a duel times one setting"),
        (("dpn1_32", "dpn2_32", "--threads", "1", "--backend", "cudagraph"), "cudagraph runs on cuda only"),
        (("dpn1_32", "dpn2_32", "--metric", "memory"), "--metric memory: only latency is timed in turns; other"),
        (("dpn1_32", "dpn2_32", "--metric", "latency,energy"), "--metric latency,energy: only latency"),
        (("dpn1_32", "dpn2_32", "--effect", "inf", "--json"), "--effect inf must be finite"),
    ],
)
def test_bad_requests_are_one_line(own_lock: Path, arguments: tuple[str, ...], part: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "duel", *arguments], cwd=ROOT, capture_output=True, text=True,
        env={"TMPDIR": str(own_lock), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == 2  # 1 is "slower"
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert part in line


def test_a_duel_that_waits_says_so_once_and_outside_a_terminal_each_round_has_a_line(
    file: str, own_lock: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def busy(_descriptor: int, _path: Path, *, wait: bool = False) -> bool:
        return wait

    monkeypatch.setattr(pool, "taken", busy)  # another sweep has the machine whenever one asks
    monkeypatch.setattr(duel, "prepare_sides", lambda _sides, _home: [])
    monkeypatch.setattr(duel, "start", lambda _stack, _sides: [])
    monkeypatch.setattr(duel, "add_round", lambda fought, *_: fought.rounds.append(([1.0, 1.0], [1.0, 1.0])))
    pool.say_that_it_waits.cache_clear()
    assert own_lock.is_dir()
    assert duel_verbs.duel(file, file, choices=CHOSEN, rules=SHORT) == 0
    name = f"{file} against {file}"
    assert capsys.readouterr().err.splitlines() == [
        f"waiting for another sweep on this machine, which holds {pool.machine_lock()}",
        f"{name}: round 1 of 2 to 2", f"{name}: round 2 of 2 to 2",
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.usefixtures("in_git")
def test_somebodys_network_is_found_by_the_side_of_a_revision_too(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("from torch import nn\n\n\ndef net():\n    return nn.Conv2d(3, 4, 1)\n")
    command = "duel HEAD here --of mine:net --input 16x16 --threads 1 --rounds 1 --most-rounds 1 --pairs 2 --json"
    done = subprocess.run(
        [sys.executable, "-m", "bench", *command.split()], cwd=tmp_path, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["name"] == "mine:net: here against HEAD (16x16, batch 1, cpu, eager, fp32, 1 thread)"


@pytest.mark.slow
def test_half_as_much_work_again_is_slower_and_the_same_work_is_neither() -> None:
    cell = Cell(subject="dpn1_32", input_hw=(64, 48))
    more = fight(Side(cell=cell), Side(cell=cell, work=1.5), Rules()).comparison()
    assert more.verdict == "slower"
    same = fight(Side(cell=cell), Side(cell=cell), Rules()).comparison()
    assert same.verdict in ("same", "ambiguous")


@pytest.mark.slow
@pytest.mark.usefixtures("in_git")
def test_a_revision_against_the_files_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    chosen = Choices(metric="latency", input="64x48", threads="1")
    assert duel_verbs.duel("HEAD", "here", of="dpn1_32", choices=chosen, rules=SHORT, as_json=True) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["name"] == "dpn1_32: here against HEAD (64x48, batch 1, cpu, eager, fp32, 1 thread)"
    assert answer["sides"]["a"]["commit"] == checkout_commit()[0]
    assert answer["rounds"] == 2
