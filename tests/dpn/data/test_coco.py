"""COCO's people against a scalar computation from the facts, to the last bit, and the data sets made of them."""

import json
import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpn.data.coco import people_of_detections, people_of_truth, truth_of
from dpn.data.coco_file import detections_in, read_coco
from dpn.data.people import People
from dpn.data.problems import DataError
from tests.dpn.data.made_coco_folder import (
    Row,
    content,
    detections,
    file_name,
    opened,
    person,
    put,
    write_official,
    zipped,
)
from tests.dpn.samples import COCO, needs_samples

SIZES = [(256, 192), (384, 288), (256, 256)]
Person = tuple[int, list[np.float32], list[np.float32]]


def scalar_scale(w: float, h: float, input_hw: tuple[int, int]) -> list[np.float32]:
    """Section 1: aspect in double precision, 200 pixels, rounded, then the padding in single precision."""
    aspect = input_hw[1] / input_hw[0]
    if w > aspect * h:
        h = w / aspect
    elif w < aspect * h:
        w = aspect * h
    return [np.float32(w / 200) * np.float32(1.25), np.float32(h / 200) * np.float32(1.25)]


def scalar_people(value: Row, input_hw: tuple[int, int]) -> list[Person]:
    """Section 1, one annotation after the other, in Python's double precision: id, centre and scale."""
    found: list[Person] = []
    for image in value["images"]:
        for row in value["annotations"]:
            if row["image_id"] != image["id"] or row["iscrowd"] or row["category_id"] != 1:
                continue
            if max(row["keypoints"]) == 0 or row["area"] <= 0:
                continue
            x, y, w, h = row["bbox"]
            x1, y1 = max(0, x), max(0, y)
            x2 = min(image["width"] - 1, x1 + max(0, w - 1))
            y2 = min(image["height"] - 1, y1 + max(0, h - 1))
            if x2 < x1 or y2 < y1:
                continue
            w, h = x2 - x1, y2 - y1
            center = [np.float32(x1 + w * 0.5), np.float32(y1 + h * 0.5)]
            found.append((row["id"], center, scalar_scale(w, h, input_hw)))
    return found


def equal_to_the_last_bit(people: People, expected: list[Person]) -> None:
    assert people.ids.tolist() == [number for number, _, _ in expected]
    assert people.centers.dtype == people.scales.dtype == np.float32
    assert people.centers.tobytes() == np.array([center for _, center, _ in expected], np.float32).tobytes()
    assert people.scales.tobytes() == np.array([scale for _, _, scale in expected], np.float32).tobytes()


@pytest.mark.parametrize("input_hw", SIZES)
def test_made_up_people_are_those_of_the_facts(input_hw: tuple[int, int]) -> None:
    equal_to_the_last_bit(people_of_truth(content(), input_hw), scalar_people(content(), input_hw))


@needs_samples
@pytest.mark.parametrize("input_hw", SIZES)
def test_real_people_are_those_of_the_facts(input_hw: tuple[int, int]) -> None:
    value = read_coco(COCO / "test_coco.json")
    people = people_of_truth(value, input_hw)
    assert len(people) == 12
    equal_to_the_last_bit(people, scalar_people(value, input_hw))


@given(
    st.lists(
        st.tuples(
            st.sampled_from([3, 7, 11]),
            st.lists(st.floats(-30, 90).map(lambda v: round(v, 2)), min_size=2, max_size=2),
            st.lists(st.floats(0, 120), min_size=2, max_size=2),
            st.sampled_from([0, 0.5, 1000]),
            st.integers(0, 17),
            st.integers(0, 1),
        ),
        max_size=12,
    )
)
def test_any_people_are_those_of_the_facts(drawn: list[tuple[int, list[float], list[float], float, int, int]]) -> None:
    value = content()
    value["annotations"] = [
        person(number, image, [*corner, *size], labelled, area=area, iscrowd=crowd)
        for number, (image, corner, size, area, labelled, crowd) in enumerate(drawn, 1)
    ]
    equal_to_the_last_bit(people_of_truth(value, (256, 192)), scalar_people(value, (256, 192)))


