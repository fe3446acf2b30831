"""How strongly each map of a network responds to one position of its image: the fan-out, by forward differentiation."""

import difflib
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd import forward_ad

from analysis.effective_fields.field_pass import forward
from bench.counts.watching import evaluation_in_parts

IMAGES_AT_ONCE = 8

Maps = NDArray[np.float64]
Units = Sequence[tuple[int, int]]


def squared_responses(
    net: nn.Module, images: Tensor, positions: Units, *, to: Sequence[str] | None = None, seed: int = 0
) -> dict[str, Maps]:
    """Squared derivatives of every named map along a random signed change of one position of the image.

    By forward-mode differentiation: one pass for each position tells of all maps.

    Args:
        net: the network, left as it was.
        images: (B, C, H, W).
        positions: row and column of each.
        to: dotted paths of the modules whose maps to keep, "output" for the network's; by default all. A module that
            is called again tells of its first call.
        seed: of the signs.

    Returns:
        (positions, B, H, W) for each map, summed over channels.

    Raises:
        CountError: the forward pass failed.
        KeyError: no such map.
    """
    _load_forward_formulas()
    draw = torch.Generator().manual_seed(seed)
    found: dict[str, list[Maps]] = {}
    with evaluation_in_parts(net), torch.no_grad():
        for y, x in positions:
            tangent = torch.zeros_like(images)
            signs = torch.randint(0, 2, images.shape[:2], generator=draw)
            tangent[:, :, y, x] = (2 * signs - 1).to(images)
            for name, maps in _responses(net, images, tangent, to).items():
                found.setdefault(name, []).append(maps)
    wanted = list(found) if to is None else list(to)
    if missing := [name for name in wanted if name not in found]:
        known = [name for name, _ in net.named_modules() if name]
        near = difflib.get_close_matches(missing[0], known, n=4, cutoff=0.3) or known[:4]
        raise KeyError(f"no module {missing[0]!r} returns a map; the nearest are {', '.join(near)}")
    return {name: np.stack(found[name]) for name in wanted}


def _load_forward_formulas() -> None:
    """Has torch load what forward differentiation needs, and with it a part of torch that warns of itself."""
    with warnings.catch_warnings(), forward_ad.dual_level():
        warnings.simplefilter("ignore", DeprecationWarning)
        forward_ad.make_dual(torch.zeros(1), torch.zeros(1))  # type: ignore[no-untyped-call]  # torch ships it without annotations


def _responses(net: nn.Module, images: Tensor, tangent: Tensor, to: Sequence[str] | None) -> dict[str, Maps]:
    """The maps of one position, by name; (B, H, W) each."""
    parts: dict[str, list[Maps]] = {}
    told: set[str] = set()  # in this batch

    def note(name: str, output: Any) -> None:
        if name in told or (to is not None and name not in to) or not isinstance(output, Tensor) or output.dim() != 4:
            return
        told.add(name)
        change = forward_ad.unpack_dual(output).tangent  # type: ignore[no-untyped-call]  # torch ships it without annotations
        squared = (torch.zeros_like(output) if change is None else change).double() ** 2
        parts.setdefault(name, []).append(squared.sum(1).numpy(force=True))

    hooks = [
        module.register_forward_hook(lambda _module, _inputs, output, name=name: note(name, output))
        for name, module in net.named_modules()
        if name
    ]
    try:
        for first in range(0, len(images), IMAGES_AT_ONCE):
            told.clear()
            batch, change = (part[first : first + IMAGES_AT_ONCE] for part in (images, tangent))
            with forward_ad.dual_level():
                dual = forward_ad.make_dual(batch.clone(), change)  # type: ignore[no-untyped-call]  # torch ships it without annotations
                note("output", forward(net, dual))
    finally:
        for hook in hooks:
            hook.remove()
    return {name: np.concatenate(maps) for name, maps in parts.items()}
