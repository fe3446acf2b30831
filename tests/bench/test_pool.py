import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest

from bench.cell import Cell
from bench.sweeps import pool
from bench.sweeps.plan import Plan
from bench.sweeps.pool import WorkerError, Zygote, machine_lock, machine_to_itself
from bench.sweeps.processes import run_cell
from dpn.checkout import ROOT
from tests.bench.waiting import wait_until

LIGHT = ("json",)


def alive(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_every_worker_is_a_process_of_its_own():
    with Zygote(LIGHT) as zygote, zygote.fork() as first, zygote.fork() as second:
        assert len({os.getpid(), first.pid, second.pid}) == 3


def test_an_error_in_a_worker_is_one_line_and_the_worker_lives_on():
    with Zygote(LIGHT) as zygote, zygote.fork() as worker:
        for _ in range(2):
            with pytest.raises(WorkerError, match="AttributeError: 'Worker' object has no attribute 'fly'"):
                worker.ask("fly")


def test_a_killed_worker_is_noticed_and_the_next_one_starts():
    with Zygote(LIGHT) as zygote, zygote.fork() as worker:
        os.kill(worker.pid, signal.SIGKILL)
        with pytest.raises(WorkerError, match="worker ended"):
            worker.ask("fly")
        with zygote.fork() as another:
            assert alive(another.pid)


def test_a_worker_that_hangs_is_killed_after_its_time_and_the_next_one_starts():
    with Zygote(LIGHT) as zygote, zygote.fork() as worker:
        os.kill(worker.pid, signal.SIGSTOP)  # as a library that waits for itself for ever
        worker.patience_s = 0.2
        with pytest.raises(WorkerError, match=r"no answer to fly in 0\.2 s and was killed; .* another --backend"):
            worker.ask("fly")
        wait_until(lambda: not alive(worker.pid))
        with zygote.fork() as another, pytest.raises(WorkerError, match="AttributeError"):
            another.ask("fly")


def test_a_worker_has_the_time_that_the_plan_and_its_network_need():
    """Ten times what it may take at most, and ten minutes: 60 s by default, or four calls where those last longer."""

    class Slow:
        patience_s, granted = 0.0, {}

        def ask(self, command: str, **_: object) -> dict[str, Any]:
            self.granted[command] = self.patience_s
            return {"outputs": None, "seconds": 50.0, "samples": [50.0], "calls": 1}

    worker = Slow()
    run_cell(worker, Cell(subject="a", input_hw=(64, 48)), Path(), Plan())  # type: ignore[arg-type]
    assert worker.granted == {"open": 600 + 10 * 60, "series": 600 + 10 * 4 * 50}


def test_a_process_counts_by_the_time_that_its_energy_was_measured_for() -> None:
    asked: dict[str, dict[str, object]] = {}

    class Metered:
        patience_s = 0.0

        def ask(self, command: str, **arguments: object) -> dict[str, object]:
            asked[command] = arguments
            return {"outputs": {}, "seconds": 0.5} if command == "open" else {"value": 3.0, "seconds": 12.5}

    cell = Cell(subject="a", input_hw=(64, 48), metric="energy")
    found = run_cell(Metered(), cell, Path(), Plan())  # type: ignore[arg-type]
    assert found == {"outputs": {}, "value": 3.0, "seconds": 12.5}
    assert asked["energy"] == {"batch": 1, "device": "cpu"}


FAILS_ONCE = """
import errno
import os

fork, left = os.fork, [1]


def failing():
    if left:
        left.pop()
        raise BlockingIOError(errno.EAGAIN, "no room")
    return fork()


os.fork = failing
"""

SLOW_ONCE = """
import os
import time

fork, calls = os.fork, []


def slow():
    calls.append(1)
    if len(calls) == 2:
        time.sleep(2.0)  # the first child comes meanwhile
    child = fork()
    if child == 0 and len(calls) == 1:
        time.sleep(1.0)
    return child


os.fork = slow
"""


def test_a_process_that_cannot_be_forked_is_refused_at_once_and_the_next_one_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fails_once.py").write_text(FAILS_ONCE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(pool, "START_S", 30.0)
    with Zygote(("fails_once",)) as zygote:
        with pytest.raises(WorkerError, match=r"could not be started: BlockingIOError: .*no room; end other programs"):
            zygote.fork()
        with zygote.fork() as worker:
            assert alive(worker.pid)


def test_a_worker_that_comes_too_late_is_not_taken_for_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow_once.py").write_text(SLOW_ONCE)
    monkeypatch.syspath_prepend(tmp_path)
    with Zygote(("slow_once",)) as zygote:
        zygote._server.settimeout(0.1)
        with pytest.raises(WorkerError, match="a worker could not be started"):
            zygote.fork()
        zygote._server.settimeout(30.0)
        with zygote.fork() as worker, pytest.raises(WorkerError, match="AttributeError"):
            worker.ask("fly")


def test_a_checkout_imports_what_it_has_of_ours_and_all_of_others(tmp_path: Path) -> None:
    """Commits of a duel keep their files in different places."""
    for package in ("dpn", "bench"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "weights"))
    (tmp_path / "bench/running/runners.py").unlink()
    with pytest.raises(WorkerError, match="no_such_library"):
        Zygote(("no_such_library",), folder=tmp_path)
    Zygote(("json", "bench.running.runners"), folder=tmp_path).close()


