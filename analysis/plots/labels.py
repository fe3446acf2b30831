"""Labels beside points, placed where they cover no mark, line or other text; the same place every time."""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from analysis.plots import style

_PX = style.PNG_DPI / style.POINTS_PER_IN
"""Pixels of one point, where boxes are compared."""

_LEADER_FROM_PT = 9.0

_CLEARLY = 2.0
"""So many times as far as its own point any other is from a label without a leader."""

_TOUCHING_PT = 5.0
"""A leader that passes another point at this distance seems to lead there, and a label that has one seems to be its."""

_MISTAKEN_PX2 = 1000.0
"""As bad as covering so much of something else is a label that stands on another point than its own."""


def place_labels(axes: Axes, labels: Sequence[tuple[float, float, str]], **text: Any) -> list[Annotation]:
    """Writes labels beside points, each where it meets no mark, line, text or axis.

    Call it when all else is drawn and the limits are final. The nearest place wins, right before left before above and
    below; a label stays clearly nearer to its own point than to any other that has one, and one that must go further
    away gets a thin leader, which passes no other point. Labels are placed one after the other, in four orders, and the
    order that ends best is kept: the same one every time. Where no place is free the least bad one is taken.

    Args:
        axes: where the points are.
        labels: x and y in data coordinates, and the text.
        text: properties of the texts.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    inside = axes.get_window_extent().padded(-2 * _PX)
    obstacles = [box for box in occupied(axes) if box.overlaps(inside)]
    points = [tuple(map(float, axes.transData.transform((x, y)))) for x, y, _ in labels]
    places: list[list[_Place]] = []
    for x, y, words in labels:
        note = axes.annotate(words, (x, y), **text)
        size = text_box(note).size
        note.remove()
        places.append([_Place(points[len(places)], offset, size, rank) for rank, offset in enumerate(_offsets())])
    orders = [sorted(range(len(labels)), key=key) for key in (
        lambda i: -points[i][1], lambda i: points[i][1], lambda i: -points[i][0], lambda i: points[i][0],
    )]  # fmt: skip
    for place in itertools.chain.from_iterable(places):
        place.judge(inside, points)
    chosen = min((_arrange(places, order, obstacles) for order in orders), key=lambda result: result[0])[1]
    return [_annotate(axes, (x, y), words, place, text) for (x, y, words), place in zip(labels, chosen, strict=True)]


class _Place:
    """One place where a label could go: its box, and the leader when it is far from its point.

    Attributes:
        cost: how bad it is whatever else there is, see `judge`.
        boxes: the text's and the leader's, a row each: x0, y0, x1, y1.
    """

    def __init__(self, point: tuple[float, ...], offset: tuple[float, float], size: Any, rank: int) -> None:
        self.dx, self.dy = offset
        self.point, self.rank = point, rank
        width, height = size
        x = point[0] + self.dx * _PX - (0 if self.dx > 0 else width if self.dx < 0 else width / 2)
        y = point[1] + self.dy * _PX - (0 if self.dy > 0 else height if self.dy < 0 else height / 2)
        self.box = Bbox.from_bounds(x, y, width, height)
        self.leader = math.hypot(self.dx, self.dy) > _LEADER_FROM_PT
        steps = [step / 10 for step in range(4, 10)] if self.leader else []
        along = [(point[0] + t * self.dx * _PX, point[1] + t * self.dy * _PX) for t in steps]
        pieces = [self.box, *(Bbox.from_bounds(x, y, 0, 0).padded(_PX) for x, y in along)]
        self.boxes = np.array([piece.extents for piece in pieces])
        self.cost = 0.0

    def judge(self, inside: Bbox, points: list[tuple[float, ...]]) -> None:
        """Sets what the place costs by itself: where it leaves the axes, and where it seems to name another point."""
        spilled = self.box.width * self.box.height - float(_shared_areas(self.boxes[:1], np.array([inside.extents]))[0])
        others = [point for point in points if point != self.point]
        near = [_distance(self.box, point) for point in others]
        clear = _CLEARLY * _distance(self.box, self.point)
        if self.leader:
            near += [_beside(point, self.point, self.boxes[-1, :2]) for point in others]
            clear = _TOUCHING_PT * _PX
        mistakable = max(0.0, 1 - min(near, default=clear) / clear)
        self.cost = 1000 * (spilled + _MISTAKEN_PX2 * mistakable) + self.rank


def _arrange(places: list[list[_Place]], order: list[int], obstacles: list[Bbox]) -> tuple[float, list[_Place]]:
    """Places labels in that order; returns how bad the result is, and the places in the labels' own order."""
    taken = [box.extents for box in obstacles]
    chosen: dict[int, _Place] = {}
    total = 0.0
    for index in order:
        around = np.array(taken, dtype=float).reshape(-1, 4)
        covered = _shared_areas(np.concatenate([place.boxes for place in places[index]]), around)
        starts = itertools.accumulate((len(place.boxes) for place in places[index][:-1]), initial=0)
        overlaps = np.add.reduceat(covered, list(starts))
        scores = 1000 * overlaps + [place.cost for place in places[index]]
        total += float(scores.min())
        best = chosen[index] = places[index][int(scores.argmin())]
        apart = best.box.padded(0.5 * style.TEXT_PT * _PX, _PX)  # so that two in a line are not read as one
        taken += [apart.extents, *best.boxes[1:]]
    return total, [chosen[index] for index in range(len(places))]


