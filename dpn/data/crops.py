"""From a box in an image to the network's input: centre and scale, the affine matrix, the crop. Imports no torch.

Coordinates are (x, y); the middle of the first pixel is (0, 0), in images and crops alike. A scale is the padded box's
width and height in units of 200 px, as the published implementations keep it.
"""

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from dpn.arrays import Floats, Pixels

PIXEL_STD = 200.0
"""Pixels of an image for each unit of a scale. It cancels out; parity with published files needs it."""

MEAN = (0.485, 0.456, 0.406)
"""Of ImageNet's red, green and blue, between 0 and 1."""

STD = (0.229, 0.224, 0.225)
"""See `MEAN`."""

OPENCV_MAJOR = 4


def box_to_center_scale(
    box_xywh: ArrayLike, aspect: float, padding: float = 1.25
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Centre and scale of a box that was grown to the input's aspect and padded (HRNet and SimpleBaseline, COCO).

    The arithmetic is theirs to the last bit: in float64 up to centre and scale, padding in float32. A centre at x = -1
    marks a box that is not known, and is not padded.

    Args:
        box_xywh: (4,) or (N, 4), left, top, width and height in image pixels.
        aspect: width by height of the network's input.
        padding: factor on the box.

    Returns:
        Two arrays of shape (2,) or (N, 2), float32: x and y of the centre in image pixels; width and height in
        units of 200 px.

    Raises:
        ValueError: no boxes of four numbers, or an aspect or padding that is not positive.

    Example:
        >>> center, scale = box_to_center_scale((100, 50, 60, 160), aspect=0.75)
        >>> center.tolist(), scale.tolist()
        ([130.0, 130.0], [0.75, 1.0])
    """
    boxes = np.asarray(box_xywh, dtype=np.float64)
    if boxes.ndim not in (1, 2) or boxes.shape[-1] != 4:
        raise ValueError(f"a box is x, y, width and height, (4,) or (N, 4), not an array of shape {boxes.shape}")
    if not (aspect > 0 and padding > 0):
        raise ValueError(f"aspect and padding of a box are positive, not {aspect} and {padding}")
    corner, size = boxes[..., :2], boxes[..., 2:]
    center = (corner + size * 0.5).astype(np.float32)
    scale = (to_aspect(size, aspect) / PIXEL_STD).astype(np.float32)
    padded = np.where(center[..., :1] != -1, scale * np.float32(padding), scale)
    return center, padded.astype(np.float32)


def to_aspect(size_wh: Floats, aspect: float) -> Floats:
    """Widths and heights, (..., 2), of which the smaller is enlarged until they have the aspect (width by height)."""
    width, height = size_wh[..., 0], size_wh[..., 1]
    return np.stack(
        (
            np.where(width < aspect * height, height * aspect, width),
            np.where(width > aspect * height, width / aspect, height),
        ),
        axis=-1,
    )


def affine(
    center: ArrayLike, scale: ArrayLike, rotation_deg: float, output_wh: tuple[int, int], *, unbiased: bool = False
) -> NDArray[np.float64]:
    """The matrix that takes image pixels to pixels of the output (HRNet and SimpleBaseline, get_affine_transform).

    Three pairs of float32 points define it: the centres, points half a width above them, and a third one that completes
    a right angle. Only the width's scale is used. With W the output's width, k = W / (200 scale_x), t the rotation and
    (x0, y0) the centre, it is

        k [[cos t, sin t], [-sin t, cos t]] (x - x0, y - y0) + (W / 2, H / 2)

    up to the float32 points, which move it by some 1e-4 px of the image. The middle of the box thus falls on W / 2,
    half a pixel beyond the middle of the output, (W - 1) / 2: the bias that shifting flipped heatmaps makes up for.

    UDP (Huang et al., CVPR 2020) measures lengths between the middles of the outer pixels: its factors are
    (W - 1) / (200 scale_x) and (H - 1) / (200 scale_y), its middle is ((W - 1) / 2, (H - 1) / 2), in float64.

    Args:
        center: (2,), image pixels.
        scale: (2,), in units of 200 px.
        rotation_deg: of the box, clockwise as one sees it; the person in the output turns the other way.
        output_wh: width and height of the output in pixels.
        unbiased: UDP's matrix.

    Returns:
        (2, 3).

    Example:
        >>> (affine((130, 130), (0.75, 1.0), 0, (192, 256)) + 0.0).round(3).tolist()
        [[1.28, 0.0, -70.4], [0.0, 1.28, -38.4]]
    """
    center, scale = np.asarray(center), np.asarray(scale)
    radians = math.pi * rotation_deg / 180
    cosine, sine = math.cos(radians), math.sin(radians)
    if unbiased:
        return _unbiased(center, scale, (cosine, sine), output_wh)
    half = float((scale * PIXEL_STD)[0]) * 0.5  # in the scale's own type first, as published
    width, height = output_wh
    source = _right_angle(center, (half * sine, -half * cosine))
    target = _right_angle(np.array((width * 0.5, height * 0.5)), (0.0, -width * 0.5))
    return np.asarray(cv2.getAffineTransform(source, target), dtype=np.float64)


def _right_angle(corner: Floats, arm: tuple[float, float]) -> NDArray[np.float32]:
    """The corner, the arm's end, and that end moved by the arm turned to its left: (3, 2), rounded step by step."""
    points = np.empty((3, 2), dtype=np.float32)
    points[0] = corner
    points[1] = corner.astype(np.float64) + arm
    back = points[0] - points[1]
    points[2] = points[1] + np.array((-back[1], back[0]), dtype=np.float32)
    return points


def _unbiased(
    center: Floats, scale: Floats, cosine_sine: tuple[float, float], output_wh: tuple[int, int]
) -> NDArray[np.float64]:
    cosine, sine = cosine_sine
    lengths = np.array(output_wh, dtype=np.float64) - 1
    factors = lengths / (scale.astype(np.float64) * PIXEL_STD)
    matrix = np.array(((cosine, sine), (-sine, cosine))) * factors[:, None]
    return np.column_stack((matrix, lengths / 2 - matrix @ center.astype(np.float64)))


def transform(points: ArrayLike, matrix: ArrayLike) -> NDArray[np.float64]:
    """Points (N, 2) moved by an affine matrix (2, 3), in float64.

    Example:
        >>> transform([(130, 130), (90, 50)], affine((130, 130), (0.75, 1.0), 0, (192, 256))).round(3).tolist()
        [[96.0, 128.0], [44.8, 25.6]]
    """
    matrix = np.asarray(matrix, dtype=np.float64)
    moved: NDArray[np.float64] = np.asarray(points, dtype=np.float64) @ matrix[:, :2].T + matrix[:, 2]
    return moved


def crop(image: Pixels, matrix: NDArray[np.floating[Any]], output_wh: tuple[int, int]) -> Pixels:
    """The part of the image that the matrix takes to the output: bilinear, with zeros outside the image.

    OpenCV 4 rounds coordinates to 1/32 px, and all its versions give the same bytes; OpenCV 5 does not round, and its
    crops differ by up to 5 of 255, so that published numbers would not come out to their last digit.

    Args:
        image: (H, W, 3).
        matrix: (2, 3), see `affine`.
        output_wh: width and height of the output in pixels.

    Raises:
        RuntimeError: the installed OpenCV is of another major version.
    """
    check_opencv()
    warped = cv2.warpAffine(
        image, matrix, output_wh, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(0, 0, 0)
    )
    return np.asarray(warped, dtype=np.uint8)


def check_opencv() -> None:
    """Raises RuntimeError where the installed OpenCV is of another major version than the published crops need."""
    if int(cv2.__version__.split(".")[0]) != OPENCV_MAJOR:
        raise RuntimeError(
            f"OpenCV {cv2.__version__} crops other pixels than OpenCV {OPENCV_MAJOR}, as published results need; "
            f"run: pip install 'opencv-python-headless>={OPENCV_MAJOR},<{OPENCV_MAJOR + 1}'"
        )
