"""Training curves: the score on people that were not trained on, over the steps, for every row of Tables II to V."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.evidence import Evidence
from analysis.plots import style
from analysis.plots.frames import rows_of
from analysis.plots.schedules import schedule_of
from analysis.tabular.cost_cells import title
from analysis.trained import trained_runs
from analysis.trained.trained_runs import COLLECT, TABLES, command
from bench.records.record import Record
from bench.records.reported import Reported
from dpn.spec import DPNSpec

MEAN = "mean"
"""In place of a seed: the mean over seeds."""

COLUMNS = ("table", "budget", "network", "schedule", "modules", "label", "seed", "step", "score", "measured_from")

DASHES: dict[int, tuple[int, tuple[float, ...]]] = {1: (0, (1, 1)), 2: (0, (3, 1)), 3: (0, (6, 1, 1, 1)), 4: (0, ())}
"""Line style by the number of modules, so that colour is left to the schedule."""

PANEL_IN, GAP_IN, LEFT_IN, LABELS_IN, LEGEND_IN = 1.3, 0.4, 0.42, 0.27, 0.7
_LABEL_PT = style.TEXT_PT - 2


def data(evidence: Evidence) -> pd.DataFrame:
    """One row for each point of each curve, of every seed and of their mean; empty where nothing is trained.

    Columns: table, budget, network, schedule (a key of `style.SCHEDULES`), modules, label (at the line's end), seed (or
    `MEAN`), step, score (AP in percent), measured_from (in the first row of a curve, for all of it).
    """
    frames = [frame for runs in trained_runs.every_budget(evidence) for frame in _curves(evidence, runs)]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(COLUMNS))


def _curves(evidence: Evidence, runs: trained_runs.Runs) -> Iterator[pd.DataFrame]:
    for table in TABLES:
        for cell in trained_runs.printed_aps(evidence, table):
            by_seed = runs.of(evidence, cell.subject)
            curves = {seed: curve for seed, record in by_seed.items() if len(curve := _scores(record))}
            if not curves:
                continue
            spec = evidence.zoo[cell.subject]
            assert isinstance(spec, DPNSpec)
            known = {
                "table": table, "budget": runs.budget, "network": by_seed[next(iter(curves))].subject,
                "schedule": schedule_of(spec), "modules": spec.modules, "label": _label(cell, spec),
            }  # fmt: skip
            for seed, curve in curves.items():
                yield _frame(known, str(seed), curve, by_seed[seed].provenance())
            shared = pd.concat(curves.values(), axis=1, join="inner").mean(axis=1)
            yield _frame(known, MEAN, shared, "")


def _scores(record: Record) -> "pd.Series[float]":
    """AP in percent by step."""
    pairs = record.detail.get("curve", {}).get("score", [])
    return pd.Series({int(step): 100 * float(score) for step, score in pairs}, dtype=float)


def _frame(known: dict[str, object], seed: str, curve: "pd.Series[float]", source: str) -> pd.DataFrame:
    points = {"seed": seed, "step": curve.index, "score": curve.to_numpy()}
    return pd.DataFrame({**known, **points, "measured_from": [source, *[""] * (len(curve) - 1)][: len(curve)]})


def _label(cell: Reported, spec: DPNSpec) -> str:
    """What tells a line from those of its colour: D where it is constant, else the number of modules."""
    return f"D{cell.column.removeprefix('d')}" if schedule_of(spec) == "constant" else str(spec.modules)


def draw(data: pd.DataFrame) -> Figure:
    """A panel for each table and, side by side, for each budget; a bold line is the mean over seeds, thin ones they."""
    budgets = list(dict.fromkeys(data.budget)) or [""]
    tables = [table for table in TABLES if (data.table == table).any()] or [""]
    width = (style.COLUMN_IN - 0.03) / len(budgets) - LEFT_IN - LABELS_IN
    figure = style.canvas(0.1 + (PANEL_IN + GAP_IN) * len(tables) + LEGEND_IN)
    for i, table in enumerate(tables):
        for j, budget in enumerate(budgets):
            left, top = LEFT_IN + j * (width + LEFT_IN + LABELS_IN), 0.22 + i * (PANEL_IN + GAP_IN)
            axes = style.panel(figure, left, top, width, PANEL_IN)
            if not len(data):
                style.say_instead(axes, f"nothing is trained yet;\nrun: {command('quick')},\nthen: {COLLECT}")
                continue
            _panel(axes, data[(data.table == table) & (data.budget == budget)], f"{title(table)}, {budget}")
            if j == 0:
                axes.set_ylabel("AP (%)")
            if i == len(tables) - 1:
                axes.set_xlabel("step")
    _legend(figure, data)
    return figure


def _panel(axes: Axes, rows: pd.DataFrame, words: str) -> None:
    axes.set_title(words, loc="left", pad=3)
    if rows.empty:
        style.say_instead(axes, "not trained yet")
        return
    axes.grid(axis="y")
    ends = []
    for (network, seed), curve in rows.groupby(["network", "seed"], sort=False):
        look, is_mean = style.SCHEDULES[curve.schedule.iloc[0]], seed == MEAN
        axes.plot(
            curve.step, curve.score, color=look.colour, linestyle=DASHES.get(int(curve.modules.iloc[0]), "-"),
            linewidth=1.2 if is_mean else 0.4, alpha=1 if is_mean else 0.55, gid=f"{network}:{seed}",
            solid_capstyle="butt",
        )  # fmt: skip
        if is_mean:
            ends.append((float(curve.score.iloc[-1]), str(curve.label.iloc[0]), look.colour))
    last = int(rows.step.max())
    axes.set(xlim=(0, last), ylim=(0, max(1.0, 1.05 * float(rows.score.max()))), xticks=[0, last // 2, last])
    _end_labels(axes, ends)


def _end_labels(axes: Axes, ends: list[tuple[float, str, str]]) -> None:
    """A label behind each line's end, moved apart where they would touch."""
    step = axes.get_ylim()[1] * _LABEL_PT * 1.15 / style.POINTS_PER_IN / PANEL_IN
    ordered = sorted(ends)
    places = apart([value for value, _, _ in ordered], step, axes.get_ylim())
    for place, (value, words, colour) in zip(places, ordered, strict=True):
        axes.annotate(
            words, (1, value), xycoords=("axes fraction", "data"), xytext=(1.05, place),
            textcoords=("axes fraction", "data"), va="center", fontsize=_LABEL_PT, color=colour,
            arrowprops={"arrowstyle": "-", "linewidth": 0.3, "color": colour, "shrinkA": 0, "shrinkB": 0},
            annotation_clip=False,
        )  # fmt: skip


