"""Images in any of the forms in which they come, as batches for a network. Needs torch."""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Images = Tensor | Iterable[Tensor | NDArray[Any]]
"""A batch (n, C, H, W), or anything that yields images (C, H, W); all of one size."""


def each(images: Images) -> Iterator[Tensor]:
    """The images one by one.

    Raises:
        ValueError: they are no images, or of several sizes.
    """
    shape: tuple[int, ...] | None = None
    for image in images:
        tensor = torch.as_tensor(image)
        if tensor.dim() != 3:
            raise ValueError(f"images are (C, H, W), or one batch (n, C, H, W), not {tuple(tensor.shape)}")
        shape = shape or tuple(tensor.shape)
        if tuple(tensor.shape) != shape:
            raise ValueError(f"images of {shape} and {tuple(tensor.shape)}; give images of one size")
        yield tensor


def batches_of(images: Images, size: int) -> Iterator[Tensor]:
    """The images in batches (B, C, H, W) of that size; the last may be smaller."""
    waiting: list[Tensor] = []
    for image in each(images):
        waiting.append(image)
        if len(waiting) == size:
            yield torch.stack(waiting)
            waiting = []
    if waiting:
        yield torch.stack(waiting)


def like(net: nn.Module, images: Tensor) -> Tensor:
    """Images on the device and in the precision of a network."""
    one = next((tensor for tensor in (*net.parameters(), *net.buffers()) if tensor.is_floating_point()), images)
    return images.to(one.device, one.dtype)
