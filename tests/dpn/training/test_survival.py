"""Runs of every kind that are killed, stopped and starved: they end in one line, and go on to the same weights."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import torch

from dpn.training.folder import rows
from tests.dpn.training.runs import (
    ROOT,
    STEPS,
    assert_one_line,
    assert_same,
    assert_stopped,
    command,
    environment,
    finished,
    started,
    wait_for,
    weights,
)

LONG = {"epochs": "400", "drops": "300"}
TWO = {"devices": "2", "accelerator": "cpu"}


def run(folder: Path, *extra: str, **changes: str) -> "subprocess.CompletedProcess[str]":
    return finished(command(folder, *extra, **changes))


def ended(folder: Path, *extra: str, **changes: str) -> Path:
    """A run to its end, or on to its end."""
    done = run(folder, *extra, **changes)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_moving_average_survives_a_kill(tmp_path: Path, precision: str) -> None:
    changes = {"ema": "0.99", "precision": precision}
    whole = ended(tmp_path / "whole", **changes)
    folder = tmp_path / "run"
    with started(command(folder, **changes)) as process:
        wait_for(process, folder / "last.pt")  # of the first epoch: the whole run takes little longer
    assert torch.load(folder / "last.pt", weights_only=True)["step"] < STEPS
    ended(folder, **changes)
    assert_same(weights(whole), weights(folder))
    states = [torch.load(one / "last.pt", weights_only=True) for one in (whole, folder)]
    for name in ("state_dict", "average"):
        assert_same(states[0][name], states[1][name])
    assert not torch.equal(states[0]["average"]["module.0.weight"], states[0]["state_dict"]["0.weight"])


@pytest.fixture(scope="module")
def by_one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one process that nothing disturbed."""
    return ended(tmp_path_factory.mktemp("by-one") / "run")


@pytest.fixture(scope="module")
def by_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two processes that nothing disturbed."""
    return ended(tmp_path_factory.mktemp("by-two") / "run", **TWO)


def torchrun(folder: Path, **changes: str) -> list[str]:
    words = command(folder, **changes, **TWO)
    return [words[0], "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *words[1:]]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("to", ["group", "parent"])
def test_two_processes_stop_together_and_go_on(tmp_path: Path, by_two: Path, number: signal.Signals, to: str) -> None:
    folder = tmp_path / "run"
    with started(command(folder, **TWO, save_every_s="1000", keep_gb="0")) as process:
        wait_for(process, folder / "log.csv")
        (os.killpg if to == "group" else os.kill)(process.pid, number)
        _, said = process.communicate(timeout=120)
    assert_stopped(said, folder, number)
    assert process.returncode == 130
    assert 0 < torch.load(folder / "last.pt", weights_only=True)["step"] < STEPS
    ended(folder, **TWO)
    assert_same(weights(by_two), weights(folder))


@pytest.mark.slow
@pytest.mark.parametrize(("number", "to"), [(signal.SIGINT, "group"), (signal.SIGTERM, "group"),
                                            (signal.SIGTERM, "parent")])  # fmt: skip
def test_torchrun_trains_the_same_and_stops_when_asked(
    tmp_path: Path, by_two: Path, number: signal.Signals, to: str
) -> None:
    """Of SIGTERM torchrun sends one on to the whole group of each process, those that make samples among them."""
    folder = tmp_path / "run"
    with started(torchrun(folder, save_every_s="1000", keep_gb="0")) as process:
        wait_for(process, folder / "log.csv")
        (os.killpg if to == "group" else os.kill)(process.pid, number)
        _, said = process.communicate(timeout=120)
    assert f"stopped and saved in {folder}; the same command goes on" in said
    assert "error: " not in said
    assert 0 < torch.load(folder / "last.pt", weights_only=True)["step"] < STEPS
    done = finished(torchrun(folder))
    assert done.returncode == 0, done.stderr
    assert_same(weights(by_two), weights(folder))


@pytest.mark.slow
def test_a_rank_that_is_killed_under_torchrun_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with started(torchrun(folder, **LONG, keep_gb="0")) as process:
        wait_for(process, folder / "last.pt")
        ranks = psutil.Process(process.pid).children()
        (other,) = (rank for rank in ranks if rank.environ().get("LOCAL_RANK") == "1")
        other.kill()
        _, said = process.communicate(timeout=120)
    assert process.returncode == 1
    (line,) = (line for line in said.splitlines() if line.startswith("error: "))
    assert line.startswith("error: another process of this run has ended"), said
    assert f"{folder} holds the last state" in line


@pytest.mark.slow
@pytest.mark.parametrize("processes", [{}, TWO], ids=["one", "two"])
def test_sigterm_to_everybody_leaves_those_that_make_samples_at_work_until_the_state_is_saved(
    tmp_path: Path, processes: dict[str, str]
) -> None:
    """As Slurm sends it when a job's time is up; in the middle of an epoch, while samples are made."""
    folder = tmp_path / "run"
    with started(command(folder, **LONG, **processes, keep_gb="0", save_every_s="1000")) as process:
        wait_for(process, folder / "best.pt")
        ended_epoch = torch.load(folder / "best.pt", weights_only=True)["step"]
        while len(psutil.Process(process.pid).children(recursive=True)) == 0:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGTERM)
        _, said = process.communicate(timeout=120)
    assert_stopped(said, folder, signal.SIGTERM)
    assert process.returncode == 130
    assert torch.load(folder / "last.pt", weights_only=True)["step"] >= ended_epoch


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize(("processes", "undisturbed"), [({}, "by_one"), (TWO, "by_two")], ids=["one", "two"])
def test_a_validation_is_abandoned_and_made_up_for(
    tmp_path: Path, processes: dict[str, str], undisturbed: str, number: signal.Signals, request: pytest.FixtureRequest
) -> None:
    """By the first process alone, whose share each of the others still predicts."""
    changes = {"network": "tiny_network:lingering", "save_every_s": "1000", **processes}
    whole, folder, begun = request.getfixturevalue(undisturbed), tmp_path / "run", tmp_path / "begun"
    with started(command(folder, **changes), LINGER=str(begun)) as process:
        wait_for(process, begun)
        process.send_signal(number)
        _, said = process.communicate(timeout=120)
    if number != signal.SIGKILL:
        assert_stopped(said, folder, number)
        assert process.returncode == 130
    assert not (folder / "best.pt").exists()
    state = torch.load(folder / "last.pt", weights_only=True)
    assert (state["step"], state["due"]) == (6, True)
    ended(folder, **changes)
    assert_same(weights(whole), weights(folder))
    logs = [[(row["step"], row["loss"], row["score"]) for row in rows(one / "log.csv")] for one in (whole, folder)]
    assert logs[0] == logs[1]


