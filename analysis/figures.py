"""The figures: for each one function that computes its data from the evidence and one that draws them.

The data are pandas frames, one row per mark, and are written as csv beside the picture. Networks come from the zoo and
the paper's tables, never from a list here. Where a record is missing its mark is missing, and the figure says so.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator, StrMethodFormatter

from analysis import style
from analysis.cost_cells import MILLION, title
from analysis.evidence import Evidence
from bench.record import Record
from dpn import dilation
from dpn.spec import DPNSpec, ModelSpec

GIGA = 10**9


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A figure of the report.

    Attributes:
        id: one name for files, anchor and `show`.
        title: "Figure 3", or a short name where the paper has no such figure.
        caption: what is drawn and how to read it; no measured number, for those are in the picture.
        data: what is drawn, from the evidence.
        draw: the picture, from the data.
        alt: the picture in words, from the data.
    """

    id: str
    title: str
    caption: str
    data: Callable[[Evidence], pd.DataFrame]
    draw: Callable[[pd.DataFrame], Figure]
    alt: Callable[[pd.DataFrame], str]


def figure_3_data(evidence: Evidence) -> pd.DataFrame:
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
                "label": _short_name(table.cell(row, table.columns[0]).printed),
                "ap": float(ap.number),
                "params_reported": float(params.number),
                "params_measured": _value(record),
                "reported_from": f"{params.table}, row {row}",
                "measured_from": _provenance(record),
            }
        )
    return _frame(rows, integers=("params_measured",))


def figure_3(data: pd.DataFrame) -> Figure:
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
    axes.set_ylim(*_padded(data.ap, 1.8))
    ring: dict[str, Any] = {"marker": "o", "markersize": 8.5, "mfc": "none", "mew": 0.7, "color": ink.muted}
    radius = ring["markersize"] / 2 / style.POINTS_PER_IN * axes.viewLim.width / (style.COLUMN_IN - 0.50)
    for row in _rows(data):
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
    style.place_labels(axes, [(row.params_reported, row.ap, row.label) for row in _rows(data)])
    return figure


def figure_3_alt(data: pd.DataFrame) -> str:
    """Figure 3 in words."""
    points = "; ".join(f"{r.label} {r.params_reported:g} million, AP {r.ap:g}" for r in _rows(data))
    return f"Scatter plot of AP on COCO val2017 over the number of parameters: {points}."


def figure_efficiency_data(evidence: Evidence) -> pd.DataFrame:
    """One row for each AP that Tables II to VI report for a DPN of the zoo, with the network's measured multiply-adds.

    A network with one AP in several tables has one row that names them all; with two different APs it has two.

    Columns: subject, tables, group (networks that differ in the number of modules and in dilation), modules, schedule
    (a key of `style.SCHEDULES`), label (in the figure, where group, modules and schedule do not say all), ap (percent),
    macs and live_macs (exact; missing where nothing current is measured), measured_from.
    """
    tables: dict[tuple[str, float], list[str]] = {}
    for name in ("table-2", "table-3", "table-4", "table-5", "table-6"):
        for cell in evidence.reported[name].cells.values():
            if cell.metric == "ap" and cell.number is not None and _is_dpn(evidence, cell.subject):
                found = tables.setdefault((cell.subject, float(cell.number)), [])
                found += [name] if name not in found else []
    rows = []
    for (subject, ap), names in tables.items():
        macs, live = evidence.record(subject, "macs"), evidence.record(subject, "live_macs")
        rows.append(
            {
                "subject": subject,
                "tables": " ".join(names),
                **_kind(evidence.zoo[subject]),
                "ap": ap,
                "macs": _value(macs),
                "live_macs": _value(live),
                "measured_from": _provenance(macs),
            }
        )
        if sum(name == subject for name, _ in tables) > 1:
            rows[-1]["label"] = title(names[0])
    return _frame(rows, integers=("macs", "live_macs"))


