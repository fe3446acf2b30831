"""Validation of COCO's files: what is wrong is named by file, field and remedy, and official oddities pass."""

import json
import math
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from dpn.data.coco import people_of_detections, people_of_truth, truth_of
from dpn.data.coco_file import coco_in, detections_in, read_coco
from dpn.data.coco_problems import problems_in, problems_in_detections
from dpn.data.problems import DataError
from dpn.metrics import average_precision, coco
from tests.dpn.data.made_coco_folder import Row, content, detections, person, put
from tests.dpn.samples import COCO, needs_samples

Change = Callable[[Any], object]


def put_at(*path: str | int, value: object) -> Change:
    """Replaces what is at the end of the path."""

    def change(content: Any) -> None:
        for step in path[:-1]:
            content = content[step]
        content[path[-1]] = value

    return change


def without(*path: str | int) -> Change:
    """Takes away what is at the end of the path."""

    def change(content: Any) -> None:
        for step in path[:-1]:
            content = content[step]
        del content[path[-1]]

    return change


A = "annotations"
WRONG: dict[str, tuple[Change, str, str]] = {
    "no images": (without("images"), "images", "is missing"),
    "images empty": (put_at("images", value=[]), "images", "empty"),
    "images no list": (put_at("images", value={"a": 1}), "images", "is an object, not a list"),
    "an image that is none": (put_at("images", 1, value=None), "images[1]", "is null, not an object"),
    "no categories": (without("categories"), "categories", "is missing"),
    "no annotations": (without(A), A, "is missing"),
    "image without id": (without("images", 0, "id"), "images[0].id", "is missing"),
    "image id true": (put_at("images", 0, "id", value=True), "images[0].id", "is True, not a whole number"),
    "image id twice": (put_at("images", 2, "id", value=3), "images[2].id", "is 3, as is that of images[1]"),
    "no width": (without("images", 1, "width"), "images[1].width", "is missing"),
    "height zero": (put_at("images", 1, "height", value=0), "images[1].height", "of at least 1"),
    "width as text": (put_at("images", 1, "width", value="640"), "images[1].width", "is '640'"),
    "no file name": (without("images", 0, "file_name"), "images[0].file_name", "is missing"),
    "name that climbs": (put_at("images", 0, "file_name", value="../../x.jpg"), "images[0].file_name", "no name"),
    "name from the root": (put_at("images", 0, "file_name", value="/etc/x"), "images[0].file_name", "no name"),
    "name half a sign": (put_at("images", 0, "file_name", value="\ud800"), "images[0].file_name", "'\\ud800'"),
    "no keypoints": (without("categories", 0, "keypoints"), "categories", "are not person keypoints"),
    "other joints": (put_at("categories", 0, "keypoints", value=["nose"]), "categories[0].keypoints", "COCO's 17"),
    "person is 2": (put_at("categories", 0, "id", value=2), "categories[0].id", "people are category 1"),
    "half an id": (put_at(A, 0, "id", value=0.5), f"{A}[0].id", "is 0.5, not a whole number"),
    "an id that a float cannot hold": (put_at(A, 0, "id", value=2.0**53), f"{A}[0].id", "not a whole number"),
    "annotation id twice": (put_at(A, 4, "id", value=102), f"{A}[4].id", f"as is that of {A}[1]"),
    "annotation without id": (without(A, 0, "id"), f"{A}[0].id", "is missing"),
    "unknown image": (put_at(A, 2, "image_id", value=99), f"{A}[2].image_id", "is 99, which is no image"),
    "unknown category": (put_at(A, 2, "category_id", value=9), f"{A}[2].category_id", "is 9, which is no category"),
    "no box": (without(A, 1, "bbox"), f"{A}[1].bbox", "is missing"),
    "box of three": (put_at(A, 1, "bbox", value=[1, 2, 3]), f"{A}[1].bbox", "not a list of 4 numbers"),
    "box null": (put_at(A, 1, "bbox", value=None), f"{A}[1].bbox", "is null"),
    "NaN": (put_at(A, 1, "bbox", 2, value=math.nan), f"{A}[1].bbox", "holds nan at place 2"),
    "infinity": (put_at(A, 1, "bbox", 0, value=-math.inf), f"{A}[1].bbox", "holds -inf at place 0"),
    "10 ** 400": (put_at(A, 1, "bbox", 0, value=10**400), f"{A}[1].bbox", "at place 0, not a finite number"),
    "number as text": (put_at(A, 1, "bbox", 3, value="4"), f"{A}[1].bbox", "holds '4' at place 3"),
    "truth for a number": (put_at(A, 1, "bbox", 3, value=True), f"{A}[1].bbox", "holds True at place 3"),
    "negative width": (put_at(A, 1, "bbox", 2, value=-4), f"{A}[1].bbox", "negative width or height"),
    "box right of the image": (put_at(A, 0, "bbox", value=[90, 5, 9, 9]), f"{A}[0].bbox", "outside its image of 80x60"),
    "box above the image": (put_at(A, 0, "bbox", value=[9, -50, 9, 9]), f"{A}[0].bbox", "lies outside its image"),
    "box of nothing, joints unlabelled": (
        lambda c: c[A][3].update(bbox=[9, 9, 0, 0], keypoints=[9, 9, 0] * 17),
        f"{A}[3].bbox",
        "no larger than a pixel",
    ),
    "box of a pixel": (put_at(A, 0, "bbox", value=[9, 9, 1, 0.5]), f"{A}[0].bbox", "no larger than a pixel"),
    "area as text": (put_at(A, 0, "area", value="12"), f"{A}[0].area", "is '12', not a finite number"),
    "negative area": (put_at(A, 0, "area", value=-1), f"{A}[0].area", "is negative"),
    "no area": (without(A, 0, "area"), f"{A}[0].area", "is missing"),
    "iscrowd 2": (put_at(A, 0, "iscrowd", value=2), f"{A}[0].iscrowd", "is 2, neither 0 nor 1"),
    "iscrowd null": (put_at(A, 0, "iscrowd", value=None), f"{A}[0].iscrowd", "is null, neither 0 nor 1"),
    "width 0.0": (put_at("images", 1, "width", value=0.0), "images[1].width", "of at least 1, at most 100000"),
    "50 keypoints": (without(A, 0, "keypoints", 50), f"{A}[0].keypoints", "a list of 50, not a list of 51"),
    "keypoints of text": (put_at(A, 0, "keypoints", value="9" * 51), f"{A}[0].keypoints", "not a list of 51"),
    "keypoint NaN": (put_at(A, 0, "keypoints", 3, value=math.nan), f"{A}[0].keypoints", "holds nan at place 3"),
    "keypoints far away": (put_at(A, 0, "keypoints", 3, value=1e30), f"{A}[0].keypoints", "no pixels of an image"),
    "visibility 3": (put_at(A, 0, "keypoints", 2, value=3), f"{A}[0].keypoints", "other than 0, 1 and 2"),
    "visibility a half": (put_at(A, 0, "keypoints", 2, value=0.5), f"{A}[0].keypoints", "other than 0, 1 and 2"),
    "num_keypoints": (put_at(A, 1, "num_keypoints", value=8), f"{A}[1].num_keypoints", "is 8, but 9 keypoints are"),
    "num_keypoints null": (put_at(A, 1, "num_keypoints", value=None), f"{A}[1].num_keypoints", "is null, not a"),
}


