"""The work behind the ceilings: matrix products, convolutions and copies in each library, ready to call.

Runs in a worker process; every library is imported where it is used.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil

from bench.running import telemetry

LEAST_COPY_BYTES = 256 * 2**20
"""Every copied array holds at least this much, and at least four times the last level cache (STREAM's rule)."""


Library = Literal["torch", "numpy", "onnxruntime", "openvino"]


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """Something that may reach a ceiling.

    Attributes:
        library: which runs it.
        operation: "matmul", "convolution" (3x3, stride 1, padding 1), "copy" or "add".
        size: rows of the square matrices; or channels, height and width of the convolution's input and output.
        channels_last: the convolution's maps and weights lie in memory with their channels together.
        batch: images of a convolution.
    """

    library: Library
    operation: Literal["matmul", "convolution", "copy", "add"]
    size: tuple[int, ...] = ()
    channels_last: bool = False
    batch: int = 1

    @property
    def macs(self) -> int:
        """Multiply-adds of one call; 0 for a copy.

        Example:
            >>> Candidate(library="torch", operation="convolution", size=(64, 8, 6)).macs
            1769472
        """
        if self.operation == "matmul":
            return self.size[0] ** 3
        if self.operation == "convolution":
            channels, height, width = self.size
            return self.batch * 9 * channels**2 * height * width
        return 0

    def __str__(self) -> str:
        size = "x".join(map(str, self.size))
        batch = f"batch {self.batch}" if self.batch > 1 else ""
        return " ".join(
            filter(None, (self.library, self.operation, size, batch, "channels_last" if self.channels_last else ""))
        )


@dataclass(frozen=True, kw_only=True)
class Workload:
    """Work to time.

    Attributes:
        call: does it once.
        amount: MACs, or bytes read and written, of one call.
        synchronise: waits until all calls are done.
    """

    call: Callable[[], object]
    amount: int
    synchronise: Callable[[], object] = lambda: None


def build(candidate: Candidate, *, device: str, precision: str, threads: int) -> Workload:
    """The work of a candidate, with its arrays allocated and filled.

    Args:
        candidate: what to build.
        device: "cpu" or "cuda".
        precision: "fp32", "tf32", "bf16" or "fp16".
        threads: of the arithmetic or the copy on the CPU.
    """
    if candidate.library == "numpy":
        return _numpy_copy()
    if candidate.library == "onnxruntime":
        return Workload(call=_onnxruntime(candidate, threads), amount=candidate.macs)
    if candidate.library == "openvino":
        return Workload(call=_openvino(candidate, precision, threads), amount=candidate.macs)
    return _torch(candidate, device, precision, threads)


def copy_bytes(last_level_cache: int, memory: int) -> int:
    """Bytes of each array of a copy: out of reach of the cache, and never more than a sixteenth of the memory.

    Example:
        >>> copy_bytes(32 * 2**20, 64 * 2**30) // 2**20
        256
        >>> copy_bytes(384 * 2**20, 64 * 2**30) // 2**20
        1536
    """
    return min(max(LEAST_COPY_BYTES, 4 * last_level_cache), memory // 16) // 64 * 64


def last_level_cache(cpus: Path = Path("/sys/devices/system/cpu")) -> int:
    """Bytes of all last level caches together; 0 where the system does not say."""
    caches: dict[str, tuple[int, int]] = {}
    for index in cpus.glob("cpu[0-9]*/cache/index[0-9]*"):
        try:
            level = int((index / "level").read_text())
            size = (index / "size").read_text().strip()
            sharers = (index / "shared_cpu_list").read_text().strip()
        except (OSError, ValueError):
            continue
        caches[f"{level} {sharers}"] = (level, _cache_bytes(size))
    last = max((level for level, _ in caches.values()), default=0)
    return sum(size for level, size in caches.values() if level == last)


def _cache_bytes(text: str) -> int:
    unit = {"K": 2**10, "M": 2**20, "G": 2**30}.get(text[-1:], 1)
    digits = text.rstrip("KMG")
    return int(digits) * unit if digits.isdecimal() else 0


def _array_bytes() -> int:
    return copy_bytes(last_level_cache(), psutil.virtual_memory().total)


def _numpy_copy() -> Workload:
    import numpy as np

    size = _array_bytes()
    source, target = np.ones(size // 4, dtype=np.float32), np.zeros(size // 4, dtype=np.float32)
    return Workload(call=lambda: np.copyto(target, source), amount=2 * size)


def _torch(candidate: Candidate, device: str, precision: str, threads: int) -> Workload:
    import torch

    from bench.running import torch_runners

    torch_runners.set_threads(threads)
    torch_runners.set_products(precision)
    torch.set_grad_enabled(False)
    synchronise = torch.cuda.synchronize if device == "cuda" else lambda: None
    if candidate.operation in ("copy", "add"):
        return _torch_copy(candidate, device, synchronise)
    kind = torch_runners.DTYPES[precision]
    if candidate.operation == "matmul":
        rows = candidate.size[0]
        left, right = (torch.rand(rows, rows, device=device).to(kind) for _ in range(2))
        target = torch.empty_like(left)
        return Workload(
            call=lambda: torch.matmul(left, right, out=target), amount=candidate.macs, synchronise=synchronise
        )
    channels, height, width = candidate.size
    layout = torch.channels_last if candidate.channels_last else torch.contiguous_format
    image = torch.rand(candidate.batch, channels, height, width, device=device).to(kind, memory_format=layout)
    weight = torch.rand(channels, channels, 3, 3, device=device).to(kind, memory_format=layout)
    return Workload(call=lambda: torch.conv2d(image, weight, padding=1), amount=candidate.macs, synchronise=synchronise)


def _torch_copy(candidate: Candidate, device: str, synchronise: Callable[[], object]) -> Workload:
    import torch

    size = _array_bytes() if device == "cpu" else 2**30
    source, target = (torch.ones(size // 4, device=device) for _ in range(2))
    if candidate.operation == "copy":
        return Workload(call=lambda: target.copy_(source), amount=2 * size, synchronise=synchronise)
    other = torch.ones_like(source)
    return Workload(call=lambda: torch.add(source, other, out=target), amount=3 * size, synchronise=synchronise)


def _model(candidate: Candidate) -> tuple[bytes, Any]:
    """An ONNX model of one operator with a constant weight, and an input for it."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(0)
    if candidate.operation == "matmul":
        shape: list[int] = [candidate.size[0]] * 2
        weight = random.random(shape, dtype=np.float32)
        node = helper.make_node("MatMul", ["x", "w"], ["y"])
    else:
        channels = candidate.size[0]
        shape = [candidate.batch, *candidate.size]
        weight = random.random((channels, channels, 3, 3), dtype=np.float32)
        node = helper.make_node("Conv", ["x", "w"], ["y"], kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("x", "y")]
    graph = helper.make_graph([node], "ceiling", value[:1], value[1:], [numpy_helper.from_array(weight, "w")])
    # Old enough for every library that reads it: the newest version that `onnx` writes is ahead of its readers.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return model.SerializeToString(), random.random(shape, dtype=np.float32)


def _onnxruntime(candidate: Candidate, threads: int) -> Callable[[], object]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    model, image = _model(candidate)
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"x": image})


def _openvino(candidate: Candidate, precision: str, threads: int) -> Callable[[], object]:
    telemetry.switch_off()
    import openvino

    model, image = _model(candidate)
    core = openvino.Core()
    # Without the hint, processors with bf16 instructions compute in bf16 what was asked for in fp32.
    hints = {"INFERENCE_PRECISION_HINT": {"bf16": "bf16"}.get(precision, "f32"), "PERFORMANCE_HINT": "LATENCY"}
    compiled = core.compile_model(core.read_model(model), "CPU", {**hints, "INFERENCE_NUM_THREADS": threads})
    request = compiled.create_infer_request()
    request.set_input_tensor(openvino.Tensor(image))
    return lambda: request.infer()
