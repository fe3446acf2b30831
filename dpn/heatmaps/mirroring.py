"""Heatmaps of a mirrored image, and their mean with those of the image."""

# ruff: noqa: N803 - the capitals at the end of a name are its axes

from collections.abc import Sequence

import torch
from torch import Tensor

from dpn.heatmaps.peaks import at_least_float32

FlipPairs = Sequence[tuple[int, int]]


def flip_back(heatmaps_BKHW: Tensor, flip_pairs: FlipPairs) -> Tensor:
    """Heatmaps of a mirrored image as those of the image: mirrored, left and right joints exchanged.

    Args:
        heatmaps_BKHW: (B, K, H, W).
        flip_pairs: see `dpn.skeletons.Skeleton.flip_pairs`.

    Raises:
        ValueError: a pair names a joint that there is not.
    """
    order = list(range(heatmaps_BKHW.shape[1]))
    for left, right in flip_pairs:
        if not (0 <= left < len(order) and 0 <= right < len(order)):
            raise ValueError(
                f"flip pair ({left}, {right}) of {len(order)} joints; pass those of the heatmaps' skeleton"
            )
        order[left], order[right] = right, left
    return heatmaps_BKHW.index_select(1, torch.tensor(order, device=heatmaps_BKHW.device)).flip(-1)


def flip_average(
    plain_BKHW: Tensor,
    flipped_BKHW: Tensor,
    flip_pairs: FlipPairs,
    *,
    shift: bool,
) -> Tensor:
    """The mean of the heatmaps of an image and of its mirror image (HRNet's flip test).

    Args:
        plain_BKHW: (B, K, H, W), of the image.
        flipped_BKHW: of the same shape, of the mirror image, as the network gave them.
        flip_pairs: see `dpn.skeletons.Skeleton.flip_pairs`.
        shift: whether heatmaps that were mirrored back move by one column to the right first (SHIFT_HEATMAP), the first
            column staying what it was. Right for `quarter` and `dark`, wrong for `udp`: a mistake costs about 2 AP.

    Returns:
        Of the same shape; float32 where the heatmaps are in half precision.

    Raises:
        ValueError: the shapes differ, or a pair names a joint that there is not.
    """
    if plain_BKHW.shape != flipped_BKHW.shape:
        raise ValueError(f"heatmaps of shapes {tuple(plain_BKHW.shape)} and {tuple(flipped_BKHW.shape)} of one image")
    plain, back = at_least_float32(plain_BKHW), at_least_float32(flip_back(flipped_BKHW, flip_pairs))
    if shift:
        back = torch.cat((back[..., :1], back[..., :-1]), dim=-1)
    return (plain + back).mul_(0.5)
