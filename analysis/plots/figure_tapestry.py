"""The tapestry: which positions of every map two neighbouring outputs read, alone and together."""

from collections.abc import Iterable

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from analysis.evidence import Evidence
from analysis.plots import style
from analysis.plots.frames import rows_of
from analysis.plots.schedules import NAMES, TAPESTRIES
from analysis.receptive_fields.gridding import gridding
from analysis.receptive_fields.path_matrices import support

TRACKS = {"u": (0.0, 0.4), "next": (-0.4, 0.0), "both": (-0.4, 0.4)}
"""Bottom and top of each reader's track, from the middle of a map's row: looks differ in form, not only in colour."""

LEFT_IN, RIGHT_IN, OVERLAP_IN, PANEL_IN, PITCH_IN = 0.26, 0.80, 0.44, 0.90, 1.15

Box = tuple[float, float, float, float]
"""Left, bottom, right and top, in data coordinates."""


def data(_evidence: Evidence) -> pd.DataFrame:
    """One row for each position that output u, at 0, or its neighbour u+1 reads, in every map of four unbounded stacks.

    Columns: schedule (a key of `TAPESTRIES`), dilations (input to output), map (0 is the input), position, readers
    ("u", "next" or "both"), coverage and overlap (of the map's row, see `gridding.MapRow`; no overlap at the output).
    """
    rows = []
    for schedule, dilations in TAPESTRIES.items():
        for one in gridding(dilations).maps:
            reads = support(dilations[one.map :])
            first = {place - reads.span // 2 for place in range(reads.span) if reads.bits >> place & 1}
            second = {place + 1 for place in first}
            for place in sorted(first | second):
                rows.append(
                    {
                        "schedule": schedule,
                        "dilations": " ".join(map(str, dilations)),
                        "map": one.map,
                        "position": place,
                        "readers": "both" if place in first & second else "u" if place in first else "next",
                        "coverage": one.backward_coverage,
                        "overlap": one.overlap,
                    }
                )
    return pd.DataFrame(rows)


def draw(data: pd.DataFrame) -> Figure:
    """A panel for each order of dilations: a row for each map, the input at the bottom, a column for each position.

    All panels share one scale. A map's row has two tracks: the upper for u, the lower for its neighbour; what both read
    fills both. The pale strip spans from the first position read to the last, so that what is left out is seen.
    """
    panels = list(data.groupby("schedule", sort=False))
    figure = style.canvas(0.53 + PITCH_IN * len(panels))
    height = figure.get_size_inches()[1]
    limits = float(data.position.min()) - 1.5, float(data.position.max()) + 1.5
    for number, (schedule, rows) in enumerate(panels):
        top = 0.20 + PITCH_IN * number
        axes = style.panel(figure, LEFT_IN, top, style.COLUMN_IN - LEFT_IN - RIGHT_IN, PANEL_IN)
        axes.set_xlim(*limits)
        _panel(axes, rows)
        y = 1 - (top - 0.03) / height
        figure.text(0.04 / style.COLUMN_IN, y, title(str(schedule), rows), ha="left", va="bottom")
        for words, right in (("coverage", OVERLAP_IN), ("overlap", 0.04)):
            figure.text(1 - right / style.COLUMN_IN, y, words, ha="right", va="bottom", fontsize=style.TEXT_PT - 1.5)
        if number == len(panels) - 1:
            axes.set_xlabel("position, from u", labelpad=1)
        else:
            axes.set_xticks([])
    _legend(figure)
    return figure


def title(schedule: str, rows: pd.DataFrame) -> str:
    """A panel's order in words."""
    dilations = rows.dilations.iloc[0].split()
    return f"{NAMES[schedule]}, d = {', '.join(dilations if len(set(dilations)) > 1 else dilations[:1])}"


def _panel(axes: Axes, rows: pd.DataFrame) -> None:
    last = int(rows["map"].max())
    axes.set(ylim=(-0.55, last + 0.5))
    axes.spines[:].set_visible(False)
    axes.tick_params(axis="y", length=0, pad=1)
    axes.set_yticks(range(last + 1), ["in", *map(str, range(1, last)), "out"], fontsize=style.TEXT_PT - 1.5)
    spans = rows_of(rows.groupby("map").agg(first=("position", "min"), last=("position", "max")))
    _fill(axes, [(s.first - 0.5, s.Index - 0.4, s.last + 0.5, s.Index + 0.4) for s in spans], style.theme().faint)
    for readers, (bottom, top) in TRACKS.items():
        read = rows[rows.readers == readers]
        boxes = [
            (left - 0.5, y + bottom, right + 0.5, y + top)
            for y in range(last + 1)
            for left, right in runs(read[read["map"] == y].position)
        ]
        _fill(axes, boxes, style.READERS[readers].colour)
    width = axes.get_position().width * style.COLUMN_IN
    for row in rows_of(rows.drop_duplicates("map")):
        for value, right in ((row.coverage, OVERLAP_IN), (row.overlap, 0.04)):
            x = 1 + (RIGHT_IN - right) / width
            axes.text(x, row.map, _percent(value), ha="right", va="center_baseline", fontsize=style.TEXT_PT - 1.5,
                      transform=axes.get_yaxis_transform())  # fmt: skip


def runs(positions: Iterable[int]) -> list[tuple[int, int]]:
    """First and last of each run of neighbouring positions, so that a run is one shape without seams.

    Example:
        >>> runs([1, 2, 3, 7, 9, 10])
        [(1, 3), (7, 7), (9, 10)]
    """
    found: list[tuple[int, int]] = []
    for position in sorted(positions):
        if found and position == found[-1][1] + 1:
            found[-1] = found[-1][0], position
        else:
            found.append((position, position))
    return found


def _fill(axes: Axes, boxes: list[Box], colour: str) -> None:
    """All boxes as one shape, which an svg stores in a tenth of the bytes."""
    if boxes:
        corners = [[(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)] for x0, y0, x1, y1 in boxes]
        path = Path.make_compound_path(*(Path(corner, closed=True) for corner in corners))
        axes.add_patch(PathPatch(path, facecolor=colour, linewidth=0, snap=False))


def _legend(figure: Figure) -> None:
    """Three pieces of a map's row as they are drawn, and a hole."""
    axes = style.panel(figure, 0.04, figure.get_size_inches()[1] - 0.17, style.COLUMN_IN - 0.08, 0.13)
    axes.set(xlim=(0, style.COLUMN_IN - 0.08), ylim=(-0.5, 0.5), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    words = {name: look.label for name, look in style.READERS.items()} | {"": "neither"}
    for (readers, label), x in zip(words.items(), (0.04, 1.04, 2.16, 2.78), strict=True):
        _fill(axes, [(x, -0.4, x + 0.18, 0.4)], style.theme().faint)
        if readers:
            bottom, top = TRACKS[readers]
            _fill(axes, [(x, bottom, x + 0.18, top)], style.READERS[readers].colour)
        axes.text(x + 0.23, 0, label, va="center", fontsize=style.TEXT_PT - 1)


def _percent(share: float | None) -> str:
    """Whole percent, and one digit more where it would be below ten; a dash where there is none."""
    if share is None or pd.isna(share):
        return "–"
    return f"{100 * share:.0f} %" if share == 0 or share >= 0.0995 else f"{100 * share:.1f} %"


def alt(data: pd.DataFrame) -> str:
    """The tapestry in words."""
    told = []
    for schedule, rows in data.groupby("schedule", sort=False):
        maps = rows_of(rows.drop_duplicates("map"))
        coverage = ", ".join(_percent(row.coverage) for row in maps[:-1])
        overlap = ", ".join(_percent(row.overlap) for row in maps[:-1])
        told.append(f"{title(str(schedule), rows)}: coverage {coverage}; overlap {overlap}")
    return f"What two neighbouring outputs read of each map, from the input on. {'. '.join(told)}."
