"""What the figures are drawn from: pandas frames with one row per mark, written as csv beside the picture.

Networks come from the zoo and the paper's tables, never from a list here. What has no record has no number.
"""

from typing import Any

import pandas as pd

from analysis.evidence import Evidence
from analysis.tabular.cost_cells import title
from analysis.tabular.printed_words import short_name
from bench.records.record import Record
from dpn import dilation
from dpn.spec import DPNSpec, ModelSpec

GIGA = 10**9


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
                "label": short_name(table.cell(row, table.columns[0]).printed),
                "ap": float(ap.number),
                "params_reported": float(params.number),
                "params_measured": _value(record),
                "reported_from": f"{params.table}, row {row}",
                "measured_from": _provenance(record),
            }
        )
    return _frame(rows, integers=("params_measured",))


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


def _is_dpn(evidence: Evidence, subject: str) -> bool:
    return subject in evidence.zoo and evidence.zoo[subject].family.startswith("dpn")


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
    schedule = schedule_of(spec)
    label = f"D = {spec.dilations[0]}" if schedule == "constant" else ""
    return {"group": group, "modules": spec.modules, "schedule": schedule, "label": label}


def schedule_of(spec: DPNSpec) -> str:
    """The key of `style.SCHEDULES` by which a DPN is drawn: all dilations at high resolution share one."""
    if spec.conv2_stride == 1:
        return "highres"
    names = {dilation.pyramid(): "dpm", dilation.reversed_pyramid(): "reversed", dilation.normal(): "normal"}
    return names.get(spec.dilations, "constant")


def _frame(rows: Any, integers: tuple[str, ...]) -> pd.DataFrame:
    """A frame whose counts stay exact integers beside missing ones."""
    return pd.DataFrame(rows).astype(dict.fromkeys(integers, "Int64"))


def rows_of(data: pd.DataFrame) -> list[Any]:
    """The rows as named tuples; what a column holds, its data function says and no annotation can."""
    return list(data.itertuples())
