"""Joints to heatmaps: the targets that a network learns, and how much each joint counts."""

# ruff: noqa: N803 - the capitals at the end of a name are its axes

from functools import cache

import torch
from torch import Tensor

from dpn.heatmaps.codec import Codec


def encode(joints_BK2: Tensor, visible_BK: Tensor, codec: Codec) -> tuple[Tensor, Tensor]:
    """Target heatmaps of joints, and how much each joint weighs in the loss (JointsDataset.generate_target).

    A visible joint is a Gaussian of height 1. For `quarter` its middle is m = int(x / stride + 0.5), which truncates
    towards zero, and values further than 3 sigma from m on either axis are zero. The map is empty and the weight 0 for
    an invisible joint, and where m - 3 sigma >= size or m + 3 sigma + 1 < 0 on either axis. As published, these limits
    are not alike: at m = -3 sigma - 1 the map is empty too, but the joint keeps its weight. `udp` takes limits and
    square from m, `dark` its limits from the exact position.

    Args:
        joints_BK2: (B, K, 2) or (K, 2), crop pixels, best in float64; anything, even NaN, where a joint is invisible.
        visible_BK: (B, K) or (K,), 1 for a labelled joint, else 0.
        codec: how.

    Returns:
        Targets (B, K, H, W) and weights (B, K), or (K, H, W) and (K,), float32.

    Raises:
        ValueError: the shapes do not fit each other.
    """
    if joints_BK2.shape != (*visible_BK.shape, 2):
        raise ValueError(
            f"joints of shape {tuple(joints_BK2.shape)} and visibilities of shape {tuple(visible_BK.shape)}; "
            "pass (B, K, 2) and (B, K), or (K, 2) and (K,)"
        )
    stride_xy, size_wh = _constants(codec, joints_BK2.device)
    exact = joints_BK2.double() / stride_xy
    middle = exact if codec.name == "dark" else (exact + 0.5).trunc()
    radius = 3 * codec.sigma
    inside = ((middle - radius < size_wh) & (middle + radius + 1 >= 0)).all(-1)  # NaN is not inside
    weights = torch.where(inside, visible_BK.to(exact), 0.0)
    drawn = weights > 0.5
    profiles = []
    for axis, size in enumerate(codec.heatmap_hw[::-1]):
        places = torch.arange(size, dtype=torch.float64, device=exact.device)
        center = middle if codec.name == "quarter" else exact
        profile = torch.exp((places - center[..., axis, None]) ** 2 / (-2 * codec.sigma**2))
        within = (places - middle[..., axis, None]).abs() <= (torch.inf if codec.name == "dark" else radius)
        profiles.append(torch.where(within & drawn[..., None], profile, 0.0).float())
    return profiles[1][..., :, None] * profiles[0][..., None, :], weights.float()


@cache
def _constants(codec: Codec, device: torch.device) -> tuple[Tensor, Tensor]:
    """Stride and size of the heatmaps, along x and y, on the device: each copy to a GPU would make a step wait."""
    stride_xy = torch.tensor(codec.stride_xy, dtype=torch.float64, device=device)
    return stride_xy, torch.tensor(codec.heatmap_hw[::-1], device=device)
