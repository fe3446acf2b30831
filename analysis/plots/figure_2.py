"""The paper's Figure 2 from the exact engine: what the centre output of three layers reads, and by how many paths."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.evidence import Evidence
from analysis.plots import style
from analysis.plots.frames import rows_of
from analysis.receptive_fields.axes import SAME, Window
from analysis.receptive_fields.field_graph import Edge, Map, Pointwise
from analysis.receptive_fields.receptive_field import FieldGraph
from analysis.receptive_fields.stacks import stack
from dpn import dilation

SHOWN = 8
"""Positions on either side of the centre: one more than any of its outputs reads."""

LAYERS = 3
"""Layers in each panel of the paper's figure."""

TITLES = {"normal": "normal", "dilated": "dilated", "DPM": "DPM", "stride": "strided"}
ONE_PATH_PT = 3.0
"""Diameter of a position with one path; areas go with the number of paths."""

LEFT_IN, RIGHT_IN, PANEL_IN, PITCH_IN = 0.42, 0.46, 0.86, 1.14


def data(_evidence: Evidence) -> pd.DataFrame:
    """One row for each position of the four maps of the four panels of the paper's Figure 2.

    Columns: panel, name, map (0 is the input), dilation and stride (of the layer that makes the map; missing for the
    input), position (in its own map, from the centre), place (the same in positions of the input), paths (to the
    centre output; 0: it reads nothing here), taps (of a position with paths: places that it reads in the map below),
    rf (the output's receptive field in this map, holes included).
    """
    width = 2 * SHOWN + 1
    panels = {
        "normal": stack(dilation.normal(LAYERS), (1, width)),
        "dilated": stack(dilation.constant(2, LAYERS), (1, width)),
        "DPM": stack(dilation.pyramid(LAYERS), (1, width)),
        "stride": _strided(width),
    }
    rows = []
    for letter, (name, graph) in zip("abcd", panels.items(), strict=True):
        rows += [{"panel": letter, "name": name, **row} for k in range(LAYERS + 1) for row in _positions(graph, k)]
    return pd.DataFrame(rows).astype({"dilation": "Int64", "stride": "Int64"})


def _strided(width: int) -> FieldGraph:
    """One row of 3-wide convolutions of stride 2, whose maps are centred where a window's middle tap stands at 2 o."""
    window = Window(3, 2, 1, 1)
    maps = [Map("input", "", (1, 1, width))]
    for layer in range(LAYERS):
        width = (width + 1) // 2
        maps.append(Map("convolution", f"layer {layer + 1}", (1, 1, width),
                        (Edge(layer, SAME, window, Pointwise(0, 0, 1)),), (layer,)))  # fmt: skip
    return FieldGraph(tuple(maps), {"input": 0, "output": LAYERS})


