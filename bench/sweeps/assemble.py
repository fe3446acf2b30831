"""From the results of a cell's processes to one record: median, interval, flags, roofline. Imports no torch."""

from collections.abc import Mapping, Sequence
from itertools import chain
from statistics import median
from typing import Any

from bench.cell import Cell
from bench.machine import environment
from bench.records.provenance import measured
from bench.records.record import METRICS, Record, key_of
from bench.statistics import median_interval, medians
from bench.sweeps import ceilings
from bench.sweeps.plan import Plan

BYTES = {"fp32": 4, "tf32": 4, "bf16": 2, "fp16": 2}
"""Bytes of an element; counts of bytes are of fp32."""

MACHINE_SUBJECT = "machine"
"""Subject and digest of what belongs to a machine and to no network."""

OWN = (
    "round", "value", "before_bytes", "peak_bytes", "peaks", "allocated_bytes", "reserved_bytes", "process_bytes",
    "joules", "images", "calls", "power_w", "idle_power_w", "disturbance",
)  # fmt: skip
"""What each process found for itself, of memory and of energy; whatever else they say is the same for all of them."""


def key(cell: Cell, digest: str) -> str:
    """The key that a cell's record will have."""
    version = METRICS[cell.metric].version
    return key_of(environment.machine(cell.device), cell.metric, version, digest, cell.protocol())


def counted(results: Sequence[Mapping[str, Any]], plan: Plan) -> list[Mapping[str, Any]]:
    """The processes that make a cell's value: the undisturbed ones, where there are as many as the plan asks for."""
    clean = [result for result in results if not result["reasons"]]
    return clean if len(clean) >= min(plan.processes, len(results)) else list(results)


def narrow(results: Sequence[Mapping[str, Any]], plan: Plan) -> bool:
    """Whether the interval of the processes' median is as narrow as the plan wants it; always, without samples."""
    kept = [_kept(result) for result in results if "samples" in result]
    if not kept:
        return True
    own = medians(kept)
    return median_interval(own).relative_width(median(own)) <= plan.width


def record(
    cell: Cell, digest: str, results: Sequence[Mapping[str, Any]], plan: Plan, prepared: Mapping[str, Any],
    bounds: tuple[float, float] | None,
) -> Record:  # fmt: skip
    """The record of a cell.

    Args:
        cell: what was measured.
        digest: the network's.
        results: one for each fresh process.
        plan: by which it was measured.
        prepared: the network's counts, for the roofline.
        bounds: the machine's arithmetic and copy ceilings, or None where no roofline is wanted.
    """
    if cell.metric in ("memory", "energy"):
        return _simple(cell, digest, results, plan)
    taken = counted(results, plan)
    kept = [_kept(result) for result in taken]
    own = medians(kept)
    center, interval = median(own), median_interval(own)
    detail: dict[str, Any] = {
        "interval": [interval.low, interval.high],
        "confidence": interval.confidence,
        "processes": [_process(result) for result in taken],
        "discarded": [_process(result) | {"raw": result["samples"]} for result in results if result not in taken],
        "outputs": taken[0]["outputs"],
    }
    if bounds is not None:
        seconds = center if cell.metric == "latency" else cell.batch / center
        moved = (prepared["weight_bytes"] + cell.batch * prepared["activation_bytes"]) * BYTES[cell.precision] // 4
        detail["roofline"] = ceilings.roofline(cell.batch * prepared["macs"], moved, seconds, *bounds)
    if "cuda" in taken[0]:
        detail["cuda"] = [result["cuda"] for result in taken]
    return make_for(
        cell, digest, cell.metric, center, protocol=cell.protocol(), samples=tuple(chain(*kept)),
        flags=_flags(taken, plan), detail=detail,
    )  # fmt: skip


def refusal(cell: Cell, digest: str, reason: str) -> Record:
    """The record that a cell cannot be measured here, with the reason."""
    protocol = cell.protocol() | {"of": cell.metric}
    return make_for(cell, digest, "refusal", 0, protocol=protocol, detail={"reason": reason})


def ceiling(kind: str, cell: Cell, rates: Mapping[str, Any]) -> Record:
    """The record of a machine's ceiling for cells like this one, from the rates of its candidates."""
    protocol: dict[str, Any] = {"device": cell.device, "threads": cell.threads}
    if kind == "arithmetic":
        protocol["precision"] = cell.precision
    winner, best = ceilings.best(rates) if rates else ("", 0.0)
    flags = ["disturbed"] if any(rate.get("reasons") for rate in rates.values()) else []
    return measured(
        MACHINE_SUBJECT, MACHINE_SUBJECT, f"{kind}_ceiling", best, device=cell.device,
        protocol=protocol, flags=flags, detail={"winner": winner, "candidates": dict(rates)},
    )  # fmt: skip


def make_for(cell: Cell, digest: str, metric: str, value: float, **fields: Any) -> Record:
    """A record about a cell with the provenance of here and now; `fields` are further fields of a `Record`."""
    return measured(cell.subject, digest, metric, value, device=cell.device, **fields)


def _simple(cell: Cell, digest: str, results: Sequence[Mapping[str, Any]], plan: Plan) -> Record:
    taken = counted(results, plan)
    values = [float(result["value"]) for result in taken]
    common = {name: value for name, value in taken[0].items() if name not in ("seconds", "reasons", *OWN)}
    detail = common | {"processes": [_own(result) for result in taken]}
    if len(taken) < len(results):
        detail["discarded"] = [_own(result) for result in results if result not in taken]
    return make_for(
        cell, digest, cell.metric, median(values), protocol=cell.protocol(), samples=tuple(values),
        flags=_flags(taken, plan), detail=detail,
    )  # fmt: skip


def _own(result: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in result.items() if name in OWN or (name == "reasons" and value)}


def _kept(result: Mapping[str, Any]) -> list[float]:
    samples: list[float] = result["samples"]
    return samples[len(samples) // 2 if result["start"] is None else result["start"] :]


def _process(result: Mapping[str, Any]) -> dict[str, Any]:
    kept = _kept(result)
    return {
        "samples": len(kept),
        "median": median(kept),
        "warmup": result["samples"][: len(result["samples"]) - len(kept)],
        "calls": result["calls"],
        "steady": result["start"] is not None,
        "disturbance": result["disturbance"],
        "reasons": result["reasons"],
        "round": result["round"],
    }


def _flags(results: Sequence[Mapping[str, Any]], plan: Plan) -> list[str]:
    flags = []
    if any(result["reasons"] for result in results):
        flags.append("disturbed")
    if any(result.get("start", 0) is None for result in results):
        flags.append("no steady state")
    short = len(results) < plan.processes and sum(result["seconds"] for result in results) >= plan.budget_s
    if short or not narrow(results, plan):
        flags.append("budget spent")
    return flags
