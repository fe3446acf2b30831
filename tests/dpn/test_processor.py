"""How many cores a process has: threads of one core count once, and neither affinity nor a quota is overlooked."""

import os
from pathlib import Path

import psutil
import pytest

from dpn import processor


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def test_cores_of_this_machine() -> None:
    granted, all_there = processor.granted_cores(), processor.physical_cores()
    assert 1 <= granted <= all_there <= len(processor.processors()) <= (os.cpu_count() or 1)
    assert processor.physical_cores() <= (psutil.cpu_count(logical=False) or 10**6)


@pytest.mark.parametrize(
    ("ours", "siblings", "quota", "cores"),
    [
        ({0, 1, 2, 3}, {0: "0,2", 1: "1,3", 2: "0,2", 3: "1,3"}, None, 2),
        ({0, 2}, {0: "0,2", 1: "1,3", 2: "0,2", 3: "1,3"}, None, 1),  # both threads of one core of two
        ({1, 2}, {0: "0-1", 1: "0-1", 2: "2-3", 3: "2-3"}, None, 2),
        ({0, 1, 5}, {}, None, 3),  # where the system does not say, and psutil says four
        ({0, 1, 2, 3, 4, 5}, {}, None, 4),
        ({0, 1, 2, 3}, {}, "250000 100000\n", 2),
        ({0, 1, 2, 3}, {}, "50000 100000\n", 1),
        ({0, 1}, {}, "800000 100000\n", 2),
        ({0, 1}, {}, "max 100000\n", 2),
    ],
)
def test_cores_that_are_granted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ours: set[int], siblings: dict[int, str], quota: str | None,
    cores: int,
) -> None:  # fmt: skip
    write(tmp_path, {f"cpu/cpu{one}/topology/thread_siblings_list": f"{text}\n" for one, text in siblings.items()})
    write(tmp_path, {"cpu.max": quota} if quota else {})
    monkeypatch.setattr(processor, "SYSTEM", tmp_path)
    monkeypatch.setattr(processor, "CGROUPS", tmp_path)
    monkeypatch.setattr(processor, "processors", lambda: ours)
    monkeypatch.setattr(psutil, "cpu_count", lambda logical: None if logical else 4)
    assert processor.granted_cores() == cores


@pytest.mark.parametrize(
    ("files", "group", "cores"),
    [
        ({}, "/", None),
        ({"cpu.max": "max 100000\n"}, "/", None),
        ({"cpu.max": "150000 100000\n"}, "/", 1.5),
        ({"cpu.max": "400000 100000\n", "a/cpu.max": "max 100000\n", "a/b/cpu.max": "50000 100000\n"}, "/a/b", 0.5),
        ({"a/cpu.max": "200000 100000\n", "a/b/cpu.max": "max 100000\n"}, "/a/b", 2.0),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, "/", None),
        ({"cpu/a/cpu.cfs_quota_us": "250000\n", "cpu/a/cpu.cfs_period_us": "100000\n"}, "/a", 2.5),
    ],
)
def test_cpu_quota(tmp_path: Path, files: dict[str, str], group: str, cores: float | None) -> None:
    write(tmp_path, files)
    assert processor.cpu_quota(tmp_path, group) == cores
