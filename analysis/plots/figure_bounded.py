"""What zero padding does to a module on the paper's two sizes of map: live taps and multiply-adds, effective inputs."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from analysis.evidence import Evidence
from analysis.plots import style
from analysis.plots.frames import rows_of
from analysis.plots.schedules import NAMES, TAPESTRIES
from analysis.receptive_fields.gridding import gridding
from analysis.receptive_fields.live_taps import bottleneck_macs
from dpn.spec import DPNSpec
from dpn.zoo import ZOO

BOUNDED = ("dpn1_64", "dpn1_64_highres")
"""Networks whose modules run at the paper's two sizes of map."""

MEGA = 10**6
TAPS = 9
"""Of a 3x3 kernel; a layer whose live share is one of them is a 1x1 convolution."""

LEFT_IN, WIDTH_IN = 0.62, style.COLUMN_IN - 0.62 - 0.16


def data(_evidence: Evidence) -> pd.DataFrame:
    """One row for each number that zero padding changes in a module, on the paper's two sizes of map.

    Columns: quantity ("taps": live share of a 3x3 layer's taps; "nominal macs" and "live macs": multiply-adds of a
    whole module; "inputs": effective inputs over the map's area, mean over outputs), map ("32×24"), schedule (of
    "inputs"; the others do not depend on the order), dilation and is_1x1 (of "taps"), value.
    """
    rows: list[dict[str, object]] = []
    for name in BOUNDED:
        spec = ZOO[name]
        assert isinstance(spec, DPNSpec), name
        size = "×".join(map(str, spec.module_hw))
        for schedule in ("dpm", "reversed"):
            found = gridding(TAPESTRIES[schedule], spec.module_hw)
            rows.append(
                {"quantity": "inputs", "map": size, "schedule": schedule, "value": found.bounded[0].effective_share}
            )
            if schedule != "dpm":
                continue
            for layer in found.layers:
                step, one = layer.dilation_hw[0], layer.is_1x1
                rows.append(
                    {"quantity": "taps", "map": size, "dilation": step, "is_1x1": one, "value": layer.live_share}
                )
            nominal, live = bottleneck_macs(found.layers, spec.channels, spec.width)
            rows += [
                {"quantity": f"{kind} macs", "map": size, "value": macs}
                for kind, macs in (("nominal", nominal), ("live", live))
            ]
    order = ["quantity", "map", "schedule", "dilation", "is_1x1", "value"]
    return pd.DataFrame(rows)[order].astype({"dilation": "Int64", "is_1x1": "boolean"})


def draw(data: pd.DataFrame) -> Figure:
    """Three panels: the taps of each layer, the multiply-adds of a module, and how many inputs an output really weighs.

    A mark is a size of map, the same in the first and the last panel.
    """
    figure = style.canvas(3.68)
    looks = dict(zip(dict.fromkeys(data["map"]), (style.SCHEDULES["dpm"], style.SCHEDULES["highres"]), strict=True))
    upper, middle, lower = (
        style.panel(figure, LEFT_IN, top, WIDTH_IN, height)
        for top, height in ((0.22, 1.14), (1.85, 0.44), (2.72, 0.46))
    )
    _taps(upper, data[data.quantity == "taps"], looks)
    _macs(middle, data, looks)
    _inputs(lower, data[data.quantity == "inputs"], looks)
    for axes, title in (
        (upper, "Live share of a 3×3 layer's taps (%)"),
        (middle, "Multiply-adds of a module (millions)"),
        (lower, "Effective inputs over the map's area (%)"),
    ):
        axes.set_title(title, loc="left", x=(0.04 - LEFT_IN) / WIDTH_IN, pad=4)
        axes.tick_params(axis="y", length=0)
    ink = style.theme()
    handles: list[Any] = [_mark(look, label=f"{size} map") for size, look in looks.items()]
    handles.append(Patch(fill=False, edgecolor=ink.muted, linewidth=0.6, label="on padding"))
    figure.legend(handles=handles, loc="lower center", ncols=3, bbox_to_anchor=(0.5, 0), columnspacing=1.5,
                  handletextpad=0.4, handlelength=1.2, borderaxespad=0.2)  # fmt: skip
    return figure


def _mark(look: style.Look, x: float | None = None, y: float = 0, label: str = "") -> Line2D:
    return Line2D([] if x is None else [x], [] if x is None else [y], marker=look.marker, linestyle="", markersize=4.6,
                  mew=0, color=look.colour, label=label, zorder=3)  # fmt: skip


