"""Draws the explorer's panels as one PNG, straight from arrays: a figure by matplotlib takes too long for a slider.

A picture is an array of indices into a palette, so that a light and a dark page get the same picture with two palettes.
Exact zeros are grey, and nothing else is. Colour is never alone where two units are compared: the unit fills the upper
half of a position, its neighbour the lower half, what both have the whole of it.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from analysis.explorer.explore_choices import Choices, Show
from analysis.explorer.explore_fields import Numbers, Panel, numbers, share_text
from analysis.explorer.explore_palette import (
    BOTH,
    INK,
    INK_STEPS,
    NEIGHBOUR,
    PAGE,
    SCALE,
    SCALE_STEPS,
    UNIT,
    ZERO,
    Indices,
    palette,
)
from analysis.plots.style import DARK, LIGHT

WIDTH_PX, MOST_HEIGHT_PX = 840, 880
"""Of a whole picture. A browser that had to shrink it would draw a lattice where there is none."""
MARGIN_PX, GAP_PX = 14, 12
LINE_PX, TEXT_PX = 15, 11
KEY_PX = MARGIN_PX + LINE_PX + 5
TOP_PX = KEY_PX + LINE_PX + GAP_PX
"""Where the key and the maps begin."""
LEAST_CELL_PX = 104
"""A panel's caption needs so much."""
MOST_SCALE = 8
MOST_DECADES = 8


@dataclass(frozen=True)
class Picture:
    """A picture for light and for dark pages.

    Attributes:
        light: as a PNG.
        dark: the same on a dark ground.
        size_hw: height and width in pixels.
        alt: what is on it, for those who do not see it.
    """

    light: bytes
    dark: bytes
    size_hw: tuple[int, int]
    alt: str


