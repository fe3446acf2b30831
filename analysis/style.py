"""The looks of every figure, in one place: sizes, type, colours, marks, label placement and the files written.

A figure is drawn twice, for a light and for a dark page, so a drawing asks for its colours here, inside
`figure_style`. Every figure is one IEEE column wide where it can be: that is also the width of a phone, so one drawing
is legible in print, on a page and in a hand.
"""

import base64
import contextlib
import html
import itertools
import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox

COLUMN_IN = 3.487
"""Width of one column of an IEEE page, in inches."""

PAGE_IN = 7.140
"""Width of both columns of an IEEE page, in inches."""

TEXT_PT = 8.0
PNG_DPI = 300
POINTS_PER_IN = 72
_PX = PNG_DPI / POINTS_PER_IN
"""Pixels of one point, where boxes are compared."""
_LEADER_FROM_PT = 9.0


Extents = tuple[float, float, float, float]
"""x0, y0, x1, y1 of a box, in pixels."""


@dataclass(frozen=True)
class Theme:
    """Colours of everything that is not data.

    Attributes:
        background: what the figure is checked against and what separates marks; the svg itself is transparent.
        ink: text and reported marks.
        muted: axes, rings and thin lines.
        faint: guides and grids.
    """

    background: str
    ink: str
    muted: str
    faint: str


LIGHT = Theme(background="#ffffff", ink="#1b1b1b", muted="#5f6368", faint="#dcdfe3")
DARK = Theme(background="#15181c", ink="#e9eaec", muted="#a4abb3", faint="#3b4148")

_theme: ContextVar[Theme] = ContextVar("theme", default=LIGHT)


def theme() -> Theme:
    """The theme of the surrounding `figure_style`; light outside of any."""
    return _theme.get()


@dataclass(frozen=True)
class Look:
    """How one kind of thing is drawn, in every figure.

    Attributes:
        label: its name in legends.
        on_light: its colour on a light page; `on_dark` is the same hue on a dark one.
        on_dark: see there.
        marker: its mark, so that colour is never the only difference.
    """

    label: str
    on_light: str
    on_dark: str
    marker: str

    @property
    def colour(self) -> str:
        """The colour for the surrounding `figure_style`."""
        return self.on_dark if theme() is DARK else self.on_light


# Hues after Okabe and Ito (https://jfly.uni-koeln.de/color/), lightness moved until each reads on its page.
_VERMILION, _BLUE, _GREEN = ("#b83c00", "#ff8f4d"), ("#0068a8", "#5cb3ee"), ("#00966b", "#2fc79a")
_PURPLE, _ORANGE, _BROWN = ("#b0568a", "#e59bc6"), ("#c08800", "#f2b632"), ("#6b4a2b", "#c9a27e")

FAMILIES: dict[str, Look] = {
    "dpn": Look("DPN", *_VERMILION, "o"),
    "hrnet": Look("HRNet", *_BLUE, "s"),
    "sbl": Look("SBL", *_GREEN, "^"),
    "cpn": Look("CPN", *_PURPLE, "D"),
    "hourglass": Look("Hourglass", *_ORANGE, "v"),
}
OTHER_FAMILY = Look("other", *_BROWN, "P")

SCHEDULES: dict[str, Look] = {
    "dpm": Look("DPM, d = 32, 16, …, 1", *_VERMILION, "o"),
    "reversed": Look("reversed, d = 1, 2, …, 32", *_PURPLE, "v"),
    "constant": Look("constant D (labelled)", *_GREEN, "s"),
    "normal": Look("normal, d = 1", *_ORANGE, "D"),
    "highres": Look("DPM, high resolution", *_BLUE, "^"),
}


def family_look(subject: str) -> Look:
    """The look of a network's family: the one whose name begins the network's.

    Example:
        >>> family_look("hrnet_w32").label, family_look("dpn2_hrnet").label, family_look("openpose").label
        ('HRNet', 'DPN', 'other')
    """
    return next((look for name, look in FAMILIES.items() if subject.startswith(name)), OTHER_FAMILY)


