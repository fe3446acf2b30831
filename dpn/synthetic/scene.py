"""Composes the synthetic scenes: camera, who stands where, what stands in the way, light and film. Imports no torch."""

import math
from bisect import bisect_right
from dataclasses import dataclass, replace

import cv2
import numpy as np

from dpn.arrays import Floats, Pixels
from dpn.synthetic.backdrop import any_color, backdrop, bank, byte, cut
from dpn.synthetic.body import Posed, pose
from dpn.synthetic.camera import Camera, look
from dpn.synthetic.clothes import Outfits
from dpn.synthetic.draw import SHIFT, Flesh, paint, sixteenths, strokes, view
from dpn.synthetic.furniture import Piece, choose, draw, seat
from dpn.synthetic.population import PEOPLE, population
from dpn.synthetic.pose import Poses, draw_poses
from dpn.synthetic.rods import rods
from dpn.synthetic.shape import FLESH, PLACE_FRAMES

_HOW_MANY = (0.40, 0.69, 0.86, 0.95)
"""Shares of scenes with one person, with at most two, three and four; the others have five."""
_TURN = 2 * np.pi * np.arange(14) / 14
_DISC = np.concatenate([np.zeros((1, 2)), np.stack([np.cos(_TURN), np.sin(_TURN)], axis=1)])
"""The middle of a disc and the points around it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Cast:
    """The people of a scene, the subject first.

    Attributes:
        poses: what they do.
        posed: their bodies doing it.
        outfits: what they wear.
        centers_m: (P, E + 21, 3) of their flesh and joints, from the middle of their hips.
        radii_m: (P, E, 3) of their flesh.
        low_m: (P,) their lowest point, likewise, less how high they jump.
    """

    poses: Poses
    posed: Posed
    outfits: Outfits
    centers_m: Floats
    radii_m: Floats
    low_m: Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class Painted:
    """A picture of people.

    Attributes:
        image: (H, W, 3) uint8, blue, green, red.
        ids: (H, W) uint8, see `dpn.synthetic.draw.paint`; the subject is number 1.
        cast: who is in it.
        flesh: where their flesh and joints are.
    """

    image: Pixels
    ids: np.ndarray
    cast: Cast
    flesh: Flesh


def _cast(rng: np.random.Generator, gain: Floats) -> Cast:
    people = 1 + bisect_right(_HOW_MANY, rng.random())
    everybody, poses = population(), draw_poses(rng, people)
    rows = (PEOPLE * rng.random(people)).astype(int)
    posed = pose(everybody.bodies.take(rows), poses.angles_deg, poses.yaw_deg, poses.lean_deg)
    centers, radii = posed.points(PLACE_FRAMES, everybody.offsets_m[rows]), everybody.radii_m[rows]
    return Cast(
        poses=poses,
        posed=posed,
        outfits=everybody.outfits.under(rows, gain),
        centers_m=centers,
        radii_m=radii,
        low_m=(centers[:, :FLESH, 1] - radii[..., 1]).min(axis=1) - poses.raised_m,
    )


def _aim(rng: np.random.Generator, cast: Cast, hw: tuple[int, int]) -> tuple[Camera, float]:
    """A camera that shows the subject as large as wanted and where wanted; and how far away the subject is."""
    draws, gauss = rng.random(8).tolist(), rng.standard_normal(3).tolist()
    away = 2.4 + 5.0 * draws[0] ** 1.5
    height_m = min(max(1.35 + 0.35 * gauss[0], 0.5), 2.6)
    pitch_deg = math.degrees(math.atan2(height_m - 0.9, away)) * draws[1] + 3 * gauss[1]
    camera = look(height_m, pitch_deg, 3 * gauss[2])
    seen = camera.seen(cast.centers_m[0, FLESH:] + (0.0, -cast.low_m[0], -away))
    flat = seen[:, :2] / seen[:, 2:]
    (left, top), (right, bottom) = flat.min(axis=0).tolist(), flat.max(axis=0).tolist()
    left, top = left - 0.08 / away, top - 0.08 / away
    wide, tall = right + 0.08 / away - left, bottom + 0.08 / away - top
    share = 0.36 + 0.58 * draws[2]
    focal = min(share * hw[0] / tall, (0.95 if draws[3] < 0.8 else 1.5) * hw[1] / wide)
    if 0.12 <= draws[6] < 0.30:
        focal *= 1.25 + 0.5 * draws[7]
    x, y = ((full - focal * size) * draw for full, size, draw in ((hw[1], wide, draws[4]), (hw[0], tall, draws[5])))
    if draws[6] < 0.12:  # cut off at the left or the right
        cut_px = focal * wide * draws[4] * 0.45
        x = -cut_px if draws[5] < 0.5 else hw[1] - focal * wide + cut_px
    elif draws[6] < 0.30:  # cut off below, as by a closer look
        y = hw[0] * 0.12 * draws[5]
    return replace(camera, focal_px=focal, middle_px=(x - focal * left, y - focal * top)), away


def _places(rng: np.random.Generator, cast: Cast, camera: Camera, away: float, width: int) -> Floats:
    """(P, 3), where the middles of everybody's hips are: some beside the subject, some behind, few in front."""
    people = len(cast.outfits)
    draws, gauss = rng.random((people, 2)), rng.standard_normal(people)
    far = np.maximum(draws[:, 0] - 0.25, 0.0) ** 1.3
    distance = away * np.where(draws[:, 0] < 0.25, 0.72 + 0.8 * draws[:, 0], 0.92 + 1.9 * far)
    distance[0] = away
    subject = float(camera.project(np.array([0.0, -cast.low_m[0], -away]))[0])
    body_px = 0.5 * camera.focal_px / away
    beside = subject + body_px * (np.sign(gauss) * 0.55 + 0.6 * gauss)
    column = np.where(draws[:, 1] < 0.5, beside, width * (2 * draws[:, 1] - 1))
    places = camera.ground(column, distance)
    places[0] = (0.0, 0.0, -away)
    places[:, 1] = -cast.low_m
    return places


