"""Sweeps: which runs belong to a table, and what happens to them when something fails, is stopped or is killed."""

import errno
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch

from bench.records import reported
from dpn.program.interrupts import handled
from dpn.program.locks import is_locked
from dpn.training import sweep_executors, sweep_jobs
from dpn.training.ablation_tables import TABLES, Table, recipes_of, recipes_of_all
from dpn.training.folder import Log, RunFolder, rows
from dpn.training.recipes import RECIPES, Recipe
from dpn.training.sweep import Sweep, Told
from dpn.training.sweep_executors import LocalJob, SlurmJob, executor_of, settled
from dpn.training.sweep_jobs import LEFT, STOPPED, Run, Training
from dpn.training.sweep_options import SweepOptions
from dpn.training.sweep_progress import Pace, left_s, pace_of
from dpn.training.sweep_tracking import Tracked
from tests.dpn.training.runs import HERE, finished, started

# Tables.


def trained(table: Table) -> set[str]:
    """The networks whose accuracy the paper prints in a table."""
    return {cell.subject for cell in reported.load_all()[table].cells.values() if cell.metric == "ap"}


@pytest.mark.parametrize("table", TABLES)
def test_a_table_has_the_rows_that_the_paper_prints(table: Table) -> None:
    for budget in ("coco", "full"):
        assert {recipe.network for recipe in recipes_of(table, budget)} == trained(table)
        assert all(recipe.name.startswith(f"{budget}/") for recipe in recipes_of(table, budget))


@pytest.mark.parametrize("table", TABLES)
def test_the_quick_budget_has_the_same_rows_behind_the_light_stem(table: Table) -> None:
    light = {re.sub(r"_(64|32)(.*)", r"_32\2_lite", name) for name in trained(table)}
    assert {recipe.network for recipe in recipes_of(table, "quick")} == light


def test_what_tables_share_is_trained_once_and_seed_by_seed() -> None:
    recipes = recipes_of_all(TABLES, "quick", 3)
    assert len({(recipe.name, recipe.seed) for recipe in recipes}) == len(recipes)
    assert len(recipes) < 3 * sum(len(recipes_of(table, "quick")) for table in TABLES)
    assert {recipe.name for recipe in recipes} == {name for name in RECIPES if name.startswith("quick/")}
    assert [recipe.seed for recipe in recipes] == sorted(recipe.seed for recipe in recipes)
    folders = {SweepOptions().where(recipe).run_folder(recipe).path for recipe in recipes}
    assert len(folders) == len(recipes)
    assert Path("runs/quick/dpn1_32_lite/seed-2") in folders


def test_other_data_is_validated_on_too() -> None:
    (own, *_) = recipes_of_all(["table-2"], "coco", 1, "/some/coco", "/other/coco")
    assert (own.data, own.val_data) == ("/some/coco", "/other/coco")
    (recipe, *_) = recipes_of_all(["table-2"], "coco", 1, "/some/coco")
    assert (recipe.data, recipe.val_data) == ("/some/coco", "")
    with pytest.raises(ValueError, match="--seeds is at least 1"):
        recipes_of_all(["table-2"], "coco", 0)


# What is left to do.


def test_the_time_left_is_that_of_the_slowest_or_of_all_shared_out() -> None:
    known = Pace(share=1.0, seconds=100.0, recipe="a")
    half = Pace(share=0.5, seconds=150.0, recipe="b")
    new = [Pace(recipe="a"), Pace(recipe="b"), Pace(recipe="c")]
    every = [known, half, *new]
    assert left_s(every, [half, *new], 1) == pytest.approx(150 + 100 + 300 + (100 + 300) / 2)
    assert left_s(every, [half, *new], 3) == pytest.approx((150 + 100 + 300 + 200) / 3 + 50)
    assert left_s(every, [half, *new], 99) == pytest.approx(300)
    assert left_s(every, [], 2) == 0
    assert left_s(new, new, 2) is None


def recipe_of(name: str, seed: int = 0) -> Recipe:
    return Recipe(name=f"made-up/{name}", network=name, data="synthetic", epochs=4, drops=(2,), batch=8, seed=seed)


def run_of(folder: Path, name: str = "one", seed: int = 0) -> Run:
    recipe = recipe_of(name, seed)
    return Run(recipe=recipe, where=SweepOptions(folder=folder).where(recipe))


