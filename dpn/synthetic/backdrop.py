"""What is behind the synthetic figures: rooms, streets and fields with textures like those of photographs. No torch."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from dpn.arrays import Floats, Pixels
from dpn.synthetic.camera import Camera
from dpn.synthetic.clothes import CLOTHES
from dpn.synthetic.draw import SHIFT, Strokes, paint, sixteenths

TEXTURES, FILMS, BANK_PX = 12, 6, 512
Color = tuple[int, int, int, int]
"""Blue, green, red, and the fourth channel, 0: nobody."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Bank:
    """What all scenes cut pieces from, made once in a process and the same in all.

    Attributes:
        textures: (512, 512, 4) uint8 about 128, deviation 40; their amplitude falls with frequency as in natural
            images, each with its own slope between 0.7 and 1.6 and little colour. The fourth channel is 128.
        films: (512, 512, 3) uint8 about 128: uneven light, stains and a sensor's noise, in other shares in each.
    """

    textures: tuple[Pixels, ...]
    films: tuple[Pixels, ...]


@lru_cache(maxsize=1)
def bank() -> Bank:
    """The bank; takes a third of a second when first asked for."""
    rng = np.random.default_rng(1_234_567)
    down, along = np.fft.fftfreq(BANK_PX)[:, None], np.fft.rfftfreq(BANK_PX)[None]
    textures = []
    for slope in np.linspace(0.7, 1.6, TEXTURES):
        stretch = rng.uniform(0.5, 2.0)
        radius = np.hypot(down * stretch, along / stretch)
        radius[0, 0] = 1.0
        filtered = np.fft.rfft2(rng.standard_normal((2, BANK_PX, BANK_PX))) / radius**slope
        filtered[:, 0, 0] = 0
        gray, tint = np.fft.irfft2(filtered, s=(BANK_PX, BANK_PX))
        layers = gray[..., None] / gray.std() + 0.25 * tint[..., None] / tint.std() * rng.uniform(-1, 1, 4)
        layers[..., 3] = 0
        textures.append(np.clip(128 + 40 * layers, 0, 255).astype(np.uint8))
    films = []
    for k, share in enumerate(np.linspace(0.25, 0.9, FILMS)):
        grid = rng.standard_normal((5, 5)).astype(np.float32)
        light = cv2.resize(grid, (BANK_PX, BANK_PX), interpolation=cv2.INTER_LINEAR)[..., None] * 30
        stains = textures[TEXTURES - 1 - k][..., :3].astype(np.float32) - 128
        noise = 40 * rng.standard_normal((BANK_PX, BANK_PX, 3))
        films.append(np.clip(128 + (1 - share) * (light + stains) + share * noise, 0, 255).astype(np.uint8))
    return Bank(textures=tuple(textures), films=tuple(films))


def cut(rng: np.random.Generator, pieces: tuple[Pixels, ...], hw: tuple[int, int]) -> Pixels:
    """A piece of that size of one of them; natural textures look alike at any scale, so nothing is enlarged."""
    draws = rng.random(3).tolist()
    top, left = int(draws[1] * (BANK_PX - hw[0])), int(draws[2] * (BANK_PX - hw[1]))
    return pieces[int(draws[0] * len(pieces))][top : top + hw[0], left : left + hw[1]]


def add_texture(rng: np.random.Generator, canvas: Pixels, strength: float) -> None:
    """Adds a piece of a texture, mean 0, to the whole (H, W, 4) picture, in place."""
    height, width = canvas.shape[:2]
    cv2.addWeighted(canvas, 1.0, cut(rng, bank().textures, (height, width)), strength, -128 * strength, dst=canvas)


def filled(hw: tuple[int, int], color: Floats) -> Pixels:
    """(H, W, 4) of that colour."""
    words = np.full(hw, np.array(byte(color), np.uint8).view(np.uint32)[0])
    return words.view(np.uint8).reshape(*hw, 4)


def byte(color: Floats) -> Color:
    """A colour as OpenCV takes it."""
    blue, green, red = color.tolist()
    return int(min(max(blue, 2), 253)), int(min(max(green, 2), 253)), int(min(max(red, 2), 253)), 0


def any_color(draws: list[float], gain: Floats) -> Floats:
    """Of the colours that clothes have, from four uniform draws, so that colour alone tells nobody what is a person."""
    return np.asarray((CLOTHES[int(draws[0] * len(CLOTHES))] + 40 * np.array(draws[1:4]) - 20) * gain)


