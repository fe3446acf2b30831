"""The step from a heatmap's highest pixel to the summit between pixels: DARK's and UDP's decoding.

Both blur the map with a Gaussian (11 taps at sigma 2, 17 at sigma 3, of the width that OpenCV gives them), with zeros
around the map; scale it so that its maximum is what it was; bound it from below; and take one Newton step on its
logarithm, which is a parabola where the map is a Gaussian. For UDP that is mmpose 1.x's decoding; the release of UDP's
authors blurs with 7 taps and OpenCV's own border and stretches from minimum to maximum, which moves a joint within 6
pixels of the border by up to 1.5 of them and others by less than 0.01.

Only pixels near the maximum enter, so only those are blurred. The rest of the map matters through the scale, and the
scale only where a bound does: otherwise it adds a constant to the logarithm, which derivatives do not see. Arithmetic
is in float64, which autocast and TF32 leave alone.

There is no step where the published code would return NaN or infinity: a flat map, a blurred map without a positive
value, a heatmap that overflowed. As published, a step may be of any length.
"""

# ruff: noqa: N803 - the capitals at the end of a name are its axes

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class _Modulation:
    """Pixels to each side of the maximum that the step uses, and the bounds of the scaled, blurred map."""

    reach: int
    least: float
    most: float


_DARK = _Modulation(reach=2, least=1e-10, most=torch.inf)
_UDP = _Modulation(reach=1, least=1e-3, most=50.0)
_EPSILON = float(torch.finfo(torch.float32).eps)


def dark_step(maps_NHW: Tensor, peaks_N2: Tensor, maxima_N: Tensor, sigma: float) -> Tensor:
    """DARK's step, Eq. 7 of Zhang et al., CVPR 2020, with its published differences over two pixels (HRNet + DARK).

    There is none where the maximum is not positive, where the Hessian's determinant is 0, and unless 1 < x < W - 2 and
    1 < y < H - 2.

    Args:
        maps_NHW: (N, H, W), floating.
        peaks_N2: (N, 2) int64, x and y of the highest pixel.
        maxima_N: (N,), its value.
        sigma: of the targets, in pixels.

    Returns:
        (N, 2) float64, to be added to the peak.
    """
    near = _log_near(maps_NHW, peaks_N2, maxima_N, sigma, _DARK)

    def at(x: int, y: int) -> Tensor:
        return near[:, 2 + y, 2 + x]

    gradient = 0.5 * torch.stack((at(1, 0) - at(-1, 0), at(0, 1) - at(0, -1)), -1)
    xx = 0.25 * (at(2, 0) - 2 * at(0, 0) + at(-2, 0))
    yy = 0.25 * (at(0, 2) - 2 * at(0, 0) + at(0, -2))
    xy = 0.25 * (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1))
    size_wh = torch.tensor((maps_NHW.shape[2], maps_NHW.shape[1]), device=maps_NHW.device)
    movable = ((peaks_N2 > 1) & (peaks_N2 < size_wh - 2)).all(-1) & (maxima_N > 0)
    return _newton(gradient, xx, xy, yy, movable)


def udp_step(maps_NHW: Tensor, peaks_N2: Tensor, maxima_N: Tensor, sigma: float) -> Tensor:
    """UDP's step: differences over one pixel, the map's edge continued, float32's epsilon on the Hessian's diagonal.

    There is none where the maximum is not positive. Arguments and result are those of `dark_step`.
    """
    near = _log_near(maps_NHW, peaks_N2, maxima_N, sigma, _UDP)
    size_wh = torch.tensor((maps_NHW.shape[2], maps_NHW.shape[1]), device=maps_NHW.device)
    aside = torch.tensor((-1, 0, 1), device=maps_NHW.device)
    places = peaks_N2[..., None] + aside
    kept = torch.minimum(places.clamp(min=0), size_wh[:, None] - 1) - peaks_N2[..., None] + 1  # (N, 2, 3), 0 to 2
    near = near.gather(2, kept[:, 0, None, :].expand(-1, 3, -1)).gather(1, kept[:, 1, :, None].expand(-1, -1, 3))

    def at(x: int, y: int) -> Tensor:
        return near[:, 1 + y, 1 + x]

    gradient = 0.5 * torch.stack((at(1, 0) - at(-1, 0), at(0, 1) - at(0, -1)), -1)
    xx = at(1, 0) - 2 * at(0, 0) + at(-1, 0)
    yy = at(0, 1) - 2 * at(0, 0) + at(0, -1)
    xy = 0.5 * (at(1, 1) - at(1, 0) - at(0, 1) + 2 * at(0, 0) - at(-1, 0) - at(0, -1) + at(-1, -1))
    return _newton(gradient, xx + _EPSILON, xy, yy + _EPSILON, maxima_N > 0)


