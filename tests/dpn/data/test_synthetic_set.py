"""Synthetic figures as data sets: COCO's and MPII's annotations, examples, images, whatever the number of processes."""

import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from dpn.data.coco_problems import problems_in
from dpn.data.crops import affine, crop
from dpn.data.people import Boxes, DataSet
from dpn.data.problems import DataError
from dpn.data.synthetic_annotations import mpii_entry, mpii_people, polygons
from dpn.data.synthetic_examples import KEPT_IMAGES, TRAIN_FIRST, SyntheticExamples, SyntheticImages, _image
from dpn.data.synthetic_set import (
    _coco_scene,
    coco_content,
    first_of,
    open_synthetic,
    subject_crops,
)
from dpn.data.workers import in_order
from dpn.metrics.coco import score
from dpn.metrics.coco_scores import NAMES
from dpn.metrics.pckh import score as pckh
from dpn.protocols import protocol
from dpn.skeletons import COCO_17, MPII_16
from dpn.synthetic.figures import SyntheticFigures

COCO = pytest.importorskip("pycocotools.coco").COCO

IMAGES = 40
FIGURES = SyntheticFigures(seed=3)


@pytest.fixture(scope="module")
def content() -> dict[str, Any]:
    return coco_content(FIGURES, IMAGES)


def opened(images: int = IMAGES, *, seed: int = 3, split: str = "val", boxes: Boxes = "truth") -> DataSet:
    return open_synthetic(
        seed, images, style="coco", split=split, boxes=boxes, input_hw=(256, 192), protocol=protocol("dpn", "coco")
    )


def opened_mpii(images: int = IMAGES, *, seed: int = 3) -> DataSet:
    return open_synthetic(
        seed, images, style="mpii", split="val", boxes="truth", input_hw=(256, 256), protocol=protocol("dpn", "mpii")
    )


def assert_perfect(truth: dict[str, Any]) -> None:
    """The truth as predictions scores 1, ten times, to the three digits that COCO prints.

    Not to the last digit: among medium people a large one's prediction takes a medium one of similar pose first.
    """
    rows = [
        {"image_id": row["image_id"], "category_id": 1, "keypoints": list(map(float, row["keypoints"])), "score": 1.0}
        for row in truth["annotations"]
        if row["num_keypoints"]
    ]
    scores = score(truth, rows)
    assert [getattr(scores, name) for name in NAMES] == pytest.approx([1.0] * 10, abs=5e-4)


def test_pycocotools_scores_the_truth_with_ten_times_one() -> None:
    assert_perfect(opened().truth)


@pytest.mark.slow
def test_five_thousand_images_are_loaded_and_scored_by_pycocotools(tmp_path: Path) -> None:
    data = opened(5_000, seed=0)
    path = tmp_path / "person_keypoints_val2017.json"
    path.write_text(json.dumps(data.truth), encoding="utf-8")
    coco = COCO(str(path))
    assert len(coco.getImgIds()) == 5_000
    assert list(problems_in(data.truth, "", every=True)) == []
    assert_perfect(data.truth)


def test_the_file_is_what_coco_says(content: dict[str, Any]) -> None:
    """Positive ids (pycocotools takes a match with annotation 0 for none), limbs from 1, no coordinates where v = 0."""
    assert list(problems_in(content, "", every=True)) == []
    sizes = {image["id"]: (image["width"], image["height"]) for image in content["images"]}
    assert {len(row["keypoints"]) for row in content["annotations"]} == {51}
    for row in content["annotations"]:
        joints = np.array(row["keypoints"]).reshape(17, 3)
        assert row["num_keypoints"] == (joints[:, 2] > 0).sum()
        assert (joints[joints[:, 2] == 0] == 0).all()
        assert row["iscrowd"] == 0
        x, y, width, height = row["bbox"]
        assert min(x, y) >= 0
        assert x + width <= sizes[row["image_id"]][0]
        assert y + height <= sizes[row["image_id"]][1]
        assert 0 < row["area"] <= width * height
    category = content["categories"][0]
    assert category["keypoints"] == list(COCO_17.joints)
    assert min(map(min, category["skeleton"])) == 1
    assert category["skeleton"][0] == [16, 14]  # as in COCO's own files: left ankle to left knee
    assert "seed 3" in content["info"]["description"]


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")
def test_segments_are_the_pixels_of_the_figures(content: dict[str, Any]) -> None:
    coco = COCO()
    coco.dataset = content
    coco.createIndex()
    apart = []
    for index in range(10):
        figures = FIGURES.scene(index).figures
        rows = [row for row in content["annotations"] if row["image_id"] == index + 1]
        for figure, row in zip(figures, rows, strict=True):
            mask = figure.mask()
            assert row["area"] == mask.sum()
            outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
            without_holes = cv2.drawContours(np.zeros(mask.shape, np.uint8), outlines, -1, 1, cv2.FILLED) > 0
            found = coco.annToMask(row) > 0
            apart.append((found ^ without_holes).sum() / (found | without_holes).sum())
    assert np.mean(apart) < 0.03


