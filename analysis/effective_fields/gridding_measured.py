"""Gridding of networks with weights, trained or random: what gradients say of neighbours and of roughness.

A squared gradient with random signed cotangents estimates how much of an output's variance comes from each position.
Where the exact form (`analysis.receptive_fields.gridding`, `analysis.receptive_fields.coupling`) says that two outputs
share nothing, the cosine of their maps is exactly 0; where they share positions, it also tells how evenly. A unit that
its shortcuts lead mostly to itself has a small cosine with its neighbours, too: weights can part what is wired
together, and never join the rest.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from analysis.effective_fields.effective import Done, squared_gradients
from analysis.effective_fields.few_draws import over_draws
from analysis.effective_fields.responses import squared_responses
from analysis.receptive_fields.path_matrices import half_band
from bench.statistics import Interval

RESAMPLES = 1000

Maps = NDArray[np.float64]
Units = Sequence[tuple[int, int]]


@dataclass(frozen=True, kw_only=True)
class Watched:
    """Which units are asked, and of which maps.

    Attributes:
        units: row and column of each, or of the first of each pair of neighbours.
        to: the maps to look at, by name. Those between a module's input and output tell of its wiring.
        also: further maps, which have no part in the mean over maps.
        of: the map of the units.
        steps: from a unit to its neighbours.
    """

    units: Units
    to: Sequence[str]
    also: Sequence[str] = ()
    of: str = "output"
    steps: Units = ((0, 1),)

    @property
    def maps(self) -> tuple[str, ...]:
        """All maps that are asked for."""
        return (*self.to, *self.also)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A scalar of one map, or the mean of it over maps.

    Attributes:
        map: name of the map, or "mean".
        value: of the mean over all images; with more of them cosines tend to rise, and high shares to fall.
        low: lower end of the bootstrap's percentiles over images, for what very many would give; of several networks
            the networks are drawn anew, too.
        high: upper end.
        images: how many.
        units: how many units, or pairs of neighbours, the value is a mean over.
        networks: how many networks it is a mean over.
    """

    map: str
    value: float
    low: float
    high: float
    images: int
    units: int
    networks: int = 1

    @property
    def interval(self) -> Interval:
        """The 95 % interval: as wide as so few networks make it, or so few images of one."""
        return over_draws((self.low, self.high), self.images, self.networks)


def measured_neighbours(
    nets: Iterable[nn.Module], images: Tensor, watched: Watched, *, seed: int = 0, done: Done | None = None
) -> tuple[tuple[Measured, ...], tuple[Measured, ...]]:
    """What squared gradients of neighbouring units say of each map; the last row of both is the mean over `to`.

    Maps are averaged over images first; what they have is then a mean over pairs, or units, and over networks.

    Args:
        nets: the networks, left as they were, each of which is one independent draw.
        images: (B, C, H, W), at least two.
        watched: the units, their neighbours and the maps.
        seed: of cotangents and bootstrap.
        done: told how many images are done, each once for every network.

    Returns:
        The cosines of neighbours' maps, 0 where a unit reads nothing; and the fan-in's high shares, as
        `path_matrices.high_share`, of the units without their neighbours. A map that is one point has 0.75, as white
        noise does, so a high share alone says nothing of gridding.

    Raises:
        KeyError: no such map.
        ValueError: fewer than two images, or no networks, units or maps.
    """
    _check(images, watched)
    first = [(y, x) for y, x in watched.units for _ in watched.steps]
    second = [(y + dy, x + dx) for y, x in watched.units for dy, dx in watched.steps]
    each = list(dict.fromkeys([*first, *second]))
    pairs = [(each.index(a), each.index(b)) for a, b in zip(first, second, strict=True)]
    own = [each.index(unit) for unit in watched.units]
    weights = _resampled(len(images), seed)
    cosines, shares = [], []
    for net in nets:
        found = squared_gradients(net, images, each, of=watched.of, to=watched.maps, seed=seed, done=done)
        maps = [found[name] for name in watched.maps]  # a map that has several names may come under all of them
        cosines.append([_pair_cosines(one, pairs, weights) for one in maps])
        shares.append([_mean_share(one[own], weights) for one in maps])
    return (
        _told(watched, cosines, len(images), len(pairs), seed),
        _told(watched, shares, len(images), len(own), seed),
    )


