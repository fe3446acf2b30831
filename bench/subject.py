"""What can be measured: a network of the zoo, anybody's as `package.module:factory`, an ONNX file. Imports no torch."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench import onnx_file
from bench.onnx_file import OnnxFile
from dpn import zoo
from dpn.digests import digest_of
from dpn.factories import NetworkError, imported
from dpn.network_names import built, definition_of
from dpn.spec import ModelSpec

if TYPE_CHECKING:
    from torch import nn

    from bench.counts.macs import Count

DEFAULT_INPUT_HW = (256, 192)

SubjectError = NetworkError
"""A name stands for nothing that can be measured; the message says what to write instead."""


@dataclass(frozen=True)
class Subject:
    """A network to measure.

    Attributes:
        name: as given.
        input_hw: height and width of its input in pixels.
        factory: builds it, on torch's current default device.
        spec: its definition, for a network of the zoo.
        file: what its ONNX file says, for a network that has no other form.
    """

    name: str
    input_hw: tuple[int, int]
    factory: "Callable[[], nn.Module]"
    spec: ModelSpec | None = None
    file: OnnxFile | None = None

    def spec_digest(self) -> str | None:
        """Identifies the network without building it: its spec or its file; None for anybody's factory."""
        if self.file is not None:
            return self.file.digest
        return None if self.spec is None else self.spec.digest()

    def digest(self, net: "nn.Module", counted: "Count | None" = None) -> str:
        """Identifies the network: as `spec_digest`, or by its definition, its code and what its count says it does.

        The same modules called otherwise are another network, and so is any other text of the files that it is made of,
        be it a comment: a value that is measured once too often is better than a wrong one. The same network has one
        digest in every version of torch. The count is for this input size and without values, wherever the network is;
        one that cannot be counted so is known by the rest.

        Args:
            net: the network.
            counted: that count, where it has been made already.
        """
        known = self.spec_digest()
        if known is not None:
            return known
        from bench.counts.macs import CountError, count
        from dpn.network_code import code_digest

        try:
            traits = (counted or count(net, (1, 3, *self.input_hw))).traits()
        except CountError:
            traits = ""
        parts = {"definition": definition_of(net, None), "code": code_digest(self.name, net), "traits": traits}
        return "module-" + digest_of(parts)


def resolve(name: str, input_hw: tuple[int, int] | None = None, *, late: bool = False) -> Subject:
    """The network of that name, for its own input size or the one given.

    Args:
        name: of the zoo, `package.module:factory`, or the path of an ONNX file.
        input_hw: height and width in pixels.
        late: import a factory when it is called, not now, because that is going to happen in another process.

    Raises:
        KeyError: no such network in the zoo; names the nearest.
        ValueError: the network cannot take that input size; says which it can.
        SubjectError: `package.module:factory` cannot be imported or called, or the ONNX file cannot be read.
    """
    if name.endswith(".onnx"):
        return _of_file(name, input_hw)
    if ":" in name:
        return Subject(name, input_hw or DEFAULT_INPUT_HW, (lambda: imported(name)()) if late else imported(name))
    spec = zoo.lookup(name)
    hw = input_hw or spec.input_hw
    spec.check_input(*hw)

    return Subject(spec.name, hw, lambda: built(spec.name)[0], spec)


def _of_file(name: str, input_hw: tuple[int, int] | None) -> Subject:
    try:
        file = onnx_file.read(Path(name))
        wanted = zip(input_hw or (None, None), file.free_hw, DEFAULT_INPUT_HW, strict=True)
        height, width = (asked or own or default for asked, own, default in wanted)
        file.input_shape(file.shape[0] or 1, (height, width))
    except ValueError as error:
        raise SubjectError(str(error)) from error

    def factory() -> "nn.Module":
        raise SubjectError(f"{name}: an ONNX file can only be timed; add --metric latency --backend onnxruntime, or "
                           "name package.module:factory to count it")  # fmt: skip

    return Subject(name, (height, width), factory, file=file)
