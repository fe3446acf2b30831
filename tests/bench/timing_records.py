"""Timing records made of given samples, for tests that need a measurement with a known answer. Imports no torch."""

import statistics
from collections.abc import Sequence
from typing import Any

from bench.counts.conventions import AT_OUTPUT, KINDS
from bench.records.record import METRICS, Record

MACHINE = "made-up-2-cores"

PROTOCOL = {"input_hw": [256, 192], "batch": 1, "device": "cpu", "backend": "eager", "precision": "fp32", "threads": 1}

OF_A_RECORD = frozenset(Record.model_fields) - {"protocol", "samples", "subject"}


def timing_record(
    subject: str, times_by_process: Sequence[Sequence[float]], sweep: str = "sweep", **protocol: Any
) -> Record:
    """A record of latency as `python -m bench measure` writes it, with the samples of each fresh process.

    Args:
        subject: the network's name.
        times_by_process: steady samples, seconds a call, one sequence for each process.
        sweep: in whose rounds the processes were measured; "" is a record from before that was noted.
        protocol: entries of the protocol that differ from `PROTOCOL`; a name of a field of `Record`, such as
            `machine`, `flags`, `commit` or `value`, sets that field instead, and `detail` adds to the record's own.
    """
    fields = {name: protocol.pop(name) for name in OF_A_RECORD & set(protocol)}
    samples = tuple(sample for process in times_by_process for sample in process)
    medians = [statistics.median(process) for process in times_by_process]
    metric = METRICS[fields.get("metric", "latency")]
    detail = {
        "interval": [min(medians), max(medians)],
        "confidence": 0.95,
        "processes": [
            a_process(process) | ({"round": f"{sweep} {number}"} if sweep else {})
            for number, process in enumerate(times_by_process)
        ],
        "outputs": {"largest_difference": 1e-6, "tolerance": 1e-4},
    } | fields.pop("detail", {})
    made: dict[str, Any] = {
        "spec_digest": f"digest-of-{subject}", "metric": metric.name, "metric_version": metric.version,
        "unit": metric.unit, "value": statistics.median(medians), "samples": samples, "protocol": PROTOCOL | protocol,
        "detail": detail, "machine": MACHINE, "versions": {"python": "3.11.7", "torch": "2.13.0+cpu"},
        "environment": {"system": "Linux"}, "commit": "c" * 40, "dirty": False,
        "recorded_at": "2026-01-01T00:00:00+00:00",
    }  # fmt: skip
    return Record(subject=subject, **(made | fields))


def a_process(samples: Sequence[float]) -> dict[str, Any]:
    """What a timing record says of one fresh process that nothing disturbed."""
    return {
        "samples": len(samples),
        "median": statistics.median(samples),
        "warmup": [2 * max(samples)],
        "calls": 1,
        "steady": True,
        "attempt": 1,
        "disturbance": {},
        "reasons": [],
    }


def count_record(subject: str, metric: str, value: int, detail: dict[str, Any] | None = None, **fields: Any) -> Record:
    """A record of an exact metric, such as "macs", all of it of convolutions where `detail` does not say otherwise."""
    kinds = {"by_kind": dict.fromkeys((*KINDS, AT_OUTPUT), 0) | {KINDS[0]: value}} if metric == "macs" else {}
    made: dict[str, Any] = {
        "spec_digest": f"digest-of-{subject}", "metric_version": METRICS[metric].version, "unit": METRICS[metric].unit,
        "protocol": {"input_hw": [256, 192], "batch": 1}, "machine": "exact", "versions": {"python": "3.11.7"},
        "commit": "c" * 40, "dirty": False, "recorded_at": "2026-01-01T00:00:00+00:00",
    }  # fmt: skip
    return Record(subject=subject, metric=metric, value=value, detail=kinds | (detail or {}), **(made | fields))