def _taps(axes: Axes, rows: pd.DataFrame, looks: dict[str, style.Look]) -> None:
    ink = style.theme()
    dilations = list(dict.fromkeys(rows.dilation))
    axes.set(xlim=(0, 102), ylim=(len(dilations) - 0.5, -0.5), xticks=range(0, 101, 20))
    axes.set_yticks(range(len(dilations)), [f"d = {d}" for d in dilations])
    axes.hlines(range(len(dilations)), 0, 102, colors=ink.faint, linewidths=0.5, zorder=0)
    for row in rows_of(rows):
        axes.add_line(_mark(looks[row.map], 100 * row.value, dilations.index(row.dilation)))
    axes.vlines(100 / TAPS, -0.5, len(dilations) - 0.5, colors=ink.muted, linewidths=0.6, zorder=1)
    axes.text(100 / TAPS + 2, 3.0, "1/9: the middle tap alone,\na 1×1 convolution", va="center", linespacing=1.1,
              fontsize=style.TEXT_PT - 1, bbox={"facecolor": ink.background, "linewidth": 0, "pad": 0.5})  # fmt: skip


def _macs(axes: Axes, data: pd.DataFrame, looks: dict[str, style.Look]) -> None:
    ink = style.theme()
    nominal, live = (
        data[data.quantity == f"{kind} macs"].set_index("map").value / MEGA for kind in ("nominal", "live")
    )
    places = range(len(nominal))
    axes.barh(places, nominal, height=0.62, fill=False, edgecolor=ink.muted, linewidth=0.6)
    axes.barh(places, live, height=0.62, color=[looks[size].colour for size in nominal.index], linewidth=0)
    axes.set_yticks(places, nominal.index)
    axes.set(xlim=(0, 1.5 * nominal.max()), ylim=(len(nominal) - 0.5, -0.5))
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    for place, (spent, useful) in enumerate(zip(nominal, live, strict=True)):
        words = f"{useful:.1f} of {spent:.1f}\n{100 * useful / spent:.1f} % live"
        axes.text(spent + 0.012 * axes.get_xlim()[1], place, words, va="center", linespacing=1.0,
                  fontsize=style.TEXT_PT - 1.5)  # fmt: skip


def _inputs(axes: Axes, rows: pd.DataFrame, looks: dict[str, style.Look]) -> None:
    ink = style.theme()
    schedules = list(dict.fromkeys(rows.schedule))
    axes.set(xlim=(0, 102), ylim=(len(schedules) - 0.5, -0.5), xticks=range(0, 101, 20))
    axes.set_yticks(range(len(schedules)), [NAMES[schedule] for schedule in schedules])
    axes.hlines(range(len(schedules)), 0, 102, colors=ink.faint, linewidths=0.5, zorder=0)
    for place, schedule in enumerate(schedules):
        found = rows_of(rows[rows.schedule == schedule].sort_values("value"))
        for row in found:
            axes.add_line(_mark(looks[row.map], 100 * row.value, place))
            first = row.value == found[0].value
            axes.annotate(f"{100 * row.value:.1f}", (100 * row.value, place), xytext=(-5 if first else 5, 0),
                          textcoords="offset points", ha="right" if first else "left", va="center",
                          fontsize=style.TEXT_PT - 1.5)  # fmt: skip


def alt(data: pd.DataFrame) -> str:
    """The bounded figure in words."""
    told = []
    for size, rows in data.groupby("map", sort=False):
        by = {name: rows[rows.quantity == name] for name in ("taps", "nominal macs", "live macs", "inputs")}
        taps = ", ".join(f"d = {row.dilation} {100 * row.value:.1f} %" for row in rows_of(by["taps"]))
        ones = [f"d = {row.dilation}" for row in rows_of(by["taps"]) if row.is_1x1]
        nominal, live = (by[f"{kind} macs"].value.item() / MEGA for kind in ("nominal", "live"))
        inputs = ", ".join(f"{NAMES[row.schedule]} {100 * row.value:.1f} %" for row in rows_of(by["inputs"]))
        told.append(
            f"On {size} maps the live share of a 3×3 layer's taps is {taps}"
            + (f", where {' and '.join(ones)} is a 1×1 convolution" if ones else "")
            + f"; of a module's {nominal:.1f} million multiply-adds {live:.1f} are live; effective inputs are {inputs} "
            "of the area."
        )
    return " ".join(told)