@pytest.mark.parametrize(("change", "field", "message"), WRONG.values(), ids=WRONG)
def test_each_wrong_thing_is_the_only_problem_and_says_where(change: Change, field: str, message: str) -> None:
    value = content()
    change(value)
    (problem,) = [p for p in problems_in(value, "file.json") if p.field == field]
    assert message in problem.message
    assert str(problem).startswith(f"file.json: {field}: ")
    assert "; " in str(problem)
    assert "\n" not in str(problem)
    others = {p.field for p in problems_in(value, "file.json")} - {field}
    assert not others or field.startswith(("images", "categories"))  # whose annotations then have none


def test_what_is_right_has_no_problems() -> None:
    assert list(problems_in(content(), "x", every=True)) == []
    assert list(problems_in_detections(detections(), "x", content()["images"])) == []


@needs_samples
def test_real_annotations_and_detections_have_no_problems() -> None:
    value = read_coco(COCO / "test_coco.json")
    assert list(problems_in(value, "x", every=True)) == []
    rows = detections_in((COCO / "test_coco_det_AP_H_56.json").read_bytes(), "detections", value["images"])
    assert len(rows) == 118


def test_all_problems_are_raised_at_once(tmp_path: Path) -> None:
    value = content()
    changes = ("NaN", "no area", "visibility 3", "unknown image", "annotation id twice", "height zero")
    for name in changes:
        WRONG[name][0](value)
    with pytest.raises(DataError) as caught:
        read_coco(put(tmp_path / "x.json", value))
    assert {problem.field for problem in caught.value.problems} == {WRONG[name][1] for name in changes}
    assert "(and 5 more; " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_whoever_is_of_no_known_category_is_looked_at_like_a_person() -> None:
    value = content()
    value[A][0].update(category_id=9, bbox=None)
    assert [problem.field for problem in problems_in(value, "x")] == [f"{A}[0].category_id", f"{A}[0].bbox"]


