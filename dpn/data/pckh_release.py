"""The truth of MPII's test set, from the data set's own MATLAB structures. Imports no torch.

RELEASE (mpii_human_pose_v1_u12*.mat) says which images are tests and which people in them stand alone; annolist
(annolist_dataset_v12.mat, published in 2021) has their joints and head boxes. The people of test.json are those alone,
image by image and in the order of their rectangles, which is how evaluatePCKh.m goes through them.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dpn.data.mat_files import check_finite, problem, quiet, read_mat
from dpn.data.mat_format import Cells, FormatError, Structures, Value
from dpn.skeletons import MPII_16

Floats = NDArray[np.float64]
RELEASE = ("annolist", "RELEASE")
_JOINTS = len(MPII_16.joints)
_OFFICIAL = "give the distributed annolist_dataset_v12.mat, with mpii_human_pose_v1_u12_1.mat beside it"


def read_release(path: Path, variables: Mapping[str, Value]) -> tuple[Floats, Floats, Floats]:
    """Joints (N, 16, 2), counted from 0, their labels (N, 16), 0 or 1, and head boxes (N, 4) of the test set.

    Args:
        path: annolist_dataset_v12.mat, or the file of RELEASE where that has the joints of the test set.
        variables: what that file holds.

    Raises:
        DataError: there is no RELEASE, or something in the structures is not as it should be.
    """
    release = variables.get("RELEASE")
    if release is None:
        beside = sorted(path.parent.glob("mpii_human_pose_v1_u12*.mat"))
        release = read_mat(beside[0], ("RELEASE",)).get("RELEASE") if beside else None
    if release is None:
        raise problem(path, "RELEASE", "is missing, and so is mpii_human_pose_v1_u12*.mat beside it", _OFFICIAL)
    try:
        people = list(_people(release, variables.get("annolist")))
    except FormatError as error:
        raise problem(path, "annolist", f"is not MPII's list: {error}", _OFFICIAL) from error
    if not people:
        raise problem(path, "RELEASE.single_person", "names nobody in the test set", _OFFICIAL)
    joints, labels, boxes = (np.stack(column) for column in zip(*people, strict=True))
    if not labels.any():
        raise problem(path, "annolist", "has no joints of the test set", _OFFICIAL)
    check_finite(path, "annolist.annopoints", joints, labels[..., None] > 0)
    check_finite(path, "annolist.x1 to y2", boxes)
    return joints, labels, boxes


def _structures(found: Value | None) -> Structures:
    """Structures, of which an empty list may be stored as an array without numbers."""
    if isinstance(found, np.ndarray) and not found.size:
        return Structures((), ())
    if not isinstance(found, Structures):
        raise FormatError(f"{type(found).__name__} where structures should be")
    return found


def _numbers(found: Value) -> Floats:
    if not isinstance(found, np.ndarray):
        raise FormatError(f"{type(found).__name__} where numbers should be")
    return quiet(found).ravel(order="F")


def _number(found: Value) -> float:
    numbers = _numbers(found)
    if len(numbers) != 1 or not np.isfinite(numbers[0]):
        raise FormatError("something else where a number should be")
    return float(numbers[0])


def _people(release: Value, annolist: Value | None) -> Iterator[tuple[Floats, Floats, Floats]]:
    release = _structures(release)
    images = _structures(release.get(0, "annolist") if annolist is None else annolist)
    train, alone = _numbers(release.get(0, "img_train")), release.get(0, "single_person")
    if not isinstance(alone, Cells) or not len(images) == len(train) == len(alone):
        raise FormatError(f"{len(images)} images, where RELEASE has {len(train)}")
    for image in np.flatnonzero(train == 0).tolist():
        people = _structures(images.get(image, "annorect"))
        for number in np.sort(_numbers(alone[image])).tolist():
            if "objpos" in people.fields and len(_structures(people.get(int(number) - 1, "objpos"))):
                yield _person(people, int(number) - 1)


def _person(people: Structures, index: int) -> tuple[Floats, Floats, Floats]:
    joints, labels = np.zeros((_JOINTS, 2)), np.zeros(_JOINTS)
    annotated = _structures(people.get(index, "annopoints") if "annopoints" in people.fields else np.zeros(0))
    points = _structures(annotated.get(0, "point")) if len(annotated) else annotated
    for point in range(len(points)):
        x, y, joint = (_number(points.get(point, field)) for field in ("x", "y", "id"))
        if joint not in range(_JOINTS):
            raise FormatError(f"no joint has the number {joint:g}")
        joints[int(joint)] = x - 1, y - 1
        labels[int(joint)] = 1
    return joints, labels, np.array([_number(people.get(index, side)) for side in ("x1", "y1", "x2", "y2")])
