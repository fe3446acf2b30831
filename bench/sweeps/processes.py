"""What each fresh process is asked to do: prepare a network, measure a cell, measure a ceiling. Imports no torch."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from bench.cell import BackendName, Cell
from bench.running import backends
from bench.sweeps import ceilings
from bench.sweeps.plan import Plan
from bench.sweeps.pool import Worker, WorkerError, Zygote

SOURCES = ("bench.running.runners", "bench.sampling.timing", "bench.subject")
"""Our own modules that an interpreter imports before it forks, so that no worker spends its time on that."""

TORCH_SOURCES = ("dpn.build", "bench.running.artifacts")


def modules_of(cell: Cell) -> tuple[str, ...]:
    """What an interpreter imports before it forks a worker for a cell."""
    modules = backends.BACKENDS[cell.backend].modules
    return (*modules, *SOURCES, *(TORCH_SOURCES if "torch" in modules else ()))


def run_cell(worker: Worker, cell: Cell, folder: Path, plan: Plan) -> dict[str, Any]:
    """What one fresh process measures for a cell."""
    fields = asdict(cell)
    worker.patience_s = plan.patience_s()
    if cell.metric == "memory":
        return {"seconds": 0.0, **worker.ask("memory", cell=fields, folder=str(folder))}
    opened = worker.ask("open", cell=fields, folder=str(folder))
    worker.patience_s = plan.patience_s(opened["seconds"])
    if cell.metric == "energy":
        return {"outputs": opened["outputs"], **worker.ask("energy", batch=cell.batch, device=cell.device)}
    if cell.metric == "throughput":
        window_s = max(plan.least_s, opened["seconds"])
        windows = plan.of_process(window_s)[1]
        measured = worker.ask("throughput", samples=windows, seconds=window_s, batch=cell.batch)
        seconds = windows * window_s
    else:
        at_least, keep = plan.of_process(opened["seconds"])
        measured = worker.ask("series", at_least=at_least, keep=keep, least_s=plan.least_s, most_s=plan.most_s)
        seconds = sum(measured["samples"]) * measured["calls"]
        if cell.device == "cuda":
            measured["cuda"] = worker.ask("cuda", samples=at_least)
    return {"seconds": seconds, "outputs": opened["outputs"], **measured}


def prepare(cells: Sequence[Cell], folder: Path, checkout: Path | None = None) -> dict[str, Any]:
    """Writes what the workers of rivals need into a folder, in a process of its own.

    Returns:
        The network's digest and counts, and for each back end that cannot run it the reason, as "failures".
    """
    onnx = any(backends.BACKENDS[cell.backend].from_onnx for cell in cells)
    reader: BackendName = "onnxruntime" if cells[0].subject.endswith(".onnx") else "eager"
    modules = modules_of(replace(cells[0], backend=reader))
    with Zygote(modules, folder=checkout) as zygote, zygote.fork() as worker:
        return worker.ask("prepare", cell=asdict(cells[0]), folder=str(folder), onnx=onnx)


def ceiling_rates(kind: ceilings.Kind, cell: Cell, known: Collection[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every candidate that is not known yet, in a process of its own; one that fails there has the rate 0.

    A disturbed one gets a second process; an undisturbed rate counts before a disturbed one.

    Raises:
        WorkerError: a process could not be started.
    """
    where = {"device": cell.device, "precision": cell.precision}
    with ExitStack() as stack:
        zygotes: dict[tuple[str, ...], Zygote] = {}
        for candidate in ceilings.candidates(kind, **where):
            if candidate in known:
                continue
            modules = ceilings.modules(candidate)
            if modules not in zygotes:
                zygotes[modules] = stack.enter_context(Zygote(modules))
            asked = {"kind": kind, "candidate": candidate, "threads": cell.threads, **where}
            rate = _ceiling_rate(zygotes[modules], asked)
            if rate.get("reasons"):
                rate = max(rate, _ceiling_rate(zygotes[modules], asked), key=_worth)
            yield candidate, rate


def _ceiling_rate(zygote: Zygote, asked: Mapping[str, Any]) -> dict[str, Any]:
    with zygote.fork() as worker:
        try:
            return worker.ask("ceiling", **asked)
        except WorkerError as error:
            return {"rate": 0.0, "samples": [], "failure": str(error)}


def _worth(rate: Mapping[str, Any]) -> tuple[bool, bool, float]:
    """Any rate before none, an undisturbed one before a disturbed one, then the faster one."""
    return rate["rate"] > 0, not rate.get("reasons"), rate["rate"]
