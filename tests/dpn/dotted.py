"""People as dots of colour on black, and a network that finds them: with it, a whole evaluation has a known result.

A left and a right joint have one colour. People stand upright and face the camera, so that left joints are to the right
of their box's middle; the network tells the two apart by this, and is as right about a mirrored image as a trained one.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dpn.arrays import Pixels
from dpn.data.coco import people_of_truth
from dpn.data.crops import MEAN, STD
from dpn.data.pckh_truth import Truth
from dpn.data.people import DataSet, Images, People
from dpn.data.problems import DataError, Problem
from dpn.skeletons import COCO_17, MPII_16, Skeleton

RADIUS_PX = 7
HALF_WH = (75, 100)
"""Of a person, in pixels at scale 1."""

PLACES = {
    "nose": (0, -0.75), "eye": (0.35, -0.95), "ear": (0.75, -0.9), "shoulder": (0.55, -0.6), "elbow": (0.9, -0.45),
    "wrist": (0.95, -0.1), "hip": (0.35, 0.05), "knee": (0.4, 0.45), "ankle": (0.45, 0.9),
    "pelvis": (0, 0.3), "thorax": (0, -0.4), "neck": (0, -0.7), "head": (0, -0.95),
}  # fmt: skip
"""From the middle of a person, in halves of the width and height, of the left joint."""

COLORS = {name: (40 + 100 * (k // 9), 40 + 100 * (k // 3 % 3), 40 + 100 * (k % 3)) for k, name in enumerate(PLACES)}
"""Red, green, blue."""


def joints_at(skeleton: Skeleton, middle: tuple[float, float], scale: float) -> np.ndarray:
    """(K, 2), image pixels."""
    places = []
    for name in skeleton.joints:
        side, _, part = name.rpartition("_")
        x, y = PLACES[part]
        places.append(
            (middle[0] + (-x if side == "right" else x) * HALF_WH[0] * scale, middle[1] + y * HALF_WH[1] * scale)
        )
    return np.array(places)


class Dots(Images):
    """Images of people, drawn when they are read; `broken` cannot be."""

    def __init__(self, people: Mapping[str, list[np.ndarray]], skeleton: Skeleton, broken: str = "") -> None:
        self.people, self.skeleton, self.broken = people, skeleton, broken

    def read(self, name: str) -> Pixels:
        if name == self.broken:
            raise DataError(Problem(name, "", "the image is broken", "mend it"))
        image = np.zeros((300, 420, 3), np.uint8)
        for joints in self.people[name]:
            for joint, (x, y) in zip(self.skeleton.joints, joints, strict=True):
                color = COLORS[joint.rpartition("_")[2]][::-1]
                cv2.circle(image, (round(x * 16), round(y * 16)), RADIUS_PX * 16, color, cv2.FILLED, cv2.LINE_AA, 4)
        return image

    def find(self, name: str) -> str | None:
        return name if name in self.people else None


def scene(skeleton: Skeleton, images: int, seed: int = 0) -> dict[str, list[np.ndarray]]:
    """Two people in each image, side by side, the joints of each."""
    rng = np.random.default_rng(seed)
    return {
        f"{number:012d}.png": [
            joints_at(
                skeleton, tuple(rng.uniform((105 + 205 * side, 140), (110 + 205 * side, 160))), rng.uniform(0.9, 1.2)
            )
            for side in (0, 1)
        ]
        for number in range(1, images + 1)
    }


def box_of(joints: np.ndarray) -> list[float]:
    low, high = joints.min(0) - RADIUS_PX, joints.max(0) + RADIUS_PX
    return [*low.tolist(), *(high - low).tolist()]


def content_of(people: Mapping[str, list[np.ndarray]]) -> dict[str, Any]:
    """Of a COCO annotation file."""
    annotations = [
        {
            "id": 10 * int(Path(name).stem) + place, "image_id": int(Path(name).stem), "category_id": 1, "iscrowd": 0,
            "bbox": box_of(joints), "area": float(np.prod(box_of(joints)[2:])), "num_keypoints": len(joints),
            "keypoints": np.column_stack((joints, np.full(len(joints), 2))).reshape(-1).tolist(),
        }
        for name, everybody in people.items()
        for place, joints in enumerate(everybody)
    ]  # fmt: skip
    return {
        "info": {},
        "images": [{"id": int(Path(n).stem), "file_name": n, "width": 420, "height": 300} for n in people],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO_17.joints), "skeleton": []}],
    }


def coco_set(images: int = 3, input_hw: tuple[int, int] = (256, 192), broken: str = "") -> DataSet:
    people = scene(COCO_17, images)
    content = content_of(people)
    return DataSet(
        name="dots", kind="coco", boxes="truth", people=people_of_truth(content, input_hw),
        images=Dots(people, COCO_17, broken), truth=content, digest=f"dots{images:08d}",
    )  # fmt: skip


def mpii_set(images: int = 2) -> DataSet:
    people = scene(MPII_16, images)
    joints = np.array([one for everybody in people.values() for one in everybody])
    boxes = np.array([box_of(one) for one in joints])
    sides = boxes[:, 2:].max(1, keepdims=True) * 1.25 / 200
    heads = np.tile((0.0, 0.0, 30.0, 40.0), (len(joints), 1))
    visible = np.ones(joints.shape[:2])
    table = People(
        skeleton=MPII_16, centers=boxes[:, :2] + boxes[:, 2:] / 2, scales=np.repeat(sides, 2, axis=1), boxes=boxes,
        scores=np.ones(len(joints)), joints=joints, visible=visible, ids=np.arange(len(joints)),
        image_ids=np.repeat(np.arange(images), 2), files=dict(enumerate(people)),
    )  # fmt: skip
    return DataSet(
        name="mpii dots", kind="mpii", boxes="truth", people=table, images=Dots(people, MPII_16),
        truth=Truth.from_boxes(joints, visible, heads), digest="mpiidots",
    )  # fmt: skip


def write_folder(root: Path, images: int = 3) -> None:
    """A COCO folder of such people, as flat as the smallest are: annotations beside images."""
    people = scene(COCO_17, images)
    drawn = Dots(people, COCO_17)
    root.mkdir(parents=True, exist_ok=True)
    for name in people:
        cv2.imwrite(str(root / name), drawn.read(name))
    (root / "dots.json").write_text(json.dumps(content_of(people)))


def write_mpii_folder(root: Path, images: int = 2) -> Path:
    """An MPII folder of such people, without gt_valid.mat; returns its valid.json, in which the last has no head."""
    data = mpii_set(images)
    people = data.people
    sides = people.scales[:, 0] / 1.25
    visible = people.visible.copy()
    visible[-1, MPII_16.joints.index("head")] = 0
    entries = [
        {
            "image": people.files[int(people.image_ids[row])], "scale": sides[row],
            "center": (people.centers[row] + 1 - (0, 15 * sides[row])).tolist(),
            "joints": (people.joints[row] + 1).tolist(), "joints_vis": visible[row].tolist(),
        }
        for row in range(len(people))
    ]  # fmt: skip
    for folder in ("annot", "images"):
        (root / folder).mkdir(parents=True)
    for name in people.files.values():
        cv2.imwrite(str(root / "images" / name), data.images.read(name))
    file = root / "annot" / "valid.json"
    file.write_text(json.dumps(entries))
    return file


class DotFinder(nn.Module):
    """Images (B, 3, H, W) -> heatmaps (B, K, H/4, W/4): where a joint's colour is, on the joint's side.

    A heatmap's pixel i is the mean around pixel 4 i of the image, as the targets of networks have it. `weight` is a
    parameter like any other: at 1 the heatmaps are right.
    """

    def __init__(self, skeleton: Skeleton = COCO_17) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        colors = torch.tensor([COLORS[name.rpartition("_")[2]] for name in skeleton.joints]) / 255
        self.register_buffer("colors", (colors - torch.tensor(MEAN)) / torch.tensor(STD), persistent=False)
        sides = {"left": 1, "right": -1}
        self.sides = [sides.get(name.partition("_")[0], 0) for name in skeleton.joints]

    def forward(self, images: Tensor) -> Tensor:
        distance = ((images[:, None] - self.colors[None, :, :, None, None]) ** 2).sum(2)
        near = torch.exp(-10 * distance)
        heatmaps = F.avg_pool2d(near, 15, stride=4, padding=7) * self.weight
        right_half = torch.linspace(-1, 1, heatmaps.shape[3], device=images.device)
        keep = torch.stack([(right_half * side >= 0) for side in self.sides])
        return heatmaps * keep[None, :, None, :]


def coco() -> nn.Module:
    return DotFinder()


def mpii() -> nn.Module:
    return DotFinder(MPII_16)


def fourteen() -> nn.Module:
    """Of 14 joints, which is nobody's here."""
    return nn.Conv2d(3, 14, 5, stride=4, padding=2)


def stages() -> nn.Module:
    """A stacked network that forgot that it is evaluated: its first stage knows nothing."""

    class Stages(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last = DotFinder()

        def forward(self, images: Tensor) -> list[Tensor]:
            found = self.last(images)
            return [torch.zeros_like(found), found]

    return Stages()
