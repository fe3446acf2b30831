"""An estimated effective receptive field: a map for each image, their mean, and intervals by resampling. No torch.

Images are the unit of independence where the weights are given; where they are random, an initialisation is, with all
images that went through it, because images cannot say how much other weights would differ.
"""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from analysis.effective_fields import erf_metrics
from analysis.effective_fields.erf_metrics import Place, Shape, Values
from analysis.effective_fields.few_draws import widened
from bench.statistics import CONFIDENCE, Interval

RESAMPLES = 1000


@dataclass(frozen=True)
class Scalar:
    """A number that was estimated.

    Attributes:
        value: of the mean map; None where the map has none, see `analysis.effective_fields.erf_metrics`.
        ends: percentiles of the bootstrap, which few maps bring too close together; None where there is one independent
            map only, or where most resamples have no value.
        n: independent maps behind it.
        most: what it can be.
    """

    value: float | None
    ends: tuple[float, float] | None
    n: int
    most: float = math.inf

    @property
    def interval(self) -> Interval | None:
        """The 95 % interval, as wide as so few maps make it; None without ends."""
        return None if self.ends is None else widened(self.ends, self.n, self.most)


@dataclass(frozen=True, kw_only=True, eq=False)
class Estimate:
    """The effective receptive field of one unit in one map, image by image.

    Attributes:
        maps: (n, H, W), what each position of the map contributes to the unit, in the recipe's own unit.
        unit: row and column of the unit in the map `of`.
        centre: row and column of the unit in the map `to`; fractions of a position where strides lie in between.
        of: name of the unit's map.
        to: name of the map that it is a field in.
        recipe: name of the recipe.
        clusters: (n,), the number of the independent draw that each map belongs to.
        of_shape: of the map `of`, which is taken for (B, C, H, W), as all maps are.
        to_shape: of the map `to`.
        untraced: those of the two whose axes may be others for all that the tracer knows, and why.
    """

    maps: Values
    unit: tuple[int, int]
    centre: Place
    of: str
    to: str
    recipe: str
    clusters: NDArray[np.int64]
    of_shape: Shape
    to_shape: Shape
    untraced: Mapping[str, str] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """Number of maps: images, times initialisations."""
        return len(self.maps)

    @property
    def independent(self) -> int:
        """Number of independent draws among them, which is the n of every interval."""
        return len(np.unique(self.clusters))

    @cached_property
    def mean(self) -> Values:
        """(H, W), the mean of the maps."""
        return np.asarray(self.maps.mean(axis=0), dtype=np.float64)

    @property
    def saturated(self) -> bool:
        """Whether the field reaches the borders of the map; see `erf_metrics.saturated`."""
        return erf_metrics.saturated(self.mean)

    @property
    def border_share(self) -> float:
        """See `erf_metrics.border_share`."""
        return erf_metrics.border_share(self.mean)

    @property
    def offset(self) -> tuple[Place, Place] | None:
        """See `erf_metrics.offset`."""
        return erf_metrics.offset(self.mean, self.centre)

    def radial_mass(self) -> Values:
        """See `erf_metrics.radial_mass`."""
        return erf_metrics.radial_mass(self.mean, self.centre)

    def convergence(self, exact: Values | None = None) -> Values:
        """(n,), how far the mean of the first 1, 2, ... maps is from the final mean, or from an exact field."""
        return convergence(self.maps, exact)

    def scalars(self, *, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, Scalar]:
        """Every scalar of `erf_metrics.scalars`, each with n and a bootstrap 95 % interval."""
        return bootstrap(
            self.maps, lambda field: erf_metrics.scalars(field, self.centre),
            clusters=self.clusters, inflated=erf_metrics.INFLATED, parts=erf_metrics.PARTS,
            resamples=resamples, seed=seed,
        )  # fmt: skip


def convergence(maps: Values, exact: Values | None = None) -> Values:
    """Total-variation distance of the running means of maps (n, H, W) to their final mean, or to an exact field."""
    running = np.cumsum(_whole(maps), axis=0)
    goal = running[-1] if exact is None else exact
    return np.array([erf_metrics.total_variation(mean, goal) for mean in running])


def bootstrap(
    maps: Values, statistic: Callable[[Values], Mapping[str, float | None]], *,
    clusters: NDArray[np.int64] | None = None, inflated: Collection[str] = (), parts: Collection[str] = (),
    resamples: int = RESAMPLES, seed: int = 0,
) -> dict[str, Scalar]:  # fmt: skip
    """Scalars of the mean of maps, each with its percentiles over resampled maps.

    Resampling adds to a mean about as much noise as is in it already. Where noise inflates a scalar, the resamples lie
    as far above the value as that lies above the truth, so their percentiles are reflected at the value.

    Args:
        maps: (n, H, W), one for each image.
        statistic: from a mean map to scalars by name, none negative; the map comes without regard to scale.
        clusters: (n,), the number of the independent draw that each map belongs to; what belongs together is drawn
            together. By default each map is a draw of its own.
        inflated: names of scalars that noise raises.
        parts: names of scalars that are at most 1.
        resamples: how many.
        seed: of the resampling.
    """
    maps = _whole(maps)
    _, cluster = np.unique(np.arange(len(maps)) if clusters is None else clusters, return_inverse=True)
    sums = np.zeros((cluster.max() + 1, maps[0].size))
    np.add.at(sums, cluster, maps.reshape(len(maps), -1))
    n, shape = len(sums), maps.shape[1:]
    values = statistic(sums.sum(axis=0).reshape(shape))
    drawn: dict[str, list[float]] = {name: [] for name in values}
    draws = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples if n > 1 else 0)
    for block in np.array_split(draws, max(1, len(draws) // 25)):  # one product is faster than 25, a thousand too large
        for mean in block @ sums:
            for name, value in statistic(mean.reshape(shape)).items():
                if value is not None:
                    drawn[name].append(value)
    return {
        name: Scalar(value, None, n) if value is None or len(drawn[name]) <= resamples / 2
        else Scalar(
            value, _ends(value, drawn[name], reflect=name in inflated), n, 1.0 if name in parts else math.inf
        )
        for name, value in values.items()
    }  # fmt: skip


def _ends(value: float, drawn: list[float], *, reflect: bool) -> tuple[float, float]:
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    if reflect:
        low, high = max(0.0, 2 * value - high), max(value, 2 * value - low)
    return float(low), float(high)


def _whole(maps: Values) -> Values:
    found = np.asarray(maps, dtype=np.float64)
    if found.ndim != 3 or not found.size:
        raise ValueError(f"maps are (n, H, W) with at least one of each, not {found.shape}")
    return found
