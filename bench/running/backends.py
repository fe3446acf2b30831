"""What can run a network: the back ends, their devices and precisions, and why one cannot. Imports no torch."""

import importlib.util
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata

from bench.cell import Cell
from bench.machine import environment
from dpn.program.missing import install

_TORCH_CPU = ("fp32", "bf16", "fp16")
_TORCH_CUDA = ("fp32", "tf32", "bf16", "fp16")


@dataclass(frozen=True, kw_only=True)
class Backend:
    """A way to run a network.

    Attributes:
        name: as on the command line and in a record's protocol.
        precisions: what it computes in, by device; a device that is not here is one that it does not run on.
        modules: what a worker process imports before the network is built; the first names the distribution.
        from_onnx: it reads an ONNX file and needs no torch.
        install: what installs it.
    """

    name: str
    precisions: Mapping[str, tuple[str, ...]] = field(hash=False)
    modules: tuple[str, ...]
    from_onnx: bool = False
    install: str = "run: pip install torch"

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices that it runs on."""
        return tuple(self.precisions)


BACKENDS: dict[str, Backend] = {
    backend.name: backend
    for backend in (
        Backend(
            name="eager",
            precisions={"cpu": _TORCH_CPU, "cuda": _TORCH_CUDA},
            modules=("torch", "bench.running.torch_runners"),
        ),
        Backend(
            name="channels_last",
            precisions={"cpu": _TORCH_CPU, "cuda": _TORCH_CUDA},
            modules=("torch", "bench.running.torch_runners"),
        ),
        Backend(
            name="compile",
            precisions={"cpu": _TORCH_CPU, "cuda": _TORCH_CUDA},
            modules=("torch", "bench.running.torch_runners", "torch._dynamo", "torch._inductor.compile_fx"),
        ),
        Backend(
            name="cudagraph",
            precisions={"cuda": _TORCH_CUDA},
            modules=("torch", "bench.running.torch_runners"),
        ),
        Backend(
            name="onnxruntime",
            precisions={"cpu": ("fp32",), "cuda": ("fp32", "tf32")},
            modules=("onnxruntime", "numpy", "bench.running.onnx_runners"),
            from_onnx=True,
            install=install("backends"),
        ),
        Backend(
            name="openvino",
            precisions={"cpu": ("fp32", "bf16")},
            modules=("openvino", "numpy", "bench.running.onnx_runners"),
            from_onnx=True,
            install=install("backends"),
        ),
    )
}


def offered(device: str) -> list[str]:
    """Names of the back ends that are installed here and run on a device.

    Example:
        >>> "eager" in offered("cpu"), "cudagraph" in offered("cpu")
        (True, False)
    """
    return [backend.name for backend in BACKENDS.values() if _cannot_run(backend, device) is None]


def unavailable(cell: Cell) -> str | None:
    """Why a cell cannot run here, with the remedy, in one line; None when it can.

    Example:
        >>> unavailable(Cell(subject="dpn4_64", input_hw=(256, 192), backend="cudagraph"))
        'cudagraph runs on cuda only; use --device cuda'
    """
    backend = BACKENDS[cell.backend]
    readers = [name for name, one in BACKENDS.items() if one.from_onnx]
    if cell.subject.endswith(".onnx") and not backend.from_onnx:
        return f"only {' and '.join(readers)} run an ONNX file, not {cell.backend}; use --backend {readers[0]}"
    reason = _cannot_run(backend, cell.device)
    if reason is None and cell.precision not in backend.precisions[cell.device]:
        known = ", ".join(backend.precisions[cell.device])
        reason = f"{cell.precision} is not offered by {cell.backend} on {cell.device}; use --precision {known}"
    if reason is None and cell.device == "cuda" and environment.gpu_name() is None:
        reason = "no CUDA device was found; use --device cpu"
    return reason


def _cannot_run(backend: Backend, device: str) -> str | None:
    if device not in backend.devices:
        only = " and ".join(backend.devices)
        return f"{backend.name} runs on {only} only; use --device {backend.devices[0]}"
    if importlib.util.find_spec(backend.modules[0]) is None:
        return f"{backend.name} is not installed; {backend.install}"
    if backend.name == "onnxruntime" and device == "cuda" and not _distributed("onnxruntime-gpu"):
        return "this onnxruntime runs on the cpu only; run: pip install onnxruntime-gpu"
    if backend.name == "compile":
        return _cannot_compile(device)
    return None


def _cannot_compile(device: str) -> str | None:
    if sys.platform == "win32" or device == "cpu":
        compilers = (os.environ.get("CXX", ""), "g++", "clang++", "c++", "cl")
        if not any(shutil.which(name) for name in compilers if name):
            return "compile needs a C++ compiler; install g++, or name yours in the variable CXX"
    elif importlib.util.find_spec("triton") is None:
        return "compile needs triton on cuda; run: pip install triton"
    return None


def _distributed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