def test_a_line_one_pixel_wide_keeps_its_outline() -> None:
    mask = np.zeros((9, 9), bool)
    mask[4, 2:8] = True
    (outline,) = polygons(mask)
    assert np.reshape(outline, (-1, 2)).min(axis=0).tolist() == [2.25, 4.25]
    assert np.reshape(outline, (-1, 2)).max(axis=0).tolist() == [7.75, 4.75]


def test_no_image_and_no_annotation_is_in_both_splits() -> None:
    val, train = coco_content(FIGURES, 5, first_of("val", 5)), coco_content(FIGURES, 5, first_of("train", 5))
    for name in ("images", "annotations"):
        ids = [row["id"] for content in (val, train) for row in content[name]]
        assert len(set(ids)) == len(ids)
        assert min(ids) > 0
    last = first_of("val", TRAIN_FIRST) + TRAIN_FIRST
    assert last <= first_of("train", 10**12)
    with pytest.raises(DataError, match="images: 1,000,001 cannot be had of val; ask for 1 to 1,000,000"):
        first_of("val", TRAIN_FIRST + 1)


def test_seeds_differ_and_a_seed_repeats_in_two_processes_as_in_one(content: dict[str, Any]) -> None:
    scenes = in_order(partial(_coco_scene, FIGURES), range(IMAGES), title="", workers=2)
    assert [row for scene in scenes for row in scene.annotations] == content["annotations"]
    other = coco_content(SyntheticFigures(seed=4), IMAGES)
    assert not {tuple(row["keypoints"]) for row in other["annotations"]} & {
        tuple(row["keypoints"]) for row in content["annotations"] if row["num_keypoints"]
    }


class _Pictures(Dataset[tuple[NDArray[Any], ...]]):
    """Everything of an example, for loaders."""

    def __init__(self, examples: SyntheticExamples) -> None:
        self.examples = examples

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> tuple[NDArray[Any], ...]:
        example = self.examples.example(index)
        return example.image, example.center, example.scale, example.joints, example.visible


@pytest.mark.filterwarnings("ignore:This DataLoader will create 4 worker processes")
@pytest.mark.parametrize("skeleton", [COCO_17, MPII_16], ids=["coco", "mpii"])
def test_examples_are_the_same_bit_for_bit_with_0_2_and_4_workers(skeleton: Any) -> None:
    pictures = _Pictures(SyntheticExamples(FIGURES, 10, skeleton))
    alone = [pictures[index] for index in range(len(pictures))]
    for workers in (0, 2, 4):
        loaded = list(DataLoader(pictures, batch_size=None, num_workers=workers, collate_fn=_as_it_is))
        for mine, theirs in zip(alone, loaded, strict=True):
            assert [array.tobytes() for array in mine] == [array.tobytes() for array in theirs]
    other = SyntheticExamples(SyntheticFigures(seed=4), 10, skeleton).example(0)
    assert other.image.tobytes() != alone[0][0].tobytes()


def _as_it_is(item: Any) -> Any:
    return item


@pytest.mark.parametrize("skeleton", [COCO_17, MPII_16], ids=["coco", "mpii"])
def test_an_example_is_the_data_sets_row_of_the_same_person(skeleton: Any) -> None:
    """To the last bit: learning and validation share one recipe for boxes."""
    data = opened() if skeleton == COCO_17 else opened_mpii()
    input_hw = (256, 192) if skeleton == COCO_17 else (256, 256)
    examples = SyntheticExamples(FIGURES, IMAGES, skeleton, input_hw, first=0)
    for index in range(10):
        name = f"{index + 1:012d}.jpg"
        of_image = [row for row in range(len(data)) if data.people.files[int(data.people.image_ids[row])] == name]
        mine, theirs = examples.example(index), data.example(of_image[0])
        for field in ("image", "center", "scale", "joints", "visible"):
            one, other = getattr(mine, field), getattr(theirs, field)
            assert one.dtype == other.dtype
            assert one.tobytes() == other.tobytes(), field


def test_examples_end_where_they_should() -> None:
    examples = SyntheticExamples(FIGURES, 3, COCO_17)
    assert len(examples) == 3
    with pytest.raises(IndexError, match="no example 3 among 3"):
        examples.example(3)


