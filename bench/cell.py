"""One thing to measure: which network, by what metric, on which device, through which back end. Imports no torch."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from dpn.processor import granted_cores
from dpn.program.quantities import so_many

Metric = Literal["latency", "throughput", "memory", "energy"]
Device = Literal["cpu", "cuda"]
BackendName = Literal["eager", "channels_last", "compile", "cudagraph", "onnxruntime", "openvino"]
Precision = Literal["fp32", "tf32", "bf16", "fp16"]

METRICS: tuple[str, ...] = get_args(Metric)
DEVICES: tuple[str, ...] = get_args(Device)
PRECISIONS: tuple[str, ...] = get_args(Precision)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A cell of the grid of measurements; everything that a fresh process needs to run it.

    Attributes:
        subject: a name of the zoo, `package.module:factory`, or the path of an ONNX file.
        input_hw: height and width of the input in pixels.
        metric: what is measured.
        device: where it runs.
        backend: a name of `bench.running.backends.BACKENDS`.
        precision: of the arithmetic; "tf32" is CUDA's rounding of fp32 products.
        batch: images a call.
        threads: threads of the arithmetic on the CPU.
    """

    subject: str
    input_hw: tuple[int, int]
    metric: Metric = "latency"
    device: Device = "cpu"
    backend: BackendName = "eager"
    precision: Precision = "fp32"
    batch: int = 1
    threads: int = 1

    def protocol(self) -> dict[str, Any]:
        """What goes into a record's protocol, and so into its key: everything but subject and metric."""
        return {
            "input_hw": list(self.input_hw),
            "batch": self.batch,
            "device": self.device,
            "backend": self.backend,
            "precision": self.precision,
            "threads": self.threads,
        }

    def shape(self) -> tuple[int, int, int, int]:
        """The input's shape, [B, 3, H, W]."""
        return (self.batch, 3, *self.input_hw)

    def __str__(self) -> str:
        size = "x".join(map(str, self.input_hw))
        where = f"{self.device} {self.backend} {self.precision}, batch {self.batch}, {so_many(self.threads, 'thread')}"
        return f"{self.metric} of {self.subject} at {size}, {where}"


def parse_threads(text: str) -> tuple[int, ...]:
    """Thread counts from "1,all"; "all" is one for each physical core.

    Raises:
        ValueError: an entry is neither "all" nor a number from 1 to the number of physical cores.

    Example:
        >>> parse_threads("1")
        (1,)
    """
    most = granted_cores()
    counts = []
    for entry in text.split(","):
        count = most if entry.strip() == "all" else _positive(entry, "--threads", "or the word all")
        if count > most:
            raise ValueError(f"--threads {count}: this machine has {most} physical cores; write {most} or all")
        counts.append(count)
    return tuple(dict.fromkeys(counts))


def parse_batches(text: str) -> tuple[int, ...]:
    """Batch sizes from "1,8,32".

    Raises:
        ValueError: an entry is not a positive number.

    Example:
        >>> parse_batches("1,8,32")
        (1, 8, 32)
    """
    return tuple(dict.fromkeys(_positive(entry, "--batch", "such as 1,8,32") for entry in text.split(",")))


def grid(subjects: Sequence[tuple[str, tuple[int, int]]], **choices: Sequence[Any]) -> list[Cell]:
    """Every combination of subjects and choices, a subject's cells side by side.

    Args:
        subjects: name and input size of each.
        choices: a sequence for each field of `Cell` that varies.

    Example:
        >>> len(grid([("dpn4_64", (256, 192))], threads=(1, 2), backend=("eager", "onnxruntime")))
        4
    """
    rows = itertools.product(*choices.values())
    combinations = [dict(zip(choices, row, strict=True)) for row in rows]
    return [Cell(subject=name, input_hw=hw, **chosen) for name, hw in subjects for chosen in combinations]


def _positive(entry: str, option: str, hint: str) -> int:
    entry = entry.strip()
    if not entry.isdecimal() or not 0 < int(entry) <= 4096:
        raise ValueError(f"{option} takes numbers from 1 to 4096 {hint}, separated by commas, not {entry!r}")
    return int(entry)
