"""Trials whose true answer is known: resumable, and decided again from their samples."""

from pathlib import Path

import pytest

from bench.cell import Cell
from bench.statistics import compare_rounds
from bench.store import Store
from bench.verdicts import trials
from bench.verdicts.duel import Duel, Rules
from tests.bench.onnx_models import convolution
from tests.bench.sweeping import records_of

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
