"""Every layout in which people keep COCO gives the same data set, and what is missing is named."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dpn.data.coco_folder import Given
from dpn.data.problems import DataError
from tests.dpn.data.made_coco_folder import content, detections, opened, put, write_images, write_official, zipped
from tests.dpn.samples import COCO, needs_samples


def unpacked(root: Path) -> None: ...


def images_below_images(root: Path) -> None:
    (root / "images").mkdir()
    (root / "val2017").rename(root / "images" / "val2017")


def images_zipped(root: Path) -> None:
    zipped(root / "val2017", root / "val2017.zip")
    shutil.rmtree(root / "val2017")


def images_zipped_below_images(root: Path) -> None:
    images_zipped(root)
    (root / "images").mkdir()
    (root / "val2017.zip").rename(root / "images" / "val2017.zip")


def images_without_a_split(root: Path) -> None:
    (root / "val2017").rename(root / "images")


def annotations_zipped(root: Path) -> None:
    zipped(root / "annotations", root / "annotations_trainval2017.zip")
    shutil.rmtree(root / "annotations")


def all_zipped(root: Path) -> None:
    images_zipped(root)
    annotations_zipped(root)


def detections_beside(root: Path) -> None:
    source = root / "person_detection_results" / "COCO_val2017_detections_AP_H_56_person.json"
    source.rename(root / source.name)


def flat(root: Path) -> None:
    for folder in ("val2017", "annotations", "person_detection_results"):
        for path in (root / folder).iterdir():
            path.rename(root / path.name)
        (root / folder).rmdir()
    (root / "person_keypoints_val2017.json").rename(root / "people.json")
    (root / "COCO_val2017_detections_AP_H_56_person.json").rename(root / "people_det.json")


LAYOUTS = (
    unpacked, images_below_images, images_zipped, images_zipped_below_images, images_without_a_split,
    annotations_zipped, all_zipped, detections_beside, flat,
)  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_people_and_images(layout: Any, tmp_path: Path) -> None:
    expected = opened(write_official(tmp_path / "expected"))
    layout(write_official(tmp_path / "root"))
    data = opened(tmp_path / "root")
    assert data.people.ids.tolist() == expected.people.ids.tolist()
    assert data.digest == expected.digest
    assert data.name == ("coco root" if layout is flat else "coco val2017")
    assert (data.kind, data.boxes) == ("coco", "truth")
    for row in range(3):
        assert np.array_equal(data.example(row).image, expected.example(row).image)
    detected = opened(tmp_path / "root", boxes="detections")
    assert detected.people.ids.tolist() == [0, 1, 3]
    assert detected.truth == data.truth
    assert detected.digest != data.digest


@needs_samples
def test_the_folder_of_samples_is_a_flat_one() -> None:
    data = opened(COCO)
    assert (len(data), data.name) == (12, "coco coco")
    assert len(opened(COCO, boxes="detections")) == 118
    assert data.example(0).image.shape == (425, 640, 3)


def test_2014_is_asked_for_in_full(tmp_path: Path) -> None:
    """Section 1: its images have a prefix, in their names and in the annotations."""
    value = content()
    write_images(tmp_path / "val2014")
    for row in value["images"]:
        plain = tmp_path / "val2014" / row["file_name"]
        row["file_name"] = f"COCO_val2014_{row['file_name']}"
        plain.rename(plain.with_name(row["file_name"]))
    put(tmp_path / "annotations" / "person_keypoints_val2014.json", value)
    data = opened(tmp_path, "val2014")
    assert data.name == "coco val2014"
    assert data.example(0).image.shape == (48, 64, 3)


def test_test_dev_has_detections_and_no_truth(tmp_path: Path) -> None:
    """Section 1: its images are those of test2017."""
    write_images(tmp_path / "test2017")
    put(tmp_path / "annotations" / "image_info_test-dev2017.json", {"images": content()["images"]})
    boxes = tmp_path / "person_detection_results"
    put(boxes / "COCO_test-dev2017_detections_AP_H_609_person.json", detections())
    put(boxes / "COCO_val2017_detections_AP_H_56_person.json", [])
    data = opened(tmp_path, "test-dev", "detections")
    assert (data.name, len(data), data.truth) == ("coco test-dev2017", 3, None)
    assert data.example(0).image.shape == (70, 50, 3)
    with pytest.raises(DataError, match="nobody is annotated in test-dev2017; use --boxes detections"):
        opened(tmp_path, "test-dev")


def test_files_that_lie_elsewhere_may_be_given(tmp_path: Path) -> None:
    root = write_official(tmp_path / "root")
    expected = opened(root, boxes="detections")
    given_ = Given(
        annotations=(root / "annotations").rename(tmp_path / "a") / "person_keypoints_val2017.json",
        images=(root / "val2017").rename(tmp_path / "b"),
        detections=next((root / "person_detection_results").rename(tmp_path / "c").iterdir()),
    )
    data = opened(root, boxes="detections", given_=given_)
    assert (data.digest, data.name) == (expected.digest, expected.name)
    assert data.example(0).image.shape == (70, 50, 3)


def test_annotations_that_are_given_name_the_set_unless_they_are_the_splits_own(tmp_path: Path) -> None:
    root = write_official(tmp_path / "root")
    official = root / "annotations" / "person_keypoints_val2017.json"
    mine = put(tmp_path / "mine.json", content())
    named = {path: opened(root, given_=Given(annotations=path)).name for path in (official, mine)}
    assert named == {official: "coco val2017", mine: "coco mine"}
    given_ = Given(annotations=official, images=root / "val2017")
    assert opened(root, "train", given_=given_).name == "coco person_keypoints_val2017"


def test_images_are_part_of_the_question(tmp_path: Path) -> None:
    """The same annotations of blurred images would else be answered with what is known of the sharp ones."""
    root = write_official(tmp_path / "root")
    write_images(tmp_path / "others", seed=1)
    write_images(tmp_path / "copied")
    copied, again, others = (
        opened(root, given_=Given(images=tmp_path / name)).images_digest for name in ("copied", "copied", "others")
    )
    assert copied == again == opened(root).images_digest != others
    assert not opened(root).images_given
    (blurred := tmp_path / "blurred" / "val2017").parent.mkdir()
    shutil.copytree(root / "annotations", blurred.parent / "annotations")
    write_images(blurred, seed=1)
    one, other = opened(root), opened(blurred.parent)
    assert one.digest == other.digest
    assert one.images_digest != other.images_digest == others
    zipped(blurred, blurred.with_suffix(".zip"))
    shutil.rmtree(blurred)
    assert opened(blurred.parent).images_digest == others


def test_what_is_missing_is_named_with_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere: there is no such folder"):
        opened(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"has no annotations/person_keypoints_val2017\.json"):
        opened(tmp_path)
    root = write_official(tmp_path / "root")
    with pytest.raises(DataError, match=r"has no annotations/person_keypoints_train2017\.json"):
        opened(root, "train")
    shutil.rmtree(root / "person_detection_results")
    with pytest.raises(DataError, match=r"has no detections of val2017.* or use --boxes truth"):
        opened(root, boxes="detections")
    shutil.rmtree(root / "val2017")
    with pytest.raises(DataError, match="has no images of val2017: neither val2017/ nor"):
        opened(root)


def test_a_flat_folder_is_all_splits_but_none_that_is_misspelt(tmp_path: Path) -> None:
    flat(write_official(tmp_path))
    for split in ("val", "train", "val2017", "train2014"):
        assert len(opened(tmp_path, split)) == 3
    with pytest.raises(DataError, match=r"has no split 'vall', nor any other: people\.json is all of it"):
        opened(tmp_path, "vall")


def test_a_choice_between_files_is_left_to_the_user(tmp_path: Path) -> None:
    flat(write_official(tmp_path))
    put(tmp_path / "other.json", content())
    with pytest.raises(DataError, match=r"other\.json, people\.json; choose by --annotations"):
        opened(tmp_path)
    put(tmp_path / "more_det.json", detections())
    (tmp_path / "other.json").unlink()
    with pytest.raises(DataError, match=r"more_det\.json, people_det\.json; choose by --detections"):
        opened(tmp_path, boxes="detections")