def test_places_are_those_in_the_file_even_behind_rows_that_are_none() -> None:
    value = content()
    value[A][0] = "no object"
    value[A][4]["bbox"][1] = None
    assert [problem.field for problem in problems_in(value, "x")] == [f"{A}[0]", f"{A}[4].bbox"]


ODD: dict[str, Change] = {
    "a box without height, of no area, as of annotation 918": lambda c: c[A][3].update(
        bbox=[9.5, 9, 1.03, 0.0], area=0
    ),
    "a crowd with run lengths": lambda _: None,
    "other categories without keypoints": lambda c: (
        c["categories"].append({"id": 2, "name": "bicycle"}),
        c[A].append({"id": 900, "image_id": 3, "category_id": 2, "bbox": None}),
    ),
    "a box that ends a rounding error behind the border": lambda c: c[A][0].update(bbox=[40.01, 10, 40, 50.01]),
    "a crowd no larger than a pixel": lambda c: c[A][0].update(bbox=[9, 9, 1, 1], iscrowd=1),
    "nobody behind the last pixel": lambda c: c[A][3].update(bbox=[64, 1, 1, 1]),
    "images without people": lambda c: c["images"].append({"id": 1, "file_name": "1.jpg", "width": 9, "height": 9}),
    "no info": lambda c: c.pop("info"),
}


@pytest.mark.parametrize("change", ODD.values(), ids=ODD)
def test_oddities_of_the_official_files_are_no_problems(change: Change) -> None:
    value = content()
    change(value)
    assert list(problems_in(value, "x", every=True)) == []


def without_optional(value: Row) -> None:
    for row in value[A]:
        del row["num_keypoints"]
        if not row["iscrowd"]:
            del row["iscrowd"]


def truth_values(value: Row) -> None:
    for row in value[A]:
        row["iscrowd"] = bool(row["iscrowd"])


def floats(value: Row) -> None:
    for rows, *fields in (("images", "id", "width", "height"), ("categories", "id"), (A, "id", "image_id", "iscrowd")):
        for row in value[rows]:
            row |= {field: float(row[field]) for field in fields}


@pytest.mark.parametrize("change", [without_optional, truth_values, floats])
def test_what_other_programs_leave_out_or_write_otherwise_is_as_the_official_files_have_it(
    change: Change, tmp_path: Path
) -> None:
    change(value := content())
    assert list(problems_in(value, "x", every=True)) == []
    found, expected = people_of_truth(value, (256, 192)), people_of_truth(content(), (256, 192))
    assert found.image_ids.tolist() == expected.image_ids.tolist()
    assert found.scales.tobytes() == expected.scales.tobytes()
    read = read_coco(put(tmp_path / "x.json", value))
    assert read == content()
    numbers = [
        n for part in ("images", A) for row in read[part] for name, n in row.items() if "id" in name or n is True
    ]
    assert set(map(type, numbers)) == {int}


