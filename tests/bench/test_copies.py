"""Copies of a network in one sweep: measured as networks are, resumable, and compared as records are."""

from itertools import combinations
from pathlib import Path

import pytest

from bench.cell import Cell
from bench.records.record import Record
from bench.records.rows import row_of
from bench.records.store import Store
from bench.sweeps import sweep as sweeping
from bench.sweeps.pool import Worker, WorkerError, Zygote
from bench.sweeps.sweep import Sweep
from bench.verdicts import copies
from bench.verdicts.noise_floor import noise_sentence
from bench.verdicts.turns import in_turns
from tests.bench.onnx_models import convolution
from tests.bench.sweeping import TINY, journals, records_of
from tests.bench.timing_records import timing_record


def copy(number: int, of: int, seconds: float = 1.0, sweep: str = "sweep", machine: str = "m") -> Record:
    """A made-up copy with six processes."""
    times = [[seconds * (1 + 0.002 * ((number + process) % 6))] * 3 for process in range(6)]
    return timing_record(
        "a", times, sweep=sweep, metric="copy", metric_version=1, machine=machine, copy_number=number, copies=of
    )


@pytest.mark.usefixtures("own_lock")
def test_copies_are_measured_together_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = convolution(tmp_path / "convolution.onnx", (1, 3, 16, 12))
    cell = Cell(subject=str(file), input_hw=(16, 12), backend="onnxruntime")
    root = tmp_path / "records"
    measured, processes = Sweep._measured, list[Cell]()

    def stopped(sweep: Sweep, cell: Cell, *rest: object) -> object:
        if len(processes) == 4:
            raise KeyboardInterrupt
        processes.append(cell)
        return measured(sweep, cell, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Sweep, "_measured", stopped)
    with pytest.raises(KeyboardInterrupt):
        copies.measure(Store(root), cell, 3, TINY)
    monkeypatch.setattr(Sweep, "_measured", measured)
    assert not list(root.glob("*/copy.jsonl"))
    opened_before, told = Store(root), list[str]()
    assert copies.measure(Store(root), cell, 3, TINY, lambda text, _cells: told.append(text)) == 3
    assert sum(text.startswith("latency of") for text in told) == 3 * TINY.processes - 4  # four had been kept
    assert copies.measure(opened_before, cell, 3, TINY) == 0
    (one,) = copies.found(records_of(root, "copy"))
    assert [record.protocol["copy_number"] for record in one.records] == [0, 1, 2]
    assert {len(row_of(record).times_by_process) for record in one.records} == {TINY.processes}
    assert len(one.comparisons()) == 3
    with pytest.raises(ValueError, match="--copies 1: two copies are the fewest"):
        copies.measure(Store(root), cell, 1, TINY)


@pytest.mark.usefixtures("own_lock")
@pytest.mark.parametrize("failing", [2, 5])  # in the first round, and in the second
def test_after_a_process_that_failed_all_copies_are_measured_anew_and_in_turns(
    failing: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = convolution(tmp_path / "convolution.onnx", (1, 3, 16, 12))
    cell = Cell(subject=str(file), input_hw=(16, 12), backend="onnxruntime")
    root, forks = tmp_path / "records", list[Zygote]()

    class Failing(Zygote):
        def fork(self) -> Worker:
            forks.append(self)
            if len(forks) == failing:
                raise WorkerError("no more processes")
            return super().fork()

    monkeypatch.setattr(sweeping, "Zygote", Failing)
    with pytest.raises(ValueError, match=r"latency of .*: no more processes"):
        copies.measure(Store(root), cell, 3, TINY)
    assert list(root.glob("*/*.jsonl")) == journals(root) == []
    assert copies.measure(Store(root), cell, 3, TINY) == 3
    (one,) = copies.found(records_of(root, "copy"))
    rows = [row_of(record) for record in one.records]
    assert [len(row.rounds) for row in rows] == [TINY.processes] * 3
    assert all(in_turns(first, second) for first, second in combinations(rows, 2))


def test_every_pair_is_compared_as_records_are() -> None:
    records = [copy(number, 4) for number in range(3)] + [copy(3, 4, seconds=1.5)]
    (one,) = copies.found(records)
    verdicts = [found.verdict for found in one.comparisons()]
    assert verdicts == ["same", "same", "slower", "same", "slower", "slower"]
    assert [found.verdict for found in one.comparisons(1.25)] == ["slower"] * 6
    assert one.comparisons(1.25)[0].ratio == pytest.approx(1.25, rel=0.01)
    assert noise_sentence(map(row_of, records), "m") == "3 of 6 pairs of records of one network gave a false alarm"


def test_sets_are_whole_and_of_one_machine_and_the_newest_copy_counts() -> None:
    assert list(copies.found([copy(0, 3), copy(1, 3)])) == []
    again = [copy(number, 2, sweep=sweep) for sweep in ("first", "second") for number in range(2)]
    (one,) = copies.found(again)
    assert one.records == tuple(again[2:])
    both = [copy(number, 2, machine=machine) for machine in ("m", "n") for number in range(2)]
    assert [one.machine for one in copies.found(both)] == ["m", "n"]


def test_copies_that_were_not_measured_in_turns_get_the_room_of_any_two_records() -> None:
    (one,) = copies.found([copy(0, 2), copy(1, 2, seconds=1.2, sweep="another")])
    (found,) = one.comparisons()
    assert found.verdict == "ambiguous"
    assert "not measured in turns" in found.reason
