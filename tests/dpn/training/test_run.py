"""Runs end to end, most of them in processes of their own: killed, stopped, continued, refused."""

import csv
import errno
import itertools
import json
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from dpn.network_names import definition_of
from dpn.program import cli
from dpn.program.locks import is_locked
from dpn.training import run as training
from dpn.training.errors import TrainingError
from dpn.training.folder import RunFolder
from dpn.training.processes import _explain
from dpn.training.recipes import Recipe, find
from dpn.training.run import _check_same
from dpn.training.state import State
from dpn.training.task import layer_seed
from dpn.training.validation import validate
from dpn.verbs.train import train_named
from dpn.zoo import ZOO
from tests.dpn.training.runs import (
    HERE,
    STEPS,
    assert_one_line,
    assert_same,
    assert_stopped,
    command,
    finished,
    started,
    wait_for,
    weights,
)
from tests.dpn.training.tiny_network import build, without_dropout


def run(folder: Path, *extra: str, **changes: str) -> "subprocess.CompletedProcess[str]":
    return finished(command(folder, *extra, **changes))


Typed = Callable[..., tuple[int, str]]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], one_thread: None) -> Typed:
    """The same words in this process: exit code and errors."""
    del one_thread
    monkeypatch.syspath_prepend(HERE)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def typed(folder: Path, **changes: str) -> tuple[int, str]:
        _, _, _, verb, *words = command(folder, **changes)
        with pytest.raises(SystemExit) as caught:
            cli.run("python -m dpn", "", {verb: cli.ByName("RECIPE", "", train_named)}, [verb, *words])
        return int(caught.value.code or 0), capsys.readouterr().err

    return typed


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
    assert (result["val_data"], result["val_people"], result["spec_digest"]) == ("synthetic:seed=2,images=6", 0, None)
    definition = torch.load(undisturbed / "last.pt", weights_only=True)["definition"]
    assert result["definition"] == definition == definition_of(build(), None)


