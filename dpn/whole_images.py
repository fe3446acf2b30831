"""People in whole photographs, by the networks that need no boxes: OpenPose and Mask R-CNN."""

from dataclasses import dataclass, fields
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from dpn.arrays import Floats, Pixels
from dpn.data.coco_problems import PERSON
from dpn.data.problems import DataError, Problem
from dpn.evaluation_mode import evaluation_mode
from dpn.inference import device_of
from dpn.network_names import Network
from dpn.network_output import OutputError
from dpn.networks.part_affinity import parse
from dpn.networks.rcnn_images import batch, in_photograph
from dpn.runtime import Runtime
from dpn.skeletons import COCO_17, COCO_18
from dpn.spec import MaskRCNNSpec, OpenPoseSpec

HEIGHT_PX = 368
"""OpenPose sees a photograph scaled to this height, the input of its training; the width follows."""

WIDEST_PX = 8_192
"""Of OpenPose's input, where a photograph is 22 times as wide as high: most panoramas are of less than 10."""

_STRIDE = 8
_PADDING = 128
"""Of OpenPose's input, grey, as the published code pads it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class WholeImages:
    """A network that finds people in a whole image, and how it runs.

    Attributes:
        network: OpenPose or Mask R-CNN, with its weights.
        runtime: see `Runtime`; its device alone is of use: photographs have sizes of their own, and Mask R-CNN's boxes
            would be coarse in half precision.
        height_px: of a photograph as OpenPose sees it; Mask R-CNN scales by its own rule.
        skeleton: of the people that are found.

    Raises:
        ValueError: the runtime asks for more.
    """

    network: Network
    runtime: Runtime
    height_px: int = HEIGHT_PX
    skeleton = COCO_17

    def __post_init__(self) -> None:
        asked = (each.name for each in fields(Runtime) if getattr(self.runtime, each.name) != each.default)
        if idle := " and ".join(f"--{name.replace('_', '-')}" for name in asked if name != "device"):
            raise ValueError(f"{self.network.name} takes photographs one by one, in fp32; leave out {idle}")

    @staticmethod
    def can(network: Network) -> bool:
        """Whether a network is one of these."""
        return isinstance(network.spec, OpenPoseSpec | MaskRCNNSpec)

    def people_in(self, image: Pixels, image_id: int = 0) -> list[dict[str, Any]]:
        """The people in one image.

        Args:
            image: (H, W, 3) uint8, blue, green, red.
            image_id: as the rows will have it.

        Returns:
            Rows in COCO's results form, best first. A joint's score is the value of OpenPose's heatmap, 0 at (0, 0) for
            a joint that it did not find, or Mask R-CNN's logit between 0 and 1. A person's is OpenPose's mean over its
            parts, at most about 2, or the score of Mask R-CNN's box.

        Raises:
            DataError: the image is too wide for its height.
            OutputError: what the network gives is not finite.
        """
        device = device_of(self.runtime.device)
        net = self.network.net.to(device)  # not in inference mode, whose tensors can never be trained
        find = _by_parts if isinstance(self.network.spec, OpenPoseSpec) else _by_regions
        with evaluation_mode(net), torch.inference_mode():
            found = find(net, image, device, self.height_px)
        return [
            {
                "image_id": image_id,
                "category_id": PERSON,
                "keypoints": keypoints.reshape(-1).tolist(),
                "score": score,
            }
            for keypoints, score in sorted(found, key=lambda person: -person[1])
        ]


def _by_parts(net: nn.Module, image: Pixels, device: torch.device, height_px: int) -> list[tuple[Floats, float]]:
    """OpenPose at one scale: (17, 3) of each person, and the person's score.

    The published 61.8 AP is of several scales and a second network that refines them (Cao et al., section 3.2).
    """
    scale = height_px / image.shape[0]
    width_px = max(1, round(image.shape[1] * scale))
    if width_px > WIDEST_PX:
        message = f"OpenPose would see {width_px:,} x {height_px} px, more than {WIDEST_PX:,} in width"
        raise DataError(Problem(f"image of {image.shape[1]} x {image.shape[0]} px", "", message, "cut it into parts"))
    scaled = cv2.resize(image, (width_px, height_px), interpolation=cv2.INTER_CUBIC)
    right, below = -width_px % _STRIDE, -height_px % _STRIDE
    padded = cv2.copyMakeBorder(scaled, 0, below, 0, right, cv2.BORDER_CONSTANT, value=(_PADDING,) * 3)
    values = torch.from_numpy(padded).to(device).permute(2, 0, 1)[None].float() / 256 - 0.5
    fields, heatmaps = (maps[0].float().cpu() for maps in net(values))
    _check(fields, heatmaps)
    people = parse(fields, heatmaps, stride=_STRIDE)
    factors = np.array([image.shape[1] / width_px, image.shape[0] / height_px])
    found: list[tuple[Floats, float]] = []
    for person in people:
        keypoints = np.nan_to_num(person.parts[list(COCO_18.find(COCO_17))].astype(np.float64))
        # The middle of a pixel stands still at half its size: (x + 1/2) f - 1/2.
        present = keypoints[:, 2] > 0
        keypoints[present, :2] = (keypoints[present, :2] + 0.5) * factors - 0.5
        if present.any():
            found.append((keypoints, float(person.score)))
    return found


def _by_regions(net: nn.Module, image: Pixels, device: torch.device, _height_px: int) -> list[tuple[Floats, float]]:
    """Mask R-CNN: (17, 3) of each person, and the person's score."""
    photograph = torch.from_numpy(np.ascontiguousarray(image[..., ::-1])).to(device).permute(2, 0, 1).float() / 255
    images, hws = batch([photograph])
    found = in_photograph(net(images, hws)[0], hws[0], (image.shape[0], image.shape[1]))
    _check(found.keypoints, found.scores)
    joints = torch.cat((found.keypoints, found.keypoint_scores.sigmoid()[..., None]), dim=2).double().cpu().numpy()
    return list(zip(joints, found.scores.double().tolist(), strict=True))


def _check(*outputs: Tensor) -> None:
    if not all(bool(torch.isfinite(output).all()) for output in outputs):
        raise OutputError("what the network gives is not finite; look at the weights")
