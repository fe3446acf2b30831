"""The paper's Figure 1 as data: each network's maps by depth and resolution, coloured by what they see of the image."""

from collections.abc import Mapping
from fractions import Fraction

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from analysis.evidence import Evidence
from analysis.plots import style
from analysis.plots.frames import rows_of

PANELS: Mapping[str, tuple[str, str]] = {
    "a": ("sbl_r50", "SBL, ResNet-50"),
    "b": ("hourglass8", "Hourglass, 8 stacks"),
    "b′": ("cpn_r50", "CPN, ResNet-50"),
    "c": ("hrnet_w32", "HRNet-W32"),
    "d": ("deepercut_r101", "DeeperCut, dilated ResNet-101"),
    "e": ("dpn4_64", "DPN4_64"),
    "f": ("dpn4_64", "one DPM of DPN4_64"),
}
"""The letters of the paper's Figure 1, and the network that stands for each family."""

MODULE = "dpm.1."
LEAST = 3
"""Rows that the smallest convolution but the trivial one reads: the lower end of the colours."""

TOP_IN, LEFT_IN, GAP_IN, BOTTOM_IN = 0.2, 0.5, 0.38, 0.52
SIZES = np.array([2.0, 3.0, 4.5, 6.5, 9.0])
"""Areas of dots in square points, from what sees little to what sees much; few, for an svg stores each once."""


def data(evidence: Evidence) -> pd.DataFrame:
    """One row for each group of convolutions that lie alike, in each panel.

    Columns: panel, subject, title, row (its number in the record), depth (convolutions on the longest way from the
    image), resolution (height of the map over that of the image), rows_read (of the image; missing where it cannot be
    told), kernel, dilation, convolutions, reads (numbers of the rows that it reads, with no convolution between),
    measured_from. A network without a record has one row without numbers.
    """
    rows = []
    for panel, (subject, title) in PANELS.items():
        record = evidence.record(subject, "receptive_field")
        if record is None:
            rows.append({"panel": panel, "subject": subject, "title": title, "row": 0, "convolutions": 0})
            continue
        height = record.protocol["input_hw"][0]  # type: ignore[index]
        columns = record.detail["columns"]
        reads: dict[int, list[int]] = {}
        for below, above in record.detail["links"]:
            reads.setdefault(above, []).append(below)
        for number, module in enumerate(columns["module"]):
            if panel == "f" and not module.startswith(MODULE):
                continue
            one = {name: columns[name][number] for name in ("depth", "rows_read", "kernel", "dilation", "convolutions")}
            place = {"panel": panel, "subject": subject, "title": title, "row": number}
            read = " ".join(map(str, reads.get(number, ())))
            rows.append(
                place | one | {"resolution": columns["height"][number] / height, "reads": read,
                               "measured_from": record.provenance()}
            )  # fmt: skip
    order = ["panel", "subject", "title", "row", "depth", "resolution", "rows_read", "kernel", "dilation",
             "convolutions", "reads", "measured_from"]  # fmt: skip
    integers = dict.fromkeys(("depth", "rows_read", "kernel", "dilation", "convolutions"), "Int64")
    return pd.DataFrame(rows).reindex(columns=order).astype(integers)


def draw(data: pd.DataFrame) -> Figure:
    """A panel for each family; a dot is a map, a line the convolution that reads it, colour and size what it sees."""
    groups = [(str(panel), rows) for panel, rows in data.groupby("panel", sort=False)]
    heights = [0.2 + 0.12 * max(2, rows.resolution.nunique()) for _, rows in groups]
    figure = style.canvas(TOP_IN + sum(heights) + GAP_IN * len(groups) + BOTTOM_IN)
    norm = LogNorm(LEAST, max([10.0, *data.rows_read.dropna().astype(float)]))
    top = TOP_IN
    for (panel, rows), height in zip(groups, heights, strict=True):
        axes = style.panel(figure, LEFT_IN, top, style.COLUMN_IN - LEFT_IN - 0.12, height)
        top += height + GAP_IN
        axes.set_title(f"({panel}) {rows.title.iloc[0]}", loc="left", pad=2)
        if rows.depth.isna().all():
            style.say_instead(axes, f"no record; run: python -m analysis trace {rows.subject.iloc[0]}")
            continue
        _panel(axes, rows, norm)
        axes.set_title(f"sees {_widest(rows)} rows", loc="right", pad=2)
    axes.set_xlabel("convolutions on the longest way from the image", labelpad=1)
    _colour_bar(figure, norm, norm.vmax or LEAST)
    figure.text(0.035, 0.5, "resolution", rotation=90, va="center", ha="center")
    return figure


