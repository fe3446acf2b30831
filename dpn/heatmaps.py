"""Joints to heatmaps and back: targets, decoding, averaging over mirror images, and the loss between two heatmaps.

Shapes carry their axes, as in `heatmaps_BKHW`:

    B  people of a batch                 H  rows of a heatmap: 64 for an input 256 px high
    K  joints, in a skeleton's order     W  columns of a heatmap: 48 for an input 192 px wide

There are three grids of pixels: those of the image; those of the crop, which is the network's input; and those of the
heatmap, `stride` crop pixels apart. In each the middle of the first pixel is (0, 0), and coordinates are (x, y). All
functions take whole batches and work on the device of their input. Heatmaps may be of any floating type and layout;
half precision is decoded and averaged in float32. No gradient goes through `decode`.

Codecs, by name (`dpn.protocols.CodecName`):

    quarter  SimpleBaseline, HRNet. Targets stand around rounded positions, in a square of 3 sigma. Decoding is argmax
             and a quarter of a pixel towards the higher neighbour. Column i stands for crop pixel 4 i. Mirroring takes
             it to column W - 1 - i, 0.75 heatmap pixels to the left of the mirrored joint; hence the shift of mirrored
             heatmaps by one pixel, which leaves a quarter.
    dark     DARK (Zhang et al., CVPR 2020). Targets stand around exact positions and fill the map. Decoding is argmax
             and a Newton step on the logarithm of the blurred map. The grid is that of `quarter`, and so is the shift.
    udp      UDP with Gaussian targets (Huang et al., CVPR 2020). The outermost pixels of heatmap and crop coincide, so
             that the stride is (input - 1) / (heatmap - 1) and mirroring is exact: no shift. Targets stand around exact
             positions, in a square of 3 sigma. Decoding is argmax and a Newton step. Crops must be UDP's as well:
             `dpn.data.crops.affine` with `unbiased=True`.
"""

# ruff: noqa: N803 - the capitals at the end of a name are its axes

from collections.abc import Sequence

import torch
from torch import Tensor

from dpn.data.crops import PIXEL_STD
from dpn.heatmap_codec import Codec as Codec
from dpn.heatmap_loss import joints_mse as joints_mse
from dpn.heatmap_newton import dark_step, udp_step
from dpn.heatmap_peaks import at_least_float32, maxima, quarter_step

FlipPairs = Sequence[tuple[int, int]]


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
    exact = joints_BK2.double() / torch.tensor(codec.stride_xy, dtype=torch.float64, device=joints_BK2.device)
    middle = exact if codec.name == "dark" else (exact + 0.5).trunc()
    size_wh = torch.tensor(codec.heatmap_hw[::-1], device=exact.device)
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


def decode(heatmaps_BKHW: Tensor, codec: Codec) -> tuple[Tensor, Tensor]:
    """The joints in heatmaps: position and height of each map's maximum (get_final_preds, before the image).

    Of equal maxima the first in reading order counts; where the maximum is not positive, the position is (0, 0).
    Then `quarter` moves by a quarter of a pixel, see `dpn.heatmap_peaks`, and `dark` and `udp` take a Newton step, see
    `dpn.heatmap_newton`.

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
