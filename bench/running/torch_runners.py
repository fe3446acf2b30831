"""PyTorch's ways to run a network: eager, channels_last, compile and a CUDA graph. Runs in a worker process."""

import contextlib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.cell import Cell
from bench.running.runners import Arrays, Runner, read_input
from bench.running.torch_networks import flatten, network
from dpn.program.error_words import first_line

DTYPES = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

WARMUP_CALLS = 3
"""Calls before a graph is captured: libraries choose their algorithms and take their workspaces in them."""


class TorchRunner(Runner):
    """Eager execution under inference mode.

    In bf16 and fp16 weights, maps and input are of that type. cuDNN tries its algorithms for each new shape
    (`cudnn.benchmark`), which ends with the first call, because every call has the same shape.

    Attributes:
        module: the network as it is called.
        input: what it is called with.
    """

    memory_format = torch.contiguous_format

    def __init__(self, cell: Cell, folder: Path) -> None:
        """Builds the network of a cell on its device, in its precision.

        Raises:
            RuntimeError: this torch sees no GPU.
        """
        if cell.device == "cuda" and not torch.cuda.is_available():
            raise RuntimeError(f"torch {torch.__version__} sees no GPU; install a build for CUDA, or use --device cpu")
        set_threads(cell.threads)
        set_products(cell.precision)
        self.device = cell.device
        self.name = cell.subject
        self.versions = {"torch": torch.__version__}
        kind = DTYPES[cell.precision]
        self.module: nn.Module = network(cell, folder).to(device=cell.device, dtype=kind)
        self.module.to(memory_format=self.memory_format)  # type: ignore[call-overload]  # annotated without it
        image = torch.from_numpy(read_input(folder))
        self.input: Tensor = image.to(device=cell.device, dtype=kind, memory_format=self.memory_format)
        self.function: Callable[[Tensor], Any] = self.module

    def call(self) -> None:
        """One forward pass."""
        with torch.inference_mode():
            self.function(self.input)

    def synchronise(self) -> None:
        """Waits for the GPU."""
        if self.device == "cuda":
            torch.cuda.synchronize()

    def outputs(self) -> Arrays:
        """The tensors of a forward pass."""
        with torch.inference_mode():
            return to_arrays(self.function(self.input))


class ChannelsLastRunner(TorchRunner):
    """Eager execution with channels together in memory."""

    memory_format = torch.channels_last


class CompiledRunner(TorchRunner):
    """`torch.compile` with its default settings, graph breaks allowed, compiled when the runner is opened."""

    def __init__(self, cell: Cell, folder: Path) -> None:
        """Compiles the network of a cell.

        Raises:
            RuntimeError: it cannot be compiled.
        """
        super().__init__(cell, folder)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what the compiler leaves to eager execution, and its own deprecations
                from torch._inductor import config

                config.compile_threads = 1  # in this process: a pool of compilers would live on beside what is timed
                self.function = torch.compile(self.module, fullgraph=False, dynamic=False)
                self.call()
                self.synchronise()
        except Exception as error:
            raise RuntimeError(f"{self.name} cannot be compiled: {first_line(error)}") from error


class GraphRunner(TorchRunner):
    """A forward pass captured as a CUDA graph; a call replays it, without Python and without launches one by one."""

    def __init__(self, cell: Cell, folder: Path) -> None:
        """Captures the network of a cell.

        Raises:
            RuntimeError: it cannot be captured, for example because it reads values from the GPU.
        """
        super().__init__(cell, folder)
        try:
            self.graph, self.answer = capture(self.function, self.input)
        except Exception as error:
            raise RuntimeError(f"{self.name} cannot be captured as a CUDA graph: {first_line(error)}") from error

    def call(self) -> None:
        """Replays the graph."""
        self.graph.replay()

    def outputs(self) -> Arrays:
        """The tensors that a replay writes."""
        self.call()
        self.synchronise()
        return to_arrays(self.answer)


RUNNERS: dict[str, type[TorchRunner]] = {
    "eager": TorchRunner,
    "channels_last": ChannelsLastRunner,
    "compile": CompiledRunner,
    "cudagraph": GraphRunner,
}


def capture(function: Callable[[Tensor], Any], image: Tensor) -> tuple[torch.cuda.CUDAGraph, Any]:
    """A CUDA graph of one call, and the tensors that each replay writes.

    The calls that warm up run on a stream of their own, as capture asks: what they leave on the default stream would
    otherwise be a dependency from outside the graph.
    """
    graph = torch.cuda.CUDAGraph()
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    with torch.inference_mode():
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARMUP_CALLS):
                function(image)
        torch.cuda.current_stream().wait_stream(side)
        torch.cuda.synchronize()
        with torch.cuda.graph(graph):
            answer = function(image)
    return graph, answer


def set_threads(threads: int) -> None:
    """Threads inside an operator; operators run one after the other."""
    torch.set_num_threads(threads)
    if torch.get_num_interop_threads() != 1:
        with contextlib.suppress(RuntimeError):  # torch takes it once in a process, before work has started
            torch.set_num_interop_threads(1)


def set_products(precision: str) -> None:
    """Whether CUDA may round the factors of fp32 products to TF32: only where TF32 is asked for."""
    tf32 = precision == "tf32"
    # By torch's older switches: compile reads the first, and networks may read or set the second, as cudnn.flags does,
    # which torch refuses once convolutions alone were set by the newer one.
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = True


def to_arrays(answer: Any) -> Arrays:
    """The tensors of a network's answer as fp32 arrays on the CPU."""
    return [tensor.detach().float().cpu().numpy().astype(np.float32, copy=False) for tensor in flatten(answer)]