def apart(values: list[float], step: float, ends: tuple[float, float]) -> list[float]:
    """Rising values, each at least a step from the next and none beyond the ends, moved little (least squares).

    Where there are too many for that, they begin at the lower end.

    Example:
        >>> apart([1.0, 1.0, 5.0], 1.0, (0.0, 9.0)), apart([5.0, 5.0], 1.0, (0.0, 5.0))
        ([0.5, 1.5, 5.0], [4.0, 5.0])
        >>> apart([0.0, 0.0, 5.0], 1.0, (0.0, 9.0))
        [0.0, 1.0, 5.0]
    """
    blocks: list[tuple[float, int]] = []
    for index, value in enumerate(values):
        block = (value - index * step, 1)
        while blocks and blocks[-1][0] > block[0]:
            mean, count = blocks.pop()
            block = ((mean * count + block[0] * block[1]) / (count + block[1]), count + block[1])
        blocks.append(block)
    flat = [mean for mean, count in blocks for _ in range(count)]
    lowest, highest = ends
    below = [min(place + index * step, highest - (len(flat) - 1 - index) * step) for index, place in enumerate(flat)]
    return [max(place, lowest + index * step) for index, place in enumerate(below)]


def _legend(figure: Figure, data: pd.DataFrame) -> None:
    """Colours are schedules, dashes are depths."""
    looks = [look for name, look in style.SCHEDULES.items() if (data.schedule == name).any()]
    colours = [Line2D([], [], color=look.colour, linewidth=1.2, label=look.label) for look in looks]
    dashes = [
        Line2D([], [], color=style.theme().muted, linewidth=1.2, linestyle=DASHES[n], label=f"n = {n}")
        for n in sorted(set(data.modules)) if n in DASHES
    ]  # fmt: skip
    for handles, columns, bottom_in in ((dashes, 4, 0.0), (colours, 2, 0.14)):
        if handles:
            figure.legend(
                handles=handles, loc="lower center", ncols=columns, handletextpad=0.4, handlelength=2.2,
                columnspacing=1.2, borderaxespad=0.2, labelspacing=0.25, fontsize=style.TEXT_PT - 1,
                bbox_to_anchor=(0.5, bottom_in / figure.get_size_inches()[1]),
            )  # fmt: skip


def alt(data: pd.DataFrame) -> str:
    """The curves in words: where each mean ends."""
    if data.empty:
        return "No training curves yet: nothing is trained on synthetic figures."
    last = data[data.seed == MEAN].groupby(["budget", "table", "network"], sort=False).tail(1)
    seeds = data[data.seed != MEAN].groupby(["budget", "table", "network"]).seed.nunique()
    told = [
        f"{title(row.table)}, {row.budget} budget, {row.network}: {row.score:.1f} % after {row.step} steps, "
        f"{int(np.asarray(seeds[row.budget, row.table, row.network]))} seeds"
        for row in rows_of(last)
    ]
    return "Lines of AP over training steps. " + "; ".join(told) + "."
