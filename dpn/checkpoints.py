"""Reads weights from files, safely: nothing in a file is ever executed, and a wrong file is named as what it is."""

import re
import warnings
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dpn.backbones import BACKBONES, Backbone
from dpn.program.error_words import first_said
from dpn.program.quantities import some

WRAPPERS = ("best_state_dict", "state_dict", "model")
"""Where training programs put the weights in a larger file; the first that is there is taken."""

WHOLE = "of whole numbers, as a quantised file holds them"

Shape = tuple[int, ...]


class CheckpointError(ValueError):
    """A file of weights cannot be used; the message names the file and says why and what to do."""


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name, unwrapped (`WRAPPERS`), without the prefixes `module.` and `_orig_mod.`.

    Raises:
        CheckpointError: the file is missing, cut short, holds code, holds something else than named tensors of real
            numbers, or two of one name.
    """
    content = load_plain(path)
    if isinstance(content, Mapping):
        content = next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)), content)
    if not isinstance(content, Mapping) or not content:
        raise CheckpointError(f"{path} holds no state dict but a {type(content).__name__}; save net.state_dict() alone")
    strangers = [str(name) for name, value in content.items() if not isinstance(value, Tensor)]
    if strangers:
        raise CheckpointError(
            f"{path} holds entries that are no tensors: {some(strangers)}; save net.state_dict() alone"
        )
    for name, tensor in content.items():
        if wrong := _unusable(tensor):
            raise CheckpointError(f"{path}: {name} {wrong}")
    names: dict[str, object] = {}
    for name in content:
        if (other := names.setdefault(_bare(str(name)), name)) is not name:
            raise CheckpointError(f"{path} holds {other} and {name}, which are one; save net.state_dict() alone")
    return {bare: content[name] for bare, name in names.items()}


def _bare(name: str) -> str:
    """A name without what torch's wrappers put before it: for several GPUs `module.`, for compilation `_orig_mod.`."""
    return re.sub(r"^(?:module\.|_orig_mod\.)+", "", name)


def _unusable(tensor: Tensor) -> str:
    """Why a tensor cannot be a weight, with what to do; empty where it can."""
    if tensor.layout is not torch.strided or tensor.is_meta or tensor.is_quantized:
        return "is sparse, quantised or empty of numbers; save the state dict of the network as it is in memory"
    if tensor.is_complex():
        return "holds complex numbers; save real ones"
    if tensor.is_floating_point() and bool(torch.isnan(_stored(tensor)).any()):
        return "holds values that are no numbers, as after a training that diverged; take an earlier file"
    return ""


def _stored(tensor: Tensor) -> Tensor:
    """Its numbers, each once: of an expanded tensor there are fewer in memory than its shape says, by any factor."""
    stored = tensor.untyped_storage().nbytes() // tensor.element_size()
    return tensor if tensor.numel() <= stored else tensor.as_strided((stored,), (1,), 0)


def load(net: nn.Module, path: Path) -> None:
    """Loads the weights of a whole network, all of them; nothing changes when the file does not fit.

    Takes the files that authors released and those of their training programs; counts of batches, which the oldest
    files lack, may be missing.

    Raises:
        CheckpointError: the file cannot be used, or is not this network's.
    """
    found = check(net, path)
    own = net.state_dict()
    net.load_state_dict({name: found.get(name, own[name]) for name in own}, strict=True)


def check(net: nn.Module, path: Path) -> dict[str, Tensor]:
    """The tensors of a file under the network's names, all that it needs; the network may be on the meta device.

    Raises:
        CheckpointError: the file cannot be used, or is not this network's.
    """
    found = read_state_dict(path)
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
    """A file's tensors held against a network's; counts of batches take no part in it.

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

    Where all names have a prefix, as `net.` of a trainer's own module, and the network knows none of them with it and
    all of them without, it goes.
    """
    names = list(net.state_dict())
    own = {_bare(name): name for name in names} | {name: name for name in names}
    if not own.keys() & found.keys():
        prefix = next(iter(found), "").partition(".")[0] + "."
        short = {_bare(name.removeprefix(prefix)): tensor for name, tensor in found.items()}
        if all(name in own or _is_count(name) for name in short):
            found = short
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
    """Batch norm's count of batches, which old files and frozen layers lack, and which inference does not read."""
    return name.endswith("num_batches_tracked")


def load_plain(path: Path) -> Any:
    """What a file of torch holds, tensors and plain data; nothing in it is executed.

    Raises:
        CheckpointError: the file is missing, cut short, damaged, of another kind, or holds code.
    """
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist or is not a file")
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(_numbers()):
            warnings.simplefilter("ignore")  # of unusual pickle protocols, just before it refuses them
            _check_sums(path)
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # bytes that are no checkpoint make its reader fail in every way there is
        wrong = _other_kind(path)
        damaged = isinstance(error, UnpicklingError | zipfile.BadZipFile)
        if not wrong and (damaged or "weights_only" in str(error)):  # not torch's advice
            wrong = (
                "is no file of plain tensors: it is damaged or holds Python objects, which are never loaded; "
                "fetch it again, or save net.state_dict() alone"
            )
        wrong = wrong or f"cannot be read, it may be cut short; fetch it again ({first_said(error)})"
        raise CheckpointError(f"{path} {wrong}") from error


def _check_sums(path: Path) -> None:
    """Raises BadZipFile where an archive holds other bytes than were written: torch writes check sums and reads none.

    That takes no more than to read the file once. Left out are members that are compressed, which torch never does, and
    could be of any size, and those without a sum (`torch.serialization.set_crc32_options`).
    """
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        members = [one for one in archive.infolist() if one.compress_type == zipfile.ZIP_STORED and one.CRC]
        if sum(one.compress_size for one in members) > path.stat().st_size:
            raise zipfile.BadZipFile("members overlap")
        for one in members:
            with archive.open(one) as file:
                while file.read(1 << 20):
                    pass


def _other_kind(path: Path) -> str:
    """What a file of weights of another kind is, with how to make a file of torch from it; empty for what is none."""
    with suppress(OSError), path.open("rb") as file:
        start = file.read(9)
        if start[8:] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size:
            return "is a safetensors file; convert it: torch.save(safetensors.torch.load_file(FILE), NEW)"
    with suppress(Exception), zipfile.ZipFile(path) as archive:  # damaged ones fail in several ways
        if any(name.endswith("/constants.pkl") for name in archive.namelist()):
            return "is a TorchScript archive; save its state dict: torch.save(torch.jit.load(FILE).state_dict(), NEW)"
    return ""


def _numbers() -> list[Any]:
    """Plain numbers of numpy, beside torch's own safe types: the HRNet trainer keeps the best AP as one."""
    scalar = np.float64(0).__reduce__()[0]
    kinds = {type(np.dtype(kind)) for kind in (np.float32, np.float64, np.int64)}
    return [scalar, (scalar, "numpy.core.multiarray.scalar"), np.dtype, *kinds]
