"""What stands about in the synthetic scenes: furniture of cuboids, and plants. Imports no torch."""

from dataclasses import dataclass

import numpy as np

from dpn.arrays import Floats
from dpn.synthetic.backdrop import byte
from dpn.synthetic.camera import NEAREST_M, Camera
from dpn.synthetic.clothes import CLOTHES
from dpn.synthetic.draw import Strokes, sixteenths

Draws = list[float]
Cuboid = tuple[float, float, float, float, float, float]
"""Middle in x, bottom in y, middle in z; then width, height and depth; metres."""

_CORNERS = np.array([[x, y, z] for y in (0.0, 1.0) for x, z in ((-0.5, 0.5), (0.5, 0.5), (0.5, -0.5), (-0.5, -0.5))])
_FACES = np.array([[0, 1, 5, 4], [1, 2, 6, 5], [2, 3, 7, 6], [3, 0, 4, 7], [4, 5, 6, 7], [3, 2, 1, 0]])
_FACE_LIGHT = np.array([0.92, 0.74, 0.9, 0.80, 1.12, 0.5])
_ANGLES = np.arange(12) * (2 * np.pi / 12)
LEAST_PX2 = 2.0
"""Faces of less than half as many square pixels are left out."""
_WOOD = np.array([55.0, 90.0, 135.0])
_ROUND = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)


def _legs(wide: float, deep: float, tall: float, thick: float) -> list[Cuboid]:
    x, z = wide / 2 - thick, deep / 2 - thick
    return [(i * x, 0.0, j * z, thick, tall, thick) for i in (-1, 1) for j in (-1, 1)]


def _table(d: Draws) -> list[Cuboid]:
    wide, deep, tall = 0.7 + 1.1 * d[0], 0.5 + 0.5 * d[1], 0.45 + 0.4 * d[2]
    return [*_legs(wide, deep, tall, 0.05), (0, tall, 0, wide, 0.05, deep)]


def _chair(d: Draws) -> list[Cuboid]:
    tall, back = 0.42 + 0.08 * d[0], 0.35 + 0.3 * d[1]
    return [*_legs(0.45, 0.45, tall, 0.04), (0, tall, 0, 0.45, 0.05, 0.45), (0, tall, -0.21, 0.45, back, 0.04)]


def _box(d: Draws) -> list[Cuboid]:
    return [(0, 0, 0, 0.3 + 0.9 * d[0], 0.2 + 0.8 * d[1], 0.3 + 0.6 * d[2])]


def _shelf(d: Draws) -> list[Cuboid]:
    wide, tall = 0.6 + 0.8 * d[0], 1.0 + 1.1 * d[1]
    boards: list[Cuboid] = [(0, tall * k / 3, 0.0, wide, 0.03, 0.32) for k in range(4)]
    sides: list[Cuboid] = [(s * wide / 2, 0, 0, 0.03, tall, 0.32) for s in (-1, 1)]
    books: list[Cuboid] = [(wide * (d[3 + k] - 0.5) * 0.6, tall * k / 3 + 0.03, 0, 0.25, 0.2, 0.2) for k in range(2)]
    return [(0, 0, -0.15, wide, tall, 0.02), *sides, *boards, *books]


def _post(d: Draws) -> list[Cuboid]:
    tall, thick = 1.3 + 2.2 * d[0], 0.04 + 0.08 * d[1]
    top: list[Cuboid] = [(0, tall, 0, 0.3, 0.22, 0.3)] if d[2] < 0.6 else [(0, tall * 0.8, 0, 0.9 * d[3], 0.3, 0.03)]
    return [(0, 0, 0, thick, tall, thick), *top]


def _fence(d: Draws) -> list[Cuboid]:
    step, tall = 0.16 + 0.2 * d[0], 0.6 + 0.5 * d[1]
    bars: list[Cuboid] = [((k - 3) * step, 0, 0, 0.05, tall, 0.04) for k in range(7)]
    return [*bars, (0, tall * 0.8, 0, 7 * step, 0.06, 0.05)]


def _sofa(d: Draws) -> list[Cuboid]:
    wide = 1.1 + 0.9 * d[0]
    arms: list[Cuboid] = [(s * wide / 2, 0.1, 0, 0.16, 0.5, 0.8) for s in (-1, 1)]
    return [(0, 0.1, -0.32, wide, 0.75, 0.18), (0, 0.1, 0, wide, 0.32, 0.8), *arms]


_KINDS = (_table, _chair, _box, _shelf, _post, _fence, _sofa)


