"""Measuring from a notebook: `measure` and `frame` answer with pandas data frames. Imports no torch.

Example:
    from bench.api import measure
    measure("dpn4_64", "hrnet_w32", metric="latency", backend="eager,onnxruntime", threads="1,all")
"""

from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd

from bench.choices import Choices
from bench.measuring import count_networks, measure_cells, open_store
from bench.plan import Plan
from bench.rows import PROTOCOL, rows
from bench.store import RECORDS, Store
from bench.subject import resolve


def measure(
    *names: str, plan: Plan | None = None, records: Path | str = RECORDS, again: bool = False, **choices: Any
) -> pd.DataFrame:
    """Measures what the records lack and returns a row for each cell and metric of these networks.

    Args:
        names: names of the zoo, `package.module:factory`, or paths of ONNX files.
        plan: how much to measure; the default is the command line's.
        records: the folder of the records; it is the cache.
        again: measure what is there, too.
        choices: fields of `Choices`, such as metric="latency,memory", backend="all", threads="1,all", input="256x192".

    Raises:
        KeyError: no such network.
        ValueError: a choice that does not exist; the message lists those that do.
    """
    chosen = _choices(choices)
    subjects = [resolve(name, chosen.input_hw()) for name in names]
    store = open_store(Path(records), write=True)
    if chosen.counts():
        count_networks(subjects, store)
    if chosen.timed():
        measure_cells(subjects, chosen, plan or Plan(), store, again=again)
    found = frame(records)
    return found[found["subject"].isin(names)].reset_index(drop=True)


def frame(records: Path | str = RECORDS) -> pd.DataFrame:
    """Every current record as a row, its protocol in columns, its value exact and in the unit that the row names."""
    table = []
    for row in rows(Store(Path(records))):
        plain = row.as_dict()
        protocol = plain.pop("protocol")
        table.append(plain | {name: protocol.get(name) for name in PROTOCOL})
    return pd.DataFrame(table) if table else pd.DataFrame(columns=["subject", *PROTOCOL])


def _choices(given: dict[str, Any]) -> Choices:
    """Choices from what a notebook writes: threads=1, batch=(1, 8) and "1,8" alike."""
    known = [one.name for one in fields(Choices)]
    for name in given:
        if name not in known:
            raise ValueError(f"measure() has no choice {name!r}; it has {', '.join(known)}")
    return Choices(**{name: _text(value) for name, value in given.items() if value is not None})


def _text(value: Any) -> str:
    if isinstance(value, Iterable) and not isinstance(value, str):
        return ",".join(map(str, value))
    return str(value)
