"""What a sweep says where its progress bar is not seen."""

from pathlib import Path
from typing import Any

import pytest

from bench.records.store import Store
from bench.subject import resolve
from bench.sweeps import measuring
from bench.sweeps.choices import Choices
from bench.sweeps.plan import Plan
from bench.sweeps.sweep import Progress


def test_waiting_and_finished_rounds_are_lines_outside_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Told:
        def __init__(self, _store: Store, _plan: Plan, tell: Any, **_: object) -> None:
            self.tell = tell

        def run(self, _work: object) -> Progress:
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


def test_networks_without_current_counts_are_named_with_the_command_that_counts_them(tmp_path: Path) -> None:
    """A network of one's own that has changed is another network, which the records do not have."""
    known, new = (resolve(f"tests.bench.networks:{name}", (8, 6)) for name in ("pointwise", "silent"))
    store = Store(tmp_path)
    assert measuring.count_networks([known], store) == ""
    said = measuring.count_networks([known, new], store, write=False)
    assert said.startswith(f"no current count of {new.name}: the network is new or has changed; run: ")
    assert f"python -m bench measure {new.name}, " in said
    assert said.endswith(f"commit {tmp_path / 'exact'}")
    assert known.name not in said
