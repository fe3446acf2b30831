"""Peak memory of a network on a GPU: what PyTorch's allocator handed out and reserved, and what the process uses.

Runs in a worker process, in a pass of its own.
"""

from pathlib import Path
from typing import Any

import torch

from bench.cell import Cell
from bench.machine import gpu
from bench.peak_memory.memory import CALLS, WARM_CALLS, tensor_bytes
from bench.running import opening
from bench.running.backends import BACKENDS


def measure(cell: Cell, folder: Path) -> dict[str, Any]:
    """Builds a network in its back end and measures the peak of its memory on the current GPU.

    The value is the peak that the allocator reserved: what the driver takes away from everybody else, holes and the
    private pool of a CUDA graph included. The first calls, in which cuDNN tries algorithms with workspaces of any
    size, come before, and what they reserved is given back.

    Args:
        cell: what to run.
        folder: with what `bench.running.artifacts.prepare` wrote for it.

    Returns:
        value: bytes reserved at the peak of the calls.
        allocated_bytes: bytes in live blocks at the peak.
        reserved_bytes: the same as the value.
        process_bytes: what NVML says that the process has, with CUDA's context and loaded kernels; None where it does
            not say.
        before_bytes: the same before the network was built, with a context and nothing else.
        weights_bytes: parameters and buffers, None where the back end does not show them.
        tensor_peak_bytes: the exact peak of live tensors in one call, None where the back end hides them.

    Raises:
        RuntimeError: the back end has an allocator of its own, which does not tell.
    """
    if BACKENDS[cell.backend].from_onnx:
        raise RuntimeError(f"memory is not available: {cell.backend} does not tell what it takes of a GPU; use "
                           "--backend eager")  # fmt: skip
    torch.cuda.synchronize()  # makes the context, so that it counts before the network
    index = torch.cuda.current_device()
    before = _process_bytes(index)
    runner = opening.open_runner(cell, folder)
    for _ in range(WARM_CALLS):
        runner.call()
    runner.synchronise()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    for _ in range(CALLS):
        runner.call()
    runner.synchronise()
    allocated, reserved = torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()
    process = _process_bytes(index)
    weights, tensors = tensor_bytes(runner, cell)
    return {
        "value": reserved,
        "allocated_bytes": allocated,
        "reserved_bytes": reserved,
        "process_bytes": process,
        "before_bytes": before,
        "weights_bytes": weights,
        "tensor_peak_bytes": tensors,
    }


def _process_bytes(index: int) -> int | None:
    state = gpu.state(index)
    return None if state is None else state.own_memory_bytes
