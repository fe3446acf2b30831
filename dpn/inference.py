"""From a network and people in images to keypoints: crops, heatmaps, mirrored heatmaps, joints in image pixels."""

import math
import multiprocessing
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from dpn.arrays import Floats
from dpn.data.people import DataSet
from dpn.data.problems import DataError
from dpn.data.samples import InferenceSamples, collate, to_input, worker_init
from dpn.evaluation_mode import evaluation_mode
from dpn.half_precision import TYPES, arithmetic
from dpn.heatmaps import Codec, decode, flip_average, to_image
from dpn.input_size import hw_text
from dpn.network_output import OutputError, final_heatmaps, stride_of
from dpn.processor import cores
from dpn.program.error_words import first_said, in_words
from dpn.protocols import Protocol
from dpn.runtime import Runtime, check_input
from dpn.skeletons import Skeleton

OnBatch = Callable[[int, Floats], None]
"""Is told after each batch: the row of its first person, and (n, K, 3) keypoints from there on."""

NEEDED = ("crop", "center", "scale")
"""Of a sample to predict."""

WORKERS_OF_GPU = 4
"""Processes that make its batches at most, where nobody says how many."""


def predict(
    net: nn.Module, data: DataSet, protocol: Protocol, input_hw: tuple[int, int], runtime: Runtime | None = None, *,
    done: OnBatch | None = None,
) -> Floats:  # fmt: skip
    """Where the network sees everybody's joints, as HRNet's validation finds them.

    The mirrored image is averaged in where the protocol says so. The network is left in the mode that it was in.

    Args:
        net: takes images (B, 3, H, W), returns heatmaps (see `final_heatmaps`).
        data: N people, whose boxes were made for the aspect of `input_hw`.
        protocol: colours, codec and whether to average.
        input_hw: height and width of the network's input in pixels.
        runtime: see `Runtime`, which has defaults.
        done: see `OnBatch`; what it raises ends the prediction.

    Returns:
        (N, K, 3) float64: x and y in image pixels and the heatmap's maximum as score, one row for each person in the
        order of `data.people`.

    Raises:
        DataError: an image is missing or cannot be decoded.
        OutputError: the network gives no heatmaps of these joints, or some that are not finite.
        ValueError: the boxes have another aspect than the input, or there is no such device.
    """
    check_aspect(data, input_hw)
    runtime = runtime or Runtime()
    heatmaps_of = Forward(net, data.skeleton, protocol, runtime)
    found = [np.empty((0, len(data.skeleton.joints), 3))]
    first = 0
    with evaluation_mode(net), torch.inference_mode():
        for batch in _batches(data, protocol, input_hw, runtime, heatmaps_of.device):
            heatmaps = heatmaps_of(batch["crop"].to(heatmaps_of.device, non_blocking=True))
            codec = codec_of(heatmaps, protocol, input_hw)
            coordinates, scores = decode(heatmaps, codec)
            placed = to_image(coordinates.cpu(), batch["center"], batch["scale"], codec)
            found.append(torch.cat((placed, scores.cpu().double()[..., None]), dim=2).numpy())
            if done:
                done(first, found[-1])
            first += len(found[-1])
    return np.concatenate(found)


class Forward:
    """The network's heatmaps of crops, averaged with those of the mirrored crops where the protocol says so."""

    def __init__(self, net: nn.Module, skeleton: Skeleton, protocol: Protocol, runtime: Runtime) -> None:
        runtime.check()
        self.device = device_of(runtime.device)
        self._format = torch.channels_last if runtime.channels_last else torch.contiguous_format
        self._net = net.to(self.device)
        if runtime.channels_last:
            self._net = self._net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub
        self._type = TYPES.get(runtime.precision)
        self._skeleton = skeleton
        self._mirrored = protocol.flip_test
        self._shift = shifts(protocol)

    def __call__(self, crops: Tensor) -> Tensor:
        """Crops (B, H, W, 3) uint8 on the device -> heatmaps (B, K, h, w) float32 there."""
        images = to_input(crops)
        heatmaps = self._forward(images)
        if self._mirrored:
            mirrored = self._forward(images.flip(3))
            heatmaps = flip_average(heatmaps, mirrored, self._skeleton.flip_pairs, shift=self._shift)
        if not bool(torch.isfinite(heatmaps).all()):
            raise OutputError("heatmaps are not finite; run with --precision fp32, or look at the weights")
        return heatmaps

    def try_out(self, input_hw: tuple[int, int]) -> None:
        """Looks at one black image of that size in pixels.

        Raises:
            ValueError: the image is too large.
            OutputError: the network gives no heatmaps, or fails, see `called`.
        """
        check_input(input_hw)
        image = to_input(torch.zeros((1, *input_hw, 3), dtype=torch.uint8, device=self.device))
        with evaluation_mode(self._net), torch.inference_mode():
            self._forward(image)

    def _forward(self, images: Tensor) -> Tensor:
        device, half = self.device.type, self._type
        with arithmetic(device, half), torch.autocast(device, half, enabled=half is not None):
            output = called(self._net, images.contiguous(memory_format=self._format))
        heatmaps = final_heatmaps(output, len(self._skeleton.joints), (images.shape[2], images.shape[3]))
        if len(heatmaps) != len(images):
            raise OutputError(f"the network returns heatmaps of {len(heatmaps)} images for {len(images)}")
        return heatmaps.float()