def test_a_checkout_goes_before_the_folder_that_one_works_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout, works_in = tmp_path / "checkout", tmp_path / "works in"
    for folder in (checkout, works_in):
        for package in ("dpn", "bench"):
            shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__", "weights"))
    (works_in / "bench/worker.py").write_text("raise RuntimeError('the wrong worker')\n")
    (works_in / "mine.py").write_text("")
    monkeypatch.setattr(sys, "path", [str(works_in), *sys.path])
    Zygote(("mine",), folder=checkout).close()
    monkeypatch.chdir(works_in)
    monkeypatch.setattr(sys, "path", ["", *sys.path[2:]])  # as in a notebook
    Zygote(("mine",), folder=checkout).close()


def test_an_interpreter_that_cannot_start_says_why():
    with pytest.raises(WorkerError, match=r"did not start: .*no_such_module"):
        Zygote(("no_such_module",))


def test_workers_end_with_their_handle():
    with Zygote(LIGHT) as zygote:
        with zygote.fork() as worker:
            assert alive(worker.pid)
        wait_until(lambda: not alive(worker.pid))


def test_nothing_is_left_when_the_measuring_program_is_killed():
    program = (
        "from bench.sweeps.pool import Zygote\nimport time\n"
        "zygote = Zygote(('json',)); worker = zygote.fork()\n"
        "print(zygote._process.pid, worker.pid, flush=True)\ntime.sleep(60)"
    )
    running = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    pids = [int(pid) for pid in running.stdout.readline().split()]
    assert all(alive(pid) for pid in pids)
    running.kill()
    running.wait()
    running.stdout.close()
    wait_until(lambda: not any(alive(pid) for pid in pids))


def test_a_start_that_is_interrupted_leaves_nothing(own_lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {child.pid for child in psutil.Process().children()}  # of other tests: multiprocessing keeps a helper
    started: list[int] = []

    def interrupted(*_: object) -> None:
        started.extend(child.pid for child in psutil.Process().children() if child.pid not in before)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(pool.select, "select", interrupted)
        with pytest.raises(KeyboardInterrupt):
            Zygote(LIGHT)
    assert started
    assert not any(alive(pid) for pid in started)
    assert list(own_lock.iterdir()) == []


def test_a_sweep_that_has_to_wait_says_so(own_lock: Path) -> None:
    assert own_lock.is_dir()
    told: list[str] = []

    def take_turn() -> None:
        with machine_to_itself(lambda: told.append("waits")):
            told.append("mine")

    with machine_to_itself(lambda: told.append("waits")):
        assert told == []
        waiting = threading.Thread(target=take_turn)  # it opens the file again, so it holds a lock of its own
        waiting.start()
        wait_until(lambda: told == ["waits"])
    waiting.join(timeout=30)
    assert told == ["waits", "mine"]


def test_the_lock_is_one_for_all_folders_for_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DPN_LOCKS", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(os, "access", lambda *_: True)
    assert machine_lock() == Path("/tmp") / f"dpn-bench-{os.getuid()}.lock"
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert machine_lock().parent == tmp_path


@pytest.mark.parametrize("kind", ["link", "dangling", "folder", "pipe", "foreign"])
def test_a_lock_that_is_no_file_of_ones_own_is_refused_and_left_as_it_is(
    kind: str, own_lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other = machine_lock(), own_lock / "other"
    (path if kind == "foreign" else other).write_text("precious")
    if kind == "foreign":
        monkeypatch.setattr(os, "fstat", lambda _: os.stat_result((stat.S_IFREG, 0, 0, 1, os.getuid() + 1, *[0] * 5)))
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(other if kind == "link" else own_lock / "nowhere")
    with pytest.raises(OSError, match=rf"^the lock {path} .*; remove it, or .* DPN_LOCKS$"), machine_to_itself():
        pass
    assert (path if kind == "foreign" else other).read_text() == "precious"
    assert not (own_lock / "nowhere").exists()
    assert pool.waiting() == f"waiting for another sweep on this machine, which holds {path}"


def test_two_sweeps_take_turns(own_lock: Path, tmp_path: Path) -> None:
    assert own_lock.is_dir()
    program = (
        "from bench.sweeps.pool import machine_to_itself\nwith machine_to_itself():\n    print('mine', flush=True)\n"
    )
    with machine_to_itself():
        waiting = subprocess.Popen(
            [sys.executable, "-c", program], env=os.environ | {"TMPDIR": str(tmp_path)}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert waiting.stderr is not None
        said = f"waiting for another sweep on this machine (process {os.getpid()}), which holds {machine_lock()}\n"
        assert waiting.stderr.readline() == said
        assert waiting.poll() is None
    assert waiting.communicate(timeout=30) == ("mine\n", "")
    assert machine_lock().read_bytes() == b""