def _newton(gradient: Tensor, xx: Tensor, xy: Tensor, yy: Tensor, movable: Tensor) -> Tensor:
    """Minus the inverse of the Hessian times the gradient, (N, 2); zero where not movable or not finite."""
    x, y = gradient.unbind(-1)
    step = -torch.stack((yy * x - xy * y, xx * y - xy * x), -1) / (xx * yy - xy * xy)[:, None]
    return torch.where(movable[:, None] & step.isfinite().all(-1, keepdim=True), step, 0.0)


def _log_near(maps: Tensor, peaks: Tensor, maxima: Tensor, sigma: float, modulation: _Modulation) -> Tensor:
    """Logarithm of the blurred map around each peak, up to a constant: (N, 2 reach + 1, 2 reach + 1), float64."""
    taps = _taps(sigma, maps.device)
    size = 2 * modulation.reach + 1
    band = _band(taps, size, size + len(taps) - 1, offset=0)
    blurred = band @ _window(maps, peaks, modulation.reach + len(taps) // 2) @ band.T
    scale = torch.ones(len(maps), dtype=torch.float64, device=maps.device)
    # A blurred maximum is no more than the maximum, so that what exceeds the lower bound unscaled exceeds it scaled.
    at_bound = (blurred.amin((1, 2)) < modulation.least) | (maxima > modulation.most)
    scaled = (at_bound & (maxima > 0)).nonzero()[:, 0]
    if len(scaled):
        highest = _blurred_maxima(maps[scaled], taps)
        scale[scaled] = torch.where(highest > 0, maxima[scaled].double() / highest, 0.0)
    return (blurred * scale[:, None, None]).clamp(modulation.least, modulation.most).log()


def _taps(sigma: float, device: torch.device) -> Tensor:
    """The Gaussian that OpenCV chooses for this number of taps: 11 for a sigma of 2, 17 for 3."""
    half = max(1, round(3 * sigma - 1))
    width = 0.3 * (half - 1) + 0.8
    taps = torch.exp(torch.arange(-half, half + 1, dtype=torch.float64, device=device) ** 2 / (-2 * width**2))
    return taps / taps.sum()


def _band(taps: Tensor, rows: int, columns: int, *, offset: int) -> Tensor:
    """The matrix of a correlation: row i holds the taps from column i - offset on, as far as they fit."""
    row = torch.arange(rows, device=taps.device)[:, None]
    tap = torch.arange(columns, device=taps.device) - row + offset
    return torch.where((tap >= 0) & (tap < len(taps)), taps[tap.clamp(0, len(taps) - 1)], 0.0)


def _window(maps: Tensor, peaks: Tensor, reach: int) -> Tensor:
    """What is around each peak, with zeros outside the map: (N, 2 reach + 1, 2 reach + 1), float64."""
    _, rows, columns = maps.shape
    aside = torch.arange(-reach, reach + 1, device=maps.device)
    x, y = (peaks[..., None] + aside).unbind(1)
    inside = ((y >= 0) & (y < rows))[:, :, None] & ((x >= 0) & (x < columns))[:, None, :]
    places = y.clamp(0, rows - 1)[:, :, None] * columns + x.clamp(0, columns - 1)[:, None, :]
    values = maps.flatten(1).gather(1, places.flatten(1)).view(places.shape)
    return torch.where(inside, values.double(), 0.0)


def _blurred_maxima(maps: Tensor, taps: Tensor) -> Tensor:
    """The maximum of each blurred map, with zeros around it: (N,), float64."""
    rows, columns = (_band(taps, size, size, offset=len(taps) // 2) for size in maps.shape[1:])
    return (rows @ maps.double() @ columns.T).amax((1, 2))
