"""Folders for temporary files: whose are removed, and whose are not."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench.sweeps import scratch
from bench.sweeps.pool import Zygote
from bench.sweeps.scratch import OWNER, Scratch
from dpn.checkout import ROOT
from tests.bench.waiting import wait_until

HOLDER = """
import sys, time
from bench.sweeps.scratch import Scratch
with Scratch() as folder:
    (folder / "64x48").mkdir()
    (folder / "64x48" / "model.onnx").write_bytes(b"weights")
    (folder / "link").symlink_to(sys.argv[1])
    print(folder, flush=True)
    time.sleep(60)
"""

MEASURING = """
import time
from bench.sweeps.pool import Zygote
from bench.sweeps.scratch import Scratch
scratch = Scratch()
zygote = Zygote(("json",))
print(scratch.path, zygote._home.path, flush=True)
time.sleep(60)
"""


def start(program: str, *arguments: str) -> tuple["subprocess.Popen[str]", list[Path]]:
    """A process with folders of its own, and the folders, as its first line names them."""
    command = [sys.executable, "-c", program, *arguments]
    running = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    return running, [Path(word) for word in running.stdout.readline().split()]


def kill(running: "subprocess.Popen[str]") -> None:
    running.kill()
    running.wait()
    assert running.stdout is not None
    running.stdout.close()


def test_a_folder_goes_with_its_block(own_lock: Path) -> None:
    with Scratch() as folder:
        assert folder.parent == own_lock
        (folder / "model.onnx").write_bytes(b"weights")
    assert list(own_lock.iterdir()) == []


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_has_is_not(own_lock: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("not ours")
    dead, (of_dead,) = start(HOLDER, str(tmp_path))
    living, (of_living,) = start(HOLDER, str(tmp_path))
    try:
        with Scratch() as mine:
            assert {of_dead, of_living, mine} == set(own_lock.iterdir())
        kill(dead)
        assert (of_dead / "64x48" / "model.onnx").is_file()
        with Scratch() as mine:
            assert {of_living, mine} == set(own_lock.iterdir())
        assert (of_living / "64x48" / "model.onnx").is_file()
        assert (tmp_path / "kept").is_file()  # a link in the folder goes, what it points to stays
    finally:
        kill(living)


def test_a_killed_measuring_program_leaves_nothing_once_the_next_has_started(own_lock: Path) -> None:
    running, folders = start(MEASURING)
    assert len(folders) == 2
    kill(running)
    assert all(folder.is_dir() for folder in folders)
    with Zygote(("json",)):
        assert not any(folder.exists() for folder in folders)
    assert list(own_lock.iterdir()) == []


def test_folders_that_are_not_marked_as_ours_stay(own_lock: Path, tmp_path: Path) -> None:
    (own_lock / "bench-empty").mkdir()
    (own_lock / "bench-results").mkdir()
    (own_lock / "bench-results" / "table.csv").write_text("1,2")
    (own_lock / "bench-file").write_text("")
    (tmp_path / OWNER).write_text("")
    (own_lock / "bench-link").symlink_to(tmp_path)
    before = set(own_lock.iterdir())
    scratch.remove_orphans()
    assert set(own_lock.iterdir()) == before
    assert (tmp_path / OWNER).is_file()


def test_another_users_folder_stays(own_lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = own_lock / "bench-other"
    folder.mkdir()
    (folder / OWNER).write_text("")
    uid = scratch.os.getuid()
    monkeypatch.setattr(scratch.os, "getuid", lambda: uid + 1)
    scratch.remove_orphans()
    assert folder.is_dir()
    monkeypatch.setattr(scratch.os, "getuid", lambda: uid)
    scratch.remove_orphans()
    assert not folder.exists()


def test_what_could_not_be_removed_is_removed_later(own_lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = own_lock / "bench-dead"
    (folder / "64x48").mkdir(parents=True)
    (folder / OWNER).write_text("")

    def refuse(_path: Path) -> None:
        raise PermissionError("busy")

    with monkeypatch.context() as patched:
        patched.setattr(scratch.shutil, "rmtree", refuse)
        scratch.remove_orphans()
    assert (folder / OWNER).is_file()  # else nobody would know the rest as ours
    scratch.remove_orphans()
    assert not folder.exists()


def test_many_processes_that_clean_up_at_once_agree(own_lock: Path) -> None:
    for number in range(50):
        (own_lock / f"bench-{number}" / "64x48").mkdir(parents=True)
        (own_lock / f"bench-{number}" / OWNER).write_text("")
    command = [sys.executable, "-c", "from bench.sweeps.scratch import remove_orphans; remove_orphans()"]
    running = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    assert [process.communicate(timeout=60)[1] for process in running] == [""] * 3
    wait_until(lambda: not list(own_lock.iterdir()))
