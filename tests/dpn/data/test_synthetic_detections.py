"""The made-up detector: as good as it says, wrong in the ways it says, and a function of seed and image alone."""

import contextlib
import io
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from dpn.arrays import Floats
from dpn.data.coco_problems import problems_in_detections
from dpn.data.synthetic_detections import COCO_BOX_AP, _hardness, detections
from dpn.data.synthetic_set import coco_content
from dpn.synthetic.figures import SyntheticFigures

COCO = pytest.importorskip("pycocotools.coco").COCO
COCOeval = pytest.importorskip("pycocotools.cocoeval").COCOeval


@pytest.fixture(scope="module")
def content() -> dict[str, Any]:
    return coco_content(SyntheticFigures(seed=0), 250)


def box_ap(content: dict[str, Any], rows: list[dict[str, Any]]) -> float:
    """Of pycocotools, IoU 0.50 to 0.95, all sizes."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = content
        truth.createIndex()
        scored = COCOeval(truth, truth.loadRes(rows), "bbox")
        scored.evaluate()
        scored.accumulate()
        scored.summarize()
    return float(scored.stats[0])


def best_overlaps(content: dict[str, Any], rows: list[dict[str, Any]]) -> tuple[Floats, Floats]:
    """For each row the IoU with whom it fits best, and for each person with the row that fits best."""
    of_rows, of_people = np.zeros(len(rows)), np.zeros(len(content["annotations"]))
    for number, row in enumerate(rows):
        for place, person in enumerate(content["annotations"]):
            if row["image_id"] == person["image_id"]:
                one, other = np.array(row["bbox"]), np.array(person["bbox"])
                low = np.maximum(one[:2], other[:2])
                shared = np.maximum(np.minimum(one[:2] + one[2:], other[:2] + other[2:]) - low, 0).prod()
                iou = shared / (one[2:].prod() + other[2:].prod() - shared)
                of_rows[number] = max(of_rows[number], iou)
                of_people[place] = max(of_people[place], iou)
    return of_rows, of_people


def test_its_average_precision_is_near_that_of_the_published_detections(content: dict[str, Any]) -> None:
    assert box_ap(content, detections(content, 0)) == pytest.approx(COCO_BOX_AP, abs=0.05)
    assert pytest.approx(0.564, abs=0.02) == COCO_BOX_AP


@pytest.mark.slow
def test_its_average_precision_is_what_it_says_on_5000_images() -> None:
    content = coco_content(SyntheticFigures(seed=0), 5_000)
    assert box_ap(content, detections(content, 0)) == pytest.approx(COCO_BOX_AP, abs=0.015)


def test_rows_are_those_of_a_coco_file(content: dict[str, Any]) -> None:
    rows = detections(content, 0)
    assert list(problems_in_detections(rows, "", content["images"])) == []
    sizes = {image["id"]: (image["width"], image["height"]) for image in content["images"]}
    for row in rows:
        x, y, width, height = row["bbox"]
        assert min(x, y) >= 0
        assert x + width <= sizes[row["image_id"]][0] + 0.01
        assert y + height <= sizes[row["image_id"]][1] + 0.01
        assert 0 < row["score"] < 1
    order = [(row["image_id"], -row["score"]) for row in rows]
    assert order == sorted(order)


def test_an_images_boxes_follow_from_the_seed_and_its_id_alone(content: dict[str, Any]) -> None:
    rows = detections(content, 7)
    last = content["images"][-1]
    without_polygons = [{k: v for k, v in row.items() if k != "segmentation"} for row in content["annotations"]]
    alone = detections({"images": [last], "annotations": without_polygons}, 7)
    assert alone == [row for row in rows if row["image_id"] == last["id"]]
    assert alone
    other = {(*row["bbox"], row["score"]) for row in detections(content, 8)}
    assert not other & {(*row["bbox"], row["score"]) for row in rows}


def test_errors_are_those_that_it_says(content: dict[str, Any]) -> None:
    """Hard people are missed more, sure boxes fit better, some boxes repeat a person and some show nobody."""
    rows = detections(content, 0)
    of_rows, of_people = best_overlaps(content, rows)
    hardness = np.array([_hardness(person) for person in content["annotations"]])
    easy, hard = of_people[hardness < np.median(hardness)] < 0.5, of_people[hardness >= np.median(hardness)] < 0.5
    assert easy.mean() < 0.06 < hard.mean() < 0.5
    scores = np.array([row["score"] for row in rows])
    assert 0.4 < spearmanr(scores, of_rows).statistic < 0.95
    assert 0.05 < (of_rows < 0.1).mean() < 0.5
    assert len(rows) > 1.5 * len(content["annotations"])


def test_small_hidden_and_cut_off_people_are_hard() -> None:
    easy = {"area": 100.0**2, "keypoints": [50, 50, 2] * 17}
    assert _hardness(easy) == 0
    assert _hardness(easy | {"area": 30.0**2}) > 0
    assert (
        _hardness(easy | {"keypoints": [50, 50, 1] * 17})
        > _hardness(easy | {"keypoints": [50, 50, 2, 9, 9, 1] * 8})
        > 0
    )
    assert _hardness(easy | {"keypoints": [0, 0, 0] * 17}) > 0.5
    assert _hardness({"area": 1.0, "keypoints": [0, 0, 0] * 17}) == 1


def test_nobody_there_still_gives_boxes_and_no_image_gives_none() -> None:
    images = [{"id": number, "width": 300, "height": 200} for number in range(1, 30)]
    rows = detections({"images": images, "annotations": []}, 0)
    assert 1 < len(rows) / len(images) < 4
    assert detections({"images": [], "annotations": []}, 0) == []
