"""MPII Human Pose as SimpleBaseline and HRNet distribute it: people with a centre and a scale. Imports no torch."""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dpn.data.images import open_images
from dpn.data.json_files import parse, read_bytes
from dpn.data.pckh_truth import Truth
from dpn.data.people import DataSet, People
from dpn.data.problems import DataError, Problem
from dpn.protocols import Protocol
from dpn.skeletons import MPII_16

OFFICIAL_PEOPLE = {"train": 22_246, "valid": 2_958, "trainval": 29_116, "test": 7_247}
"""People in each official file; trainval is more than the sum: it adds other people of the validation images."""

BOX_PX = 200.0
"""An MPII scale of 1 is a box of this side."""

DOWN_PX = 15.0
"""The box moves down by so many pixels per unit of scale, before padding: the annotated centre is too high."""

_JOINTS = len(MPII_16.joints)
_LARGEST = 1e6
_REMEDY = "download the annotations again"
_FILES = {"val": "valid"}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -_LARGEST < value < _LARGEST


def _are_points(value: object, count: int) -> bool:
    points = value if isinstance(value, list) and len(value) == count else None
    return points is not None and all(
        isinstance(point, list) and len(point) == 2 and all(map(_is_number, point)) for point in points
    )


def problems_in(content: object, file: str, *, joints: bool = True) -> Iterator[Problem]:
    """All that is wrong with the content of an annotation file.

    Args:
        content: as parsed from JSON.
        file: its name, for the messages.
        joints: whether there must be joints; the test set's file has none.
    """
    if not isinstance(content, list) or not content:
        yield Problem(file, "", "is not a list of people", "give train.json, valid.json, trainval.json or test.json")
        return
    for index, entry in enumerate(content):
        if not isinstance(entry, dict):
            yield Problem(file, f"[{index}]", "is not a person with image, center and scale", _REMEDY)
            continue
        for field, message in _wrong_fields(entry, joints):
            yield Problem(file, f"[{index}].{field}", message, _REMEDY)


def _wrong_fields(entry: Mapping[str, Any], joints: bool) -> Iterator[tuple[str, str]]:
    needed = ("image", "center", "scale", *(("joints", "joints_vis") if joints else ()))
    missing = [field for field in needed if field not in entry]
    yield from ((field, "is missing") for field in missing)
    name = entry.get("image", "0.jpg")
    if not (isinstance(name, str) and name.isprintable() and name.strip(". ") and not {"/", "\\"} & set(name)):
        yield "image", "is not the name of a file"
    if not _are_points([entry.get("center", [0, 0])], 1):
        yield "center", "is not a pair of finite numbers"
    scale = entry.get("scale", 1)
    if not (_is_number(scale) and scale > 0):
        yield "scale", "is not a positive number"
    if ("joints" in entry or "joints_vis" in entry) and not joints and {"joints", "joints_vis"} - set(entry):
        yield "joints", "or joints_vis is there without the other"
    if "joints" in entry and not _are_points(entry["joints"], _JOINTS):
        yield "joints", f"is not {_JOINTS} pairs of finite numbers"
    flags = entry.get("joints_vis", [0] * _JOINTS)
    if not (isinstance(flags, list) and len(flags) == _JOINTS and all(_is_number(v) and v in (0, 1) for v in flags)):
        yield "joints_vis", f"is not {_JOINTS} times 0 or 1"


def read_mpii(path: Path) -> list[dict[str, Any]]:
    """The people of an annotation file such as annot/valid.json, just as they stand there (counted from 1).

    Raises:
        DataError: there is no such file, or it is not what it should be; with all that is wrong.
    """
    return _checked(read_bytes(path), path)


def _checked(data: bytes, path: Path, *, joints: bool = True) -> list[dict[str, Any]]:
    content = parse(data, str(path))
    problems = list(problems_in(content, str(path), joints=joints))
    if problems:
        raise DataError(problems)
    assert isinstance(content, list)
    return content


