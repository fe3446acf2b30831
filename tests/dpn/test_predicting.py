"""People are found and drawn in single images, and what is wrong with one image does not keep the others from it."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from torch import nn

from dpn.data.images import read_image
from dpn.data.picture_files import Boxes, output_paths, read_boxes
from dpn.data.problems import DataError
from dpn.drawing import COLORS_BGR
from dpn.metrics.coco_results import read_results
from dpn.network_names import Network
from dpn.network_output import OutputError
from dpn.predicting import Drawing, Found, Predictor, predict_images
from dpn.runtime import Runtime
from dpn.skeletons import COCO_17, MPII_16
from tests.dpn import dotted
from tests.dpn.dotted import Dots, box_of, content_of, scene, write_folder

PEOPLE = scene(COCO_17, 2)


def predictor(net: nn.Module | None = None) -> Predictor:
    return Predictor.of(Network(name="dots", net=net or dotted.coco()), "dpn", None, Runtime())


def boxes_file(path: Path, **changes: Any) -> Path:
    rows = [
        {"image_id": row["image_id"], "category_id": 1, "bbox": row["bbox"], "score": 0.9} | changes
        for row in content_of(PEOPLE)["annotations"]
    ]
    path.write_text(json.dumps(rows))
    return path


def far(row: dict[str, Any], joints: np.ndarray) -> float:
    return float(np.abs(np.array(row["keypoints"]).reshape(-1, 3)[:, :2] - joints).max())


def found_in(folder: Path, images: list[Path], *, boxes: Path | None = None) -> list[Found]:
    known = read_boxes(boxes, images) if boxes else None
    return list(predict_images(predictor(), images, known, Drawing(output=folder)))


def test_people_in_boxes_are_found_drawn_and_written(tmp_path: Path) -> None:
    write_folder(tmp_path, 2)
    images = sorted(tmp_path.glob("*.png"))
    found = found_in(tmp_path / "out", images, boxes=boxes_file(tmp_path / "boxes.json"))
    rows = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert rows == [row for one in found for row in one.rows]
    assert read_results(tmp_path / "out" / "predictions.json", content_of(PEOPLE))
    for image, one in zip(images, found, strict=True):
        assert one.error is None
        assert [row["image_id"] for row in one.rows] == [int(image.stem)] * 2
        assert {row["file_name"] for row in one.rows} == {image.name}
        for joints in PEOPLE[image.name]:
            assert min(far(row, joints) for row in one.rows) < 5
        picture = cv2.imread(str(one.drawing))
        before = cv2.imread(str(image))
        assert picture.shape == before.shape
        for color in COLORS_BGR.values():
            assert (picture == color).all(axis=2).sum() > 20


def test_without_boxes_the_image_is_one_person(tmp_path: Path) -> None:
    image = Dots({"x": [PEOPLE["000000000001.png"][0]]}, COCO_17).read("x")
    x, y, width, height = (round(side) for side in box_of(PEOPLE["000000000001.png"][0]))
    cv2.imwrite(str(tmp_path / "beach.png"), image[y : y + height, x : x + width])
    (found,) = found_in(tmp_path / "out", [tmp_path / "beach.png"])
    (row,) = found.rows
    assert row["image_id"] == 1
    assert far(row, PEOPLE["000000000001.png"][0] - (x, y)) < 5


def test_the_number_of_heatmaps_says_whose_joints_they_are() -> None:
    assert predictor().skeleton is COCO_17
    on_mpii = predictor(dotted.mpii())
    assert on_mpii.skeleton is MPII_16
    assert on_mpii.input_hw == (256, 256)
    people = scene(MPII_16, 1)["000000000001.png"]
    image = Dots({"x": people}, MPII_16).read("x")
    rows = on_mpii.people_in(image, np.array([box_of(one) for one in people]), np.array([0.5, 0.9]), 7)
    assert [len(row["keypoints"]) for row in rows] == [48, 48]
    assert rows[0]["score"] > rows[1]["score"]
    assert far(rows[0], people[1]) < 5
    with pytest.raises(OutputError, match=r"dots draws nobody: .* it takes 17 joints \(COCO\) or 16 \(MPII\)"):
        predictor(dotted.fourteen())
    with pytest.raises(OutputError, match=r"Conv2d fails on an image of 256x192") as error:
        predictor(nn.Conv2d(3, 17, 1).half())
    assert "joints" not in str(error.value)


def test_two_boxes_of_one_person_give_one_person() -> None:
    joints = PEOPLE["000000000001.png"][0]
    image = Dots({"x": [joints]}, COCO_17).read("x")
    boxes = np.array([box_of(joints), np.add(box_of(joints), (2, 2, 0, 0))])
    rows = predictor().people_in(image, boxes, np.array([0.5, 0.9]))
    assert len(rows) == 1
    assert rows[0]["score"] == pytest.approx(0.9 * np.mean(np.array(rows[0]["keypoints"])[2::3]))


def test_a_bad_image_is_one_line_and_the_others_go_on(tmp_path: Path) -> None:
    write_folder(tmp_path, 2)
    cut = tmp_path / "cut.png"
    cut.write_bytes((tmp_path / "000000000001.png").read_bytes()[:500])
    images = [tmp_path / "nowhere.jpg", cut, tmp_path / "000000000002.png"]
    found = found_in(tmp_path / "out", images)
    assert [one.error is None for one in found] == [False, False, True]
    assert "there is no such image" in str(found[0].error)
    assert "cut short" in str(found[1].error)
    assert [path.name for path in sorted((tmp_path / "out").iterdir())] == ["000000000002.png", "predictions.json"]


def test_a_loop_of_links_is_one_line_and_the_others_go_on(tmp_path: Path) -> None:
    write_folder(tmp_path, 1)
    (loop := tmp_path / "loop.jpg").symlink_to(loop)
    found = found_in(tmp_path / "out", [loop, tmp_path / "000000000001.png"])
    assert [one.error is None for one in found] == [False, True]
    assert str(found[0].error).startswith(f"{loop}: cannot be read (")
    link = tmp_path / "link.jpg"
    link.symlink_to(tmp_path / "out" / "link.png")
    with pytest.raises(ValueError, match="would take the place of that image"):
        output_paths([link], tmp_path / "out")


def test_results_of_before_stay_where_no_image_can_be_used(tmp_path: Path) -> None:
    write_folder(tmp_path, 2)
    found_in(tmp_path / "out", sorted(tmp_path.glob("*.png")))
    before = (tmp_path / "out" / "predictions.json").read_bytes()
    assert [one.error is None for one in found_in(tmp_path / "out", [Path("nowhere.jpg")])] == [False]
    assert (tmp_path / "out" / "predictions.json").read_bytes() == before
    found_in(tmp_path / "other", [Path("nowhere.jpg")])
    assert not (tmp_path / "other").exists()


def test_what_was_found_is_written_when_it_stops(tmp_path: Path) -> None:
    write_folder(tmp_path, 2)
    for _ in predict_images(predictor(), sorted(tmp_path.glob("*.png")), None, Drawing(output=tmp_path / "out")):
        break
    assert len(json.loads((tmp_path / "out" / "predictions.json").read_text())) == 1


def test_boxes_belong_to_images_by_name_or_number(tmp_path: Path) -> None:
    images = [Path("elsewhere/000000000001.jpg"), Path("COCO_val2014_000000000002.jpg"), Path("beach.jpg")]
    boxes = read_boxes(boxes_file(tmp_path / "a.json"), images)
    assert set(boxes) == set(images[:2])
    assert boxes[images[0]][0].tolist() == [box_of(joints) for joints in PEOPLE["000000000001.png"]]
    named = read_boxes(boxes_file(tmp_path / "b.json", file_name="x/beach.jpg"), images)
    assert set(named) == {images[2]}
    assert len(named[images[2]][1]) == 4


def named_boxes(path: Path, *names: str, number: int = 7) -> Path:
    """One box for each name, as wide as its place in the list; an empty name is none."""
    rows = [
        {"image_id": number, "category_id": 1, "bbox": [0, 0, width, 9], "score": 1}
        | ({"file_name": name} if name else {})
        for width, name in enumerate(names, 1)
    ]
    path.write_text(json.dumps(rows))
    return path


def widths(boxes: Boxes) -> dict[str, list[float]]:
    return {image.as_posix(): boxes[image][0][:, 2].tolist() for image in boxes}


def test_boxes_of_images_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    names = ["seq1/000001.jpg", "seq2/000001.jpg", "seq2/000001.jpg", "seq3/000001.jpg"]
    file = named_boxes(tmp_path / "boxes.json", *names)
    both = [Path("frames/seq1/000001.jpg"), Path("frames/seq2/000001.jpg")]
    assert widths(read_boxes(file, both)) == {both[0].as_posix(): [1], both[1].as_posix(): [2, 3]}
    assert widths(read_boxes(file, [*both[1:], Path("frames/x/../seq2/000001.jpg")])) == {
        "frames/seq2/000001.jpg": [2, 3], "frames/x/../seq2/000001.jpg": [2, 3],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("names", "images", "message"),
    [
        (["f1.jpg"], ["a/f1.jpg", "b/f1.jpg"], "rows of file_name f1.jpg could be a/f1.jpg, b/f1.jpg; give rows"),
        (["a/f1.jpg", "b/f1.jpg"], ["c/f1.jpg"], "the image c/f1.jpg could be file_name a/f1.jpg, file_name b/f1.jpg"),
        ([""], ["a_7.jpg", "b_7.jpg"], "rows of image_id 7 could be a_7.jpg, b_7.jpg; give rows a file_name"),
    ],
)
def test_boxes_that_could_be_of_several_images_are_refused(
    tmp_path: Path, names: list[str], images: list[str], message: str
) -> None:
    with pytest.raises(DataError) as error:
        read_boxes(named_boxes(tmp_path / "boxes.json", *names), [Path(image) for image in images])
    assert message in str(error.value)


def test_rows_of_images_of_one_name_have_paths(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write_folder(tmp_path / folder, 1)
    images = sorted(tmp_path.glob("[ab]/*.png"))
    rows = [row for found in found_in(tmp_path / "out", images) for row in found.rows]
    assert {row["file_name"] for row in rows} == {image.as_posix() for image in images}


def test_what_stands_in_the_way_is_said_before_anything_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(ValueError, match=r"out is a file; give --output a folder"):
        Drawing(output=tmp_path / "out")
    with pytest.raises(DataError, match=r"is a folder; name images, such as .*/\*\.jpg"):
        read_image(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "boxes.json"),
        ("[", "no JSON or cut short"),
        ('[{"image_id": 1, "category_id": 1, "bbox": [0, 0, NaN, 3], "score": 1}]', r"\[0\].bbox"),
        ('[{"image_id": 1, "category_id": 1, "bbox": [0, 0, 2, 3]}]', r"\[0\].score"),
        ('[{"image_id": 5, "category_id": 1, "bbox": [0, 0, 2, 3], "score": 1}]', "boxes for none of these images"),
    ],
)
def test_bad_boxes_are_one_line(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "boxes.json").write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read_boxes(tmp_path / "boxes.json", [Path("1.jpg")])
    assert "\n" not in str(caught.value)
    assert "boxes.json" in str(caught.value)


def test_an_image_without_boxes_is_named(tmp_path: Path) -> None:
    write_folder(tmp_path, 2)
    rows = [{"image_id": 1, "category_id": 1, "bbox": [10, 10, 100, 100], "score": 1}]
    (tmp_path / "boxes.json").write_text(json.dumps(rows))
    found = found_in(tmp_path / "out", sorted(tmp_path.glob("*.png")), boxes=tmp_path / "boxes.json")
    assert found[0].error is None
    assert "000000000002.png: the file of boxes has none in it" in str(found[1].error)


def test_no_drawing_takes_the_place_of_an_image() -> None:
    with pytest.raises(ValueError, match="would take the place of that image"):
        output_paths([Path("a/x.png")], Path("a"))
    names = [path.name for path in output_paths([Path("x.jpg"), Path("a/x.jpg"), Path("x_2.jpg")], Path("a"))]
    assert len(set(names)) == 3
