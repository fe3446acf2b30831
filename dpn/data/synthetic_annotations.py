"""From synthetic figures to rows of COCO's and MPII's annotation files. Imports no torch."""

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from dpn.arrays import Floats
from dpn.data.coco_problems import PERSON
from dpn.data.mpii import BOX_PX, DOWN_PX
from dpn.skeletons import COCO_17
from dpn.synthetic.figures import GENERATOR_VERSION, Figure, Scene

DIGITS = 2
"""Decimals of coordinates in annotations, in memory as in files."""

FIGURES_AN_IMAGE = 100
"""More than any scene has; numbers annotations without knowing the images before."""

LEAST_LABELLED_PX = 32**2
"""Of people who show fewer pixels no joints are labelled, as in COCO, but for those of a scene's subject."""

POLYGON_TOLERANCE_PX = 0.5
"""How far the polygons of segments may stray from the outlines of the pixels."""

CATEGORY = {
    "supercategory": "person",
    "id": PERSON,
    "name": "person",
    "keypoints": list(COCO_17.joints),
    "skeleton": [[start + 1, end + 1] for start, end in COCO_17.limb_ends],
}
"""COCO's category of people; its limbs are pairs of joints counted from 1."""


def file_name(image_id: int) -> str:
    """The name of an image, by its id as COCO names files.

    Example:
        >>> file_name(785)
        '000000000785.jpg'
    """
    return f"{image_id:012d}.jpg"


def image_row(scene: Scene, image_id: int) -> dict[str, Any]:
    """A row of COCO's `images`."""
    height, width = scene.image.shape[:2]
    return {"id": image_id, "file_name": file_name(image_id), "height": height, "width": width}


def is_labelled(figure: Figure, number: int) -> bool:
    """Whether the joints of a scene's figure of that number, counted from 1, are labelled; the subject is number 1."""
    return number == 1 or figure.area >= LEAST_LABELLED_PX


def coco_rows(scene: Scene, image_id: int) -> list[dict[str, Any]]:
    """Rows of COCO's `annotations`: everyone in the scene, with labelled joints or without, the subject first."""
    return [
        coco_row(figure, image_id, number) | {"segmentation": polygons(figure.mask())}
        for number, figure in enumerate(scene.figures, start=1)
    ]


def coco_row(figure: Figure, image_id: int, number: int) -> dict[str, Any]:
    """A row of COCO's `annotations`, all but the segment's polygons.

    Args:
        figure: whose row it is.
        image_id: of the scene.
        number: of the figure in the scene, from 1.
    """
    joints = _placed(figure.joints) if is_labelled(figure, number) else np.zeros_like(figure.joints)
    return {
        "id": image_id * FIGURES_AN_IMAGE + number,
        "image_id": image_id,
        "category_id": PERSON,
        "iscrowd": 0,
        "area": float(figure.area),
        "bbox": figure.box_xywh.round(DIGITS).tolist(),
        "num_keypoints": int((joints[:, 2] > 0).sum()),
        "keypoints": [value for x, y, v in joints.tolist() for value in (x, y, int(v))],
    }


def _placed(joints: Floats) -> Floats:
    """(K, 3) rounded as files keep them; x = y = 0 where v = 0, as COCO has it."""
    rounded = joints.round(DIGITS)
    rounded[joints[:, 2] == 0] = 0
    return rounded


def polygons(mask: NDArray[np.bool_]) -> list[list[float]]:
    """The outlines of a mask as COCO's polygons, x and y in turn; a pixel i reaches from i to i + 1. Holes are lost.

    The outline runs a quarter of a pixel inside that of the pixels, around all of their centres, so that pycocotools
    turns it back into nearly the same mask, and a line one pixel wide does not collapse.

    Args:
        mask: (H, W).
    """
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    part = mask[y : y + height, x : x + width].astype(np.uint8)
    doubled = np.repeat(np.repeat(part, 2, axis=0), 2, axis=1)
    outlines, _ = cv2.findContours(doubled, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    found = []
    for outline in outlines:
        simple = cv2.approxPolyDP(outline, 2 * POLYGON_TOLERANCE_PX, True)
        points = (simple if len(simple) > 2 else outline)[:, 0].astype(np.float64)
        found.append(((points + 0.5) / 2 + (x, y)).round(DIGITS).ravel().tolist())
    return found


def mpii_people(scene: Scene) -> list[Figure]:
    """Whom MPII's files name: everyone whose joints are labelled."""
    figures = [figure for number, figure in enumerate(scene.figures, start=1) if is_labelled(figure, number)]
    return [figure for figure in figures if (figure.mpii_joints[:, 2] > 0).any()]


def mpii_entry(figure: Figure, name: str) -> dict[str, Any]:
    """One person of MPII's annotations: everything counted from 1, absent joints at (-1, -1).

    Of a scale s and a centre (x, y) the recipe makes a square of side 200 s around (x, y + 15 s) - 1, and pads it. Here
    that square is the smallest around the box of the visible pixels and the labelled joints.

    Args:
        figure: the person.
        name: of the image.
    """
    labelled = figure.mpii_joints[:, 2] > 0
    x, y, width, height = figure.box_xywh
    points = np.concatenate([[(x, y), (x + width, y + height)], figure.mpii_joints[labelled, :2]])
    low, high = points.min(axis=0), points.max(axis=0)
    scale = round(float((high - low).max()) / BOX_PX, 6)
    center = (low + high) / 2 + 1 - (0, DOWN_PX * scale)
    joints = np.where(labelled[:, None], figure.mpii_joints[:, :2] + 1, -1).round(DIGITS)
    return {
        "joints_vis": labelled.astype(int).tolist(),
        "joints": joints.tolist(),
        "image": name,
        "scale": scale,
        "center": center.round(6).tolist(),
    }


class CocoScene(NamedTuple):
    """What a scene adds to a COCO file: a row of `images`, rows of `annotations`."""

    image: dict[str, Any]
    annotations: list[dict[str, Any]]


class MpiiScene(NamedTuple):
    """What a scene adds to MPII's files: entries, and the head box of each, x1 y1 x2 y2 counted from 0."""

    entries: list[dict[str, Any]]
    heads: list[list[float]]


def coco_scene(scene: Scene, index: int) -> CocoScene:
    """The scene of that number as COCO describes it."""
    return CocoScene(image_row(scene, index + 1), coco_rows(scene, index + 1))


def mpii_scene(scene: Scene, index: int) -> MpiiScene:
    """The scene of that number as MPII describes it."""
    people = mpii_people(scene)
    return MpiiScene(
        [mpii_entry(figure, file_name(index + 1)) for figure in people],
        [figure.head_box_xyxy.round(DIGITS).tolist() for figure in people],
    )


def content_of(images: list[dict[str, Any]], annotations: list[dict[str, Any]], seed: int) -> dict[str, Any]:
    """The content of a COCO annotation file."""
    return {
        "info": info(seed),
        "licenses": [],
        "images": images,
        "annotations": annotations,
        "categories": [CATEGORY],
    }


def info(seed: int) -> dict[str, Any]:
    """COCO's `info`: which generator, and which seed."""
    description = f"Synthetic figures of dpn, generator version {GENERATOR_VERSION}, seed {seed}"
    return {"description": description, "version": str(GENERATOR_VERSION), "seed": seed}
