"""How much memory a run may keep samples in."""

from pathlib import Path

import pytest

from dpn.training import memory

MEMINFO = "MemTotal:       16000000 kB\nMemFree:          100000 kB\nMemAvailable:    8000000 kB\n"
GIVEN = 4.0
"""10^9 bytes."""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a made-up machine tells of its memory: nothing yet."""
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "GROUP", tmp_path)
    return tmp_path


def limited(machine: Path, most: str) -> None:
    (machine / "memory.max").write_text(f"{most}\n")
    (machine / "memory.current").write_text("3000000000\n")
    (machine / "memory.stat").write_text("anon 5\ninactive_file 1000000000\nactive_file 7\n")


def test_all_that_is_given_where_nothing_tells_what_is_free(machine: Path) -> None:
    (machine / "meminfo").write_text("MemTotal: ? kB\n")
    assert memory.room(GIVEN, 1) == 4_000_000_000


@pytest.mark.parametrize(("processes", "most"), [(1, 4_000_000_000), (2, 2_048_000_000), (8, 512_000_000)])
def test_processes_share_half_of_what_is_free(machine: Path, processes: int, most: int) -> None:
    (machine / "meminfo").write_text(MEMINFO)
    assert memory.room(GIVEN, processes) == most


@pytest.mark.parametrize(("limit", "most"), [("max", 4_000_000_000), ("5000000000", 1_500_000_000), ("1000000000", 0)])
def test_a_container_has_what_its_limit_leaves_but_for_files_that_nobody_reads(
    machine: Path, limit: str, most: int
) -> None:
    (machine / "meminfo").write_text(MEMINFO)
    limited(machine, limit)
    assert memory.room(GIVEN, 1) == most