def test_ids_beyond_what_a_float_holds_stay_as_they_are(tmp_path: Path) -> None:
    value = content()
    value[A][0]["id"], value[A][1]["id"] = 2**53 + 1, 104729.0
    read = read_coco(put(tmp_path / "x.json", value))
    assert [row["id"] for row in read[A][:2]] == [2**53 + 1, 104729]
    assert people_of_truth(value, (256, 192)).ids.tolist() == [104729, 2**53 + 1, 105]


def test_an_annotation_of_id_0_is_used_and_told_of_by_a_check_alone(tmp_path: Path) -> None:
    """pycocotools takes a match with it for none, which neither engine of scoring here lets it see."""
    value = content()
    value[A][0]["id"] = 0
    (problem,) = problems_in(value, "x", every=True)
    assert (problem.field, problem.remedy) == (f"{A}[0].id", "number annotations from 1")
    truth = truth_of(read_coco(put(tmp_path / "x.json", value)))
    assert 0 in people_of_truth(value, (256, 192)).ids
    rows = [row | {"score": 1.0} for row in truth[A] if row["num_keypoints"]]
    for engine in (coco.score, average_precision.score):
        scores = engine(truth, rows)
        assert (scores.AP, scores.AR) == (1, 1)
        assert asdict(scores) == asdict(engine(truth_of(content()), rows))


def test_the_remedy_for_an_absent_area_says_where_one_comes_from() -> None:
    value = content()
    del value[A][0]["area"]
    (problem,) = problems_in(value, "x")
    assert problem.remedy.startswith("give the area of the person's segment in square pixels; half the box's is")


def test_reaching_over_the_border_is_named_only_where_everything_is_asked_for() -> None:
    """Training clips such boxes, as published, and joints outside get no weight; a check reports them."""
    value = content()
    value[A][0]["bbox"] = [60, 20, 30, 30]
    value[A][1]["keypoints"][3:5] = [70, 5]
    assert list(problems_in(value, "x")) == []
    keypoints, bbox = problems_in(value, "x", every=True)
    assert (keypoints.field, bbox.field) == (f"{A}[1].keypoints", f"{A}[0].bbox")
    assert "its left_eye outside the image of 64x48" in keypoints.message
    assert "reaches over the border of its image of 80x60" in bbox.message


@pytest.mark.parametrize("box", [[80, 20, 1, 9], [79.5, 20, 30, 30], [20, 60, 9, 1]])
def test_whoever_the_published_clipping_drops_is_named_where_everything_is_asked_for(box: list[float]) -> None:
    value = content()
    value[A][0]["bbox"] = box
    assert 101 not in people_of_truth(value, (256, 192)).ids
    assert list(problems_in(value, "x")) == []
    (problem,) = problems_in(value, "x", every=True)
    assert problem.field == f"{A}[0].bbox"
    assert "its image of 80x60" in problem.message
    assert problem.message.endswith("so that the published clipping drops the person")


def test_annotations_that_are_not_of_keypoints_are_recognised(tmp_path: Path) -> None:
    value = content()
    value["categories"] = [{"id": 1, "name": "person"}, {"id": 2, "name": "bicycle"}]
    for row in value[A]:
        del row["keypoints"], row["num_keypoints"]
    with pytest.raises(DataError, match=r"are not person keypoints.*; give person_keypoints_"):
        read_coco(put(tmp_path / "instances_val2017.json", value))


def test_images_alone_need_nothing_else(tmp_path: Path) -> None:
    """image_info_test-dev2017.json has no annotations."""
    path = put(tmp_path / "image_info_test-dev2017.json", {"images": content()["images"]})
    assert len(coco_in(path.read_bytes(), str(path), people=False)["images"]) == 3
    with pytest.raises(DataError, match=r"annotations: is missing|categories: is missing"):
        read_coco(path)


def test_annotations_are_read_out_of_an_archive(tmp_path: Path) -> None:
    archive = tmp_path / "annotations_trainval2017.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("annotations/person_keypoints_val2017.json", json.dumps(content()))
    path = archive / "annotations" / "person_keypoints_val2017.json"
    assert read_coco(path) == content()
    with pytest.raises(DataError, match=r"zip/annotations/gone\.json: there is no such file in the archive"):
        read_coco(path.with_name("gone.json"))
    archive.write_bytes(archive.read_bytes()[:-30])
    with pytest.raises(DataError, match=r"2017\.zip: the zip archive is cut short"):
        read_coco(path)


