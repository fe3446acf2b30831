"""Latency over multiply-adds, nominal and live: whether fewer of them mean less time."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

from analysis.plots import style
from analysis.plots.frames import GIGA, rows_of
from analysis.plots.labels import place_labels
from analysis.timing.speed_data import correlation, figure_latency_data, in_words

PANELS = (("macs", "Nominal"), ("live_macs", "Live"))
TICKS = tuple(digit * 10.0**power for power in range(-3, 6) for digit in (1, 3))

data = figure_latency_data


def draw(data: pd.DataFrame) -> Figure:
    """Two logarithmic panels: time of a call over nominal and over live multiply-adds, each with Kendall's tau.

    A faint line is one speed, so many multiply-adds a second: networks on it get equal use of the machine, and one
    above another is slower for the same multiply-adds. The networks that the paper compares have their names.
    """
    figure = style.canvas(6.6)
    shown = data[data.drawn]
    for (column, which), top in zip(PANELS, (0.40, 3.40), strict=True):
        axes = style.panel(figure, 0.58, top, style.COLUMN_IN - 0.63, 2.36)
        rows = shown.dropna(subset=[column])
        if rows.empty:
            words = "no record of latency; run:\npython -m bench measure\n--suite paper --metric latency"
            style.say_instead(axes, words)
            continue
        axes.set_ylabel("Time of one image (ms)")
        axes.set_xlabel(f"{which} multiply-adds of one image (G = 10⁹)")
        axes.set_title(_title(rows, column), pad=4, loc="left")
        _panel(axes, rows, rows[column].astype(float) / GIGA)
    _legend(figure, shown)
    return figure


def _title(rows: pd.DataFrame, column: str) -> str:
    order = correlation(rows, column)
    tau = f"Kendall's τ {in_words(order)}, " if order else ""
    return f"{tau}{len(rows)} networks"


def _panel(axes: Axes, rows: pd.DataFrame, x: pd.Series) -> None:
    times = {name: 1e3 * rows[column] / rows.batch for name, column in
             (("y", "seconds"), ("low", "low"), ("high", "high"))}  # fmt: skip
    milliseconds = rows.assign(x=x, **times)
    axes.set(xscale="log", yscale="log")
    _limits(axes, milliseconds)
    _speeds(axes, 1e3 * milliseconds.x / milliseconds.y)
    for row in rows_of(milliseconds):
        look = style.family_look(str(row.subject))
        if pd.notna(row.low):
            axes.plot([row.x] * 2, [row.low, row.high], color=look.colour, linewidth=0.7, zorder=2)
        size = 4.4 if row.label else 2.6
        edge: dict[str, Any] = {"markersize": size, "mew": 0.4, "mec": style.theme().background}
        axes.plot([row.x], [row.y], look.marker, color=look.colour, zorder=4 if row.label else 3, **edge)
    named = milliseconds[milliseconds.label != ""]
    place_labels(axes, [(row.x, row.y, row.label) for row in rows_of(named)], fontsize=style.TEXT_PT - 1.5)


def _limits(axes: Axes, rows: pd.DataFrame) -> None:
    low, high = rows.low.fillna(rows.y), rows.high.fillna(rows.y)
    for name, least, most, room in (("x", rows.x.min(), rows.x.max(), 0.16), ("y", low.min(), high.max(), 0.10)):
        ratio = max(float(most / least), 2.0) ** room
        ends = least / ratio, most * ratio
        axis = getattr(axes, f"{name}axis")
        getattr(axes, f"set_{name}lim")(*ends)
        axis.set_major_locator(FixedLocator([tick for tick in TICKS if ends[0] <= tick <= ends[1]]))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))


def _speeds(axes: Axes, reached: pd.Series) -> None:
    """Faint lines of equal speed, in 10^9 multiply-adds a second, around those reached; each named where it ends."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    speeds = [s for s in TICKS if 0.4 * reached.min() < s < 2.5 * reached.max()]
    lines = [[(left, 1e3 * left / s), (right, 1e3 * right / s)] for s in speeds]
    axes.add_collection(LineCollection(lines, colors=style.theme().faint, linewidths=0.6, zorder=0), autolim=False)
    text: dict[str, Any] = {
        "textcoords": "offset points", "fontsize": style.TEXT_PT - 1.5, "color": style.theme().muted,
    }  # fmt: skip
    before = None
    for speed in speeds:
        x, y = speed * top / 1e3, 1e3 * right / speed
        above = x < right
        place = axes.transData.transform((x, top) if above else (right, y))
        apart = before is None or abs(place - before).max() > 2.2 * style.TEXT_PT * style.PNG_DPI / style.POINTS_PER_IN
        if not apart or not (left < x if above else bottom < y):
            continue
        before = place
        words = f"{speed:g} G/s"
        if above:
            axes.annotate(words, (x, top), xytext=(-2, -1), ha="right", va="top", **text)
        else:
            axes.annotate(words, (right, y), xytext=(-1, -5), ha="right", va="top", **text)


def _legend(figure: Figure, shown: pd.DataFrame) -> None:
    looks = dict.fromkeys(style.family_look(str(subject)) for subject in shown.subject)
    handles = [
        Line2D([], [], marker=look.marker, linestyle="", markersize=4.2, color=look.colour, label=look.label)
        for look in looks
    ]
    if handles:
        figure.legend(
            handles=handles, loc="lower center", ncols=6, bbox_to_anchor=(0.5, 0), columnspacing=0.8, handletextpad=0.1
        )
        where = f"{shown.machine.iloc[0]}: {shown.setting.iloc[0]}"
        figure.text(0.5, 0.99, where, ha="center", va="top", fontsize=style.TEXT_PT - 1)


def alt(data: pd.DataFrame) -> str:
    """The latency figure in words."""
    shown = data[data.drawn]
    if shown.empty:
        return "Latency over multiply-adds: not measured yet."
    taus = " and ".join(f"{in_words(correlation(data, column))} with {column}" for column, _ in PANELS)
    milliseconds = 1e3 * shown.seconds / shown.batch
    return (
        f"Scatter plot of the latency of {len(shown)} networks on {shown.machine.iloc[0]}, {shown.setting.iloc[0]}, "
        f"from {milliseconds.min():.3g} to {milliseconds.max():.3g} ms an image, over multiply-adds. "
        f"Kendall's tau is {taus}."
    )
