"""The one list of rows that every outlet is rendered from, each with its way back to its record. Imports no torch."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

from bench.records.record import METRICS, Record
from bench.records.store import Store

LARGER_IS_BETTER = frozenset({"throughput", "arithmetic_ceiling", "copy_ceiling"})
"""Metrics that are rates: their inverse is a time."""

TIMES = frozenset({"latency", "throughput"})
"""Metrics that are decided by the samples of fresh processes."""

CEILINGS = frozenset({"arithmetic_ceiling", "copy_ceiling"})
"""Metrics of a machine, not of a network."""

ABOUT_MEASURING = frozenset(
    {"trial", "copy", "refusal", "second_opinions", "effective_field", "neighbour_cosine", "ap", "pckh"}
)
"""Metrics that say something about measuring, or about one draw of the weights, random or trained; no outlet takes them
for a quantity of a network."""

UNTRUSTED = frozenset({"disturbed", "no steady state"})
"""Flags with which a timing decides nothing."""

PROTOCOL = ("input_hw", "batch", "device", "backend", "precision", "threads")
"""Entries of a protocol that tables and CSV files have columns for."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One current record, and what outlets need of it.

    Attributes:
        record: the record, unchanged; its value is exact.
        file: its file, relative to the folder of records.
    """

    record: Record
    file: str

    @property
    def interval(self) -> tuple[float, float] | None:
        """The interval of the value, in the record's unit, or None where the metric has none."""
        found = self.record.detail.get("interval")
        return (float(found[0]), float(found[1])) if found else None

    @property
    def processes(self) -> int:
        """How many fresh processes the samples come from; 0 for a count."""
        return len(self.record.detail.get("processes", ()))

    @property
    def rounds(self) -> list[str]:
        """The rounds in which the processes were measured; none where that was not noted."""
        return [str(process["round"]) for process in self.record.detail.get("processes", ()) if "round" in process]

    @property
    def trusted(self) -> bool:
        """Whether no flag says that the value decides nothing."""
        return not UNTRUSTED & set(self.record.flags)

    @property
    def times_by_process(self) -> list[list[float]]:
        """The steady samples of each process as times, so that larger is worse.

        Samples of a rate (throughput) are inverted: seconds an image. That they are positive and that the processes'
        numbers of them add up is known since the record was read, see `bench.records.fields.times`.
        """
        record = self.record
        samples = iter([1 / x for x in record.samples] if record.metric in LARGER_IS_BETTER else record.samples)
        return [list(islice(samples, process["samples"])) for process in record.detail["processes"]]

    def settings(self) -> str:
        """The record's protocol in a few words."""
        return settings(self.record.protocol)

    def as_dict(self) -> dict[str, Any]:
        """The row as plain data: the value exact, its interval and the confidence of that, and where they come from."""
        record, interval = self.record, self.interval or (None, None)
        return {
            "subject": record.subject,
            "metric": record.metric,
            "unit": record.unit,
            "value": record.value,
            "low": interval[0],
            "high": interval[1],
            "confidence": record.detail.get("confidence"),
            "samples": len(record.samples),
            "processes": self.processes,
            "machine": record.machine,
            "protocol": record.protocol,
            "flags": list(record.flags),
            "complete": record.complete,
            "spec_digest": record.spec_digest,
            "metric_version": record.metric_version,
            "versions": record.versions,
            "commit": record.commit,
            "dirty": record.dirty,
            "recorded_at": record.recorded_at,
            "file": self.file,
            "key": record.key(),
        }


def rows(store: Store) -> list[Row]:
    """The current records of a store, in the order of machine, metric and subject."""
    return [row_of(record) for record in sorted(store.current(), key=_order)]


def quantities(found: Iterable[Row]) -> list[Row]:
    """The rows that are quantities of a network or a machine."""
    return [row for row in found if row.record.metric not in ABOUT_MEASURING]


def settings(protocol: dict[str, Any]) -> str:
    """A protocol in a few words, known entries first.

    Example:
        >>> settings({"batch": 1, "input_hw": [256, 192], "device": "cpu", "threads": 1})
        '256x192, batch 1, cpu, 1 thread'
    """
    known = {name: protocol[name] for name in PROTOCOL if name in protocol}
    return ", ".join(_setting(name, value) for name, value in (known | protocol).items())


def _setting(name: str, value: Any) -> str:
    if isinstance(value, list):
        return "x".join(map(str, value))
    if name == "threads":
        return f"{value} thread" if value == 1 else f"{value} threads"
    return str(value) if name in ("device", "backend", "precision") else f"{name} {value}"


def row_of(record: Record) -> Row:
    """The record as a row."""
    return Row(record=record, file=f"{record.machine}/{record.metric}.jsonl")


def _order(record: Record) -> tuple[str, int, str, str]:
    place = list(METRICS).index(record.metric)
    return record.machine, place, record.subject, json.dumps(record.protocol, sort_keys=True)