def high_shares_out(nets: Iterable[nn.Module], images: Tensor, watched: Watched) -> tuple[Measured, ...]:
    """The fan-out's high shares: of how strongly every map responds to one position of the image, `squared_responses`.

    The units are positions of the image here; the rest is as in `measured_neighbours`.
    """
    _check(images, watched)
    weights, rows = _resampled(len(images)), []
    for net in nets:
        found = squared_responses(net, images, watched.units, to=watched.maps)
        rows.append([_mean_share(maps, weights) for maps in found.values()])
    return _told(watched, rows, len(images), len(watched.units))


def _check(images: Tensor, watched: Watched) -> None:
    if len(images) < 2 or not watched.units or not watched.to:
        raise ValueError(
            f"{len(images)} images, {len(watched.units)} units, {len(watched.to)} maps: give at least two images for "
            "an interval, one unit and one map"
        )


def _resampled(images: int, seed: int = 0) -> Maps:
    """(1 + resamples, images) how often each image counts; in the first row all count once."""
    counts = np.random.default_rng(seed).multinomial(images, [1 / images] * images, size=RESAMPLES)
    return np.concatenate([np.ones((1, images)), counts]).astype(np.float64)


def _pair_cosines(maps: Maps, pairs: Units, weights: Maps) -> Maps:
    """(resamples,) mean cosine over pairs of units of (units, images, H, W), from products between images."""
    flat = maps.reshape(*maps.shape[:2], -1)
    own = [_quadratic(one @ one.T, weights) for one in flat]
    cosines = np.zeros(len(weights))
    for a, b in pairs:
        both = _quadratic(flat[a] @ flat[b].T, weights)
        norms = np.sqrt(own[a]) * np.sqrt(own[b])  # a product of squares of squares could leave the range of floats
        cosines += np.divide(both, norms, out=np.zeros_like(both), where=norms > 0)
    return cosines / len(pairs)


def _mean_share(maps: Maps, weights: Maps) -> Maps:
    """(resamples,) mean high share over units of (units, images, H, W), from products between images."""
    shares = np.zeros(len(weights))
    for one in maps:
        flat, low = one.reshape(len(one), -1), half_band(one, (1, 2)).reshape(len(one), -1)
        energy, kept = _quadratic(flat @ flat.T, weights), _quadratic(flat @ low.T, weights)
        shares += np.divide(energy - kept, energy, out=np.zeros_like(energy), where=energy > 0)
    return shares / len(maps)


def _quadratic(products: Maps, weights: Maps) -> Maps:
    return np.asarray(((weights @ products) * weights).sum(axis=1))


def _pooled(rows: Maps, seed: int) -> Maps:
    """(maps, 1 + resamples) means over networks, from (networks, maps, 1 + resamples): each resample has its own."""
    drawn = np.random.default_rng((seed, 1)).integers(len(rows), size=(RESAMPLES, len(rows)))
    means = rows[drawn, :, np.arange(1, RESAMPLES + 1)[:, None]].mean(axis=1).T
    return np.concatenate([rows[:, :, :1].mean(axis=0), means], axis=1)


def _told(
    watched: Watched, rows: Sequence[Sequence[Maps]], images: int, units: int, seed: int = 0
) -> tuple[Measured, ...]:  # fmt: skip
    """Each map's row, and the mean over maps with an interval of its own: the maps share their images.

    Noise in a mean over few images lowers cosines and roughens maps, and resampling does the same once more. So the
    resamples' percentiles are reflected at the value, and where that leaves the value out, stretched to it.
    """
    if not rows:
        raise ValueError("no networks; give at least one")
    pooled = _pooled(np.asarray(rows), seed)
    told = []
    for name, values in zip(
        [*watched.maps, "mean"], [*pooled, pooled[: len(watched.to)].mean(axis=0)], strict=True
    ):  # fmt: skip
        value = float(values[0])
        low, high = (2 * value - np.quantile(values[1:], (0.975, 0.025))).clip(0, 1).tolist()
        told.append(Measured(
            map=name, value=value, low=min(low, value), high=max(high, value), images=images, units=units,
            networks=len(rows),
        ))  # fmt: skip
    return tuple(told)