@pytest.mark.slow
def test_a_process_that_is_killed_ends_the_others(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with started(command(folder, **TWO, **LONG)) as process:
        wait_for(process, folder / "last.pt")
        children = psutil.Process(process.pid).children()
        (other,) = (child for child in children if child.environ().get("LOCAL_RANK") == "1")
        other.kill()
        _, said = process.communicate(timeout=120)
    assert said.startswith("error: another process of this run has ended"), said
    assert said.count("\n") == 1, said
    assert process.returncode == 1


@pytest.mark.slow
def test_a_compiled_network_is_continued_too(tmp_path: Path) -> None:
    folders = [ended(tmp_path / name, "--compile", precision="fp32") for name in ("whole",)]
    with started(command(tmp_path / "run", "--compile", precision="fp32", save_every_s="0")) as process:
        wait_for(process, tmp_path / "run" / "last.pt")
    ended(tmp_path / "run", "--compile", precision="fp32")
    assert_same(weights(folders[0]), weights(tmp_path / "run"))


@pytest.mark.slow
def test_a_compiled_network_learns_as_the_same_one_does_eagerly(tmp_path: Path) -> None:
    """But for rounding, which Adam's first steps make larger; without dropout, which draws otherwise when compiled.

    The network has no length, as most of the zoo.
    """
    losses = []
    for name, extra in (("eager", "--no-compile"), ("compiled", "--compile")):
        whole = ended(tmp_path / name, extra, network="tiny_network:InModule", precision="fp32")
        losses.append([float(row["loss"]) for row in rows(whole / "log.csv") if row["loss"]])
    assert len(losses[0]) == STEPS // 10
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
    assert losses[0] != losses[1]  # else nothing was compiled


@pytest.mark.slow
def test_without_a_compiler_nothing_is_compiled(tmp_path: Path) -> None:
    done = finished(command(tmp_path / "run", "--compile"), PATH="/nowhere", CXX="")
    assert_one_line(done, "error: ")
    assert "--no-compile" in done.stderr


def limited(largest: int) -> Callable[[], None]:
    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))

    return limit


