"""A run that goes on under other conditions says so, then and in its result; nothing is said where all is alike."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from dpn.processor import multiplies_in
from dpn.training.legs import changes, differing, this_leg
from dpn.training.options import RunOptions
from tests.dpn.training.runs import STEPS, command, finished, started, wait_for

LEG = {"first_step": 0, "versions": {"torch": "2.13.0", "numpy": "2.4"}, "threads": 1, "processes": 1,
       "device": "cpu AVX512", "products": "tf32", "bf16 products": "bf16", "commit": "0123456789abcdef"}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"first_step": 9}, ""),
        ({"versions": {"torch": "2.12.0", "numpy": "2.4"}}, "torch 2.13.0 before and 2.12.0 now"),
        ({"threads": 2}, "threads 1 before and 2 now"),
        ({"processes": 4}, "processes 1 before and 4 now"),
        ({"bf16 products": "fp32"}, "bf16 products bf16 before and fp32 now"),
        ({"products": "ieee"}, "products tf32 before and ieee now"),
        ({"device": "NVIDIA H100"}, "device cpu AVX512 before and NVIDIA H100 now"),
        ({"commit": "0123456789abcdef+changes"}, "commit 0123456789 before and 0123456789+changes now"),
    ],
)
def test_what_decides_the_weights_is_compared(change: dict[str, Any], words: str) -> None:
    assert differing(LEG, LEG | change) == words


def test_what_is_not_known_of_an_older_leg_is_not_compared() -> None:
    assert differing({"first_step": 0, "versions": {"torch": "2.13.0"}}, LEG) == ""


def test_changes_are_those_from_leg_to_leg() -> None:
    two = LEG | {"first_step": 20, "threads": 2}
    assert changes([]) == changes([LEG]) == changes([LEG, LEG | {"first_step": 10}]) == []
    assert changes([LEG, two, two, LEG | {"first_step": 40}]) == [
        "step 20: threads 1 before and 2 now", "step 40: threads 2 before and 1 now"
    ]  # fmt: skip


def test_this_leg_is_plain_data() -> None:
    leg = this_leg(3, RunOptions(accelerator="cpu", devices=2), "bf16", {"torch": "x"})
    assert json.loads(json.dumps(leg)) == leg
    assert (leg["first_step"], leg["processes"], leg["threads"]) == (3, 2, torch.get_num_threads())
    assert leg["device"].startswith("cpu ")
    assert leg["bf16 products"] == ("bf16" if multiplies_in("bf16") else "fp32")
    assert "bf16 products" not in this_leg(3, RunOptions(accelerator="cpu"), "fp32", {})


@pytest.mark.parametrize("products", ["tf32", "ieee"])
def test_the_leg_of_a_gpu_says_what_fp32_is_multiplied_in(monkeypatch: pytest.MonkeyPatch, products: str) -> None:
    monkeypatch.setattr(RunOptions, "device", lambda _: "cuda")
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA H100")
    monkeypatch.setattr("dpn.gpu_products.products", lambda: products)
    leg = this_leg(3, RunOptions(), "bf16", {})
    assert (leg["device"], leg["products"]) == ("NVIDIA H100", products)
    assert not {"threads", "bf16 products"} & leg.keys()


def begun(folder: Path) -> dict[str, Any]:
    """A run that was killed after its first state, and that state."""
    with started(command(folder)) as process:
        wait_for(process, folder / "last.pt")
    state: dict[str, Any] = torch.load(folder / "last.pt", weights_only=True)
    assert state["step"] < STEPS
    return state


@pytest.mark.slow
def test_a_run_that_goes_on_with_other_threads_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    step = begun(folder)["step"]
    done = finished(command(folder, threads="2"))
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith(f"note: {folder} goes on at step {step} with threads 1 before and 2 now; ")
    assert done.stderr.count("\n") == 1
    legs = json.loads((folder / "result.json").read_text())["legs"]
    assert [(leg["first_step"], leg["threads"], leg["processes"]) for leg in legs] == [(0, 1, 1), (step, 2, 1)]
    final = torch.load(folder / "final.pt", weights_only=True)
    assert final["legs"] == legs


@pytest.mark.slow
def test_a_run_from_before_legs_were_kept_goes_on_and_other_versions_are_said(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    state = begun(folder)
    for name in ("legs", "backbone", "definition"):
        del state[name]
    older = state | {"format": 1, "versions": state["versions"] | {"numpy": "1.0"}}
    torch.save(older, folder / "last.pt")
    done = finished(command(folder))
    assert done.returncode == 0, done.stderr
    assert f"goes on at step {state['step']} with numpy 1.0 before and " in done.stderr
    assert done.stderr.count("\n") == 1
    legs = json.loads((folder / "result.json").read_text())["legs"]
    assert legs[0] == {"first_step": 0, "versions": older["versions"]}
    assert len(legs) == 2
