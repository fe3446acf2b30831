"""Nothing reports to its makers while it is measured."""

import subprocess
import sys

import pytest

from bench.running.telemetry import REPORTERS
from bench.sweeps.pool import WorkerError, Zygote
from dpn.checkout import ROOT

IMPORTING = """
import sys, threading
from bench.running import telemetry
telemetry.switch_off()
import openvino
print(threading.active_count(), [name for name, module in sys.modules.items() if "telemetry" in name and module])
openvino.Core()
"""


def test_openvino_does_without_and_starts_no_thread() -> None:
    pytest.importorskip("openvino_telemetry")
    done = subprocess.run([sys.executable, "-c", IMPORTING], cwd=ROOT, capture_output=True, text=True, check=True)
    threads, _, loaded = done.stdout.strip().partition(" ")
    assert threads == "1"
    assert "openvino_telemetry" not in loaded


@pytest.mark.parametrize("name", REPORTERS)
@pytest.mark.usefixtures("own_lock")
def test_an_interpreter_that_measures_cannot_import_one(name: str) -> None:
    pytest.importorskip(name)
    with pytest.raises(WorkerError, match="did not start: ModuleNotFoundError"):
        Zygote((name,))
