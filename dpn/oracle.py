"""Perfect heatmaps through the whole pipeline: what a data set or a change of code lets the best network score.

Heatmaps are made from the true joints as training targets are, and go the way of a network's: mirrored and averaged,
decoded, moved into the image, rescored, suppressed, scored. Images are not read.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dpn.arrays import Floats
from dpn.data.crops import PIXEL_STD, affine, transform
from dpn.data.people import DataSet, People
from dpn.heatmaps import Codec, decode, encode, flip_average, to_image
from dpn.inference import check_aspect, codec_of, shifts
from dpn.metrics.coco import results
from dpn.protocols import CodecName, Protocol
from dpn.runtime import check_input
from dpn.scoring import scores_of, share
from dpn.skeletons import Skeleton

BATCH = 64
"""People whose heatmaps are in memory at once: 13 MB at 256x192."""

MEAN_ERROR_PX: dict[CodecName, float] = {"quarter": 1.75, "dark": 0.75, "udp": 0.25}
"""How far joints may be off on the average, in pixels of the crop at stride 4. In theory: 1.53 for the quarter codec,
which rounds, in proportion to the stride; 0.5 for DARK with mirrored heatmaps, whose shift by one of their pixels is
one of the crop too far at any stride; 0 for UDP."""

LEAST_AP = 0.9
"""Rounding alone never costs more."""

ALIKE = 0.01
"""Of all people at most this share may be suppressed; more is an error of the suppression."""

ROOM = 100.0
"""Factor on people's areas that makes rounding cost nothing, while a person found at another's place is still wrong."""

Flags = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What perfect heatmaps score.

    Three things keep a perfect network from a perfect score, and none is an error of data or code. A labelled joint
    outside its crop has no place in any heatmap; therefore the score without these joints stands beside the score.
    Positions are rounded to heatmap pixels, or nearly exact, which on a person of small area (COCO's, of the visible
    body) can make a similarity less than 0.95. And two people so alike that suppression takes them for one count once.

    Attributes:
        codec: of the heatmaps.
        input_hw: height and width of the input in pixels.
        flip_test: whether heatmaps were averaged with those of the mirrored crop.
        scores: as the evaluation gives them.
        reachable: the same, where joints outside their crops count as not labelled.
        n_people: in the data set.
        n_joints: that are labelled.
        n_outside: labelled joints outside their crops.
        n_suppressed: people too alike to another one.
        mean_error_px: of the joints inside, in pixels of the crop.
        worst_error_px: likewise.
        perfect: whether `reachable` is: AP 1, or PCKh@0.5 100 %.
        passed: whether all joints inside are where the codec can put them, within a heatmap pixel on each axis and
            `MEAN_ERROR_PX` on the average, and the score is perfect but for rounding and suppression.
    """

    codec: CodecName
    input_hw: tuple[int, int]
    flip_test: bool
    scores: dict[str, Any]
    reachable: dict[str, Any]
    n_people: int
    n_joints: int
    n_outside: int
    n_suppressed: int
    mean_error_px: float
    worst_error_px: float
    perfect: bool
    passed: bool


def oracle(data: DataSet, protocol: Protocol, input_hw: tuple[int, int], stride: int = 4) -> Verdict:
    """Scores perfect heatmaps.

    Args:
        data: with true boxes, opened for `input_hw`.
        protocol: its codec decides how joints become heatmaps and back, its flip test whether both are mirrored too.
        input_hw: height and width of the input in pixels.
        stride: of the heatmaps, in pixels of the input.

    Raises:
        ValueError: the data set has detected boxes, of which nobody knows whose they are, or no truth; or the input is
            too large.
    """
    check_input(input_hw)
    if data.truth is None or data.boxes != "truth":
        raise ValueError(f"{data.name}: the oracle needs true boxes and joints; give a split that has them")
    check_aspect(data, input_hw)
    codec = Codec.of_protocol(protocol, input_hw, stride)
    joints = joints_in_crops(data.people, codec)
    keypoints = np.concatenate(list(_found(data.people, joints, protocol, codec)))
    labelled = data.people.visible > 0
    inside = labelled & ((joints > -0.5) & (joints < (input_hw[1] - 0.5, input_hw[0] - 0.5))).all(axis=2)
    errors = _errors_px(data.people, keypoints, input_hw)[inside]
    scores = _scores(data, keypoints, protocol)
    within = _without(data, labelled & ~inside) if (labelled & ~inside).any() else data
    reachable = scores if within is data else _scores(within, keypoints, protocol)
    perfect = share(reachable) == 1
    suppressed = len(data) - len(results(data.people, keypoints, protocol)) if data.kind == "coco" else 0
    placed = _are_placed(errors, codec)
    return Verdict(
        codec=protocol.codec,
        input_hw=input_hw,
        flip_test=protocol.flip_test,
        scores=scores,
        reachable=reachable,
        n_people=len(data),
        n_joints=int(labelled.sum()),
        n_outside=int((labelled & ~inside).sum()),
        n_suppressed=suppressed,
        mean_error_px=float(errors.mean()) if len(errors) else 0.0,
        worst_error_px=float(errors.max(initial=0.0)),
        perfect=perfect,
        passed=placed and (perfect or _is_explained(within, keypoints, protocol, reachable, suppressed)),
    )


