"""Holds the weights in a file against a network and loads them: all of them, its backbone's, or nothing."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dpn.backbones import BACKBONES, Backbone
from dpn.build import build
from dpn.definitions import definition_of
from dpn.program.quantities import some
from dpn.weight_files import CheckpointError, bare, load_plain, read_state_dict, state_dict_in, trained_as
from dpn.zoo import ZOO

WHOLE = "of whole numbers, as a quantised file holds them"

PARTS = ("backbone.", "keypoint_head.", "head.")
"""What mmpose puts before the names of its parts, in its versions 0.x and 1.x."""

Shape = tuple[int, ...]


def load(net: nn.Module, path: Path) -> str:
    """Loads the weights of a whole network, all of them; nothing changes when the file does not fit.

    Takes the files that authors released and those of their training programs, also mmpose's; counts of batches, which
    the oldest files lack, may be missing.

    Returns:
        What its user should know, see `check`; mostly nothing.

    Raises:
        CheckpointError: the file cannot be used, or is not this network's.
    """
    found, note = check(net, path)
    own = net.state_dict()
    net.load_state_dict({name: found.get(name, own[name]) for name in own}, strict=True)
    return note


def check(net: nn.Module, path: Path) -> tuple[dict[str, Tensor], str]:
    """The tensors of a file under the network's names, all that it needs, and what their user should know.

    That is one line where they were trained as a network of another definition: no weight shows a dilation or a stride,
    so that such weights load. It is empty where they are this very network's, whatever the size of its input, and where
    the file does not say what they were trained as.

    Args:
        net: as it was built; may be on the meta device.
        path: of the file.

    Raises:
        CheckpointError: the file cannot be used, or is not this network's.
    """
    content = load_plain(path)
    return _fitting(net, state_dict_in(content, path), path), _trained_otherwise(net, content, path)


def _trained_otherwise(net: nn.Module, content: Any, path: Path) -> str:
    name, there = trained_as(content)
    spec = ZOO.get(name)
    if spec and there in ("", spec.digest()):  # files of older versions, and the released ones, have no definition
        with torch.device("meta"):
            there = definition_of(build(spec), None)
    if not there or there == definition_of(net, None):
        return ""
    return (
        f"{path} was trained as {name}, whose layers then differed from this network's in what no weight shows, such "
        "as dilations"
    )


def _fitting(net: nn.Module, found: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    comparison = compare(net, found)
    if comparison.fits:
        return renamed(net, found)
    kind = type(net).__name__
    remedies = [f"python -m dpn checkpoint {path} says which network the file fits"]
    if comparison.whole:
        remedies = ["save the float weights"]
    elif comparison.joints:
        remedies = [f"build the network for {comparison.joints[0]} joints"]
        if fits_as_backbone(net, found):
            remedies.append("or take its backbone alone with load_backbone")
    raise CheckpointError(f"{path} does not fit this {kind}: {comparison.summary()}; {', '.join(remedies)}")


def load_backbone(net: nn.Module, path: Path) -> tuple[str, ...]:
    """Loads the part of a network that ImageNet files have (`dpn.backbones`), completely or not at all.

    Takes ImageNet files with their authors' names, resnet50-19c8e357.pth or hrnet_w32-36af842e.pth, and, where the
    names agree, files of whole pose networks, be it for other joints. What else is in the file, such as a classifier,
    is ignored; the rest of the network keeps its values.

    Returns:
        The names in the network that were loaded.

    Raises:
        CheckpointError: the file cannot be used, lacks a weight that the backbone needs, has one of another shape, or
            is of a deeper backbone.
        TypeError: no backbone is known for such a network.
    """
    backbone, kind = BACKBONES.get(type(net)), type(net).__name__
    if backbone is None:
        known = ", ".join(known.__name__ for known in BACKBONES)
        raise TypeError(f"no backbone is known for a {kind}, only for {known}; see dpn/backbones.py")
    part, comparison = _backbone_part(backbone, net, read_state_dict(path))
    if not comparison.fits:
        raise CheckpointError(f"{path} is no backbone of this {kind}: {comparison.summary()}; use {backbone.source}")
    net.load_state_dict(part, strict=False)
    return tuple(part)


def fits_as_backbone(net: nn.Module, found: Mapping[str, Tensor]) -> bool:
    """Whether `load_backbone` would take this state dict."""
    backbone = BACKBONES.get(type(net))
    return backbone is not None and _backbone_part(backbone, net, found)[1].fits


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A file's tensors held against a network's; counts, of batches or averages, take no part in it.

    Attributes:
        matching: number of names that both have in the same shape.
        missing: names that only the network has.
        unexpected: names that only the file has.
        misshapen: shape in the file and in the network, of names that both have.
        whole: names of whole numbers in the file and of fractions in the network.
    """

    matching: int
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    misshapen: Mapping[str, tuple[Shape, Shape]]
    whole: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether the file has what the network needs, and nothing else."""
        return not (self.missing or self.unexpected or self.misshapen or self.whole)

    @property
    def joints(self) -> tuple[int, int] | None:
        """Joints of the file and of the network, when their number is all that differs.

        Then every shape that differs does so on one axis, everywhere in the same way, and a vector is among them: the
        head's bias. (Another width differs on two axes inside, another number of input channels in no vector.)
        """
        pairs = set()
        for theirs, ours in self.misshapen.values():
            differing = [pair for pair in zip(theirs, ours, strict=False) if pair[0] != pair[1]]
            if len(theirs) != len(ours) or len(differing) != 1:
                return None
            pairs.add(differing[0])
        vector = any(len(ours) == 1 for _, ours in self.misshapen.values())
        return pairs.pop() if vector and len(pairs) == 1 and not self.missing and not self.unexpected else None

    def summary(self) -> str:
        """What differs, in one line."""
        if self.joints:
            return "it was made for {} joints, the network has {}".format(*self.joints)
        said = [
            f"{len(names)} {what} ({some(list(names))})"
            for what, names in (("missing", self.missing), ("unexpected", self.unexpected), (WHOLE, self.whole))
            if names
        ]
        if self.misshapen:
            shapes = [f"{name} {theirs} instead of {ours}" for name, (theirs, ours) in self.misshapen.items()]
            said.append(f"{len(shapes)} of another shape ({some(shapes, most=1)})")
        return ", ".join(said) or "nothing differs"


def compare(net: nn.Module, found: Mapping[str, Tensor]) -> Comparison:
    """Holds a state dict against a network's, on whatever device."""
    return _compare(net.state_dict(), renamed(net, found))