def test_the_recipe_makes_the_smallest_square_of_an_mpii_entry() -> None:
    """Down by 15 px per unit of the unpadded scale, then padding, then one pixel for counting from 1, in that order."""
    for index in range(20):
        figure = FIGURES.scene(index).figures[0]
        entry = mpii_entry(figure, "name.jpg")
        labelled = figure.mpii_joints[:, 2] > 0
        center, scale = np.array(entry["center"]), entry["scale"]
        center[1] += 15 * scale
        side = 200 * (scale * 1.25) / 1.25
        center -= 1
        x, y, width, height = figure.box_xywh
        points = np.array([(x, y), (x + width, y + height), *figure.mpii_joints[labelled, :2]])
        assert np.ptp(points, axis=0).max() == pytest.approx(side, abs=1e-3)
        assert center == pytest.approx((points.min(axis=0) + points.max(axis=0)) / 2, abs=1e-3)
        joints = np.array(entry["joints"])
        assert (joints[~labelled] == -1).all()
        assert joints[labelled] - 1 == pytest.approx(figure.mpii_joints[labelled, :2], abs=0.01)
        assert entry["joints_vis"] == labelled.astype(int).tolist()


def test_mpiis_truth_has_head_boxes_and_scores_itself_fully() -> None:
    data = opened_mpii()
    assert data.kind == "mpii"
    assert data.truth.heads == "boxes"
    boxes = [figure.head_box_xyxy for index in range(IMAGES) for figure in mpii_people(FIGURES.scene(index))]
    diagonals = [0.6 * np.hypot(x2 - x1, y2 - y1) for x1, y1, x2, y2 in boxes]
    assert data.truth.head_sizes == pytest.approx(diagonals, abs=0.01)
    assert pckh(data.truth, data.people.joints).at[0.1].mean == pytest.approx(100)


def test_opened_again_it_is_the_same_object_and_the_digest_follows_what_is_asked() -> None:
    assert opened() is opened()
    asked = [
        opened(), opened(seed=4), opened(IMAGES - 1), opened(split="train"), opened(boxes="detections"), opened_mpii()
    ]  # fmt: skip
    assert len({data.digest for data in asked}) == len(asked)
    assert {len(data.digest) for data in asked} == {12}
    assert len({data.name for data in asked}) == len(asked) - 1  # boxes are a field of their own


def test_detected_boxes_keep_their_scores_and_the_truth() -> None:
    data = opened(boxes="detections")
    assert data.boxes == "detections"
    assert data.truth == opened().truth
    assert 0 < data.people.scores.min() < data.people.scores.max() < 1
    assert not data.people.visible.any()


def test_images_are_made_afresh_and_only_a_few_are_kept() -> None:
    images = SyntheticImages(FIGURES)
    once = images.read("000000000001.jpg")
    once[:] = 0  # somebody draws on it
    assert (images.read("000000000001.jpg") == FIGURES.scene(0).image).all()
    for index in range(KEPT_IMAGES + 3):
        images.read(f"{index + 1:012d}.jpg")
    assert _image.cache_info().currsize == KEPT_IMAGES


@pytest.mark.parametrize(
    "name", ["1.jpg", "000000000000.jpg", "00000000000x.jpg", "000000000001.png", "²00000000001.jpg"]
)
def test_there_are_no_other_images(name: str) -> None:
    images = SyntheticImages(FIGURES)
    assert images.find(name) is None
    with pytest.raises(DataError, match=r"synthetic:seed=3/.*is not made by this generator"):
        images.read(name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "test-dev"}, "split: there is no test-dev; ask for train or val"),
        ({"images": 0}, "images: 0 cannot be had of val"),
        ({"seed": -1}, "seed: -1 is negative"),
        ({"style": "mpii", "boxes": "detections"}, "boxes: MPII has no detections; ask for --boxes truth"),
    ],
)
def test_what_is_not_there_is_one_line(change: dict[str, Any], message: str) -> None:
    asked: dict[str, Any] = {"seed": 3, "images": 5, "style": "coco", "split": "val", "boxes": "truth"} | change
    with pytest.raises(DataError, match=message):
        open_synthetic(**asked, input_hw=(256, 192), protocol=protocol("dpn", "coco"))


def test_crops_show_the_subjects_red_first() -> None:
    data = SyntheticExamples(FIGURES, 2, COCO_17, (64, 48), first=0)
    for index, found in enumerate(subject_crops(3, 2, (64, 48))):
        example = data.example(index)
        bgr = crop(example.image, affine(example.center, example.scale, 0, (48, 64)), (48, 64))
        assert found.dtype == np.uint8
        assert (found == bgr[..., ::-1]).all()
        assert (found != bgr).any()


def test_a_script_without_a_guard_is_run_once_and_gets_its_results(tmp_path: Path) -> None:
    """Where processes cannot be started, the work goes on in this one."""
    script = tmp_path / "script.py"
    script.write_text(
        "from math import factorial\n"
        "from dpn.data.workers import in_order\n"
        "print(list(in_order(factorial, range(5), title='', workers=2)), flush=True)\n",
        encoding="utf-8",
    )
    ran = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert ran.stdout == "[1, 1, 2, 6, 24]\n"


def test_torch_and_what_is_optional_are_not_imported() -> None:
    code = "import sys, dpn.verbs.synthetic, dpn.data.synthetic_set; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "scipy", "pycocotools", "rich", "pydantic"} & set(ran.stdout.split()) - _OF_TYRO


_OF_TYRO = {"rich"}