def figure_efficiency(data: pd.DataFrame) -> Figure:
    """AP over measured multiply-adds: a filled mark at the nominal number, an open one at the live one, a line between.

    The two widths have a panel each, for their APs and costs hardly meet. A guide marks each cost; that all ablations
    of one cost stand on one guide is the point. The axes are logarithmic, so that steps of n are as readable at 2 as at
    10 billion, and so that the line between the marks has one length for one dead share, wherever it is.
    """
    figure = style.canvas(6.25)
    slim = data.group.str.endswith("_32")
    for rows, top, height in ((data[slim], 0.36, 2.60), (data[~slim], 3.52, 1.62)):
        axes = style.panel(figure, 0.42, top, style.COLUMN_IN - 0.47, height)
        axes.set_ylabel("AP on COCO val2017")
        measured = rows.dropna(subset=["macs"])
        if measured.empty:
            _say(
                axes,
                f"no record of macs for {rows.subject.nunique()} networks; run:\npython -m bench measure --suite paper",
            )
            continue
        _efficiency_panel(axes, measured)
    axes.set_xlabel("Multiply-adds of one image (G = 10⁹)")
    _efficiency_legend(figure, data)
    return figure


def _efficiency_panel(axes: Axes, rows: pd.DataFrame) -> None:
    ink = style.theme()
    nominal, live = rows.macs.astype(float) / GIGA, rows.live_macs.astype(float) / GIGA
    for row, x, x_live in zip(_rows(rows), nominal, live, strict=True):
        look = style.SCHEDULES[str(row.schedule)]
        top = 5 if row.schedule == "reversed" else 4  # it is just below DPM everywhere and smaller: both are seen
        if pd.notna(x_live):
            axes.plot([x_live, x], [row.ap] * 2, color=look.colour, linewidth=0.7, zorder=2)
            live_mark: dict[str, Any] = {"markersize": 2.6, "mew": 0.6, "mfc": ink.background}
            axes.plot([x_live], [row.ap], look.marker, color=look.colour, zorder=3, **live_mark)
        edge: dict[str, Any] = {"markersize": 4.0, "mew": 0.4, "mec": ink.background}
        axes.plot([x], [row.ap], look.marker, color=look.colour, zorder=top, **edge)
    axes.set_xscale("log")
    low, high = min(nominal.min(), live.min()), nominal.max()
    unit = high / low  # of the axis, 12 % on the left and 15 % on the right are for labels
    left, right = low / unit ** (0.12 / 0.73), high * unit ** (0.15 / 0.73)
    axes.set_xlim(left, right)
    axes.set_ylim(*_padded(rows.ap, 0.9))
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10], integer=True))
    ticks = [t for t in (0.8, 0.9, 1.0, 1.1, 1.2, 2, 3, 4, 6, 8, 10) if left <= t <= right]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:.1f}" if high < 2 else "{x:g}"))
    labels = [(x, row.ap, row.label) for row, x in zip(_rows(rows), nominal, strict=True) if row.label]
    style.place_labels(axes, labels, fontsize=style.TEXT_PT - 1)
    grouped = rows.assign(x=nominal).query("group != ''")
    axes.vlines(sorted(set(grouped.x)), *axes.get_ylim(), color=ink.faint, linewidth=0.6, zorder=0)
    for group, members in grouped.groupby("group", sort=False):
        columns = members.drop_duplicates("modules")
        above: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "ha": "center", "va": "bottom"}
        for modules, x in zip(columns.modules, columns.x, strict=True):
            axes.text(x, 1.01, str(modules), fontsize=style.TEXT_PT - 1, **above)
        middle = (columns.x.min() * columns.x.max()) ** 0.5
        axes.annotate(
            f"{str(group).replace('DPNn', 'DPN$n$')}, $n$ =",
            (middle, 1.01),
            xytext=(0, 9),
            textcoords="offset points",
            xycoords=axes.get_xaxis_transform(),
            ha="center",
            va="bottom",
        )


