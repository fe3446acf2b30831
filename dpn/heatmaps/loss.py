"""How far heatmaps are from their targets: the loss of SimpleBaseline and HRNet."""

from torch import Tensor

from dpn.heatmaps.peaks import at_least_float32


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
        >>> import torch
        >>> heatmaps, targets = torch.ones(1, 2, 4, 4), torch.zeros(1, 2, 4, 4)
        >>> joints_mse(heatmaps, targets, torch.tensor([[1.0, 0.0]]))
        tensor(0.2500)
    """
    if heatmaps.shape != targets.shape or weights.shape != heatmaps.shape[:2]:  # some of it would broadcast
        raise ValueError(
            f"heatmaps {tuple(heatmaps.shape)}, targets {tuple(targets.shape)}, weights {tuple(weights.shape)}; "
            "pass (B, K, H, W) twice and (B, K)"
        )
    difference = (at_least_float32(heatmaps) - targets) * weights[..., None, None]
    loss: Tensor = 0.5 * difference.square().mean()
    return loss
