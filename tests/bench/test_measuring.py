"""What a sweep says where its progress bar is not seen."""

from pathlib import Path
from typing import Any

import pytest

from bench import measuring
from bench.choices import Choices
from bench.plan import Plan
from bench.store import Store
from bench.subject import resolve
from bench.sweep import Progress


def test_waiting_and_finished_rounds_are_lines_outside_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Told:
        def __init__(self, _store: Store, _plan: Plan, tell: Any) -> None:
            self.tell = tell

        def run(self, _work: object, **_: object) -> Progress:
            for text, cells in (("waiting for another", 0), ("", 1), ("a cell", 0.5), ("round 1 of 2", 0)):
                self.tell(text, cells)
            return Progress()

    monkeypatch.setattr(measuring, "Sweep", Told)
    measuring.measure_cells([resolve("dpn1_32")], Choices(metric="latency"), Plan(), Store(tmp_path))
    assert capsys.readouterr().err.splitlines() == ["waiting for another", "round 1 of 2"]


def test_every_counted_network_of_several_is_a_line_outside_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    subjects = [resolve(f"tests.bench.networks:{name}", (8, 6)) for name in ("pointwise", "silent")]
    measuring.count_networks(subjects, Store(tmp_path), write=False)
    assert capsys.readouterr().err.splitlines() == [f"counted {subject.name}" for subject in subjects]
    measuring.count_networks(subjects[:1], Store(tmp_path), write=False)
    assert capsys.readouterr().err == ""
