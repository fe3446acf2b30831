"""What a GPU multiplies in is told: in a run's legs, and where bf16 is emulated."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from dpn.gpu_products import advice, products
from dpn.training import run
from dpn.training.options import RunOptions
from dpn.training.recipes import find


@pytest.fixture
def t4(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU from before Ampere, and training that ends before it needs one."""
    monkeypatch.setattr(RunOptions, "device", lambda _: "cuda")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Tesla T4")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *, including_emulation: including_emulation)
    monkeypatch.delattr(run, "prepare")


def test_what_fp32_is_multiplied_in_is_torchs_choice() -> None:
    cudnn: Any = torch.backends.cudnn
    before = cudnn.conv.fp32_precision
    try:
        for word in ("tf32", "ieee"):
            cudnn.conv.fp32_precision = word
            assert products() == word
    finally:
        cudnn.conv.fp32_precision = before


@pytest.mark.usefixtures("t4")
def test_bf16_that_is_emulated_is_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(NameError, match="prepare"):
        run.train(replace(find("quick/dpn1_32_lite"), precision="bf16"), RunOptions(folder=tmp_path))
    said = "Tesla T4 has no arithmetic for bf16 and emulates it slowly; --precision fp32 is faster"
    assert capsys.readouterr().err == f"note: {said}\n"


def test_bf16_that_the_gpu_multiplies_in_needs_no_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *, including_emulation: not including_emulation)
    assert advice("bf16") == ""
