"""Paints people: ellipsoids seen in perspective, their hulls as polygons, far parts first. Imports no torch.

Every part is the convex hull of the outlines of two or three ellipsoids. An ellipsoid with centre c and half axes as
columns of B looks, to first order of perspective, like the ellipse c + J B u over unit vectors u, J the camera's
derivative at c; its outermost point in direction n is c + A n / sqrt(n'An) with A = J B B' J'. The hull's outermost
point in a direction is the outermost of its ellipses', so a polygon follows from a few directions, without sorting.

Pictures are painted with a fourth channel, which holds what each pixel shows. Edges are left hard there and are
smoothed by the lens that blurs the other three afterwards: one call paints both, in half the time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from dpn.arrays import Floats, Pixels
from dpn.synthetic.body import FRAMES, Posed
from dpn.synthetic.camera import NEAREST_M, Camera
from dpn.synthetic.clothes import Outfits
from dpn.synthetic.patterns import bands
from dpn.synthetic.shape import (
    ELLIPSOIDS,
    FLAT,
    FLESH,
    GROUPS,
    PART_AT_LEAST,
    PART_ELLIPSOIDS,
    PART_FACES,
    PART_GROUPS,
    PART_NEARER_M,
    PARTS,
    PLACE_FRAMES,
)

SHIFT = 4
"""Polygons are given to OpenCV in sixteenths of a pixel."""
UNIT = 1 << SHIFT
GROUP_BITS = 4
"""A pixel's fourth channel holds the figure's number, and in its lower four bits a row of `GROUPS`; 0 is no figure."""
_DIRECTIONS = 12
_ANGLES = 2 * np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS
_RIGHT, _DOWN, _LEFT, _UP = 0, _DIRECTIONS // 4, _DIRECTIONS // 2, 3 * _DIRECTIONS // 4
_NORMALS = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)]).astype(np.float32)
_SQUARES = np.stack([_NORMALS[0] ** 2, 2 * _NORMALS[0] * _NORMALS[1], _NORMALS[1] ** 2])
LIT_SIZE, LIT_SHIFT = 0.64, 0.30
"""The lit area of a part: its size, and how far it lies towards the light, as fractions of the part's radii."""
LEAST_PX, LEAST_LIT_PX = 0.3, 3.5
"""Narrower parts are not painted; narrower ones have no lit area."""
FAR_PX = 4000.0
"""Polygons end there; OpenCV's coordinates are limited."""
_TRUNK_ROWS = [list(ELLIPSOIDS).index(name) for name in ("pelvis", "belly", "breast", "nape")]
_QUARTERS, _THIRDS = np.full(4, 1 / 4), np.full(3, 1 / 3)
_EACH = np.arange(_DIRECTIONS)
_CORNERS = [0, 1, 2] + [3] * (_DIRECTIONS - 3)  # as many as the outlines have
_FLESH_FRAMES = PLACE_FRAMES[:FLESH]
_HEAD_FRAME = FRAMES.index("head")
_FACING = np.flatnonzero(PART_AT_LEAST > -1)
_FACING_ROWS, _AT_LEAST, _FACES = PART_ELLIPSOIDS[_FACING, 0], PART_AT_LEAST[_FACING], PART_FACES[_FACING, :, None]
_IS_TRUNK = np.array([part.of_trunk for part in PARTS.values()])
_FLAT = np.array([part.paint in FLAT for part in PARTS.values()])
_LIT_M, _PATTERN_M = 0.0006, 0.0405
"""How much nearer than the trunk its lit areas and the pattern of its garment count, so that they come last."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Flesh:
    """Ellipsoids of P people as a camera sees them, E each, and 21 joints.

    Attributes:
        centers_px: (P, E + 21, 2).
        shapes: (P, E, 2, 3), half axes in pixels as columns, J B above.
        away_m: (P, E + 21) metres from the camera.
        facing: (P, N) bool, whether each part's own direction is turned to the camera enough to be seen.
    """

    centers_px: Floats
    shapes: Floats
    away_m: Floats
    facing: np.ndarray


def view(posed: Posed, centers_m: Floats, radii_m: Floats, camera: Camera) -> Flesh:
    """Ellipsoids as the camera sees them.

    Args:
        posed: P people.
        centers_m: (P, E + 21, 3) of flesh and joints in the world.
        radii_m: (P, E, 3) by `dpn.synthetic.shape.sizes_m`.
        camera: with its focal length.
    """
    seen = camera.seen(centers_m)
    away = np.maximum(seen[..., 2:], NEAREST_M)
    slopes = seen[..., :2] / away
    frames = camera.turn @ posed.turns
    axes = frames[:, _FLESH_FRAMES] * radii_m[:, :, None, :]
    shapes = axes[:, :, :2] - slopes[:, :FLESH, :, None] * axes[:, :, 2:]
    shapes *= (camera.focal_px / away[:, :FLESH])[..., None]
    facing = np.ones((len(seen), len(PARTS)), bool)  # parts that face some way are all on the head
    towards = (frames[:, None, _HEAD_FRAME] @ _FACES)[..., 0]
    sight = seen[:, _FACING_ROWS]
    cosine = -(towards * sight).sum(-1) / np.sqrt((sight * sight).sum(-1))
    facing[:, _FACING] = cosine > _AT_LEAST
    return Flesh(
        centers_px=slopes * camera.focal_px + camera.middle_px, shapes=shapes, away_m=away[..., 0], facing=facing
    )


class Outlines:
    """Polygons of the parts of P people, and of their lit areas."""

    def __init__(self, flesh: Flesh, light: Floats) -> None:
        """Finds the outermost point of every ellipsoid in every direction.

        Args:
            flesh: of P people.
            light: (2,) unit vector in the picture towards the light.
        """
        size = len(flesh.shapes) * FLESH
        centers = flesh.centers_px[:, :FLESH].reshape(size, 2).astype(np.float32)  # half the bytes stay in fast memory
        shapes = flesh.shapes.astype(np.float32)
        x, y = shapes[:, :, 0].reshape(size, 3), shapes[:, :, 1].reshape(size, 3)
        second = np.empty((size, 3), np.float32)  # the three numbers of each symmetric A
        second[:, 0], second[:, 1], second[:, 2] = (x * x).sum(-1), (x * y).sum(-1), (y * y).sum(-1)
        extent = np.sqrt(np.maximum(second @ _SQUARES, 1e-6))
        self._edge = np.empty((size, _DIRECTIONS, 2), np.float32)
        self._edge[..., 0], self._edge[..., 1] = second[:, :2] @ _NORMALS / extent, second[:, 1:] @ _NORMALS / extent
        lamp = light.astype(np.float32)
        towards = np.empty((size, 2), np.float32)
        towards[:, 0], towards[:, 1] = second[:, :2] @ lamp, second[:, 1:] @ lamp
        towards *= LIT_SHIFT / np.sqrt(np.maximum(towards @ lamp, 1e-6))[:, None]
        height = centers @ _NORMALS
        self._whole = (centers, height + extent, 1.0)
        self._lit = (centers + towards, height + LIT_SIZE * extent + towards @ _NORMALS, LIT_SIZE)

    def whole(self, people: np.ndarray, parts: np.ndarray) -> np.ndarray:
        """(M, 12, 2) int32 sixteenths of a pixel, for (M,) parts, rows of `PARTS`, of (M,) people."""
        return self._hulls(people, parts, self._whole)

    def lit(self, people: np.ndarray, parts: np.ndarray) -> np.ndarray:
        """Of the lit areas of these parts, likewise."""
        return self._hulls(people, parts, self._lit)

    def _hulls(self, people: np.ndarray, parts: np.ndarray, what: tuple[Floats, Floats, float]) -> np.ndarray:
        middle, height, size = what
        rows = PART_ELLIPSOIDS[parts] + FLESH * people[:, None]
        chosen = rows[np.arange(len(rows))[:, None], height[rows].argmax(axis=1)]  # (M, D): which of the three
        return sixteenths(middle[chosen] + size * self._edge[chosen, _EACH])


def sixteenths(points_px: Floats) -> np.ndarray:
    """(..., 2) pixels to OpenCV's fixed point, kept within its range."""
    return np.rint(np.minimum(np.maximum(points_px * UNIT, -FAR_PX * UNIT), FAR_PX * UNIT)).astype(np.int32)