def people_of(
    entries: Sequence[Mapping[str, Any]], input_hw: tuple[int, int] = (256, 256), padding: float = 1.25
) -> People:  # fmt: skip
    """People with boxes, in the order of the file (HRNet's MPIIDataset).

    For a scale s and a centre counted from 1, the box's centre is (x, y + 15 s) - 1 and its side 200 s, padded after
    that. All in float64. For inputs that are not square, the shorter side grows to the aspect.

    Args:
        entries: as `read_mpii` gives them.
        input_hw: height and width of the network's input, whose aspect boxes are given.
        padding: factor on the box.
    """
    count, aspect = len(entries), input_hw[1] / input_hw[0]
    names = {name: number for number, name in enumerate(sorted({entry["image"] for entry in entries}))}
    centers = np.array([entry["center"] for entry in entries], dtype=np.float64).reshape(count, 2)
    sides = np.array([entry["scale"] for entry in entries], dtype=np.float64)
    known = centers[:, 0] != -1
    centers[:, 1] = np.where(known, centers[:, 1] + DOWN_PX * sides, centers[:, 1])
    padded = np.where(known, sides * padding, sides)
    centers -= 1
    absent = {"joints": [[0, 0]] * _JOINTS, "joints_vis": [0] * _JOINTS}
    joints, visible = (
        np.array([{**absent, **entry}[field] for entry in entries], dtype=np.float64) for field in absent
    )
    visible = visible.reshape(count, _JOINTS)
    joints = np.where(visible[..., None] > 0, joints.reshape(count, _JOINTS, 2) - 1, 0.0)
    return People(
        skeleton=MPII_16,
        centers=centers,
        scales=np.stack([padded * max(aspect, 1.0), padded / min(aspect, 1.0)], axis=1),
        boxes=np.column_stack([centers - sides[:, None] * BOX_PX / 2, sides * BOX_PX, sides * BOX_PX]),
        scores=np.ones(count),
        joints=joints,
        visible=visible,
        ids=np.arange(count, dtype=np.int64),
        image_ids=np.array([names[entry["image"]] for entry in entries], dtype=np.int64),
        files={number: name for name, number in names.items()},
    )


def find_annotations(root: Path, split: str) -> Path:
    """The annotation file of a split below a root: annot/SPLIT.json, or beside the images; "val" means valid.

    Raises:
        DataError: there is none.
    """
    name = f"{_FILES.get(split, split)}.json"
    if root.name.endswith((".tar.gz", ".tgz", ".tar")):
        remedy = f"unpack it (tar xf {root.name}) and give the folder with annot/ and images/"
        raise DataError(Problem(str(root), "", "is an archive of tar, which cannot be read image by image", remedy))
    for path in (root / "annot" / name, root / name):
        if path.is_file():
            return path
    remedy = "give the folder that holds annot/ (SimpleBaseline's train.json, valid.json, ...) and images/"
    raise DataError(Problem(str(root), "", f"has no annot/{name}", remedy))


def find_images(root: Path) -> Path:
    """The folder or zip archive of the images below a root: images/, images.zip or the root itself.

    Raises:
        DataError: there is none; says so where only the distributed archive is there.
    """
    for path in (root / "images", root / "images.zip"):
        if path.exists():
            return path
    if any(root.glob("*.jpg")):
        return root
    archives = sorted(path.name for path in root.glob("*.tar*"))
    if archives:
        message = f"has no images/, only {archives[0]}, which cannot be read image by image"
        raise DataError(Problem(str(root), "", message, f"unpack it there: tar xf {archives[0]}"))
    remedy = "unpack mpii_human_pose_v1.tar.gz there"
    raise DataError(Problem(str(root), "", "has no images/ and no images.zip", remedy))


def open_mpii(root: Path, split: str, *, input_hw: tuple[int, int], protocol: Protocol) -> DataSet:
    """MPII's people, images and truth.

    Args:
        root: a folder with annot/ and images/ (a folder or a zip archive), or with a SPLIT.json beside the images.
        split: train, val (or valid), trainval or test.
        input_hw: height and width of the network's input.
        protocol: whose boxes.

    Raises:
        DataError: something is missing or not as it should be.
    """
    path = find_annotations(root, split)
    data = read_bytes(path)
    entries = _checked(data, path, joints=split != "test")
    truth, more = _truth(path, entries)
    return DataSet(
        name=f"mpii {path.stem}",
        kind="mpii",
        boxes="truth",
        people=people_of(entries, input_hw, protocol.box_padding),
        images=open_images(find_images(root)),
        truth=truth,
        digest=hashlib.sha256(data + more).hexdigest()[:12],
    )


def _truth(path: Path, entries: Sequence[Mapping[str, Any]]) -> tuple[Truth | None, bytes]:
    """What to score against, and the bytes of the file that it came from beside the annotations."""
    if not all("joints" in entry for entry in entries):
        return None, b""
    beside = path.with_name(f"gt_{path.stem}.mat")
    if not beside.is_file():
        return Truth.from_annotations(entries), b""
    truth = Truth.from_mat(beside)
    _check_same_people(beside, truth, Truth.from_annotations(entries), path)
    return truth, read_bytes(beside)


def _check_same_people(file: Path, truth: Truth, annotated: Truth, path: Path) -> None:
    if len(truth) != len(annotated):
        message = f"has {len(truth)} people, {path.name} has {len(annotated)}"
        raise DataError(Problem(str(file), "pos_gt_src", message, "put files of the same set side by side"))
    both = ~truth.missing & ~annotated.missing
    away = np.linalg.norm(truth.joints - annotated.joints, axis=-1) / truth.head_sizes[:, None]
    if both.any() and not math.isclose(float(np.median(away[both])), 0, abs_tol=0.1):
        message = f"has other people than {path.name}, or in another order"
        raise DataError(Problem(str(file), "pos_gt_src", message, "put files of the same set side by side"))