def _efficiency_legend(figure: Figure, data: pd.DataFrame) -> None:
    ink = style.theme()
    handles = [
        Line2D([], [], marker=look.marker, linestyle="", markersize=4.2, color=look.colour, label=look.label)
        for name, look in style.SCHEDULES.items()
        if name in set(data.schedule)
    ]
    filled: dict[str, Any] = {"marker": "o", "linestyle": "", "color": ink.muted}
    handles += [
        Line2D([], [], markersize=4.2, label="nominal", **filled),
        Line2D([], [], markersize=2.6, mew=0.6, mfc=ink.background, label="live: padding not counted", **filled),
    ]
    figure.legend(
        handles=handles, loc="lower left", ncols=2, bbox_to_anchor=(0, 0), columnspacing=1.0, handletextpad=0.2
    )
    missing = data[data.macs.isna()].subject.nunique()
    if 0 < missing < data.subject.nunique():
        figure.text(0.99, 0.995, f"not measured: {missing} networks", ha="right", va="top", fontsize=style.TEXT_PT - 1)


def figure_efficiency_alt(data: pd.DataFrame) -> str:
    """The efficiency figure in words."""
    counts = ", ".join(
        f"{n} {style.SCHEDULES[str(s)].label}" for s, n in data.schedule.value_counts(sort=False).items()
    )
    costs = data.macs.dropna()
    span = f" from {costs.min() / GIGA:.2f} to {costs.max() / GIGA:.2f} billion" if len(costs) else ", not measured yet"
    return f"Scatter plot of the reported AP of {len(data)} DPN results ({counts}) over measured multiply-adds{span}."


def figure_layers_data(evidence: Evidence) -> pd.DataFrame:
    """One row for each stage of Table VI's DPNs, and inside the modules one for each kind of layer.

    Columns: subject, stage (conv0, conv1, conv2, dpm 1 .., fuse, heatmap), part ("all", and inside modules "1×1" or
    "3×3"), dilation (of the 3×3), operators, macs, live_macs, measured_from. A network without a record has one row
    without numbers.
    """
    frames = []
    table = evidence.reported["table-6"]
    subjects = [table.cell(row, "ap").subject for row in table.rows]
    for subject in (s for s in subjects if isinstance(evidence.zoo.get(s), DPNSpec)):
        record = evidence.record(subject, "layers")
        if record is None:
            frames.append(pd.DataFrame([{"subject": subject, "stage": "", "part": "", "operators": 0}]))
            continue
        columns = record.detail["columns"]
        places = [
            _place(module, kernel, step)
            for module, kernel, step in zip(columns["module"], columns["kernel"], columns["dilation"], strict=True)
        ]
        layers = pd.DataFrame(places, columns=["stage", "part", "dilation"])
        layers = layers.assign(macs=columns["macs"], live_macs=columns["live_macs"], operators=1)
        sums = layers.groupby(["stage", "part", "dilation"], sort=False, dropna=False).sum().reset_index()
        frames.append(sums.assign(subject=subject, measured_from=_provenance(record)))
    data = pd.concat(frames, ignore_index=True)
    order = ["subject", "stage", "part", "dilation", "operators", "macs", "live_macs", "measured_from"]
    return _frame(data.reindex(columns=order), integers=("dilation", "operators", "macs", "live_macs"))


def _place(module: str, kernel: list[int], step: list[int]) -> tuple[str, str, int | None]:
    """Stage, part and dilation of an operator: "dpm.1.0.conv2" is in stage "dpm 1"."""
    first, *rest = module.split(".")
    if first != "dpm":
        return first, "all", None
    size = "×".join(map(str, kernel))
    return f"dpm {rest[0]}", size, step[0] if max(kernel) > 1 else None