def _are_placed(errors_px: Floats, codec: Codec) -> bool:
    """Whether joints are off by what the codec's rounding explains; the mean of a few may be by chance."""
    if not len(errors_px):
        return True
    rounding = codec.stride / 4 if codec.name == "quarter" else 1
    mean_px = MEAN_ERROR_PX[codec.name] * rounding * (1 + 2 / len(errors_px) ** 0.5)
    return bool(errors_px.max() <= codec.stride * 2**0.5 and errors_px.mean() <= mean_px)


def _is_explained(
    data: DataSet, keypoints: Floats, protocol: Protocol, reachable: dict[str, Any], suppressed: int
) -> bool:  # fmt: skip
    """Whether nothing but rounding and the suppression of a few makes the score less than perfect."""
    if data.kind != "coco" or suppressed > ALIKE * len(data) or (reachable["AP"] or 0) < LEAST_AP:
        return False
    roomy = [one | {"area": one["area"] * ROOM} for one in data.truth["annotations"]]
    unsuppressed = replace(protocol, nms_oks=np.inf)
    return bool(_scores(replace(data, truth=data.truth | {"annotations": roomy}), keypoints, unsuppressed)["AP"] == 1)


def joints_in_crops(people: People, codec: Codec) -> NDArray[np.float64]:
    """(N, K, 2): everybody's joints in pixels of their unturned crops."""
    height, width = codec.input_hw
    joints = np.empty(people.joints.shape)
    for row, (center, scale) in enumerate(zip(people.centers, people.scales, strict=True)):
        matrix = affine(center, scale, 0, (width, height), unbiased=codec.name == "udp")
        joints[row] = transform(people.joints[row], matrix)
    return joints


def _mirrored_heatmaps(joints: Tensor, visible: Tensor, skeleton: Skeleton, codec: Codec) -> Tensor:
    """What a perfect network says about the mirrored crops: joints (B, K, 2) in pixels of the plain ones."""
    swapped = list(skeleton.mirrored)
    mirrored = joints[:, swapped].clone()
    mirrored[..., 0] = codec.input_hw[1] - 1 - mirrored[..., 0]
    return encode(mirrored, visible[:, swapped], codec)[0]


def _found(people: People, joints: Floats, protocol: Protocol, codec: Codec) -> Iterator[Floats]:
    """Keypoints (n, K, 3) in image pixels, batch by batch."""
    for first in range(0, len(people), BATCH):
        rows = slice(first, first + BATCH)
        crops, visible = torch.from_numpy(joints[rows]), torch.from_numpy(people.visible[rows])
        heatmaps = encode(crops, visible, codec)[0]
        if protocol.flip_test:
            mirrored = _mirrored_heatmaps(crops, visible, people.skeleton, codec)
            heatmaps = flip_average(heatmaps, mirrored, people.skeleton.flip_pairs, shift=shifts(protocol))
        coordinates, scores = decode(heatmaps, codec_of(heatmaps, protocol, codec.input_hw))  # as for a network's
        centers, scales = (torch.from_numpy(column[rows]) for column in (people.centers, people.scales))
        placed = to_image(coordinates, centers, scales, codec)
        yield torch.cat((placed, scores.double()[..., None]), dim=2).numpy()


def _errors_px(people: People, keypoints: Floats, input_hw: tuple[int, int]) -> Floats:
    """(N, K): how far keypoints are from the true joints, in pixels of the crop's width."""
    zoom = input_hw[1] / (PIXEL_STD * people.scales[:, :1].astype(np.float64))
    return np.asarray(zoom * np.linalg.norm(keypoints[..., :2] - people.joints, axis=2))


def _scores(data: DataSet, keypoints: Floats, protocol: Protocol) -> dict[str, Any]:
    scores = scores_of(data, keypoints, protocol)
    assert scores is not None  # data sets without truth were refused
    return scores


def _without(data: DataSet, joints: Flags) -> DataSet:
    """The data set as if these joints (N, K) were not labelled."""
    if data.kind == "mpii":
        return replace(data, truth=replace(data.truth, missing=data.truth.missing | joints))
    hidden = {int(one): flags for one, flags in zip(data.people.ids, joints, strict=True) if flags.any()}
    annotations = [_hide(one, hidden[one["id"]]) if one["id"] in hidden else one for one in data.truth["annotations"]]
    return replace(data, truth=data.truth | {"annotations": annotations})


def _hide(annotation: dict[str, Any], joints: NDArray[np.bool_]) -> dict[str, Any]:
    keypoints = np.array(annotation["keypoints"], dtype=object).reshape(-1, 3)
    keypoints[joints] = 0
    count = int((keypoints[:, 2] > 0).sum())
    return annotation | {"keypoints": keypoints.reshape(-1).tolist(), "num_keypoints": count}
