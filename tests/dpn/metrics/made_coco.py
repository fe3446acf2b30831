"""COCO annotations, results and people that tests make up, and plain pycocotools to hold scores against."""

import contextlib
import copy
import io
from typing import Any

import numpy as np

from dpn.data.crops import box_to_center_scale
from dpn.data.people import People
from dpn.skeletons import COCO_17

K = len(COCO_17.joints)


def annotation(number: int, image_id: int, *, area: float = 12_000.0, **changes: Any) -> dict[str, Any]:
    """A person of scattered whole-number joints, every third one unlabelled."""
    rng = np.random.default_rng(number)
    corner, size = rng.integers(0, 300, 2), np.array([120, 160])
    flags = np.where(np.arange(K) % 3 == 2, 0, 2)
    places = (corner + rng.integers(0, size, (K, 2))) * (flags > 0)[:, None]
    return {
        "id": number, "image_id": image_id, "category_id": 1, "iscrowd": 0, "area": area,
        "num_keypoints": int((flags > 0).sum()), "bbox": [*corner.tolist(), *size.tolist()],
        "keypoints": np.column_stack([places, flags]).reshape(-1).tolist(), **changes,
    }  # fmt: skip


def content(images: int, each: int, area: float | None = None) -> dict[str, Any]:
    """An annotation file's content; image ids count from 1, and people are medium and large by turns."""
    numbers = range(1, images * each + 1)
    return {
        "info": {"description": "made up"},
        "images": [
            {"id": number, "file_name": f"{number:012d}.jpg", "width": 640, "height": 480}
            for number in range(1, images + 1)
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO_17.joints)}],
        "annotations": [
            annotation(number, 1 + (number - 1) // each, area=area or (5_000.0, 12_000.0)[number % 2])
            for number in numbers
        ],
    }


def row(image_id: int, *, score: float = 0.5, seed: int = 0) -> dict[str, Any]:
    """A row of a results file."""
    points = np.random.default_rng(seed).uniform(0, 400, 3 * K).round(2)
    return {"image_id": image_id, "category_id": 1, "keypoints": points.tolist(), "score": score}


def rows_of(truth: dict[str, Any]) -> list[dict[str, Any]]:
    """The truth as a results file."""
    return [
        {
            "image_id": one["image_id"], "category_id": 1, "score": 1.0,
            "keypoints": [float(value) for value in one["keypoints"]],
        }
        for one in truth["annotations"]
    ]  # fmt: skip


def people_in(truth: dict[str, Any], repeats: int) -> People:
    """Everyone, found so many times each by a detector that grows less sure from row to row."""
    rows = [one for one in truth["annotations"] for _ in range(repeats)]
    boxes = np.array([one["bbox"] for one in rows], np.float64)
    points = np.array([one["keypoints"] for one in rows], np.float64).reshape(-1, K, 3)
    centers, scales = box_to_center_scale(boxes, 192 / 256)
    return People(
        skeleton=COCO_17, centers=centers, scales=scales, boxes=boxes, scores=np.linspace(1, 0.5, len(rows)),
        joints=points[:, :, :2], visible=np.minimum(points[:, :, 2], 1), ids=np.arange(len(rows)),
        image_ids=np.array([one["image_id"] for one in rows]), files={},
    )  # fmt: skip


def plain(truth: dict[str, Any], rows: list[dict[str, Any]]) -> list[float]:
    """The ten numbers as everybody's script has them: COCO, loadRes, COCOeval."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        people = COCO()
        people.dataset = copy.deepcopy(truth)
        people.createIndex()
        evaluation = COCOeval(people, people.loadRes(copy.deepcopy(rows)), "keypoints")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [float(number) for number in evaluation.stats]