def figure_layers(data: pd.DataFrame) -> Figure:
    """Where the multiply-adds go: above by stage, below inside the modules, by layer and dilation.

    Horizontal bars, because a hundred operators along the depth say less than nine stages and seven kinds of layer. The
    full part of a bar is live; the outlined rest multiplies padding. A percentage is the live share of its bar. Each
    panel has its own scale, from zero, for the two networks differ threefold.
    """
    figure = style.canvas(4.08)
    for column, (subject, rows) in enumerate(data.groupby("subject", sort=False)):
        left = 0.72 + column * (style.COLUMN_IN - 0.70) / data.subject.nunique()
        width = (style.COLUMN_IN - 0.70) / data.subject.nunique() - 0.22
        name = str(subject).upper()
        upper = style.panel(figure, left, 0.34, width, 1.52)
        lower = style.panel(figure, left, 2.25, width, 1.18)
        if rows.macs.isna().all():
            upper.set_title(name, pad=3)
            _say(upper, f"no record of\nlayers; run:\npython -m bench\nmeasure {subject}")
            lower.set_axis_off()
            continue
        total, live = int(rows.macs.sum()), int(rows.live_macs.sum())
        upper.set_title(f"{name}\n{total / GIGA:.2f} G, {_percent(live, total)} live", pad=3)
        by_stage = rows.groupby("stage", sort=False)[["macs", "live_macs"]].sum()
        _bars(upper, by_stage, [str(s).replace("dpm", "DPM") for s in by_stage.index])
        modules = rows[rows.part != "all"]
        by_layer = modules.groupby(["part", "dilation"], sort=False, dropna=False)[["macs", "live_macs"]].sum()
        by_layer = by_layer.sort_index(level=["part", "dilation"], ascending=[True, False])
        names = [part if pd.isna(d) else f"{part}, d = {int(d)}" for part, d in by_layer.index]
        _bars(lower, by_layer, names)
        lower.set_title(f"{modules.stage.nunique()} modules by layer", pad=3)
        lower.set_xlabel("multiply-adds (G)")
        if column:
            for axes in (upper, lower):
                axes.tick_params(labelleft=False)
    ink = style.theme()
    colour = style.family_look("dpn").colour
    handles = [
        Patch(color=colour, linewidth=0, label="live, with its share"),
        Patch(fill=False, edgecolor=ink.muted, linewidth=0.6, label="on padding"),
    ]
    figure.legend(handles=handles, loc="lower center", ncols=2, bbox_to_anchor=(0.5, 0), columnspacing=1.5)
    return figure


def _bars(axes: Axes, sums: pd.DataFrame, names: list[str]) -> None:
    ink = style.theme()
    colour = style.family_look("dpn").colour
    nominal, live = (sums[name].astype(float) / GIGA for name in ("macs", "live_macs"))
    places = range(len(sums))
    axes.barh(places, nominal, height=0.7, fill=False, edgecolor=ink.muted, linewidth=0.6)
    axes.barh(places, live, height=0.7, color=colour, linewidth=0)
    for place, row in zip(places, _rows(sums), strict=True):
        if _percent(row.live_macs, row.macs) != "100 %":
            axes.annotate(
                _percent(row.live_macs, row.macs),
                (row.macs / GIGA, place),
                xytext=(2, 0),
                textcoords="offset points",
                va="center",
                fontsize=style.TEXT_PT - 1.5,
            )
    axes.set_yticks(list(places), names)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, nominal.max() * 1.3)
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))


def figure_layers_alt(data: pd.DataFrame) -> str:
    """The layers figure in words."""
    sentences = []
    for subject, rows in data.groupby("subject", sort=False):
        if rows.macs.isna().all():
            sentences.append(f"{subject}: not measured yet.")
            continue
        stages = rows.groupby("stage", sort=False)[["macs", "live_macs"]].sum()
        parts = (
            f"{stage} {s.macs / GIGA:.2f} billion, {_percent(s.live_macs, s.macs)} live"
            for stage, s in stages.iterrows()
        )
        sentences.append(f"{subject}: {'; '.join(parts)}.")
    return f"Bars of multiply-adds by stage and by layer. {' '.join(sentences)}"