def backdrop(rng: np.random.Generator, hw: tuple[int, int], camera: Camera, gain: Floats) -> Pixels:
    """A picture without people: a room, a street, a field, or nothing but texture; (H, W, 4)."""
    draws = rng.random(6).tolist()
    kind = draws[0]
    if kind < 0.42:
        canvas = _room(rng, hw, camera, gain)
    elif kind < 0.68:
        canvas = _street(rng, hw, camera, gain)
    elif kind < 0.90:
        canvas = _field(rng, hw, camera, gain)
    else:
        canvas = filled(hw, any_color(draws[2:], gain))
    if kind >= 0.90 or draws[1] < 0.4:
        add_texture(rng, canvas, 0.1 + 0.5 * draws[1] + (0.5 if kind >= 0.90 else 0.0))
    return canvas


_LINES = 11
_BESIDE = np.arange(_LINES) - (_LINES - 1) / 2


def _ground(rng: np.random.Generator, canvas: Pixels, camera: Camera, edge_away_m: float, color: Floats) -> None:
    """Fills what lies below a line across the ground, with its own texture, and draws lines on it."""
    height = canvas.shape[0]
    draws = rng.random(5).tolist()
    points = np.zeros((2 + 2 * _LINES, 3))
    points[:2, 0], points[:2, 2] = np.array([-1, 1]) * (1600 * edge_away_m / camera.focal_px), -edge_away_m
    near, far, turn = 1.2, min(edge_away_m, 40.0), draws[0] - 0.5
    points[2::2, 2], points[3::2, 2] = -near, -far
    points[2::2, 0] = points[3::2, 0] = _BESIDE * (0.25 + 1.35 * draws[1])
    points[2::2, 0] += turn * near
    points[3::2, 0] += turn * far
    seen = camera.project(points)
    (left, at_left), (right, at_right) = seen[:2].tolist()
    corners = np.array([[left, at_left], [right, at_right], [right, height + 900.0], [left, height + 900.0]])
    cv2.fillConvexPoly(canvas, sixteenths(corners), byte(color), cv2.LINE_8, SHIFT)
    top = int(min(max((at_left + at_right) / 2, 0), height))
    if height - top >= 8:
        add_texture(rng, canvas[top:], 0.08 + 0.35 * draws[2] ** 2)
    if draws[3] < 0.45:  # boards, tiles or lanes
        shade = byte(color * (0.6 + 0.65 * draws[4]))
        cv2.polylines(canvas, list(sixteenths(seen[2:]).reshape(-1, 2, 2)), False, shade, 1, cv2.LINE_8, SHIFT)


_RIGHT, _UP = np.array([0.0, 1.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0, 1.0])


def _panels(camera: Camera, rectangles: Floats) -> list[np.ndarray]:
    """(4, 2) corners in sixteenths of rectangles that face the camera: left, bottom, width, height, metres away."""
    x, y, wide, tall, away = rectangles.T[..., None]
    corners = np.empty((len(rectangles), 4, 3))
    corners[..., 0], corners[..., 1], corners[..., 2] = x + wide * _RIGHT, y + tall * _UP, -away
    return list(sixteenths(camera.project(corners)))


def _room(rng: np.random.Generator, hw: tuple[int, int], camera: Camera, gain: Floats) -> Pixels:
    draws = rng.random(64)
    row = draws.tolist()
    wall = (100 + 125 * row[0] + 40 * (draws[1:4] - 0.5) * (1.0, 0.4, 1.0)) * gain
    away = 5.5 + 5.5 * row[4]
    half = away * hw[1] / camera.focal_px
    count = 1 + int(5 * row[5])
    frames = np.empty((count, 5))
    frames[:, 0], frames[:, 1] = half * (2 * draws[6 : 6 + count] - 1), 0.6 + 1.3 * draws[11 : 11 + count]
    frames[:, 2], frames[:, 3] = 0.5 + 1.3 * draws[16 : 16 + count], 0.4 + 1.2 * draws[21 : 21 + count]
    frames[:, 4] = away
    if row[26] < 0.5:  # a door
        frames[0, 1:4] = (0.0, 0.95, 2.05)
    rectangles = np.repeat(frames, 2, axis=0)
    rectangles[1::2, :4] += (0.06, 0.06, -0.12, -0.12)
    colors = []
    for k in range(count):
        colors += [byte(wall * (0.5 + 0.65 * row[27 + k])), byte(any_color(row[32 + 4 * k : 36 + 4 * k], gain * 1.1))]
    if row[52] < 0.25:  # a curtain or panelling
        width = 0.08 + 0.17 * row[53]
        strips = np.empty((3 + int(8 * row[54]), 5))
        strips[:, 0] = half * (2 * row[55] - 1) + np.arange(len(strips)) * 2 * width
        strips[:, 1:] = (0.0, width, 1.2 + 1.8 * row[56], away)
        rectangles = np.concatenate([rectangles, strips])
        colors += [byte(any_color(row[57:61], gain))] * len(strips)
    canvas = filled(hw, wall)
    paint(canvas, Strokes(polygons=_panels(camera, rectangles), colors=colors))
    floor = (70.0, 105.0, 150.0) if row[61] < 0.5 else (125.0, 128.0, 130.0)  # wood or stone
    _ground(rng, canvas, camera, away, (np.array(floor) * (0.5 + 0.9 * row[62]) + 16 * (draws[:3] - 0.5)) * gain)
    return canvas