def renamed(net: nn.Module, found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict with the names that the network gives it before loading, where it accepts more than its own.

    Where all names have a prefix, as `net.` of a trainer's own module, or each has one of mmpose's (`PARTS`), and the
    network knows none of them with it and all of them without, it goes.
    """
    names = list(net.state_dict())
    own = {bare(name): name for name in names} | {name: name for name in names}
    if not own.keys() & found.keys():
        shared = next((name for name in found if not _is_count(name)), "").partition(".")[0] + "."
        for prefixes in ((shared,), PARTS):
            pattern = "|".join(map(re.escape, prefixes))
            short = {bare(re.sub(f"^(?:{pattern})", "", name)): tensor for name, tensor in found.items()}
            if len(short) == len(found) and all(name in own or _is_count(name) for name in short):
                found = short
                break
    state = {own.get(name, name): tensor for name, tensor in found.items()}
    for path, module in net.named_modules():
        for hook in module._load_state_dict_pre_hooks.values():
            hook(state, f"{path}." if path else "", {}, True, [], [], [])
    return state


def _backbone_part(
    backbone: Backbone, net: nn.Module, found: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], Comparison]:
    """What of a state dict belongs into the network's backbone, by the network's names, and how that fits.

    Nothing is asked for a part of the file that the network does not have at all.
    """
    own = {name: tensor for name, tensor in net.state_dict().items() if name.startswith(tuple(backbone.parts.values()))}
    theirs = {}
    for name, tensor in found.items():
        part = next((part for part in backbone.parts if name.startswith(part)), None)
        if part and not name.startswith(backbone.unused):
            ours = backbone.parts[part]
            if any(known.startswith(ours) for known in own):
                theirs[ours + name.removeprefix(part)] = tensor
    return {name: theirs[name] for name in own if name in theirs}, _compare(own, theirs)


def _compare(own: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> Comparison:
    needed = {name: tuple(tensor.shape) for name, tensor in own.items() if not _is_count(name)}
    given = {name: tuple(tensor.shape) for name, tensor in found.items() if not _is_count(name)}
    misshapen = {name: (given[name], shape) for name, shape in needed.items() if given.get(name, shape) != shape}
    whole = [name for name in needed if name in given and own[name].dtype.is_floating_point]
    return Comparison(
        matching=len(needed.keys() & given.keys()) - len(misshapen),
        missing=tuple(name for name in needed if name not in given),
        unexpected=tuple(name for name in given if name not in needed),
        misshapen=misshapen,
        whole=tuple(name for name in whole if not found[name].dtype.is_floating_point),
    )


def _is_count(name: str) -> bool:
    """A count that inference does not read, and that files may lack or have: of batches, or of averaged weights."""
    return name.endswith("num_batches_tracked") or name == "n_averaged"
