"""Synthetic figures as a data set: images on the fly, annotations in COCO's and MPII's form. Imports no torch.

Images are read as they are rendered, without JPEG compression; the folders that `dpn.data.synthetic_files` writes hold
JPEG files of quality 95, so that results on the two differ a little. The annotations are the same.

Scene i is image i + 1. The validation set starts at scene 0, the training set at scene 1,000,000 and has no end, so
that ids are positive and no image is in both.
"""

import hashlib
import json
from collections.abc import Iterator
from functools import lru_cache, partial
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from dpn.arrays import Pixels
from dpn.data import crops
from dpn.data.coco import people_of_detections, people_of_truth
from dpn.data.mpii import people_of
from dpn.data.people import Boxes, DataSet, People
from dpn.data.problems import DataError, Problem
from dpn.data.synthetic_annotations import CocoScene, MpiiScene, coco_scene, content_of, mpii_scene
from dpn.data.synthetic_detections import DETECTOR_VERSION, detections
from dpn.data.synthetic_examples import TRAIN_FIRST, SyntheticExamples, SyntheticImages
from dpn.data.workers import in_order
from dpn.protocols import Kind, Protocol
from dpn.skeletons import COCO_17
from dpn.synthetic.figures import GENERATOR_VERSION, SyntheticFigures

FIRST = {"val": 0, "train": TRAIN_FIRST}
"""The first scene of each split."""

NAMES = {"val": "val", "valid": "val", "train": "train"}
"""What splits may be called."""


def first_of(split: str, images: int) -> int:
    """The number of a split's first scene.

    Raises:
        DataError: there is no such split, or not so many images in it.
    """
    if split not in NAMES:
        raise DataError(Problem("synthetic", "split", f"there is no {split}", "ask for train or val"))
    first = FIRST[NAMES[split]]
    most = FIRST["train"] if first == FIRST["val"] else None
    if images < 1 or (most and images > most):
        remedy = f"ask for 1 to {most:,}" if most else "ask for one at least"
        raise DataError(Problem("synthetic", "images", f"{images:,} cannot be had of {split}", remedy))
    return first


def _coco_scene(figures: SyntheticFigures, index: int) -> CocoScene:
    return coco_scene(figures.scene(index), index)


def _mpii_scene(figures: SyntheticFigures, index: int) -> MpiiScene:
    return mpii_scene(figures.scene(index), index)


def coco_content(figures: SyntheticFigures, images: int, first: int = 0) -> dict[str, Any]:
    """The content of a COCO annotation file of so many scenes, which takes some milliseconds for each.

    Args:
        figures: what makes them.
        images: how many.
        first: the first scene.
    """
    numbers = range(first, first + images)
    scenes = list(in_order(partial(_coco_scene, figures), numbers, title="making annotations"))
    rows = chain.from_iterable(scene.annotations for scene in scenes)
    return content_of([scene.image for scene in scenes], list(rows), figures.seed)


def open_synthetic(
    seed: int, images: int, *, style: Kind, split: str, boxes: Boxes, input_hw: tuple[int, int], protocol: Protocol
) -> DataSet:  # fmt: skip
    """Synthetic figures as a data set to predict, with everyone in the images. Opened again, it is the same object.

    Args:
        seed: of the generator, and of the detector.
        images: how many.
        style: COCO's annotations, boxes and scores, or MPII's.
        split: train or val; no image is in both.
        boxes: the true ones, or a detector's (`dpn.data.synthetic_detections`; COCO's style alone).
        input_hw: height and width of the network's input.
        protocol: whose boxes.

    Raises:
        DataError: there is no such data set.
    """
    if seed < 0:
        raise DataError(Problem("synthetic", "seed", f"{seed} is negative", "give 0 or more"))
    if style == "mpii" and boxes == "detections":
        raise DataError(Problem("synthetic-mpii", "boxes", "MPII has no detections", "ask for --boxes truth"))
    first = first_of(split, images)
    asked = _Asked(SyntheticFigures(seed=seed), range(first, first + images), NAMES[split], boxes)
    return (_open_coco if style == "coco" else _open_mpii)(asked, input_hw, protocol.box_padding)


class _Asked(NamedTuple):
    figures: SyntheticFigures
    numbers: range
    split: str
    boxes: Boxes


@lru_cache(maxsize=8)
def _open_coco(asked: _Asked, input_hw: tuple[int, int], padding: float) -> DataSet:
    content = _kept_content(asked.figures, asked.numbers)
    if asked.boxes == "truth":
        people = people_of_truth(content, input_hw, padding)
    else:
        people = people_of_detections(detections(content, asked.figures.seed), content, input_hw, padding)
    return _data_set("coco", asked, people, content)


@lru_cache(maxsize=8)
def _open_mpii(asked: _Asked, input_hw: tuple[int, int], padding: float) -> DataSet:
    from dpn.data.pckh_truth import Truth

    entries, heads = _kept_entries(asked.figures, asked.numbers)
    people = people_of(entries, input_hw, padding)
    return _data_set("mpii", asked, people, Truth.from_boxes(people.joints, people.visible, np.array(heads)))


@lru_cache(maxsize=4)
def _kept_content(figures: SyntheticFigures, numbers: range) -> dict[str, Any]:
    return coco_content(figures, len(numbers), numbers.start)


@lru_cache(maxsize=4)
def _kept_entries(figures: SyntheticFigures, numbers: range) -> MpiiScene:
    scenes = list(in_order(partial(_mpii_scene, figures), numbers, title="making annotations"))
    return MpiiScene(*(list(chain.from_iterable(column)) for column in zip(*scenes, strict=True)))


def _data_set(kind: Kind, asked: _Asked, people: People, truth: Any) -> DataSet:
    seed, count, boxes = asked.figures.seed, len(asked.numbers), asked.boxes
    detector = DETECTOR_VERSION if boxes == "detections" else None
    identity = (GENERATOR_VERSION, seed, kind, asked.split, count, boxes, detector)
    prefix = "synthetic" if kind == "coco" else "synthetic-mpii"
    return DataSet(
        name=f"{prefix} {asked.split}, seed {seed}, {count:,} images",
        kind=kind,
        boxes=boxes,
        people=people,
        images=SyntheticImages(asked.figures),
        truth=truth,
        digest=hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:12],
    )


def subject_crops(seed: int, count: int, input_hw: tuple[int, int]) -> Iterator[Pixels]:
    """Crops of the subjects of the first scenes of the validation set, red first, (H, W, 3), with the usual padding.

    Args:
        seed: of the generator.
        count: how many crops.
        input_hw: their height and width in pixels.

    Example:
        >>> [crop.shape for crop in subject_crops(0, 2, (64, 48))]
        [(64, 48, 3), (64, 48, 3)]
    """
    height, width = input_hw
    examples = SyntheticExamples(SyntheticFigures(seed=seed), count, COCO_17, input_hw, first=FIRST["val"])
    for index in range(count):
        example = examples.example(index)
        matrix = crops.affine(example.center, example.scale, 0, (width, height))
        yield np.ascontiguousarray(crops.crop(example.image, matrix, (width, height))[..., ::-1])
