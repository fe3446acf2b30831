"""Heatmaps to joints, and from the pixels of heatmaps to those of the image."""

# ruff: noqa: N803 - the capitals at the end of a name are its axes

import torch
from torch import Tensor

from dpn.data.crops import PIXEL_STD
from dpn.heatmaps.codec import Codec
from dpn.heatmaps.newton import dark_step, udp_step
from dpn.heatmaps.peaks import maxima, quarter_step


def decode(heatmaps_BKHW: Tensor, codec: Codec) -> tuple[Tensor, Tensor]:
    """The joints in heatmaps: position and height of each map's maximum (get_final_preds, before the image).

    Of equal maxima the first in reading order counts; where the maximum is not positive, the position is (0, 0).
    Then `quarter` moves by a quarter of a pixel, see `dpn.heatmaps.peaks`, and `dark` and `udp` take a Newton step, see
    `dpn.heatmaps.newton`.

    Args:
        heatmaps_BKHW: (B, K, H, W), floating.
        codec: how.

    Returns:
        Coordinates (B, K, 2), heatmap pixels, and scores (B, K), the maxima as they are; float32.

    Raises:
        ValueError: the heatmaps are not of the codec's size.

    Example:
        >>> codec = Codec(name="quarter", input_hw=(32, 32), sigma=1)
        >>> heatmaps = torch.zeros(1, 1, 8, 8)
        >>> heatmaps[0, 0, 3, 4], heatmaps[0, 0, 3, 5] = 1, 0.5
        >>> decode(heatmaps, codec)
        (tensor([[[4.2500, 3.0000]]]), tensor([[1.]]))
    """
    if heatmaps_BKHW.ndim != 4 or heatmaps_BKHW.shape[2:] != codec.heatmap_hw:
        raise ValueError(
            f"heatmaps of shape {tuple(heatmaps_BKHW.shape)}; an input of {codec.input_hw} at stride {codec.stride} "
            f"needs (B, K, {codec.heatmap_hw[0]}, {codec.heatmap_hw[1]})"
        )
    maps = heatmaps_BKHW.detach().contiguous()
    scores, index = maxima(maps)
    peaks = torch.stack((index % codec.heatmap_hw[1], index // codec.heatmap_hw[1]), -1)
    peaks = torch.where(scores[..., None] > 0, peaks, 0)
    if codec.name == "quarter":
        step = quarter_step(maps, peaks)
    else:
        newton = dark_step if codec.name == "dark" else udp_step
        flat = newton(maps.flatten(0, 1), peaks.flatten(0, 1), scores.flatten(), codec.sigma)
        step = flat.view(peaks.shape)
    return (peaks + step).float(), scores.float()


def to_image(
    coordinates_BK2: Tensor,
    centers_B2: Tensor,
    scales_B2: Tensor,
    codec: Codec,
) -> Tensor:
    """Heatmap pixels to image pixels: the inverse of the unrotated crop (transform_preds).

    With centre c and scale s, x = (hx - W / 2) 200 s_x / W + c_x, and y = (hy - H / 2) 200 s_x / W + c_y: the width's
    scale serves both. For `udp`, x = (hx / (W - 1) - 1 / 2) 200 s_x + c_x and y = (hy / (H - 1) - 1 / 2) 200 s_y + c_y.

    Args:
        coordinates_BK2: (B, K, 2), heatmap pixels.
        centers_B2: (B, 2), image pixels.
        scales_B2: (B, 2), in units of 200 px, see `dpn.data.people.People`.
        codec: how the heatmaps were made.

    Returns:
        (B, K, 2), float64.
    """
    device = coordinates_BK2.device
    size_wh = torch.tensor(codec.heatmap_hw[::-1], dtype=torch.float64, device=device)
    lengths = (scales_B2 * PIXEL_STD).to(device, torch.float64)  # in the scale's own type first, as published
    centers = centers_B2.to(device, torch.float64)
    if codec.name == "udp":
        pixel, middle = lengths / (size_wh - 1), (size_wh - 1) / 2
    else:
        pixel, middle = lengths[:, :1] / size_wh[0], size_wh / 2
    return (coordinates_BK2.double() - middle) * pixel[:, None] + centers[:, None]
