"""COCO's people: which annotations count, whose boxes are used, and where the files lie. Imports no torch."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dpn.arrays import Floats
from dpn.data.coco_file import coco_in, detections_in
from dpn.data.coco_folder import Given, find_detections, find_images, find_split
from dpn.data.coco_problems import PERSON
from dpn.data.crops import box_to_center_scale
from dpn.data.images import open_images
from dpn.data.json_files import read_bytes
from dpn.data.people import Boxes, DataSet, People
from dpn.data.problems import DataError, Problem
from dpn.protocols import Protocol
from dpn.skeletons import COCO_17

Rows = Sequence[Mapping[str, Any]]

OFFICIAL_PEOPLE = {"person_keypoints_train2017.json": 149_813, "person_keypoints_val2017.json": 6_352}
"""People to train on and to score, in the files of these names."""

OFFICIAL_DETECTIONS = {"COCO_val2017_detections_AP_H_56_person.json": 104_125}
"""Boxes in SimpleBaseline's file, with which the publications report their results."""


def people_of_truth(content: Mapping[str, Any], input_hw: tuple[int, int], padding: float = 1.25) -> People:
    """Everyone with labelled joints in a validated annotation file, image by image, as HRNet's COCODataset has them.

    Left out are crowds, people without any joint, areas of zero, and boxes that vanish when they are clipped. Clipping
    keeps a box of width w inside pixels x to x + w - 1, so that the new width is w - 1 (sic): such are the published
    inputs.

    Args:
        content: of an annotation file.
        input_hw: height and width of the network's input, whose aspect boxes are given.
        padding: factor on the box.

    Returns:
        Centres and scales in float32, computed as published, to the last bit.
    """
    place = {image["id"]: number for number, image in enumerate(content["images"])}
    rows = [row for row in content["annotations"] if row["category_id"] == PERSON and not row.get("iscrowd")]
    rows.sort(key=lambda row: place[row["image_id"]])
    sizes = {image["id"]: (image["width"], image["height"]) for image in content["images"]}
    clipped, inside = _clipped(_table(rows, "bbox", 4), _floats([sizes[row["image_id"]] for row in rows], 2))
    keypoints = _table(rows, "keypoints", 3 * len(COCO_17.joints))
    keep = inside & (_floats([row["area"] for row in rows]) > 0) & (keypoints != 0).any(1)
    joints = keypoints[keep].reshape(-1, len(COCO_17.joints), 3)
    visible = np.minimum(joints[..., 2], 1)
    centers, scales = box_to_center_scale(clipped[keep], input_hw[1] / input_hw[0], padding)
    return People(
        skeleton=COCO_17,
        centers=centers,
        scales=scales,
        boxes=clipped[keep],
        scores=np.ones(len(joints)),
        joints=joints[..., :2] * visible[..., None],
        visible=visible,
        ids=_ints([row["id"] for row in rows])[keep],
        image_ids=_ints([row["image_id"] for row in rows])[keep],
        files=_files(content),
    )


def people_of_detections(
    rows: Rows, content: Mapping[str, Any], input_hw: tuple[int, int], padding: float = 1.25
) -> People:  # fmt: skip
    """Every detected person, in the file's order, with the box as it is; nothing is known of their joints.

    Args:
        rows: of a validated file of detections.
        content: of the annotation file, for the names of the images.
        input_hw: height and width of the network's input, whose aspect boxes are given.
        padding: factor on the box.
    """
    numbers = [number for number, row in enumerate(rows) if row["category_id"] == PERSON]
    chosen = [rows[number] for number in numbers]
    boxes = _table(chosen, "bbox", 4)
    centers, scales = box_to_center_scale(boxes, input_hw[1] / input_hw[0], padding)
    return People(
        skeleton=COCO_17,
        centers=centers,
        scales=scales,
        boxes=boxes,
        scores=_floats([row["score"] for row in chosen]),
        joints=np.zeros((len(chosen), len(COCO_17.joints), 2)),
        visible=np.zeros((len(chosen), len(COCO_17.joints))),
        ids=_ints(numbers),
        image_ids=_ints([row["image_id"] for row in chosen]),
        files=_files(content),
    )


def open_coco(
    root: Path, split: str, boxes: Boxes, *, input_hw: tuple[int, int], protocol: Protocol, given: Given | None = None
) -> DataSet:  # fmt: skip
    """The data set in a folder laid out as COCO distributes it, see `dpn.data.coco_folder`.

    Args:
        root: the folder.
        split: train, val or test-dev, of 2017; or in full, such as val2014.
        boxes: where boxes come from.
        input_hw: height and width of the network's input.
        protocol: for the padding of boxes.
        given: files that lie elsewhere.

    Raises:
        DataError: a file is missing, or with everything that is wrong with one.
    """
    given = given or Given()
    found = find_split(root, split, given.annotations)
    if boxes == "truth" and not found.has_truth:
        problem = Problem(str(found.annotations), "", f"nobody is annotated in {found.name}", "use --boxes detections")
        raise DataError(problem)
    images = open_images(given.images or find_images(found))
    detections = (given.detections or find_detections(found)) if boxes == "detections" else None
    data = read_bytes(found.annotations)
    digest = hashlib.sha256(data)
    content = coco_in(data, str(found.annotations), people=found.has_truth)
    if detections is None:
        people = people_of_truth(content, input_hw, protocol.box_padding)
    else:
        data = read_bytes(detections)
        digest.update(data)
        rows = detections_in(data, str(detections), content["images"])
        people = people_of_detections(rows, content, input_hw, protocol.box_padding)
    if not len(people):
        raise DataError(nobody_in(found.annotations))
    return DataSet(
        name=str(found),
        kind="coco",
        boxes=boxes,
        people=people,
        images=images,
        truth=truth_of(content) if found.has_truth else None,
        digest=digest.hexdigest()[:12],
        images_given=given.images is not None,
    )


def nobody_in(file: Path) -> Problem:
    """What is wrong with annotations that are well formed and have nobody to be predicted."""
    return Problem(str(file), "annotations", "nobody has a labelled joint", "give another")


def truth_of(content: dict[str, Any]) -> dict[str, Any]:
    """What people are scored against: pycocotools' COCO takes it as its `dataset`.

    It has an `info`, without which some versions of pycocotools fail, and people alone, without their outlines, which
    keypoints are not scored by and which are most of the file.
    """
    annotations = [
        {name: value for name, value in row.items() if name != "segmentation"}
        for row in content["annotations"]
        if row["category_id"] == PERSON
    ]
    categories = [row for row in content["categories"] if row["id"] == PERSON]
    info = content.get("info")
    return {
        **content,
        "info": info if isinstance(info, dict) else {},
        "categories": categories,
        "annotations": annotations,
    }


def _clipped(boxes: Floats, sizes: Floats) -> tuple[Floats, Any]:
    """The boxes inside their images, and which of them are left; in float64, with the published pixel less."""
    start = np.maximum(boxes[:, :2], 0)
    end = np.minimum(sizes - 1, start + np.maximum(boxes[:, 2:] - 1, 0))
    return np.concatenate((start, end - start), axis=1), (end >= start).all(1)


def _files(content: Mapping[str, Any]) -> dict[int, str]:
    return {image["id"]: image["file_name"] for image in content["images"]}


def _table(rows: Rows, field: str, width: int) -> Floats:
    return _floats([row[field] for row in rows], width)


def _floats(values: Sequence[Any], *width: int) -> Floats:
    return np.array(values, np.float64).reshape(-1, *width)


def _ints(values: Sequence[int]) -> Any:
    return np.array(values, np.int64)
