"""A check lists everything that is wrong at once, and nothing where all is well."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from dpn.data import check as checking
from dpn.data.check import check
from dpn.data.coco import OFFICIAL_DETECTIONS, OFFICIAL_PEOPLE
from dpn.data.images import read_image
from dpn.data.opening import Asked, open_data
from dpn.data.problems import DataError
from dpn.program import cli
from dpn.verbs.data import check as check_verb
from dpn.verbs.data import info as info_verb
from tests.dpn.data.made_coco_folder import content, detections, file_name, put, write_images, write_official, zipped
from tests.dpn.samples import COCO, MPII, needs_samples

ANNOTATIONS = "annotations/person_keypoints_val2017.json"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A flat set of another name than COCO's, so that nobody counts its people."""
    write_images(tmp_path)
    put(tmp_path / "mine.json", content())
    put(tmp_path / "mine_det.json", detections())
    return tmp_path


def found(root: Path, **options: Any) -> list[str]:
    return [str(problem) for problem in check(Asked(data=str(root)), workers=0, **options).problems]


def test_all_is_well(root: Path) -> None:
    for boxes, people in (("truth", 3), ("detections", 3)):
        report = check(Asked(data=str(root), boxes=boxes), workers=0)  # type: ignore[arg-type]
        assert report.problems == ()
        assert (report.people, report.images, report.decoded, report.finished) == (people, 3, 3, True)


@needs_samples
def test_samples_are_well() -> None:
    for data, people, images in ((COCO, 12, 4), (MPII, 3, 3)):
        report = check(Asked(data=str(data)), workers=0)
        assert report.problems == ()
        assert (report.people, report.images, report.decoded) == (people, images, images)


@pytest.mark.parametrize("data", ["synthetic:images=2", "synthetic-mpii:images=2"])
def test_synthetic_figures_are_well(data: str) -> None:
    report = check(Asked(data=data), workers=0)
    assert report.problems == ()
    assert report.decoded == report.images > 0


def test_everything_is_listed_at_once(root: Path) -> None:
    value = content()
    value["annotations"][0]["bbox"][1] = float("nan")
    value["annotations"][1]["keypoints"][0] = 4000
    value["annotations"][4]["id"] = 101
    del value["annotations"][3]["area"]
    value["images"] += [{"id": 1, "file_name": "gone.jpg", "width": 9, "height": 9}]
    put(root / "mine.json", value)
    path = root / file_name(7)
    path.write_bytes(path.read_bytes()[:-100])
    cv2.imwrite(str(root / file_name(11)), np.zeros((50, 70, 3), np.uint8))
    lines = found(root)
    assert len(lines) == 7
    for place, message in (
        (r"mine\.json: annotations\[0\]\.bbox", "holds nan"),
        (r"mine\.json: annotations\[1\]\.keypoints", "its nose outside the image of 64x48"),
        (r"mine\.json: annotations\[4\]\.id", "is 101, as is that of annotations"),
        (r"mine\.json: annotations\[3\]\.area", "is missing"),
        (r"gone\.jpg", "there is no such image"),
        (re.escape(file_name(7)), "is cut short"),
        (re.escape(file_name(11)), "has 70x50 pixels, but is annotated with 50x70"),
    ):
        assert [line for line in lines if re.search(f"{place}: .*{message}.*; ", line)], (place, lines)


def test_without_decoding_only_absent_images_are_found(root: Path) -> None:
    path = root / file_name(7)
    path.write_bytes(path.read_bytes()[:-100])
    (root / file_name(3)).unlink()
    (line,) = found(root, decode=False)
    assert line.startswith(f"{root / file_name(3)}: there is no such image; ")
    assert len(found(root)) == 2


