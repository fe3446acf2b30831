"""What is true of the synthetic figures: where their joints are and which of them can be seen. Imports no torch.

A joint is visible (v = 2) where its pixel, or one next to it, shows the part of the figure that the joint is in; it
is hidden (v = 1) where it lies inside the picture and something else is shown there: another person, a thing, or
another part of the same figure, as for a wrist behind one's own back. It is not labelled (v = 0, x = y = 0) outside
the picture, nor, in COCO's joints, where it is hidden far from all that is seen of the figure: nobody could place it,
and no crop around the figure has it. Eyes, nose and ears that their own head turns away are not labelled either in
COCO's joints, as its annotators leave them out; ears under hair are hidden. A shoulder or hip on the far side of the
trunk is hidden.
"""

import numpy as np

from dpn.arrays import Floats
from dpn.skeletons import COCO_17, MPII_16
from dpn.synthetic.draw import GROUP_BITS, Flesh
from dpn.synthetic.shape import ELLIPSOIDS, FLESH, GROUPS, JOINT_NAMES, PARTS

_MPII = [JOINT_NAMES.index(name) for name in MPII_16.joints]
_COCO = [JOINT_NAMES.index(name) for name in COCO_17.joints]


def _owners(name: str) -> set[str]:
    side, _, joint = name.rpartition("_")
    own = {
        "shoulder": {"trunk", f"{side}_upper_arm"}, "elbow": {f"{side}_upper_arm", f"{side}_forearm"},
        "wrist": {f"{side}_forearm"}, "hip": {"trunk", f"{side}_thigh"}, "knee": {f"{side}_thigh", f"{side}_shin"},
        "ankle": {f"{side}_shin", f"{side}_foot"}, "pelvis": {"trunk", "left_thigh", "right_thigh"},
        "thorax": {"trunk", "head"}, "neck": {"trunk", "head"},
    }  # fmt: skip
    return own.get(joint, {"head"})


OWNERS = np.zeros((len(JOINT_NAMES), 256), bool)
"""(21, 256): whether a joint is seen where a pixel shows that group of its figure; differences of uint8 wrap."""
OWNERS[:, : len(GROUPS)] = [[group in _owners(name) for group in GROUPS] for name in JOINT_NAMES]
_EACH = np.arange(len(JOINT_NAMES))[:, None]
_LEFT = [i for i, name in enumerate(JOINT_NAMES) if name in ("left_shoulder", "left_hip")]
_RIGHT = [i + 1 for i in _LEFT]
_EARS = slice(JOINT_NAMES.index("left_ear"), JOINT_NAMES.index("right_ear") + 1)
_FACE = slice(0, JOINT_NAMES.index("right_ear") + 1)
_FACE_PARTS = [list(PARTS).index(name) for name in JOINT_NAMES[_FACE]]
_HEAD = [list(ELLIPSOIDS).index(name) for name in ("skull", "jaw", "hair", "nose", "left_ear", "right_ear")]
_TRUNK = GROUPS.index("trunk")
REACH = 0.1
"""Share of the larger side of a box; the usual padding adds 0.125 on each side of it."""

_FAR_SIDE_M = np.array([0.14, 0.07])
"""How much farther than the middle a shoulder and a hip are from where on the trunk hides them: at about 50 degrees."""


def label(flesh: Flesh, ids: np.ndarray, ears_hidden: np.ndarray) -> np.ndarray:
    """Visibility of all joints.

    Args:
        flesh: of P people, whose numbers are 1 to P.
        ids: (H, W) uint8, figures' numbers and groups, as painted.
        ears_hidden: (P,) bool, whether hair covers the ears.

    Returns:
        (P, 21) int, 2 visible, 1 hidden, 0 outside the picture. Face joints that the head turns away count as hidden
        here; `tables` leaves them out of COCO's.
    """
    height, width = ids.shape
    at = flesh.centers_px[:, FLESH:]
    most = np.array([width - 1, height - 1])
    inside = ((at >= 0) & (at <= most)).all(axis=-1)
    x, y = np.rint(np.minimum(np.maximum(at, 1), most - 1)).astype(int).transpose(2, 0, 1)  # neighbours lie inside
    near = (y * width + x)[..., None] + np.array([0, 1, -1, width, -width])
    numbers = (np.arange(1, len(at) + 1, dtype=np.uint8) << GROUP_BITS)[:, None, None]
    found = ids.ravel()[near] - numbers
    shown = OWNERS[_EACH, found].any(axis=-1)
    away = flesh.away_m[:, FLESH:]
    between = (away[:, _LEFT] - away[:, _RIGHT]) / 2
    shown[:, _LEFT] &= (found[:, _LEFT, 0] != _TRUNK) | (between <= _FAR_SIDE_M)
    shown[:, _RIGHT] &= (found[:, _RIGHT, 0] != _TRUNK) | (between >= -_FAR_SIDE_M)
    shown[:, _FACE] &= flesh.facing[:, _FACE_PARTS]
    shown[:, _EARS] &= ~ears_hidden[:, None]
    return np.asarray(inside * (1 + shown))


def tables(flesh: Flesh, labels: np.ndarray) -> tuple[Floats, Floats]:
    """Joints as annotation files have them.

    Returns:
        (P, 17, 3) x, y, v in COCO's order, where face joints that the own head turns away are not labelled; and
        (P, 16, 3) in MPII's, where every joint inside the picture is labelled.
    """
    table = np.empty((*labels.shape, 3))
    table[..., :2] = flesh.centers_px[:, FLESH:]
    table[..., 2] = labels
    table[labels == 0] = 0.0
    coco = table[:, _COCO]
    coco[:, _FACE] *= flesh.facing[:, _FACE_PARTS, None]
    return coco, table[:, _MPII]


def within_reach(joints: Floats, box_xywh: Floats) -> Floats:
    """(K, 3) COCO's joints without those that are hidden farther than `REACH` from the box of what is seen."""
    low, size = box_xywh[:2], box_xywh[2:]
    margin = REACH * size.max()
    near = ((joints[:, :2] >= low - margin) & (joints[:, :2] < low + size + margin)).all(axis=1)
    kept: Floats = joints * (near | (joints[:, 2] != 1))[:, None]
    return kept


def extents(flesh: Flesh) -> tuple[Floats, Floats]:
    """(P, 4) upper left and lower right corners in pixels: around skull, jaw, nose and ears, and around all flesh."""
    half = np.sqrt((flesh.shapes * flesh.shapes).sum(axis=-1))
    low, high = flesh.centers_px[:, :FLESH] - half, flesh.centers_px[:, :FLESH] + half
    heads = np.concatenate([low[:, _HEAD].min(axis=1), high[:, _HEAD].max(axis=1)], axis=-1)
    return heads, np.concatenate([low.min(axis=1), high.max(axis=1)], axis=-1)
