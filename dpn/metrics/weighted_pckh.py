"""PCKh of a data set in which each image, or each person, stands so many times. Imports no torch."""

from collections.abc import Sequence

import numpy as np

from dpn.arrays import Floats
from dpn.data.pckh_truth import Truth
from dpn.metrics.matching import Rows
from dpn.metrics.pckh import GROUPS, THRESHOLDS, AtThreshold, at_threshold, right_joints

NAMES = (*GROUPS, "mean", "unweighted_mean", "head_and_neck")
"""The numbers at each of `THRESHOLDS`."""


def numbers_of(at: AtThreshold) -> list[float | None]:
    """`NAMES`' numbers at one threshold."""
    return [*(at.groups[group] for group in GROUPS), at.mean, at.unweighted_mean, at.head_and_neck]


class WeightedPCKh:
    """PCKh by the weights of images, or of people where their images are not known.

    What is counted are whole numbers, so that the percentages are those of the people written out, to the last bit.
    """

    def __init__(self, truth: Truth, keypoints: Floats, images: Sequence[str] | None = None) -> None:
        """Sums once what belongs together.

        Args:
            truth: N people.
            keypoints: (N, 16, 2), as for `dpn.metrics.pckh.score`.
            images: N names.
        """
        right, counted = right_joints(truth, keypoints)
        unit = np.unique(images, return_inverse=True)[1].reshape(-1) if images is not None else np.arange(len(truth))
        self.units = int(unit.max(initial=-1)) + 1
        joints = np.stack([*right.values(), counted], axis=1).astype(np.int64)
        self._sums = np.zeros((self.units, *joints.shape[1:]), np.int64)
        np.add.at(self._sums, unit, joints)

    def __call__(self, weights: Rows) -> Floats:
        """The numbers (30,) in percent: `NAMES` at each of `THRESHOLDS`; NaN where nothing of the kind is labelled.

        Args:
            weights: (units,) whole numbers: how many times each image, or each person, stands in the data set.
        """
        *right, counted = np.tensordot(weights, self._sums, axes=1)
        found = [at_threshold(at, ones, counted) for at, ones in zip(THRESHOLDS, right, strict=True)]
        return np.array([number for at in found for number in numbers_of(at)], np.float64)
