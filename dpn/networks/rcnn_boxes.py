"""Boxes in images: anchors, coding, overlap, non-maximum suppression, and RoIAlign over a feature pyramid.

A box is (left, top, right, bottom) in pixels of the network's input, without the "+ 1" of older code: its width is
right - left. Nothing here has parameters. Ren et al., NIPS 2015; Lin et al., CVPR 2017; He et al., ICCV 2017.

On the meta device, where no value is known, whatever the values would select is taken to be everything: all boxes
pass a filter and suppress none, so that shapes, and with them the counted costs, are the largest possible.
"""

import math
from collections.abc import Sequence
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

LARGEST_GROWTH = math.log(1000 / 16)
"""Largest logarithm of a box's growth in one decoding, so that an untrained network does not overflow."""

Weights = tuple[float, float, float, float]


def precise(tensor: Tensor) -> Tensor:
    """The tensor in single precision or better, because half precision cannot tell pixels of a large image apart."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def anchors(map_hw: tuple[int, int], image_hw: tuple[int, int], side: int, *, like: Tensor) -> Tensor:
    """The anchors of one pyramid level, (h * w * 3, 4), row by row, at each place height : width = 1/2, 1 and 2.

    All have the area side^2 up to rounding to whole pixels, and stand centred on the top left corners of the cells.
    A cell's size is the image's divided by the map's, rounded down, as in torchvision, with which the weights were
    trained: on P6, whose map is rounded up, it may be less than 64.

    Args:
        map_hw: height and width of the level's map.
        image_hw: height and width of the network's input.
        side: of the square anchor, in pixels.
        like: gives device and dtype.
    """
    roots = torch.tensor([0.5, 1.0, 2.0], dtype=like.dtype, device=like.device).sqrt()
    halves = torch.stack([side / roots, side * roots], dim=1) / 2  # of width and height
    shapes = torch.cat([-halves, halves], dim=1).round()
    ys, xs = (
        torch.arange(cells, dtype=like.dtype, device=like.device) * (pixels // cells)
        for cells, pixels in zip(map_hw, image_hw, strict=True)
    )
    y, x = torch.meshgrid(ys, xs, indexing="ij")
    places = torch.stack([x, y, x, y], dim=-1).reshape(-1, 1, 4)
    return (places + shapes).reshape(-1, 4)


def _centres_and_sizes(boxes: Tensor) -> tuple[Tensor, Tensor]:
    sizes = boxes[..., 2:] - boxes[..., :2]
    return boxes[..., :2] + sizes / 2, sizes


def encode(boxes: Tensor, references: Tensor, weights: Weights) -> Tensor:
    """Boxes (..., 4) relative to references: shift of the centre in reference sizes and logarithm of the growth."""
    centres, sizes = _centres_and_sizes(boxes)
    reference_centres, reference_sizes = _centres_and_sizes(references)
    shift = (centres - reference_centres) / reference_sizes
    return torch.cat([shift, (sizes / reference_sizes).log()], dim=-1) * boxes.new_tensor(weights)


def decode(deltas: Tensor, references: Tensor, weights: Weights) -> Tensor:
    """The inverse of `encode`, with growth limited to `LARGEST_GROWTH`."""
    deltas = deltas / torch.tensor(weights, dtype=deltas.dtype, device=deltas.device)
    centres, sizes = _centres_and_sizes(references)
    centres = centres + deltas[..., :2] * sizes
    halves = deltas[..., 2:].clamp(max=LARGEST_GROWTH).exp() * sizes / 2
    return torch.cat([centres - halves, centres + halves], dim=-1)


def clip(boxes: Tensor, image_hw: tuple[int, int]) -> Tensor:
    """The parts of boxes (..., 4) that are inside the image."""
    height, width = image_hw
    x, y = boxes[..., 0::2].clamp(0, width), boxes[..., 1::2].clamp(0, height)
    return torch.stack([x[..., 0], y[..., 0], x[..., 1], y[..., 1]], dim=-1)


def areas(boxes: Tensor) -> Tensor:
    """Areas of boxes (..., 4)."""
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def overlaps(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of every box of a (A, 4) with every box of b (B, 4): (A, B)."""
    top_left = torch.maximum(a[:, None, :2], b[None, :, :2])
    bottom_right = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    width, height = (bottom_right - top_left).clamp(min=0).unbind(-1)
    shared = width * height
    return shared / (areas(a)[:, None] + areas(b)[None, :] - shared)


def where(mask: Tensor) -> Tensor:
    """Indices at which a mask (N,) holds; all N on the meta device."""
    return torch.arange(len(mask), device=mask.device) if mask.is_meta else mask.nonzero().squeeze(1)


