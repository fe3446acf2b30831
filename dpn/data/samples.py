"""Crops and joints as tensors, for PyTorch's DataLoader: training samples and those to predict."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from dpn.arrays import Pixels
from dpn.data.augment import Sample, apply, draw, generator, unchanged
from dpn.data.crops import MEAN, STD
from dpn.data.people import DataSet, Examples, Images
from dpn.data.problems import DataError
from dpn.protocols import Protocol


class TrainingSamples(Dataset[dict[str, Tensor]]):
    """Augmented samples.

    All randomness of a sample comes from (seed, epoch, index): any number of workers gives the same samples, and no two
    epochs are alike.

    Attributes:
        examples: the people.
        protocol: how they become samples.
        input_hw: height and width of the network's input.
        seed: of the augmentation.
        epoch: whose samples are given, counted from 0.
    """

    def __init__(self, examples: Examples, protocol: Protocol, input_hw: tuple[int, int], seed: int = 0) -> None:
        self.examples = examples
        self.protocol = protocol
        self.input_hw = input_hw
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Makes this the epoch, in this process.

        Worker processes have copies of this object. So call it before a DataLoader starts its workers, or inside them,
        with indices that carry the epoch, where they live longer than one (`persistent_workers`).
        """
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.examples)

    def sample(self, index: int) -> Sample:
        """The sample of that number in this epoch."""
        example = self.examples.example(index)
        height, width = self.input_hw
        rng = generator(self.seed, self.epoch, index)
        change = draw(rng, self.protocol.augmentation, example, self.examples.skeleton, width / height)
        return apply(example, change, self.examples.skeleton, self.protocol, self.input_hw)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """See `tensors`."""
        return tensors(self.sample(index))


class InferenceSamples(Dataset[dict[str, Tensor]]):
    """Everyone of a data set in its order, as the boxes have them, without augmentation.

    Attributes:
        data: the people.
        protocol: how they become samples.
        input_hw: height and width of the network's input.
    """

    def __init__(self, data: DataSet, protocol: Protocol, input_hw: tuple[int, int]) -> None:
        self.data = replace(data, images=_LastImage(data.images))
        self.protocol = protocol
        self.input_hw = input_hw

    def __len__(self) -> int:
        return len(self.data)

    def sample(self, index: int) -> Sample:
        """The sample of that number."""
        example = self.data.example(index)
        return apply(example, unchanged(example), self.data.skeleton, self.protocol, self.input_hw)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """See `tensors`."""
        return tensors(self.sample(index))


class _LastImage:
    """Images of which the last one read is kept: a detector finds some twenty boxes in each, one after another."""

    def __init__(self, images: Images) -> None:
        self._images = images
        self._last: tuple[str, Pixels] | None = None

    def read(self, name: str) -> Pixels:
        if self._last is None or self._last[0] != name:
            self._last = name, self._images.read(name)
        return self._last[1]

    def find(self, name: str) -> str | None:
        return self._images.find(name)

    def __getstate__(self) -> dict[str, object]:
        return {"_images": self._images, "_last": None}  # a worker that is spawned needs no pixels


def tensors(sample: Sample) -> dict[str, Tensor]:
    """What a DataLoader stacks to a batch.

    Returns:
        crop (H, W, 3) uint8 and joints (K, 2) float64 in crop pixels, visible (K,) float64, center and scale (2,) of
        the data set's own type.
    """
    return {
        "crop": torch.from_numpy(sample.crop),
        "joints": torch.from_numpy(np.asarray(sample.joints, dtype=np.float64)),
        "visible": torch.tensor(sample.visible, dtype=torch.float64),
        "center": torch.tensor(sample.center),
        "scale": torch.tensor(sample.scale),
    }


def collate(samples: list[Any], names: Sequence[str]) -> dict[str, Tensor] | DataError:
    """For DataLoader's `collate_fn`: the batch, or what is wrong with its first sample that could not be made.

    An error that is raised loses its text on the way from a worker process; one that is handed over does not. Each
    tensor costs a talk with that process.

    Args:
        samples: each as `tensors` has it, or the DataError in its place.
        names: of the tensors that the batch has.
    """
    broken = next((sample for sample in samples if isinstance(sample, DataError)), None)
    return broken or default_collate([{name: sample[name] for name in names} for sample in samples])


def worker_init(worker: int) -> None:  # noqa: ARG001  (DataLoader gives it)
    """For DataLoader's `worker_init_fn`: OpenCV works on the worker's own thread alone.

    By default each call of OpenCV spreads over all cores. With a worker on each core there are as many threads as the
    square of the cores, and they wait for each other. Worse, a forked worker inherits its parent's pool of threads
    without the threads themselves, and may wait for them for ever. With 0 OpenCV leaves the pool alone.
    """
    cv2.setNumThreads(0)


def to_input(crops: Tensor, *, channels_last: bool = False) -> Tensor:
    """Crops as the network takes them: divided by 255, less ImageNet's mean, by its deviation.

    The operations and their order are those of torchvision's ToTensor and Normalize, so the result is theirs bit for
    bit. Zeros outside the image become (-2.118, -2.036, -1.804), less than any colour. Means and deviations are those
    of red, green and blue in this order whatever the order of the crop's colours, as in the published code.

    Args:
        crops: (B, H, W, 3) uint8, on any device.
        channels_last: leave colours where they are in memory.

    Returns:
        (B, 3, H, W) float32, contiguous in one of the two memory formats, on the same device.
    """
    people, height, width, colours = crops.shape
    full, mean, std = _constants(crops.device)
    if not channels_last:
        images = crops.permute(0, 3, 1, 2).contiguous()
        return images.to(torch.float32).div_(full).sub_(mean[:, None, None]).div_(std[:, None, None])
    rows = crops.reshape(people, height, width * colours)  # whole rows at once: three numbers at a time are slow
    rows = rows.to(torch.float32).div_(full).sub_(mean.repeat(width)).div_(std.repeat(width))
    return rows.view(crops.shape).permute(0, 3, 1, 2)


@cache
def _constants(device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """255, mean and deviation as tensors on the device: CUDA divides by a plain number as it multiplies by 1 / 255."""
    mean, std = (torch.tensor(values, device=device) for values in (MEAN, STD))
    return torch.tensor(255.0, device=device), mean, std
