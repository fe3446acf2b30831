"""Things like arms and legs that nobody has, so that a limb in a synthetic scene is no proof of a person. No torch."""

from functools import lru_cache

import numpy as np

from dpn.arrays import Floats
from dpn.synthetic.clothes import CLOTHES, SKINS
from dpn.synthetic.draw import LIT_SHIFT, LIT_SIZE, Strokes, sixteenths

SHAPES, PIECES = 1024, 3
_ANGLES = np.arange(12) * (2 * np.pi / 12)
_ROUND = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)
_LENGTHS, _BENDS, _TAPER = np.array([1.0, 0.9, 0.35]), np.array([0.0, 2.2, 1.6]), np.array([1.0, 0.8, 0.58, 0.45])


@lru_cache(maxsize=1)
def shapes() -> Floats:
    """(1024, 6, 12, 2) outlines of upper piece, lower piece and hand, each followed by its lit area.

    The first joint is at 0, a limb's upper piece about 1 long, and the light comes from above.
    """
    draws = np.random.default_rng(7_654_321).random((SHAPES, 6))
    length = (0.5 + 0.9 * draws[:, 4:5]) * _LENGTHS
    heading = 2 * np.pi * draws[:, :1] + _BENDS * np.cumsum(draws[:, 1:4] - 0.5, axis=1)
    joints = np.zeros((SHAPES, PIECES + 1, 2))
    joints[:, 1:, 0], joints[:, 1:, 1] = length * np.cos(heading), length * np.sin(heading)
    np.cumsum(joints, axis=1, out=joints)
    radius = ((0.10 + 0.13 * draws[:, 5:6]) * _TAPER)[..., None]
    outlines = np.empty((SHAPES, 2 * PIECES, len(_ROUND), 2))
    outlines[:, 0::2] = _hulls(joints, radius)
    outlines[:, 1::2] = _hulls(joints - LIT_SHIFT * radius * (0.0, 1.0), LIT_SIZE * radius)
    return outlines


def _hulls(joints: Floats, radius: Floats) -> Floats:
    """(R, 3, 12, 2), around each two neighbours of (R, 4, 2) circles with (R, 4, 1) radii."""
    height = joints @ _ROUND.T + radius
    outer = (height[:, :-1] >= height[:, 1:])[..., None]
    middles = np.where(outer, joints[:, :-1, None], joints[:, 1:, None])
    return np.asarray(middles + _ROUND * np.where(outer, radius[:, :-1, None], radius[:, 1:, None]))


def rods(rng: np.random.Generator, hw: tuple[int, int], limb_px: float, gain: Floats) -> list[Strokes]:
    """None to five rods anywhere in the picture: one to three tapered pieces in cloth, in skin, or in both.

    Args:
        rng: draws them.
        hw: size of the picture.
        limb_px: how long a piece of a limb would be on the scene's subject.
        gain: the light's colour.
    """
    draws = rng.random((int(rng.random() * 6), 8))
    rows = draws.tolist()
    outlines = shapes()[[int(row[0] * SHAPES) for row in rows]] * limb_px
    outlines += (draws[:, 1:3] * (hw[1], hw[0]))[:, None, None]
    polygons = sixteenths(outlines)
    strokes = []
    for outline, row in zip(polygons, rows, strict=True):
        pieces, sleeve = 1 + int(PIECES * row[3]), int(PIECES * row[4])
        cloth, skin = CLOTHES[int(row[5] * len(CLOTHES))] * gain, SKINS[int(row[6] * len(SKINS))] * gain
        colors = []
        for k in range(pieces):
            blue, green, red = (cloth if k < sleeve or pieces == 1 else skin).tolist()
            colors += [[int(0.78 * blue), int(0.78 * green), int(0.78 * red), 0], [int(blue), int(green), int(red), 0]]
        strokes.append(Strokes(polygons=outline[: 2 * pieces], colors=colors))
    return strokes
