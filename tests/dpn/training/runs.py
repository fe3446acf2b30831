"""Runs of the smallest networks in processes of their own, and what they leave."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from dpn.training.stopping import SAID

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
SHORT = {
    "--network": "tiny_network:build", "--data": "synthetic:seed=1,images=48",
    "--val-data": "synthetic:seed=2,images=6", "--epochs": "4", "--drops": "2", "--batch": "8", "--threads": "1",
    "--save-every-s": "0.2", "--pictures-every": "2", "--precision": "fp32",
}  # fmt: skip
STEPS = 24


def command(folder: Path, *extra: str, **changes: str) -> list[str]:
    """Of a run of `STEPS` steps, unless the options change that."""
    options = SHORT | {f"--{name.replace('_', '-')}": value for name, value in changes.items()}
    return [sys.executable, "-m", "dpn", "train", "quick/dpn1_32_lite", "--folder", str(folder), "--no-sanity",
            *(word for option in options.items() for word in option), *extra]  # fmt: skip


def environment(**more: str) -> dict[str, str]:
    """One thread, and the modules here at hand."""
    return os.environ | {"PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"} | more


def finished(words: Sequence[str], seconds: float = 300, **more: str) -> "subprocess.CompletedProcess[str]":
    """A program that has ended."""
    return subprocess.run(words, cwd=ROOT, env=environment(**more), capture_output=True, text=True, timeout=seconds)


@contextmanager
def started(words: Sequence[str], **more: str) -> Iterator["subprocess.Popen[str]"]:
    """A program in a session of its own, of which nothing is left at the end."""
    process = subprocess.Popen(
        words, cwd=ROOT, env=environment(**more), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True, preexec_fn=_listen,
    )  # fmt: skip
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _listen() -> None:
    """To Ctrl-C, also where the tests run in the background and ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_for(process: "subprocess.Popen[str]", path: Path) -> None:
    """Until the program has made the file, or has ended."""
    end = time.monotonic() + 120
    while not path.is_file() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """The final weights of a run of `STEPS` steps."""
    content = torch.load(folder / "final.pt", weights_only=True)
    assert content["step"] == STEPS
    return dict(content["state_dict"])


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    """Bit for bit."""
    assert one.keys() == other.keys()
    differing = [name for name in one if not torch.equal(one[name], other[name])]
    assert differing == []


def assert_stopped(said: str, folder: Path, number: int) -> None:
    """A run said on standard error that it was stopped by that signal, and nothing else."""
    answer = [SAID.decode().strip()] if number == signal.SIGINT else []
    assert said.splitlines() == [*answer, f"stopped and saved in {folder}; the same command goes on"]


def assert_one_line(done: "subprocess.CompletedProcess[str]", begin: str, code: int = 1) -> None:
    """The program ended with one line on standard error that begins so."""
    assert done.stderr.startswith(begin), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.returncode == code
