"""What the workers of a cell share, written once: input, reference outputs, statistics and the ONNX file.

Runs in a worker process; torch is imported only for a network that needs it.
"""

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from bench.cell import Cell
from bench.running.backends import BACKENDS
from bench.running.runners import MODEL, REFERENCE
from bench.subject import Subject, resolve
from dpn.program.whole_files import whole


def prepare(cell: Cell, folder: Path, *, onnx: bool) -> dict[str, Any]:
    """Writes the reference of a cell's network, and its ONNX file if wanted, into a folder.

    The reference is fp32 eager on one thread of the CPU; of an ONNX file, ONNX Runtime on one thread.

    Args:
        cell: its subject, input and batch count; device, back end, precision and threads do not matter.
        folder: where to write.
        onnx: write an ONNX file, too.

    Returns:
        digest: identifies the network.
        macs, weight_bytes, activation_bytes: of one image, None where they cannot be counted completely.
        failures: for each back end that cannot run the network, the reason in one line.

    Raises:
        RuntimeError: the network cannot be run at all, or gives nothing that back ends could be compared by.
    """
    subject = resolve(cell.subject, cell.input_hw)
    if subject.file is not None:
        return _prepare_file(cell, subject, folder)
    return _prepare_network(cell, subject, folder, onnx=onnx)


def _prepare_network(cell: Cell, subject: Subject, folder: Path, *, onnx: bool) -> dict[str, Any]:
    import torch

    from bench.counts.macs import type_remedy
    from bench.running import torch_networks, torch_runners

    torch_runners.set_threads(1)
    net = torch_networks.seeded(cell)
    found = _known_of(net, subject) | {"failures": {}}
    image = torch_networks.example(cell)
    try:
        torch_networks.calibrate(net, image[:1])
    except Exception as error:
        if remedy := type_remedy(error, net, [image]):
            raise RuntimeError(f"{error}; {remedy}") from error
        raise
    with whole(folder / torch_networks.STATISTICS) as beside:
        torch_networks.save_statistics(net, beside)
    with torch.inference_mode():
        outputs = torch_runners.to_arrays(net(image))
    if not outputs:  # or every back end would agree with it
        raise RuntimeError(f"the answer of {cell.subject} holds no tensors that back ends could be compared by")
    _write_reference(cell, folder, image.numpy(), outputs)
    if onnx:
        try:
            with whole(folder / MODEL) as beside:
                torch_networks.export(net, image, beside)
        except RuntimeError as error:
            reason = f"{cell.subject} cannot be written as an ONNX file: {error}"
            found["failures"] = {name: reason for name, backend in BACKENDS.items() if backend.from_onnx}
    return found


def _known_of(net: Any, subject: Subject) -> dict[str, Any]:
    """The network's digest, and its totals, each None where the network cannot be counted completely."""
    from bench.counts.macs import CountError, count

    try:
        counted = count(net, (1, 3, *subject.input_hw))
    except CountError:
        counted = None
    whole_count = counted if counted is not None and counted.complete else None
    names = ("macs", "weight_bytes", "activation_bytes")
    return {name: whole_count.total(name) if whole_count else None for name in names} | {
        "digest": subject.digest(net, counted)
    }


def _prepare_file(cell: Cell, subject: Subject, folder: Path) -> dict[str, Any]:
    from bench.running import onnx_runners

    assert subject.file is not None
    shape, kind = subject.file.input_shape(cell.batch, cell.input_hw), subject.file.dtype
    random = np.random.default_rng(5)
    image = random.standard_normal(shape) if kind.startswith("float") else random.integers(0, 128, shape)
    for name in subject.file.parts:
        with whole(folder / (MODEL if name == subject.file.path.name else name)) as beside:
            shutil.copyfile(subject.file.path.parent / name, beside)
    session = onnx_runners.open_session(folder / MODEL, 1)
    image = image.astype(kind)
    outputs = session.run(None, {session.get_inputs()[0].name: image})
    _write_reference(cell, folder, image, [np.asarray(output, dtype=np.float32) for output in outputs])
    return {
        "digest": subject.spec_digest(), "macs": None, "weight_bytes": None, "activation_bytes": None, "failures": {},
    }  # fmt: skip


def _write_reference(cell: Cell, folder: Path, image: Any, outputs: list[Any]) -> None:
    if not all(np.isfinite(output).all() for output in outputs):
        raise RuntimeError(f"the answer of {cell.subject} to random numbers is not finite, so that no back end could "
                           "be compared by it; mend what overflows or divides by 0")  # fmt: skip
    arrays = {"input": image, **{f"output_{number}": output for number, output in enumerate(outputs)}}
    with whole(folder / REFERENCE) as beside, beside.open("wb") as file:
        np.savez(file, **arrays)
