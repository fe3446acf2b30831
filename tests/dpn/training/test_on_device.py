"""A run on each kind of device: in half precision, stopped by a signal, and continued to its end."""

import json
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dpn.training.options import RunOptions
from dpn.training.recipes import find
from dpn.training.run import train
from dpn.training.stopping import Stopped
from tests.dpn.devices import DEVICES_SLOWLY

STEPS, STOPPED_AT = 30, 10


@pytest.mark.parametrize("device", DEVICES_SLOWLY)
@pytest.mark.usefixtures("one_thread")
def test_a_run_in_half_precision_is_stopped_and_continued(
    device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    recipe = replace(
        find("full/dpn1_64"), network="tests.dpn.training.tiny_network:build", data="synthetic:seed=1,images=48",
        val_data="synthetic:seed=2,images=6", epochs=5, drops=(3,), batch=8,
    )  # fmt: skip
    assert (recipe.precision, recipe.channels_last) == ("bf16", True)
    where = RunOptions(folder=tmp_path, accelerator=device, threads=1, workers=2, sanity=False)  # type: ignore[arg-type]

    def told(done: int, total: int, text: str) -> None:
        del total, text
        if done == STOPPED_AT:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Stopped):
        train(recipe, where, told)
    assert torch.load(tmp_path / "last.pt", weights_only=True)["step"] == STOPPED_AT
    result = train(recipe, where)
    assert (result["steps"], result["device"]) == (STEPS, device)
    assert [leg["first_step"] for leg in result["legs"]] == [0, STOPPED_AT]
    assert all(("products" in leg) == (device == "cuda") for leg in result["legs"])
    assert result["scores"] == json.loads((tmp_path / "result.json").read_text())["scores"]
    saved = torch.load(tmp_path / "final.pt", weights_only=True)["state_dict"].values()
    assert all(weight.device.type == "cpu" and weight.isfinite().all() for weight in saved)
