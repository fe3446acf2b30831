"""Runs end to end, in processes of their own: killed, stopped, continued, refused."""

import csv
import json
import random
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
import torch

from dpn.training.errors import TrainingError
from dpn.training.folder import RunFolder
from dpn.training.task import layer_seed
from tests.dpn.training.runs import STEPS, assert_same, command, finished, started, wait_for, weights


def run(folder: Path, *extra: str, **changes: str) -> "subprocess.CompletedProcess[str]":
    return finished(command(folder, *extra, **changes))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    done = run(folder, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["steps"] == STEPS
    return folder


def test_a_run_leaves_what_it_promises(undisturbed: Path) -> None:
    names = {path.name for path in undisturbed.iterdir()}
    assert {"best.pt", "final.pt", "last.pt", "log.csv", "pictures", "result.json", "tensorboard"} <= names
    assert list((undisturbed / "tensorboard").iterdir())
    with (undisturbed / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows if row["score"]] == [6, 12, 18, 24]
    assert [float(row["lr"]) for row in rows] == pytest.approx(
        [1e-3 if int(row["step"]) <= 12 else 1e-4 for row in rows]
    )
    assert sorted(path.name for path in (undisturbed / "pictures").iterdir()) == ["epoch-002.png", "epoch-004.png"]
    result = json.loads((undisturbed / "result.json").read_text())
    assert 0 <= result["scores"]["score"] <= result["best"]["score"] <= 1
    assert result["data"]["val"].startswith("synthetic val")


def test_a_finished_run_is_not_repeated(undisturbed: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in undisturbed.iterdir()}
    assert run(undisturbed).returncode == 0
    assert {path: path.stat().st_mtime_ns for path in undisturbed.iterdir()} == before


def killed_and_continued(folder: Path, moment: random.Random) -> None:
    """Kills a run once, at a random moment after its first state, and lets it end."""
    with started(command(folder)) as process:
        wait_for(process, folder / "last.pt")
        time.sleep(moment.uniform(0.0, 1.5))
    done = run(folder)
    assert done.returncode == 0, done.stderr


def test_a_killed_run_ends_with_the_same_weights_bit_for_bit(undisturbed: Path, tmp_path: Path) -> None:
    killed_and_continued(tmp_path / "run", random.Random(0))
    assert_same(weights(undisturbed), weights(tmp_path / "run"))


@pytest.mark.slow
def test_ten_kills_at_random_moments(undisturbed: Path, tmp_path: Path) -> None:
    """Each in a run of its own, before its first state too."""
    moment = random.Random(1)
    for number in range(10):
        folder = tmp_path / str(number)
        with started(command(folder)) as process:
            if number % 3:
                wait_for(process, folder / "last.pt")
            time.sleep(moment.uniform(0.0, 6.0 if number % 3 == 0 else 1.5))
        done = run(folder)
        assert done.returncode == 0, done.stderr
        assert_same(weights(undisturbed), weights(folder))
        scores = [json.loads((run_of / "result.json").read_text())["scores"] for run_of in (undisturbed, folder)]
        assert scores[0] == scores[1]


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_stopped_run_saves_and_goes_on(undisturbed: Path, tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "run"
    with started(command(folder, save_every_s="1000")) as process:
        wait_for(process, folder / "log.csv")
        process.send_signal(number)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert said.strip() == f"stopped and saved in {folder}; the same command goes on"
    assert 0 < torch.load(folder / "last.pt", weights_only=True)["step"] < STEPS
    assert run(folder).returncode == 0
    assert_same(weights(undisturbed), weights(folder))


def test_a_run_is_not_continued_as_another(undisturbed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "last.pt").write_bytes((undisturbed / "last.pt").read_bytes())
    done = run(folder, lr="0.01")
    assert done.returncode == 1
    assert "lr 0.001 there and 0.01 here; give another --folder" in done.stderr
    assert done.stderr.count("\n") == 1
    done = run(undisturbed, lr="0.01")
    assert "result of another recipe" in done.stderr


def test_a_loss_that_is_no_number_ends_in_one_line(tmp_path: Path) -> None:
    done = run(tmp_path / "run", network="tiny_network:bursting", precision="fp32")
    assert done.returncode == 1
    assert done.stderr.startswith("error: the loss is nan at step 13; the last checkpoint is from before that")
    assert done.stderr.count("\n") == 1
    assert torch.load(tmp_path / "run" / "last.pt", weights_only=True)["step"] <= 12


@pytest.mark.slow
def test_the_largest_seed_trains(tmp_path: Path) -> None:
    done = run(tmp_path / "run", seed=str(2**63 - 1), epochs="1", drops="0")
    assert done.returncode == 0, done.stderr


def test_seeds_of_layers_are_torchs_and_small_ones_stay() -> None:
    """Of a seed above some 1.8e10 it would be more than torch takes; what was trained before keeps its bits."""
    for step, rank in ((0, 0), (10**7, 1008)):
        torch.manual_seed(layer_seed(2**63 - 1, step, rank))
    assert layer_seed(2, 17_000, 3) == (2 * 1_000_003 + 17_000) * 1_009 + 3


@pytest.mark.parametrize("text", ["", "{", "[1]", "{}", '{"digest": "0", "scores": 3, "seconds": 1}'])
def test_a_damaged_result_is_named_with_what_to_do(tmp_path: Path, text: str) -> None:
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(TrainingError) as caught:
        RunFolder(tmp_path).result()
    said = str(caught.value)
    assert said.startswith(f"{tmp_path / 'result.json'} is no result of a run of this version (")
    assert said.endswith("; remove it to go on from the run's last state")
    assert "\n" not in said


def test_a_folder_that_cannot_be_written_ends_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run(tmp_path / "file" / "run")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_a_worker_that_dies_ends_in_one_line(tmp_path: Path) -> None:
    with started(command(tmp_path / "run", epochs="400", drops="300", keep_gb="0")) as process:
        wait_for(process, tmp_path / "run" / "last.pt")
        (worker,) = psutil.Process(process.pid).children()
        worker.kill()
        _, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert said.startswith("error: a process that makes samples")
    assert said.count("\n") == 1


@pytest.mark.slow
def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    with started(command(tmp_path / "run", epochs="400", drops="300")) as first:
        wait_for(first, tmp_path / "run" / "log.csv")
        second = run(tmp_path / "run", epochs="400", drops="300")
    assert second.returncode == 1
    assert "another process trains in" in second.stderr
