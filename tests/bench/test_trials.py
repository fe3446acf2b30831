"""Trials whose true answer is known: resumable, and decided again from their samples."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from bench.cell import Cell
from bench.machine import environment
from bench.records.record import Record
from bench.records.store import Store
from bench.statistics import compare_rounds
from bench.sweeps.plan import Plan
from bench.sweeps.pool import machine_lock
from bench.verbs import duel as duel_verbs
from bench.verdicts import copies, trials
from bench.verdicts.duel import Duel, Rules
from dpn.program.locks import is_locked
from dpn.zoo import ZOO
from tests.bench.onnx_models import convolution
from tests.bench.sweeping import records_of
from tests.bench.timing_records import timing_record

RULES = Rules(rounds=2, most_rounds=2, pairs=3)


@pytest.mark.usefixtures("own_lock")
def test_trials_go_on_where_they_stopped(tmp_path: Path) -> None:
    file = convolution(tmp_path / "convolution.onnx", (1, 3, 16, 12))
    cell = Cell(subject=str(file), input_hw=(16, 12), backend="onnxruntime")
    root, told = tmp_path / "records", list[int]()
    assert trials.run(Store(root), cell, {1.0: 1}, RULES, told.append) == 1
    assert trials.run(Store(root), cell, {1.0: 2, 1.25: 1}, RULES, told.append) == 2
    assert trials.run(Store(root), cell, {1.0: 2, 1.25: 1}, RULES, told.append) == 0
    assert sum(told) == 3
    found = records_of(root, "trial")
    assert sorted((record.protocol["true_ratio"], record.protocol["trial"]) for record in found) == [
        (1.0, 0), (1.0, 1), (1.25, 0),
    ]  # fmt: skip
    for record, comparison in trials.decided(found):
        assert comparison == compare_rounds(trials.rounds_of(record), RULES.effect)
        assert comparison.ratio == record.value
        assert len(record.detail["rounds"]) == len(record.detail["disturbances"]) == RULES.rounds


@pytest.mark.usefixtures("own_lock")
def test_kinds_take_turns_and_a_stop_keeps_whole_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[list[tuple[float, int]]] = []

    def fought(_side: object, batch: list[tuple[float, int]], *_: object) -> list[Duel]:
        if len(batches) == 2:
            raise KeyboardInterrupt
        batches.append(batch)
        return [Duel(0.05, [([1.0, 1.0], [ratio, ratio])] * 8, [{}] * 8) for ratio, _ in batch]

    monkeypatch.setattr(trials, "prepare_sides", lambda _sides, _home: [{"digest": "digest"}])
    monkeypatch.setattr(trials, "_fought", fought)
    cell, wanted = Cell(subject="dpn1_32", input_hw=(64, 48)), {1.0: 20, 1.1: 10, 1.25: 10}
    with pytest.raises(KeyboardInterrupt):
        trials.run(Store(tmp_path), cell, wanted, RULES, lambda _done: None)
    assert [sum(ratio == kind for ratio, _ in batches[0]) for kind in wanted] == [5, 3, 2]
    assert len(records_of(tmp_path, "trial")) == 2 * trials.BATCH
    batches.clear()
    monkeypatch.setattr(trials, "BATCH", 20)
    assert trials.run(Store(tmp_path), cell, wanted, RULES, lambda _done: None) == 20
    decided = {
        (record.protocol["true_ratio"], found.verdict) for record, found in trials.decided(Store(tmp_path).records)
    }
    assert decided == {(1.0, "same"), (1.1, "slower"), (1.25, "slower")}


@pytest.mark.usefixtures("own_lock")
def test_trials_that_another_process_fought_meanwhile_are_not_fought_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell, other, fought = Cell(subject="dpn1_32", input_hw=(64, 48)), Store(tmp_path), list[tuple[float, int]]()

    def decided() -> Duel:
        return Duel(0.05, [([1.0, 1.0], [1.0, 1.0])] * 8, [{}] * 8)

    def prepared(*_: object) -> list[dict[str, str]]:
        assert is_locked(machine_lock())
        return [{"digest": "digest"}]

    def fights(_side: object, batch: list[tuple[float, int]], *_: object) -> list[Duel]:
        assert is_locked(machine_lock())
        if not fought:
            other.append(trials._record(cell, "digest", 1.0, 2, decided()))
        fought.extend(batch)
        return [decided() for _ in batch]

    monkeypatch.setattr(trials, "prepare_sides", prepared)
    monkeypatch.setattr(trials, "_fought", fights)
    monkeypatch.setattr(trials, "BATCH", 2)
    assert trials.run(Store(tmp_path), cell, {1.0: 4}, RULES, lambda _done: None) == 3
    assert fought == [(1.0, 0), (1.0, 1), (1.0, 3)]


def made_up(metric: str, times: list[list[float]], network: str = "dpn1_32", **fields: Any) -> Record:
    """A record of this machine at the size of the verb's own choices."""
    fields = {"machine": environment.machine("cpu"), "spec_digest": ZOO["dpn1_32"].digest(), **fields}
    return timing_record(network, times, metric=metric, input_hw=[64, 48], **fields)