@pytest.mark.slow
def test_pictures_come_in_epochs_without_a_validation_too(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    done = run(folder, val_every="3")
    assert done.returncode == 0, done.stderr
    with (folder / "log.csv").open(newline="") as file:
        assert [int(row["step"]) for row in csv.DictReader(file) if row["score"]] == [18, 24]
    assert sorted(path.name for path in (folder / "pictures").iterdir()) == ["epoch-002.png", "epoch-004.png"]


def test_a_finished_run_is_not_repeated(undisturbed: Path, typed: Typed) -> None:
    before = {path: path.stat().st_mtime_ns for path in undisturbed.iterdir()}
    assert typed(undisturbed) == (0, "")
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


def logged(folder: Path) -> list[tuple[str, ...]]:
    """All of a log but what clocks say."""
    with (folder / "log.csv").open(newline="") as file:
        return [tuple(row[name] for name in ("step", "epoch", "loss", "lr", "score")) for row in csv.DictReader(file)]


def best(folder: Path) -> dict[str, object]:
    """Of best.pt, what counts beside the weights."""
    content = torch.load(folder / "best.pt", weights_only=True)
    return {name: content[name] for name in ("step", "best", "definition")}


def test_a_run_that_ends_in_a_validation_goes_on_with_it(
    tmp_path: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped within one, that after the last step too, or ended after one, before anything else is saved.

    The undisturbed run is of this process, too, whose torch other tests may have set.
    """
    undisturbed = tmp_path / "undisturbed"
    assert typed(undisturbed) == (0, "")
    for epoch, moment in ((1, "within"), (2, "after"), (4, "within")):
        folder = tmp_path / f"run-{epoch}"
        with monkeypatch.context() as patch:
            _end_in(patch, epoch, moment)
            code, said = typed(folder)
        stopped = f"stopped and saved in {folder}; the same command goes on\n"
        assert (code, said) == (130, stopped) if moment == "within" else code == 1
        left = torch.load(folder / "last.pt", weights_only=True)
        assert (left["step"], left["due"]) == (6 * epoch, True)
        assert typed(folder) == (0, "")
        assert_same(weights(undisturbed), weights(folder))
        assert (logged(folder), best(folder)) == (logged(undisturbed), best(undisturbed))


def _end_in(patch: pytest.MonkeyPatch, epoch: int, moment: str) -> None:
    """A signal in the validation of an epoch, or a full disk when its picture is drawn."""
    validations = itertools.count(1)

    def validated(*words: Any, asked: Callable[[], bool]) -> dict[str, Any]:
        stops = next(validations) == epoch and moment == "within"
        return validate(*words, asked=lambda: stops or asked())

    def picture(*words: Any) -> None:
        if words[-1] == epoch:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    patch.setattr(training, "validate", validated)
    if moment == "after":
        patch.setattr(training, "_picture", picture)


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_stopped_run_saves_and_goes_on(undisturbed: Path, tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "run"
    with started(command(folder, save_every_s="1000")) as process:
        wait_for(process, folder / "log.csv")
        process.send_signal(number)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert_stopped(said, folder, number)
    assert 0 < torch.load(folder / "last.pt", weights_only=True)["step"] < STEPS
    assert run(folder).returncode == 0
    assert_same(weights(undisturbed), weights(folder))


def test_a_run_is_not_continued_as_another(undisturbed: Path, tmp_path: Path, typed: Typed) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "last.pt").write_bytes((undisturbed / "last.pt").read_bytes())
    for known in (folder, undisturbed):
        code, said = typed(known, lr="0.01")
        assert code == 1
        assert "lr 0.001 there and 0.01 here; give another --folder" in said
        assert said.count("\n") == 1


LIGHT = find("quick/dpn1_32_lite")
CHANGED = "has changed since the run in .* was begun; bring back what it was, or give another --folder"


def ended(folder: Path, recipe: Recipe, **noted: object) -> RunFolder:
    """The folder of a run that has ended, whose result notes this beside what all of them do."""
    content = {"digest": recipe.digest(), "scores": {"score": 0.5}, "seconds": 1.0, **noted}
    (folder / "result.json").write_text(json.dumps(content))
    return RunFolder(folder)


@pytest.mark.parametrize(
    "noted",
    [
        {},
        {"spec_digest": ZOO[LIGHT.network].digest()},
        {"spec_digest": "", "definition": ZOO[LIGHT.network].digest(), **LIGHT.validated_on()},
    ],
)
def test_a_result_is_its_recipes_and_no_network_of_the_zoo_is_built_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, noted: dict[str, object]
) -> None:
    monkeypatch.delattr("dpn.training.folder.built")
    assert RunFolder(tmp_path).result_of(LIGHT) is None
    found = ended(tmp_path, LIGHT, **noted).result_of(LIGHT)
    assert found is not None
    assert found["scores"] == {"score": 0.5}


def test_the_result_of_another_recipe_is_refused_with_what_differs(tmp_path: Path) -> None:
    other = replace(LIGHT, seed=1)
    with pytest.raises(TrainingError, match="holds a run with seed 0 there and 1 here; give another --folder"):
        ended(tmp_path, LIGHT, fields=LIGHT.identity()).result_of(other)
    with pytest.raises(TrainingError, match=r"holds the result of another recipe; give another --folder$"):
        ended(tmp_path, LIGHT).result_of(other)  # from before they were noted


@pytest.mark.parametrize("name", ["spec_digest", "definition"])
def test_the_result_of_a_network_before_it_was_changed_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(TrainingError, match=f"^{LIGHT.network} {CHANGED}"):
        ended(tmp_path, LIGHT, **{name: "0123456789ab"}).result_of(LIGHT)


def test_a_factory_is_known_by_what_it_builds(tmp_path: Path) -> None:
    recipe = replace(LIGHT, network="tests.dpn.training.tiny_network:build")
    assert ended(tmp_path, recipe, definition=definition_of(build(), None)).result_of(recipe)
    assert ended(tmp_path, recipe, spec_digest=None).result_of(recipe)  # from before definitions were kept
    with pytest.raises(TrainingError, match=CHANGED):
        ended(tmp_path, recipe, definition=definition_of(without_dropout(), None)).result_of(recipe)


@pytest.mark.parametrize(
    ("change", "asked"),
    [
        ({"val_people": 50}, "the first 50 people of synthetic:seed=2,"),
        ({"val_data": "my data"}, "everyone of my data;"),
        ({"val_data": "my data", "input": "384x288"}, "everyone of my data;"),
    ],
)
def test_the_score_of_other_people_is_refused(tmp_path: Path, change: dict[str, object], asked: str) -> None:
    other = replace(LIGHT, **change)  # type: ignore[arg-type]
    with pytest.raises(TrainingError, match=f"holds the score of everyone of .*, not of {asked}") as caught:
        ended(tmp_path, replace(LIGHT, input=other.input), **LIGHT.validated_on()).result_of(other)
    command = f"python -m dpn evaluate {LIGHT.network} --data 'my data' --protocol dpn --weights {tmp_path}/final.pt"
    command += f" --input {other.input}" if other.input else ""
    advice = "" if other.val_people else f"score its weights with {command}, or "  # which scores everyone
    assert str(caught.value).endswith(f"; {advice}give another --folder to train again")
    assert ended(tmp_path, replace(LIGHT, input=other.input)).result_of(other)  # from before they were noted


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("synthetic:seed=2,images=6", "synthetic:images=6,seed=2", True),
        ("synthetic", "synthetic:seed=0,images=500", True),
        ("/data/coco/", "/data/coco", True),
        ("coco", "./some/../coco", True),
        ("synthetic", "synthetic-mpii", False),
        ("synthetic:seed=2", "synthetic:seed=3", False),
        ("/data/coco", "data/coco", False),
    ],
)
def test_data_is_the_same_however_it_is_spelt(tmp_path: Path, one: str, other: str, same: bool) -> None:
    for stored, asked in ((one, other), (other, one)):
        folder = ended(tmp_path, LIGHT, val_data=stored, val_people=0)
        with nullcontext() if same else pytest.raises(TrainingError, match="holds the score of everyone of"):
            assert folder.result_of(replace(LIGHT, val_data=asked))


def test_the_result_of_a_recipe_is_the_same_however_its_folder_of_data_is_spelt(tmp_path: Path) -> None:
    recipe = replace(LIGHT, data="/data/coco", val_data="")
    folder = ended(tmp_path, recipe, fields=recipe.identity(), **recipe.validated_on())
    assert folder.result_of(replace(recipe, data="/data/./coco/"))
    with pytest.raises(TrainingError, match="holds a run with data '/data/coco' there and '/old/coco' here"):
        folder.result_of(replace(recipe, data="/old/coco"))  # nobody opens it to see whether it is the same


DATA = {"train": "coco train2017 0123", "val": "coco val2017 4567"}


@pytest.mark.parametrize(
    ("data", "digests", "said"),
    [
        ("/new/coco", {}, ""),
        ("/data/coco/", {}, ""),
        ("synthetic:seed=1", {}, "holds a run with data '/data/coco' there and 'synthetic:seed=1' here"),
        ("/new/coco", {"train": "coco train2017 89ab"}, "--data was coco train2017 0123 and is coco train2017 89ab; g"),
        ("/data/coco", {"val": "coco val2017, first 9 people cdef"}, "other data: --val-data with --val-people was "),
    ],
)
def test_a_run_goes_on_wherever_its_data_lies_and_other_data_is_named_by_its_option(
    tmp_path: Path, data: str, digests: dict[str, str], said: str
) -> None:
    recipe = replace(LIGHT, data="/data/coco", val_data="")
    start = State(step=1, weights={}, recipe=recipe.identity(), data=DATA)
    with pytest.raises(TrainingError, match=re.escape(said)) if said else nullcontext():
        _check_same(start, replace(recipe, data=data), "", DATA | digests, RunFolder(tmp_path))


def test_options_of_synthetic_data_count_as_they_are_typed(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="holds a run with data"):
        RunFolder(tmp_path).check_recipe(replace(LIGHT, data="synthetic:seed=9"), LIGHT.identity(), wherever=True)


OWN = """
from torch import nn

def net():
    return nn.Conv2d(3, 17, 3, stride=4, padding=1)
"""


@pytest.mark.slow
def test_a_run_of_a_network_that_has_changed_is_neither_continued_nor_returned(tmp_path: Path) -> None:
    """Its weights have the same shapes: nothing else could tell."""
    folder, own = tmp_path / "run", tmp_path / "own.py"
    path, words = f"{HERE}:{tmp_path}", command(folder, network="own:net")
    own.write_text(OWN)
    with started(words, PYTHONPATH=path) as process:
        wait_for(process, folder / "last.pt")
    assert not (folder / "result.json").exists()
    for _ in ("continued", "returned"):
        own.write_text(OWN.replace("padding=1", "padding=2, dilation=2"))
        assert_one_line(finished(words, PYTHONPATH=path), f"error: own:net has changed since the run in {folder} ")
        own.write_text(OWN)
        done = finished(words, PYTHONPATH=path)
        assert done.returncode == 0, done.stderr
        assert (folder / "result.json").is_file()


def test_a_loss_that_is_no_number_ends_in_one_line(tmp_path: Path, typed: Typed) -> None:
    code, said = typed(tmp_path / "run", network="tiny_network:bursting", epochs="3", workers="0", pictures_every="0")
    assert code == 1
    assert said.startswith("error: the loss is nan at step 13; the last checkpoint is from before that")
    assert said.count("\n") == 1
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


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[1]", "{}", '{"digest": "0", "scores": 3, "seconds": 1}',
        *(f'{{"digest": "0", "scores": {{"score": 1}}, "seconds": 1, {more}}}' for more in (
            '"fields": 3', '"fields": [["a", 1]]', '"val_data": 5', '"val_data": "synthetic:seeds=1"',
            '"val_people": "all"', '"val_people": null',
        )),
    ],
)  # fmt: skip
def test_a_damaged_result_is_named_with_what_to_do(tmp_path: Path, text: str) -> None:
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(TrainingError) as caught:
        RunFolder(tmp_path).result()
    said = str(caught.value)
    assert said.startswith(f"{tmp_path / 'result.json'} is no result of a run of this version (")
    assert said.endswith("; remove it to go on from the run's last state")
    assert "\n" not in said


def test_a_folder_is_of_one_process_until_it_has_ended(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with folder.to_itself():
        assert is_locked(folder.lock)
        with pytest.raises(TrainingError, match="another process trains in"), folder.to_itself():
            pass
    assert not is_locked(folder.lock)


def test_a_compiler_that_fails_without_a_word_is_named(tmp_path: Path) -> None:
    silent = type("Silent", (Exception,), {"__module__": "torch._dynamo.exc"})
    with pytest.raises(TrainingError, match="the network cannot be compiled: Silent; install a C"):
        _explain(silent(), RunFolder(tmp_path), lost=False)


def test_a_folder_that_cannot_be_written_ends_in_one_line(tmp_path: Path, typed: Typed) -> None:
    (tmp_path / "file").write_text("")
    code, said = typed(tmp_path / "file" / "run")
    assert code == 1
    assert said.startswith("error: ")
    assert said.count("\n") == 1


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
