"""Keypoints in boxes: from positions to cells of a box's heatmap, and from heatmaps back to positions.

A heatmap of S x S cells spans its box, whatever the box's shape. He et al., ICCV 2017, section 5; positions are
continuous, and the centre of cell i is at i + 1/2, after Heckbert.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def keypoint_cells(keypoints: Tensor, boxes: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """The cell in which each keypoint falls, row * side + column, and whether it can be learned: (N, J) and (N, J).

    A keypoint cannot be learned when it is not labelled or lies outside its box; its cell is then 0. The right and
    the lower border belong to the last cell.

    Args:
        keypoints: (N, J, 3), x, y and a visibility that is 0 where there is no label.
        boxes: (N, 4), one for each row of keypoints.
        side: cells along each side of a heatmap, S.
    """
    corner, sizes = boxes[:, None, :2], boxes[:, None, 2:] - boxes[:, None, :2]
    place = (keypoints[..., :2] - corner) * side / sizes
    cell = place.floor().long()
    cell = torch.where(keypoints[..., :2] == boxes[:, None, 2:], side - 1, cell)
    known = (keypoints[..., 2] > 0) & ((cell >= 0) & (cell < side)).all(-1)
    return (cell[..., 1] * side + cell[..., 0]) * known, known


def decode_keypoints(heatmaps: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Positions (N, J, 2) in pixels of the image, and the logits (N, J) of the heatmaps there.

    Each heatmap is enlarged to its box, bicubically, to whole pixels; the position is the centre of the best pixel.
    On the meta device, where a box has no size, the results have their shapes and no enlargement takes place.

    Args:
        heatmaps: (N, J, S, S) logits.
        boxes: (N, 4) in pixels.
    """
    if heatmaps.is_meta:
        return heatmaps.new_empty((*heatmaps.shape[:2], 2)), heatmaps.new_empty(heatmaps.shape[:2])
    sizes = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1)
    positions = boxes.new_zeros((*heatmaps.shape[:2], 2))
    logits = heatmaps.new_zeros(heatmaps.shape[:2])
    for n, (width, height) in enumerate(sizes.ceil().int().tolist()):
        enlarged = F.interpolate(heatmaps[n : n + 1], size=(height, width), mode="bicubic", align_corners=False)
        logits[n], best = enlarged[0].flatten(1).max(1)
        cell = torch.stack([best % width, best // width], dim=1)
        positions[n] = boxes[n, :2] + (cell + 0.5) * sizes[n] / boxes.new_tensor([width, height])
    return positions, logits