def _positions(graph: FieldGraph, k: int) -> list[dict[str, object]]:
    """The rows of one map of Figure 2."""
    centres = [one.shape[2] // 2 for one in graph.maps]
    jumps = [int(graph.extent(i, 0).jump_hw[1]) for i in range(len(graph.maps))]
    unit = (0, centres[-1])
    paths = graph.backward("output", [unit], kind="paths", to=[k])[k].values[0, 0]
    edge = graph.maps[k].edges[0] if k else None
    window = edge.x if edge and isinstance(edge.x, Window) else None
    rows: list[dict[str, object]] = []
    for index, count in enumerate(paths.tolist()):
        read = window.reads(np.array([index])).ravel().tolist() if window and count else []
        rows.append(
            {
                "map": k,
                "dilation": window.dilation if window else None,
                "stride": window.stride if window else None,
                "position": index - centres[k],
                "place": (index - centres[k]) * jumps[k],
                "paths": count,
                "taps": " ".join(str((tap - centres[k - 1]) * jumps[k - 1]) for tap in read),
                "rf": graph.extent("output", k).size_hw[1],
            }
        )
    return rows


def draw(data: pd.DataFrame) -> Figure:
    """Four panels above each other, the input at the bottom of each; a line is a tap.

    The paper fills what contributes. Here the area of what is filled is the number of paths, also written below the
    input, so that "complete" and "even" are told apart.
    """
    panels = list(data.groupby("panel", sort=False))
    figure = style.canvas(0.20 + PITCH_IN * len(panels))
    for number, (letter, rows) in enumerate(panels):
        top = 0.20 + PITCH_IN * number
        axes = style.panel(figure, LEFT_IN, top, style.COLUMN_IN - LEFT_IN - RIGHT_IN, PANEL_IN)
        _panel(axes, rows)
        name = str(rows["name"].iloc[0])
        rf, read = summary(rows)
        height = figure.get_size_inches()[1]
        y = 1 - (top - 0.04) / height
        figure.text(0.04 / style.COLUMN_IN, y, f"({letter}) {TITLES[name]}", ha="left", va="bottom")
        words = f"RF {rf}, support {read}: {100 * read / rf:.0f} % read"
        figure.text(1 - 0.04 / style.COLUMN_IN, y, words, ha="right", va="bottom", fontsize=style.TEXT_PT - 1)
    _legend(figure)
    return figure


def summary(rows: pd.DataFrame) -> tuple[int, int]:
    """Receptive field of a panel's output in the input, and how many positions of it are read."""
    inputs = rows[rows["map"] == 0]
    return int(inputs.rf.iloc[0]), int((inputs.paths > 0).sum())


def _panel(axes: Axes, rows: pd.DataFrame) -> None:
    ink, look = style.theme(), style.READERS["u"]
    last, reach = int(rows["map"].max()), int(rows.place.abs().max())
    axes.set(xlim=(-reach - 0.5, reach + 0.5), ylim=(-0.85, last + 0.3), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    taps = [[(row.place, row.map), (int(tap), row.map - 1)] for row in rows_of(rows) for tap in row.taps.split()]
    axes.add_collection(LineCollection(taps, colors=ink.muted, linewidths=0.5, zorder=1), autolim=False)
    read, unread = rows[rows.paths > 0], rows[rows.paths == 0]
    axes.scatter(unread.place, unread["map"], s=ONE_PATH_PT**2, facecolors=ink.background, edgecolors=ink.muted,
                 linewidths=0.5, zorder=2, clip_on=False)  # fmt: skip
    axes.scatter(read.place, read["map"], s=ONE_PATH_PT**2 * read.paths, color=look.colour, linewidths=0, zorder=3,
                 clip_on=False)  # fmt: skip
    small: dict[str, Any] = {"fontsize": style.TEXT_PT - 1.5, "va": "center"}
    for row in rows_of(read[read["map"] == 0]):
        axes.text(row.place, -0.62, str(row.paths), ha="center", **small)
    for words, y in (("output", last), ("input", 0), ("paths", -0.62)):
        axes.text(-reach - 0.9, y, words, ha="right", **small)
    layers = rows[rows["map"] > 0].drop_duplicates("map")
    for row in rows_of(layers):
        words = f"d = {row.dilation}" if row.stride == 1 else f"stride {row.stride}"
        axes.text(reach + 0.9, row.map - 0.5, words, ha="left", **small)


def _legend(figure: Figure) -> None:
    ink, look = style.theme(), style.READERS["u"]
    handles = [
        Line2D([], [], marker="o", linestyle="", markersize=1.7 * ONE_PATH_PT, color=look.colour, mew=0,
               label="read by the centre output; area: paths"),
        Line2D([], [], marker="o", linestyle="", markersize=ONE_PATH_PT, mfc=ink.background, mec=ink.muted, mew=0.5,
               label="not read"),
    ]  # fmt: skip
    figure.legend(handles=handles, loc="lower center", ncols=2, bbox_to_anchor=(0.5, 0), columnspacing=1.5,
                  handletextpad=0.1, borderaxespad=0.2)  # fmt: skip


def alt(data: pd.DataFrame) -> str:
    """Figure 2 in words."""
    told = []
    for letter, rows in data.groupby("panel", sort=False):
        rf, read = summary(rows)
        inputs = rows[(rows["map"] == 0) & (rows.place.abs() <= rf // 2)]
        told.append(
            f"({letter}) {TITLES[str(rows['name'].iloc[0])]}: receptive field {rf}, {read} of it read, "
            f"paths from left to right {' '.join(map(str, inputs.paths))}"
        )
    return f"What the centre output of three 3-wide layers reads of the input. {'; '.join(told)}."
