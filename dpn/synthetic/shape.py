"""The flesh of the synthetic figures: ellipsoids on the body's frames, and parts that are hulls of two or three.

Lengths are fractions of stature, in a frame's own axes (left, up, front). Left and right mirror each other and so do
front and back, but for the head and the toes. Imports no torch.
"""

from dataclasses import dataclass

import numpy as np

from dpn.arrays import Floats
from dpn.synthetic.body import FRAMES, LENGTHS, SPINE_PARTS, Bodies

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Ellipsoid:
    """A piece of flesh.

    Attributes:
        frame: one of `FRAMES`; "side_" stands for both sides.
        offset: of its centre, where the length of the frame's segment counts as 1 along its axis if `along` is named.
        radii: half axes.
        along: the segment whose length scales the offset's second number; others scale with stature.
        bone: radii that grow with the head's size or not at all, not with girth.
    """

    frame: str
    offset: Triple
    radii: Triple
    along: str = ""
    bone: bool = False


def _ball(radius: float) -> Triple:
    return (radius, radius, radius)


_TRUNK = {
    "pelvis": Ellipsoid("pelvis", (0, 0.015, 0), (0.088, 0.050, 0.058)),
    "hem": Ellipsoid("pelvis", (0, -0.005, 0), (0.092, 0.022, 0.062)),
    "belly": Ellipsoid("waist", (0, 0.1, 0), (0.080, 0.05, 0.058), "spine"),
    "breast": Ellipsoid("chest", (0, 0.20, 0), (0.086, 0.06, 0.062), "spine"),
    "nape": Ellipsoid("chest", (0, 0.50, 0.004), _ball(0.030), "spine"),
    "throat": Ellipsoid("head", (0, 0.006, -0.006), _ball(0.029)),
    "coat_hem": Ellipsoid("pelvis", (0, -0.10, 0), (0.100, 0.02, 0.075)),
}
_LIMBS = {
    "side_shoulder": Ellipsoid("side_upper_arm", (0, -0.03, 0), _ball(0.036)),
    "side_sleeve": Ellipsoid("side_upper_arm", (0, -0.55, 0), _ball(0.036), "upper_arm"),
    "side_elbow": Ellipsoid("side_forearm", (0, 0, 0), _ball(0.0245)),
    "side_wrist": Ellipsoid("side_forearm", (0, -1, 0), _ball(0.0165), "forearm"),
    "side_cuff": Ellipsoid("side_forearm", (0, -0.92, 0), _ball(0.021), "forearm"),
    "side_palm": Ellipsoid("side_forearm", (0, -1.28, 0), (0.019, 0.030, 0.017), "forearm"),
    "side_fingers": Ellipsoid("side_forearm", (0, -1.50, 0), (0.013, 0.016, 0.012), "forearm"),
    "side_hip": Ellipsoid("side_thigh", (0, 0, 0), (0.050, 0.05, 0.055)),
    "side_leg_of_shorts": Ellipsoid("side_thigh", (0, -0.72, 0), (0.050, 0.02, 0.050), "thigh"),
    "side_skirt": Ellipsoid("side_thigh", (0, -0.85, 0), (0.062, 0.015, 0.062), "thigh"),
    "side_knee": Ellipsoid("side_shin", (0, 0, 0), _ball(0.034)),
    "side_calf": Ellipsoid("side_shin", (0, -0.3, 0), _ball(0.034), "shin"),
    "side_ankle": Ellipsoid("side_shin", (0, -1, 0), _ball(0.0205), "shin"),
    "side_turn_up": Ellipsoid("side_shin", (0, -0.95, 0), _ball(0.028), "shin"),
    "side_heel": Ellipsoid("side_foot", (0, -0.016, -0.022), (0.022, 0.022, 0.024)),
    "side_toes": Ellipsoid("side_foot", (0, -0.024, 0.078), (0.023, 0.014, 0.026)),
}
_HEAD = {
    "skull": Ellipsoid("head", (0, 0.068, 0.012), (0.0395, 0.055, 0.045), bone=True),
    "jaw": Ellipsoid("head", (0, 0.026, 0.024), (0.027, 0.024, 0.026), bone=True),
    "hair": Ellipsoid("head", (0, 0.078, -0.008), (0.0445, 0.054, 0.053), bone=True),
    "hair_nape": Ellipsoid("head", (0, 0.032, -0.026), (0.034, 0.022, 0.022), bone=True),
    "left_hair": Ellipsoid("head", (0.034, 0.035, -0.016), (0.014, 0.055, 0.028), bone=True),
    "right_hair": Ellipsoid("head", (-0.034, 0.035, -0.016), (0.014, 0.055, 0.028), bone=True),
    "hair_end": Ellipsoid("head", (0, -0.045, -0.048), (0.045, 0.03, 0.018), bone=True),
    "hair_tail": Ellipsoid("head", (0, -0.06, -0.075), (0.014, 0.03, 0.012), bone=True),
    "bun": Ellipsoid("head", (0, 0.118, -0.036), _ball(0.024), bone=True),
    "fringe": Ellipsoid("head", (0, 0.110, 0.003), (0.0405, 0.023, 0.048), bone=True),
    "left_ear": Ellipsoid("head", (0.044, 0.060, -0.002), (0.0075, 0.018, 0.0115), bone=True),
    "right_ear": Ellipsoid("head", (-0.044, 0.060, -0.002), (0.0075, 0.018, 0.0115), bone=True),
    "left_eye": Ellipsoid("head", (0.0175, 0.068, 0.051), (0.0100, 0.0060, 0.003), bone=True),
    "right_eye": Ellipsoid("head", (-0.0175, 0.068, 0.051), (0.0100, 0.0060, 0.003), bone=True),
    "left_pupil": Ellipsoid("head", (0.0175, 0.068, 0.053), (0.0052, 0.0052, 0.003), bone=True),
    "right_pupil": Ellipsoid("head", (-0.0175, 0.068, 0.053), (0.0052, 0.0052, 0.003), bone=True),
    "left_brow": Ellipsoid("head", (0.018, 0.081, 0.050), (0.0115, 0.0028, 0.004), bone=True),
    "right_brow": Ellipsoid("head", (-0.018, 0.081, 0.050), (0.0115, 0.0028, 0.004), bone=True),
    "nose_root": Ellipsoid("head", (0, 0.066, 0.054), (0.0040, 0.004, 0.004), bone=True),
    "nose": Ellipsoid("head", (0, 0.048, 0.063), (0.0085, 0.0075, 0.0085), bone=True),
    "mouth": Ellipsoid("head", (0, 0.025, 0.047), (0.0150, 0.0042, 0.006), bone=True),
    "beard": Ellipsoid("head", (0, 0.018, 0.030), (0.030, 0.022, 0.026), bone=True),
    "hat": Ellipsoid("head", (0, 0.114, -0.004), (0.049, 0.029, 0.060), bone=True),
    "visor": Ellipsoid("head", (0, 0.097, 0.074), (0.034, 0.005, 0.030), bone=True),
    "brim": Ellipsoid("head", (0, 0.096, 0.0), (0.074, 0.005, 0.084), bone=True),
}