def _beside(point: tuple[float, ...], start: tuple[float, ...], end: Any) -> float:
    """From a point to the nearest one on the line between two."""
    way, to = np.subtract(end, start), np.subtract(point, start)
    share = np.clip(way @ to / (way @ way), 0, 1)
    return float(np.linalg.norm(to - share * way))


def _distance(box: Bbox, point: tuple[float, ...]) -> float:
    """From a point to the nearest edge of a box; zero inside it."""
    x, y = point
    return math.hypot(max(box.x0 - x, 0, x - box.x1), max(box.y0 - y, 0, y - box.y1))


def occupied(axes: Axes) -> list[Bbox]:
    """Boxes, in pixels, of what a label must not cover: marks, lines, bars, texts and the legend."""
    artists = [*axes.lines, *axes.patches, *axes.texts, *([legend] if (legend := axes.get_legend()) else [])]
    boxes = [text_box(artist) if isinstance(artist, Text) else artist.get_window_extent() for artist in artists]
    return [box.padded(_PX) for box in boxes]  # a line's box has no height otherwise


def text_box(text: Text) -> Bbox:
    """The box of a text in pixels; of an annotation without its leader, whose own box spans both."""
    if isinstance(text, Annotation):
        figure = text.get_figure(root=True)
        text.update_positions(figure.canvas.get_renderer())  # type: ignore[union-attr]  # Agg, see `style.canvas`
    return Text.get_window_extent(text)


def _offsets() -> Iterator[tuple[float, float]]:
    """Offsets in points, best first: straight ones are read more surely than slanted ones, near ones than far ones."""
    straight, slanted = ((1, 0), (-1, 0), (0, 1), (0, -1)), tuple(itertools.product((0.75, -0.75), repeat=2))
    between = tuple((x, y) for a, b in ((0.9, 0.4), (0.4, 0.9)) for x, y in itertools.product((a, -a), (b, -b)))
    far = (10, 14, 19, 25, 32)
    for directions, distances in ((straight, (5, 7)), (slanted, (5, 7)), (straight + slanted + between, far)):
        yield from ((distance * x, distance * y) for distance in distances for x, y in directions)


def _annotate(axes: Axes, at: tuple[float, float], words: str, place: _Place, text: dict[str, Any]) -> Annotation:
    corner = 0.5 - np.sign((place.dx, place.dy)) / 2  # nearest to the point; else the leader aims at the text's middle
    line = {
        "arrowstyle": "-", "linewidth": 0.5, "color": style.theme().muted, "shrinkA": 0, "shrinkB": 3.5,
        "relpos": tuple(corner),
    }  # fmt: skip
    return axes.annotate(
        words,
        at,
        xytext=(place.dx, place.dy),
        textcoords="offset points",
        horizontalalignment="left" if place.dx > 0 else "right" if place.dx < 0 else "center",
        verticalalignment="bottom" if place.dy > 0 else "top" if place.dy < 0 else "center",
        arrowprops=line if place.leader else None,
        **text,
    )


def _shared_areas(boxes: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """What each box shares with all others together, in square pixels: (B, 4), (N, 4) -> (B,)."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    areas: NDArray[np.float64] = (high - low).clip(min=0).prod(axis=2).sum(axis=1)
    return areas
