"""Small sweeps for tests, and what is left of one on disk and among the processes."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.cell import Cell
from bench.records.record import Record
from bench.records.store import Store
from bench.subject import resolve
from bench.sweeps import assemble
from bench.sweeps.plan import Plan
from bench.sweeps.sweep import Progress, Sweep
from dpn.checkout import ROOT

TINY = Plan(processes=2, most_processes=2, samples=4, least_s=0.01, most_s=0.1, width=10.0)

PROGRESS = re.compile(r": building$|^round \d+ of \d+ to \d+ done$|^waiting for |^counted | ceiling of this machine, ")
"""Lines of standard error that say how far a sweep is, where no bar is seen."""

ONE = replace(TINY, processes=1, most_processes=1)


ENTRY = """
import runpy
from dpn import checkout
checkout.code = lambda: "code"
runpy.run_module("bench", run_name="__main__", alter_sys=True)
"""
"""`python -m bench` whose results are of one code, also where a file is edited while the test runs."""


def options(processes: int) -> list[str]:
    """A plan as small as `TINY` for the command line."""
    number = str(processes)
    return ["--processes", number, "--most-processes", number, "--samples", "6", "--least-s", "0.01", "--most-s", "0.1"]


def sweep(root: Path, *cells: Cell, plan: Plan = TINY, again: bool = False) -> Progress:
    """Measures cells of one network into the store in a folder."""
    subject = resolve(cells[0].subject, cells[0].input_hw)
    return Sweep(Store(root), plan, again=again).run([(subject, cells)])


def ceilings_known(root: Path, *threads: int) -> None:
    """Gives a store the ceilings of this machine, so that a sweep need not measure them."""
    store = Store(root)
    for number in threads:
        cell = Cell(subject="any", input_hw=(1, 1), threads=number)
        for kind in ("arithmetic", "copy"):
            store.append(assemble.ceiling(kind, cell, {"made up": {"rate": 1e11, "samples": [1e11], "calls": 1}}))


def start(*arguments: str, temporary: Path) -> "subprocess.Popen[str]":
    """`python -m bench` as a process of its own, its output in pipes."""
    return subprocess.Popen(
        [sys.executable, "-c", ENTRY, *arguments],
        cwd=ROOT, env=os.environ | {"TMPDIR": str(temporary)}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def finish(running: "subprocess.Popen[str]") -> tuple[int, str, str]:
    """Exit code, output and errors of a process when it ends, without the lines that say how far it is."""
    out, err = running.communicate(timeout=300)
    return running.returncode, out, "".join(line for line in err.splitlines(True) if not PROGRESS.search(line))


def records_of(root: Path, metric: str) -> list[Record]:
    """The records of a metric; every line must be whole."""
    lines = [line for path in root.glob(f"*/{metric}.jsonl") for line in path.read_text().splitlines()]
    return [Record.model_validate_json(line) for line in lines]


def journals(root: Path) -> list[Path]:
    """The journals beside the records."""
    return sorted(root.glob(".journal-*"))


def results_in_journals(root: Path) -> set[tuple[float, ...]]:
    """The samples of every process whose result is in a journal; they are as good as its name."""
    return {tuple(entry["result"]["samples"]) for entry in _entries(root) if "result" in entry}


def results_in_records(root: Path, metric: str = "latency") -> list[tuple[float, ...]]:
    """The samples of every process that made a record, its warm-up first."""
    found = []
    for record in records_of(root, metric):
        rest = list(record.samples)
        for process in record.detail["processes"]:
            found.append((*process["warmup"], *rest[: process["samples"]]))
            rest = rest[process["samples"] :]
        found += [tuple(process["raw"]) for process in record.detail["discarded"]]
    return found


def _entries(root: Path) -> Iterator[dict[str, Any]]:
    for path in journals(root):
        for line in path.read_text().split("\n")[:-1]:  # what follows the last line's end is being written
            yield json.loads(line)


def workers_below(temporary: Path) -> list[int]:
    """Processes that measure, with a socket below a folder."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:  # it ended
            continue
        if "bench.worker" in words and any(word.startswith(str(temporary)) for word in words):
            found.append(int(folder.name))
    return found
