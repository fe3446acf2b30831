"""The files that networks are deployed in, ONNX, TorchScript and torch.export: written, read and run.

`read_metadata` tells of any of them what network it is, and what it takes and gives.
"""

import io
import json
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor

from dpn.export.graph import OUTPUTS, Deployed
from dpn.program.error_words import first_line
from dpn.program.missing import install
from dpn.torch_dispatch import unfused

Format = Literal["onnx", "torchscript", "torch-export"]

ENDINGS: Mapping[Format, str] = {"onnx": ".onnx", "torchscript": ".torchscript", "torch-export": ".pt2"}

OPSET = 18
"""Of ONNX."""

METADATA = "metadata.json"
"""In the archives that TorchScript and torch.export write; ONNX has properties of its own."""

Call = Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]
"""What a file computes: coordinates, scores and heatmaps of images."""


def _onnx(graph: Deployed, example: Tensor, metadata: dict[str, Any], dynamic: bool) -> bytes:
    """By tracing: torch's newer exporter needs a further package and takes several times as long."""
    import onnx

    axes = {name: {0: "batch"} for name in ("images", *OUTPUTS)} if dynamic else None
    buffer = io.BytesIO()
    with unfused():
        torch.onnx.export(
            graph, (example,), buffer, opset_version=OPSET, input_names=["images"],  # type: ignore[arg-type]  # it may
            output_names=list(OUTPUTS), dynamic_axes=axes, dynamo=False,
        )  # fmt: skip
    model = onnx.load_from_string(buffer.getvalue())
    onnx.helper.set_model_props(model, {key: json.dumps(value) for key, value in metadata.items()})
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _torchscript(graph: Deployed, example: Tensor, metadata: dict[str, Any], dynamic: bool) -> bytes:
    del dynamic  # a trace takes any batch
    traced = torch.jit.trace(graph, (example,), check_trace=False)  # type: ignore[no-untyped-call]
    buffer = io.BytesIO()
    torch.jit.save(traced, buffer, _extra_files={METADATA: json.dumps(metadata)})
    return buffer.getvalue()


def _program(graph: Deployed, example: Tensor, metadata: dict[str, Any], dynamic: bool) -> bytes:
    shapes = {"images": {0: torch.export.Dim("batch", min=1)}} if dynamic else None
    program = torch.export.export(graph, (example,), dynamic_shapes=shapes)
    program.example_inputs = None  # or the file would hold the images, too
    buffer = io.BytesIO()
    torch.export.save(program, buffer, extra_files={METADATA: json.dumps(metadata)})
    return buffer.getvalue()


CONTENTS: dict[Format, Callable[[Deployed, Tensor, dict[str, Any], bool], bytes]] = {
    "onnx": _onnx, "torchscript": _torchscript, "torch-export": _program,
}  # fmt: skip
"""What a file of each kind holds: of a graph, images as it takes them, what is said about it, and whether their number
is free."""


def open_file(path: Path, format: Format) -> tuple[Call, str]:
    """What a file computes, and what runs it.

    Raises:
        RuntimeError: onnxruntime is missing, or the file cannot be run.
    """
    if format == "onnx":
        return _onnx_call(path)
    if format == "torchscript":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # there are programs that take nothing newer
            return cast(Call, torch.jit.load(str(path))), "TorchScript"  # type: ignore[no-untyped-call]
    with path.open("rb") as file:  # of a path, torch prints a warning where it does not end as torch would have it
        return cast(Call, torch.export.load(file).module()), "torch.export"


def read_metadata(path: Path) -> dict[str, Any]:
    """What stands in a file that `python -m dpn export` wrote: network, digests, joints, input and outputs.

    Example:
        >>> read_metadata(Path("dpn4_32-256x192.onnx"))["input_hw"]  # doctest: +SKIP
        [256, 192]

    Raises:
        ValueError: it is no such file.
        RuntimeError: onnx is missing.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            inside = [name for name in archive.namelist() if name.endswith(f"/extra/{METADATA}")]
            if inside:
                return dict(json.loads(archive.read(inside[0])))
    else:
        check_installed("onnx")
        import onnx

        try:
            properties = onnx.load(path, load_external_data=False).metadata_props
            found = {entry.key: json.loads(entry.value) for entry in properties}
        except Exception as error:  # protobuf's own, and others on the way
            raise ValueError(f"{path} cannot be read as a network: {first_line(error)}") from error
        if "network" in found:
            return found
    raise ValueError(f"{path} is no file that python -m dpn export wrote")


def _onnx_call(path: Path) -> tuple[Call, str]:
    try:
        import onnxruntime
    except ImportError as error:
        raise RuntimeError(f"an ONNX file is run with onnxruntime; {install('backends')}") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors only: its warnings are about optimisations that it skips
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def call(pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        coordinates, scores, heatmaps = session.run(list(OUTPUTS), {"images": pixels.numpy()})
        return torch.from_numpy(coordinates), torch.from_numpy(scores), torch.from_numpy(heatmaps)

    return call, f"onnxruntime {onnxruntime.__version__}"


def check_installed(format: Format) -> None:
    """Raises RuntimeError where files of this kind cannot be written or read, with what to install."""
    if format == "onnx" and not has("onnx"):
        raise RuntimeError(f"ONNX files are written and read with onnx; {install('backends')}")


def has(package: str) -> bool:
    """Whether a package can be imported."""
    try:
        __import__(package)
    except ImportError:
        return False
    return True
