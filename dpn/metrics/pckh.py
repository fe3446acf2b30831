"""MPII's PCKh: the share of joints that are closer to the truth than a part of the head's size. Imports no torch.

The numbers are those of SimpleBaseline's and HRNet's `evaluate` and of the data set's own evaluatePCKh.m, which agree
but for Head: there it is the mean of the top of the head and the upper neck, here (and in the papers' tables on the
validation set) the top of the head alone; `AtThreshold.head_and_neck` gives the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpn.arrays import Flags, Floats
from dpn.data.mat_files import check_finite, numbers, problem, read_mat, write_mat
from dpn.data.mpii import read_mpii
from dpn.data.pckh_truth import Truth
from dpn.data.problems import DataError, Problem
from dpn.skeletons import MPII_16

Counts = NDArray[np.integer[Any]]

THRESHOLDS = (0.5, 0.1, 0.11)
"""0.11 is what SimpleBaseline, HRNet and DARK print as "Mean@0.1": their code takes the wrong one of its thresholds."""

GROUPS = ("head", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
UNSCORED = ("pelvis", "thorax")
_SCORED = np.array([name not in UNSCORED for name in MPII_16.joints])
_JOINTS = len(MPII_16.joints)


def _named(group: str) -> list[int]:
    return [index for index, name in enumerate(MPII_16.joints) if name.rpartition("_")[2] == group]


@dataclass(frozen=True, kw_only=True)
class AtThreshold:
    """PCKh at one threshold, in percent; None where nothing of the kind was labelled.

    Attributes:
        threshold: a joint is right whose distance is at most this share of the head's size.
        groups: "head" to "ankle": the mean of the left and the right joint; the head is its top alone.
        mean: over all labelled joints but pelvis and thorax, each joint counted as often as it was labelled.
        unweighted_mean: of the 14 joints' percentages, as pytorch-pose prints it; not comparable with `mean`.
        head_and_neck: the mean of the top of the head and the upper neck: "Head" of evaluatePCKh.m (the test set).
        joints: each joint's percentage.
    """

    threshold: float
    groups: Mapping[str, float | None]
    mean: float | None
    unweighted_mean: float | None
    head_and_neck: float | None
    joints: Mapping[str, float | None]


@dataclass(frozen=True, kw_only=True)
class Scores:
    """PCKh of some predictions.

    Attributes:
        people: of the truth.
        scored: those among them whose head's size is known.
        heads: see `Truth.heads`.
        at: by threshold.
    """

    people: int
    scored: int
    heads: str
    at: Mapping[float, AtThreshold]

    def as_dict(self) -> dict[str, Any]:
        """For JSON: `people`, `scored`, `heads`, and for each threshold a key such as "pckh@0.5".

        There, "head" to "ankle", "mean", "unweighted_mean", "head_and_neck" and "joints". "pckh@0.11" is what
        SimpleBaseline, HRNet and DARK call Mean@0.1, "pckh@0.1" what the name says.
        """
        found: dict[str, Any] = {"people": self.people, "scored": self.scored, "heads": self.heads}
        for threshold, at in self.at.items():
            found[f"pckh@{threshold:g}"] = {
                **at.groups,
                "mean": at.mean,
                "unweighted_mean": at.unweighted_mean,
                "head_and_neck": at.head_and_neck,
                "joints": dict(at.joints),
            }
        return found


def score(truth: Truth, keypoints: Floats, thresholds: Sequence[float] = THRESHOLDS) -> Scores:
    """PCKh of predictions, one for each person of the truth, in the same order.

    Args:
        truth: see `Truth`.
        keypoints: (N, 16, 2), x and y in image pixels counted from 0; more columns, such as scores, are ignored.
        thresholds: shares of the head's size; a joint at exactly this distance is right.

    Raises:
        DataError: not N people of 16 joints, or a position that is no number.
    """
    right, counted = right_joints(truth, keypoints, thresholds)
    at = {threshold: at_threshold(threshold, one.sum(0), counted.sum(0)) for threshold, one in right.items()}
    sized = int(np.isfinite(truth.head_sizes).sum())
    return Scores(people=len(truth), scored=sized, heads=truth.heads, at=at)


def right_joints(
    truth: Truth, keypoints: Floats, thresholds: Sequence[float] = THRESHOLDS
) -> tuple[dict[float, Flags], Flags]:  # fmt: skip
    """Which joints (N, 16) are right at each threshold, and which of them are counted; arguments as of `score`.

    Raises:
        DataError: as `score`.
    """
    found = np.asarray(keypoints, dtype=np.float64)
    if found.ndim != 3 or found.shape[:2] != (len(truth), _JOINTS) or found.shape[2] < 2:
        message = f"are of {' x '.join(map(str, found.shape))}, the truth is of {len(truth)} people"
        raise DataError(Problem("predictions", "", message, f"{len(truth)} x {_JOINTS} x 2 positions are needed"))
    if not np.isfinite(found[..., :2]).all():
        person = int(np.argwhere(~np.isfinite(found[..., :2]))[0][0])
        raise DataError(Problem("predictions", f"person {person}", "holds NaN or infinity", "predict it again"))
    sized = np.isfinite(truth.head_sizes)
    counted = ~truth.missing & sized[:, None]
    sizes = np.where(sized, truth.head_sizes, 1)[:, None]
    errors = np.linalg.norm(np.where(counted[..., None], found[..., :2] - truth.joints, 0), axis=-1) / sizes
    return {threshold: counted & (errors <= threshold) for threshold in thresholds}, counted


def at_threshold(threshold: float, right: Counts, total: Counts) -> AtThreshold:
    """PCKh from how many of each joint (16,) are right, of so many (16,)."""
    percent = [100 * float(r) / float(n) if n else None for r, n in zip(right, total, strict=True)]

    def mean(joints: Sequence[int]) -> float | None:
        known = [value for joint in joints if (value := percent[joint]) is not None]
        return sum(known) / len(known) if known else None

    labelled = int(total[_SCORED].sum())
    return AtThreshold(
        threshold=threshold,
        groups={group: mean(_named(group)) for group in GROUPS},
        mean=100 * int(right[_SCORED].sum()) / labelled if labelled else None,
        unweighted_mean=mean(np.flatnonzero(_SCORED).tolist()),
        head_and_neck=mean(_named("head") + _named("neck")),
        joints=dict(zip(MPII_16.joints, percent, strict=True)),
    )


def write_predictions(path: Path, keypoints: Floats) -> None:
    """Writes pred.mat as the published code does: one variable, preds, N x 16 x 2, counted from 1.

    Args:
        path: the file; it appears whole or not at all.
        keypoints: (N, 16, 2), x and y in image pixels counted from 0; more columns are left out.
    """
    write_mat(path, {"preds": np.asarray(keypoints, dtype=np.float64)[..., :2] + 1.0})


def read_predictions(path: Path) -> NDArray[np.float64]:
    """The predictions of a pred.mat, (N, 16, 2) float64, x and y in image pixels counted from 0.

    Raises:
        DataError: not a readable .mat file with N x 16 x 2 finite numbers named preds.
    """
    found = numbers(path, read_mat(path, ("preds",)), "preds", (None, _JOINTS, 2)) - 1.0
    check_finite(path, "preds", found)
    return found


def read_truth(path: Path) -> tuple[Truth, list[str] | None]:
    """The truth in a file, and in which image each person is: annotations say that, the others are of people alone.

    Raises:
        DataError: the file is not what it should be.
    """
    if path.suffix != ".json":
        return Truth.from_mat(path), None
    entries = read_mpii(path)
    return Truth.from_annotations(entries), [entry["image"] for entry in entries]


def read_answers(path: Path, truth: Path, people: int) -> Floats:
    """`read_predictions` of so many people, those of the truth.

    Raises:
        DataError: as `read_predictions`, or they are of different people.
    """
    found = read_predictions(path)
    if len(found) != people:
        raise problem(path, "preds", f"has {len(found)} people, {truth} has {people}", "predict that split")
    return found