def seat(tall_m: float) -> list[Cuboid]:
    """A stool of that height, for somebody who sits."""
    return [*_legs(0.42, 0.40, max(tall_m - 0.06, 0.05), 0.05), (0, max(tall_m - 0.06, 0.05), 0, 0.42, 0.06, 0.40)]


@dataclass(frozen=True, kw_only=True, eq=False)
class Piece:
    """A thing that stands somewhere: its cuboids, its place, how it is turned, its colour, and leaves on top."""

    cuboids: list[Cuboid]
    place_m: Floats
    yaw: float
    color: Floats
    leaves: int = 0


def choose(rng: np.random.Generator, places_m: Floats, gain: Floats) -> list[Piece]:
    """A piece of furniture, or a plant, for each of these places on the ground."""
    pieces = []
    for place, draws in zip(places_m, rng.random((len(places_m), 13)), strict=True):
        kind, tinted, shade, *sizes = draws.tolist()
        color = draws[10:13] * 30 + (CLOTHES[int(shade * len(CLOTHES))] if tinted < 0.6 else _WOOD * (0.6 + shade))
        which = int(kind * (len(_KINDS) + 1))
        plant = which == len(_KINDS)
        pieces.append(
            Piece(
                cuboids=[(0, 0, 0, 0.3, 0.3, 0.3)] if plant else _KINDS[which](sizes),
                place_m=place,
                yaw=6.283 * sizes[6],
                color=color * gain,
                leaves=6 + int(8 * sizes[1]) if plant else 0,
            )
        )
    return pieces


def draw(rng: np.random.Generator, pieces: list[Piece], camera: Camera, gain: Floats) -> list[tuple[float, Strokes]]:
    """Things as the camera sees them: nearer faces of cuboids, light on top; metres away, and the paint."""
    if not pieces:
        return []
    owner = np.repeat(np.arange(len(pieces)), [len(piece.cuboids) for piece in pieces])
    table = np.array([cuboid for piece in pieces for cuboid in piece.cuboids])
    yaw, places = np.array([piece.yaw for piece in pieces]), np.array([piece.place_m for piece in pieces])
    turns = np.zeros((len(pieces), 3, 3))  # applied from the right
    turns[:, 0, 0] = turns[:, 2, 2] = np.cos(yaw)
    turns[:, 2, 0], turns[:, 0, 2], turns[:, 1, 1] = np.sin(yaw), -np.sin(yaw), 1.0
    corners = _CORNERS * table[:, None, 3:] + table[:, None, :3]
    seen = camera.seen(corners @ turns[owner] + places[owner][:, None])
    away = seen[..., 2].mean(axis=1)
    order = np.lexsort((-away, owner))
    quads = camera.pixels(seen)[order][:, _FACES]  # (N, 6, 4, 2)
    first, second = quads[:, :, 2] - quads[:, :, 0], quads[:, :, 3] - quads[:, :, 1]
    front = first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0] < -LEAST_PX2
    which, face = np.nonzero(front & (seen[order][..., 2].min(axis=1) > NEAREST_M)[:, None])
    colors = np.zeros((len(pieces), len(_FACE_LIGHT), 4))
    colors[..., :3] = np.array([piece.color for piece in pieces])[:, None] * _FACE_LIGHT[:, None]
    paints = colors.clip(0, 253).astype(int)[owner[which], face].tolist()
    polygons = list(sixteenths(quads[which, face]))
    ends = np.searchsorted(owner[which], np.arange(len(pieces) + 1)).tolist()
    middles = camera.seen(places)[:, 2].tolist()
    things = []
    for k, piece in enumerate(pieces):
        shapes, shades = polygons[ends[k] : ends[k + 1]], paints[ends[k] : ends[k + 1]]
        if piece.leaves:
            leaves = _leaves(rng, piece, camera)
            shapes += list(leaves)
            greens = np.array([50.0, 110.0, 70.0]) * gain * rng.uniform(0.5, 1.4, (piece.leaves, 1))
            shades += [byte(green) for green in greens]
        things.append((middles[k], Strokes(polygons=shapes, colors=shades)))
    return things


def _leaves(rng: np.random.Generator, piece: Piece, camera: Camera) -> np.ndarray:
    scale = camera.focal_px / max(float(camera.seen(piece.place_m)[2]), 0.5)
    top = camera.project(piece.place_m + np.array([0.0, 0.6, 0.0]))
    middles = top + rng.normal(0, 0.2, (piece.leaves, 2)) * scale
    axes = rng.normal(0, 0.12, (piece.leaves, 2, 2)) * scale
    return sixteenths(middles[:, None] + _ROUND @ axes)