def called(net: nn.Module, images: Tensor) -> object:
    """What a network returns for images (B, 3, H, W); it is anybody's, and may fail in any way.

    Raises:
        OutputError: it fails, or leaves.
        torch.OutOfMemoryError: as it comes.
    """
    name = type(net).__name__
    try:
        return net(images)
    except (OutputError, torch.OutOfMemoryError):
        raise
    except SystemExit as error:
        raise OutputError(f"{name} leaves ({in_words(error)}); a forward pass must return, never leave") from error
    except Exception as error:
        kinds = {str(weight.dtype).removeprefix("torch.") for weight in net.parameters() if weight.is_floating_point()}
        remedy = "; --device cpu takes the CPU" if images.device.type == "cuda" else ""
        if others := sorted(kinds - {"float32"}):
            remedy = f"; its weights are {' and '.join(others)}: build it in float32, with net.float()"
        batch, _, height, width = images.shape
        count = "an image" if batch == 1 else f"{batch} images"
        raise OutputError(
            f"{name} fails on {count} of {height}x{width}, a tensor {tuple(images.shape)}: {in_words(error)}{remedy}"
        ) from error


def codec_of(heatmaps: Tensor, protocol: Protocol, input_hw: tuple[int, int]) -> Codec:
    """How to decode these heatmaps (B, K, h, w) of an input of that size in pixels."""
    stride = stride_of((heatmaps.shape[2], heatmaps.shape[3]), input_hw)
    return Codec.of_protocol(protocol, input_hw, stride)


def shifts(protocol: Protocol) -> bool:
    """Whether mirrored heatmaps move by a pixel: UDP's never do, it has no bias for that to make up for."""
    return protocol.shift_flipped and protocol.codec != "udp"


def check_aspect(data: DataSet, input_hw: tuple[int, int]) -> None:
    """Raises ValueError where the boxes were made for an input of another aspect, which would stretch people."""
    scales = data.people.scales
    aspect = input_hw[1] / input_hw[0]
    if len(scales) and not np.allclose(scales[:, 0], aspect * scales[:, 1], rtol=1e-4, atol=0):
        ratio = float(scales[0, 0] / scales[0, 1])
        raise ValueError(
            f"{data.name} was opened for inputs {ratio:.3f} times as wide as high, and this network's is "
            f"{hw_text(input_hw)}; open it with input_hw={input_hw}"
        )


def device_of(name: str) -> torch.device:
    """The device of that name; of `auto` a GPU if torch finds one, else the CPU.

    Raises:
        ValueError: there is none, or this machine has no such.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        if device.type == "meta":
            raise NotImplementedError("it holds no numbers")
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = first_said(error)
        raise ValueError(f"no device {name!r} here ({reason}); give another, such as --device cpu") from error
    return device


class _Samples(Dataset[Any]):
    """Samples, or what is wrong with one, see `collate`."""

    def __init__(self, samples: InferenceSamples) -> None:
        self._samples = samples

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Any:
        try:
            return self._samples[index]
        except DataError as error:
            return error


def workers_of(runtime: Runtime, device: torch.device, batches: int) -> int:
    """How many processes make these batches; each makes whole ones.

    Where nobody says how many, a GPU has some if there is enough to do for each, unless they would run the user's
    script again, or this process is somebody's worker and may not start any.
    """
    wanted = runtime.workers
    if wanted is None:
        busy = device.type == "cuda" and batches > WORKERS_OF_GPU
        wanted = min(WORKERS_OF_GPU, cores()) if busy and _may_fork() else 0
    return min(wanted, batches)


def _may_fork() -> bool:
    return multiprocessing.parent_process() is None and multiprocessing.get_start_method() == "fork"


def _batches(
    data: DataSet, protocol: Protocol, input_hw: tuple[int, int], runtime: Runtime, device: torch.device
) -> Iterator[dict[str, Tensor]]:
    samples = InferenceSamples(data, protocol, input_hw)
    workers = workers_of(runtime, device, math.ceil(len(samples) / runtime.batch))
    loader: DataLoader[Any] = DataLoader(
        _Samples(samples), batch_size=runtime.batch, num_workers=workers,
        collate_fn=partial(collate, names=NEEDED), worker_init_fn=worker_init,
        pin_memory=device.type == "cuda",
    )  # fmt: skip
    for batch in loader:
        if isinstance(batch, DataError):
            raise batch
        yield batch