def _sided(table: dict[str, Ellipsoid]) -> dict[str, Ellipsoid]:
    return {
        name.replace("side_", side): Ellipsoid(e.frame.replace("side_", side), e.offset, e.radii, e.along, e.bone)
        for name, e in table.items()
        for side in ("left_", "right_")
    }


_NOTHING = (0.0, 0.0, 0.0)
_JOINTS = {
    "nose": Ellipsoid("head", (0, 0.049, 0.069), _NOTHING, bone=True),
    "left_eye": Ellipsoid("head", (0.0175, 0.068, 0.053), _NOTHING, bone=True),
    "right_eye": Ellipsoid("head", (-0.0175, 0.068, 0.053), _NOTHING, bone=True),
    "left_ear": Ellipsoid("head", (0.046, 0.060, -0.002), _NOTHING, bone=True),
    "right_ear": Ellipsoid("head", (-0.046, 0.060, -0.002), _NOTHING, bone=True),
    **_sided({"side_shoulder": Ellipsoid("side_upper_arm", _NOTHING, _NOTHING)}),
    **_sided({"side_elbow": Ellipsoid("side_forearm", _NOTHING, _NOTHING)}),
    **_sided({"side_wrist": Ellipsoid("side_forearm", (0, -1, 0), _NOTHING, "forearm")}),
    **_sided({"side_hip": Ellipsoid("side_thigh", _NOTHING, _NOTHING)}),
    **_sided({"side_knee": Ellipsoid("side_shin", _NOTHING, _NOTHING)}),
    **_sided({"side_ankle": Ellipsoid("side_foot", _NOTHING, _NOTHING)}),
    "pelvis": Ellipsoid("pelvis", _NOTHING, _NOTHING),
    "thorax": Ellipsoid("chest", (0, SPINE_PARTS[2], 0), _NOTHING, "spine"),
    "neck": Ellipsoid("head", _NOTHING, _NOTHING),
    "head": Ellipsoid("head", (0, 1, 0), _NOTHING, "head"),
}
ELLIPSOIDS = {**_TRUNK, **_sided(_LIMBS), **_HEAD}
"""All flesh by name."""
FLESH = len(ELLIPSOIDS)
JOINT_NAMES = tuple(_JOINTS)
"""COCO's joints, then those that MPII has besides; they follow the flesh in every array of places."""
_PLACES = [*ELLIPSOIDS.values(), *_JOINTS.values()]
_NUMBER = {name: i for i, name in enumerate(ELLIPSOIDS)}
PLACE_FRAMES = [FRAMES.index(e.frame) for e in _PLACES]
_OFFSETS = np.array([e.offset for e in _PLACES], float)
_RADII = np.array([e.radii for e in ELLIPSOIDS.values()], float)
_LENGTHS = [LENGTHS.index(e.along) if e.along else -1 for e in _PLACES]
_BONE = np.array([e.bone for e in _PLACES])
_IS_ALONG = np.array([bool(e.along) for e in _PLACES])