def test_a_hole_in_a_jpeg_is_found_and_named_though_its_end_is_there(
    root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = root / file_name(7)
    data = path.read_bytes()
    for hollow in (data[: len(data) // 2] + b"\xff\xd9", data[:-250] + data[-50:]):
        path.write_bytes(hollow)
        (line,) = found(root)
        assert re.fullmatch(
            rf"{path}: the image is damaged \(Corrupt JPEG data: [a-z ]+\); download or copy it again", line
        )
    path.write_bytes(data[:-2] + b"\0\0\0" + data[-2:])  # bytes too many, after the last pixel
    assert found(root) == []
    assert "premature" not in capfd.readouterr().err


def test_images_turned_after_they_were_annotated_are_found(root: Path) -> None:
    """Trap of section 1: whoever applies the EXIF orientation and stores the result gets this."""
    path = root / file_name(7)
    cv2.imwrite(str(path), np.rot90(read_image(path)))
    (line,) = found(root)
    assert "has 48x64 pixels, but is annotated with 64x48; put back the image" in line


def test_problems_of_files_do_not_hide_each_other(root: Path) -> None:
    put(root / "mine_det.json", [{**row, "score": "high"} for row in detections()])
    value = content()
    value["annotations"][0]["bbox"] = [60, 20, 30, 30]
    put(root / "mine.json", value)
    report = check(Asked(data=str(root), boxes="detections"), workers=0)
    fields = [problem.field for problem in report.problems]
    assert fields == ["annotations[0].bbox", "[0].score", "[1].score", "[3].score"]


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"images": 3}', '{"images": [3, {"file_name": 5}]}'])
def test_annotations_beyond_repair_are_reported(root: Path, text: str) -> None:
    annotations = put(root / "other" / "broken.json", 0)
    annotations.write_text(text)
    report = check(Asked(data=str(root), annotations=annotations), workers=0)
    assert report.problems
    assert all(problem.file == str(annotations) for problem in report.problems)


def test_a_missing_folder_is_the_one_problem(tmp_path: Path) -> None:
    (line,) = found(tmp_path / "gone")
    assert "there is no such folder" in line


def test_missing_images_and_detections_do_not_hide_annotations(tmp_path: Path) -> None:
    value = content()
    value["annotations"][0]["area"] = None
    put(tmp_path / ANNOTATIONS, value)
    lines = [str(p) for p in check(Asked(data=str(tmp_path), boxes="detections")).problems]
    assert len(lines) == 3
    for line, message in zip(
        lines, ("no images of val2017", "no detections of val2017", r"\[0\].area: is null"), strict=True
    ):
        assert re.search(message, line)


def test_archives_are_checked_too(tmp_path: Path) -> None:
    write_images(tmp_path / "val2017")
    (tmp_path / "val2017" / file_name(3)).unlink()
    zipped(tmp_path / "val2017", archive := tmp_path / "mine.zip")
    put(tmp_path / "mine.json", content())
    asked = Asked(data=str(tmp_path), images=archive)
    for decode in (True, False):
        (problem,) = check(asked, decode=decode, workers=0).problems
        assert problem.file == f"{archive}/val2017/{file_name(3)}"
    archive.write_bytes(archive.read_bytes()[:-50])
    (problem,) = check(asked).problems
    assert str(problem).startswith(f"{archive}: the zip archive is cut short")


def test_files_of_official_names_hold_the_official_numbers_of_people(tmp_path: Path) -> None:
    assert OFFICIAL_PEOPLE == {"person_keypoints_train2017.json": 149_813, "person_keypoints_val2017.json": 6_352}
    assert OFFICIAL_DETECTIONS == {"COCO_val2017_detections_AP_H_56_person.json": 104_125}
    write_official(tmp_path)
    (line,) = found(tmp_path)
    assert "holds 3 people, the official file of this name 6,352; download it again" in line
    (problem,) = check(Asked(data=str(tmp_path), boxes="detections"), workers=0).problems
    assert "holds 3 people, the official file of this name 104,125" in str(problem)
    put(tmp_path / ANNOTATIONS, {**content(), "info": {"description": "Synthetic figures"}})
    assert found(tmp_path) == []


@needs_samples
def test_the_official_numbers_of_mpii(tmp_path: Path) -> None:
    (tmp_path / "images").symlink_to(MPII)
    (tmp_path / "annot").mkdir()
    (tmp_path / "annot" / "valid.json").write_bytes((MPII / "valid.json").read_bytes())
    (line,) = found(tmp_path)
    assert "holds 3 people, the official file of this name 2,958" in line


@needs_samples
def test_joints_outside_images_of_mpii_are_found(tmp_path: Path) -> None:
    for path in MPII.glob("*.jpg"):
        (tmp_path / path.name).symlink_to(path)
    entries = json.loads((MPII / "valid.json").read_text())
    entries[1]["joints"][9] = [5000, 100]
    entries[2]["center"] = [-3000, 100]
    put(tmp_path / "valid.json", entries)
    first, second = found(tmp_path)
    assert f"{entries[1]['image']}: person 1: has a joint outside the image" in first
    assert f"{entries[2]['image']}: person 2: has a box outside the image" in second


def test_processes_find_what_one_process_finds(root: Path) -> None:
    path = root / file_name(3)
    path.write_bytes(path.read_bytes()[:-100])
    alone, together = (check(Asked(data=str(root)), workers=workers) for workers in (0, 2))
    assert len(alone.problems) == 1
    assert alone == together


def test_a_set_with_nobody_to_predict_is_a_problem(root: Path) -> None:
    """Every other verb refuses it."""
    value = content()
    for row in value["annotations"]:
        row["iscrowd"] = 1
    put(root / "mine.json", value)
    (line,) = found(root)
    assert line.startswith(f"{root / 'mine.json'}: annotations: nobody has a labelled joint; give another")
    with pytest.raises(DataError, match=re.escape(line)):
        open_data(Asked(data=str(root)))
    assert check(Asked(data=str(root), boxes="detections"), workers=0).problems == ()


def test_a_check_that_is_stopped_reports_what_it_found(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    (root / file_name(7)).unlink()

    def stopped(work: Any, names: list[str], **_options: Any) -> Iterator[Any]:
        yield work(names[0])
        raise KeyboardInterrupt

    monkeypatch.setattr(checking, "in_order", stopped)
    report = check(Asked(data=str(root)))
    assert (report.finished, report.decoded, len(report.problems)) == (False, 1, 1)
    assert run("check", str(root)) == 130
    assert "(1 decoded, stopped early): 1 problem so far" in capsys.readouterr().out


def test_fewer_processes_than_none_are_refused(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", str(root), "--workers", "-2") == 1
    assert capsys.readouterr().err.startswith("error: -2 processes cannot work")


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.run("data", "Data.", {"check": check_verb, "info": info_verb}, words)
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_the_verb_fails_for_problems_alone(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", str(root), "--workers", "0") == 0
    assert capsys.readouterr().out == f"{root} val: 3 people, 3 images (3 decoded): nothing wrong\n"
    (root / file_name(7)).unlink()
    assert run("check", str(root), "--fast") == 1
    problem, summary = capsys.readouterr().out.splitlines()
    assert problem.startswith(f"{root / file_name(7)}: there is no such image")
    assert summary.endswith("3 images (none decoded): 1 problem")
    assert run("check", str(root), "--json", "--workers", "0") == 1
    report = json.loads(capsys.readouterr().out)
    assert {"data", "split", "people", "images", "decoded", "finished", "problems"} == set(report)
    assert set(report["problems"][0]) == {"file", "field", "message", "remedy"}


def test_info_says_what_there_is(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("info", str(root), "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["people"], said["images"], said["kind"], said["has_truth"]) == (3, 3, "coco", True)
    assert said["joints"] == {"3": 1, "9": 1, "17": 1}
    assert said["labelled"]["nose"] == 1
    assert said["labelled"]["right_ankle"] == pytest.approx(1 / 3)
    assert said["box_height_px"][2] == 45
    assert run("info", str(root), "--boxes", "detections") == 0
    assert "3 people in 3 images, boxes from detections" in capsys.readouterr().out


def test_a_bad_set_is_one_line_of_error(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    value = content()
    value["annotations"][0]["bbox"] = value["annotations"][1]["bbox"] = None
    put(root / "mine.json", value)
    assert run("info", str(root)) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "annotations[0].bbox: is null" in error
    assert "(and 1 more; of a data set, python -m dpn data check lists all)" in error
