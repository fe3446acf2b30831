"""Draws skeletons on images: left and right in colours that everybody can tell apart. Imports no torch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from dpn.arrays import Floats, Pixels
from dpn.data.crops import affine, crop, transform
from dpn.data.people import Example
from dpn.program.error_words import first_said
from dpn.program.whole_files import write_whole
from dpn.skeletons import Skeleton

Side = Literal["left", "right", "middle"]

COLORS_BGR: dict[Side, tuple[int, int, int]] = {
    "left": (178, 114, 0),
    "right": (0, 159, 230),
    "middle": (240, 240, 240),
}
"""Blue, orange and near white, as blue, green, red. The first two are of Okabe and Ito's palette (2008): they differ in
hue and in lightness for every kind of colour vision."""

_OUTLINE = (40, 40, 40)
_FRACTION_BITS = 4
"""OpenCV takes coordinates as whole numbers of 1/16 px."""

_FARTHEST_PX = 1e6
"""Joints farther out than this are drawn there; OpenCV's coordinates end at 2^31 / 16."""


@dataclass(frozen=True, kw_only=True)
class Pen:
    """Widths in pixels for one person.

    Attributes:
        line_px: of limbs.
        dot_px: radius of joints.
    """

    line_px: int
    dot_px: float

    @classmethod
    def for_size(cls, size_px: float) -> "Pen":
        """For a person of that height or width, the larger of the two: a hundredth of it, at least 2 px.

        Example:
            >>> Pen.for_size(400), Pen.for_size(30)
            (Pen(line_px=4, dot_px=5.0), Pen(line_px=2, dot_px=2.5))
        """
        line_px = max(2, round(size_px / 100))
        return cls(line_px=line_px, dot_px=line_px * 1.25)


def side(joint: str) -> Side:
    """Which side of the body a joint of that name is on.

    Example:
        >>> side("left_wrist"), side("pelvis")
        ('left', 'middle')
    """
    first = joint.partition("_")[0]
    return "left" if first == "left" else "right" if first == "right" else "middle"


def limb_side(start: str, end: str) -> Side:
    """Which side a limb is on: that of its sided ends; between left and right, in the middle.

    Example:
        >>> limb_side("nose", "left_eye"), limb_side("left_hip", "right_hip")
        ('left', 'middle')
    """
    sides = {side(start), side(end)} - {"middle"}
    return sides.pop() if len(sides) == 1 else "middle"


def draw_person(image: Pixels, keypoints: Floats, skeleton: Skeleton, *, threshold: float = 0.2) -> None:
    """Draws one person into the image, limbs between the joints that are sure enough; width by the person's size.

    Args:
        image: (H, W, 3) uint8, blue, green, red, changed in place.
        keypoints: (K, 3): x and y in pixels, and score.
        skeleton: of K joints.
        threshold: only joints with a larger score are drawn; a joint that is not finite never is.

    Raises:
        ValueError: another number of joints than the skeleton's.
    """
    if keypoints.shape != (len(skeleton.joints), 3):
        raise ValueError(f"keypoints are {(len(skeleton.joints), 3)}, not {keypoints.shape}")
    shown = np.isfinite(keypoints).all(axis=1) & (keypoints[:, 2] > threshold)
    if not shown.any():
        return
    points = np.clip(keypoints[:, :2], -_FARTHEST_PX, _FARTHEST_PX)
    pen = Pen.for_size(float(np.ptp(points[shown], axis=0).max()))
    limbs = [(start, end) for start, end in skeleton.limb_ends if shown[start] and shown[end]]
    names = skeleton.joints
    for start, end in limbs:
        _line(image, points[start], points[end], _OUTLINE, pen.line_px + 2)
    for start, end in limbs:
        _line(image, points[start], points[end], COLORS_BGR[limb_side(names[start], names[end])], pen.line_px)
    for joint in np.flatnonzero(shown):
        _dot(image, points[joint], _OUTLINE, pen.dot_px + 1)
        _dot(image, points[joint], COLORS_BGR[side(names[joint])], pen.dot_px)


def drawn_crop(example: Example, keypoints: Floats, skeleton: Skeleton, input_hw: tuple[int, int]) -> Pixels:
    """One person as the network's input has them, with joints drawn in.

    Args:
        example: the person.
        keypoints: (K, 3): x and y in pixels of the image, and score.
        skeleton: of K joints.
        input_hw: height and width of the input in pixels.

    Returns:
        (H, W, 3) uint8, blue, green, red.
    """
    height, width = input_hw
    matrix = affine(example.center, example.scale, 0.0, (width, height))
    picture = crop(example.image, matrix, (width, height))
    draw_person(picture, np.column_stack((transform(keypoints[:, :2], matrix), keypoints[:, 2])), skeleton)
    return picture


def write_png(path: Path, image: Pixels) -> None:
    """Writes a PNG file, whole or not at all, whatever the path's suffix; its folder is made if it is missing.

    Raises:
        OSError: the file cannot be written.
        ValueError: there is no PNG file of such an image, since it is too large, say, or has no pixels.
    """
    try:
        made, data = cv2.imencode(".png", image)
    except cv2.error as error:
        raise ValueError(f"{path}: no PNG file can be made of {image.shape}: {first_said(error)}") from error
    if not made:
        raise ValueError(f"{path}: no PNG file can be made of {image.shape}")
    write_whole(path, data.tobytes())


def _line(image: Pixels, start: Floats, end: Floats, color: tuple[int, int, int], width_px: int) -> None:
    cv2.line(image, _sixteenths(start), _sixteenths(end), color, width_px, cv2.LINE_AA, _FRACTION_BITS)


def _dot(image: Pixels, center: Floats, color: tuple[int, int, int], radius_px: float) -> None:
    radius = round(radius_px * 2**_FRACTION_BITS)
    cv2.circle(image, _sixteenths(center), radius, color, cv2.FILLED, cv2.LINE_AA, _FRACTION_BITS)


def _sixteenths(point: NDArray[np.floating[Any]]) -> tuple[int, int]:
    return round(float(point[0]) * 2**_FRACTION_BITS), round(float(point[1]) * 2**_FRACTION_BITS)