GROUPS = (
    "nothing", "trunk", "left_upper_arm", "right_upper_arm", "left_forearm", "right_forearm", "left_thigh",
    "right_thigh", "left_shin", "right_shin", "left_foot", "right_foot", "head",
)  # fmt: skip
"""What a pixel of a figure can belong to; a hand counts as forearm."""


@dataclass(frozen=True)
class Part:
    """A hull of ellipsoids that is painted in one colour.

    Attributes:
        ellipsoids: two or three by name.
        group: one of `GROUPS`.
        paint: which of the outfit's colours.
        nearer_m: how much nearer to the camera than its middle it counts when parts are painted from far to near.
        faces: the direction in its frame in which it can be seen; zeros for all.
        at_least: cosine between that direction and the camera's from which on it is seen.
    """

    ellipsoids: tuple[str, ...]
    group: str
    paint: str
    nearer_m: float = 0.0
    faces: Triple = (0, 0, 0)
    at_least: float = 0.0

    @property
    def of_trunk(self) -> bool:
        """Whether it is a piece of the garment on the trunk, all of which lie at the trunk's depth."""
        return self.group == "trunk" and self.paint == "upper"


FLAT = frozenset({"white", "iris", "mouth", "brows"})
"""Paints without light and shade."""
_FACE: Triple = (0, 0, 1)
PARTS: dict[str, Part] = {
    "seat": Part(("left_hip", "right_hip", "pelvis"), "trunk", "lower", -0.02),
    "hem": Part(("hem", "belly"), "trunk", "upper", 0.0400),
    "belly": Part(("belly", "breast"), "trunk", "upper", 0.0401),
    "back": Part(("belly", "left_shoulder", "right_shoulder"), "trunk", "upper", 0.0402),
    "yoke": Part(("left_shoulder", "right_shoulder", "nape"), "trunk", "upper", 0.0403),
    "coat": Part(("coat_hem", "pelvis"), "trunk", "upper", 0.0404),
    "skirt": Part(("pelvis", "left_skirt", "right_skirt"), "trunk", "lower", 0.10),
    "neck": Part(("nape", "throat"), "head", "skin", 0.03),
    **{
        name.replace("side", side): Part(
            tuple(f"{side}_{e}" for e in ellipsoids), group.replace("side", side), paint, nearer
        )
        for name, ellipsoids, group, paint, nearer in (
            ("side_upper_arm", ("shoulder", "elbow"), "side_upper_arm", "upper_arm", 0.0),
            ("side_sleeve", ("shoulder", "sleeve"), "side_upper_arm", "upper", 0.004),
            ("side_forearm", ("elbow", "wrist"), "side_forearm", "forearm", 0.002),
            ("side_cuff", ("elbow", "cuff"), "side_forearm", "upper", 0.006),
            ("side_hand", ("wrist", "palm", "fingers"), "side_forearm", "hand", 0.0),
            ("side_thigh", ("hip", "knee"), "side_thigh", "thigh", 0.0),
            ("side_shorts", ("hip", "leg_of_shorts"), "side_thigh", "lower", 0.004),
            ("side_shin", ("knee", "calf", "ankle"), "side_shin", "shin", 0.0),
            ("side_trouser", ("knee", "turn_up"), "side_shin", "lower", 0.004),
            ("side_foot", ("heel", "toes", "ankle"), "side_foot", "shoes", 0.0),
        )
        for side in ("left", "right")
    },
    "left_ear": Part(("left_ear", "left_ear"), "head", "ears", 0.0, (1, 0, -0.15), -0.25),
    "right_ear": Part(("right_ear", "right_ear"), "head", "ears", 0.0, (-1, 0, -0.15), -0.25),
    "hair": Part(("hair", "hair"), "head", "hair", 0.0),
    "hair_nape": Part(("hair", "hair_nape"), "head", "hair", 0.001),
    "face": Part(("skull", "jaw"), "head", "skin", 0.012),
    "fringe": Part(("fringe", "fringe"), "head", "hair", 0.012),
    "hair_sides": Part(("left_hair", "right_hair"), "head", "hair", -0.01),
    "hair_long": Part(("hair", "hair_end"), "head", "hair", 0.0),
    "hair_tail": Part(("hair_nape", "hair_tail"), "head", "hair", 0.02),
    "bun": Part(("bun", "bun"), "head", "hair", 0.0),
    "beard": Part(("beard", "jaw"), "head", "hair", 0.020, (0, -0.3, 1), -0.1),
    "mouth": Part(("mouth", "mouth"), "head", "mouth", 0.040, (0, -0.1, 1), 0.15),
    "left_eye": Part(("left_eye", "left_eye"), "head", "white", 0.040, (0.35, 0, 1), 0.15),
    "right_eye": Part(("right_eye", "right_eye"), "head", "white", 0.040, (-0.35, 0, 1), 0.15),
    "left_pupil": Part(("left_pupil", "left_pupil"), "head", "iris", 0.041, (0.35, 0, 1), 0.15),
    "right_pupil": Part(("right_pupil", "right_pupil"), "head", "iris", 0.041, (-0.35, 0, 1), 0.15),
    "left_brow": Part(("left_brow", "left_brow"), "head", "brows", 0.042, (0.35, 0, 1), 0.15),
    "right_brow": Part(("right_brow", "right_brow"), "head", "brows", 0.042, (-0.35, 0, 1), 0.15),
    "nose": Part(("nose_root", "nose"), "head", "nose", 0.045, _FACE, -0.05),
    "hat": Part(("hat", "hat"), "head", "hat", 0.03),
    "brim": Part(("brim", "brim"), "head", "hat", 0.035),
    "visor": Part(("hat", "visor"), "head", "hat", 0.036, _FACE, -0.35),
}
"""Everything that can be painted, in the order in which parts at one depth are painted."""
PART_NAMES = tuple(PARTS)
PART_ELLIPSOIDS = np.array([[_NUMBER[name] for name in (p.ellipsoids + p.ellipsoids[-1:])[:3]] for p in PARTS.values()])
PART_GROUPS = np.array([GROUPS.index(part.group) for part in PARTS.values()])
_FACES = np.array([part.faces for part in PARTS.values()], float)
PART_FACES = _FACES / np.maximum(np.linalg.norm(_FACES, axis=1, keepdims=True), 1e-9)
PART_AT_LEAST = np.array([part.at_least if any(part.faces) else -2.0 for part in PARTS.values()])
PART_NEARER_M = np.array([part.nearer_m for part in PARTS.values()])


def sizes_m(bodies: Bodies, loose: Floats) -> tuple[Floats, Floats]:
    """Offsets of all flesh and joints, and radii of the flesh.

    Args:
        bodies: P builds.
        loose: (P,) factor on the radii below the head: how wide the clothes are.

    Returns:
        (P, E + 21, 3) offsets and (P, E, 3) radii, in metres.
    """
    stature = bodies.stature_m[:, None]
    scale = np.where(_BONE, stature * bodies.head[:, None], stature)
    offsets = _OFFSETS * scale[..., None]
    offsets[..., 1] = np.where(_IS_ALONG, _OFFSETS[:, 1] * bodies.lengths_m[:, _LENGTHS], offsets[..., 1])
    wide = np.where(_BONE, scale, stature * (bodies.girth * loose)[:, None])[:, :FLESH]
    return offsets, _RADII * wide[..., None]