def _panel(axes: Axes, rows: pd.DataFrame, norm: LogNorm) -> None:
    ink = style.theme()
    places = {row.row: (row.depth, row.resolution) for row in rows_of(rows)}
    pairs = dict.fromkeys(
        (places[int(below)], places[row.row])
        for row in rows_of(rows) for below in str(row.reads).split() if int(below) in places
    )  # fmt: skip
    gap = (np.nan, np.nan)
    if pairs:  # one line with gaps is a tenth of the bytes of many
        axes.plot(*np.array([point for pair in pairs for point in (*pair, gap)], float).T, color=ink.muted,
                  linewidth=0.35, zorder=1)  # fmt: skip
    known = rows[rows.rows_read.notna()].drop_duplicates(["depth", "resolution"], keep="last")
    seen = known.rows_read.astype(float).to_numpy()
    few = len(rows) < 40
    level = np.minimum((norm(seen) * len(SIZES)).astype(int), len(SIZES) - 1)
    for number, size in enumerate(SIZES * (2 if few else 1)):
        at = level == number
        axes.scatter(known.depth[at], known.resolution[at], s=size, c=seen[at], cmap=_map(), norm=norm, linewidths=0,
                     zorder=2)  # fmt: skip
    unknown = rows[rows.rows_read.isna()]
    axes.scatter(unknown.depth, unknown.resolution, s=5, marker="x", color=ink.muted, linewidths=0.6, zorder=2)
    if few and (rows.kernel > 1).any():
        for row in rows_of(rows[rows.kernel > 1]):
            axes.annotate(f"d = {row.dilation}", (row.depth, row.resolution), xytext=(0, 5), ha="center",
                          textcoords="offset points", fontsize=style.TEXT_PT - 1.5)  # fmt: skip
    axes.set_yscale("log", base=2)
    ticks = [2.0**-n for n in range(1, 7)]
    used = [t for t in ticks if rows.resolution.min() / 1.5 <= t <= rows.resolution.max() * 1.5]
    axes.set_yticks(used, [str(Fraction(t)) for t in used])
    axes.minorticks_off()
    axes.set_ylim(min(used) / 1.7, max(used) * 1.7)
    axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(6, integer=True))


def _map() -> mpl.colors.Colormap:
    """Dark sees little on a light page, and light on a dark one, so that what sees most stands out on both."""
    full = mpl.colormaps["viridis_r" if style.theme() is style.LIGHT else "viridis"]
    ends = (0.12, 1.0) if style.theme() is style.LIGHT else (0.15, 1.0)
    return mpl.colors.ListedColormap(full(np.linspace(*ends, 256)))


def _colour_bar(figure: Figure, norm: LogNorm, most: float) -> None:
    width, height = figure.get_size_inches()
    axes = figure.add_axes((LEFT_IN / width, 0.32 / height, (width - LEFT_IN - 0.12) / width, 0.06 / height))
    bar = figure.colorbar(mpl.cm.ScalarMappable(norm, _map()), cax=axes, orientation="horizontal")
    ticks = [t for t in (3, 10, 30, 100, 300, 1000, 3000) if LEAST <= t <= most]
    bar.set_ticks(ticks, labels=[str(t) for t in ticks])
    bar.ax.minorticks_off()
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=2, pad=1)
    figure.text(0.5, 0.01, "rows of the image that a unit reads", ha="center", va="bottom", fontsize=style.TEXT_PT - 1)


def _widest(rows: pd.DataFrame) -> str:
    known = rows.rows_read.dropna()
    return f"{int(known.max()):,}" if len(known) else "?"


def alt(data: pd.DataFrame) -> str:
    """Figure 1 in words."""
    told = []
    for panel, rows in data.groupby("panel", sort=False):
        if rows.depth.isna().all():
            told.append(f"({panel}) {rows.title.iloc[0]}: not traced yet.")
            continue
        finest, coarsest = Fraction(rows.resolution.max()), Fraction(rows.resolution.min())
        deep = int(rows.depth.max() - rows.depth.min() + 1)
        told.append(
            f"({panel}) {rows.title.iloc[0]}: {deep} convolutions deep, between {finest} and {coarsest} of the image's "
            f"resolution, seeing up to {_widest(rows)} rows."
        )
    return "Maps by depth and resolution, coloured by receptive field. " + " ".join(told)