@pytest.mark.slow
def test_files_that_cannot_grow_leave_the_last_good_checkpoint(tmp_path: Path) -> None:
    """As on a full disk: the system refuses to write more."""
    whole, folder = ended(tmp_path / "whole"), tmp_path / "run"
    with started(command(folder)) as process:
        wait_for(process, folder / "last.pt")
    step = torch.load(folder / "last.pt", weights_only=True)["step"]
    done = subprocess.run(
        command(folder, workers="0"), cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=120,
        preexec_fn=limited(4096),
    )  # fmt: skip
    assert_one_line(done, "error: ")
    assert "cannot be written" in done.stderr
    assert "File too large" in done.stderr
    assert torch.load(folder / "last.pt", weights_only=True)["step"] == step
    ended(folder)
    assert_same(weights(whole), weights(folder))


@pytest.mark.slow
def test_batches_that_find_no_room_in_shared_memory_are_named(tmp_path: Path) -> None:
    """As in a container with a small /dev/shm: what makes samples is well, and what it writes has no place."""
    done = subprocess.run(
        command(tmp_path / "run", keep_gb="0"), cwd=ROOT, env=environment(), capture_output=True, text=True,
        timeout=120, preexec_fn=limited(4096),
    )  # fmt: skip
    assert_one_line(done, "error: a process that makes samples cannot write a batch into shared memory")
    assert "/dev/shm: File too large" in done.stderr
    assert "--workers 0" in done.stderr


@pytest.mark.slow
def test_the_state_of_another_network_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with started(command(folder)) as process:
        wait_for(process, folder / "last.pt")
    state = torch.load(folder / "last.pt", weights_only=True)
    del state["state_dict"]["0.weight"]
    torch.save(state, folder / "last.pt")
    done = run(folder)
    assert_one_line(done, "error: the state at step ")
    assert "give another --folder to start afresh" in done.stderr


@pytest.mark.slow
def test_other_data_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with started(command(folder)) as process:
        wait_for(process, folder / "last.pt")
    done = run(folder, data="synthetic:seed=1,images=56")
    assert_one_line(done, f"error: {folder} holds a run with data 'synthetic:seed=1,images=48' there")
    done = run(folder, val_data="synthetic:seed=3,images=6")
    assert_one_line(done, f"error: {folder} holds a run on ")
    program = (
        "import runpy, sys; from dpn.synthetic import figures; figures.GENERATOR_VERSION += 1; "
        "runpy.run_module('dpn', run_name='__main__', alter_sys=True)"
    )
    done = finished([sys.executable, "-c", program, *command(folder)[3:]])
    assert_one_line(done, f"error: {folder} holds a run on ")
    assert "bring the old data back" in done.stderr


@pytest.mark.slow
def test_a_folder_of_coco_with_augmentation_is_continued_and_a_cut_file_named(tmp_path: Path) -> None:
    data = tmp_path / "coco"
    made = finished([sys.executable, "-m", "dpn", "data", "synthetic", str(data), "--train", "40", "--val", "6"])
    assert made.returncode == 0, made.stderr
    changes = {"data": str(data), "val_data": "", "workers": "2", "epochs": "1", "drops": "1", "val_people": "6"}
    whole, folder = ended(tmp_path / "whole", "--augment", **changes), tmp_path / "run"
    with started(command(folder, "--augment", **changes, save_every_s="0")) as process:
        wait_for(process, folder / "last.pt")
    ended(folder, "--augment", **changes)
    finals = [torch.load(one / "final.pt", weights_only=True)["state_dict"] for one in (whole, folder)]
    assert_same(finals[0], finals[1])
    picture = min((data / "train2017").iterdir())
    picture.write_bytes(picture.read_bytes()[:500])
    done = run(tmp_path / "cut", "--augment", **changes)
    assert_one_line(done, "error: ")
    assert picture.name in done.stderr


@pytest.mark.parametrize("options", [{"devices": "0"}, {"batch": "1"}, {"epochs": "0"}])
def test_options_that_cannot_be_end_in_one_line(tmp_path: Path, options: dict[str, str]) -> None:
    done = run(tmp_path / "run", **options)
    assert_one_line(done, "error: ")
    assert f"--{next(iter(options))}" in done.stderr


def test_ctrl_c_among_the_first_imports_is_one_line(tmp_path: Path) -> None:
    with started(command(tmp_path / "run")) as process:
        maps = Path(f"/proc/{process.pid}/maps")
        while "numpy" not in maps.read_text() and process.poll() is None:
            time.sleep(0.001)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert said.startswith("error: stopped"), said
    assert said.count("\n") == 1
    assert process.returncode == 130