def away(_: object) -> bytes:
    raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))


def log(run: Run, step: int) -> None:
    run.folder.path.mkdir(parents=True, exist_ok=True)
    Log(run.folder.log, 0).add({"step": step, "epoch": step // 6, "lr": 1e-3, "seconds": 12.5})


def test_how_far_a_run_is_comes_from_its_log(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    assert pace_of(run) == Pace(recipe="made-up/one")
    log(run, 18)
    assert pace_of(run).share == pytest.approx(3 / 4)  # by epochs, while the number of steps is unknown
    run.jobs.mkdir()
    Training(run=run)._told(0, 24, "")
    assert pace_of(run) == Pace(share=18 / 24, seconds=12.5, recipe="made-up/one")
    run.folder.log.write_bytes(b"\xff\n")
    assert pace_of(run) == Pace(recipe="made-up/one")
    finish(run)
    assert pace_of(run) == Pace(share=1.0, seconds=60.0, recipe="made-up/one")


def test_how_far_a_run_was_holds_while_its_log_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, known = run_of(tmp_path), Pace(share=0.5, seconds=9.0, recipe="made-up/one")
    log(run, 18)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", away)
        assert pace_of(run, known) == known
    for damaged in (b"step,seconds\n18,12.5\n", b"\xff\n"):
        run.folder.log.write_bytes(damaged)
        assert (pace_of(run, known), pace_of(run)) == (known, Pace(recipe="made-up/one"))


@pytest.mark.parametrize("damaged", [b"", b'"24"', b"-3", b"true", b"[24]", b"24.0", b"\xff", b"[" * 100_000])
def test_a_damaged_number_of_steps_is_unknown_and_written_again(tmp_path: Path, damaged: bytes) -> None:
    run = run_of(tmp_path)
    log(run, 18)
    run.jobs.mkdir()
    run.steps_file.write_bytes(damaged)
    assert Sweep([run], MadeUp(), 1).tracked[0].pace.share == pytest.approx(3 / 4)
    Training(run=run)._told(0, 36, "")
    assert pace_of(run).share == 18 / 36


# One job.


def test_a_job_that_is_stopped_before_it_begins_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(Training, "_trained", lambda _self: os.kill(os.getpid(), signal.SIGTERM))
    with handled(signal.default_int_handler, signal.SIGTERM):
        assert Training(run=run_of(tmp_path))() == LEFT


def test_a_job_looks_again_where_its_sweeps_lock_could_not_be_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, heard = iter([True, OSError(errno.ESTALE, "stale"), True, False]), list[int]()

    def look(_lease: Path) -> bool:
        held = next(seen)
        if isinstance(held, OSError):
            raise held
        return held

    monkeypatch.setattr(sweep_jobs, "is_locked", look)
    monkeypatch.setattr(sweep_jobs, "LOOK_EVERY_S", 0)
    with handled(lambda number, _frame: heard.append(number), signal.SIGTERM):
        sweep_jobs._stop_with(tmp_path)
    assert (heard, list(seen)) == ([signal.SIGTERM], [])


def submitted(folder: Path, **attributes: Any) -> Any:
    """A job of submitit's, of one task."""
    job = SimpleNamespace(
        paths=SimpleNamespace(stderr=folder / "7_0_log.err", result_pickle=folder / "7_0_result.pkl"), **attributes
    )  # fmt: skip
    job.task = lambda _number: job
    return job


def test_what_came_of_an_earlier_job_with_the_same_number_is_not_said_of_this_one(tmp_path: Path) -> None:
    job = submitted(tmp_path, result=lambda: "the disk is full")
    job.paths.result_pickle.write_bytes(b"of an earlier process")
    assert LocalJob(job).reason().startswith("its process ended without a word")


def test_a_job_that_the_cluster_has_cancelled_was_stopped_unless_it_says_more(tmp_path: Path) -> None:
    def lost() -> str:
        raise RuntimeError("has not produced any output")

    assert SlurmJob(submitted(tmp_path, state="CANCELLED by 1000", result=lost)).reason() == LEFT
    assert SlurmJob(submitted(tmp_path, state="FAILED", result=lost)).reason() == "has not produced any output"
    job = submitted(tmp_path, state="CANCELLED by 1000", result=lambda: "the disk is full")
    job.paths.result_pickle.write_bytes(b"")
    assert SlurmJob(job).reason() == "the disk is full"


# The sweep itself, with jobs that are made up.


def finish(run: Run, score: float = 0.5) -> None:
    run.folder.path.mkdir(parents=True, exist_ok=True)
    content = {"digest": run.recipe.digest(), "scores": {"score": score}, "seconds": 60.0}
    run.folder.result_file.write_text(json.dumps(content))


@dataclass
class MadeUpJob:
    """Ends at the third look, as its run's name says."""

    run: Run
    looks: int = 0
    log: Path = Path("some.log")

    def done(self) -> bool:
        self.looks += 1
        if self.looks == 3 and self.run.recipe.network != "failing":
            finish(self.run)
        return self.looks >= 3

    def reason(self) -> str:
        return {"failing": "it was made to fail", "early": LEFT}.get(self.run.recipe.network, STOPPED)

    def stop(self) -> None:
        self.looks = 3


@dataclass
class MadeUp:
    """Starts made-up jobs and remembers them."""

    started: list[str] = field(default_factory=list)
    running: list[MadeUpJob] = field(default_factory=list)
    most: int = 0
    found: dict[str, MadeUpJob] = field(default_factory=dict)

    def start(self, run: Run, slot: int) -> MadeUpJob:
        if run.recipe.network == "refused":
            raise RuntimeError("no such thing can be started")
        assert is_locked(run.claim)
        self.started.append(run.name)
        self.running = [job for job in self.running if job.looks < 3] + [MadeUpJob(run)]
        self.most = max(self.most, len(self.running))
        assert slot < self.most
        return self.running[-1]

    def earlier(self, run: Run) -> MadeUpJob | None:
        return self.found.get(run.name)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dpn.training.sweep.POLL_S", 0.001)
    monkeypatch.setattr("dpn.training.sweep.LOOK_EVERY_S", 0.01)


def gone(runs: list[Run], executor: MadeUp, at_once: int = 2, told: Told = lambda _sweep, _text: None) -> Sweep:
    sweep = Sweep(runs, executor, at_once, told)
    sweep.go()
    assert not any(is_locked(run.claim) for run in runs)
    return sweep


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_so_many_run_at_once_and_each_runs_once(tmp_path: Path, at_once: int) -> None:
    runs = [run_of(tmp_path, name, seed) for seed in (0, 1) for name in ("one", "two", "three")]
    executor = MadeUp()
    sweep = gone(runs, executor, at_once)
    assert executor.started == [run.name for run in runs]
    assert executor.most == at_once
    assert len(sweep.of("finished")) == 6
    assert [one.score for one in sweep.tracked] == [0.5] * 6
    again = MadeUp()
    assert len(gone(runs, again, at_once).of("finished")) == 6
    assert again.started == []


def test_a_run_that_fails_stops_no_other_and_is_tried_again(tmp_path: Path) -> None:
    runs = [run_of(tmp_path, name) for name in ("failing", "refused", "one", "two")]
    for _ in range(2):
        executor, said = MadeUp(), list[str]()
        sweep = gone(runs, executor, 1, lambda _sweep, text: said.append(text))  # noqa: B023 - called in here alone
        assert [one.run.recipe.network for one in sweep.of("failed")] == ["failing", "refused"]
        assert [one.reason for one in sweep.of("failed")] == ["it was made to fail", "no such thing can be started"]
        assert [one.log for one in sweep.of("failed")] == [Path("some.log"), None]
        assert len(sweep.of("finished")) == 2
        assert "made-up/failing seed 0 failed: it was made to fail; log: some.log" in said
    assert executor.started == ["made-up/failing seed 0"]


def test_the_result_of_another_recipe_is_no_result(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    finish(Run(recipe=replace(run.recipe, lr=0.5), where=run.where))
    executor = MadeUp()
    sweep = gone([run, run_of(tmp_path, "two")], executor)
    assert "result of another recipe" in sweep.tracked[0].reason
    assert sweep.tracked[0].score is None
    assert executor.started == ["made-up/two seed 0"]


def test_the_result_of_a_network_that_has_changed_fails_alone(tmp_path: Path) -> None:
    run = run_of(tmp_path, "dpn1_32_lite")
    finish(run)
    content = json.loads(run.folder.result_file.read_text()) | {"spec_digest": "0123456789ab"}
    run.folder.result_file.write_text(json.dumps(content))
    sweep = gone([run, run_of(tmp_path, "two")], MadeUp())
    assert [one.state for one in sweep.tracked] == ["failed", "finished"]
    assert sweep.tracked[0].reason.startswith("dpn1_32_lite has changed since the run in ")


def test_where_there_are_no_locks_nothing_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("dpn.program.locks.fcntl.flock", refuse)
    run, executor = run_of(tmp_path), MadeUp()
    (one,) = gone([run], executor).tracked
    assert (one.state, executor.started) == ("failed", [])
    assert one.reason.startswith(f"{run.claim} cannot be locked")


def test_a_damaged_result_fails_alone(tmp_path: Path) -> None:
    run, executor = run_of(tmp_path), MadeUp()
    run.folder.path.mkdir(parents=True)
    run.folder.result_file.write_text("{")
    sweep = gone([run, run_of(tmp_path, "two")], executor)
    assert [one.state for one in sweep.tracked] == ["failed", "finished"]
    assert sweep.tracked[0].reason.startswith(f"{run.folder.result_file} is no result")
    assert pace_of(run) == Pace(recipe="made-up/one")


def test_a_result_that_cannot_be_read_at_the_start_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs, read = [run_of(tmp_path, "one"), run_of(tmp_path, "two")], Path.read_bytes
    for run in runs:
        finish(run)
    unread = runs[0].folder.result_file
    monkeypatch.setattr(Path, "read_bytes", lambda path: away(path) if path == unread else read(path))
    sweep = gone(runs, MadeUp())
    assert [one.state for one in sweep.tracked] == ["failed", "finished"]
    assert sweep.tracked[0].reason.startswith(f"{unread}: {os.strerror(errno.ESTALE)}; ")


@pytest.mark.parametrize("patience_s", [60.0, 0.0])
@pytest.mark.parametrize("elsewhere", [True, False])
def test_a_result_that_is_away_for_a_moment_is_waited_for_and_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patience_s: float, elsewhere: bool
) -> None:
    monkeypatch.setattr("dpn.training.sweep.PATIENCE_S", patience_s)
    runs, result_of, looks = [run_of(tmp_path, "one"), run_of(tmp_path, "two")], RunFolder.result_of, list[str]()

    def seldom(folder: RunFolder, recipe: Recipe) -> dict[str, Any] | None:
        found = result_of(folder, recipe)
        if found and recipe.network == "one" and len(looks) < 3:
            looks.append("away")
            away(folder)
        return found

    def told(sweep: Sweep, text: str) -> None:
        if elsewhere and sweep.of("elsewhere") and not text:
            finish(runs[0])

    monkeypatch.setattr(RunFolder, "result_of", seldom)
    with locked(runs[0].folder.lock) if elsewhere else nullcontext():
        sweep = gone(runs, MadeUp(), 2, told)
    assert [one.state for one in sweep.tracked] == ["finished" if patience_s else "failed", "finished"]
    assert len(looks) == (3 if patience_s else 1)


def test_whether_a_run_is_trained_holds_while_nobody_can_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = Tracked(run=run_of(tmp_path))
    with locked(one.run.folder.lock):
        assert one.is_trained()
        monkeypatch.setattr("dpn.training.sweep_tracking.is_locked", away)
        assert one.is_trained()


def test_a_folder_that_cannot_be_made_fails_alone(tmp_path: Path) -> None:
    (tmp_path / "made-up").mkdir()
    (tmp_path / "made-up" / "one").write_text("a file")
    sweep = gone([run_of(tmp_path, "one"), run_of(tmp_path, "two")], MadeUp())
    assert [one.state for one in sweep.tracked] == ["failed", "finished"]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


@pytest.mark.parametrize("ends_well", [True, False])
@pytest.mark.parametrize("lock", [".lock", ".sweep"])
def test_what_another_process_trains_or_claims_is_waited_for(tmp_path: Path, lock: str, ends_well: bool) -> None:
    """A sweep that was killed may have left a trainer; two must never be in one folder."""
    run, other, executor = run_of(tmp_path, "one"), run_of(tmp_path, "two"), MadeUp()
    with locked(run.folder.path / lock) as held:
        looks = 0

        def told(sweep: Sweep, text: str) -> None:
            nonlocal looks
            del text
            looks += bool(sweep.of("elsewhere"))
            if looks == 20:
                assert [one.run.recipe.network for one in sweep.of("finished")] == ["two"]
                assert executor.started == ["made-up/two seed 0"]
                sweep.stopping = True

        sweep = Sweep([run, other], executor, 2, told)
        sweep.go()
        assert held is None
    assert looks == 20
    if ends_well:
        finish(run)
    executor.started.clear()
    assert gone([run, other], executor).tracked[0].state == "finished"
    assert executor.started == ([] if ends_well else ["made-up/one seed 0"])


def test_a_trainer_elsewhere_has_a_place_among_those_at_once(tmp_path: Path) -> None:
    runs, executor = [run_of(tmp_path, name) for name in ("one", "two", "three")], MadeUp()
    with locked(runs[0].folder.lock):

        def told(sweep: Sweep, text: str) -> None:
            del text
            if len(sweep.of("finished")) == 2:
                sweep.stopping = True

        gone(runs, executor, 2, told)
    assert executor.most == 1


def test_a_run_that_another_sweep_trains_has_a_place_among_those_at_once(tmp_path: Path) -> None:
    runs, executor, looks = [run_of(tmp_path, name) for name in ("one", "two")], MadeUp(), 0

    def told(sweep: Sweep, text: str) -> None:
        nonlocal looks
        del text
        looks += 1
        sweep.stopping = looks == 20

    with locked(runs[0].claim), locked(runs[0].folder.lock):
        sweep = Sweep(runs, executor, 1, told)
        sweep.go()
    assert executor.started == []
    assert [one.state for one in sweep.tracked] == ["elsewhere", "waiting"]
    assert len(gone(runs, executor, 1).of("finished")) == 2


def test_a_job_that_outlived_its_sweep_is_found_and_not_started_again(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    executor = MadeUp(found={run.name: MadeUpJob(run)})
    with locked(run.folder.lock):
        assert gone([run], executor).tracked[0].state == "finished"
    assert executor.started == []


def test_a_sweep_that_is_stopped_starts_nothing_more_and_says_what_came_of_each(tmp_path: Path) -> None:
    names = ("failing", "early", "two", "three")
    runs, executor, said = [run_of(tmp_path, name) for name in names], MadeUp(), list[str]()

    def told(sweep: Sweep, text: str) -> None:
        said.append(text)
        if text == "made-up/two seed 0 started":
            os.kill(os.getpid(), signal.SIGTERM)
            assert sweep.stopping

    sweep = gone(runs, executor, 3, told)
    assert executor.started == [f"made-up/{name} seed 0" for name in names[:3]]
    assert [one.state for one in sweep.tracked] == ["failed", "stopped", "stopped", "waiting"]
    assert [text for text in said if text and not text.endswith("started")] == [
        "made-up/failing seed 0 failed: it was made to fail; log: some.log", "made-up/early seed 0 stopped",
        "made-up/two seed 0 stopped and saved",
    ]  # fmt: skip
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def at_once_and_workers(**changes: Any) -> tuple[int | None, int | None]:
    options = settled(SweepOptions(**changes))
    return options.at_once, options.workers


def test_what_is_left_open_is_settled_by_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dpn.processor.granted_cores", lambda: 16)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert at_once_and_workers() == (16, 1)
    assert at_once_and_workers(at_once=3, workers=0) == (3, 0)
    with pytest.raises(ValueError, match="no GPU here"):
        at_once_and_workers(accelerator="cuda")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert at_once_and_workers() == (2, 7)
    assert at_once_and_workers(at_once=8) == (8, 1)
    assert at_once_and_workers(accelerator="cpu") == (16, 1)
    assert at_once_and_workers(executor="slurm") == (sys.maxsize, 4)
    assert SweepOptions(executor="slurm", gpus=0).where(recipe_of("one")).accelerator == "cpu"
    assert SweepOptions(executor="slurm", gpus=2).where(recipe_of("one")).devices == 2


def test_what_is_missing_is_said_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="--at-once is at least 1"):
        settled(SweepOptions(at_once=0))
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(RuntimeError, match="there is no Slurm here"):
        executor_of(SweepOptions(executor="slurm"))
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(RuntimeError, match=re.escape(sweep_executors.REMEDY)):
        executor_of(SweepOptions(accelerator="cpu"))


# Sweeps with real jobs.


def command(folder: Path, *options: str) -> list[str]:
    return [sys.executable, str(HERE / "sweep_program.py"), "--folder", str(folder), *options]


def swept(folder: Path, *options: str, **more: str) -> "subprocess.CompletedProcess[str]":
    return finished(command(folder, *options), seconds=500, **more)


def wait_until(condition: Callable[[], bool], seconds: float = 200) -> None:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    assert condition()


def folders(root: Path) -> list[Path]:
    return [root / "made-up" / network / "seed-0" for network in ("build", "without_dropout")]


def training(root: Path) -> list[int]:
    """Processes of jobs below this folder."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            words = process.cmdline()
            if "submitit.core._submit" in words and str(root) in words[-1]:
                found.append(process.pid)
    return found


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return dict(torch.load(folder / "final.pt", weights_only=True)["state_dict"])


def assert_alike(one: Path, other: Path) -> None:
    for mine, theirs in zip(folders(one), folders(other), strict=True):
        assert weights(mine).keys() == weights(theirs).keys()
        assert all(torch.equal(tensor, weights(theirs)[name]) for name, tensor in weights(mine).items())
        steps = [int(row["step"]) for row in rows(mine / "log.csv")]
        assert steps == sorted(steps)
        assert (mine / "result.json").is_file()


LONG = ("--seeds", "1", "--epochs", "12")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("undisturbed")
    done = swept(root, *LONG)
    assert done.returncode == 0, done.stderr
    return root


@pytest.mark.slow
def test_a_sweep_ends_with_a_table_and_names_what_failed(tmp_path: Path) -> None:
    options = ("--seeds", "1", "--networks", "missing", "build")
    done = swept(tmp_path, *options)
    assert done.returncode == 1
    header, missing, build = done.stdout.splitlines()
    assert header.split() == ["score", "seed", "0", "mean"]
    assert missing.split() == ["made-up/missing", "-", "-"]
    score = json.loads((folders(tmp_path)[0] / "result.json").read_text())["scores"]["score"]
    assert build.split() == ["made-up/build", f"{score:.4f}", f"{score:.4f}"]
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    reason, _, path = errors[0].partition("; log: ")
    assert reason == "error: made-up/missing seed 0: 'tiny_network' has no 'missing'"
    assert Path(path).read_text().splitlines()[-1] == "error: 'tiny_network' has no 'missing'"
    again = swept(tmp_path, *options, "--as-json")
    assert "build seed 0 started" not in again.stderr
    assert [(row["recipe"], row["state"]) for row in json.loads(again.stdout)] == [
        ("made-up/missing", "failed"), ("made-up/build", "finished"),
    ]  # fmt: skip
    listed = swept(tmp_path, *options, "--as-list")
    assert [line.split()[3:5] for line in listed.stdout.splitlines()[:2]] == [["waiting", "0%"], ["finished", "100%"]]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_stops_all_runs_and_all_have_saved(
    tmp_path: Path, undisturbed: Path, number: signal.Signals
) -> None:  # fmt: skip
    """A terminal sends it to every process there is."""
    with started(command(tmp_path, *LONG)) as process:
        wait_until(lambda: all((folder / "log.csv").is_file() for folder in folders(tmp_path)))
        os.killpg(process.pid, number)
        _, said = process.communicate(timeout=200)
        assert process.returncode == 130
        assert said.splitlines()[-1].startswith("error: stopped: 2 runs keep what they have saved, 0 had not begun")
        assert training(tmp_path) == []
    for folder in folders(tmp_path):
        assert not (folder / "result.json").exists()
        assert 0 < torch.load(folder / "last.pt", weights_only=True)["step"] < 36
        (out,) = (folder / "jobs" / "local").glob("*.out")
        assert "Job completed successfully" in out.read_text()  # it ended by itself
    assert swept(tmp_path, *LONG).returncode == 0
    assert_alike(tmp_path, undisturbed)


@pytest.mark.slow
def test_a_killed_sweep_leaves_no_trainer_and_is_continued(tmp_path: Path, undisturbed: Path) -> None:
    """Its runs save and stop alone; a sweep that begins meanwhile never puts a second trainer beside one."""
    for _ in range(2):
        with started(command(tmp_path, *LONG)) as process:
            wait_until(lambda: len(training(tmp_path)) == 2)
            time.sleep(2.0)
            process.kill()
            process.wait()
            if not _:
                wait_until(lambda: training(tmp_path) == [], 60)
                continue
            done = swept(tmp_path, *LONG)
            assert done.returncode == 0, done.stderr
    assert_alike(tmp_path, undisturbed)
    assert training(tmp_path) == []


@pytest.mark.slow
def test_two_sweeps_share_runs_between_them(tmp_path: Path, undisturbed: Path) -> None:
    with started(command(tmp_path, *LONG, "--at-once", "1")) as first:
        second = swept(tmp_path, *LONG, "--at-once", "1")
        first.communicate(timeout=200)
        assert (first.returncode, second.returncode) == (0, 0)
    assert_alike(tmp_path, undisturbed)
    assert [len(list((folder / "jobs" / "local").glob("*.out"))) for folder in folders(tmp_path)] == [1, 1]


SLURM = {
    "sbatch": """
        number=$((1 + $(cat $SLURM_HOME/last 2>/dev/null || echo 0)))
        echo $number > $SLURM_HOME/last
        export SLURM_JOB_ID=$number SLURM_NTASKS=1 SLURM_NTASKS_PER_NODE=1 SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_NODEID=0
        export SLURM_JOB_NUM_NODES=1 SLURM_JOB_NODELIST=here SLURM_NNODES=1 SLURM_JOB_NAME=$number
        setsid bash -c 'bash "$1"; echo COMPLETED > $SLURM_HOME/state-$SLURM_JOB_ID' . "$1" >/dev/null 2>&1 &
        echo RUNNING > $SLURM_HOME/state-$number
        echo "Submitted batch job $number"
    """,
    "srun": """
        [ "$1" = --version ] && { echo slurm 23; exit; }
        while [ "${1#--}" != "$1" ]; do
            case $1 in
                --output) out=${2//%j/$SLURM_JOB_ID}; out=${out//%t/0}; shift 2;;
                --error) err=${2//%j/$SLURM_JOB_ID}; err=${err//%t/0}; shift 2;;
                *) shift;;
            esac
        done
        echo $$ > $SLURM_HOME/task-$SLURM_JOB_ID
        exec "$@" >> "$out" 2>> "$err"
    """,
    "sacct": """
        echo "JobID|State|NodeList"
        for file in $SLURM_HOME/state-*; do echo "${file##*-}|$(cat $file)|here"; done
    """,
    "scancel": """
        kill -TERM $(cat $SLURM_HOME/task-$1)
    """,
}


@pytest.fixture
def slurm(tmp_path: Path) -> dict[str, str]:
    """Slurm's commands as far as submitit needs them, with jobs as processes here."""
    home = tmp_path / "slurm"
    home.mkdir()
    for name, script in SLURM.items():
        (home / name).write_text(f"#!/bin/bash\n{script}")
        (home / name).chmod(0o755)
    return {"SLURM_HOME": str(home), "PATH": f"{home}:{os.environ['PATH']}"}


@pytest.mark.slow
def test_jobs_on_a_cluster_outlive_their_sweep_and_are_found_again(
    tmp_path: Path, undisturbed: Path, slurm: dict[str, str]
) -> None:  # fmt: skip
    root = tmp_path / "runs"
    options = (*LONG, "--executor", "slurm")
    with started(command(root, *options), **slurm) as process:
        wait_until(lambda: len(training(root)) == 2)
        process.kill()
        process.wait()
    assert len(training(root)) == 2
    done = swept(root, *options, **slurm)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "slurm" / "last").read_text() == "2\n"
    assert_alike(root, undisturbed)


@pytest.mark.slow
def test_jobs_on_a_cluster_are_cancelled_with_their_sweep(
    tmp_path: Path, undisturbed: Path, slurm: dict[str, str]
) -> None:  # fmt: skip
    root = tmp_path / "runs"
    options = (*LONG, "--executor", "slurm")
    with started(command(root, *options), **slurm) as process:
        wait_until(lambda: all((folder / "log.csv").is_file() for folder in folders(root)))
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=200)
    assert process.returncode == 130, said
    wait_until(lambda: training(root) == [], 60)  # a job is done when its result is there, before it has quite ended
    for folder in folders(root):
        assert 0 < torch.load(folder / "last.pt", weights_only=True)["step"] < 36
    assert swept(root, *options, **slurm).returncode == 0
    assert_alike(root, undisturbed)
