"""What the figures of speed are drawn from: one row for each time that was measured, on every machine."""

from typing import Any

import pandas as pd

from analysis.evidence import Evidence
from analysis.tabular.printed_words import short_name
from analysis.timing import timings
from bench.correlation import kendall
from bench.records.record import Record
from bench.statistics import Interval

COLUMNS = (
    "machine", "setting", "drawn", "subject", "label", "macs", "live_macs", "batch", "seconds", "low", "high",
    "confidence", "flags", "share", "bound", "measured_from",
)  # fmt: skip

LEAST_FOR_ORDER = 6
"""Nominal costs below which an order says nothing: five points have 120 orders."""


def figure_latency_data(evidence: Evidence) -> pd.DataFrame:
    """One row for each current latency.

    Columns: machine, setting, drawn (whether the figure shows this machine and setting), subject, label (empty for
    networks that no row of Tables VI and VII names first), macs and live_macs of one image (exact; missing where
    nothing current is counted), batch, seconds, low and high (the interval of the median), confidence (of the
    interval), flags, share and bound (of the machine's nearer ceiling), measured_from.
    """
    rows = []
    labels = _labels(evidence)
    for machine in timings.machines(evidence, "latency"):
        networks = timings.measured_on(evidence, machine, "latency")
        for setting in timings.settings(evidence, machine, "latency"):
            for subject, _ in networks:
                found = timings.found(evidence, subject, "latency", machine, setting)
                if found.record is None or found.stale:
                    continue
                rows.append(
                    {"machine": machine, "setting": str(setting), "drawn": False, "subject": subject,
                     "label": labels.get(subject, ""), "macs": _count(evidence, subject, "macs"),
                     "live_macs": _count(evidence, subject, "live_macs"), "batch": setting.batch}
                    | _measured(found.record)
                )  # fmt: skip
    data = pd.DataFrame(rows, columns=COLUMNS).astype({"macs": "Int64", "live_macs": "Int64", "drawn": bool})
    if len(data):
        data["drawn"] = (data.machine == data.machine.iloc[0]) & (data.setting == _most_complete(data))
    return data


def figure_roofline_data(evidence: Evidence) -> pd.DataFrame:
    """The same rows, those with a share of a ceiling; every setting of the first machine is drawn."""
    data = figure_latency_data(evidence).dropna(subset=["share"]).reset_index(drop=True)
    if len(data):
        data["drawn"] = data.machine == data.machine.iloc[0]
    return data


def correlation(data: pd.DataFrame, column: str) -> tuple[float, Interval] | None:
    """Kendall's tau between a count and the time of a call, over the networks drawn; None for too few costs.

    Its interval takes networks of one nominal cost, such as the ablations of one network, as one.

    Args:
        data: of the figure.
        column: "macs" or "live_macs".
    """
    rows = data[data.drawn].dropna(subset=[column])
    if rows.macs.nunique() < LEAST_FOR_ORDER or rows[column].nunique() < 2 or rows.seconds.nunique() < 2:
        return None
    return kendall(rows[column].astype(float).tolist(), rows.seconds.tolist(), groups=rows.macs.astype(float).tolist())


def in_words(found: tuple[float, Interval] | None) -> str:
    """Kendall's tau with its interval.

    Example:
        >>> in_words((0.8123, Interval(low=0.7, high=0.9, confidence=0.95))), in_words(None)
        ('0.81 (0.70 to 0.90)', 'not known')
    """
    return "not known" if found is None else f"{found[0]:.2f} ({found[1].low:.2f} to {found[1].high:.2f})"


def _most_complete(data: pd.DataFrame) -> str:
    """The setting in which most networks were timed on the first machine; the first of several."""
    first = data[data.machine == data.machine.iloc[0]]
    counts = first.groupby("setting", sort=False).subject.count()
    return str(counts.idxmax())


def _measured(record: Record) -> dict[str, Any]:
    interval = record.detail.get("interval") or (None, None)
    roofline = record.detail.get("roofline") or {}
    return {
        "seconds": float(record.value),
        "low": interval[0],
        "high": interval[1],
        "confidence": record.detail.get("confidence"),
        "flags": ", ".join(record.flags),
        "share": roofline.get("share"),
        "bound": roofline.get("bound", ""),
        "measured_from": record.provenance(),
    }


def _count(evidence: Evidence, subject: str, metric: str) -> int | None:
    record = evidence.record(subject, metric)
    return None if record is None else int(record.value)


def _labels(evidence: Evidence) -> dict[str, str]:
    """Names of the networks of Tables VI and VII, as the paper prints them; a name that both have stands for COCO's."""
    names: dict[str, str] = {}
    for table in (evidence.reported["table-6"], evidence.reported["table-7"]):
        for row in table.rows[1:]:
            name = short_name(table.cell(row, "method").printed)
            if name not in names.values():
                names[table.cell(row, "params").subject] = name
    return names
