"""People and files in the forms of MPII's distribution, made up from a seed."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import savemat

from dpn.metrics.pckh import Scores, read_answers, read_truth, score

Floats = NDArray[np.float64]
SHORT_NAMES = "rank rkne rhip lhip lkne lank pelv thor neck head rwri relb rsho lsho lelb lwri"


def people(count: int, seed: int = 0, images: int = 4) -> list[dict[str, Any]]:
    """Entries as in valid.json: counted from 1, absent joints at (-1, -1)."""
    rng = np.random.default_rng(seed)
    entries = []
    for index in range(count):
        visible = rng.random(16) < 0.8
        joints = np.where(visible[:, None], rng.uniform(1, 900, (16, 2)).round(4), -1.0)
        entries.append(
            {
                "joints_vis": visible.astype(int).tolist(),
                "joints": joints.tolist(),
                "image": f"{900 - index % images:09d}.jpg",
                "scale": round(float(rng.uniform(0.5, 9)), 6),
                "center": rng.uniform(1, 1000, 2).round().tolist(),
            }
        )
    return entries


def truth_variables(count: int, seed: int = 0) -> dict[str, Any]:
    """The variables of a gt_valid.mat, in its own shapes and counted from 1."""
    rng = np.random.default_rng(seed)
    corner = rng.uniform(1, 500, (2, count))
    names = np.empty((1, 16), dtype=object)
    names[0] = SHORT_NAMES.split()
    return {
        "dataset_joints": names,
        "jnt_missing": (rng.random((16, count)) < 0.2).astype(np.uint8),
        "pos_gt_src": rng.uniform(1, 900, (16, 2, count)),
        "headboxes_src": np.stack([corner, corner + rng.uniform(20, 90, (2, count))]),
    }


def truth_of(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """A gt_valid.mat of the same people."""
    variables = truth_variables(len(entries))
    variables["pos_gt_src"] = np.array([entry["joints"] for entry in entries]).transpose(1, 2, 0)
    variables["jnt_missing"] = 1 - np.array([entry["joints_vis"] for entry in entries]).T
    return variables


def write(path: Path, variables: dict[str, Any], *, compressed: bool = False) -> Path:
    """Writes a .mat file, as MATLAB's version 5 (or 7, compressed)."""
    savemat(path, variables, do_compression=compressed)
    return path


def scored(truth: Path, predictions: Path) -> Scores:
    """What `dpn score mpii` finds of these files."""
    known = read_truth(truth)[0]
    return score(known, read_answers(predictions, truth, len(known)))


def release(count: int, seed: int = 0) -> tuple[dict[str, Any], dict[str, Any], Floats]:
    """The data set's own structures: what annolist_dataset_v12.mat and mpii_human_pose_v1_u12_1.mat hold.

    Of the `count` images every third is for training. A test image has three people, of whom the third and the first
    stand alone (in this order in the file); one image has a person without a position, one a person without joints.

    Returns:
        both files' variables, and the tests' joints (N, 16, 2), counted from 1, NaN where absent.
    """
    rng = np.random.default_rng(seed)
    images = np.empty((1, count), dtype=[("image", object), ("annorect", object)])
    alone = np.empty((count, 1), dtype=object)
    train = (np.arange(count) % 3 == 0).astype(np.uint8)[None]
    truth = []
    fields = ("x1", "y1", "x2", "y2", "annopoints", "scale", "objpos")
    for index in range(count):
        people = np.empty((1, 3), dtype=[(field, object) for field in fields])
        known = []
        for person in range(3):
            corner = rng.uniform(1, 500, 2)
            order = rng.permutation(16)[: rng.integers(10, 17)]
            joints = np.full((16, 2), np.nan)
            joints[order] = rng.uniform(1, 900, (len(order), 2))
            points = np.empty((1, len(order)), dtype=[("x", object), ("y", object), ("id", object)])
            points[0] = [(*joints[joint], int(joint)) for joint in order]
            annotated: Any = {"point": points}
            if (index, person) == (1, 0):
                annotated, joints[:] = np.zeros((0, 0)), np.nan
            position: Any = {"x": 5.0, "y": 6.0}
            if (index, person) == (2, 2):
                position = np.zeros((0, 0))
            elif person != 1:
                known.append(joints)
            x, y = corner.tolist()
            people[0, person] = (x, y, x + 30, y + 40, annotated, 2.0, position)
        images[0, index] = ({"name": f"{index:09d}.jpg"}, people)
        alone[index, 0] = np.array([[3], [1]], dtype=np.uint8)
        if not train[0, index]:
            truth += known
    return {"annolist": images}, {"RELEASE": {"img_train": train, "single_person": alone}}, np.array(truth)