FIGURES: dict[str, Drawing] = {
    drawing.id: drawing
    for drawing in (
        Drawing(
            id="figure-3",
            title="Figure 3",
            caption="AP on COCO val2017 over the number of parameters, for every network of Table VI with both. "
            "Dots are the paper's numbers, rings the parameters measured here; APs are the paper's throughout.",
            data=figure_3_data,
            draw=figure_3,
            alt=figure_3_alt,
        ),
        Drawing(
            id="figure-efficiency",
            title="Accuracy over cost",
            caption="Reported AP of every DPN of Tables II to VI over its measured multiply-adds. A grey line is one "
            "cost: all ablations of one width, number of modules n and resolution share it. Open marks leave out the "
            "multiply-adds whose tap falls on padding. Table IV trains its high-resolution networks for longer.",
            data=figure_efficiency_data,
            draw=figure_efficiency,
            alt=figure_efficiency_alt,
        ),
        Drawing(
            id="figure-layers",
            title="Where the multiply-adds go",
            caption="Measured multiply-adds of Table VI's DPNs by stage, and inside their modules by kind of layer and "
            "dilation d. The outlined part multiplies padding: its taps never meet the map. G is 10^9; each panel has "
            "its own scale.",
            data=figure_layers_data,
            draw=figure_layers,
            alt=figure_layers_alt,
        ),
    )
}
"""Every figure of this module, by id."""


def _say(axes: Axes, words: str) -> None:
    """An honest empty panel: what is missing, and the command that makes it."""
    axes.set(xticks=[], yticks=[])
    axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", va="center", fontsize=style.TEXT_PT - 1)


def _short_name(printed: str) -> str:
    """A method's name without citation and without "(ours)".

    Example:
        >>> _short_name("HRNet-w32 [9]"), _short_name("DPN4_64 (ours)")
        ('HRNet-w32', 'DPN4_64')
    """
    return re.sub(r"\s*(\[\d+\]|\(ours\))", "", printed)


def _is_dpn(evidence: Evidence, subject: str) -> bool:
    return subject in evidence.zoo and evidence.zoo[subject].family.startswith("dpn")


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.0f} %"


def _value(record: Record | None) -> int | float | None:
    return None if record is None else record.value


def _provenance(record: Record | None) -> str:
    return "" if record is None else record.provenance()


def _kind(spec: ModelSpec) -> dict[str, Any]:
    """What of a DPN decides its place in the efficiency figure; one that is no plain DPN stands alone, by its name."""
    if not isinstance(spec, DPNSpec):
        return {"group": "", "modules": 0, "schedule": "dpm", "label": spec.name.replace("dpn", "DPN")}
    high = spec.conv2_stride == 1
    group = f"DPNn_{spec.width}" + (f", {spec.module_hw[0]}×{spec.module_hw[1]}" if high else "")
    schedule = {
        dilation.pyramid(): "highres" if high else "dpm",
        dilation.reversed_pyramid(): "reversed",
        dilation.normal(): "normal",
    }.get(spec.dilations, "constant")
    label = f"D = {spec.dilations[0]}" if schedule == "constant" else ""
    return {"group": group, "modules": spec.modules, "schedule": schedule, "label": label}


def _frame(rows: Any, integers: tuple[str, ...]) -> pd.DataFrame:
    """A frame whose counts stay exact integers beside missing ones."""
    return pd.DataFrame(rows).astype(dict.fromkeys(integers, "Int64"))


def _rows(data: pd.DataFrame) -> list[Any]:
    """The rows as named tuples; what a column holds, its data function says and no annotation can."""
    return list(data.itertuples())


def _padded(values: "pd.Series[float]", by: float) -> tuple[float, float]:
    return float(values.min()) - by, float(values.max()) + by