def at_least(boxes: Tensor, side: float) -> Tensor:
    """Indices of the boxes (N, 4) of which neither side is shorter."""
    return where(((boxes[:, 2:] - boxes[:, :2]) >= side).all(1))


def nms(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    """Greedy non-maximum suppression: indices of the boxes that are kept, by falling score; all on the meta device.

    A box (N, 4) goes when it overlaps one that is kept and has a higher score (N,) by more than the threshold; of
    equal scores the first counts as higher.

    The greedy loop is solved as a fixed point: keep what no kept better box suppresses, until nothing changes. After
    k rounds the best k boxes are decided for good, so that it ends, and ends there where the loop would; it takes as
    many rounds as the longest chain of boxes that save each other, which is few.
    """
    order = scores.argsort(descending=True, stable=True)
    if boxes.is_meta:
        return order
    suppresses = (overlaps(boxes[order], boxes[order]) > threshold).triu(diagonal=1)
    kept = torch.ones_like(order, dtype=torch.bool)
    while True:
        now = ~(suppresses & kept[:, None]).any(0)
        if torch.equal(now, kept):
            return order[kept]
        kept = now


def pyramid_levels(boxes: Tensor, count: int) -> Tensor:
    """The level (N,) of each box (N, 4) in a pyramid whose `count` levels begin at P2: Eq. 1 of Lin et al.

    A box of 224 x 224 pixels belongs to P4, which is 2 here; one of half the side to the level before.
    """
    level = (areas(boxes).sqrt() / 224).log2() + 4 + 1e-6  # the last so that rounding makes no 224 a 223.99
    return level.floor().clamp(2, count + 1).long() - 2


def roi_align(
    maps: Sequence[Tensor], strides: Sequence[int], boxes: Tensor, places: tuple[Tensor, Tensor], size: int
) -> Tensor:
    """RoIAlign with 2 x 2 samples a bin, each region on its own level of a pyramid: (R, C, size, size).

    A bin is the mean of its four samples, a sample the bilinear mean of the four cells around it, where the centre of
    cell i is at i: the variant without the later shift by half a cell, `aligned=False`. A region is at least one cell
    wide and high. Samples up to one cell outside the map take the value at the border; further out they are 0.

    The maps are read as one list of cells, so that regions of all levels are treated at once and no shape depends on
    how many belong to which.

    Args:
        maps: the levels, each (B, C, H, W).
        strides: pixels of the image to one cell, for each level.
        boxes: the regions, (R, 4), in pixels.
        places: image and level of each region, (R,) and (R,).
        size: bins along each side.
    """
    image, level = places
    cells = torch.cat([m.permute(0, 2, 3, 1).flatten(0, 2) for m in maps])
    sizes = torch.tensor([m.shape[2:] for m in maps], device=boxes.device)[level]
    firsts = [0]
    for m in maps[:-1]:
        firsts.append(firsts[-1] + m.numel() // m.shape[1])
    first = torch.tensor(firsts, device=boxes.device)[level] + image * sizes.prod(1)
    scaled = boxes / torch.tensor(strides, dtype=boxes.dtype, device=boxes.device)[level, None]
    x, x_share = _taps(scaled[:, 0], scaled[:, 2], sizes[:, 1], size)
    y, y_share = _taps(scaled[:, 1], scaled[:, 3], sizes[:, 0], size)
    y = first[:, None, None] + y * sizes[:, 1, None, None]
    pooled = torch.zeros((), dtype=cells.dtype, device=cells.device)
    for i, j in product(range(4), repeat=2):
        share = (y_share[:, :, None, i] * x_share[:, None, :, j]).to(cells.dtype)
        pooled = pooled + share[..., None] * F.embedding(y[:, :, None, i] + x[:, None, :, j], cells)
    return pooled.permute(0, 3, 1, 2)


def _taps(start: Tensor, end: Tensor, cells: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The four cells that each bin reads along one axis, two samples with two neighbours each, and their shares.

    Both (R, size, 4).
    """
    length = (end - start).clamp(min=1)
    samples = (torch.arange(2 * size, dtype=start.dtype, device=start.device) + 0.5) / (2 * size)
    position = start[:, None] + length[:, None] * samples
    last = cells[:, None] - 1
    inside = (position >= -1) & (position <= last + 1)
    position = torch.minimum(position.clamp(min=0), last.to(position.dtype))
    low = position.floor()
    far = position - low
    low = low.long()
    taps = torch.stack([low, torch.minimum(low + 1, last)], dim=-1)
    share = torch.stack([1 - far, far], dim=-1) * inside[..., None] / 2
    return taps.reshape(len(start), size, 4), share.reshape(len(start), size, 4)