def a_trial(index: int, seen: float = 1.0, **fields: Any) -> Record:
    detail = {"effect": 0.05, "rounds": [{"a": [1.0, 1.0], "b": [seen, seen]}] * 8}
    return made_up("trial", [[1.0]], true_ratio=1.0, trial=index, value=seen, detail=detail, **fields)


def a_copy(number: int, seconds: float = 1.0, **fields: Any) -> Record:
    times = [[seconds * (1 + 0.002 * process)] for process in range(6)]
    return made_up("copy", times, copy_number=number, copies=2, **fields)


@pytest.fixture(name="asked")
def _asked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What the verb had fought and measured, which adds three duels and two copies to what it says."""
    asked = list[object]()

    def fought(_store: Store, _cell: Cell, wanted: Mapping[float, int], *_: object) -> int:
        asked.append(dict(wanted))
        return 3

    def measured(_store: Store, _cell: Cell, number: int, _plan: Plan, _tell: Callable[[str, float], None]) -> int:
        asked.append(number)
        return 2

    monkeypatch.setattr(duel_verbs, "run_trials", fought)
    monkeypatch.setattr(copies, "measure", measured)
    return asked


def test_the_verb_tells_what_this_cell_as_it_is_now_came_to(
    asked: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path)
    for record in (
        a_trial(0), a_trial(1), a_trial(2, seen=1.5, spec_digest="old"), a_trial(0, seen=1.5, spec_digest="old"),
        a_trial(3, seen=1.5, machine="another"), a_trial(4, seen=1.5, threads=2),
        a_copy(0), a_copy(1), a_copy(0, spec_digest="old"), a_copy(1, seconds=1.5, spec_digest="old"),
    ):  # fmt: skip
        store.append(record)
    assert duel_verbs.trials(records=tmp_path) == 0
    assert capsys.readouterr().out.splitlines() == [
        "5 trials added",
        "duels, true ratio 1: 2 same",
        "pairs of 2 copies in one sweep: 1 same",
        "pairs of 2 copies in one sweep, one multiplied by 1.1: 1 slower",
        "pairs of 2 copies in one sweep, one multiplied by 1.25: 1 slower",
    ]
    assert duel_verbs.trials(same=7, slower=2, copies=0, records=tmp_path) == 0
    assert capsys.readouterr().out.startswith("3 trials added\nduels, true ratio 1: 2 same\n")
    assert asked == [{1.0: 200, 1.1: 50, 1.25: 50}, 21, {1.0: 7, 1.1: 2, 1.25: 2}]


def test_of_a_factory_the_newest_definition_counts(
    asked: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, network = Store(tmp_path), "tests.bench.networks:pointwise"
    for digest, seen in (("module-1", 1.5), ("module-2", 1.0)):
        store.append(a_trial(0, seen, network=network, spec_digest=digest))
    duel_verbs.trials(network=network, records=tmp_path)
    assert "duels, true ratio 1: 1 same" in capsys.readouterr().out.splitlines()
    assert len(asked) == 2


def test_too_few_copies_are_refused_before_any_duel(asked: list[object], tmp_path: Path) -> None:
    for number in (1, -1):
        with pytest.raises(ValueError, match=f"--copies {number}: two copies are the fewest"):
            duel_verbs.trials(copies=number, records=tmp_path)
    assert asked == []
