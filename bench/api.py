"""Measuring from a notebook: `measure` and `frame` answer with pandas data frames. Imports no torch.

Example:
    from bench.api import measure
    measure("dpn4_64", "hrnet_w32", metric="latency", backend="eager,onnxruntime", threads="1,all")
"""

import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd

from bench.outlets.files import CSV_COLUMNS
from bench.records.rows import PROTOCOL, rows
from bench.records.store import RECORDS, Store, require_folder
from bench.subject import Subject, resolve
from bench.sweeps.choices import COUNTS, Choices
from bench.sweeps.measuring import count_networks, measure_cells, open_store
from bench.sweeps.plan import Plan
from bench.sweeps.pool import search_path

NOTEBOOK = "__main__:"
"""What the names of a notebook's own factories begin with."""

REMEDY = "write the factory into a file mine.py in this folder and name it 'mine:net'"


class MeasuringError(RuntimeError):
    """Something that was asked for could not be measured; the message says why, or that the lines above it do."""


def measure(
    *names: str, plan: Plan | None = None, records: Path | str = RECORDS, again: bool = False, **choices: Any
) -> pd.DataFrame:
    """Measures what the records lack and returns a row for each cell and metric asked for, of the networks as they are.

    Factories are imported by fresh processes, so that what is counted is what is timed, and what the file says now;
    those of the notebook itself, `__main__:factory`, can be counted alone.

    Args:
        names: names of the zoo, `package.module:factory`, or paths of ONNX files.
        plan: how much to measure; the default is the command line's.
        records: the folder of the records; it is the cache.
        again: measure what is there, too.
        choices: fields of `Choices`, such as metric="latency,memory", backend="all", threads="1,all", input="256x192";
            several values may be a list, such as batch=(1, 8), and a size a pair, such as input=(256, 192).

    Raises:
        KeyError: no such network.
        ValueError: no name, something that is none, or a choice that does not exist; the message lists those that do.
        MeasuringError: a network cannot be imported, built or counted, its stored counts are contradicted, or none of
            its cells could be measured.
    """
    chosen = _choices(choices)
    _check(names, timed=bool(chosen.timed()))
    subjects = [resolve(name, chosen.input_hw(), late=not name.startswith(NOTEBOOK)) for name in names]
    store, keys = open_store(Path(records), write=True), set[str]()
    if chosen.counts():
        _count(subjects, store)
    if chosen.timed():
        keys, wrong = measure_cells(subjects, chosen, plan or Plan(), store, again=again)
        _raise(wrong)
    found = frame(records)
    sizes = {(subject.name, subject.input_hw) for subject in subjects} if chosen.counts() else set()
    asked = [
        place for place, row in enumerate(found.to_dict("records"))
        if (row["metric"] in COUNTS and (row["subject"], tuple(row["input_hw"])) in sizes)
        or (row["key"] in keys and row["subject"] in names)
    ]  # fmt: skip
    return found.iloc[asked].reset_index(drop=True)


def _check(names: Sequence[Any], *, timed: bool) -> None:
    if not names:
        raise ValueError("nothing to measure; name a network, such as measure('dpn4_64')")
    for name in names:
        if not isinstance(name, str):
            raise ValueError(f"measure() takes the names of networks, not a {type(name).__name__}; {REMEDY}")
        if timed and name.startswith(NOTEBOOK):
            raise ValueError(f"{name} cannot be timed: fresh processes know nothing of a notebook; {REMEDY}")


def _count(subjects: Sequence[Subject], store: Store) -> None:
    own = [subject for subject in subjects if ":" in subject.name and not subject.name.startswith(NOTEBOOK)]
    here = [subject for subject in subjects if subject not in own]
    if here:
        _raise(count_networks(here, store))
    if own:
        _count_afresh(own, store.root)


def _count_afresh(subjects: Sequence[Subject], records: Path) -> None:
    """Counts factories in a process that has imported nothing of theirs yet; all are of one size."""
    size = "x".join(map(str, subjects[0].input_hw))
    done = subprocess.run(
        [sys.executable, "-m", "bench", "measure", *(subject.name for subject in subjects), "--input", size,
         "--records", str(records)],
        env=os.environ | {"PYTHONPATH": search_path()}, capture_output=True, text=True,
    )  # fmt: skip
    print(done.stdout, end="")
    *said, last = done.stderr.splitlines() or [""]
    failed = done.returncode != 0
    print("\n".join(said if failed else [*said, last]), end="\n" if done.stderr else "", file=sys.stderr)
    if failed:
        raise MeasuringError(last.removeprefix("error: "))


def _raise(wrong: str) -> None:
    if wrong:
        raise MeasuringError(wrong)


def frame(records: Path | str = RECORDS) -> pd.DataFrame:
    """Every current record as a row, its protocol in columns, its value exact and in the unit that the row names.

    Raises:
        ValueError: there is no such folder.
    """
    folder, table = Path(records), []
    require_folder(folder)
    for row in rows(Store(folder)):
        plain = row.as_dict()
        protocol = plain.pop("protocol")
        table.append(plain | {name: protocol.get(name) for name in PROTOCOL})
    return pd.DataFrame(table, columns=[name for name in CSV_COLUMNS if name != "protocol"])


def _choices(given: dict[str, Any]) -> Choices:
    """Choices from what a notebook writes: threads=1, batch=(1, 8) and "1,8" alike, and input=(256, 192)."""
    known = [one.name for one in fields(Choices)]
    for name in given:
        if name not in known:
            raise ValueError(f"measure() has no choice {name!r}; it has {', '.join(known)}")
    return Choices(**{name: _text(name, value) for name, value in given.items() if value is not None})


def _text(name: str, value: Any) -> str:
    if not isinstance(value, Iterable) or isinstance(value, str):
        return str(value)
    words = list(map(str, value))
    return ("x" if name == "input" and all(word.isdecimal() for word in words) else ",").join(words)
