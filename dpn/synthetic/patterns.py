"""Patterns of the synthetic figures' shirts: stripes, checks and yokes, the same in front and behind. No torch."""

import numpy as np

from dpn.arrays import Floats
from dpn.synthetic.shape import ELLIPSOIDS

_ROWS = [list(ELLIPSOIDS).index(name) for name in ("hem", "belly", "breast", "left_shoulder", "right_shoulder")]
_RINGS = np.array([0.0, 0.38, 0.72, 1.0])
"""Heights of hem, belly, breast and shoulders along the spine; bands bend with it from one to the next."""
LEAST_TRUNK_PX = 12


def _weights(heights: list[float]) -> Floats:
    """(len(heights), 4) shares of the rings in a point at that height between the hem, 0, and the shoulders, 1."""
    return np.stack([np.interp(heights, _RINGS, row) for row in np.eye(4)], axis=1)


def _bands(lows: list[float], highs: list[float], spans: list[tuple[float, float]]) -> tuple[Floats, Floats]:
    """(Q, 4, 4) ring weights and (Q, 4) shares of the way from left to right of the corners of Q quadrilaterals."""
    heights = [h for low, high in zip(lows, highs, strict=True) for h in (low, low, high, high)]
    across = [x for start, end in spans for x in (start, end, end, start)]
    return _weights(heights).reshape(-1, 4, 4), np.array(across).reshape(-1, 4)


_STRIPES = _bands([k / 12 for k in range(0, 12, 2)], [k / 12 + 0.08 for k in range(0, 12, 2)], [(0.01, 0.99)] * 6)
_UPRIGHT = _bands([0.0] * 4, [1.0] * 4, [(0.08 + 0.24 * k, 0.16 + 0.24 * k) for k in range(4)])
PATTERNS = {
    "stripes": _STRIPES,
    "checks": (np.concatenate([_STRIPES[0], _UPRIGHT[0]]), np.concatenate([_STRIPES[1], _UPRIGHT[1]])),
    "yoke": _bands([0.62], [1.0], [(0.01, 0.99)]),
}


def bands(centers_px: Floats, shapes: Floats, patterns: list[str]) -> tuple[list[Floats], list[int]]:
    """Quadrilaterals that lie on the trunks of those who wear a pattern.

    Args:
        centers_px: (P, E, 2) of all ellipsoids.
        shapes: (P, E, 2, 3) half axes in pixels.
        patterns: of P people; those that are not among `PATTERNS` have none.

    Returns:
        (4, 2) corners in pixels, and whose each is.
    """
    corners: list[Floats] = []
    owners: list[int] = []
    for person, name in enumerate(patterns):
        if name not in PATTERNS:
            continue
        centers = centers_px[person, _ROWS]
        along = (centers[3] + centers[4]) / 2 - centers[0]
        length = float(along @ along) ** 0.5
        if length < LEAST_TRUNK_PX:  # seen from above, or too small
            continue
        across = np.array([-along[1], along[0]]) / length
        half = np.sqrt(((across @ shapes[person, _ROWS]) ** 2).sum(axis=-1)) * (1, 1, 1, 0.5, 0.5)
        left = centers - across * half[:, None]
        right = centers + across * half[:, None]
        if (centers[4] - centers[3]) @ across < 0:
            left[3], right[3] = left[4], right[3]
        else:
            right[3] = right[4]
        weights, share = PATTERNS[name]
        start = weights @ left[:4]
        corners.extend(start + (weights @ right[:4] - start) * share[..., None])
        owners += [person] * len(weights)
    return corners, owners
