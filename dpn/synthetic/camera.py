"""A pinhole camera for the synthetic scenes: where points land, where the horizon lies. Imports no torch.

The world: x to the right, y up, z towards the camera; the ground is y = 0 and the camera stands above (0, 0, 0).
"""

import math
from dataclasses import dataclass

import numpy as np

from dpn.arrays import Floats

NEAREST_M = 0.3
"""Nothing is projected from nearer than this."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Camera:
    """Where it looks.

    Attributes:
        height_m: above the ground.
        turn: (3, 3) from the world's directions to the camera's: right, down, away.
        focal_px: focal length.
        middle_px: (2,) where the optical axis meets the picture; anywhere, as in a picture that was cut out.
    """

    height_m: float
    turn: Floats
    focal_px: float = 1.0
    middle_px: tuple[float, float] = (0.0, 0.0)

    def seen(self, points_m: Floats) -> Floats:
        """(..., 3) points of the world to (..., 3) metres right, down and away from the camera."""
        return np.asarray((points_m - (0.0, self.height_m, 0.0)) @ self.turn.T)

    def pixels(self, seen_m: Floats) -> Floats:
        """(..., 3) metres right, down and away to (..., 2) pixels."""
        away = np.maximum(seen_m[..., 2:], NEAREST_M)
        return np.asarray(seen_m[..., :2] * (self.focal_px / away) + self.middle_px)

    def project(self, points_m: Floats) -> Floats:
        """(..., 3) points of the world to (..., 2) pixels."""
        return self.pixels(self.seen(points_m))

    def ground(self, x_px: Floats, away_m: Floats) -> Floats:
        """(N, 3) places on the ground, so far away along the ground, that land at these columns of the picture."""
        points = np.zeros((len(away_m), 3))
        points[:, 2] = -away_m
        middle = self.seen(points)  # moving by x adds x times the first column of the turn
        slope = (x_px - self.middle_px[0]) / self.focal_px
        points[:, 0] = (slope * middle[:, 2] - middle[:, 0]) / (self.turn[0, 0] - slope * self.turn[2, 0])
        return points


def look(height_m: float, pitch_deg: float, roll_deg: float) -> Camera:
    """A camera of that height that looks downwards by the pitch and leans to its side by the roll."""
    pitch, roll = math.radians(pitch_deg), math.radians(roll_deg)
    cp, sp, cr, sr = math.cos(pitch), math.sin(pitch), math.cos(roll), math.sin(roll)
    turn = np.array([[cr, sr * cp, -sr * sp], [sr, -cr * cp, cr * sp], [0.0, -sp, -cp]])
    return Camera(height_m=height_m, turn=turn)  # roll times pitch times diag(1, -1, -1)
