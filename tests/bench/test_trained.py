"""Finished runs become records once, of the budget that their recipe really is, with the curve up to the score."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.evidence import Evidence
from analysis.trained import trained_runs
from bench.machine import environment
from bench.recording.trained import CONTINUED, POINTS, budget_of, collect, curve, recipe_digest, record_of
from bench.records.record import Record
from bench.records.store import RESULTS, Store
from dpn.program import cli
from dpn.training.errors import TrainingError
from dpn.training.folder import RunFolder, rows
from dpn.training.recipes import RECIPES, Recipe
from tests.analysis.made_up_runs import VERSIONS, train, write_run

RECIPE = RECIPES["quick/dpn1_32_lite"]
ROOT = Path(__file__).resolve().parents[2]


def test_a_run_is_recorded_once_with_what_it_depends_on(tmp_path: Path) -> None:
    runs = train(tmp_path / "runs", names=["dpn1_32_lite"], seeds=2)
    store = Store(tmp_path / "records")
    assert collect([runs, runs / "quick"], store).added == 2
    again = collect([runs], Store(tmp_path / "records"))
    assert (again.added, again.present, again.refused, again.unfinished) == (0, 2, [], 0)
    first, second = store.records
    assert (first.metric, first.unit, first.subject) == ("ap", "share", "dpn1_32_lite")
    assert first.protocol | {"seed": 1} == second.protocol
    assert first.protocol["budget"] == "quick"
    assert (first.protocol["data"], first.protocol["data_digest"]) == (
        "synthetic val, seed 2, 500 images", "0123456789ab"
    )  # fmt: skip
    assert first.value == first.detail["scores"]["AP"]
    assert first.versions == VERSIONS
    assert (first.commit, first.dirty, first.machine) == ("0123abcd", False, environment.machine())


def test_a_seed_is_no_part_of_a_recipe_and_all_else_is() -> None:
    assert recipe_digest(replace(RECIPE, seed=5)) == recipe_digest(RECIPE)
    for change in ({"lr": 0.5}, {"epochs": 15}, {"network": "dpn2_32_lite"}, {"data": "synthetic:seed=3,images=3200"}):
        assert recipe_digest(replace(RECIPE, **change)) != recipe_digest(RECIPE)  # type: ignore[arg-type]


def test_a_recipe_that_was_changed_by_hand_is_of_no_budget(tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "short", replace(RECIPE, epochs=2, drops=()), 0.1)
    store = Store(tmp_path / "records")
    collect([tmp_path], store)
    assert [record.protocol["budget"] for record in store.records] == ["own"]


@pytest.mark.parametrize(
    ("name", "data", "budget"),
    [
        ("coco/dpn4_64", "/data/coco", "coco"),
        ("mpii/dpn4_64_mpii", "elsewhere/mpii/", "mpii"),
        ("coco/dpn4_64", "synthetic:seed=1,images=16000", "own"),
        ("quick/dpn1_32_lite", "/data/coco", "own"),
        ("quick/dpn1_32_lite", "synthetic:seed=3,images=6400", "own"),
        ("coco/dpn4_64", None, "own"),
    ],
)
def test_where_a_folder_of_data_lies_is_no_change_by_hand(name: str, data: str | None, budget: str) -> None:
    assert budget_of(name, RECIPES[name].identity() | {"data": data}) == budget


def test_a_run_that_has_not_ended_is_counted_and_left(tmp_path: Path) -> None:
    (tmp_path / "runs" / "half").mkdir(parents=True)
    (tmp_path / "runs" / "half" / "last.pt").write_bytes(b"")
    found = collect([tmp_path / "runs"], Store(tmp_path / "records"))
    assert (found.added, found.unfinished) == (0, 1)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"device": "cpu"}', '{"device": "cpu", "fields": {"kind": "bird"}}']
)
def test_a_result_that_cannot_be_read_is_one_line_and_hides_no_other(text: str, tmp_path: Path) -> None:
    write_run(tmp_path / "good", RECIPE, 0.3)
    broken = write_run(tmp_path / "broken", RECIPE, 0.3)
    (broken / "result.json").write_text(text)
    found = collect([tmp_path], Store(tmp_path / "records"))
    (line,) = found.refused
    assert line.startswith(f"{broken / 'result.json'} is no result of a run of this version")
    assert line.count("\n") == 0
    assert found.added == 1


@pytest.mark.parametrize(
    ("result", "told"),
    [
        ({"legs": [{"processes": 0}]}, "ZeroDivisionError"),
        ({"legs": 5}, "TypeError"),
        ({"network": 5}, "subject: Input should be a valid string"),
        ({"input_hw": ["a", "b"]}, "protocol.input_hw"),
        ({"fields": RECIPE.identity() | {"seed": "x"}}, "not a record of ap: protocol.seed: "),
        ({"fields": RECIPE.identity() | {"seed": [[]]}}, "protocol.seed"),
        ({"commit": None}, "not a record: commit: Input should be a valid string"),
        ({"dirty": "x"}, "not a record: dirty: Input should be a valid boolean"),
        ({"versions": {"python": 3.11}}, "not a record: versions.python: Input should be a valid string"),
    ],
)  # fmt: skip
def test_a_run_that_makes_no_record_is_one_line_with_its_folder_and_hides_no_other(
    result: dict[str, Any], told: str, tmp_path: Path
) -> None:
    write_run(tmp_path / "good", RECIPE, 0.3)
    broken = write_run(tmp_path / "broken", RECIPE, 0.4, result=result)
    (broken / "log.csv").write_bytes(b"")
    store = Store(tmp_path / "records")
    for added, present in ((1, 0), (0, 1)):
        found = collect([tmp_path], store)
        assert (found.added, found.present) == (added, present)
        (line,) = found.refused
        assert line.startswith(f"{broken}: ")
        assert line.endswith("; train it again")
        assert told in line
        assert "\n" not in line


def test_a_damaged_log_is_one_line_and_hides_no_other(tmp_path: Path) -> None:
    write_run(tmp_path / "good", RECIPE, 0.3)
    log = write_run(tmp_path / "broken", RECIPE, 0.4) / "log.csv"
    log.write_text(log.read_text().replace("\n20,", "\nabc,"))
    found = collect([tmp_path], Store(tmp_path / "records"))
    (line,) = found.refused
    assert line.startswith(f"{log}, line 3: ValueError: ")
    assert line.endswith("; mend or remove the line, or move the file away")
    assert found.added == 1


def test_a_result_of_endless_depth_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text("[" * 100_000)
    with pytest.raises(TrainingError, match=r"^\S*result\.json is no result of a run of this version \(RecursionError"):
        record_of(RunFolder(tmp_path))


def test_the_same_run_with_another_score_is_refused(tmp_path: Path) -> None:
    for name, score in (("a", 0.3), ("b", 0.4)):
        write_run(tmp_path / name, RECIPE, score)
    found = collect([tmp_path], Store(tmp_path / "records"))
    assert found.added == 1
    assert "scores 0.4, and a run of this recipe, data and seed is recorded with 0.3" in found.refused[0]


def test_a_run_of_a_gpu_is_not_said_to_be_of_this_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "gpu_name", lambda: None)
    write_run(tmp_path / "runs", RECIPE, 0.3, result={"device": "cuda:0"})
    store = Store(tmp_path / "records")
    assert "add --machine" in collect([tmp_path], store).refused[0]
    assert collect([tmp_path], store, "nvidia-h200-on-amd-epyc-f26m2s1").added == 1
    (record,) = store.records
    assert (record.machine, record.environment) == ("nvidia-h200-on-amd-epyc-f26m2s1", {"device": "cuda"})


@pytest.mark.parametrize("machine", ["h200/4", "/tmp/x", "..", "H200", "an h200", "h200\n"])
def test_a_machine_that_is_no_key_is_refused(machine: str, tmp_path: Path) -> None:
    write_run(tmp_path / "runs", RECIPE, 0.3)
    with pytest.raises(
        ValueError, match=r"^--machine .* is no key of a machine; give one .* such as nvidia-h200-on-.*$"
    ):
        collect([tmp_path / "runs"], Store(tmp_path / "records"), machine)
    assert not (tmp_path / "records").exists()


def test_a_curve_keeps_the_means_of_neighbours(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", RECIPE, 0.3)
    logged = [float(row["loss"]) for row in rows(run / "log.csv") if row["loss"]]
    found = curve(run / "log.csv")
    assert len(logged) == 140
    assert len(found["loss"]) == 47 <= POINTS
    assert found["loss"][0] == [30.0, pytest.approx(np.mean(logged[:3]), rel=1e-5)]
    assert found["loss"][-1] == [1400.0, pytest.approx(np.mean(logged[138:]), rel=1e-5)]
    assert [step for step, _ in found["score"]] == list(range(100, 1401, 100))
    assert found["score"][-1][1] == pytest.approx(0.3)
    assert curve(tmp_path / "nowhere") == {"loss": [], "score": []}


LEG = {"first_step": 0, "versions": VERSIONS, "threads": 1, "processes": 1, "commit": "0123abcd"}


def record_of_run(folder: Path, recipe: Recipe = RECIPE, **result: object) -> Record:
    made = record_of(RunFolder(write_run(folder, recipe, 0.3, result=result)))
    assert made is not None
    return made


def test_a_record_of_one_process_has_the_key_that_it_always_had(tmp_path: Path) -> None:
    older = record_of_run(tmp_path / "older")
    now = record_of_run(tmp_path / "now", processes=1, legs=[LEG, LEG | {"first_step": 20}], backbone=None)
    assert now.key() == older.key()
    assert (now.flags, now.detail) == ((), older.detail)
    assert not {"batch_norm", "backbone", "processes"} & now.protocol.keys()


@pytest.mark.parametrize(
    ("change", "result", "words"),
    [
        ({}, {"processes": 4}, "8 people in each of 4 processes"),
        ({}, {"processes": 2, "legs": [LEG | {"processes": 2}]}, "16 people in each of 2 processes"),
        ({"sync_batch_norm": True}, {"processes": 4}, "32 people together in 4 processes"),
        ({}, {"processes": 1, "legs": [LEG | {"processes": 2}, LEG | {"first_step": 9}]},
         "16 people in each of 2 processes, then 32 people in one process"),
    ],
)  # fmt: skip
def test_a_record_says_over_how_many_people_batch_norm_was(
    change: dict[str, Any], result: dict[str, Any], words: str, tmp_path: Path
) -> None:
    recipe = replace(RECIPE, **change)
    several = record_of_run(tmp_path / "several", recipe, **result)
    assert several.protocol["batch_norm"] == words
    assert several.key() != record_of_run(tmp_path / "one", recipe).key()


def test_runs_of_other_numbers_of_processes_are_never_averaged(tmp_path: Path) -> None:
    for seed, processes in enumerate((1, 1, 4)):
        write_run(tmp_path / "runs" / str(seed), replace(RECIPE, seed=seed), 0.3, result={"processes": processes})
    collect([tmp_path / "runs"], Store(tmp_path / "records"))
    found = trained_runs.runs(Evidence(records_root=tmp_path / "records"), "quick")
    assert list(found.by_network[RECIPE.network]) == [0, 1]
    assert found.left_out == 1


def test_a_run_that_went_on_under_other_conditions_is_flagged(tmp_path: Path) -> None:
    legs = [LEG, LEG | {"first_step": 40, "threads": 2}]
    record = record_of_run(tmp_path / "run", legs=legs)
    assert record.flags == (CONTINUED,)
    assert record.detail["changes"] == ["step 40: threads 1 before and 2 now"]
    assert record.detail["legs"] == legs
    assert record.key() == record_of_run(tmp_path / "other").key()


def test_a_record_says_what_bf16_was_multiplied_in(tmp_path: Path) -> None:
    """Where that is known; it makes no other run."""
    legs = [LEG | {"bf16 products": "bf16"}, LEG | {"first_step": 40, "bf16 products": "fp32"}]
    record, plain = record_of_run(tmp_path / "run", legs=legs), record_of_run(tmp_path / "plain", legs=[LEG])
    assert record.detail["bf16_products"] == "bf16, then fp32"
    assert record.detail["changes"] == ["step 40: bf16 products bf16 before and fp32 now"]
    assert "bf16_products" not in plain.detail
    assert record.key() == plain.key()


def test_a_record_says_what_the_backbone_started_from(tmp_path: Path) -> None:
    origin = {"file": "a.pth", "sha256": "sha256:0123456789ab", "tensors": 3, "of": 9}
    recipe = replace(RECIPE, backbone=origin["sha256"])
    record = record_of_run(tmp_path / "run", recipe, backbone=origin)
    assert record.protocol["backbone"] == "sha256:0123456789ab"
    assert record.detail["backbone"] == origin
    assert record.key() != record_of_run(tmp_path / "plain").key()


def test_committed_records_are_of_recipes_as_they_are() -> None:
    """What a recipe decides did not change since these were trained, nor the key under which a run is found again."""
    quick = [r for r in Store(RESULTS / "records").records if r.protocol.get("budget") == "quick"]
    assert quick
    assert {r.protocol["recipe"] for r in quick} == {recipe_digest(RECIPES[f"quick/{r.subject}"]) for r in quick}


def test_the_verb_says_what_came_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from bench.verbs.accuracy import trained

    def typed(*words: object) -> int:
        with pytest.raises(SystemExit) as caught:
            cli.run("bench", "", {"trained": trained, "x": lambda: None}, ["trained", *map(str, words)])
        return int(caught.value.code or 0)

    runs = train(tmp_path / "runs", names=["dpn1_32_lite"], seeds=2)
    assert typed(runs, "--records", tmp_path / "records") == 0
    assert capsys.readouterr().out == "2 finished runs: 2 records added, 0 there already, 0 left out\n"
    (runs / "quick/dpn1_32_lite/seed-0/result.json").write_text("{}")
    assert typed(runs, "--records", tmp_path / "records") == 1
    said = capsys.readouterr()
    assert said.out == "2 finished runs: 0 records added, 1 there already, 1 left out\n"
    assert said.err.startswith("left out: ")
    assert typed(tmp_path / "nowhere") == 1
    assert "no folder" in capsys.readouterr().err


@pytest.mark.slow
def test_what_a_real_run_leaves_is_taken(tmp_path: Path) -> None:
    pytest.importorskip("lightning")
    options = {
        "--folder": str(tmp_path / "runs"), "--data": "synthetic:seed=1,images=16", "--epochs": "1",
        "--val-data": "synthetic:seed=2,images=4", "--batch": "8", "--threads": "1", "--pictures-every": "0",
    }  # fmt: skip
    command = [sys.executable, "-m", "dpn", "train", RECIPE.name, "--no-sanity", "--drops", "--json"]
    command += [word for option in options.items() for word in option]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    store = Store(tmp_path / "records")
    found = collect([tmp_path / "runs"], store)
    assert (found.added, found.refused) == (1, [])
    (record,) = store.records
    told = json.loads(done.stdout)
    assert (record.value, record.protocol["budget"]) == (told["scores"]["score"], "own")
    assert record.detail["curve"]["score"] == [[2.0, pytest.approx(told["scores"]["score"], abs=1e-6)]]