def _parameters(colours: Theme) -> dict[str, Any]:
    return {
        "text.usetex": False,
        "font.family": "DejaVu Sans",  # ships with matplotlib: the same glyphs and widths everywhere
        "mathtext.fontset": "dejavusans",
        "font.size": TEXT_PT,
        "axes.titlesize": TEXT_PT,
        "axes.labelsize": TEXT_PT,
        "xtick.labelsize": TEXT_PT - 1,
        "ytick.labelsize": TEXT_PT - 1,
        "legend.fontsize": TEXT_PT - 1,
        "text.color": colours.ink,
        "axes.labelcolor": colours.ink,
        "xtick.labelcolor": colours.ink,
        "ytick.labelcolor": colours.ink,
        "axes.edgecolor": colours.muted,
        "xtick.color": colours.muted,
        "ytick.color": colours.muted,
        "grid.color": colours.faint,
        "grid.linewidth": 0.5,
        "hatch.linewidth": 0.5,
        "axes.linewidth": 0.6,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "xtick.major.size": 2.5,
        "ytick.major.size": 2.5,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.facecolor": "none",
        "figure.facecolor": colours.background,
        "legend.frameon": False,
        "lines.linewidth": 0.8,
        "figure.dpi": PNG_DPI,
        "savefig.dpi": PNG_DPI,
        "path.simplify": False,
        # Outlines instead of <text>: a page's reader rarely has DejaVu Sans, and another font's widths would push
        # labels over points. Each glyph is stored once. The picture's alt text is what is read aloud and searched.
        "svg.fonttype": "path",
        "svg.hashsalt": "dpn-workbench",  # the ids in an svg are random without it
        "pdf.fonttype": 42,  # TrueType: IEEE refuses Type 3 fonts
    }


@contextlib.contextmanager
def figure_style(dark: bool = False) -> Iterator[Theme]:
    """Everything drawn and saved inside has the house's looks, whatever the user's matplotlibrc says."""
    chosen = DARK if dark else LIGHT
    token = _theme.set(chosen)
    try:
        with matplotlib.style.context(["default", _parameters(chosen)]):
            yield chosen
    finally:
        _theme.reset(token)


def canvas(height_in: float, width_in: float = COLUMN_IN) -> Figure:
    """An empty figure outside pyplot, so that nothing global holds it; its texts can be measured at once."""
    figure = Figure(figsize=(width_in, height_in))
    FigureCanvasAgg(figure)
    return figure


