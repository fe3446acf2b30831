"""How Mask R-CNN for keypoints learns: which anchors and regions belong to which person, and the five losses.

The constants are those of the released network's training (torchvision's keypointrcnn_resnet50_fpn). Which anchors
and regions are sampled is drawn from torch's global generator. Ren et al., NIPS 2015; He et al., ICCV 2017.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from dpn.networks.rcnn_boxes import Weights, encode, overlaps
from dpn.networks.rcnn_keypoints import keypoint_cells

BACKGROUND = -1
IGNORED = -2

ANCHORS_PER_IMAGE = 256
REGIONS_PER_IMAGE = 512
BETA = 1 / 9
"""Error from which the loss of box coordinates is linear."""


class Target(NamedTuple):
    """What is in one image, in pixels of the network's input.

    Attributes:
        boxes: (N, 4), one for each person.
        keypoints: (N, J, 3): x, y and a visibility that is 0 where there is no label.
    """

    boxes: Tensor
    keypoints: Tensor


class Regions(NamedTuple):
    """Regions of one image that are trained on.

    Attributes:
        boxes: (R, 4), first those that hold people.
        person: (R,), the index of the person in the image's target, or `BACKGROUND`.
    """

    boxes: Tensor
    person: Tensor


def match(overlap: Tensor, low: float, high: float, *, keep_best: bool = False) -> Tensor:
    """The person (B,) that each of B boxes belongs to, from the overlaps (people, B).

    It is the one overlapped most, if by at least `high`; below `low` a box is `BACKGROUND`, between them `IGNORED`.
    With `keep_best` the boxes that overlap a person more than all others do are never given up, so that no person
    whom any box overlaps goes without.
    """
    if len(overlap) == 0:
        return torch.full((overlap.shape[1],), BACKGROUND, device=overlap.device)
    best, person = overlap.max(0)
    matched = person.masked_fill(best < high, IGNORED).masked_fill(best < low, BACKGROUND)
    if keep_best:
        indispensable = ((overlap == overlap.amax(1, keepdim=True)) & (overlap > 0)).any(0)
        matched = torch.where(indispensable, person, matched)
    return matched


def sample(matched: Tensor, count: int, share: float) -> tuple[Tensor, Tensor]:
    """Random indices of at most share * count boxes with a person, and of background to fill up to `count`."""
    with_person, background = (matched >= 0).nonzero().squeeze(1), (matched == BACKGROUND).nonzero().squeeze(1)
    positive = with_person[torch.randperm(len(with_person), device=matched.device)[: int(count * share)]]
    negative = background[torch.randperm(len(background), device=matched.device)[: count - len(positive)]]
    return positive, negative


def proposal_losses(
    objectness: Tensor, deltas: Tensor, anchors: Tensor, targets: Sequence[Target], weights: Weights
) -> dict[str, Tensor]:
    """Losses of the proposals: whether an anchor holds a person, and where that person's box is.

    Args:
        objectness: (B, A) logits.
        deltas: (B, A, 4), coded boxes.
        anchors: (A, 4), the same for every image.
        targets: of each image.
        weights: of the coding.
    """
    logits, labels, found, wanted = [], [], [], []
    for n, target in enumerate(targets):
        matched = match(overlaps(target.boxes, anchors), 0.3, 0.7, keep_best=True)
        positive, negative = sample(matched, ANCHORS_PER_IMAGE, 0.5)
        logits.append(objectness[n, torch.cat([positive, negative])])
        labels.append(torch.cat([torch.ones_like(positive), torch.zeros_like(negative)]))
        found.append(deltas[n, positive])
        wanted.append(encode(target.boxes[matched[positive]], anchors[positive], weights))
    truth = torch.cat(labels).to(objectness.dtype)
    return {
        "loss_objectness": F.binary_cross_entropy_with_logits(torch.cat(logits), truth),
        "loss_rpn_box_reg": _box_loss(torch.cat(found), torch.cat(wanted), len(truth)),
    }


def training_regions(proposals: Tensor, target: Target) -> Regions:
    """A sample of the proposals (R, 4) and the true boxes, at most a quarter of it with people."""
    boxes = torch.cat([proposals, target.boxes])
    matched = match(overlaps(target.boxes, boxes), 0.5, 0.5)
    positive, negative = sample(matched, REGIONS_PER_IMAGE, 0.25)
    chosen = torch.cat([positive, negative])
    return Regions(boxes[chosen], matched[chosen])


def box_losses(
    logits: Tensor, deltas: Tensor, regions: Sequence[Regions], targets: Sequence[Target], weights: Weights
) -> dict[str, Tensor]:
    """Losses of the box head over all regions (R) of all images: person or not, and where.

    Args:
        logits: (R, 2), background and person.
        deltas: (R, 4), coded boxes of people.
        regions: of each image.
        targets: of each image.
        weights: of the coding.
    """
    person = torch.cat([region.person for region in regions])
    wanted = [
        encode(target.boxes[region.person[region.person >= 0]], region.boxes[region.person >= 0], weights)
        for region, target in zip(regions, targets, strict=True)
    ]
    return {
        "loss_classifier": F.cross_entropy(logits, (person >= 0).long()),
        "loss_box_reg": _box_loss(deltas[person >= 0], torch.cat(wanted), len(person)),
    }


def keypoint_loss(heatmaps: Tensor, regions: Sequence[Regions], targets: Sequence[Target]) -> dict[str, Tensor]:
    """Cross-entropy over the S x S cells of each labelled joint that lies in its region.

    Args:
        heatmaps: (P, J, S, S) logits of the regions with people, in the order of `regions`.
        regions: of each image.
        targets: of each image.
    """
    side = heatmaps.shape[-1]
    found = [
        keypoint_cells(target.keypoints[region.person[region.person >= 0]], region.boxes[region.person >= 0], side)
        for region, target in zip(regions, targets, strict=True)
    ]
    cell, known = (torch.cat(parts) for parts in zip(*found, strict=True))
    if not known.any():
        return {"loss_keypoint": heatmaps.sum() * 0}
    return {"loss_keypoint": F.cross_entropy(heatmaps.flatten(2)[known], cell[known])}


def _box_loss(found: Tensor, wanted: Tensor, count: int) -> Tensor:
    """Smooth L1 over the boxes with people, for each of `count` boxes that were looked at."""
    return F.smooth_l1_loss(found, wanted, beta=BETA, reduction="sum") / count
