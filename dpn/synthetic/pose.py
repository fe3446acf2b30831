"""What the synthetic figures do: walking, sitting, waving and the like, drawn within the joint limits. No torch."""

from dataclasses import dataclass, field

import numpy as np

from dpn.arrays import Floats
from dpn.synthetic.body import ANGLES, HIGHEST, LOWEST

Angles = dict[str, tuple[float, float]]
"""Mean and standard deviation in degrees by name; a name without side stands for both sides, "one_" for one of them."""


@dataclass(frozen=True, kw_only=True)
class Family:
    """A way of moving.

    Attributes:
        share: of the people, before all shares are made to add up to 1.
        angles: what differs from standing.
        swing: amplitude in degrees and phase in radians of what moves to and fro, the sides in turns.
        seated: whether the hips rest on a seat.
        airborne_m: how high above the ground at most.
        lean_deg: standard deviation of the whole body's lean.
    """

    share: float
    angles: Angles = field(default_factory=dict)
    swing: Angles = field(default_factory=dict)
    seated: bool = False
    airborne_m: float = 0.0
    lean_deg: float = 4.0


_STANDING: Angles = {
    "spine_flexion": (3, 5), "spine_bend": (0, 5), "spine_twist": (0, 8),
    "neck_flexion": (2, 11), "neck_bend": (0, 8), "neck_twist": (0, 20),
    "shoulder_flexion": (3, 15), "shoulder_abduction": (13, 9), "shoulder_rotation": (0, 25), "elbow_flexion": (18, 16),
    "hip_flexion": (3, 8), "hip_abduction": (5, 5), "hip_rotation": (8, 10), "knee_flexion": (6, 7),
    "ankle_flexion": (0, 5),
}  # fmt: skip

FAMILIES: dict[str, Family] = {
    "standing": Family(share=4),
    "walking": Family(
        share=3,
        angles={"hip_flexion": (8, 5), "knee_flexion": (24, 7), "elbow_flexion": (26, 14), "hip_abduction": (1, 3)},
        swing={"shoulder_flexion": (-26, 0), "hip_flexion": (25, 0), "knee_flexion": (22, 2.0), "spine_twist": (8, 0)},
    ),
    "running": Family(
        share=2,
        angles={"spine_flexion": (12, 6), "hip_flexion": (22, 8), "knee_flexion": (62, 14), "elbow_flexion": (85, 16),
                "shoulder_abduction": (18, 8), "hip_abduction": (2, 4)},
        swing={"shoulder_flexion": (-45, 0), "hip_flexion": (42, 0), "knee_flexion": (48, 1.9), "spine_twist": (14, 0)},
        airborne_m=0.12, lean_deg=7,
    ),
    "sitting": Family(
        share=2.5,
        angles={"spine_flexion": (10, 10), "hip_flexion": (84, 8), "hip_abduction": (9, 8), "knee_flexion": (84, 16),
                "shoulder_flexion": (28, 16), "elbow_flexion": (52, 26), "shoulder_rotation": (-15, 22)},
        seated=True,
    ),
    "reaching": Family(
        share=2, angles={"one_shoulder_flexion": (115, 35), "one_shoulder_abduction": (18, 25),
                         "one_elbow_flexion": (18, 16), "spine_twist": (0, 14), "spine_bend": (0, 10)},
    ),
    "waving": Family(
        share=2, angles={"one_shoulder_abduction": (108, 25), "one_shoulder_rotation": (75, 15),
                         "one_elbow_flexion": (72, 30), "one_shoulder_flexion": (10, 15)},
    ),
    "arms up": Family(
        share=1, angles={"shoulder_flexion": (70, 40), "shoulder_abduction": (95, 40), "elbow_flexion": (40, 32),
                         "shoulder_rotation": (60, 25)},
    ),
    "arms out": Family(
        share=2, angles={"shoulder_abduction": (58, 26), "elbow_flexion": (35, 30), "shoulder_rotation": (0, 50),
                         "hip_abduction": (15, 10)},
    ),
    "bending": Family(
        share=1.2, angles={"spine_flexion": (52, 14), "hip_flexion": (30, 12), "knee_flexion": (20, 14),
                           "neck_flexion": (-12, 14), "shoulder_flexion": (62, 30), "elbow_flexion": (22, 18)},
        lean_deg=14,
    ),
    "jumping": Family(
        share=1.2, angles={"shoulder_abduction": (95, 42), "elbow_flexion": (35, 28), "hip_flexion": (26, 24),
                           "hip_abduction": (20, 12), "knee_flexion": (50, 34), "ankle_flexion": (20, 12)},
        airborne_m=0.6, lean_deg=10,
    ),
    "crouching": Family(
        share=1, angles={"spine_flexion": (26, 12), "hip_flexion": (102, 10), "knee_flexion": (114, 12),
                         "hip_abduction": (14, 10), "shoulder_flexion": (48, 22), "elbow_flexion": (52, 26),
                         "ankle_flexion": (-10, 6)},
    ),
    "lunging": Family(
        share=1, angles={"one_hip_flexion": (62, 16), "one_knee_flexion": (62, 20), "hip_flexion": (-5, 10),
                         "knee_flexion": (30, 18), "shoulder_flexion": (30, 35), "elbow_flexion": (45, 30)},
    ),
    "arms crossed": Family(
        share=1, angles={"shoulder_flexion": (32, 8), "shoulder_abduction": (4, 6), "shoulder_rotation": (-62, 9),
                         "elbow_flexion": (98, 12)},
    ),
    "hands on hips": Family(
        share=1.2, angles={"shoulder_flexion": (-14, 8), "shoulder_abduction": (46, 9), "shoulder_rotation": (-48, 12),
                           "elbow_flexion": (96, 12)},
    ),
    "hands behind": Family(
        share=1.2, angles={"shoulder_flexion": (-36, 7), "shoulder_abduction": (16, 6), "shoulder_rotation": (-76, 8),
                           "elbow_flexion": (58, 16)},
    ),
    "carrying": Family(
        share=1, angles={"shoulder_flexion": (30, 14), "shoulder_rotation": (-16, 14), "elbow_flexion": (82, 18)},
    ),
    "anything": Family(share=2.5, lean_deg=16),
}  # fmt: skip
"""All that people do here; "anything" is uniform over the inner four fifths of every joint's range."""
NAMES = tuple(FAMILIES)
_SHARES = np.cumsum([family.share for family in FAMILIES.values()]) / sum(f.share for f in FAMILIES.values())
_ANYTHING = NAMES.index("anything")
_MIDDLE, _REACH = (LOWEST + HIGHEST) / 2, 0.4 * (HIGHEST - LOWEST)
_TO_LEFT = np.array([1.0 if not name.startswith("right_") else -1.0 for name in ANGLES])
_SWAPPED = np.array(
    [ANGLES.index(n.replace("left_", "right_") if "left_" in n else n.replace("right_", "left_")) for n in ANGLES]
)
_TRUNK_SIGN = np.array([-1.0 if name.endswith(("_bend", "_twist")) else 1.0 for name in ANGLES])


