"""Fields of one module as maps: where its paths come from, exactly, and where its gradients do, as estimated."""

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from analysis.effective_fields.erf_expected import expected_field
from analysis.effective_fields.erf_records import HALF, METRIC, PROTOCOL
from analysis.effective_fields.few_draws import widened
from analysis.evidence import Evidence
from analysis.plots import style
from analysis.receptive_fields.path_matrices import entropy_bits
from analysis.trained.trained_runs import stand_in
from bench.records.record import METRICS, Record
from bench.subject import resolve
from dpn.spec import DPNSpec

COLUMNS: Mapping[str, str] = {
    "dpn1_32": "DPM", "dpn1_32_reversed": "reversed", "dpn1_32_normal": "normal", "dpn1_32_d2": "D = 2",
    "dpn1_32_d8": "D = 8",
}  # fmt: skip
"""Networks of one module, and what their schedules are called."""

PATHS, SHORTCUTS, RANDOM = "paths, no shortcuts", "with shortcuts", "gradients, random weights"
TRAINED, LIGHT = "gradients, trained weights", "gradients, trained behind the light stem"
EXACT = (PATHS, SHORTCUTS)
INPUTS, WINDOW = "effective inputs", "window of half"
"""What the percentages under a row are: of exact fields, and of estimated ones."""

ZERO = "#8a8a8a"
"""Colour of what contributes exactly nothing."""

LEAST = 1e-6
"""Share of a field's mass at the lower end of the colours; what is above zero and below is drawn like it."""


