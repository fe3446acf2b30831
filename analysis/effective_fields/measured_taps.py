"""Which taps of a network's convolutions get a gradient, with the weights that it has. Needs torch."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from analysis.effective_fields.field_pass import forward
from analysis.effective_fields.responses import IMAGES_AT_ONCE
from bench.counts.watching import evaluation_in_parts


@dataclass(frozen=True, kw_only=True)
class MeasuredTaps:
    """The taps of one convolution whose weights get a gradient.

    Attributes:
        layer: dotted path of the module.
        kernel_hw: taps of the rows and of the columns.
        live: for each row of taps and each tap whether any of its weights got one.
        taps: all taps.
        live_taps: those that got one.
        is_1x1: a kernel of more taps of which one got one.
    """

    layer: str
    kernel_hw: tuple[int, int]
    live: tuple[tuple[bool, ...], ...]
    taps: int
    live_taps: int
    is_1x1: bool


def measured_taps(net: nn.Module, images: Tensor) -> tuple[MeasuredTaps, ...]:
    """Which taps of each convolution get any gradient, for a random signed cotangent at every output.

    A tap that only ever meets padding gets exactly none. A tap can also get none because of the weights, such as one
    behind units that never fire: what is live here is live, and what is dead may be so for these images alone.

    Args:
        net: the network, left as it was; the map that it returns is what matters.
        images: (B, C, H, W).

    Raises:
        CountError: the forward pass failed.
        ValueError: the network returns no single tensor.
    """
    layers = {name: module for name, module in net.named_modules() if isinstance(module, nn.Conv2d)}
    weights = [layer.weight for layer in layers.values()]
    asked = [weight.requires_grad for weight in weights]
    totals = [torch.zeros(weight.shape[2:]) for weight in weights]
    draw = torch.Generator().manual_seed(0)
    try:
        for weight in weights:
            weight.requires_grad_()
        with evaluation_in_parts(net), torch.enable_grad():
            for first in range(0, len(images), IMAGES_AT_ONCE):
                out = forward(net, images[first : first + IMAGES_AT_ONCE])
                if not isinstance(out, Tensor):
                    raise ValueError(f"{type(net).__name__} returns several values; wrap it so that it returns one map")
                signs = 2 * torch.randint(0, 2, out.shape, generator=draw) - 1
                gradients = torch.autograd.grad(out, weights, signs.to(out), allow_unused=True)
                for total, gradient in zip(totals, gradients, strict=True):
                    if gradient is not None:
                        total += (gradient != 0).sum((0, 1)).cpu()
    finally:
        for weight, before in zip(weights, asked, strict=True):
            weight.requires_grad_(before)
    return tuple(_taps(name, total != 0) for name, total in zip(layers, totals, strict=True))


def _taps(layer: str, live: Tensor) -> MeasuredTaps:
    taps, alive = live.numel(), int(live.sum())
    grid = tuple(tuple(map(bool, row)) for row in live.tolist())
    return MeasuredTaps(
        layer=layer, kernel_hw=(live.shape[0], live.shape[1]), live=grid, taps=taps, live_taps=alive,
        is_1x1=alive == 1 and taps > 1,
    )  # fmt: skip
