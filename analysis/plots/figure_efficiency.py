"""Accuracy over cost: the reported AP of every DPN over its measured multiply-adds, nominal and live."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator, StrMethodFormatter

from analysis.evidence import Evidence
from analysis.plots import style
from analysis.plots.frames import GIGA, frame, rows_of, source_of, value_of
from analysis.plots.labels import place_labels
from analysis.plots.schedules import schedule_of
from analysis.tabular.cost_cells import title
from dpn.spec import DPNSpec, ModelSpec


def data(evidence: Evidence) -> pd.DataFrame:
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
                "macs": value_of(macs),
                "live_macs": value_of(live),
                "measured_from": source_of(macs),
            }
        )
        if sum(name == subject for name, _ in tables) > 1:
            rows[-1]["label"] = title(names[0])
    return frame(rows, integers=("macs", "live_macs"))


def _is_dpn(evidence: Evidence, subject: str) -> bool:
    return subject in evidence.zoo and evidence.zoo[subject].family.startswith("dpn")


def _kind(spec: ModelSpec) -> dict[str, Any]:
    """What of a DPN decides its place in the efficiency figure; one that is no plain DPN stands alone, by its name."""
    if not isinstance(spec, DPNSpec):
        return {"group": "", "modules": 0, "schedule": "dpm", "label": spec.name.replace("dpn", "DPN")}
    high = spec.conv2_stride == 1
    group = f"DPNn_{spec.width}" + (f", {spec.module_hw[0]}×{spec.module_hw[1]}" if high else "")
    schedule = schedule_of(spec)
    label = f"D = {spec.dilations[0]}" if schedule == "constant" else ""
    return {"group": group, "modules": spec.modules, "schedule": schedule, "label": label}


def draw(data: pd.DataFrame) -> Figure:
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
            style.say_instead(
                axes,
                f"no record of macs for {rows.subject.nunique()} networks; run:\npython -m bench measure --suite paper",
            )
            continue
        _panel(axes, measured)
    axes.set_xlabel("Multiply-adds of one image (G = 10⁹)")
    _legend(figure, data)
    return figure


def _panel(axes: Axes, rows: pd.DataFrame) -> None:
    ink = style.theme()
    nominal, live = rows.macs.astype(float) / GIGA, rows.live_macs.astype(float) / GIGA
    for row, x, x_live in zip(rows_of(rows), nominal, live, strict=True):
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
    axes.set_ylim(float(rows.ap.min()) - 0.9, float(rows.ap.max()) + 0.9)
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10], integer=True))
    ticks = [t for t in (0.8, 0.9, 1.0, 1.1, 1.2, 2, 3, 4, 6, 8, 10) if left <= t <= right]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:.1f}" if high < 2 else "{x:g}"))
    labels = [(x, row.ap, row.label) for row, x in zip(rows_of(rows), nominal, strict=True) if row.label]
    place_labels(axes, labels, fontsize=style.TEXT_PT - 1)
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


def _legend(figure: Figure, data: pd.DataFrame) -> None:
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
    missing = data[data.macs.isna()].subject.nunique()
    if 0 < missing < data.subject.nunique():
        handles.append(Line2D([], [], linestyle="", label=f"not measured: {missing} of {data.subject.nunique()}"))
    figure.legend(
        handles=handles, loc="lower left", ncols=2, bbox_to_anchor=(0, 0), columnspacing=1.0, handletextpad=0.2
    )


def alt(data: pd.DataFrame) -> str:
    """The efficiency figure in words."""
    counts = ", ".join(
        f"{n} {style.SCHEDULES[str(s)].label}" for s, n in data.schedule.value_counts(sort=False).items()
    )
    costs = data.macs.dropna()
    span = f" from {costs.min() / GIGA:.2f} to {costs.max() / GIGA:.2f} billion" if len(costs) else ", not measured yet"
    return f"Scatter plot of the reported AP of {len(data)} DPN results ({counts}) over measured multiply-adds{span}."
