"""What a network in a back end can do, and the check of what it gives; `running.opening` opens one. Imports no torch.

Runs in a worker process. The input lies where the back end reads it before the first call, so that a call is a forward
pass and nothing else.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.cell import Cell

REFERENCE = "reference.npz"
"""The input and what fp32 eager makes of it, as `bench.running.artifacts.prepare` writes it."""

MODEL = "model.onnx"

TOLERANCE: dict[str, float] = {
    "fp32": 1e-4,
    "tf32": 2e-2,
    "fp16": 2e-2,
    "bf16": 1e-1,
}
"""Largest difference from fp32 eager, relative to an output's largest value, at which they count as the same."""

Arrays = list[NDArray[np.float32]]


class Runner(ABC):
    """A network in a back end with its input in place.

    Attributes:
        versions: of the libraries that run it.
    """

    versions: dict[str, str]

    @abstractmethod
    def call(self) -> None:
        """One forward pass; on CUDA it is only put into the queue."""

    def synchronise(self) -> None:
        """Waits until every call has ended; on the CPU it has."""
        return

    @abstractmethod
    def outputs(self) -> Arrays:
        """What a forward pass gives: its tensors in the order of the network's answer, as fp32."""


def check(runner: Runner, cell: Cell, folder: Path) -> dict[str, float]:
    """Compares what a runner gives with the reference.

    Returns:
        largest_difference: relative to the largest value of an output.
        tolerance: the difference up to which outputs count as the same.

    Raises:
        RuntimeError: they differ by more; nothing that such a runner does is worth timing.
    """
    tolerance = TOLERANCE[cell.precision]
    difference = largest_difference(runner.outputs(), read_reference(folder)[1])
    if difference > tolerance:
        raise RuntimeError(
            f"{cell.subject}: outputs of {cell.backend} in {cell.precision} on {cell.device} differ from fp32 eager by "
            f"{difference:.2g} of the largest value, more than {tolerance:g}; it is not timed"
        )
    return {"largest_difference": difference, "tolerance": tolerance}


def largest_difference(outputs: Sequence[NDArray[Any]], reference: Sequence[NDArray[Any]]) -> float:
    """Largest absolute difference over the largest absolute reference value, the worst of all tensors.

    Where the reference is all zeros the difference itself counts.

    Raises:
        RuntimeError: another number of tensors, another shape, or a value that is not finite.

    Example:
        >>> largest_difference([np.array([1.0, 4.1])], [np.array([1.0, 4.0])])
        0.025
    """
    if len(outputs) != len(reference):
        raise RuntimeError(f"{len(outputs)} output tensors where fp32 eager has {len(reference)}")
    worst = 0.0
    for number, (got, wanted) in enumerate(zip(outputs, reference, strict=True)):
        if got.shape != wanted.shape:
            raise RuntimeError(f"output {number} has shape {got.shape} where fp32 eager has {wanted.shape}")
        if not got.size:
            continue
        for values, whose in ((wanted, " of fp32 eager"), (got, "")):
            if not np.isfinite(values).all():
                raise RuntimeError(f"output {number}{whose} has values that are not finite")
        gap = float(np.abs(got - wanted, dtype=np.float64).max())
        worst = max(worst, gap / (float(np.abs(wanted).max()) or 1.0))
    return round(worst, 9)


def read_input(folder: Path) -> NDArray[Any]:
    """The input that every process computes with.

    Raises:
        RuntimeError: `bench.running.artifacts.prepare` has not written it.
    """
    return _read(folder, ("input",))[0]


def read_reference(folder: Path) -> tuple[NDArray[Any], Arrays]:
    """The input, and the outputs of fp32 eager.

    Raises:
        RuntimeError: `bench.running.artifacts.prepare` has not written them.
    """
    first, *outputs = _read(folder, None)
    return first, outputs


def _read(folder: Path, names: Sequence[str] | None) -> list[NDArray[Any]]:
    path = folder / REFERENCE
    if not path.is_file():
        raise RuntimeError(f"{REFERENCE} is missing; bench.running.artifacts.prepare writes it before one is opened")
    with np.load(path, allow_pickle=False) as stored:
        return [stored[name] for name in names or stored.files]
