"""How far heatmaps are from their targets: the loss of SimpleBaseline and HRNet, and a share of hits for logs."""

import torch
from torch import Tensor

from dpn.heatmaps.peaks import at_least_float32, maxima


def joints_mse(heatmaps: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Half the mean, over people, joints and pixels, of (w (p - t))^2 (JointsMSELoss).

    Joints without weight count in the mean, and weights enter squared. In half precision it is computed in float32.

    Args:
        heatmaps: (B, K, H, W), of the network.
        targets: of the same shape.
        weights: (B, K).

    Returns:
        A scalar.

    Raises:
        ValueError: the shapes do not fit each other.

    Example:
        >>> heatmaps, targets = torch.ones(1, 2, 4, 4), torch.zeros(1, 2, 4, 4)
        >>> joints_mse(heatmaps, targets, torch.tensor([[1.0, 0.0]]))
        tensor(0.2500)
    """
    _check_loss(heatmaps, targets, weights)
    difference = (at_least_float32(heatmaps) - targets) * weights[..., None, None]
    loss: Tensor = 0.5 * difference.square().mean()
    return loss


def accuracy(heatmaps: Tensor, targets: Tensor, weights: Tensor, *, threshold: float = 0.5) -> Tensor:
    """The share of joints whose highest pixel is near that of the target, for logs while training; no metric.

    Near means that the distance, each axis in tenths of the map on that axis, is at most the threshold. Every joint
    counts that has a weight and a target in its map. The published function of this name (SimpleBaseline, HRNet)
    divides x by the height and y by the width, leaves out targets in the first two rows and columns, and ignores its
    threshold.

    Args:
        heatmaps: (B, K, H, W), of the network.
        targets: of the same shape.
        weights: (B, K).
        threshold: in tenths of the map.

    Returns:
        A scalar, NaN where no joint counts.

    Raises:
        ValueError: the shapes do not fit each other.
    """
    _check_loss(heatmaps, targets, weights)
    rows, columns = heatmaps.shape[2:]
    _, found = maxima(heatmaps.detach())
    heights, wanted = maxima(targets.detach())
    x = (found % columns - wanted % columns) * (10 / columns)
    y = (found // columns - wanted // columns) * (10 / rows)
    counted = (weights > 0) & (heights > 0)
    return (counted & (torch.hypot(x, y) <= threshold)).sum() / counted.sum()


def _check_loss(heatmaps: Tensor, targets: Tensor, weights: Tensor) -> None:
    """Broadcasting would accept some of what is wrong here."""
    if heatmaps.shape != targets.shape or weights.shape != heatmaps.shape[:2]:
        raise ValueError(
            f"heatmaps {tuple(heatmaps.shape)}, targets {tuple(targets.shape)}, weights {tuple(weights.shape)}; "
            "pass (B, K, H, W) twice and (B, K)"
        )
