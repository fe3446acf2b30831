"""What an ONNX file says about its network without running it: the shape and type of its input, and a digest."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.escaping import one_line
from dpn.program.missing import install

INPUT_TYPES = ("float32", "float16", "float64", "uint8", "int8", "int32", "int64")


@dataclass(frozen=True, kw_only=True)
class OnnxFile:
    """A file that can be measured: it takes one tensor with images.

    Attributes:
        path: of the file.
        parts: names of the file and of the files with its weights, if they lie apart, relative to its folder.
        shape: of the input; None for an extent that is free.
        dtype: of the input, as NumPy calls it.
        digest: of the bytes of all parts, "onnx-" and twelve hexadecimal digits.
    """

    path: Path
    parts: tuple[str, ...]
    shape: tuple[int | None, ...]
    dtype: str
    digest: str

    @property
    def channels_first(self) -> bool:
        """Whether the input is [B, C, H, W], not [B, H, W, C]."""
        return self.shape[3] not in (1, 3, 4) or self.shape[1] in (1, 3, 4)

    @property
    def free_hw(self) -> tuple[int | None, int | None]:
        """Height and width of the input in pixels, None where any will do."""
        rows, columns = (2, 3) if self.channels_first else (1, 2)
        return self.shape[rows], self.shape[columns]

    def input_shape(self, batch: int, input_hw: tuple[int, int]) -> tuple[int, ...]:
        """The shape of an input of so many images of that size, with three channels where their number is free.

        Raises:
            ValueError: the file takes another number of images, or another size.
        """
        height, width = input_hw
        wanted = (batch, 3, height, width) if self.channels_first else (batch, height, width, 3)
        channels = 1 if self.channels_first else 3
        for axis, (extent, asked) in enumerate(zip(self.shape, wanted, strict=True)):
            if extent not in (None, asked) and axis != channels:
                raise ValueError(
                    f"{self.path} takes an input of {_shown(self.shape)}, not {_shown(wanted)}; "
                    + (f"use --batch {extent}" if axis == 0 else "leave out --input, or export it with free axes")
                )
        return tuple(extent or asked for extent, asked in zip(self.shape, wanted, strict=True))


def read(path: Path) -> OnnxFile:
    """Reads what there is to know of an ONNX file.

    Raises:
        ValueError: no such file, a name that no record can hold, no ONNX in it, or no network that takes one tensor of
            images; in one line.
        RuntimeError: the package `onnx` is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise RuntimeError(f"an ONNX file is read with onnx; {install('backends')}") from error
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{str(path)!a} is not UTF-8, as records are; give the file another name") from error
    try:
        model = onnx.load(path, load_external_data=False)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # protobuf's own, and others on the way
        raise ValueError(f"{path} is not an ONNX file, or is damaged; export it again") from error
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    if not model.graph.node or len(inputs) != 1:
        found = f"has {len(inputs)} inputs" if model.graph.node else "holds no network"
        raise ValueError(f"{path} {found}; a network that can be measured takes one tensor of images")
    kind = inputs[0].type.tensor_type
    shape = tuple(axis.dim_value if axis.dim_value > 0 else None for axis in kind.shape.dim)
    try:
        dtype = str(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type))
    except KeyError:
        dtype = f"no known type ({kind.elem_type})"
    if len(shape) != 4 or dtype not in INPUT_TYPES:
        raise ValueError(f"{path} takes {_shown(shape)} of {dtype} as {inputs[0].name!r}; images are batch x channels "
                         f"x height x width of {', '.join(INPUT_TYPES)}")  # fmt: skip
    parts = (path.name, *sorted(set(_locations(model.graph))))
    return OnnxFile(path=path, parts=parts, shape=shape, dtype=dtype, digest=_digest(path, parts))


def _locations(graph: Any) -> Iterator[str]:
    """Names of the files in which tensors lie apart from the graph."""
    for tensor in graph.initializer:
        yield from (entry.value for entry in tensor.external_data if entry.key == "location")
    for node in graph.node:
        for attribute in node.attribute:
            yield from (entry.value for entry in attribute.t.external_data if entry.key == "location")
            for inner in (attribute.g, *attribute.graphs):
                yield from _locations(inner)


def _digest(path: Path, parts: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for name in parts:
        part = path.parent / name
        try:
            found = part.resolve().is_relative_to(path.parent.resolve()) and part.is_file()
        except (OSError, ValueError):  # no file can have such a name
            found = False
        if not found:
            raise ValueError(one_line(
                f"{path} keeps weights in {name}, which is missing or outside its folder; export it again"
            ))  # fmt: skip
        with part.open("rb") as file:
            while block := file.read(2**20):
                digest.update(block)
    return f"onnx-{digest.hexdigest()[:12]}"


def _shown(shape: tuple[int | None, ...]) -> str:
    return "x".join("?" if extent is None else str(extent) for extent in shape) or "a single number"
