"""The process that measures: a fresh interpreter that imports libraries, runs nothing, and forks one worker a cell.

`python -m bench.worker SOCKET MODULE…` is started by `bench.sweeps.pool`, in a checkout of another commit too, so that
its name stays. It reads a line for each worker to fork; the worker connects to the socket and answers commands, one
JSON object a line. Every round of a sweep has an interpreter of its own, so memory layouts differ from round to round;
every cell has a process of its own in which nothing has run before.
"""

import ctypes
import importlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.cell import Cell
from bench.machine import disturbance, gpu, nvml
from bench.running import telemetry
from bench.sampling.steady import steady_start
from bench.sweeps.ceilings import Kind
from dpn.program.error_words import in_words

PR_SET_PDEATHSIG = 1


class Worker:
    """What one forked process holds between commands: the network that it opened."""

    def __init__(self) -> None:
        self.runner: Any = None
        self.calls = 1
        self.device = "cpu"

    def prepare(self, cell: dict[str, Any], folder: str, onnx: bool) -> dict[str, Any]:
        """Writes the reference outputs, and the ONNX file if wanted, below `folder`."""
        from bench.running import artifacts

        return artifacts.prepare(to_cell(cell), Path(folder), onnx=onnx)

    def open(self, cell: dict[str, Any], folder: str) -> dict[str, Any]:
        """Builds the network in its back end, compares its outputs with the reference, sets calls a sample."""
        from bench.running import opening, runners
        from bench.sampling import cuda_timing, timing

        opened = to_cell(cell)
        self.runner = opening.open_runner(opened, Path(folder))
        outputs = runners.check(self.runner, opened, Path(folder))
        self.device = opened.device
        if self.device == "cuda":
            cuda_timing.warm(self.runner)
        seconds = timing.sample(self.runner, 1)
        self.calls = timing.calls_for(self.runner) if seconds < timing.TARGET_S else 1
        return {"outputs": outputs, "calls": self.calls, "seconds": seconds}

    def series(self, at_least: int, keep: int, least_s: float, most_s: float) -> dict[str, Any]:
        """Samples until the series ends in a steady state that holds `keep` samples, or `most_s` is spent."""
        from bench.sampling import timing

        states, before = [gpu.state_on(self.device)], disturbance.snapshot()
        samples: list[float] = []
        spent, wanted, start = 0.0, at_least, None
        while True:
            while len(samples) < wanted or spent < least_s:
                samples.append(timing.sample(self.runner, self.calls))
                spent += samples[-1] * self.calls
                if spent > most_s and len(samples) >= at_least:
                    break
            states.append(gpu.state_on(self.device))
            start = steady_start(samples)
            if (start is not None and len(samples) - start >= keep) or spent > most_s:
                break
            wanted = len(samples) + max(2, len(samples) // 2)
        seen = disturbance.between(before, disturbance.snapshot())
        found = {"disturbance": seen.to_dict(), "reasons": gpu.reasons(*states)}
        return {"samples": samples, "start": start, "calls": self.calls, **found}

    def sample(self, calls: int, per: int) -> dict[str, Any]:
        """One sample of `calls` calls, as seconds for each of `per` calls."""
        from bench.sampling import timing

        return {"seconds": round(timing.sample(self.runner, calls) * calls / per, 9)}

    def throughput(self, samples: int, seconds: float, batch: int) -> dict[str, Any]:
        """Images a second over `samples` windows of calls in a row, after one window that warms up."""
        from bench.sampling import timing

        warmup = timing.throughput_sample(self.runner, seconds, batch)
        state, before = gpu.state_on(self.device), disturbance.snapshot()
        rates = [timing.throughput_sample(self.runner, seconds, batch) for _ in range(samples)]
        seen = disturbance.between(before, disturbance.snapshot())
        found = {"disturbance": seen.to_dict(), "reasons": gpu.reasons(state, gpu.state_on(self.device))}
        return {"samples": [warmup, *rates], "start": 1, "calls": 0, **found}

    def cuda(self, samples: int) -> dict[str, Any]:
        """Events, wall clock and graph replay of the opened network."""
        from bench.sampling import cuda_timing

        return cuda_timing.measure(self.runner, samples)

    def memory(self, cell: dict[str, Any], folder: str) -> dict[str, Any]:
        """Peak memory of building and running a network in this process."""
        if cell["device"] == "cuda":
            from bench.peak_memory import cuda_memory

            return cuda_memory.measure(to_cell(cell), Path(folder))
        from bench.peak_memory import memory

        return memory.measure(to_cell(cell), Path(folder))

    def energy(self, batch: int, device: str) -> dict[str, Any]:
        """Energy of an image in steady load, or why it is not available."""
        from bench.sampling import energy

        return energy.measure(self.runner, batch, device)

    def ceiling(self, kind: Kind, candidate: str, device: str, precision: str, threads: int) -> dict[str, Any]:
        """The rate of one candidate for the machine's arithmetic or copy ceiling."""
        from bench.sweeps import ceilings

        return ceilings.measure(kind, candidate, device=device, precision=precision, threads=threads)


def to_cell(fields: dict[str, Any]) -> Cell:
    """A cell from its JSON form."""
    return Cell(**fields | {"input_hw": tuple(fields["input_hw"])})


def serve(path: str, token: str) -> None:
    """Answers commands until the other side closes the connection; an error is an answer too."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    worker, serving = Worker(), os.getpid()
    with connection, connection.makefile("rw", encoding="utf-8") as stream:
        _say(stream, {"token": token, "pid": os.getpid()})
        for line in stream:
            request = json.loads(line)
            try:
                command: Callable[..., dict[str, Any]] = getattr(worker, request.pop("command"))
                answer: dict[str, Any] = {"answer": command(**request)}
            # A user's network may raise anything, or leave: it is reported, and the sweep goes on.
            except (Exception, SystemExit) as error:
                answer = {"error": in_words(error)[:400]}
            if os.getpid() != serving:  # a user's network forked, and its child came back here too
                os._exit(1)
            _say(stream, answer)


def _decline(path: str, token: str, error: OSError) -> None:
    """Says in the place of a worker why there is none."""
    with suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        connection.sendall(json.dumps({"token": token, "error": in_words(error)}).encode() + b"\n")


def _say(stream: Any, message: dict[str, Any]) -> None:
    stream.write(json.dumps(message) + "\n")
    stream.flush()


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main(path: str, modules: list[str]) -> None:
    """Imports, says so, then forks a worker for each line of standard input until its end."""
    _die_with_parent()
    telemetry.switch_off()
    nvml.number_alike()
    for module in modules:
        importlib.import_module(module)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # finished workers need no waiting for
    print("ready", flush=True)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # a network that prints must not fill a pipe that nobody reads
    for token in (line.strip() for line in iter(sys.stdin.readline, "")):
        try:
            child = os.fork()
        except OSError as error:  # no room for another process just now
            _decline(path, token, error)
            continue
        if child == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _die_with_parent()
            sys.stdin.close()
            code = 0
            try:
                serve(path, token)
            except (OSError, ValueError):  # the other side is gone
                code = 1
            os._exit(code)  # without the interpreter's teardown, which belongs to the parent


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
