"""The paper's Figure 3 drawn again: AP over the number of parameters, reported and measured."""

import math
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.evidence import Evidence
from analysis.plots import style
from analysis.plots.frames import frame, rows_of, source_of, value_of
from analysis.plots.labels import place_labels
from analysis.tabular.cost_cells import MILLION
from analysis.tabular.printed_words import short_name


def data(evidence: Evidence) -> pd.DataFrame:
    """One row for each network of Table VI with a reported AP and number of parameters.

    Columns: row, label, ap (percent), params_reported (millions, as printed), params_measured (exact; missing where
    nothing current is measured), reported_from, measured_from.
    """
    table = evidence.reported["table-6"]
    rows = []
    for row in table.rows:
        ap, params = table.cell(row, "ap"), table.cell(row, "params")
        if ap.number is None or params.number is None:
            continue
        record = evidence.record(params.subject, "params")
        rows.append(
            {
                "row": row,
                "label": short_name(table.cell(row, table.columns[0]).printed),
                "ap": float(ap.number),
                "params_reported": float(params.number),
                "params_measured": value_of(record),
                "reported_from": f"{params.table}, row {row}",
                "measured_from": source_of(record),
            }
        )
    return frame(rows, integers=("params_measured",))


def draw(data: pd.DataFrame) -> Figure:
    """The paper's Figure 3: AP over parameters; a dot is reported, the ring around it measured.

    The axis is linear, as the paper's: the distance from 3 to 28 million is the message, and the two closest networks,
    HRNet-w32 and DPN2_hrnet (28.5 and 29.5 M), would be closer still on a logarithmic one. Reported and measured
    numbers nearly coincide, so the measured one is a ring wider than the dot, centred on the exact count: a dot that is
    off the ring's centre is a difference, joined by a line where the two part.
    """
    figure = style.canvas(2.75)
    axes = style.panel(figure, 0.42, 0.08, style.COLUMN_IN - 0.50, 2.23)
    ink = style.theme()
    axes.set(xlabel="Parameters (millions)", ylabel="AP on COCO val2017")
    axes.set_xlim(-1.5, 1.09 * max([1.0, *data.params_reported, *(data.params_measured.dropna() / MILLION)]))
    axes.set_ylim(float(data.ap.min()) - 1.8, float(data.ap.max()) + 1.8)
    ring: dict[str, Any] = {"marker": "o", "markersize": 8.5, "mfc": "none", "mew": 0.7, "color": ink.muted}
    radius = ring["markersize"] / 2 / style.POINTS_PER_IN * axes.viewLim.width / (style.COLUMN_IN - 0.50)
    for row in rows_of(data):
        look = style.family_look(row.row)
        axes.plot([row.params_reported], [row.ap], look.marker, color=look.colour, markersize=4.2, zorder=3)
        if pd.notna(row.params_measured):
            measured = row.params_measured / MILLION
            axes.plot([measured], [row.ap], **ring)
            apart = measured - row.params_reported
            if abs(apart) > radius:
                edge = measured - math.copysign(radius, apart)
                axes.plot([row.params_reported, edge], [row.ap] * 2, color=ink.muted, linewidth=0.7)
    measured_rows = int(data.params_measured.notna().sum())
    rings = f"measured ({measured_rows} of {len(data)})" if measured_rows else "measured: no records yet"
    handles = [
        Line2D([], [], marker="o", linestyle="", markersize=4.2, color=ink.ink, label="reported"),
        Line2D([], [], linestyle="", label=rings, **ring),
    ]
    axes.legend(handles=handles, loc="lower right", borderaxespad=0.2, handletextpad=0.3)
    place_labels(axes, [(row.params_reported, row.ap, row.label) for row in rows_of(data)])
    return figure


def alt(data: pd.DataFrame) -> str:
    """Figure 3 in words."""
    points = "; ".join(f"{r.label} {r.params_reported:g} million, AP {r.ap:g}" for r in rows_of(data))
    return f"Scatter plot of AP on COCO val2017 over the number of parameters: {points}."
