"""Work in processes: the same results in the same order, and Ctrl-C ends all of it in one line."""

import os
import signal
import subprocess
import sys
import time
from math import factorial
from pathlib import Path

import pytest

from dpn.data.workers import CHUNK, in_order

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("workers", [None, 0, 2])
def test_results_come_in_order_whoever_works(workers: int | None) -> None:
    numbers = range(2 * CHUNK + 3, 0, -1)
    assert list(in_order(factorial, numbers, title="", workers=workers)) == [factorial(number) for number in numbers]


@pytest.mark.parametrize("workers", [-1, 257, 99_999])
def test_fewer_processes_than_none_and_too_many_are_refused(workers: int) -> None:
    with pytest.raises(ValueError, match=f"^{workers} processes cannot work; give --workers 0 .* up to 256"):
        next(in_order(factorial, [1], title="", workers=workers))


def test_a_script_without_a_guard_runs_once(tmp_path: Path) -> None:
    """Processes that are spawned import the script that started them, and would start processes in their turn."""
    script = tmp_path / "script.py"
    script.write_text(
        "import os\nfrom math import factorial\nfrom dpn.data.workers import in_order\n"
        "print('begun')\nprint(sum(in_order(factorial, range(40), title='', workers=2)))\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True,
        text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"begun\n{sum(map(factorial, range(40)))}\n"


def _listen() -> None:
    """To Ctrl-C, also where this test runs in the background and ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no process groups")
def test_ctrl_c_while_processes_start_is_one_line(tmp_path: Path) -> None:
    """A terminal sends it to all processes: those that are still importing must not say so, nor an impatient second."""
    words = ["data", "synthetic", str(tmp_path / "x"), "--train", "3000", "--workers", "2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "dpn", *words], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True, preexec_fn=_listen,
    )  # fmt: skip
    begun, until = tmp_path / "x" / ".unfinished" / "train.jsonl", time.monotonic() + 60
    while not begun.exists() and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.1)  # into the imports of the two
    for _ in range(4):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
            time.sleep(0.02)
    out, error = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert error == "error: stopped; what was finished is kept, start again to continue\n"
    names = [path.name for path in (tmp_path / "x").iterdir()]
    assert "synthetic.json" in names
    assert "annotations" not in names
