"""Gridding of networks with weights, trained or random: what gradients say of neighbours, roughness and dead taps.

A squared gradient with random signed cotangents estimates how much of an output's variance comes from each position.
Where the exact form (`analysis.gridding`, `analysis.coupling`) says that two outputs share nothing, the cosine of
their maps is exactly 0; where they share positions, it also tells how evenly.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from analysis.path_matrices import half_band
from analysis.responses import IMAGES_AT_ONCE, squared_responses
from bench.macs import evaluation_mode

RESAMPLES = 1000

Maps = NDArray[np.float64]
Units = Sequence[tuple[int, int]]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A scalar of one map, or the mean of it over maps.

    Attributes:
        map: name of the map, or "mean".
        value: of the mean over all images; with more of them cosines tend to rise, and high shares to fall.
        low: lower end of the bootstrap 95 % interval over images, for what very many would give.
        high: upper end.
        images: how many.
        units: how many units, or pairs of neighbours, the value is a mean over.
    """

    map: str
    value: float
    low: float
    high: float
    images: int
    units: int


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


def neighbour_cosines(
    net: nn.Module, images: Tensor, units: Units, *, to: Sequence[str], of: str = "output",
    step: tuple[int, int] = (0, 1), seed: int = 0,
) -> tuple[Measured, ...]:  # fmt: skip
    """Cosine of the squared-gradient maps of neighbouring units, on each map; the last row is the mean over the maps.

    Maps are averaged over images first, and cosines then over units. Where a unit reads nothing, the cosine is 0.

    Args:
        net: the network, left as it was.
        images: (B, C, H, W), at least two.
        units: row and column of the first of each pair.
        to: the maps to look at, by name. Those between input and output tell of the wiring.
        of: the map of the units.
        step: from a unit to its neighbour.
        seed: of cotangents and bootstrap.

    Raises:
        KeyError: no such map.
        ValueError: fewer than two images, or no units or maps.
    """
    pairs = [*units, *((y + step[0], x + step[1]) for y, x in units)]
    found = _gradients(net, images, pairs, of, to, seed)
    weights = _resampled(len(images), seed)
    rows = [_pair_cosines(maps[: len(units)], maps[len(units) :], weights) for maps in found.values()]
    return _told(list(found), rows, len(images), len(units))


def high_shares(
    net: nn.Module, images: Tensor, units: Units, *, to: Sequence[str], of: str = "output", seed: int = 0
) -> tuple[Measured, ...]:
    """Fan-in: share of the spectral energy of units' squared-gradient maps above half the Nyquist frequency.

    As `path_matrices.high_share`, of the mean over images, and then the mean over units; arguments, rows and errors
    are those of `neighbour_cosines`.
    """
    found = _gradients(net, images, units, of, to, seed)
    return _shares(found, len(images), len(units), seed)


def high_shares_out(
    net: nn.Module, images: Tensor, positions: Units, *, to: Sequence[str], seed: int = 0
) -> tuple[Measured, ...]:
    """Fan-out: the same of how strongly every map responds to one position of the image (`squared_responses`)."""
    _check(images, positions, to)
    found = squared_responses(net, images, positions, to=to, seed=seed)
    return _shares(found, len(images), len(positions), seed)


def measured_taps(net: nn.Module, images: Tensor, *, seed: int = 0) -> tuple[MeasuredTaps, ...]:
    """Which taps of each convolution get any gradient, for a random signed cotangent at every output.

    A tap that only ever meets padding gets exactly none. A tap can also get none because of the weights, such as one
    behind units that never fire: what is live here is live, and what is dead may be so for these images alone.

    Args:
        net: the network, left as it was; the map that it returns is what matters.
        images: (B, C, H, W).
        seed: of the cotangents.

    Raises:
        ValueError: the network returns no single tensor.
    """
    layers = {name: module for name, module in net.named_modules() if isinstance(module, nn.Conv2d)}
    weights = [layer.weight for layer in layers.values()]
    asked = [weight.requires_grad for weight in weights]
    totals = [torch.zeros(weight.shape[2:]) for weight in weights]
    draw = torch.Generator().manual_seed(seed)
    try:
        for weight in weights:
            weight.requires_grad_()
        with evaluation_mode(net), torch.enable_grad():
            for first in range(0, len(images), IMAGES_AT_ONCE):
                out = net(images[first : first + IMAGES_AT_ONCE])
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


def _gradients(net: nn.Module, images: Tensor, units: Units, of: str, to: Sequence[str], seed: int) -> dict[str, Maps]:
    _check(images, units, to)
    from analysis.effective import squared_gradients

    found = squared_gradients(net, images, units, of=of, to=to, seed=seed)
    return {name: found[name] for name in to}  # a map that has several names may come under all of them


def _check(images: Tensor, units: Units, to: Sequence[str]) -> None:
    if len(images) < 2 or not units or not to:
        raise ValueError(
            f"{len(images)} images, {len(units)} units, {len(to)} maps: give at least two images for an interval, "
            "one unit and one map"
        )


def _resampled(images: int, seed: int) -> Maps:
    """(1 + resamples, images) how often each image counts; in the first row all count once."""
    counts = np.random.default_rng(seed).multinomial(images, [1 / images] * images, size=RESAMPLES)
    return np.concatenate([np.ones((1, images)), counts]).astype(np.float64)


def _pair_cosines(first: Maps, second: Maps, weights: Maps) -> Maps:
    """(resamples,) mean cosine of (units, images, H, W) and their neighbours, from products between images."""
    cosines = np.zeros(len(weights))
    for a, b in zip(first, second, strict=True):
        a, b = a.reshape(len(a), -1), b.reshape(len(b), -1)
        ab, aa, bb = (_quadratic(x @ y.T, weights) for x, y in ((a, b), (a, a), (b, b)))
        norms = np.sqrt(aa) * np.sqrt(bb)  # a product of squares of squares could leave the range of floats
        cosines += np.divide(ab, norms, out=np.zeros_like(ab), where=norms > 0)
    return cosines / len(first)


def _shares(found: dict[str, Maps], images: int, units: int, seed: int) -> tuple[Measured, ...]:
    weights = _resampled(images, seed)
    rows = []
    for maps in found.values():
        shares = np.zeros(len(weights))
        for one in maps:
            flat, low = one.reshape(images, -1), half_band(one, (1, 2)).reshape(images, -1)
            energy, kept = _quadratic(flat @ flat.T, weights), _quadratic(flat @ low.T, weights)
            shares += np.divide(energy - kept, energy, out=np.zeros_like(energy), where=energy > 0)
        rows.append(shares / units)
    return _told(list(found), rows, images, units)


def _quadratic(products: Maps, weights: Maps) -> Maps:
    return np.asarray(((weights @ products) * weights).sum(axis=1))


def _told(names: Sequence[str], rows: Sequence[Maps], images: int, units: int) -> tuple[Measured, ...]:
    """Each map's row, and the mean over maps with an interval of its own: the maps share their images.

    Noise in a mean over few images lowers cosines and roughens maps, and resampling does the same once more. So the
    resamples' percentiles are reflected at the value, and where that leaves the value out, stretched to it.
    """
    told = []
    for name, values in zip([*names, "mean"], [*rows, np.mean(rows, axis=0)], strict=True):
        value = float(values[0])
        low, high = (2 * value - np.quantile(values[1:], (0.975, 0.025))).clip(0, 1).tolist()
        told.append(
            Measured(map=name, value=value, low=min(low, value), high=max(high, value), images=images, units=units)
        )
    return tuple(told)