def data(evidence: Evidence) -> pd.DataFrame:
    """One row for each position of each field of the central unit.

    Columns: field (`PATHS`: exact, the share of the paths without shortcuts; `SHORTCUTS`: exact expectation where each
    block's branch adds the variance that the image brought, so that the i-th has 1/i of what is there; `RANDOM` and
    `TRAINED`: the mean squared gradient; `LIGHT`: likewise, of the trained network that stands in at the quick budget),
    subject, schedule, y, x, share (of the field's mass), note (what is written below the map), measured_from (in the
    first row of a field, for all of it). What has no record has one row without a number, or none where it is trained.
    """
    frames = []
    for subject, schedule in COLUMNS.items():
        spec = evidence.zoo[subject]
        assert isinstance(spec, DPNSpec)
        hw = spec.module_hw
        unit = (hw[0] // 2, hw[1] // 2)
        growing = [1 / i for i in range(1, len(spec.dilations) + 1)]
        for name, ratios in ((PATHS, None), (SHORTCUTS, growing)):
            field = expected_field(spec.dilations, hw, unit, ratios=ratios)
            inputs = 2 ** float(entropy_bits(field.ravel())) / field.size
            frames.append(_positions(name, subject, schedule, field, f"{100 * inputs:.0f} %", ""))
        light = stand_in(evidence, "quick", subject) or ""
        for name, of, random in ((RANDOM, subject, True), (TRAINED, subject, False), (LIGHT, light, False)):
            record = _record(evidence, of, random)
            if record is not None:
                field = np.array(record.detail["map"])
                frames.append(_positions(name, subject, schedule, field, _half(record), record.provenance()))
            elif name == RANDOM:
                frames.append(pd.DataFrame([{"field": name, "subject": subject, "schedule": schedule}]))
    return pd.concat(frames, ignore_index=True).astype({"y": "Int64", "x": "Int64"})


def _record(evidence: Evidence, subject: str, random: bool) -> Record | None:
    """The newest current record of the module's field as `PROTOCOL` has it, of random or of trained weights.

    Of trained weights, which are one network's, any source and number of images will do.
    """
    spec = evidence.zoo.get(subject)
    if spec is None:
        return None
    current, wanted = (spec.digest(), METRICS[METRIC].version), PROTOCOL.of_record(resolve(subject))
    if not random:
        wanted = {name: wanted[name] for name in ("input_hw", "of", "to", "recipe")}
    for (_, metric, name), records in evidence.by_network.items():
        for record in records if (metric, name) == (METRIC, subject) else ():
            fits = all(record.protocol.get(entry) == value for entry, value in wanted.items())
            drawn = str(record.protocol["weights"]).startswith("random")
            if fits and drawn == random and (record.spec_digest, record.metric_version) == current:
                return record
    return None


def _positions(name: str, subject: str, schedule: str, field: np.ndarray, note: str, source: str) -> pd.DataFrame:
    rows, columns = np.indices(field.shape)
    return pd.DataFrame({
        "field": name, "subject": subject, "schedule": schedule, "y": rows.ravel(), "x": columns.ravel(),
        "share": field.ravel() / field.sum(), "note": note,
        "measured_from": [source, *[""] * (field.size - 1)],
    })  # fmt: skip


def _half(record: Record) -> str:
    """The area around half of the mass with its interval, in percent."""
    found = record.detail["scalars"][HALF]
    low, high = ends = found["interval"] or (found["value"],) * 2
    if low < high:
        interval = widened(ends, record.detail["n"], 1.0)
        low, high = interval.low, interval.high
    shown = dict.fromkeys(f"{100 * end:.0f}" for end in (low, high))
    return f"{'–'.join(shown)} %"


def draw(data: pd.DataFrame) -> Figure:
    """Rows are kinds of field, columns are schedules; one logarithmic scale for all, exact zeros in grey."""
    kinds, subjects = list(dict.fromkeys(data.field)), list(dict.fromkeys(data.subject))
    width = (style.COLUMN_IN - 0.1) / len(subjects)
    each = 0.98
    figure = style.canvas(0.28 + each * len(kinds) + 0.45 + 0.2 * len(kinds))
    norm = LogNorm(LEAST, max([10 * LEAST, *data.share.dropna()]))
    height = figure.get_size_inches()[1]
    for i, kind in enumerate(kinds):
        top = 0.4 + i * (each + 0.2)
        title = f"{kind} (%: {_meaning(kind)})"
        figure.text(0.5, 1 - (top - 0.06) / height, title, ha="center", va="bottom", fontsize=style.TEXT_PT - 0.5)
        for j, subject in enumerate(subjects):
            rows = data[(data.field == kind) & (data.subject == subject)]
            axes = style.panel(figure, 0.08 + j * width, top, width - 0.06, each - 0.18)
            if i == 0:
                axes.text(0.5, 1.24, rows.schedule.iloc[0], transform=axes.transAxes, ha="center", va="bottom")
            _map(axes, rows, norm)
    _colour_bar(figure, norm)
    return figure


def _meaning(kind: str) -> str:
    return INPUTS if kind in EXACT else WINDOW


def _map(axes: Axes, rows: pd.DataFrame, norm: LogNorm) -> None:
    if rows.share.isna().all():
        style.say_instead(axes, "no record;\nrun: effective")
        return
    field = rows.pivot_table(index="y", columns="x", values="share").to_numpy(dtype=float)
    shown = np.ma.masked_equal(np.where(field > 0, np.maximum(field, LEAST), 0), 0)
    axes.imshow(shown, cmap=_colours(), norm=norm, interpolation="none")
    axes.set(xticks=[], yticks=[])
    axes.set_xlabel(rows.note.iloc[0], fontsize=style.TEXT_PT - 1.5, labelpad=1.5)
    for spine in axes.spines.values():
        spine.set_visible(True)


def _colours() -> mpl.colors.Colormap:
    return mpl.colormaps["viridis"].with_extremes(bad=ZERO)


def _colour_bar(figure: Figure, norm: LogNorm) -> None:
    width, height = figure.get_size_inches()
    axes = figure.add_axes((0.35 / width, 0.32 / height, (width - 1.3) / width, 0.06 / height))
    bar = figure.colorbar(mpl.cm.ScalarMappable(norm, _colours()), cax=axes, orientation="horizontal")
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=2, pad=1)
    bar.ax.minorticks_off()
    figure.text(0.35 / width, 0.01, "share of the field", ha="left", va="bottom", fontsize=style.TEXT_PT - 1)
    # A patch, for an svg's axes have no faces: its page shines through.
    corner, size = (1 - 0.72 / width, 0.3 / height), (0.1 / width, 0.1 / height)
    figure.add_artist(Rectangle(corner, *size, transform=figure.transFigure, facecolor=ZERO, edgecolor="none"))
    figure.text(1 - 0.57 / width, 0.35 / height, "exactly 0", ha="left", va="center", fontsize=style.TEXT_PT - 1)


def alt(data: pd.DataFrame) -> str:
    """The figure of fields in words."""
    told = []
    for (kind, schedule), rows in data.groupby(["field", "schedule"], sort=False):
        if rows.share.isna().all():
            told.append(f"{kind}, {schedule}: not estimated yet.")
        else:
            zero = 100 * float((rows.share == 0).mean())
            told.append(
                f"{kind}, {schedule}: {_meaning(str(kind))} {rows.note.iloc[0]}, {zero:.0f} % of the map exactly zero."
            )
    return "Maps of where one unit's field lies. " + " ".join(told)