BYTES = {
    "nothing": (b"", "is empty"),
    "white space": (b" \n", "is empty"),
    "cut short": (json.dumps(content()).encode()[:-200], "no JSON or cut short"),
    "a list": (b"[]", r"holds \[\], no object"),
    "text": (b'"annotations"', "no object with images"),
    "no UTF-8": (b'{"images": "\xff\xfe"}', "is no UTF-8"),
    "too deep": (b"[" * 200_000 + b"]" * 200_000, "nested too deeply"),
    "thousands of digits": (b'{"images": ' + b"9" * 5000 + b"}", "thousands of digits"),
}


@pytest.mark.parametrize(("data", "message"), BYTES.values(), ids=BYTES)
def test_files_that_are_no_annotations_at_all(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(data)
    with pytest.raises(DataError, match=message) as caught:
        read_coco(path)
    assert str(caught.value).startswith(str(path))


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.json: there is no such file"):
        read_coco(tmp_path / "gone.json")
    with pytest.raises(DataError, match="is a folder"):
        read_coco(tmp_path)


WRONG_BOXES: dict[str, tuple[Change, str, str]] = {
    "no score": (without(1, "score"), "[1].score", "is missing"),
    "score NaN": (put_at(1, "score", value=math.nan), "[1].score", "is nan"),
    "score below 0": (put_at(1, "score", value=-0.5), "[1].score", "is negative"),
    "another image": (put_at(0, "image_id", value=12), "[0].image_id", "is 12, which is no image"),
    "box infinite": (put_at(0, "bbox", 1, value=math.inf), "[0].bbox", "holds inf at place 1"),
    "box far away": (put_at(0, "bbox", 1, value=1e9), "[0].bbox", "no pixels of an image"),
    "no size": (put_at(0, "bbox", value=[3, 3, 0, 0]), "[0].bbox", "has no size"),
    "no size in float32": (put_at(0, "bbox", value=[3, 3, 1e-43, 0]), "[0].bbox", "has no size"),
    "negative height": (put_at(0, "bbox", 3, value=-1), "[0].bbox", "has no size, or a negative one"),
    "no category": (without(0, "category_id"), "[0].category_id", "is missing"),
}


@pytest.mark.parametrize(("change", "field", "message"), WRONG_BOXES.values(), ids=WRONG_BOXES)
def test_each_wrong_thing_of_detections_says_where(change: Change, field: str, message: str) -> None:
    rows = detections()
    change(rows)
    (problem,) = problems_in_detections(rows, "boxes.json", content()["images"])
    assert problem.field == field
    assert message in problem.message


def test_detections_may_have_their_ids_as_floats() -> None:
    rows = [
        row | {"image_id": float(row["image_id"]), "category_id": float(row["category_id"])} for row in detections()
    ]
    assert list(problems_in_detections(rows, "x", content()["images"])) == []
    people = people_of_detections(rows, content(), (256, 192))
    assert people.image_ids.tolist() == [11, 7, 3]


def test_boxes_outside_their_image_are_fine_for_detections() -> None:
    """Trap 11.16: detectors give such boxes, and their crops are black outside the image."""
    rows: list[Row] = [{"image_id": 3, "category_id": 1, "bbox": [-900, 5, 20, 30], "score": 0.5}]
    assert list(problems_in_detections(rows, "x", content()["images"])) == []


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{**row, "image_id": 10**6 + i} for i, row in enumerate(detections())], "is about other images"),
        ([{**row, "category_id": 18} for row in detections()], "no box of a person"),
        ([], "no box of a person"),
        ({"annotations": []}, "not a list"),
    ],
    ids=["of another split", "of dogs", "empty", "annotations"],
)
def test_detections_of_something_else_are_one_problem(rows: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        detections_in(json.dumps(rows).encode(), "boxes.json", content()["images"])
    assert len(caught.value.problems) == 1


def test_the_person_builder_of_these_tests_counts_its_joints() -> None:
    assert person(1, 3, [0, 0, 1, 1], labelled=4)["keypoints"][12:] == [0] * 39
