"""Networks as files that run without this project, held against eager PyTorch before they are kept."""

import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dpn.data.samples import to_input
from dpn.evaluation_mode import evaluation_mode
from dpn.export.formats import CONTENTS, Format, check_installed, has, open_file
from dpn.export.graph import Deployed, Pixels
from dpn.heatmaps import Codec, decode
from dpn.inference import called, codec_of
from dpn.network_names import Network
from dpn.network_output import final_heatmaps
from dpn.program.error_words import first_line
from dpn.program.silence import silent
from dpn.program.whole_files import whole
from dpn.protocols import Protocol
from dpn.runtime import MOST_AT_ONCE, check_input
from dpn.skeletons import COCO_17, COCO_18, MPII_16
from dpn.synthetic.figures import SyntheticFigures

Batch = int | Literal["dynamic"]

TOLERANCE = 1e-4
"""Heatmaps differ at most by this share of their largest value, which is about 1 where a joint is found."""

CHECKED_BATCHES = (1, 3)
"""Sizes that a file with a free batch is checked with."""

DIFFERENT = 8
"""Images that a file is checked with; a larger batch has them again."""

_JOINTS = {len(skeleton.joints): skeleton.joints for skeleton in (COCO_17, COCO_18, MPII_16)}


class ExportError(RuntimeError):
    """A network cannot be written, or the file does not compute the same; nothing is kept."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is written.

    Attributes:
        format: of the file.
        protocol: whose colours and codec.
        input_hw: height and width of the input in pixels.
        batch: images at a time, or any number.
        pixels: see `Pixels`.
    """

    format: Format
    protocol: Protocol
    input_hw: tuple[int, int]
    batch: Batch = "dynamic"
    pixels: Pixels = "uint8"

    @property
    def batches(self) -> tuple[int, ...]:
        """The sizes of batches to check."""
        return CHECKED_BATCHES if self.batch == "dynamic" else (self.batch,)


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written and how it compares with eager PyTorch.

    Attributes:
        path: of the file.
        size_bytes: of the file.
        metadata: what stands in it.
        checked_with: what ran it; None where onnxruntime is missing.
        batches: sizes of the batches that it ran.
        heatmaps_difference: the largest of a heatmap's values.
        joints: that were decoded.
        moved: joints that lie elsewhere, since two values of their heatmap are so close that rounding decides.
    """

    path: Path
    size_bytes: int
    metadata: dict[str, Any]
    checked_with: str | None
    batches: tuple[int, ...]
    heatmaps_difference: float = 0.0
    joints: int = 0
    moved: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self) | {"path": str(self.path), "batches": list(self.batches)}


def export(network: Network, wanted: Wanted, path: Path) -> Exported:
    """Writes a network to a file that takes images and gives joints, see `dpn.export.graph`.

    The file is written beside its place, read back, run on images and compared with eager PyTorch, and only then put
    into its place.

    Raises:
        ExportError: the network cannot be exported, or the file computes something else.
        OSError: the file cannot be written.
        OutputError: the network fails, or gives no heatmaps.
        RuntimeError: a package is missing.
        ValueError: the batch or the input is too large, or none.
    """
    check_installed(wanted.format)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent} is no folder; make it, or name another --output")
    if wanted.batch != "dynamic" and not 1 <= wanted.batch <= MOST_AT_ONCE:
        raise ValueError(f"--batch is at least 1 and at most {MOST_AT_ONCE:,}, or dynamic, not {wanted.batch}")
    check_input(wanted.input_hw)
    if network.spec:
        network.spec.check_input(*wanted.input_hw)
    with evaluation_mode(network.net), torch.no_grad(), silent():
        graph = _graph(network, wanted)
        metadata = _metadata(network, wanted, graph)
        content = _content(graph, metadata, wanted)
        with whole(path) as beside:
            beside.write_bytes(content)
            found = _checked(network.net, graph, wanted, beside)
    return Exported(path=path, size_bytes=len(content), metadata=metadata, batches=wanted.batches, **found)


def images(input_hw: tuple[int, int], count: int) -> NDArray[np.uint8]:
    """(count, H, W, 3) images to compare with, red first: noise, then drawn people, which have maxima of every kind."""
    height, width = input_hw
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    figures = SyntheticFigures(seed=0)
    drawn = (figures.scene(index).image for index in range(min(count, DIFFERENT) - 1))
    different = [noise, *(cv2.resize(image, (width, height))[..., ::-1] for image in drawn)]
    return np.stack([different[number % DIFFERENT] for number in range(count)]).astype(np.uint8)


def _graph(network: Network, wanted: Wanted) -> Deployed:
    net, (height, width) = network.net, wanted.input_hw
    joints = network.spec.joints if network.spec else None
    heatmaps = final_heatmaps(called(net, torch.zeros(1, 3, height, width)), joints, wanted.input_hw)
    codec = codec_of(heatmaps, wanted.protocol, wanted.input_hw)
    return Deployed(net, codec, heatmaps.shape[1], wanted.pixels, bgr=wanted.protocol.color == "bgr").eval()


def _metadata(network: Network, wanted: Wanted, graph: Deployed) -> dict[str, Any]:
    (height, width), (rows, columns) = wanted.input_hw, graph.codec.heatmap_hw
    batch, joints = "B" if wanted.batch == "dynamic" else wanted.batch, graph.joints
    layout = [batch, height, width, 3] if wanted.pixels == "uint8" else [batch, 3, height, width]
    return {
        "network": network.name,
        "spec_digest": network.spec.digest() if network.spec else None,
        "weights_sha256": network.weights_sha256,
        "state_digest": network.state_digest(),
        "joints": list(_JOINTS.get(joints, tuple(f"joint {number}" for number in range(joints)))),
        "input_hw": [height, width],
        "input": {
            "name": "images", "shape": layout, "dtype": "uint8" if wanted.pixels == "uint8" else "float32",
            "colors": "red, green, blue", "range": [0, 255] if wanted.pixels == "uint8" else [0, 1],
        },
        "outputs": {
            "coordinates": {"shape": [batch, joints, 2], "unit": "x and y in pixels of the input"},
            "scores": {"shape": [batch, joints], "unit": "the heatmap's maximum"},
            "heatmaps": {"shape": [batch, joints, rows, columns]},
        },
        "codec": graph.codec.name,
        "stride": graph.codec.stride,
        "box_padding": wanted.protocol.box_padding,
        "torch": str(torch.__version__),
    }  # fmt: skip


def _example(wanted: Wanted, count: int) -> Tensor:
    pixels = torch.from_numpy(images(wanted.input_hw, count))
    return pixels if wanted.pixels == "uint8" else pixels.permute(0, 3, 1, 2).contiguous().float() / 255


def _content(graph: Deployed, metadata: dict[str, Any], wanted: Wanted) -> bytes:
    """What the file will hold; whatever an exporter cannot follow becomes one line."""
    example = _example(wanted, wanted.batches[-1])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of exporters: deprecation, and sizes that become constants, as is meant
            return CONTENTS[wanted.format](graph, example, metadata, wanted.batch == "dynamic")
    except (Exception, SystemExit) as error:  # exporters fail in every way there is, and networks may leave
        raise ExportError(
            f"{metadata['network']} cannot be exported as {wanted.format}: {first_line(error)}; try another --format"
        ) from error


def _checked(net: nn.Module, graph: Deployed, wanted: Wanted, path: Path) -> dict[str, Any]:
    """Runs the file and compares; raises ExportError where it computes something else."""
    if wanted.format == "onnx" and not has("onnxruntime"):
        return {"checked_with": None}
    call, runner = open_file(path, wanted.format)
    difference, joints, moved = 0.0, 0, 0
    for count in wanted.batches:
        example = _example(wanted, count)
        try:
            got = call(example)
        except Exception as error:
            raise ExportError(f"the file does not run on {count} images: {first_line(error)}") from error
        found = compare(net, graph, images(wanted.input_hw, count), got)
        difference, joints, moved = max(difference, found[0]), joints + found[1], moved + found[2]
    return {"checked_with": runner, "heatmaps_difference": difference, "joints": joints, "moved": moved}


def compare(
    net: nn.Module, graph: Deployed, pixels: NDArray[np.uint8], got: tuple[Tensor, Tensor, Tensor]
) -> tuple[float, int, int]:
    """Holds what a file computes against the project's own functions, one by one.

    Heatmaps are those of the network but for rounding. Coordinates and scores are exactly those that
    `dpn.heatmaps.decode` finds in the file's heatmaps. So joints can differ only where two values of a heatmap differ
    by less than rounding; those are counted.

    Args:
        net: the network.
        graph: what was exported.
        pixels: (B, H, W, 3) images, red first.
        got: what the file made of them.

    Returns:
        The largest difference of heatmaps, the number of joints, and of those that lie elsewhere.

    Raises:
        ExportError: something differs by more.
    """
    coordinates, scores, heatmaps = got
    crops = torch.from_numpy(pixels[..., ::-1].copy() if graph.bgr else pixels)
    expected = final_heatmaps(called(net, to_input(crops)), graph.joints, graph.codec.input_hw).float()
    difference = float((heatmaps - expected).abs().max())
    limit = TOLERANCE * float(expected.abs().max())
    if not difference <= limit:
        raise ExportError(f"heatmaps of the file differ by {difference:.1e}, more than {limit:.0e}; nothing is kept")
    own, own_scores = _decoded(heatmaps, graph.codec)
    if not (torch.equal(own, coordinates) and torch.equal(own_scores, scores)):
        raise ExportError("the file finds other joints in its heatmaps than dpn.heatmaps.decode; nothing is kept")
    moved = (_decoded(expected, graph.codec)[0] != coordinates).any(-1)
    return difference, moved.numel(), int(moved.sum())


def _decoded(heatmaps: Tensor, codec: Codec) -> tuple[Tensor, Tensor]:
    coordinates, scores = decode(heatmaps, codec)
    return coordinates * codec.stride, scores