def _sky(draws: Floats, hw: tuple[int, int], gain: Floats) -> Pixels:
    overcast = float(draws[0])
    sky = np.array([235.0, 190.0, 130.0]) * (1 - overcast) + np.array([215.0, 215.0, 212.0]) * overcast
    return filled(hw, sky * gain * (0.7 + 0.35 * draws[1]))


_FLOORS, _COLUMNS = 3, 4
_WINDOWS = np.array([(0.6 + 2.0 * i, 1.0 + 2.6 * j, 1.0, 1.4) for j in range(_FLOORS) for i in range(_COLUMNS)])


def _street(rng: np.random.Generator, hw: tuple[int, int], camera: Camera, gain: Floats) -> Pixels:
    draws = rng.random((2 + int(4 * rng.random()), 9))
    draws = draws[np.argsort(-draws[:, 0])]
    houses = np.empty((len(draws), 1 + len(_WINDOWS), 5))
    houses[..., 4] = 9 + 29 * draws[:, :1]
    half = houses[:, 0, 4] * hw[1] / camera.focal_px / 2
    houses[:, 0, 0], houses[:, 0, 1] = half * (2.5 * draws[:, 1] - 1.4), 0.0
    houses[:, 0, 2], houses[:, 0, 3] = 4 + 6 * draws[:, 2], 4 + 11 * draws[:, 3]
    houses[:, 1:, :4] = _WINDOWS
    houses[:, 1:, 0] += houses[:, :1, 0]
    fits = np.ones(houses.shape[:2], bool)
    fits[:, 1:] = (_WINDOWS[:, 0] + 1.2 < houses[:, :1, 2]) & (_WINDOWS[:, 1] + 1.6 < houses[:, :1, 3])
    walls = (70 + 130 * draws[:, 4:5] + 60 * (draws[:, 5:8] - 0.5)) * gain
    colors = []
    for wall, pane, windows in zip(walls, draws[:, 8].tolist(), fits.sum(axis=1).tolist(), strict=True):
        colors += [byte(wall)] + [byte(wall * (0.35 + 0.9 * pane))] * (windows - 1)
    canvas = _sky(draws[0, 7:], hw, gain)
    paint(canvas, Strokes(polygons=_panels(camera, houses[fits]), colors=colors))
    _ground(rng, canvas, camera, 60.0, (80 + 90 * draws[0, 1] + 14 * (draws[0, 2:5] - 0.5)) * gain)
    return canvas


_CROWN = np.stack([np.cos(np.arange(12) * (2 * np.pi / 12)), np.sin(np.arange(12) * (2 * np.pi / 12))], axis=1)


def _field(rng: np.random.Generator, hw: tuple[int, int], camera: Camera, gain: Floats) -> Pixels:
    draws = rng.random((2 + int(9 * rng.random()), 18))
    horizon = float(camera.project(np.array([0.0, 0.0, -80.0]))[1])
    size = hw[0] * (0.06 + 0.24 * draws[:, :1])  # of trees and bushes
    crowns = _CROWN * (size * (0.7 + 0.4 * draws[:, 6:]))[..., None]
    crowns[..., 0] += hw[1] * (1.2 * draws[:, 1:2] - 0.1)
    crowns[..., 1] += horizon - 0.6 * size
    greens = (np.array([60.0, 120.0, 90.0]) * (0.5 + 0.7 * draws[0, 2]) + 60 * (draws[:, 3:6] - 0.5)) * gain
    canvas = _sky(draws[0, 16:], hw, gain)
    for crown, green in zip(sixteenths(crowns), greens, strict=True):
        cv2.fillPoly(canvas, [crown], byte(green), cv2.LINE_8, SHIFT)
    ground = np.array([70.0, 125.0, 110.0]) + 90 * (draws[1, 6:9] - 0.5)
    _ground(rng, canvas, camera, 80.0, ground * (0.6 + 0.6 * draws[1, 9]) * gain)
    return canvas
