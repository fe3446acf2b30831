"""Finds and draws people in single images: in given boxes, or in each whole image as if it showed one person.

OpenPose and Mask R-CNN find all people of an image by themselves.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dpn.arrays import Floats, Pixels
from dpn.data.coco_problems import PERSON
from dpn.data.crops import box_to_center_scale
from dpn.data.images import read_image
from dpn.data.opening import INPUT_HW
from dpn.data.people import DataSet, Images, People
from dpn.data.picture_files import Boxes, file_names, image_ids, output_paths
from dpn.data.problems import DataError, Problem
from dpn.drawing import draw_person, write_png
from dpn.inference import Forward, predict
from dpn.metrics.coco import results
from dpn.metrics.coco_results import write_results
from dpn.metrics.oks import rescore
from dpn.network_names import Network
from dpn.network_output import OutputError
from dpn.protocols import Kind, Protocol, protocol
from dpn.runtime import Runtime
from dpn.skeletons import COCO_17, MPII_16, Skeleton
from dpn.whole_images import WholeImages

RESULTS = "predictions.json"
SAVE_EVERY_S = 10.0
SKELETONS: dict[Kind, Skeleton] = {"coco": COCO_17, "mpii": MPII_16}


@dataclass(frozen=True, kw_only=True, eq=False)
class Found:
    """What became of one image.

    Attributes:
        path: of the image.
        rows: in COCO's results form, best first, with the image's `file_name`, see `dpn.data.picture_files.file_names`.
        drawing: where people were drawn; None where the image could not be used.
        error: why it could not.
    """

    path: Path
    rows: Sequence[dict[str, Any]] = ()
    drawing: Path | None = None
    error: DataError | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictor:
    """A network with all that it takes to look at an image.

    Attributes:
        network: see `Network`.
        protocol: of the kind of people whose joints the network finds.
        skeleton: theirs.
        input_hw: height and width of the input in pixels.
        runtime: see `Runtime`.
    """

    network: Network
    protocol: Protocol
    skeleton: Skeleton
    input_hw: tuple[int, int]
    runtime: Runtime

    @classmethod
    def of(cls, network: Network, name: str, input_hw: tuple[int, int] | None, runtime: Runtime) -> "Predictor":
        """Finds out, by one black image, whose joints the network finds.

        Args:
            network: any.
            name: of the publication whose protocol is followed, such as "dpn".
            input_hw: height and width of the input in pixels; by default the network's own, or the publications'.
            runtime: see `Runtime`.

        Raises:
            OutputError: the network gives no heatmaps, or those of neither 17 (COCO) nor 16 (MPII) joints.
            KeyError: no such protocol.
        """
        refused = None
        for kind, skeleton in SKELETONS.items():
            hw = input_hw or network.input_hw or INPUT_HW[kind]
            known = protocol(name, kind)
            if network.spec:
                network.spec.check_input(*hw)
            try:
                Forward(network.net, skeleton, known, runtime).try_out(hw)
            except OutputError as error:
                refused = refused or error
            else:
                return cls(network=network, protocol=known, skeleton=skeleton, input_hw=hw, runtime=runtime)
        failed = refused is not None and refused.__cause__ is not None
        joints = "" if failed else "; it takes 17 joints (COCO) or 16 (MPII)"
        raise OutputError(f"{network.name} draws nobody: {refused}{joints}")

    def people_in(self, image: Pixels, boxes: Floats, scores: Floats, image_id: int = 0) -> list[dict[str, Any]]:
        """The people in one image.

        Args:
            image: (H, W, 3) uint8, blue, green, red.
            boxes: (N, 4), x, y, width and height in pixels.
            scores: (N,), of the boxes.
            image_id: as the rows will have it.

        Returns:
            Rows in COCO's results form, best first; of COCO's people without those too alike to a better one.
        """
        people = self._people(boxes, scores, image_id)
        data = DataSet(
            name="image", kind="coco", boxes="detections", people=people, images=_OneImage(image), truth=None, digest=""
        )
        keypoints = predict(self.network.net, data, self.protocol, self.input_hw, self.runtime)
        if self.skeleton.oks_sigmas:
            return results(people, keypoints, self.protocol)
        total = rescore(people.scores, keypoints[:, :, 2], self.protocol.joint_threshold)
        return [
            {
                "image_id": image_id,
                "category_id": PERSON,
                "keypoints": keypoints[row].reshape(-1).tolist(),
                "score": float(total[row]),
            }
            for row in np.argsort(-total, kind="stable")
        ]

    def _people(self, boxes: Floats, scores: Floats, image_id: int) -> People:
        aspect = self.input_hw[1] / self.input_hw[0]
        centers, scales = box_to_center_scale(boxes, aspect, self.protocol.box_padding)
        count, joints = len(boxes), len(self.skeleton.joints)
        return People(
            skeleton=self.skeleton,
            centers=centers,
            scales=scales,
            boxes=boxes,
            scores=scores,
            joints=np.zeros((count, joints, 2)),
            visible=np.zeros((count, joints)),
            ids=np.arange(count),
            image_ids=np.full(count, image_id),
            files={image_id: "image"},
        )


class _OneImage(Images):
    def __init__(self, image: Pixels) -> None:
        self._image = image

    def read(self, name: str) -> Pixels:  # noqa: ARG002  (there is but one)
        return self._image

    def find(self, name: str) -> str | None:
        return name


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """Where and what to draw.

    Attributes:
        output: folder for a PNG file of each image and for predictions.json.
        joint_score: joints with a larger score are drawn, the maximum of their heatmap.
        person_score: people with a larger score are drawn.
    """

    output: Path = Path("predictions")
    joint_score: float = 0.2
    person_score: float = 0.2

    def __post_init__(self) -> None:
        if math.isnan(self.joint_score + self.person_score):
            raise ValueError(f"scores to draw above are numbers, not {self.joint_score} and {self.person_score}")
        if self.output.exists() and not self.output.is_dir():
            raise ValueError(f"{self.output} is a file; give --output a folder, for drawings and {RESULTS}")

    def draw(self, image: Pixels, rows: Sequence[Mapping[str, Any]], skeleton: Skeleton) -> Pixels:
        """A copy of the image with the people of these rows, the best of them uppermost."""
        drawn = image.copy()
        for row in sorted(rows, key=lambda row: float(row["score"])):
            if row["score"] > self.person_score:
                keypoints = np.array(row["keypoints"], dtype=np.float64).reshape(-1, 3)
                draw_person(drawn, keypoints, skeleton, threshold=self.joint_score)
        return drawn


def predict_images(
    predictor: Predictor | WholeImages, images: Sequence[Path], boxes: Boxes | None = None,
    drawing: Drawing | None = None,
) -> Iterator[Found]:  # fmt: skip
    """Finds and draws people, image after image, and writes them all to predictions.json.

    That file is complete when the iterator ends, is closed or fails, and is written every few seconds until then. Where
    no image at all could be used, one that was there before stays.

    Args:
        predictor: see `Predictor`, and `WholeImages`, which takes no boxes.
        images: their paths.
        boxes: see `dpn.data.picture_files.read_boxes`; None for one box around each whole image.
        drawing: see `Drawing`.

    Raises:
        ValueError: a drawing would take the place of one of the images, or boxes are given that nobody looks into.
    """
    if isinstance(predictor, WholeImages) and boxes is not None:
        raise ValueError(f"{predictor.network.name} finds people in the whole image; leave out --boxes")
    drawing = drawing or Drawing()
    targets = output_paths(images, drawing.output)
    rows: list[dict[str, Any]] = []
    seen = 0
    saved_s = time.monotonic()
    try:
        for path, name, image_id, target in zip(images, file_names(images), image_ids(images), targets, strict=True):
            try:
                image = read_image(path, upright=boxes is None)  # boxes are of the image as it is stored
                if isinstance(predictor, WholeImages):
                    people = predictor.people_in(image, image_id)
                else:
                    people = predictor.people_in(image, *_boxes_of(path, image, boxes), image_id)
            except DataError as error:
                yield Found(path=path, error=error)
                continue
            found = [row | {"file_name": name} for row in people]
            write_png(target, drawing.draw(image, found, predictor.skeleton))
            rows += found
            seen += 1
            if time.monotonic() - saved_s > SAVE_EVERY_S:
                write_results(drawing.output / RESULTS, rows)
                saved_s = time.monotonic()
            yield Found(path=path, rows=found, drawing=target)
    finally:
        if seen:
            write_results(drawing.output / RESULTS, rows)


def _boxes_of(path: Path, image: Pixels, boxes: Boxes | None) -> tuple[Floats, Floats]:
    if boxes is None:
        return np.array([[0.0, 0.0, image.shape[1], image.shape[0]]]), np.ones(1)
    if path not in boxes:
        raise DataError(
            Problem(str(path), "", "the file of boxes has none in it", "detect people there, or leave it out")
        )
    return boxes[path]
