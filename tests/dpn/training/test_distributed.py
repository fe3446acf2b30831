"""Two processes on a CPU are one with the double batch, and validate everybody once."""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

from dpn.training.batch_norm import SyncedBatchNorm2d, synchronise
from dpn.training.validation import together
from tests.dpn.training.runs import finished


def trained(folder: Path, devices: int) -> None:
    options = {
        "--network": "tiny_network:without_dropout", "--data": "synthetic:seed=1,images=80",
        "--val-data": "synthetic:seed=2,images=14", "--val-people": "21", "--epochs": "2", "--drops": "1",
        "--batch": "8", "--precision": "fp32", "--threads": "1", "--accelerator": "cpu", "--devices": str(devices),
        "--pictures-every": "0",
    }  # fmt: skip
    done = finished(
        [sys.executable, "-m", "dpn", "train", "quick/dpn1_32_lite", "--folder", str(folder), "--sync-batch-norm",
         "--no-sanity", *(word for option in options.items() for word in option)]
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_two_processes_train_as_one_with_the_double_batch(tmp_path: Path) -> None:
    losses, results = [], []
    for devices in (1, 2):
        folder = tmp_path / str(devices)
        trained(folder, devices)
        with (folder / "log.csv").open(newline="") as file:
            losses.append({int(row["step"]): float(row["loss"]) for row in csv.DictReader(file) if row["loss"]})
        results.append(json.loads((folder / "result.json").read_text()))
    assert losses[0].keys() == losses[1].keys() == {10, 20}
    assert abs(losses[1][20] - losses[0][20]) < 1e-5
    assert losses[1][20] == pytest.approx(losses[0][20], rel=1e-4)
    assert results[0]["people"] == results[1]["people"] == 21
    # After 20 steps heatmaps are nearly flat, and rounding decides where their largest value is.
    assert results[1]["scores"]["mean_oks"] == pytest.approx(results[0]["scores"]["mean_oks"], abs=0.02)
    one, two = (torch.load(tmp_path / n / "final.pt", weights_only=True)["state_dict"] for n in ("1", "2"))
    for name in one:
        assert torch.allclose(one[name], two[name], atol=1e-4, rtol=1e-3), name


def test_shares_with_somebody_twice_or_missing_are_refused() -> None:
    """A padded shard counts people twice (protocol, trap 11 of section 11)."""
    points = np.zeros((3, 17, 3))
    with pytest.raises(RuntimeError, match="6 predictions of 5 people"):
        together(5, [(np.array([0, 2, 4]), points), (np.array([1, 3, 0]), points)])
    found = together(5, [(np.array([0, 2, 4]), points), (np.array([1, 3]), points[:2] + 1)])
    assert found[:, 0, 0].tolist() == [0, 1, 0, 1, 0]


def normed(rank: int, port: int, folder: str, bf16: bool) -> None:
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    x, net = batch_and_net(bf16=bf16)
    synchronise(net)
    half = x[rank::2].clone().requires_grad_()
    found = net(half)
    assert found.dtype == x.dtype
    (found * wanted(found)[rank::2]).sum().backward()
    gradients = [parameter.grad for parameter in net.parameters()]
    for gradient in gradients:
        dist.all_reduce(gradient)
    torch.save({"x": half.grad, "net": gradients, "buffers": list(net.buffers())}, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def batch_and_net(*, bf16: bool = False) -> tuple[torch.Tensor, nn.Module]:
    """In bf16 batch norm alone, as autocast feeds it, with channels far from 0, whose means 8 bits do not hold."""
    torch.manual_seed(0)
    if bf16:
        return torch.randn(6, 4, 9, 7).add(20).bfloat16(), nn.Sequential(nn.BatchNorm2d(4))
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1), nn.BatchNorm2d(2))
    return torch.randn(6, 3, 9, 7), net


def wanted(found: torch.Tensor) -> torch.Tensor:
    """Gradients of what comes out, for all six images."""
    return torch.randn(6, *found.shape[1:], generator=torch.Generator().manual_seed(1)).to(found.dtype)


@pytest.mark.slow
@pytest.mark.parametrize("bf16", [False, True])
def test_synchronised_batch_norm_is_that_of_the_whole_batch(tmp_path: Path, unused_port: int, bf16: bool) -> None:
    """In bf16 what goes in and out has 8 bits, statistics and the gradients of weights have all."""
    mp.spawn(normed, args=(unused_port, str(tmp_path), bf16), nprocs=2)  # type: ignore[no-untyped-call]
    shares = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1)]
    x, net = batch_and_net(bf16=bf16)
    x.requires_grad_()
    found = net(x)
    (found * wanted(found)).sum().backward()
    assert x.grad is not None
    for rank, share in enumerate(shares):
        assert torch.allclose(share["x"], x.grad[rank::2], atol=1e-5, rtol=2**-7 if bf16 else 1e-5)
        for mine, whole in zip(share["net"], net.parameters(), strict=True):
            assert torch.allclose(mine, whole.grad, atol=1e-4)
        for mine, whole in zip(share["buffers"], net.buffers(), strict=True):
            assert torch.allclose(mine, whole, atol=1e-6)


def test_synchronised_batch_norm_keeps_names_and_values_and_is_plain_alone() -> None:
    x, net = batch_and_net()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    expected = net(x)
    _, other = batch_and_net()
    synchronise(other)
    assert sum(type(module) is SyncedBatchNorm2d for module in other.modules()) == 2
    assert all(torch.equal(before[name], tensor) for name, tensor in other.state_dict().items())
    assert torch.equal(other(x), expected)
