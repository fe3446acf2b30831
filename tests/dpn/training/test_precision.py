"""Recipes in bf16 fall back to fp32 where nothing computes in it, are told so, and stay of their budget."""

from pathlib import Path

import pytest
import tyro

import dpn.processor
from dpn.training import precision
from dpn.training.precision import FALLEN_BACK, for_this_machine
from dpn.training.recipes import find
from dpn.verbs.train import train_named

QUICK = find("quick/dpn1_32_lite")
MILAN = "flags\t\t: fpu avx2 fma vaes\n"
GENOA = "flags\t\t: fpu avx2 avx512f avx512_bf16\n"
GRAVITON = "Features\t: fp asimd sve bf16\n"


@pytest.fixture(name="machine")
def _machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose `cpuinfo` and `gpu` are this machine's; nothing is remembered."""
    monkeypatch.setattr(dpn.processor, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(dpn.processor, "fields", dpn.processor.fields.__wrapped__)
    monkeypatch.setattr(precision, "NVIDIA", tmp_path / "gpu")
    return tmp_path


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
    machine: Path, cpuinfo: str | None, gpu: bool, accelerator: str, expected: str
) -> None:
    if cpuinfo:
        (machine / "cpuinfo").write_text("processor\t: 0\n" + cpuinfo + "\n" + GENOA)
    if gpu:
        (machine / "gpu").touch()
    assert for_this_machine(QUICK, accelerator).precision == expected
    assert for_this_machine(find("coco/dpn4_64"), accelerator) == find("coco/dpn4_64")


def test_a_fallback_is_told_and_what_was_asked_for_is_not(
    machine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def trained(recipe: precision.Recipe, *_: object) -> dict[str, object]:
        asked.append(recipe.precision)
        return {"recipe": recipe.name, "scores": {"score": 0.5}, "best": {"score": 0.5}, "steps": 1}

    monkeypatch.setattr("dpn.training.run.train", trained)
    said = []
    for cpuinfo, options in ((MILAN, []), (GENOA, []), (MILAN, ["--precision", "fp32"]), (MILAN, ["--precision=bf16"])):
        (machine / "cpuinfo").write_text(cpuinfo)
        assert tyro.cli(train_named(QUICK.name), args=options) == 0
        said.append(FALLEN_BACK in capsys.readouterr().err)
    assert (asked, said) == (["fp32", "bf16", "fp32", "bf16"], [True, False, False, False])
