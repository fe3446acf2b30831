"""A cell on each kind of device, all the way: an interpreter, its fork, what that measures, and the record."""

from pathlib import Path

import pytest

from bench.cell import Cell
from bench.records.store import Store
from bench.sweeps import assemble
from tests.bench.sweeping import ONE, records_of, sweep
from tests.dpn.devices import DEVICES_SLOWLY


@pytest.mark.parametrize("device", DEVICES_SLOWLY)
@pytest.mark.usefixtures("own_lock")
def test_a_cell_becomes_a_record(device: str, tmp_path: Path) -> None:
    cell = Cell(subject="tests.bench.networks:pointwise", input_hw=(64, 48), device=device)  # type: ignore[arg-type]
    for kind in ("arithmetic", "copy"):
        rates = {"made up": {"rate": 1e11, "samples": [1e11], "calls": 1}}
        Store(tmp_path).append(assemble.ceiling(kind, cell, rates))  # type: ignore[arg-type]
    assert sweep(tmp_path, cell, plan=ONE).measured == 1
    (record,) = records_of(tmp_path, "latency")
    assert record.protocol["device"] == device
    assert record.value > 0
    assert len(record.samples) >= ONE.samples
    assert ("cuda" in record.detail) == (device == "cuda")
