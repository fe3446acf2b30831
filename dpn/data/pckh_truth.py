"""What MPII's predictions are scored against: joints, and the head sizes that distances are measured in. No torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dpn.arrays import Flags, Floats
from dpn.data.mat_files import check_finite, numbers, problem, read_mat
from dpn.data.mat_format import Cells, FormatError, Value
from dpn.data.pckh_release import RELEASE, read_release
from dpn.skeletons import MPII_16

BOX_SHARE = 0.6
"""Head size as a share of the head box's diagonal (SC_BIAS in the published code, which explains it as 0.8 * 0.75)."""

NECK_SHARE = 0.75
"""Head size as a share of the way from the upper neck to the top of the head. MPII's two head points were made from the
head's box, 0.8 of its diagonal apart, so that 0.6 of the diagonal is 0.75 of this way."""

JOINT_NAMES = tuple(
    side[0] + part[:3] if side else part[:4] for side, _, part in (name.rpartition("_") for name in MPII_16.joints)
)
"""What gt_valid.mat calls MPII's joints: rank rkne rhip lhip lkne lank pelv thor neck head and so on."""

_JOINTS = len(MPII_16.joints)


@dataclass(frozen=True, kw_only=True, eq=False)
class Truth:
    """What MPII's people really look like, N of them.

    Attributes:
        joints: (N, 16, 2) float64, x and y in image pixels counted from 0 (the files count from 1), in the order of
            `MPII_16`.
        missing: (N, 16) bool: joints that nobody labelled, and which are not scored.
        head_sizes: (N,) float64, pixels: 0.6 of the head box's diagonal; NaN for people who are not scored.
        heads: where head sizes come from, "boxes" or "points".
    """

    joints: Floats
    missing: Flags
    head_sizes: Floats
    heads: str = "boxes"

    def __post_init__(self) -> None:
        people = len(self.joints)
        shapes = (self.joints.shape, self.missing.shape, self.head_sizes.shape)
        if shapes != ((people, _JOINTS, 2), (people, _JOINTS), (people,)):
            raise ValueError(f"joints, missing and head_sizes are of {shapes}; N x 16 x 2, N x 16 and N are needed")

    def __len__(self) -> int:
        return len(self.joints)

    @classmethod
    def from_boxes(cls, joints: Floats, visible: Floats, head_boxes: Floats) -> "Truth":
        """The truth of people whose heads are known as boxes.

        Args:
            joints: (N, 16, 2), image pixels counted from 0.
            visible: (N, 16), larger than 0 for a labelled joint.
            head_boxes: (N, 4), two opposite corners, x1, y1, x2, y2.

        Example:
            >>> nothing = np.zeros((1, 16, 2))
            >>> Truth.from_boxes(nothing, nothing[..., 0] + 1, np.array([[10.0, 10, 40, 50]])).head_sizes
            array([30.])
        """
        boxes = np.asarray(head_boxes, dtype=np.float64).reshape(-1, 2, 2)
        sizes = np.linalg.norm(boxes[:, 1] - boxes[:, 0], axis=-1) * BOX_SHARE
        return cls(joints=np.asarray(joints, dtype=np.float64), missing=np.asarray(visible) <= 0, head_sizes=sizes)

    @classmethod
    def from_mat(cls, path: Path) -> "Truth":
        """The truth of the validation set as SimpleBaseline and HRNet distribute it, gt_valid.mat, or of the test set.

        The test set's is the data set's own annolist_dataset_v12.mat, with mpii_human_pose_v1_u12*.mat beside it, see
        `dpn.data.pckh_release`.

        Raises:
            DataError: not a readable .mat file of such a content.
        """
        variables = read_mat(path, ("dataset_joints", "jnt_missing", "pos_gt_src", "headboxes_src", *RELEASE))
        if not variables.keys().isdisjoint(RELEASE):
            return cls.from_boxes(*read_release(path, variables))
        _check_order(path, variables.get("dataset_joints"))
        joints = numbers(path, variables, "pos_gt_src", (_JOINTS, 2, None)).transpose(2, 0, 1) - 1
        people = len(joints)
        missing = numbers(path, variables, "jnt_missing", (_JOINTS, people)).T
        if not np.isin(missing, (0, 1)).all():
            raise problem(path, "jnt_missing", "holds other values than 0 and 1")
        corners = numbers(path, variables, "headboxes_src", (2, 2, people)).transpose(2, 0, 1)
        check_finite(path, "pos_gt_src", joints, missing[..., None] == 0)
        check_finite(path, "headboxes_src", corners)
        truth = cls.from_boxes(joints, missing == 0, corners.reshape(people, 4))
        if not (truth.head_sizes > 0).all():
            person = int(np.argmin(truth.head_sizes))
            raise problem(path, f"headboxes_src, person {person}", "is a box without extent")
        return truth

    @classmethod
    def from_annotations(cls, entries: Sequence[Mapping[str, Any]]) -> "Truth":
        """The truth from annotations in the form of valid.json, which `dpn.data.mpii.read_mpii` reads.

        They hold no head boxes. The head's size is `NECK_SHARE` of the way from the upper neck to the top of the head:
        on MPII's own annotations the same number to the four decimals that the file keeps, elsewhere an approximation.
        People without these two points have no head size and are not scored.
        """
        joints = np.array([entry["joints"] for entry in entries], dtype=np.float64).reshape(-1, _JOINTS, 2) - 1
        missing = np.array([entry["joints_vis"] for entry in entries], dtype=np.float64).reshape(-1, _JOINTS) <= 0
        neck, top = MPII_16.joints.index("neck"), MPII_16.joints.index("head")
        sizes = NECK_SHARE * np.linalg.norm(joints[:, top] - joints[:, neck], axis=-1)
        sizes[missing[:, neck] | missing[:, top] | (sizes == 0)] = np.nan
        return cls(joints=joints, missing=missing, head_sizes=sizes, heads="points")


def _check_order(path: Path, names: Value | None) -> None:
    """The joints must stand where `MPII_16` has them; pelvis, thorax and neck are never looked up by name."""
    try:
        found = [str(names[index]).strip() for index in range(len(names))] if isinstance(names, Cells) else []
    except FormatError:
        found = []
    compared = [index for index, name in enumerate(JOINT_NAMES) if name not in ("pelv", "thor", "neck")]
    if len(found) != _JOINTS or any(found[index] != JOINT_NAMES[index] for index in compared):
        remedy = f"it must be {' '.join(JOINT_NAMES)}"
        raise problem(path, "dataset_joints", "is not the list of MPII's 16 joints", remedy)