@dataclass(frozen=True, kw_only=True, eq=False)
class Strokes:
    """What one person or thing is painted with, far parts first.

    Attributes:
        polygons: (V, 2) int32 in sixteenths of a pixel.
        colors: blue, green, red and fourth channel of each.
    """

    polygons: Sequence[np.ndarray]
    colors: Sequence[Sequence[int]]


def strokes(flesh: Flesh, outfits: Outfits, light: Floats, hw: tuple[int, int]) -> list[Strokes]:
    """What each person is painted with, without what lies outside the picture; the first one's number is 1."""
    people, parts = np.nonzero(outfits.shown & flesh.facing)
    outlines = Outlines(flesh, light)
    whole = outlines.whole(people, parts)
    left, top, right, bottom = whole[:, _LEFT, 0], whole[:, _UP, 1], whole[:, _RIGHT, 0], whole[:, _DOWN, 1]
    size = np.minimum(right - left, bottom - top)
    visible = (right > 0) & (bottom > 0) & (left < hw[1] * UNIT) & (top < hw[0] * UNIT) & (size > LEAST_PX * UNIT)
    trunk = flesh.away_m[:, _TRUNK_ROWS] @ _QUARTERS
    of_trunk = _IS_TRUNK[parts]
    away = np.where(of_trunk, trunk[people], flesh.away_m[people[:, None], PART_ELLIPSOIDS[parts]] @ _THIRDS)
    away -= PART_NEARER_M[parts]
    shaded = visible & ~_FLAT[parts] & (size >= LEAST_LIT_PX * UNIT)
    first, second = np.flatnonzero(visible), np.flatnonzero(shaded)
    corners, owners = bands(flesh.centers_px, flesh.shapes, outfits.patterns)
    pattern, pattern_of = sixteenths(np.array(corners).reshape(-1, 4, 2))[:, _CORNERS], np.array(owners, int)
    both = np.concatenate([first, second])
    everyone = np.concatenate([people[both], pattern_of])
    lit_away = away[second] - np.where(of_trunk[second], _LIT_M, 0.0)
    depth = np.concatenate([away[first], lit_away, trunk[pattern_of] - _PATTERN_M - 2 * _LIT_M])
    order = np.lexsort((-depth, everyone))  # stable: a lit area follows its part
    paints = np.empty((len(everyone), 4), int)
    paints[: len(both), :3] = outfits.colors[
        people[both], (np.arange(len(both)) >= len(first)).astype(int), parts[both]
    ]
    paints[: len(both), 3] = PART_GROUPS[parts[both]]
    paints[len(both) :, :3] = outfits.pattern_colors[pattern_of]
    paints[len(both) :, 3] = GROUPS.index("trunk")
    paints[:, 3] += (everyone + 1) << GROUP_BITS
    polygons = list(np.concatenate([whole[first], outlines.lit(people[second], parts[second]), pattern])[order])
    painted = paints[order].tolist()
    ends = np.searchsorted(everyone[order], np.arange(len(outfits) + 1)).tolist()
    return [Strokes(polygons=polygons[a:b], colors=painted[a:b]) for a, b in pairwise(ends)]


def paint(canvas: Pixels, what: Strokes) -> None:
    """Paints over the (H, W, 4) picture, in place."""
    fill, hard, shift = cv2.fillConvexPoly, cv2.LINE_8, SHIFT
    for polygon, color in zip(what.polygons, what.colors, strict=True):
        fill(canvas, polygon, color, hard, shift)
