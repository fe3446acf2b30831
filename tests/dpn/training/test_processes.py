"""What starts processes is asked for what is there, and Lightning for what the network needs."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from dpn.training import processes
from dpn.training.options import RunOptions
from dpn.training.recipes import find


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RunOptions, "device", lambda _: "cuda")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.mark.usefixtures("two_gpus")
def test_more_devices_than_gpus_are_refused() -> None:
    processes.check_count(RunOptions(devices=2, num_nodes=3))
    with pytest.raises(ValueError, match=r"^--devices 4: this machine has 2 GPUs; take --devices 2 or less$"):
        processes.check_count(RunOptions(devices=4))


def asked(monkeypatch: pytest.MonkeyPatch, where: RunOptions, *, idle: bool) -> dict[str, Any]:
    """Of Lightning's trainer."""
    monkeypatch.setattr("lightning.pytorch.Trainer", lambda **options: options)
    flow: Any = SimpleNamespace(folder=SimpleNamespace(path=Path()))
    options: Any = processes._trainer(find("quick/dpn1_32_lite"), where, flow, idle=idle)
    return dict(options)


@pytest.mark.parametrize("idle", [False, True])
def test_several_processes_wait_for_no_gradient_that_never_comes(monkeypatch: pytest.MonkeyPatch, idle: bool) -> None:
    strategy = asked(monkeypatch, RunOptions(accelerator="cpu", devices=2), idle=idle)["strategy"]
    assert strategy._ddp_kwargs == {"find_unused_parameters": idle}


def test_cudnn_looks_for_its_fastest_algorithms_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not asked(monkeypatch, RunOptions(accelerator="cpu"), idle=False)["benchmark"]
    monkeypatch.setattr(RunOptions, "device", lambda _: "cuda")
    assert asked(monkeypatch, RunOptions(), idle=False)["benchmark"]