def compose(rng: np.random.Generator) -> Painted:
    """One picture and all that is known about it, from what the generator draws."""
    draws, gauss = rng.random(3).tolist(), rng.standard_normal(4)
    area, ratio = 54_000 + 22_000 * draws[0], float(np.exp(0.84 * (draws[1] - 0.5)))
    hw = (int((area * ratio) ** 0.5), int((area / ratio) ** 0.5))
    gain = np.exp(0.15 * gauss[0] - 0.05 + 0.05 * gauss[1:]).clip(0.5, 1.15)
    slant = -0.5 - 2.1 * draws[2]
    light = np.array([np.cos(slant), np.sin(slant)])
    cast = _cast(rng, gain)
    camera, away = _aim(rng, cast, hw)
    places = _places(rng, cast, camera, away, hw[1])
    flesh = view(cast.posed, cast.centers_m + places[:, None], cast.radii_m, camera)
    canvas = backdrop(rng, hw, camera, gain)
    _shadows(canvas, cast, places, camera)
    pieces = _furniture(rng, hw, camera, away, gain) + _seats(cast, places)
    things = draw(rng, pieces, camera, gain)
    for what in rods(rng, hw, 0.42 * camera.focal_px / away, gain):
        things.append((away * (0.75 if rng.random() < 0.16 else 1.4), what))
    things += zip(camera.seen(places)[:, 2].tolist(), strokes(flesh, cast.outfits, light, hw), strict=True)
    for _, what in sorted(things, key=lambda thing: -thing[0]):
        paint(canvas, what)
    return Painted(
        image=_film(rng, canvas),
        ids=np.asarray(cv2.extractChannel(canvas, 3), np.uint8),
        cast=cast,
        flesh=flesh,
    )


def _seats(cast: Cast, places: Floats) -> list[Piece]:
    """A stool under everybody who sits."""
    return [
        Piece(
            cuboids=seat(max(float(places[i, 1] - 0.06 * cast.posed.bodies.stature_m[i]), 0.1)),
            place_m=places[i] * (1.0, 0.0, 1.0) - (0.0, 0.0, 0.02),
            yaw=float(np.radians(cast.poses.yaw_deg[i])),
            color=cast.outfits.pattern_colors[i].astype(float),
        )
        for i in np.flatnonzero(cast.poses.seated).tolist()
    ]


def _furniture(rng: np.random.Generator, hw: tuple[int, int], camera: Camera, away: float, gain: Floats) -> list[Piece]:
    """Most of it behind the subject, some in front, seldom a counter along the whole picture."""
    count = int(rng.random() * 5)
    draws = rng.random((count + 1, 7))
    distance = away * np.where(draws[:, 0] < 0.20, 0.66 + 0.26 * draws[:, 1], 1.08 + 1.3 * draws[:, 1])
    column = hw[1] * (1.2 * draws[:, 2] - 0.1)
    counter = draws[-1, 0] < 0.05
    distance[-1], column[-1] = 0.8 * away, hw[1] / 2
    spots = camera.ground(column, distance)
    pieces = choose(rng, spots[:-1], gain)
    if counter:
        bar = (0.0, 0.0, 0.0, 9.0, 0.4 + 0.5 * draws[-1, 1], 0.3)
        color = any_color(draws[-1, 3:].tolist(), gain)
        pieces.append(Piece(cuboids=[bar], place_m=spots[-1], yaw=0.3 * (draws[-1, 2] - 0.5), color=color))
    return pieces


def _shadows(canvas: Pixels, cast: Cast, places: Floats, camera: Camera) -> None:
    rings = np.zeros((len(places), len(_DISC), 3))
    rings[..., ::2] = places[:, None, ::2] + _DISC * (0.17 * cast.posed.bodies.stature_m)[:, None, None]
    pixels = camera.project(rings)
    for ring, (x, y) in zip(sixteenths(pixels[:, 1:]), pixels[:, 0].astype(int).tolist(), strict=True):
        if 0 <= x < canvas.shape[1] and 0 <= y < canvas.shape[0]:
            cv2.fillConvexPoly(canvas, ring, byte(canvas[y, x, :3] * 0.68), cv2.LINE_8, SHIFT)


def _film(rng: np.random.Generator, canvas: Pixels) -> Pixels:
    """A lens that is not quite sharp, which smooths the edges too; then uneven light, stains and a sensor's noise."""
    height, width = canvas.shape[:2]
    draws = rng.random(3).tolist()
    out = cv2.cvtColor(canvas, cv2.COLOR_BGRA2BGR)
    if draws[0] < 0.10:  # a small picture that was enlarged
        small = 0.55 + 0.35 * draws[1]
        half = cv2.resize(out, (int(width * small), int(height * small)), interpolation=cv2.INTER_LINEAR)
        out = cv2.resize(half, (width, height), interpolation=cv2.INTER_LINEAR)
    else:
        soft = draws[1] < 0.25
        out = cv2.blur(out, (3, 3)) if soft else cv2.GaussianBlur(out, (3, 3), 0)  # 1 2 1 is OpenCV's fastest
    strength = 0.08 + 0.5 * draws[2] ** 2
    cv2.addWeighted(out, 1.0, cut(rng, bank().films, (height, width)), strength, -128 * strength, dst=out)
    return np.asarray(out, np.uint8)
