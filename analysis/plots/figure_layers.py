"""Where the multiply-adds go: those of Table VI's DPNs by stage, and inside their modules by kind of layer."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from analysis.evidence import Evidence
from analysis.plots import style
from analysis.plots.frames import GIGA, frame, rows_of, source_of
from dpn.spec import DPNSpec


def data(evidence: Evidence) -> pd.DataFrame:
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
        frames.append(sums.assign(subject=subject, measured_from=source_of(record)))
    data = pd.concat(frames, ignore_index=True)
    order = ["subject", "stage", "part", "dilation", "operators", "macs", "live_macs", "measured_from"]
    return frame(data.reindex(columns=order), integers=("dilation", "operators", "macs", "live_macs"))


def _place(module: str, kernel: list[int], step: list[int]) -> tuple[str, str, int | None]:
    """Stage, part and dilation of an operator: "dpm.1.0.conv2" is in stage "dpm 1"."""
    first, *rest = module.split(".")
    if first != "dpm":
        return first, "all", None
    size = "×".join(map(str, kernel))
    return f"dpm {rest[0]}", size, step[0] if max(kernel) > 1 else None


def draw(data: pd.DataFrame) -> Figure:
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
            style.say_instead(upper, f"no record of\nlayers; run:\npython -m bench\nmeasure {subject}")
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
    for place, row in zip(places, rows_of(sums), strict=True):
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


def alt(data: pd.DataFrame) -> str:
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


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.0f} %"
