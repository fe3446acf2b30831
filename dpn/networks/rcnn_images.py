"""Photographs as Mask R-CNN takes them, and its findings in the photographs' own pixels."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from dpn.networks.mask_rcnn import Detections

MEAN = (0.485, 0.456, 0.406)
STANDARD_DEVIATION = (0.229, 0.224, 0.225)
"""Of red, green and blue in ImageNet, like the mean."""


class Batch(NamedTuple):
    """Images that are ready for the network.

    Attributes:
        images: (B, 3, H, W); zeros, which is the mean colour, to the right of and below each image.
        hw: height and width of each image in it.
    """

    images: Tensor
    hw: list[tuple[int, int]]


def batch(photographs: Sequence[Tensor], *, shorter: int = 800, longer: int = 1333, multiple: int = 32) -> Batch:
    """Normalises, resizes and pads photographs, as for torchvision's released detectors.

    Each is scaled, bilinearly, so that its shorter side is `shorter` pixels, or less where the longer side would
    exceed `longer`. What the network finds is in the new pixels; `in_photograph` takes it back.

    Args:
        photographs: each (3, height, width), RGB between 0 and 1.
        shorter: side in pixels.
        longer: side in pixels.
        multiple: height and width of the batch are multiples of it.
    """
    scaled = []
    for photograph in photographs:
        if photograph.dim() != 3 or photograph.shape[0] != 3 or not photograph.is_floating_point():
            raise ValueError(
                f"a photograph is a floating-point tensor (3, height, width) with values between 0 and 1, "
                f"not {photograph.dtype} of shape {tuple(photograph.shape)}; divide bytes by 255"
            )
        mean, deviation = (photograph.new_tensor(values)[:, None, None] for values in (MEAN, STANDARD_DEVIATION))
        sides = photograph.shape[1:]
        scale = min(shorter / min(sides), longer / max(sides))
        size = [max(1, int(side * scale)) for side in sides]
        normal = ((photograph - mean) / deviation)[None]
        scaled.append(F.interpolate(normal, size=size, mode="bilinear", align_corners=False)[0])
    hw = [(image.shape[1], image.shape[2]) for image in scaled]
    height, width = (-(-max(sides) // multiple) * multiple for sides in zip(*hw, strict=True))
    padded = [F.pad(image, (0, width - image.shape[2], 0, height - image.shape[1])) for image in scaled]
    return Batch(torch.stack(padded), hw)


def in_photograph(found: Detections, hw: tuple[int, int], photograph_hw: tuple[int, int]) -> Detections:
    """What was found in a resized image, in pixels of the photograph that it was made of.

    Example:
        >>> images, hws = batch([torch.rand(3, 480, 640)])
        >>> whole = torch.tensor([[0.0, 0, 1066, 800]])
        >>> found = Detections(whole, torch.ones(1), torch.zeros(1, 17, 2), torch.zeros(1, 17))
        >>> in_photograph(found, hws[0], (480, 640)).boxes.round().tolist()
        [[0.0, 0.0, 640.0, 480.0]]

    Args:
        found: in one image of a `Batch`, as `MaskRCNN` returns it.
        hw: height and width of that image in the batch, without padding.
        photograph_hw: height and width of the photograph.
    """
    factors = found.boxes.new_tensor([new / old for new, old in zip(photograph_hw[::-1], hw[::-1], strict=True)])
    return found._replace(boxes=found.boxes * factors.repeat(2), keypoints=found.keypoints * factors)
