"""A small made-up set in COCO's form, in any of the layouts in which people keep COCO."""

import json
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dpn.data.coco import open_coco
from dpn.data.coco_folder import Given
from dpn.data.people import Boxes, DataSet
from dpn.protocols import protocol
from dpn.skeletons import COCO_17

IMAGES = ((7, 64, 48), (3, 80, 60), (11, 50, 70))
"""Ids, widths and heights; ids are not in order, as in COCO's files."""

Row = dict[str, Any]


def file_name(image_id: int) -> str:
    return f"{image_id:012d}.jpg"


def keypoints(labelled: int = 17, seed: int = 0) -> list[int]:
    """The first so many joints are labelled, visible and occluded in turn, within 40x40 pixels."""
    rng = np.random.default_rng(seed)
    rows = [(*rng.integers(4, 40, 2).tolist(), 1 + joint % 2) if joint < labelled else (0, 0, 0) for joint in range(17)]
    return [number for row in rows for number in row]


def person(number: int, image_id: int, box: list[float], labelled: int = 17, **other: Any) -> Row:
    """An annotation; `other` replaces fields."""
    return {
        "id": number, "image_id": image_id, "category_id": 1, "bbox": box, "area": box[2] * box[3] / 2, "iscrowd": 0,
        "keypoints": keypoints(labelled, number), "num_keypoints": labelled,
        "segmentation": [[box[0], box[1], box[0] + box[2], box[1], box[0], box[1] + box[3]]], **other,
    }  # fmt: skip


def content() -> Row:
    """Five people in three images, one of them in a crowd and one without joints; three are to be predicted."""
    return {
        "info": {"description": "made up"},
        "images": [{"id": i, "file_name": file_name(i), "width": w, "height": h} for i, w, h in IMAGES],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO_17.joints), "skeleton": [[1, 2]]}],
        "annotations": [
            person(101, 3, [10.5, 5.25, 30, 40]),
            person(102, 7, [-0.5, 2, 40.25, 46.01], labelled=9),
            person(103, 11, [5, 5, 40, 60], labelled=0, iscrowd=1, segmentation={"counts": [9, 9], "size": [70, 50]}),
            person(104, 7, [1, 1, 20, 20], labelled=0),
            person(105, 11, [5, 20.5, 44, 48], labelled=3),
        ],
    }  # fmt: skip


def detections() -> list[Row]:
    """Boxes in no order, one of something else, one over the border."""
    rows: list[tuple[int, int, list[float], float]] = [
        (11, 1, [3.5, 4, 30, 50], 0.9),
        (7, 1, [-20.5, -4, 90, 30], 0.25),
        (7, 3, [1, 1, 5, 5], 0.8),
        (3, 1, [0, 0, 12, 70.5], 1e-5),
    ]
    return [{"image_id": i, "category_id": c, "bbox": box, "score": score} for i, c, box, score in rows]


def write_images(folder: Path, seed: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for image_id, width, height in IMAGES:
        coarse = rng.integers(0, 255, (6, 6, 3), np.uint8)
        cv2.imwrite(str(folder / file_name(image_id)), cv2.resize(coarse, (width, height)))


def zipped(folder: Path, archive: Path) -> None:
    """The folder in an archive, below its own name, as COCO's archives are."""
    with zipfile.ZipFile(archive, "w") as target:
        target.mkdir(folder.name)
        for path in sorted(folder.iterdir()):
            target.write(path, f"{folder.name}/{path.name}")


def write_official(root: Path, annotations: Row | None = None, split: str = "val2017") -> Path:
    """COCO's layout, unpacked, with detections where SimpleBaseline's instructions put them."""
    write_images(root / split)
    put(root / "annotations" / f"person_keypoints_{split}.json", annotations or content())
    put(root / "person_detection_results" / f"COCO_{split}_detections_AP_H_56_person.json", detections())
    return root


def put(path: Path, value: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    return path


def opened(root: Path, split: str = "val", boxes: Boxes = "truth", given_: Given | None = None) -> DataSet:
    return open_coco(root, split, boxes, input_hw=(256, 192), protocol=protocol("dpn", "coco"), given=given_)
