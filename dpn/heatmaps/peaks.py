"""The highest pixel of each heatmap, and HRNet's quarter of a pixel from there towards its higher neighbour."""

# ruff: noqa: N803 - the capitals at the end of a name are its axes

import torch
from torch import Tensor


def maxima(maps_BKHW: Tensor) -> tuple[Tensor, Tensor]:
    """Each map's maximum and its first place in reading order, y W + x: two tensors (B, K); int64 the second.

    As in numpy, NaN is larger than everything.
    """
    flat = maps_BKHW.flatten(2)
    if flat.device.type == "cpu" and flat.dtype == torch.float32:  # numpy's search is three times as fast
        index = torch.from_numpy(flat.numpy().argmax(-1))
        return flat.gather(2, index[..., None])[..., 0], index
    scores, index = flat.max(-1)
    return scores, index


def quarter_step(maps_BKHW: Tensor, peaks_BK2: Tensor) -> Tensor:
    """A quarter of a pixel on each axis towards the higher neighbour, none between equal ones.

    This is what HRNet's code does; the DPN paper words it as an offset in the direction from the highest response to
    the second-highest.

    There is none on either axis unless 1 < x < W - 1 and 1 < y < H - 1: as published, a maximum in the second column
    stays, and one in the last but one moves.

    Args:
        maps_BKHW: (B, K, H, W).
        peaks_BK2: (B, K, 2) int64, x and y.

    Returns:
        (B, K, 2) float32.
    """
    rows, columns = maps_BKHW.shape[2:]
    x, y = peaks_BK2.unbind(-1)
    movable = (x > 1) & (x < columns - 1) & (y > 1) & (y < rows - 1)
    aside = torch.tensor((1, columns, -1, -columns), device=maps_BKHW.device)
    places = ((y * columns + x)[..., None] + aside).clamp(0, rows * columns - 1)
    near = maps_BKHW.flatten(2).gather(2, places)
    after, before = near[..., :2], near[..., 2:]
    step: Tensor = 0.25 * ((after > before).float() - (after < before).float())
    return step * movable[..., None]


def at_least_float32(maps: Tensor) -> Tensor:
    """Half precision as float32, everything else as it is."""
    return maps.to(torch.promote_types(maps.dtype, torch.float32))
