"""What a person consists of in each data set: joints, flip pairs, limbs and OKS sigmas. Imports no torch."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Skeleton:
    """The joints of a person in the order of the heatmaps, and what is known about them.

    Attributes:
        joints: names; those of a left and a right joint differ in their first word alone.
        limbs: pairs of joint names that are joined, each from its start to its end.
        oks_sigmas: for each joint, how precisely people mark it, as a fraction of the person's size (COCO's object
            keypoint similarity); empty where the data set is not scored so.
    """

    joints: tuple[str, ...]
    limbs: tuple[tuple[str, str], ...]
    oks_sigmas: tuple[float, ...] = ()

    @property
    def flip_pairs(self) -> tuple[tuple[int, int], ...]:
        """Indices of the joints that change places when an image is mirrored, the smaller index first.

        Example:
            >>> MPII_16.flip_pairs
            ((0, 5), (1, 4), (2, 3), (10, 15), (11, 14), (12, 13))
        """
        partners = {"left": "right", "right": "left"}
        pairs = []
        for index, name in enumerate(self.joints):
            side, _, rest = name.partition("_")
            if side in partners and index < (other := self.joints.index(f"{partners[side]}_{rest}")):
                pairs.append((index, other))
        return tuple(pairs)

    @property
    def mirrored(self) -> tuple[int, ...]:
        """For each joint, the index of the one that takes its place when an image is mirrored.

        Example:
            >>> MPII_16.mirrored
            (5, 4, 3, 2, 1, 0, 6, 7, 8, 9, 15, 14, 13, 12, 11, 10)
        """
        order = list(range(len(self.joints)))
        for one, other in self.flip_pairs:
            order[one], order[other] = other, one
        return tuple(order)

    @property
    def limb_ends(self) -> tuple[tuple[int, int], ...]:
        """The limbs as indices of their start and their end."""
        return tuple((self.joints.index(start), self.joints.index(end)) for start, end in self.limbs)

    def find(self, other: "Skeleton") -> tuple[int, ...]:
        """Where this skeleton has each joint of the other: `keypoints[COCO_18.find(COCO_17)]` are in COCO's order.

        Raises:
            ValueError: the other skeleton has a joint that this one has not.
        """
        absent = [name for name in other.joints if name not in self.joints]
        if absent:
            raise ValueError(f"no {', '.join(absent)} among {', '.join(self.joints)}")
        return tuple(self.joints.index(name) for name in other.joints)


COCO_17 = Skeleton(
    joints=(
        "nose", "left_eye", "right_eye", "left_ear", "right_ear",
        "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
        "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
    ),
    limbs=(
        ("left_ankle", "left_knee"), ("left_knee", "left_hip"),
        ("right_ankle", "right_knee"), ("right_knee", "right_hip"),
        ("left_hip", "right_hip"), ("left_shoulder", "left_hip"), ("right_shoulder", "right_hip"),
        ("left_shoulder", "right_shoulder"), ("left_shoulder", "left_elbow"), ("right_shoulder", "right_elbow"),
        ("left_elbow", "left_wrist"), ("right_elbow", "right_wrist"), ("left_eye", "right_eye"),
        ("nose", "left_eye"), ("nose", "right_eye"), ("left_eye", "left_ear"), ("right_eye", "right_ear"),
        ("left_ear", "left_shoulder"), ("right_ear", "right_shoulder"),
    ),
    oks_sigmas=(
        0.026, 0.025, 0.025, 0.035, 0.035,
        0.079, 0.079, 0.072, 0.072, 0.062, 0.062,
        0.107, 0.107, 0.087, 0.087, 0.089, 0.089,
    ),
)  # fmt: skip
"""COCO's keypoints and the skeleton of its annotation files."""

MPII_16 = Skeleton(
    joints=(
        "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle",
        "pelvis", "thorax", "neck", "head",
        "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist",
    ),
    limbs=(
        ("right_ankle", "right_knee"), ("right_knee", "right_hip"), ("right_hip", "pelvis"),
        ("left_hip", "pelvis"), ("left_knee", "left_hip"), ("left_ankle", "left_knee"),
        ("pelvis", "thorax"), ("thorax", "neck"), ("neck", "head"),
        ("right_wrist", "right_elbow"), ("right_elbow", "right_shoulder"), ("right_shoulder", "thorax"),
        ("left_shoulder", "thorax"), ("left_elbow", "left_shoulder"), ("left_wrist", "left_elbow"),
    ),
)  # fmt: skip
"""MPII Human Pose; neck is the upper neck, head the top of the head."""

COCO_18 = Skeleton(
    joints=(
        "nose", "neck",
        "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
        "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
        "right_eye", "left_eye", "right_ear", "left_ear",
    ),
    limbs=(
        ("neck", "right_hip"), ("right_hip", "right_knee"), ("right_knee", "right_ankle"),
        ("neck", "left_hip"), ("left_hip", "left_knee"), ("left_knee", "left_ankle"),
        ("neck", "right_shoulder"), ("right_shoulder", "right_elbow"), ("right_elbow", "right_wrist"),
        ("right_shoulder", "right_ear"),
        ("neck", "left_shoulder"), ("left_shoulder", "left_elbow"), ("left_elbow", "left_wrist"),
        ("left_shoulder", "left_ear"),
        ("neck", "nose"), ("nose", "right_eye"), ("nose", "left_eye"),
        ("right_eye", "right_ear"), ("left_eye", "left_ear"),
    ),
)  # fmt: skip
"""OpenPose's body of 18 parts: COCO's keypoints and a neck, midway between the shoulders.

Limb k is the pair of channels 2 k and 2 k + 1 of the released networks' part affinity fields: the x and y of the unit
vector from its start to its end. Two limbs, shoulder to ear, close cycles, for people whose face is turned away.
"""
