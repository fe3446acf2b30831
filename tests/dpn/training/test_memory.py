"""How much memory a run may keep samples in."""

from pathlib import Path

import pytest

from dpn.training import memory
from dpn.training.recipes import find
from dpn.training.sweep_options import SweepOptions

MEMINFO = "MemTotal:       16000000 kB\nMemFree:          100000 kB\nMemAvailable:    8000000 kB\n"
GIVEN = 4.0
"""10^9 bytes."""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a made-up machine tells of its memory: nothing yet."""
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr("dpn.processor.CGROUPS", tmp_path)
    monkeypatch.setattr("dpn.processor._group", lambda _controller: "/job/step")
    return tmp_path


def limited(folder: Path, most: str, version: int = 2) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    limit, taken, _ = memory.LIMITS[2 - version]
    (folder / limit).write_text(f"{most}\n")
    (folder / taken).write_text("3000000000\n")
    (folder / "memory.stat").write_text("anon 5\ninactive_file 1000000000\ntotal_inactive_file 1000000000\n")


def test_all_that_is_given_where_nothing_tells_what_is_free(machine: Path) -> None:
    (machine / "meminfo").write_text("MemTotal: ? kB\n")
    assert memory.room(GIVEN, 1) == 4_000_000_000


@pytest.mark.parametrize(("processes", "most"), [(1, 4_000_000_000), (2, 2_048_000_000), (8, 512_000_000)])
def test_processes_share_half_of_what_is_free(machine: Path, processes: int, most: int) -> None:
    (machine / "meminfo").write_text(MEMINFO)
    assert memory.room(GIVEN, processes) == most


@pytest.mark.parametrize(("group", "version"), [("job/step", 2), ("job", 2), ("memory/job", 1), ("memory", 1)])
@pytest.mark.parametrize(
    ("limit", "most"),
    [("max", 4_000_000_000), ("9223372036854771712", 4_000_000_000), ("5000000000", 1_500_000_000), ("1000000000", 0)],
)
def test_a_control_group_has_what_its_limit_leaves_but_for_files_that_nobody_reads(
    machine: Path, group: str, version: int, limit: str, most: int
) -> None:
    (machine / "meminfo").write_text(MEMINFO)
    limited(machine / group, limit, version)
    assert memory.room(GIVEN, 1) == most


def test_nothing_is_kept_where_workers_share_nothing(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (machine / "meminfo").write_text(MEMINFO)
    monkeypatch.setattr(memory.multiprocessing, "get_start_method", lambda: "spawn")
    assert memory.room(GIVEN, 1) == 0


def test_runs_of_a_sweep_on_this_machine_share_what_is_free(machine: Path) -> None:
    (machine / "meminfo").write_text(MEMINFO)
    recipe = find("quick/dpn1_32_lite")
    given = [SweepOptions(at_once=at_once).where(recipe).keep_gb for at_once in (1, 8)]
    assert given == [4.0, 0.512]
    assert SweepOptions(executor="slurm", at_once=8).where(recipe).keep_gb == 4.0