def test_a_box_inside_its_image_loses_a_pixel_and_one_outside_is_clipped() -> None:
    """Trap of section 1: true boxes are clipped as x + w - 1, not to the border as mmpose does."""
    people = people_of_truth(content(), (256, 192))
    boxes = dict(zip(people.ids.tolist(), people.boxes.tolist(), strict=True))
    assert boxes[101] == [10.5, 5.25, 29, 39]
    assert boxes[102] == [0, 2, 39.25, 45]
    assert boxes[105] == [5, 20.5, 43, 47]


def test_people_come_image_by_image_in_the_order_of_the_images() -> None:
    people = people_of_truth(content(), (256, 192))
    assert people.ids.tolist() == [102, 101, 105]
    assert people.image_ids.tolist() == [7, 3, 11]
    assert [people.files[image] for image in people.image_ids.tolist()] == [file_name(7), file_name(3), file_name(11)]


def test_crowds_people_without_joints_without_area_and_other_things_are_left_out() -> None:
    value = content()
    value["categories"].append({"id": 2, "name": "bicycle"})
    value["annotations"] += [
        person(201, 3, [5, 5, 20, 20], area=0),
        person(202, 3, [5, 5, 20, 20], iscrowd=1),
        person(203, 3, [5, 5, 20, 20], labelled=0),
        person(204, 3, [5, 5, 20, 20], category_id=2),
        person(205, 3, [79.5, 5, 0.4, 20]),
        person(206, 3, [5, 5, 20, 20], labelled=1),
    ]
    assert people_of_truth(value, (256, 192)).ids.tolist() == [102, 101, 206, 105]


def test_occluded_joints_are_as_visible_as_others_and_unlabelled_ones_are_zero() -> None:
    """Section 1: v of 1 and 2 alike become 1."""
    value = content()
    value["annotations"][1]["keypoints"][-3:-1] = [33, 22]  # coordinates of a joint that is not labelled
    people = people_of_truth(value, (256, 192)).take([0])
    assert people.visible.tolist() == [[1] * 9 + [0] * 8]
    keypoints = np.array(value["annotations"][1]["keypoints"]).reshape(17, 3)
    assert set(keypoints[:9, 2].tolist()) == {1, 2}
    assert people.joints.dtype == people.visible.dtype == np.float64
    assert people.joints[0, :9].tolist() == keypoints[:9, :2].tolist()
    assert not people.joints[0, 9:].any()


def test_detected_boxes_are_used_as_they_are_in_the_order_of_the_file() -> None:
    """Section 8: category 1 alone; the clean-up is for true boxes, never for these."""
    people = people_of_detections(detections(), content(), (256, 192))
    assert people.ids.tolist() == [0, 1, 3]
    assert people.image_ids.tolist() == [11, 7, 3]
    assert people.scores.tolist() == [0.9, 0.25, 1e-5]
    assert people.boxes.tolist() == [[3.5, 4, 30, 50], [-20.5, -4, 90, 30], [0, 0, 12, 70.5]]
    assert people.centers.tolist() == [[18.5, 29], [24.5, 11], [6, 35.25]]
    expected = [scalar_scale(w, h, (256, 192)) for _, _, w, h in people.boxes.tolist()]
    assert people.scales.tobytes() == np.array(expected, np.float32).tobytes()
    assert not people.visible.any()


@needs_samples
def test_real_detections_have_the_centres_and_scales_of_the_facts() -> None:
    value = read_coco(COCO / "test_coco.json")
    rows = detections_in((COCO / "test_coco_det_AP_H_56.json").read_bytes(), "detections", value["images"])
    people = people_of_detections(rows, value, (384, 288))
    centers = [[np.float32(x + w * 0.5), np.float32(y + h * 0.5)] for x, y, w, h in (row["bbox"] for row in rows)]
    scales = [scalar_scale(w, h, (384, 288)) for _, _, w, h in (row["bbox"] for row in rows)]
    assert people.centers.tobytes() == np.array(centers, np.float32).tobytes()
    assert people.scales.tobytes() == np.array(scales, np.float32).tobytes()


