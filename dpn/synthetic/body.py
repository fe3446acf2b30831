"""The articulated body of the synthetic figures: segment lengths, joint limits, forward kinematics. Imports no torch.

Axes of a person who stands upright: x to their own left, y up, z to their front. P people are moved at once.
"""

from dataclasses import dataclass

import numpy as np

from dpn.arrays import Floats

SEGMENTS = {
    "spine": 0.288,  # hip 0.530 to shoulder 0.818
    "neck": 0.052,  # shoulder 0.818 to chin 0.870
    "head": 0.130,  # chin 0.870 to the top
    "shoulder": 0.105,  # half of 0.259 over both arms, less the arm's own radius
    "upper_arm": 0.186,
    "forearm": 0.146,
    "hand": 0.108,
    "hip": 0.057,  # half of 0.191 over both hips, less the thigh's own radius
    "thigh": 0.245,  # hip 0.530 to knee 0.285
    "shin": 0.246,  # knee 0.285 to ankle 0.039
    "ankle": 0.039,
    "foot": 0.152,
}
"""Lengths as fractions of stature: Drillis and Contini (1966) as drawn in Winter, Biomechanics and Motor Control of
Human Movement, figure 4.1; heights in the comments are his, above the floor."""
LENGTHS = tuple(SEGMENTS)
_FRACTIONS = np.array(tuple(SEGMENTS.values()))

LIMITS_DEG = {
    "spine_flexion": (-25.0, 75.0),
    "spine_bend": (-30.0, 30.0),
    "spine_twist": (-40.0, 40.0),
    "neck_flexion": (-45.0, 45.0),
    "neck_bend": (-35.0, 35.0),
    "neck_twist": (-70.0, 70.0),
    "shoulder_flexion": (-50.0, 175.0),
    "shoulder_abduction": (-35.0, 170.0),
    "shoulder_rotation": (-85.0, 90.0),
    "elbow_flexion": (0.0, 145.0),
    "hip_flexion": (-25.0, 120.0),
    "hip_abduction": (-20.0, 45.0),
    "hip_rotation": (-40.0, 45.0),
    "knee_flexion": (0.0, 138.0),
    "ankle_flexion": (-20.0, 45.0),
}
"""Ranges of motion, rounded from the American Academy of Orthopaedic Surgeons' (1965) normal values. Flexion of spine,
neck, shoulder and hip is forwards, of the knee backwards; abduction and positive rotation are away from the body."""

_TRUNK = ("spine_flexion", "spine_bend", "spine_twist", "neck_flexion", "neck_bend", "neck_twist")
_ARM = ("shoulder_flexion", "shoulder_abduction", "shoulder_rotation", "elbow_flexion")
_LEG = ("hip_flexion", "hip_abduction", "hip_rotation", "knee_flexion", "ankle_flexion")
ANGLES = (
    *_TRUNK,
    *(f"{side}_{name}" for name in _ARM for side in ("left", "right")),
    *(f"{side}_{name}" for name in _LEG for side in ("left", "right")),
)
"""The degrees of freedom of a pose, those of both sides next to each other, the left one first."""
LOWEST, HIGHEST = np.array([LIMITS_DEG[name.removeprefix("left_").removeprefix("right_")] for name in ANGLES]).T

FRAMES = (
    "pelvis", "waist", "chest", "head", "left_upper_arm", "right_upper_arm", "left_forearm", "right_forearm",
    "left_thigh", "right_thigh", "left_shin", "right_shin", "left_foot", "right_foot",
)  # fmt: skip
"""Rigid pieces, each with its origin in the joint that moves it and its length along -y (limbs) or +y (trunk, head)."""