def _spread(angles: Angles) -> Floats:
    """(24, 2) from what names say; more special names come later and overwrite."""
    out = np.zeros((len(ANGLES), 2))
    for given in ({k: v for k, v in angles.items() if not k.startswith("one_")}, angles):
        for name, value in given.items():
            plain = name.removeprefix("one_")
            both = [plain] if plain in ANGLES else [f"left_{plain}", f"right_{plain}"]
            for place in both[:1] if name.startswith("one_") else both:
                if name.startswith("one_") or f"one_{plain}" not in angles or place == both[1]:
                    out[ANGLES.index(place)] = value
    return out


_MEANS, _SPREADS = np.moveaxis(np.array([_spread({**_STANDING, **f.angles}) for f in FAMILIES.values()]), 2, 0)
_SWINGS, _PHASES = np.moveaxis(np.array([_spread(family.swing) for family in FAMILIES.values()]), 2, 0)
_SWINGS = _SWINGS * _TO_LEFT
_LEANS_DEG = np.array([family.lean_deg for family in FAMILIES.values()])
_AIRBORNE_M = np.array([family.airborne_m for family in FAMILIES.values()])
_SEATED = np.array([family.seated for family in FAMILIES.values()])


@dataclass(frozen=True, kw_only=True, eq=False)
class Poses:
    """What P people do.

    Attributes:
        families: (P,) rows of `NAMES`.
        angles_deg: (P, 24), within the limits.
        lean_deg: (P, 2) of the whole body, forwards and to the right.
        yaw_deg: (P,) from -180 to 180; 0 faces the camera, 180 shows the back.
        raised_m: (P,) above the ground.
        seated: (P,) bool.
    """

    families: np.ndarray
    angles_deg: Floats
    lean_deg: Floats
    yaw_deg: Floats
    raised_m: Floats
    seated: np.ndarray


def draw_poses(rng: np.random.Generator, people: int) -> Poses:
    """Draws poses; three in five people face the camera or turn their back to it, the others look anywhere."""
    uniform = rng.random((people, 7))
    gauss = np.maximum(np.minimum(rng.standard_normal((people, len(ANGLES) + 3)), 2.5), -2.5)
    families = np.searchsorted(_SHARES, uniform[:, 0], side="right")
    phase = 2 * np.pi * uniform[:, 1:2]
    angles = _MEANS[families] + _SPREADS[families] * gauss[:, 3:]
    angles += _SWINGS[families] * np.sin(phase + _PHASES[families])
    free = families == _ANYTHING
    if free.any():
        anything = _MIDDLE + _REACH * rng.uniform(-1, 1, (int(free.sum()), len(ANGLES)))
        angles[free] = np.where(np.arange(len(ANGLES)) < 6, 0.5 * anything, anything)
    mirrored = uniform[:, 2:3] < 0.5
    angles = np.where(mirrored, (angles * _TRUNK_SIGN)[:, _SWAPPED], angles)
    angles = np.maximum(np.minimum(angles, HIGHEST), LOWEST)
    about = np.where(uniform[:, 3] < 0.5, 0.0, 180.0)
    yaw = np.where(uniform[:, 4] < 0.6, about + 24 * gauss[:, 0], 360 * uniform[:, 5])
    lean = _LEANS_DEG[families, None] * gauss[:, 1:3]
    return Poses(
        families=families,
        angles_deg=angles,
        lean_deg=lean,
        yaw_deg=(yaw + 180) % 360 - 180,
        raised_m=_AIRBORNE_M[families] * uniform[:, 6],
        seated=_SEATED[families],
    )
