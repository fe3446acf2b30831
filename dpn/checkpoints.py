"""Reads weights from files, safely: nothing in a file is ever executed, and a wrong file is named as what it is."""

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from dpn.networks.dpn import DPN

IMAGENET_PREFIXES: Mapping[str, str] = {
    "conv1.": "conv0.0.",
    "bn1.": "conv0.1.",
    "layer1.": "conv1.",
    "layer2.": "conv2.blocks.",
}
"""Where the parts of torchvision's ResNet-50 stand in a DPN (Table I: its stem and first two stages)."""


class CheckpointError(ValueError):
    """A file of weights cannot be used; the message names the file and says why and what to do."""


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name, unwrapped from `state_dict` and freed of a `module.` prefix.

    Raises:
        CheckpointError: the file is missing, cut short, holds code, or holds something else than named tensors.
    """
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist or is not a file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of unusual pickle protocols, just before it refuses them
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} is no file of plain tensors: it is damaged or holds Python objects, which are never loaded; "
            "save the network's state_dict() alone"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise CheckpointError(
            f"{path} cannot be read, it may be cut short; fetch it again ({_first(error)})"
        ) from error
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not content:
        raise CheckpointError(f"{path} holds no state dict but a {type(content).__name__}")
    strangers = [str(name) for name, value in content.items() if not isinstance(value, Tensor)]
    if strangers:
        raise CheckpointError(f"{path} holds entries that are no tensors: {_some(strangers)}")
    return {str(name).removeprefix("module."): tensor for name, tensor in content.items()}


def load_imagenet(net: nn.Module, path: Path) -> tuple[str, ...]:
    """Initialises a DPN's stem, conv1 and, where it has them, conv2's bottlenecks from torchvision's ResNet-50.

    Later stages and the classifier in the file are ignored; the rest of the network keeps its values, and nothing
    changes when the file does not fit.

    Args:
        net: a `DPN`; width 32 has no bottlenecks in conv2, so that only the stem and conv1 are loaded.
        path: a torchvision-named file such as resnet50-19c8e357.pth.

    Returns:
        The names in the network that were loaded.

    Raises:
        CheckpointError: the file cannot be used, lacks a weight that the network needs, or has one of another shape.
        TypeError: the network is no DPN.
    """
    if not isinstance(net, DPN):
        raise TypeError(f"ResNet-50 weights belong into a DPN, not into a {type(net).__name__}")
    found = {_renamed(name): tensor for name, tensor in read_state_dict(path).items()}
    own = net.state_dict()
    wanted = [name for name in own if name.startswith(tuple(IMAGENET_PREFIXES.values()))]
    missing = [name for name in wanted if name not in found and not name.endswith("num_batches_tracked")]
    if missing:
        raise CheckpointError(
            f"{path} is not torchvision's ResNet-50: nothing in it for {_some(missing)}; "
            "use resnet50-19c8e357.pth or a file with its names"
        )
    loaded = {name: found[name] for name in wanted if name in found}
    for name, tensor in loaded.items():
        if tensor.shape != own[name].shape:
            shapes = f"{tuple(tensor.shape)}, the network needs {tuple(own[name].shape)}"
            raise CheckpointError(f"{path} is not torchvision's ResNet-50: {name} has the shape {shapes}")
    net.load_state_dict(loaded, strict=False)
    return tuple(loaded)


def _renamed(name: str) -> str | None:
    """A torchvision name as the DPN's, or None for a part that a DPN does not have."""
    for theirs, ours in IMAGENET_PREFIXES.items():
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    return None


def _some(names: list[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _first(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
