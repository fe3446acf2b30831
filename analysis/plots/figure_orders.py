"""All orders of a DPM's dilations by coverage and overlap: which wires neighbours together, and which does not."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.evidence import Evidence
from analysis.plots import style
from analysis.plots.frames import rows_of
from analysis.plots.schedules import NAMES, TAPESTRIES
from analysis.receptive_fields.gridding import orders


def data(_evidence: Evidence) -> pd.DataFrame:
    """One row for each order of a DPM's dilations, the one with the largest overlap first.

    Columns: dilations (input to output), schedule ("dpm", "reversed", else empty), mean_backward_coverage,
    mean_interior_overlap, hdc_m2 and hdc_passes (the rule of Wang et al. 2018 as printed).
    """
    named = {TAPESTRIES[name]: name for name in ("dpm", "reversed")}
    return pd.DataFrame(
        {
            "dilations": " ".join(map(str, order.dilations)),
            "schedule": named.get(order.dilations, ""),
            "mean_backward_coverage": order.mean_backward_coverage,
            "mean_interior_overlap": order.mean_interior_overlap,
            "hdc_m2": order.hdc_m2,
            "hdc_passes": order.hdc_passes,
        }
        for order in orders(TAPESTRIES["dpm"])
    )


def draw(data: pd.DataFrame) -> Figure:
    """A dot for each order, a diamond around those that the HDC rule passes as it is printed; two orders are named.

    All orders have the same receptive field and read all of it; they differ in what the maps on the way read and share.
    """
    figure = style.canvas(2.95)
    axes = style.panel(figure, 0.46, 0.08, style.COLUMN_IN - 0.54, 2.26)
    ink = style.theme()
    axes.set(xlim=(29, 104), ylim=(-6, 100), xticks=range(40, 101, 20), yticks=range(0, 101, 20))
    axes.set(xlabel="Mean backward coverage (%)", ylabel="Mean overlap of neighbours (%)")
    percent = data.assign(x=100 * data.mean_backward_coverage, y=100 * data.mean_interior_overlap)
    axes.scatter(percent.x, percent.y, s=3.5, color=ink.muted, linewidths=0, zorder=2)
    passing = percent[percent.hdc_passes.astype(bool)]
    axes.scatter(passing.x, passing.y, s=30, marker=style.HDC.marker, facecolors="none", edgecolors=style.HDC.colour,
                 linewidths=0.9, zorder=3)  # fmt: skip
    nothing = percent[percent.y == 0]
    first = {order.split()[0] for order in nothing.dilations}
    if len(first) == 1:
        words = f"d = {first.pop()} in the first layer ({len(nothing)})"
        axes.text(nothing.x.max() + 1.5, 0, words, va="center", fontsize=style.TEXT_PT - 1)
    for row in rows_of(percent[percent.schedule != ""]):
        look = style.SCHEDULES[row.schedule]
        size = 5 if look.marker == "o" else 3.4  # fits into the diamond of an order that passes
        axes.plot([row.x], [row.y], look.marker, color=look.colour, markersize=size, mew=0, zorder=4)
        right = row.x > 60
        axes.annotate(NAMES[row.schedule], (row.x, row.y), xytext=(3 if right else -4, 5), textcoords="offset points",
                      ha="right" if right else "left", va="bottom")  # fmt: skip
    _legend(figure, len(data), len(passing))
    return figure


def _legend(figure: Figure, orders: int, passing: int) -> None:
    muted, hdc = style.theme().muted, style.HDC
    handles = [
        Line2D([], [], marker="o", linestyle="", markersize=1.9, mew=0, color=muted, label=f"{orders} orders"),
        Line2D([], [], marker=hdc.marker, linestyle="", markersize=5, mfc="none", mec=hdc.colour, mew=0.9,
               label=f"{hdc.label}, as printed ({passing})"),
    ]  # fmt: skip
    figure.legend(handles=handles, loc="lower center", ncols=2, bbox_to_anchor=(0.5, 0), columnspacing=1.5,
                  handletextpad=0.1, borderaxespad=0.2)  # fmt: skip


def alt(data: pd.DataFrame) -> str:
    """The figure of all orders in words."""
    named = "; ".join(
        f"{NAMES[row.schedule]} ({row.dilations}) coverage {100 * row.mean_backward_coverage:.1f} %, overlap "
        f"{100 * row.mean_interior_overlap:.1f} %, HDC rule {'passed' if row.hdc_passes else 'failed'}"
        for row in rows_of(data[data.schedule != ""])
    )
    nothing = int((data.mean_interior_overlap == 0).sum())
    best = data.dilations.iloc[int(data.mean_interior_overlap.argmax())]
    return (
        f"Scatter plot of {len(data)} orders of the same dilations by mean backward coverage and mean overlap of "
        f"neighbours. The most overlap has {best}; {nothing} orders have none; {int(data.hdc_passes.sum())} pass the "
        f"HDC rule as printed. {named}."
    )
