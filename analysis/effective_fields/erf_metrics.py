"""What an effective receptive field comes to in numbers, on the linear map, so that its scale plays no part. No torch.

A field is a map (H, W) of what each position contributes to a unit: finite, never negative, in any unit. Mass is the
sum of a field, and a centre is row and column of the unit in the field's positions, fractions allowed. What a field
without any mass comes to is said with each function; none returns NaN.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Place = tuple[float, float]
Shape = tuple[int, int, int]
"""Channels, height and width of a map."""

SHARES = (0.2, 0.3, 0.5, 0.99)
"""Of the mass, for the area ratios: those of Ding et al., CVPR 2022."""

PARTS = (*(f"area_{100 * share:.0f}" for share in SHARES), "high_frequency_share")
"""Scalars that are shares, which are at most 1."""

BORDER_LEVEL = 0.01
"""Of the peak: what counts as reaching the border of the map."""

INFLATED = ("high_frequency_share",)
"""Scalars that the noise of a mean raises and never lowers, noise having all frequencies."""

ROUNDING = 1e-9
"""Share of the mass below which a difference is rounding: a window that holds so little less than asked holds it."""


def middle(shape: tuple[int, ...]) -> Place:
    """The unit that stands for the centre of a map (..., H, W): (H // 2, W // 2)."""
    return float(shape[-2] // 2), float(shape[-1] // 2)


def area_ratio(field: Values, share: float, centre: Place | None = None) -> float | None:
    """Area of the smallest window around the unit that holds a share of the mass, over the area of the map.

    Windows have the aspect of the map. The window of scale s holds the positions (y, x) with |y - cy| <= s * H / 2 and
    |x - cx| <= s * W / 2; it grows with s, in all four directions at once. Where it passes a border, what lies beyond
    is neither searched nor counted, so that the ratio never exceeds 1. Area is the number of positions.

    Args:
        field: (H, W).
        share: of the mass, above 0 and at most 1.
        centre: of the windows; the middle of the map by default.

    Returns:
        The ratio, above 0 and at most 1; None for a field without mass.

    Example:
        >>> area_ratio(np.ones((64, 48)), 0.25), area_ratio(np.zeros((64, 48)), 0.25)
        (0.2685546875, None)
    """
    if not 0 < share <= 1:
        raise ValueError(f"a share of {share} of the mass: it must be above 0 and at most 1")
    values = _scaled(field)
    if not values.any():
        return None
    ring, areas = _windows(values.shape, centre or middle(values.shape))
    held = np.cumsum(np.bincount(ring, weights=values.ravel(), minlength=len(areas)))
    return float(areas[np.searchsorted(held, (share - ROUNDING) * held[-1])])


def radial_mass(field: Values, centre: Place | None = None) -> Values:
    """Share of the mass within each whole distance of the unit, 0, 1, ... to the farthest corner; zeros without mass.

    Distances are Euclidean, in positions; index r tells of the disc of radius r, its edge included.

    Example:
        >>> radial_mass(np.ones((3, 3))).round(3)
        array([0.111, 0.556, 1.   ])
    """
    values = _scaled(field)
    within = _discs(values.shape, centre or middle(values.shape))
    held = np.cumsum(np.bincount(within, weights=values.ravel()))
    return np.asarray(held / held[-1] if held[-1] else held, dtype=np.float64)


def high_frequency_share(field: Values) -> float | None:
    """Share of the field's spectral energy |DFT|^2 above half of Nyquist: over 1/4 cycle per position in y or in x.

    The transform is of the map as it is, and the mean counts as energy. A single position has a flat spectrum, a
    uniform field none but its mean; None for a field without mass.

    Example:
        >>> high_frequency_share(np.ones((8, 8)))
        0.0
    """
    values = _scaled(field)
    if not values.any():
        return None
    height, width = values.shape
    energy = np.abs(np.fft.rfft2(values)) ** 2
    energy[:, 1:] *= 2  # columns of negative frequency are not computed; those at Nyquist itself are not low anyway
    low = energy[np.ix_(np.abs(np.fft.fftfreq(height)) <= 0.25, np.fft.rfftfreq(width) <= 0.25)].sum()
    return float(1 - min(1.0, low / (values.size * np.square(values).sum())))  # all of it, by Parseval's theorem


def border_share(field: Values) -> float:
    """Share of the map's outermost positions that exceed 1 % of the peak; 0 for a field without mass."""
    values = _scaled(field)
    ring = np.ones(values.shape, dtype=np.bool_)
    ring[1:-1, 1:-1] = False
    return float(np.mean(values[ring] > BORDER_LEVEL * (1 + ROUNDING)))


def saturated(field: Values) -> bool:
    """Whether the field reaches the borders: at least half of the outermost positions exceed 1 % of the peak.

    Then the map cuts the field off, and every size measured on it says more of the map than of the network.
    """
    return border_share(field) >= 0.5


def offset(field: Values, centre: Place | None = None) -> tuple[Place, Place] | None:
    """Rows and columns from the unit to the centre of mass, and the standard deviations of the mass about the latter.

    Both in positions; None for a field without mass.

    Example:
        >>> offset(np.array([[0.0, 0, 0, 1, 0, 1]]), centre=(0, 2))
        ((0.0, 2.0), (0.0, 1.0))
    """
    values = _shared(field)
    if not values.any():
        return None
    (dy, sy), (dx, sx) = (
        _moments(values.sum(axis=1 - axis), at) for axis, at in enumerate(centre or middle(values.shape))
    )
    return (dy, dx), (sy, sx)


def _moments(shares: Values, at: float) -> tuple[float, float]:
    """Mean and standard deviation of the distances from a place along one axis; shares sum to 1."""
    far = np.arange(len(shares)) - at
    mean = float(shares @ far)
    return mean, float(np.sqrt(shares @ np.square(far - mean)))


def total_variation(one: Values, other: Values) -> float:
    """Half the sum of absolute differences between two fields of mass 1: 0 for the same, 1 for nothing in common.

    Two fields without mass are the same; one without mass has nothing in common with one that has some.
    """
    if np.shape(one) != np.shape(other):
        raise ValueError(f"fields of shapes {np.shape(one)} and {np.shape(other)} cannot be compared")
    a, b = _shared(one), _shared(other)
    if not a.any() or not b.any():
        return float(a.any() != b.any())
    return min(1.0, float(np.abs(a - b).sum()) / 2)


def scalars(field: Values, centre: Place | None = None) -> dict[str, float | None]:
    """The scalars of a field that an estimate gives intervals for, by name; areas as `area_20` and so on.

    `sigma_y` and `sigma_x`, in positions, are of the Gaussian of largest likelihood among those that are centred on the
    unit, upright, and end with the map: 0 where all mass is in the unit's own row or column, None where the field is as
    even as a uniform one or more so.

    The share of the border is not among them: the noise of a mean lowers it through the peak, and resampling the images
    says little of how much.
    """
    values = _scaled(field)
    sigma_y, sigma_x = _sigmas(values, centre or middle(values.shape))
    return {
        **{f"area_{100 * share:.0f}": area_ratio(values, share, centre) for share in SHARES},
        "sigma_y": sigma_y,
        "sigma_x": sigma_x,
        "high_frequency_share": high_frequency_share(values),
    }


def _scaled(field: Values) -> Values:
    """The field with a peak of 1, or without mass."""
    values = np.asarray(field, dtype=np.float64)
    if values.ndim != 2 or not values.size:
        raise ValueError(f"a field is a map (H, W) with at least one position, not {values.shape}")
    peak, least = values.max(), values.min()
    if not np.isfinite(peak) or not least >= 0:
        raise ValueError(f"a field is finite and never negative, this one reaches from {least} to {peak}")
    return values / peak if peak else values


def _shared(field: Values) -> Values:
    """The field with a mass of 1, or without mass."""
    values = _scaled(field)
    return values / values.sum() if values.any() else values


@lru_cache(maxsize=64)
def _windows(shape: tuple[int, int], centre: Place) -> tuple[NDArray[np.int64], Values]:
    """The number of the smallest window that holds each position, (H * W,), and each window's share of the area."""
    y, x = (2 * np.abs(np.arange(size) - c) / size for size, c in zip(shape, centre, strict=True))
    # Positions on either side, and rows and columns, are equally far; rounding must not tell them apart.
    scale = np.maximum(y[:, None], x[None, :]).round(12)
    _, ring, counts = np.unique(scale, return_inverse=True, return_counts=True)
    return ring.ravel(), np.cumsum(counts) / scale.size


@lru_cache(maxsize=64)
def _discs(shape: tuple[int, int], centre: Place) -> NDArray[np.int64]:
    """The radius of the smallest disc of whole radius that holds each position, (H * W,)."""
    y, x = (_squared_distances(size, c) for size, c in zip(shape, centre, strict=True))
    return np.ceil(np.sqrt(y[:, None] + x[None, :]).round(9)).astype(np.int64).ravel()


def _squared_distances(size: int, centre: float) -> Values:
    return np.asarray((np.arange(size) - centre) ** 2, dtype=np.float64)


def _sigmas(values: Values, centre: Place) -> tuple[float | None, float | None]:
    """Of the rows and of the columns of the most likely Gaussian, see `scalars`; None without mass.

    On the positions of the map it is the one that has the field's mean squares of the distances from the unit, of rows
    and columns apart; each sigma is found from its mean square by bisection. The part of the Gaussian beyond the map is
    thus no reason for too small a sigma, and no bins, levels or starting values play a part.
    """
    mass = values.sum()
    if not mass:
        return None, None
    squares = [_squared_distances(size, c) for size, c in zip(values.shape, centre, strict=True)]
    y, x = (_sigma(one, float(values.sum(axis=1 - axis) @ one / mass)) for axis, one in enumerate(squares))
    return y, x


def _profile(squares: Values, sigma: float) -> Values:
    """A Gaussian's share of each position along one axis; all of it at the nearest where sigma is 0."""
    nearest = squares - squares.min()
    shares = np.exp(-nearest / (2 * sigma**2)) if sigma else (nearest == 0).astype(np.float64)
    return np.asarray(shares / shares.sum(), dtype=np.float64)


def _sigma(squares: Values, mean_square: float) -> float | None:
    """The sigma of the Gaussian with this mean square on these positions; see `scalars` for 0 and None."""
    even = float(squares.mean())
    if mean_square <= squares.min() + ROUNDING * even:
        return 0.0
    if mean_square >= even * (1 - ROUNDING):
        return None
    low, high = -10.0, 0.5 * np.log2(even) + 20  # of log2(sigma): from a thousandth of a position to as good as even
    for _ in range(60):
        half = (low + high) / 2
        if _profile(squares, 2**half) @ squares < mean_square:
            low = half
        else:
            high = half
    return float(2 ** ((low + high) / 2))
