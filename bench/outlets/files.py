"""Rows as files for other programs: CSV, JSON, github-action-benchmark, Bencher. Nothing is rounded. No torch."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bench.escaping import one_line
from bench.records.rows import LARGER_IS_BETTER, PROTOCOL, Row, quantities

CSV_COLUMNS = (
    "subject", "metric", "unit", "value", "low", "high", "confidence", "samples", "processes", "machine", *PROTOCOL,
    "protocol", "flags", "complete", "spec_digest", "metric_version", "versions", "commit", "dirty", "recorded_at",
    "file", "key",
)  # fmt: skip


def as_json(rows: Sequence[Row]) -> str:
    """A list of objects, one for each row, with everything that `Row.as_dict` says."""
    return json.dumps([row.as_dict() for row in rows], indent=1, allow_nan=False) + "\n"


def as_csv(rows: Sequence[Row]) -> str:
    """One line for each row; known entries of the protocol have columns, and all of it stands as JSON in `protocol`."""
    return csv_text(CSV_COLUMNS, [_flat(row) for row in rows])


def csv_text(columns: Sequence[str], lines: Sequence[Mapping[str, Any]]) -> str:
    """Lines as CSV; every text is quoted, on one line and no formula; a missing value is empty."""
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, columns, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writeheader()
    writer.writerows({name: _no_formula(value) for name, value in line.items()} for line in lines)
    return file.getvalue()


def as_gab(rows: Sequence[Row]) -> str:
    """The input of github-action-benchmark with `tool: customSmallerIsBetter`.

    A rate, such as throughput, stands as its inverse, the time of one image, because one file has one direction. The
    receptive field, which is neither better nor worse for being larger, is left out.
    """
    entries = []
    for row in quantities(rows):
        if row.record.metric == "receptive_field":
            continue
        value, unit, interval = _smaller_is_better(row)
        entry: dict[str, Any] = {"name": _name(row), "unit": unit, "value": value, "extra": _provenance(row)}
        if interval:
            entry["range"] = f"{interval[0]!r} to {interval[1]!r}"
        entries.append(entry)
    return json.dumps(entries, indent=1, allow_nan=False) + "\n"


def as_bmf(rows: Sequence[Row]) -> str:
    """Bencher Metric Format: values of each benchmark by measure, with the interval where there is one.

    The direction of a measure is set in Bencher, by its threshold: an upper one for all but throughput and ceilings,
    and none for the receptive field. Bencher knows no flags, so that rows that are not trusted are left out.
    """
    benchmarks: dict[str, dict[str, dict[str, float]]] = {}
    for row in quantities(rows):
        if not row.trusted:
            continue
        values: dict[str, float] = {"value": row.record.value}
        if row.interval:
            values |= {"lower_value": row.interval[0], "upper_value": row.interval[1]}
        benchmarks.setdefault(_benchmark(row), {})[row.record.metric.replace("_", "-")] = values
    return json.dumps(benchmarks, indent=1, allow_nan=False) + "\n"


FILES: dict[str, Callable[[Sequence[Row]], str]] = {"csv": as_csv, "json": as_json, "gab": as_gab, "bmf": as_bmf}
"""Outlets for programs by their name on the command line."""


def _no_formula(value: Any) -> Any:
    """A text without control characters, with an apostrophe before what a spreadsheet would compute; else the value."""
    if not isinstance(value, str):
        return value
    line = value if value.isprintable() else one_line(value)
    return f"'{line}" if line.startswith(("=", "+", "-", "@")) else line


def _flat(row: Row) -> dict[str, Any]:
    fields = row.as_dict()
    protocol: dict[str, Any] = fields["protocol"]
    known = {name: "x".join(map(str, value)) if isinstance(value, list) else value for name, value in protocol.items()}
    return {name: known.get(name, "") for name in PROTOCOL} | fields | {
        "protocol": json.dumps(protocol),
        "versions": json.dumps(fields["versions"]),
        "flags": "; ".join(fields["flags"]),
    }  # fmt: skip


def _smaller_is_better(row: Row) -> tuple[float, str, tuple[float, float] | None]:
    """Value, unit and interval with larger meaning worse.

    Raises:
        ValueError: a rate is not positive and so has no inverse.
    """
    record, interval = row.record, row.interval
    if record.metric not in LARGER_IS_BETTER:
        return record.value, record.unit, interval
    if record.value <= 0 or (interval and min(interval) <= 0):
        raise ValueError(
            f"{row.file}: a rate of {record.value} has no inverse ({record.provenance()}); measure it again"
        )
    above, below = record.unit.split("/")
    return 1 / record.value, f"{below}/{above}", (1 / interval[1], 1 / interval[0]) if interval else None


def _benchmark(row: Row) -> str:
    record = row.record
    where = "any machine" if record.machine == "exact" else record.machine
    return f"{record.subject} ({row.settings()}), {where}"


def _name(row: Row) -> str:
    return f"{row.record.metric} of {_benchmark(row)}"


def _provenance(row: Row) -> str:
    record = row.record
    parts = [record.provenance()]
    if record.samples:
        parts.append(f"{len(record.samples)} samples of {row.processes} processes")
    return "\n".join([*parts, *(f"flag: {flag}" for flag in record.flags), f"record: {row.file}, {record.key()}"])
