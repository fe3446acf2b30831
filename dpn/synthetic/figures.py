"""Pictures of articulated people in cluttered scenes, with true joints and masks, from a seed. Imports no torch.

Front or back of a person is told by the head alone, as far as their surface goes: trunk, limbs, clothes and shoes have
the same shapes and colours on the left and the right. So whether a wrist is the left one is not written beside it.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from dpn.arrays import Floats, Pixels
from dpn.synthetic.draw import GROUP_BITS
from dpn.synthetic.scene import Painted, compose
from dpn.synthetic.shape import FLESH, JOINT_NAMES
from dpn.synthetic.truth import extents, label, tables, within_reach

GENERATOR_VERSION = 1
"""Raised whenever the same seed and index give another picture or other truth."""

LEAST_PIXELS = 60
"""Of whom fewer pixels are seen is not listed among the figures: nobody could annotate them."""
LEAST_JOINTS = 4
"""As many joints of the subject are visible in COCO's labels, or the scene is drawn anew from the same stream."""
_MARGIN = np.array([-2, -2, 3, 3])
_PELVIS = FLESH + JOINT_NAMES.index("pelvis")


@dataclass(frozen=True, kw_only=True, eq=False)
class Figure:
    """One person of a scene and the truth about them; x and y are pixels counted from 0, at pixel centres.

    Attributes:
        joints: (17, 3) float64 in COCO's order: x, y and v, which is 2 visible, 1 hidden, 0 (x = y = 0) not labelled:
            outside the picture, in the face and turned away, or hidden far from what is seen. See
            `dpn.synthetic.truth`.
        mpii_joints: (16, 3) float64 in MPII's order, likewise, but that a head turned away is labelled too.
        box_xywh: (4,) float64, tight around the visible pixels.
        area: how many pixels of the image show this figure.
        head_box_xyxy: (4,) float64, around the whole head, hidden or not; it may reach over the border.
        depth: metres from the camera.
        yaw_deg: which way the body faces: 0 the camera, 180 away from it.
        ids: (H, W) uint8, which figure, and in the lower four bits which part, each pixel shows; shared by a scene.
        number: this figure's in `ids >> 4`.
    """

    joints: Floats
    mpii_joints: Floats
    box_xywh: Floats
    area: float
    head_box_xyxy: Floats
    depth: float
    yaw_deg: float
    ids: np.ndarray
    number: int

    def mask(self) -> np.ndarray:
        """(H, W) bool, the figure's visible pixels."""
        return np.asarray(self.ids >> GROUP_BITS == self.number)


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """A picture and everyone in it.

    Attributes:
        image: (H, W, 3) uint8, blue, green, red.
        figures: the subject first, whom the scene was made for; then the others, nearest first.
    """

    image: Pixels
    figures: tuple[Figure, ...]


@dataclass(frozen=True, kw_only=True)
class SyntheticFigures:
    """Scenes without end, each a function of (seed, index) alone.

    Example:
        >>> SyntheticFigures(seed=0).scene(7).figures[0].joints.shape
        (17, 3)
    """

    seed: int = 0

    def scene(self, index: int) -> Scene:
        """The scene of that number, the same in any process, in any order and with any number of threads.

        Where numpy or OpenCV compute otherwise, as on another kind of processor, a last bit may differ.
        """
        rng = np.random.default_rng((self.seed, index))
        while True:  # one scene in thirty is drawn anew
            painted = compose(rng)
            figures = _figures(painted)
            if figures and figures[0].number == 1 and (figures[0].joints[:, 2] == 2).sum() >= LEAST_JOINTS:
                return Scene(image=painted.image, figures=figures)


def _figures(painted: Painted) -> tuple[Figure, ...]:
    flesh = painted.flesh
    labels = label(flesh, painted.ids, painted.cast.outfits.ears_hidden)
    joints, mpii_joints = tables(flesh, labels)
    heads, wholes = extents(flesh)
    height, width = painted.ids.shape
    most = np.array([width, height, width, height])
    windows = np.minimum(np.maximum(wholes + _MARGIN, 0), most).astype(int).tolist()
    away, yaw = flesh.away_m[:, _PELVIS].tolist(), painted.cast.poses.yaw_deg.tolist()
    figures = []
    for i in [0, *sorted(range(1, len(away)), key=away.__getitem__)]:
        low = (i + 1) << GROUP_BITS
        left, top, right, bottom = windows[i]
        if right <= left or bottom <= top:
            continue
        mask = cv2.inRange(painted.ids[top:bottom, left:right], low, low + (1 << GROUP_BITS) - 1)
        area = cv2.countNonZero(mask)
        if area < LEAST_PIXELS:
            continue
        box_xywh = np.add(cv2.boundingRect(mask), (left, top, 0, 0), dtype=float)
        figures.append(
            Figure(
                joints=within_reach(joints[i], box_xywh),
                mpii_joints=mpii_joints[i],
                box_xywh=box_xywh,
                area=float(area),
                head_box_xyxy=heads[i],
                depth=away[i],
                yaw_deg=yaw[i],
                ids=painted.ids,
                number=i + 1,
            )
        )
    return tuple(figures)
