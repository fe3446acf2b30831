"""A cell's network as PyTorch runs it: built from a fixed seed, with maps of sensible size. Needs torch."""

import dataclasses
import random
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.cell import Cell
from bench.subject import resolve
from dpn.evaluation_mode import evaluating
from dpn.program.silence import silent
from dpn.torch_dispatch import unfused

SEED = 5

STATISTICS = "statistics.npz"
"""Running means and variances, so that every process has the same without computing anything."""

OPSET = 18


def network(cell: Cell, folder: Path | None = None) -> nn.Module:
    """The network of a cell, in evaluation mode, the same in every process.

    Args:
        cell: what to build.
        folder: where `running.artifacts.prepare` wrote the statistics of batch norm; without it they are computed.

    Raises:
        RuntimeError: the network cannot be built or called.
    """
    net = seeded(cell)
    if folder is None:
        calibrate(net, example(cell)[:1])
    else:
        with np.load(folder / STATISTICS, allow_pickle=False) as stored:
            for name, module in norms(net):
                module.running_mean.copy_(torch.from_numpy(stored[f"{name}.running_mean"]))
                module.running_var.copy_(torch.from_numpy(stored[f"{name}.running_var"]))
    return net


def seeded(cell: Cell) -> nn.Module:
    """The network as its factory makes it after every generator was seeded, in evaluation mode."""
    random.seed(SEED)
    np.random.seed(SEED)
    torch.manual_seed(SEED)
    return evaluating(resolve(cell.subject, cell.input_hw).factory())


def example(cell: Cell) -> Tensor:
    """The input, [B, 3, H, W]: standard normal, as normalised images are, and the same in every process."""
    return torch.randn(cell.shape(), generator=torch.Generator().manual_seed(SEED))


def calibrate(net: nn.Module, image: Tensor) -> None:
    """Sets the running variance of every untrained batch norm to the mean square of what reaches it from `image`.

    Batch norm of a fresh network does nothing in evaluation mode, so maps shrink or grow with depth: to 1e-12 of their
    size in HRNet and DPN, to nothing in fp16; by a factor of a thousand in CPN. One variance for all channels, and no
    mean, keeps maps near one and the network as linear as it was: with a mean and a variance for each channel, those
    that hardly vary would blow up rounding errors a hundredfold, and back ends that agree would seem to differ.

    Args:
        net: in evaluation mode.
        image: [1, 3, H, W].
    """
    hooks = [module.register_forward_pre_hook(_fit) for _, module in norms(net) if _untrained(module)]
    try:
        with torch.no_grad():
            net(image)
    finally:
        for hook in hooks:
            hook.remove()


def norms(net: nn.Module) -> Iterator[tuple[str, Any]]:
    """Name and module of everything that normalises by running statistics, frozen or not."""
    for name, module in net.named_modules():
        if isinstance(getattr(module, "running_mean", None), Tensor):
            yield name, module


def save_statistics(net: nn.Module, path: Path) -> None:
    """Writes the running statistics of a network as a NumPy archive."""
    arrays = {
        f"{name}.{statistic}": getattr(module, statistic).numpy()
        for name, module in norms(net)
        for statistic in ("running_mean", "running_var")
    }
    with path.open("wb") as file:
        np.savez(file, **arrays)


def flatten(answer: Any) -> list[Tensor]:
    """The tensors of a network's answer in order: of lists, tuples, mappings and dataclasses, however nested.

    Example:
        >>> [tensor.item() for tensor in flatten({"a": [torch.tensor(1), (torch.tensor(2),)], "b": None})]
        [1, 2]
    """
    if isinstance(answer, Tensor):
        return [answer]
    if dataclasses.is_dataclass(answer) and not isinstance(answer, type):
        parts: Any = [getattr(answer, field.name) for field in dataclasses.fields(answer)]
    elif isinstance(answer, Mapping):
        parts = answer.values()
    elif isinstance(answer, list | tuple):
        parts = answer
    else:
        parts = ()
    return [tensor for part in parts for tensor in flatten(part)]


class _Flat(nn.Module):
    """A network that answers with a plain tuple of tensors, as a graph needs it."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(flatten(self.net(x)))


def export(net: nn.Module, image: Tensor, path: Path) -> None:
    """Writes a network as an ONNX file, by tracing one call; what fails to be written prints nothing.

    Torch's newer exporter takes several times as long and needs a further package; its older one is deprecated, and
    says so in a warning.

    Args:
        net: in evaluation mode.
        image: the input, whose shape becomes the file's.
        path: of the file.

    Raises:
        RuntimeError: some operator of the network has no counterpart, with the reason in one line.
    """
    try:
        with warnings.catch_warnings(), torch.no_grad(), unfused(), silent():
            warnings.simplefilter("ignore")  # deprecation, and sizes that become constants, which is what is wanted
            torch.onnx.export(_Flat(net), (image,), str(path), opset_version=OPSET, input_names=["input"], dynamo=False)
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
        reason = lines[0].partition(" Please feel free")[0]
        raise RuntimeError(f"{type(error).__name__}: {reason[:200]}") from error


def _fit(module: Any, inputs: tuple[Tensor, ...]) -> None:
    module.running_var.fill_(inputs[0].square().mean().item() or 1.0)


def _untrained(module: Any) -> bool:
    return not module.running_mean.any() and bool((module.running_var == 1).all())