SPINE_PARTS = (0.20, 0.35, 0.45)
"""Shares of the spine's length below its lower bend, between both bends, and above the upper one."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Bodies:
    """The builds of P people.

    Attributes:
        stature_m: (P,) metres.
        lengths_m: (P, 12) metres, in the order of `SEGMENTS`.
        girth: (P,) factor on the radii of trunk and limbs.
        head: (P,) factor on the size of the head.
    """

    stature_m: Floats
    lengths_m: Floats
    girth: Floats
    head: Floats

    def take(self, rows: np.ndarray) -> "Bodies":
        """These people alone."""
        return Bodies(
            stature_m=self.stature_m[rows],
            lengths_m=self.lengths_m[rows],
            girth=self.girth[rows],
            head=self.head[rows],
        )


def draw_bodies(rng: np.random.Generator, people: int) -> Bodies:
    """Draws builds: adults of 1.70 m give or take 9 cm, one in seven a child; each segment varies by 4 %."""
    gauss = np.maximum(np.minimum(rng.standard_normal((people, len(LENGTHS) + 3)), 2.5), -2.5)
    child = np.minimum(7 * rng.random(people), 1.0)  # 1 is grown up
    stature = (1.70 + 0.09 * gauss[:, 0]) * (0.65 + 0.35 * child)
    lengths = stature[:, None] * _FRACTIONS * (1 + 0.04 * gauss[:, 3:])
    head = (1.06 + 0.04 * gauss[:, 2]) * (1.35 - 0.35 * child)
    lengths[:, LENGTHS.index("head")] = stature * SEGMENTS["head"] * head
    return Bodies(stature_m=stature, lengths_m=lengths, girth=1.0 + 0.13 * gauss[:, 1], head=head)


def _columns(name: str) -> list[int]:
    return [i for i, angle in enumerate(ANGLES) if angle.endswith(name)]


_FLEXION, _BEND, _TWIST = 0, 1, 2
# Where each angle goes: (moving frame less 1, axis), and its sign; mirrored for the right side except about x.
_PLACES: list[tuple[int, int, int, float]] = [
    *((i, 0 if i < 3 else 2, i % 3, 0.5 if i < 3 else 1.0) for i in range(6)),  # half at each bend of the spine
    *((i, 3 + k, 0, -1.0) for k, i in enumerate(_columns("shoulder_flexion"))),
    *((i, 3 + k, 1, 1.0 - 2 * k) for k, i in enumerate(_columns("shoulder_abduction"))),
    *((i, 3 + k, 2, 1.0 - 2 * k) for k, i in enumerate(_columns("shoulder_rotation"))),
    *((i, 5 + k, 0, -1.0) for k, i in enumerate(_columns("elbow_flexion"))),
    *((i, 7 + k, 0, -1.0) for k, i in enumerate(_columns("hip_flexion"))),
    *((i, 7 + k, 1, 1.0 - 2 * k) for k, i in enumerate(_columns("hip_abduction"))),
    *((i, 7 + k, 2, 1.0 - 2 * k) for k, i in enumerate(_columns("hip_rotation"))),
    *((i, 9 + k, 0, 1.0) for k, i in enumerate(_columns("knee_flexion"))),
    *((i, 11 + k, 0, 1.0) for k, i in enumerate(_columns("ankle_flexion"))),
]
_COLUMN, _FRAME, _AXIS = np.array([place[:3] for place in _PLACES]).T
_RAD = np.pi / 180
_SIGN_RAD = np.array([place[3] for place in _PLACES]) * _RAD


def rotations(turns_rad: Floats) -> Floats:
    """(..., 3) turns about x, z and y to (..., 3, 3) matrices Rx Rz Ry: flexion first, then abduction, then twist."""
    sine, cosine = np.sin(turns_rad), np.cos(turns_rad)
    sa, sb, sc = sine[..., 0], sine[..., 1], sine[..., 2]
    ca, cb, cc = cosine[..., 0], cosine[..., 1], cosine[..., 2]
    out = np.empty((*turns_rad.shape, 3))
    out[..., 0, 0], out[..., 0, 1], out[..., 0, 2] = cb * cc, -sb, cb * sc
    out[..., 1, 0], out[..., 1, 1], out[..., 1, 2] = ca * sb * cc + sa * sc, ca * cb, ca * sb * sc - sa * cc
    out[..., 2, 0], out[..., 2, 1], out[..., 2, 2] = sa * sb * cc - ca * sc, sa * cb, sa * sb * sc + ca * cc
    return out


@dataclass(frozen=True, kw_only=True, eq=False)
class Posed:
    """Bodies in a pose.

    Attributes:
        bodies: their builds.
        turns: (P, 14, 3, 3), the axes of each frame as columns.
        origins: (P, 14, 3) metres, from the middle of the hips.
    """

    bodies: Bodies
    turns: Floats
    origins: Floats

    def points(self, frames: list[int], offsets_m: Floats) -> Floats:
        """(N,) frames and (P, N, 3) places in them, in metres, to (P, N, 3) places in the world."""
        return np.asarray(self.origins[:, frames] + (self.turns[:, frames] * offsets_m[:, :, None]).sum(axis=-1))


def pose(bodies: Bodies, angles_deg: Floats, yaw_deg: Floats, lean_deg: Floats) -> Posed:
    """Forward kinematics.

    Args:
        bodies: P builds.
        angles_deg: (P, 24) in the order of `ANGLES`.
        yaw_deg: (P,) how each person as a whole is turned about the vertical; 0 faces the camera.
        lean_deg: (P, 2) and how they lean, forwards and to their right.
    """
    people = len(angles_deg)
    turns_rad = np.zeros((people, 15, 3))
    turns_rad[:, _FRAME, _AXIS] = angles_deg[:, _COLUMN] * _SIGN_RAD
    turns_rad[:, 1] = turns_rad[:, 0]
    turns_rad[:, 13, 2] = yaw_deg * _RAD
    turns_rad[:, 14, :2] = lean_deg * _RAD
    local = rotations(turns_rad)
    turns = np.empty((people, 14, 3, 3))
    turns[:, 0] = local[:, 13] @ local[:, 14]
    turns[:, 1] = turns[:, 0] @ local[:, 0]
    turns[:, 2] = turns[:, 1] @ local[:, 1]
    turns[:, 3:6] = turns[:, 2:3] @ local[:, 2:5]
    turns[:, 6:8] = turns[:, 4:6] @ local[:, 5:7]
    turns[:, 8:10] = turns[:, 0:1] @ local[:, 7:9]
    turns[:, 10:12] = turns[:, 8:10] @ local[:, 9:11]
    turns[:, 12:14] = turns[:, 10:12] @ local[:, 11:13]
    return Posed(bodies=bodies, turns=turns, origins=_origins(bodies, turns))


def _origins(bodies: Bodies, turns: Floats) -> Floats:
    """Where each frame begins, given how it is turned."""
    spine, neck, _, shoulder, upper_arm, _, _, hip, thigh, shin, _, _ = bodies.lengths_m.T[..., None]
    left, up = turns[..., 0], turns[..., 1]
    origins = np.zeros((len(turns), 14, 3))
    origins[:, 1] = up[:, 0] * (SPINE_PARTS[0] * spine)
    origins[:, 2] = origins[:, 1] + up[:, 1] * (SPINE_PARTS[1] * spine)
    thorax = origins[:, 2] + up[:, 2] * (SPINE_PARTS[2] * spine)
    origins[:, 3] = thorax + up[:, 2] * neck * 0.97 + turns[:, 2, :, 2] * neck * 0.243  # heads are held forwards
    origins[:, 4] = thorax + left[:, 2] * shoulder
    origins[:, 5] = thorax - left[:, 2] * shoulder
    origins[:, 6:8] = origins[:, 4:6] - up[:, 4:6] * upper_arm[:, None]
    origins[:, 8] = left[:, 0] * hip
    origins[:, 9] = -origins[:, 8]
    origins[:, 10:12] = origins[:, 8:10] - up[:, 8:10] * thigh[:, None]
    origins[:, 12:14] = origins[:, 10:12] - up[:, 10:12] * shin[:, None]
    return origins
