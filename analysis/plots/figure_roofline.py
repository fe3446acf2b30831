"""How much of the machine each network uses: shares of the nearer ceiling, DPNs beside all others, by back end."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.plots import style
from analysis.plots.frames import rows_of
from analysis.timing.speed_data import figure_roofline_data

KINDS = {"dpn": "DPN", "other": "all other networks"}
LONGEST = 24
"""Characters of a strip's name that fit beside it: "channels_last, 2 threads"."""

data = figure_roofline_data


def draw(data: pd.DataFrame) -> Figure:
    """A strip for each setting, two where both kinds of network were timed: a tick is a network.

    A DPN that turned its fewer multiply-adds fully into time would stand where the others stand.
    """
    shown = data[data.drawn]
    settings = list(dict.fromkeys(shown.setting))
    figure = style.canvas(1.12 + 0.42 * max(2, len(settings)))
    left, height = 1.25, figure.get_size_inches()[1]
    axes = style.panel(figure, left, 0.28, style.COLUMN_IN - left - 0.12, height - 1.0)
    if shown.empty:
        style.say_instead(axes, "no share of a ceiling; run:\npython -m bench measure\n--suite paper\n--metric latency")
        return figure
    import seaborn as sns  # a second that only this figure spends

    looks = {kind: style.family_look(kind if kind == "dpn" else "hrnet").colour for kind in KINDS}
    rows = shown.assign(
        kind=["dpn" if str(subject).startswith("dpn") else "other" for subject in shown.subject],
        percent=100 * shown.share.astype(float),
    )
    sns.stripplot(
        data=rows, x="percent", y="setting", hue="kind", order=settings, hue_order=list(KINDS), palette=looks,
        dodge=True, jitter=False, marker="|", size=8, linewidth=0.9, legend=False, ax=axes,
    )  # fmt: skip
    axes.axvline(100, color=style.theme().muted, linewidth=0.6, zorder=0)
    axes.set(xlabel="Share of the nearer ceiling (%)", ylabel="")
    axes.set_xlim(0, max(105.0, 1.05 * float(rows.percent.max())))
    axes.set_yticks(range(len(settings)), [_in_lines(setting) for setting in settings])
    axes.tick_params(axis="y", length=0)
    figure.text(0.5, 1 - 0.05 / height, shown.machine.iloc[0], ha="center", va="top", fontsize=style.TEXT_PT - 1)
    handles = [
        Line2D([], [], marker="|", linestyle="", markersize=6, mew=1.1, color=looks[kind], label=KINDS[kind])
        for kind in KINDS
        if kind in set(rows.kind)
    ]
    figure.legend(handles=handles, loc="lower center", ncols=2, bbox_to_anchor=(0.5, 0), handletextpad=0.1)
    return figure


def _in_lines(setting: str) -> str:
    """A setting as its strip is named: of a long one the back end has a line of its own."""
    return setting.replace(", ", ",\n", 1) if len(setting) > LONGEST else setting


def alt(data: pd.DataFrame) -> str:
    """The roofline figure in words."""
    shown = data[data.drawn]
    if shown.empty:
        return "Shares of the machine's ceilings: not measured yet."
    kinds = ["DPN" if str(subject).startswith("dpn") else "other" for subject in shown.subject]
    medians = shown.assign(kind=kinds).groupby(["setting", "kind"], sort=False).share.median().reset_index()
    told = "; ".join(f"{row.setting}, {row.kind}: {100 * row.share:.0f} %" for row in rows_of(medians))
    return f"Strips of the share of the nearer ceiling on {shown.machine.iloc[0]}. Medians: {told}."