def panel(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes placed by hand, in inches from the figure's top left corner: a layout that no font cache can move."""
    full_width, full_height = figure.get_size_inches()
    axes = figure.add_axes(
        (left / full_width, 1 - (top + height) / full_height, width / full_width, height / full_height)
    )
    axes.yaxis.set_label_coords((0.15 - left) / width, 0.5)  # its baseline, wherever the tick labels end
    return axes


def place_labels(axes: Axes, labels: Sequence[tuple[float, float, str]], **text: Any) -> list[Annotation]:
    """Writes labels beside points, each where it meets no mark, line, text or axis.

    Call it when all else is drawn and the limits are final. The nearest place wins, right before left before above and
    below; a label stays nearer to its own point than to any other that has one, and one that must go further away gets
    a thin leader. Labels are placed one after the other, in four orders, and the order that ends best is kept: the same
    one every time. Where no place is free the least bad one is taken.

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
    chosen = min(
        (_arrange(places, order, obstacles, inside, points) for order in orders), key=lambda result: result[0]
    )[1]
    return [_annotate(axes, (x, y), words, place, text) for (x, y, words), place in zip(labels, chosen, strict=True)]


class _Place:
    """One place where a label could go: its box, and the leader when it is far from its point."""

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
        self.boxes = [self.box, *(Bbox.from_bounds(x, y, 0, 0).padded(_PX) for x, y in along)]


def _arrange(
    places: list[list[_Place]], order: list[int], obstacles: list[Bbox], inside: Bbox, points: list[tuple[float, ...]]
) -> tuple[float, list[_Place]]:
    """Places labels in that order; returns how bad the result is, and the places in the labels' own order."""
    taken = [box.extents for box in obstacles]
    chosen: dict[int, _Place] = {}
    total = 0.0
    for index in order:
        scores = []
        for place in places[index]:
            overlap = math.fsum(_shared_area(piece, taken) for piece in place.boxes)
            spilled = place.box.width * place.box.height - _shared_area(place.box, [inside.extents])
            nearest = min(_distance(place.box, point) for point in points)
            mistakable = not place.leader and nearest < _distance(place.box, place.point)
            scores.append(1000 * (overlap + spilled + mistakable) + place.rank)
        total += min(scores)
        best = chosen[index] = places[index][scores.index(min(scores))]
        apart = best.box.padded(0.5 * TEXT_PT * _PX, _PX)  # so that two in a line are not read as one
        taken += [box.extents for box in (apart, *best.boxes[1:])]
    return total, [chosen[index] for index in range(len(places))]


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
        text.update_positions(figure.canvas.get_renderer())  # type: ignore[union-attr]  # Agg, see `canvas`
    return Text.get_window_extent(text)


def _offsets() -> Iterator[tuple[float, float]]:
    """Offsets in points, best first: straight ones are read more surely than slanted ones, near ones than far ones."""
    straight, slanted = ((1, 0), (-1, 0), (0, 1), (0, -1)), tuple(itertools.product((0.75, -0.75), repeat=2))
    for directions, distances in ((straight, (5, 7)), (slanted, (5, 7)), (straight + slanted, (10, 14, 19, 25, 32))):
        yield from ((distance * x, distance * y) for distance in distances for x, y in directions)


def _annotate(axes: Axes, at: tuple[float, float], words: str, place: _Place, text: dict[str, Any]) -> Annotation:
    line = {"arrowstyle": "-", "linewidth": 0.5, "color": theme().muted, "shrinkA": 0, "shrinkB": 3.5}
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


def _shared_area(box: Bbox, others: Sequence[Extents]) -> float:
    """What a box shares with others, in square pixels."""
    x0, y0, x1, y1 = np.asarray(others, dtype=float).reshape(-1, 4).T
    width, height = np.minimum(x1, box.x1) - np.maximum(x0, box.x0), np.minimum(y1, box.y1) - np.maximum(y0, box.y0)
    return float((width.clip(min=0) * height.clip(min=0)).sum())


def write_figure(
    draw: Callable[[pd.DataFrame], Figure], data: pd.DataFrame, figure_id: str, folder: Path
) -> tuple[Path, ...]:
    """Writes ID.png, ID.pdf, ID.svg, ID.dark.svg and the drawn numbers as ID.csv; the same bytes for the same data.

    Args:
        draw: makes the figure from its data; called once for each theme.
        data: what is drawn.
        figure_id: the figure's one name: "figure-3".
        folder: made when it does not exist.

    Returns:
        The files written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / f"{figure_id}.csv"
    data.to_csv(table, index=False, lineterminator="\n")
    written = [table]
    # No dates, and no program versions either: a file changes when the picture does.
    anonymous: dict[str, dict[str, Any]] = {
        ".png": {"Software": None},
        ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
        ".svg": {"Date": None, "Creator": None},
    }
    for dark, suffixes in ((False, (".png", ".pdf", ".svg")), (True, (".dark.svg",))):
        with figure_style(dark):
            figure = draw(data)
            for suffix in suffixes:
                path = folder / f"{figure_id}{suffix}"
                figure.savefig(path, metadata=anonymous[path.suffix], transparent=path.suffix == ".svg")
                if path.suffix == ".svg":
                    path.write_text(_compact(path.read_text(encoding="utf-8")), encoding="utf-8")
                written.append(path)
    return tuple(written)


def _compact(svg: str) -> str:
    """The same picture in fewer bytes: no indentation, and places to a thousandth of a point."""
    svg = re.sub(r"\s*\n\s*", " ", svg).replace("> <", "><")
    return re.sub(
        r' (d|x|y)="[^"]*"', lambda place: re.sub(r"\d+\.\d{4,}", lambda n: f"{float(n[0]):.3f}", place[0]), svg
    )


def picture_html(figure_id: str, folder: Path, *, alt: str, caption: str) -> str:
    """A `<figure>` for the page with both svg files inside it, which follows the reader's colour scheme.

    Args:
        figure_id: the anchor, and the name of the files.
        folder: where `write_figure` wrote them.
        alt: what the picture shows, for those who cannot see it.
        caption: plain text below the picture.

    Raises:
        FileNotFoundError: the figure was not written.
    """
    light, dark = (folder / f"{figure_id}{suffix}" for suffix in (".svg", ".dark.svg"))
    for path in (light, dark):
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing; write it first: write_figure(..., {figure_id!r}, folder)")
    return (
        f'<figure id="{html.escape(figure_id)}">\n<picture>\n'
        f'<source media="(prefers-color-scheme: dark)" srcset="{_data_uri(dark)}">\n'
        f'<img src="{_data_uri(light)}" {_css_size(light)} alt="{html.escape(alt)}">\n</picture>\n'
        f"<figcaption>{html.escape(caption, quote=False)}</figcaption>\n</figure>\n"
    )


def _data_uri(path: Path) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(path.read_bytes()).decode()}"


def _css_size(svg: Path) -> str:
    """Width and height attributes, so that the page does not jump when the picture is decoded."""
    head = svg.read_text(encoding="utf-8")[:2000]
    size = {
        name: float(points) * 96 / POINTS_PER_IN for name, points in re.findall(r' (width|height)="([\d.]+)pt"', head)
    }
    return " ".join(f'{name}="{pixels:.0f}"' for name, pixels in sorted(size.items(), reverse=True))
