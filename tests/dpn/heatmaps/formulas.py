"""The formulas of targets and decoding once more, for one map at a time, in numpy loops and double precision."""

import math
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dpn.heatmaps import Codec

Floats = NDArray[np.floating[Any]]

QUARTER = Codec(name="quarter", input_hw=(256, 192), sigma=2)
DARK = Codec(name="dark", input_hw=(256, 192), sigma=2)
UDP = Codec(name="udp", input_hw=(256, 192), sigma=2)


def stride_of(codec: Codec) -> tuple[float, float]:
    """Along x and along y."""
    (rows, columns), (height, width) = codec.heatmap_hw, codec.input_hw
    if codec.name == "udp":
        return (width - 1) / (columns - 1), (height - 1) / (rows - 1)
    return width / columns, height / rows


def target(joint: Floats, visible: float, codec: Codec) -> tuple[Floats, float]:
    """One joint's target, pixel by pixel, and its weight."""
    rows, columns = codec.heatmap_hw
    exact = [float(joint[axis]) / stride_of(codec)[axis] for axis in (0, 1)]
    middle = exact if codec.name == "dark" else [int(place + 0.5) for place in exact]  # int truncates towards zero
    radius = 3 * codec.sigma
    heatmap = np.zeros((rows, columns))
    if visible == 0:
        return heatmap, 0.0
    if middle[0] - radius >= columns or middle[1] - radius >= rows:
        return heatmap, 0.0
    if middle[0] + radius + 1 < 0 or middle[1] + radius + 1 < 0:
        return heatmap, 0.0
    center = middle if codec.name == "quarter" else exact
    for y in range(rows):
        for x in range(columns):
            if codec.name == "dark" or max(abs(x - middle[0]), abs(y - middle[1])) <= radius:
                squared = (x - center[0]) ** 2 + (y - center[1]) ** 2
                heatmap[y, x] = math.exp(-squared / (2 * codec.sigma**2))
    return heatmap, visible


def highest(heatmap: Floats) -> tuple[int, int, float]:
    """x, y and value of the first maximum in reading order; (0, 0) where it is not positive."""
    best = (0, 0, heatmap[0, 0])
    for y in range(heatmap.shape[0]):
        for x in range(heatmap.shape[1]):
            if heatmap[y, x] > best[2]:
                best = (x, y, heatmap[y, x])
    return best if best[2] > 0 else (0, 0, best[2])


def decoded(heatmap: Floats, codec: Codec) -> tuple[float, float, float]:
    """x, y and score of one map."""
    x, y, value = highest(heatmap)
    if value <= 0:
        return 0.0, 0.0, value
    steps: dict[str, Callable[[Floats, int, int, float], Floats]] = {"quarter": quarter, "dark": dark, "udp": udp}
    dx, dy = steps[codec.name](heatmap, x, y, codec.sigma)
    return x + dx, y + dy, value


def quarter(h: Floats, x: int, y: int, _sigma: float) -> Floats:
    rows, columns = h.shape
    if 1 < x < columns - 1 and 1 < y < rows - 1:
        return np.asarray(0.25 * np.sign([h[y, x + 1] - h[y, x - 1], h[y + 1, x] - h[y - 1, x]]))
    return np.zeros(2)


def dark(heatmap: Floats, x: int, y: int, sigma: float) -> Floats:
    h = np.log(np.maximum(modulated(heatmap, sigma), 1e-10))
    rows, columns = h.shape
    if not (1 < x < columns - 2 and 1 < y < rows - 2):
        return np.zeros(2)
    dx, dy = 0.5 * (h[y, x + 1] - h[y, x - 1]), 0.5 * (h[y + 1, x] - h[y - 1, x])
    dxx = 0.25 * (h[y, x + 2] - 2 * h[y, x] + h[y, x - 2])
    dyy = 0.25 * (h[y + 2, x] - 2 * h[y, x] + h[y - 2, x])
    dxy = 0.25 * (h[y + 1, x + 1] - h[y - 1, x + 1] - h[y + 1, x - 1] + h[y - 1, x - 1])
    if dxx * dyy - dxy**2 == 0:
        return np.zeros(2)
    return np.asarray(-np.linalg.solve([[dxx, dxy], [dxy, dyy]], [dx, dy]))


def udp(heatmap: Floats, x: int, y: int, sigma: float) -> Floats:
    return _udp_step(np.clip(modulated(heatmap, sigma), 1e-3, 50), x, y, float(np.finfo(np.float32).eps))


def udp_of_the_authors(heatmap: Floats, x: int, y: int) -> Floats:
    """As UDP's own release decodes: 7 taps, OpenCV's own border, stretched from minimum to maximum, no epsilon."""
    blurred = cv2.GaussianBlur(heatmap, (7, 7), 0)
    stretched = (blurred - blurred.min()) / (blurred.max() - blurred.min()) * heatmap.max()
    return _udp_step(np.clip(stretched, 1e-3, 50), x, y, 0.0)


def _udp_step(bounded: Floats, x: int, y: int, epsilon: float) -> Floats:
    h = np.pad(np.log(bounded), 1, mode="edge")
    x, y = x + 1, y + 1
    dx, dy = 0.5 * (h[y, x + 1] - h[y, x - 1]), 0.5 * (h[y + 1, x] - h[y - 1, x])
    dxx = h[y, x + 1] - 2 * h[y, x] + h[y, x - 1]
    dyy = h[y + 1, x] - 2 * h[y, x] + h[y - 1, x]
    dxy = 0.5 * (
        h[y + 1, x + 1] - h[y, x + 1] - h[y + 1, x] + 2 * h[y, x] - h[y, x - 1] - h[y - 1, x] + h[y - 1, x - 1]
    )
    hessian = np.array([[dxx, dxy], [dxy, dyy]]) + epsilon * np.eye(2)
    return np.asarray(-np.linalg.solve(hessian, [dx, dy]))


def modulated(heatmap: Floats, sigma: float) -> Floats:
    """The map, blurred by OpenCV with zeros around it, with the maximum that it had."""
    taps = {2: 11, 3: 17}[round(sigma)]
    border = taps // 2
    blurred = cv2.GaussianBlur(np.pad(heatmap, border), (taps, taps), 0)[border:-border, border:-border]
    return np.asarray(blurred * (heatmap.max() / blurred.max()))


def smooth_maps(seed: int, codec: Codec, *, joints: int, noise: float, height: float = 1.0) -> Floats:
    """Maps as a network makes them, (1, joints, H, W) float32: a Gaussian anywhere, the borders included, and noise."""
    rng = np.random.default_rng(seed)
    rows, columns = codec.heatmap_hw
    x, y = rng.uniform(-1, columns, joints), rng.uniform(-1, rows, joints)
    along_x = np.exp(-((np.arange(columns) - x[:, None]) ** 2) / (2 * codec.sigma**2))
    along_y = np.exp(-((np.arange(rows) - y[:, None]) ** 2) / (2 * codec.sigma**2))
    bumps = along_y[:, :, None] * along_x[:, None, :]
    rough = rng.normal(0, noise, bumps.shape)
    smooth = np.stack([cv2.GaussianBlur(one, (5, 5), 0) for one in rough])
    return np.asarray(height * (bumps + smooth), dtype=np.float32)[None]
