"""Reads weights from files, safely: nothing in a file is ever executed, and a wrong file is named as what it is."""

import re
import warnings
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dpn.program.cli import note
from dpn.program.error_words import first_said
from dpn.program.quantities import some

WRAPPERS = ("best_state_dict", "state_dict", "model")
"""Where training programs put the weights in a larger file; the first that is there is taken."""

AVERAGES = ("ema", "ema_state_dict", "model_ema", "state_dict_ema")
"""Where others put a moving average beside them, or what it replaced, which no name tells."""


class CheckpointError(ValueError):
    """A file of weights cannot be used; the message names the file and says why and what to do."""


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name, unwrapped, without the prefixes `module.` and `_orig_mod.`.

    Of our own run that goes on it is the moving average, where there is one, as that is what is validated; otherwise
    what is under one of `WRAPPERS`, or else in the only entry that holds tensors.

    Raises:
        CheckpointError: the file is missing, cut short, holds code, holds something else than named tensors of real
            numbers, or two of one name.
    """
    return state_dict_in(load_plain(path), path)


def state_dict_in(content: Any, path: Path) -> dict[str, Tensor]:
    """As `read_state_dict`, of what that file holds."""
    content = _unwrapped(content, path)
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
        if (other := names.setdefault(bare(str(name)), name)) is not name:
            raise CheckpointError(f"{path} holds {other} and {name}, which are one; save net.state_dict() alone")
    return {short: content[name] for short, name in names.items()}


def trained_as(content: Any) -> tuple[str, str]:
    """Name and definition of the network in whose training this project wrote such a file; empty where it says none."""
    recipe = content.get("recipe") if isinstance(content, Mapping) else None
    name = recipe.get("network") if isinstance(recipe, Mapping) else None
    if not isinstance(name, str) or not name.isprintable():
        return "", ""
    definition = content.get("definition")
    return name, definition if isinstance(definition, str) else ""


def _unwrapped(content: Any, path: Path) -> Any:
    """What in a file are its weights; says so where there are others that may be meant."""
    if not isinstance(content, Mapping):
        return content
    average = content.get("average")
    if isinstance(average, Mapping) and "n_averaged" in average:
        return average
    taken = next((key for key in WRAPPERS if isinstance(content.get(key), Mapping)), None)
    if taken is None:
        inside = [one for one in content.values() if isinstance(one, Mapping) and one and _all_tensors(one)]
        return inside[0] if len(inside) == 1 else content
    if others := [key for key in AVERAGES if isinstance(content.get(key), Mapping)]:
        note(f"of {path} the weights under {taken} are taken; it also holds {some(others)}, to be saved alone if meant")
    return content[taken]


def _all_tensors(content: Mapping[Any, Any]) -> bool:
    return all(isinstance(value, Tensor) for value in content.values())


def bare(name: str) -> str:
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
