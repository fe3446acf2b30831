"""A cell's network in its back end, ready to be called. Imports no torch unless the back end is torch's."""

from pathlib import Path
from typing import Any

from bench.cell import Cell
from bench.running.runners import Runner


def open_runner(cell: Cell, folder: Path) -> Runner:
    """The network of a cell in its back end.

    Args:
        cell: what to run.
        folder: with what `bench.running.artifacts.prepare` wrote for it.

    Raises:
        RuntimeError: the back end cannot run this network, with the reason in one line.
    """
    kind: Any
    if cell.backend in ("onnxruntime", "openvino"):
        from bench.running import onnx_runners

        kind = onnx_runners.RUNNERS[cell.backend]
    else:
        from bench.running import torch_runners

        kind = torch_runners.RUNNERS[cell.backend]
    runner: Runner = kind(cell, folder)
    return runner