@dataclass(frozen=True)
class Layout:
    """Where panels stand.

    Attributes:
        columns: panels beside each other.
        cell_hw: what a panel's map may take, in pixels.
        lines: of a caption.
    """

    columns: int
    cell_hw: tuple[int, int]
    lines: int

    @property
    def pitch_yx(self) -> tuple[int, int]:
        """From panel to panel, in pixels."""
        return self.cell_hw[0] + self.lines * LINE_PX + GAP_PX, max(self.cell_hw[1], LEAST_CELL_PX) + GAP_PX

    def place(self, number: int) -> tuple[int, int]:
        """Top and left of a panel's map."""
        row, column = divmod(number, self.columns)
        top = TOP_PX + row * self.pitch_yx[0]
        return top, MARGIN_PX + column * self.pitch_yx[1]

    def size(self, panels: int) -> tuple[int, int]:
        """Height and width of the whole picture."""
        rows = -(-panels // self.columns)
        width = 2 * MARGIN_PX + self.columns * self.pitch_yx[1] - GAP_PX
        return TOP_PX + rows * self.pitch_yx[0] + MARGIN_PX, max(WIDTH_PX, width)


def draw(panels: Sequence[Panel], choices: Choices) -> Picture:
    """All panels side by side and under each other, with captions, below a heading and a key to the colours.

    Args:
        panels: at least one.
        choices: what of them is shown.
    """
    show = choices.show
    told = [numbers(panel) for panel in panels]
    layout = lay_out(panels)
    canvas = np.full(layout.size(len(panels)), PAGE, dtype=np.uint8)
    letters = Image.new("L", canvas.shape[::-1])
    pen = ImageDraw.Draw(letters)
    decades = scale_decades(panels)
    pen.text(
        (MARGIN_PX, MARGIN_PX - 2), _fitted(choices.heading, canvas.shape[1] - 2 * MARGIN_PX), fill=255, font=_font()
    )
    _key(canvas, pen, choices, decades)
    for number, (panel, row) in enumerate(zip(panels, told, strict=True)):
        top, left = layout.place(number)
        drawn = magnified(panel, show, decades, layout.cell_hw)
        height, width = layout.cell_hw if drawn is None else drawn.shape
        canvas[top : top + height, left : left + width] = _hatched(layout.cell_hw) if drawn is None else drawn
        if panel.mark is not None and drawn is not None:
            _mark(canvas, (top, left), panel, height // panel.hw[0])
        for line, text in enumerate(_caption(panel, row)):
            at = (left, top + layout.cell_hw[0] + 3 + line * LINE_PX)
            pen.text(at, _fitted(text, layout.pitch_yx[1] - GAP_PX // 2), fill=255, font=_font())
    ink = np.asarray(letters)
    canvas = np.where(ink > 7, INK + (ink >> 3), canvas)
    light, dark = (_png(canvas, palette(theme)) for theme in (LIGHT, DARK))
    return Picture(light, dark, (canvas.shape[0], canvas.shape[1]), _alt(choices.heading, told))


def lay_out(panels: Sequence[Panel]) -> Layout:
    """The largest whole magnification of the largest map with which all panels stand in a window's width and height."""
    height = max(panel.hw[0] for panel in panels)
    width = max(panel.hw[1] for panel in panels)
    lines = 4 if any(panel.detail for panel in panels) else 3
    for scale in range(MOST_SCALE, 0, -1):
        cell = height * scale, width * scale
        columns = (WIDTH_PX - 2 * MARGIN_PX + GAP_PX) // (max(cell[1], LEAST_CELL_PX) + GAP_PX)
        layout = Layout(max(1, min(columns, len(panels))), cell, lines)
        if columns and layout.size(len(panels))[0] <= MOST_HEIGHT_PX:
            return layout
    return layout


def scale_decades(panels: Sequence[Panel]) -> int:
    """Powers of ten between the largest share of a map and the smallest that is not zero, up to `MOST_DECADES`."""
    ratios = [
        float(panel.share[0].max() / panel.share[0][panel.support[0]].min())
        for panel in panels
        if panel.share is not None and panel.support is not None and panel.support[0].any()
        and panel.share[0][panel.support[0]].min() > 0
    ]  # fmt: skip
    return int(np.clip(np.ceil(np.log10(max(ratios, default=10))), 1, MOST_DECADES))


def magnified(panel: Panel, show: Show, decades: int, cell_hw: tuple[int, int]) -> Indices | None:
    """A panel's map as large as its cell allows by a whole factor; None where it cannot be told."""
    if panel.support is None or (show == "paths" and panel.share is None):
        return None
    scale = max(1, min(cell_hw[0] // panel.hw[0], cell_hw[1] // panel.hw[1]))
    unit, neighbour = panel.support[0], panel.support[1:].any(axis=0)
    if show == "shared":
        upper = np.where(unit, np.where(neighbour, BOTH, UNIT), ZERO)
        lower = np.where(neighbour, np.where(unit, BOTH, NEIGHBOUR), ZERO)
        if scale == 1:
            upper = np.where(unit, upper, lower)
        rows = np.stack([upper] * (scale - scale // 2) + [lower] * (scale // 2), axis=1)
        return rows.reshape(-1, panel.hw[1]).repeat(scale, axis=1).astype(np.uint8)
    places = np.where(unit, UNIT, ZERO) if show == "support" else _on_scale(panel, decades)
    return places.repeat(scale, axis=0).repeat(scale, axis=1).astype(np.uint8)


def _on_scale(panel: Panel, decades: int) -> Indices:
    """Indices of the shares relative to the map's largest, on a logarithmic scale."""
    assert panel.support is not None
    assert panel.share is not None
    support, share = panel.support[0], panel.share[0]
    smallest = 10.0**-decades
    relative = np.where(support, share / max(share.max(), np.finfo(np.float64).tiny), 1)
    steps = np.log10(np.clip(relative, smallest, 1)) / decades + 1
    return np.where(support, SCALE + np.rint(steps * (SCALE_STEPS - 1)), ZERO).astype(np.uint8)


def _hatched(cell_hw: tuple[int, int]) -> Indices:
    """What stands in the place of a map that cannot be told: neither a colour of the scale nor the grey of a zero."""
    rows, columns = np.ogrid[: cell_hw[0], : cell_hw[1]]
    return np.where((rows + columns) % 12 == 0, INK + INK_STEPS // 2, PAGE).astype(np.uint8)


def _mark(canvas: Indices, corner: tuple[int, int], panel: Panel, scale: int) -> None:
    """Wedges outside of the map at the unit's row and column, which hide nothing; a ring on the unit's own map."""
    assert panel.mark is not None
    top, left = corner
    row, column = (top + panel.mark[0] * scale + scale // 2, left + panel.mark[1] * scale + scale // 2)
    ink = INK + INK_STEPS - 1
    for depth in range(1, 6):
        reach = depth - 1
        canvas[top - 1 - depth, max(0, column - reach) : column + reach + 1] = ink
        canvas[max(0, row - reach) : row + reach + 1, left - 1 - depth] = ink
    if panel.own:
        first = top + panel.mark[0] * scale - 1, left + panel.mark[1] * scale - 1
        last = first[0] + scale + 1, first[1] + scale + 1
        canvas[first[0] : last[0] + 1, [first[1], last[1]]] = ink
        canvas[[first[0], last[0]], first[1] : last[1] + 1] = ink


def _key(canvas: Indices, pen: ImageDraw.ImageDraw, choices: Choices, decades: int) -> None:
    """One line that says what each colour means."""
    left = MARGIN_PX

    def swatch(colours: Indices, text: str) -> None:
        nonlocal left
        height, width = colours.shape
        canvas[KEY_PX : KEY_PX + height, left : left + width] = colours
        pen.text((left + width + 6, KEY_PX - 2), text, fill=255, font=_font())
        left += width + 24 + round(_font().getlength(text))

    def halves(upper: int, lower: int) -> Indices:
        return np.repeat(np.array([[upper], [lower]], dtype=np.uint8), 6, axis=0).repeat(14, axis=1)

    swatch(halves(ZERO, ZERO), "neither" if choices.show == "shared" else "exactly none")
    if choices.show == "paths":
        scale = np.arange(SCALE, SCALE + SCALE_STEPS, dtype=np.uint8)[None].repeat(12, axis=0)
        lowest = f"10{str(-decades).translate(_SUPERSCRIPTS)}"
        less = " or less" if decades == MOST_DECADES else ""
        swatch(scale, f"{choices.spread}, from {lowest}{less} to 1 of the largest in the map")
    elif choices.show == "support":
        swatch(halves(UNIT, UNIT), "the unit has paths")
    else:
        swatch(halves(UNIT, ZERO), "only the unit")
        swatch(halves(ZERO, NEIGHBOUR), "only its neighbour")
        swatch(halves(BOTH, BOTH), "both")


_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _caption(panel: Panel, row: Numbers) -> list[str]:
    lines = [panel.title, *([panel.detail] if panel.detail else [])]
    if panel.support is None:
        return [*lines, "cannot be told"]
    if panel.own:
        return [*lines, "the map of the unit"]
    if panel.problem:
        lines.append("too many paths to draw")
    return [*lines, f"coverage {share_text(row.coverage)}", f"overlap {share_text(row.overlap)}"]


def _alt(heading: str, told: Sequence[Numbers]) -> str:
    parts = [f"{row.map}: coverage {share_text(row.coverage)}, overlap {share_text(row.overlap)}" for row in told]
    return f"{heading}: {len(told)} maps. " + "; ".join(parts)


def _fitted(text: str, width_px: int) -> str:
    """The text, or as much of its end as there is room for: names of modules differ in their ends."""
    if _font().getlength(text) <= width_px:
        return text
    while len(text) > 1 and _font().getlength("…" + text) > width_px:
        text = text[1:]
    return "…" + text


@lru_cache(maxsize=1)
def _font() -> ImageFont.FreeTypeFont:
    """The figures' own letters; they ship with matplotlib."""
    path = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    return ImageFont.truetype(str(path), TEXT_PX, layout_engine=ImageFont.Layout.BASIC)


def _png(canvas: Indices, colours: Indices) -> bytes:
    image = Image.fromarray(canvas)
    image.putpalette(colours.tobytes())
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()