def test_a_box_whose_centre_is_at_minus_one_is_not_padded() -> None:
    rows = [{"image_id": 3, "category_id": 1, "bbox": [-16, 0, 30, 40], "score": 1}]
    assert people_of_detections(rows, content(), (256, 192)).scales.tolist() == [
        [pytest.approx(0.15), pytest.approx(0.2)]
    ]


def test_pycocotools_takes_the_truth_as_it_is() -> None:
    """Trap 11.14: some of its versions need `info`, which not every file has."""
    from pycocotools import coco as pycoco
    from pycocotools.cocoeval import COCOeval

    value = content()
    del value["info"]
    truth = truth_of(value)
    coco = pycoco.COCO()
    coco.dataset = truth
    coco.createIndex()
    coco.info()
    rows = [
        {"image_id": row["image_id"], "category_id": 1, "keypoints": row["keypoints"], "score": 1}
        for row in truth["annotations"]
        if row["num_keypoints"]
    ]
    evaluation = COCOeval(coco, coco.loadRes(rows), "keypoints")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == 1
    assert "segmentation" in value["annotations"][0]
    assert not any("segmentation" in row for row in truth["annotations"])


def test_other_categories_do_not_reach_the_truth() -> None:
    value = content()
    value["categories"].append({"id": 2, "name": "bicycle"})
    value["annotations"].append({"id": 900, "image_id": 3, "category_id": 2})
    truth = truth_of(value)
    assert [row["id"] for row in truth["categories"]] == [1]
    assert len(truth["annotations"]) == 5


def test_nobody_to_predict_is_an_error(tmp_path: Path) -> None:
    value = content()
    value["annotations"] = value["annotations"][2:4]
    write_official(tmp_path, value)
    with pytest.raises(DataError, match="nobody has a labelled joint"):
        opened(tmp_path)


def test_the_digest_follows_every_byte_of_annotations_and_detections(tmp_path: Path) -> None:
    root = write_official(tmp_path)
    digests = {opened(root).digest, opened(root, boxes="detections").digest}
    rows = detections()
    rows[0]["score"] = 0.91
    put(root / "person_detection_results" / "COCO_val2017_detections_AP_H_56_person.json", rows)
    digests.add(opened(root, boxes="detections").digest)
    value = content()
    value["annotations"][0]["area"] += 1
    put(root / "annotations" / "person_keypoints_val2017.json", value)
    digests |= {opened(root).digest, opened(root, boxes="detections").digest}
    assert len(digests) == 5
    assert all(len(digest) == 12 and int(digest, 16) >= 0 for digest in digests)


def test_data_sets_go_to_other_processes(tmp_path: Path) -> None:
    root = write_official(tmp_path)
    zipped(root / "val2017", root / "val2017.zip")
    shutil.rmtree(root / "val2017")
    data = opened(root)
    data.example(0)
    again = pickle.loads(pickle.dumps(data))
    assert np.array_equal(again.example(2).image, data.example(2).image)


def test_bad_files_are_refused_when_opened(tmp_path: Path) -> None:
    value = content()
    value["annotations"][0]["bbox"][0] = float("nan")
    root = write_official(tmp_path, value)
    with pytest.raises(DataError, match=r"val2017\.json: annotations\[0\]\.bbox: holds nan"):
        opened(root)
    put(root / "annotations" / "person_keypoints_val2017.json", content())
    path = root / "person_detection_results" / "COCO_val2017_detections_AP_H_56_person.json"
    path.write_text(json.dumps([{**row, "image_id": 5} for row in detections()]))
    with pytest.raises(DataError, match="is about other images"):
        opened(root, boxes="detections")
    zipped(root / "annotations", archive := root / "annotations_trainval2017.zip")
    shutil.rmtree(root / "annotations")
    archive.write_bytes(archive.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"annotations_trainval2017\.zip: the zip archive is cut short"):
        opened(root)
    assert not zipfile.is_zipfile(archive)
