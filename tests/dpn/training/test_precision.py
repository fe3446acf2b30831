"""Recipes in bf16 fall back to fp32 where nothing computes in it, are told so, and runs stay as they were begun."""

import importlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import tyro

import dpn.processor
from dpn.training import state
from dpn.training.errors import TrainingError
from dpn.training.folder import RunFolder
from dpn.training.options import RunOptions
from dpn.training.precision import FALLEN_BACK, for_this_machine
from dpn.training.recipe import Recipe
from dpn.training.recipes import find
from dpn.training.sweep_jobs import Run
from dpn.training.sweep_options import SweepOptions
from dpn.training.sweep_tables import recipes_of_all
from dpn.verbs.train import train_named

QUICK = find("quick/dpn1_32_lite")
MILAN = "flags\t\t: fpu avx2 fma vaes\n"
GENOA = "flags\t\t: fpu avx2 avx512f avx512_bf16\n"
GRAVITON = "Features\t: fp asimd sve bf16\n"
SLOW = "; the same with --precision bf16 would take many times as long"


@pytest.fixture(name="machine")
def _machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose `cpuinfo` is this machine's, which has no GPU; nothing is remembered."""
    monkeypatch.setattr(dpn.processor, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(dpn.processor, "fields", dpn.processor.fields.__wrapped__)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    return tmp_path


def begin(folder: Path, recipe: Recipe, how: str) -> None:
    """Leaves what a run of the recipe leaves that was stopped, or has ended, or ended before its recipe was noted."""
    folder.mkdir(parents=True)
    if how != "ended":
        state.save(folder / "last.pt", state.State(step=1, weights={"a": torch.zeros(2)}, recipe=recipe.identity()))
    if how != "stopped":
        content = {"digest": recipe.digest(), "scores": {"score": 0.5}, "seconds": 1.0}
        noted = {"fields": recipe.identity()} if how == "ended" else {}
        (folder / "result.json").write_text(json.dumps(content | noted))


@pytest.mark.parametrize(
    ("cpuinfo", "gpu", "accelerator", "expected"),
    [
        (MILAN, False, "auto", "fp32"),
        (MILAN, True, "auto", "bf16"),
        (MILAN, True, "cpu", "fp32"),
        (GENOA, False, "cpu", "bf16"),
        (GRAVITON, False, "auto", "bf16"),
        (None, False, "auto", "fp32"),
    ],
)
def test_what_this_machine_is_fast_in(
    machine: Path, monkeypatch: pytest.MonkeyPatch, cpuinfo: str | None, gpu: bool, accelerator: Any, expected: str
) -> None:
    if cpuinfo:
        (machine / "cpuinfo").write_text("processor\t: 0\n" + cpuinfo + "\n" + GENOA)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    where = RunOptions(folder=machine / "run", accelerator=accelerator)
    assert for_this_machine(QUICK, where) == replace(QUICK, precision=expected)
    assert for_this_machine(find("coco/dpn4_64"), where) == find("coco/dpn4_64")


def test_several_machines_choose_alike(machine: Path) -> None:
    (machine / "cpuinfo").write_text(MILAN)
    begin(machine / "run", replace(QUICK, precision="fp32"), "stopped")
    assert for_this_machine(QUICK, RunOptions(folder=machine / "run", num_nodes=2)) == QUICK


@pytest.mark.parametrize("cpuinfo", [MILAN, GENOA])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("how", ["stopped", "ended", "ended long ago"])
def test_a_run_that_has_begun_keeps_its_precision(machine: Path, how: str, precision: Any, cpuinfo: str) -> None:
    (machine / "cpuinfo").write_text(cpuinfo)
    begun = replace(QUICK, precision=precision)
    begin(machine / "run", begun, how)
    assert for_this_machine(QUICK, RunOptions(folder=machine / "run")) == begun


@pytest.mark.parametrize("name", ["result.json", "last.pt"])
def test_what_is_damaged_is_told_of_by_what_needs_it(machine: Path, name: str) -> None:
    (machine / "cpuinfo").write_text(MILAN)
    folder = RunFolder(machine / "run")
    begin(folder.path, QUICK, "ended" if name == "result.json" else "stopped")
    (folder.path / name).write_bytes((folder.path / name).read_bytes()[:20])
    assert for_this_machine(QUICK, RunOptions(folder=folder.path)).precision == "fp32"
    with pytest.raises(TrainingError, match=name):
        folder.result() or state.read(folder.last)


def test_a_fallback_is_told_and_what_was_asked_for_is_not(
    machine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def trained(recipe: Recipe, *_: object) -> dict[str, object]:
        asked.append(recipe.precision)
        return {"recipe": recipe.name, "scores": {"score": 0.5}, "best": {"score": 0.5}, "steps": 1}

    monkeypatch.setattr("dpn.training.run.train", trained)
    begin(machine / "in bf16", QUICK, "stopped")
    begin(machine / "in fp32", replace(QUICK, precision="fp32"), "stopped")
    said = []
    for cpuinfo, folder, *options in (
        (MILAN, "new"),
        (GENOA, "new"),
        (MILAN, "new", "--precision", "fp32"),
        (MILAN, "new", "--precision=bf16"),
        (MILAN, "in bf16"),
        (MILAN, "in bf16", "--precision", "fp32"),
        (GENOA, "in fp32"),
    ):
        (machine / "cpuinfo").write_text(cpuinfo)
        assert tyro.cli(train_named(QUICK.name), args=["--folder", str(machine / folder), *options]) == 0
        said.append(FALLEN_BACK + SLOW in capsys.readouterr().err)
    assert asked == ["fp32", "bf16", "fp32", "bf16", "bf16", "fp32", "fp32"]
    assert said == [True, False, False, False, False, False, False]


def test_each_run_of_a_sweep_has_its_own_precision(
    machine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    verb = importlib.import_module("dpn.verbs.sweep")
    runs: list[Run] = []
    monkeypatch.setattr(verb, "swept", lambda found, *_: runs.extend(found) or 0)
    (machine / "cpuinfo").write_text(MILAN)
    options = SweepOptions(folder=machine / "runs", accelerator="cpu", at_once=1)
    begun, *others = recipes_of_all(["table-2"], "quick", 2)
    begin(options.where(begun).run_folder(begun).path, begun, "stopped")
    assert verb.sweep(("table-2",), seeds=2, options=options) == 0
    assert [run.recipe for run in runs] == [begun, *(replace(other, precision="fp32") for other in others)]
    said = capsys.readouterr().err
    assert FALLEN_BACK in said
    assert "--precision" not in said  # which it has not

    runs.clear()
    assert verb.sweep(("table-2",), seeds=2, options=replace(options, executor="slurm")) == 0
    assert [run.recipe for run in runs] == [begun, *others]
    assert capsys.readouterr().err == ""
