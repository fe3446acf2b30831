"""Mask R-CNN for keypoints with a ResNet-50 and a feature pyramid: whole images in, people with keypoints out.

He et al., ICCV 2017; Lin et al., CVPR 2017. Layers, constants and parameter names are those of torchvision's
keypointrcnn_resnet50_fpn, so that its released files load; `rcnn_images` makes its input, `rcnn_boxes` and
`rcnn_keypoints` hold what has no parameters, `rcnn_training` the losses.
"""

import re
from collections import OrderedDict
from collections.abc import MutableMapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dpn.networks.blocks import HE_NORMAL, init_convolutions
from dpn.networks.feature_pyramid import CHANNELS, STRIDES, PyramidBackbone
from dpn.networks.rcnn_boxes import (
    Weights,
    at_least,
    clip,
    decode,
    nms,
    precise,
    pyramid_levels,
    roi_align,
    where,
)
from dpn.networks.rcnn_keypoints import decode_keypoints
from dpn.networks.rcnn_training import Regions, Target, box_losses, keypoint_loss, training_regions
from dpn.networks.region_proposals import ProposalNetwork
from dpn.spec import MaskRCNNSpec

BOX_CODING: Weights = (10.0, 10.0, 5.0, 5.0)


class Detections(NamedTuple):
    """The people found in one image, the surest first.

    Attributes:
        boxes: (N, 4): left, top, right, bottom in pixels of the network's input.
        scores: (N,), between 0 and 1.
        keypoints: (N, J, 2): x and y in pixels.
        keypoint_scores: (N, J), logits; comparable within a network.
    """

    boxes: Tensor
    scores: Tensor
    keypoints: Tensor
    keypoint_scores: Tensor


class MaskRCNN(nn.Module):
    """Keypoint R-CNN: pyramid, proposals, a head for boxes and a head for the keypoints of what is kept.

    Cost depends on the data: each proposal costs a pass of the box head and each person a pass of the keypoint head,
    which is most of all. On the meta device, hence in a count, both are at the maximum that the spec allows.

    Frozen batch norm has no epsilon by default, as in the training of the released files; with it their outputs would
    differ. Weights start as torchvision's do without a file; the network is meant to start from ImageNet's. From there
    torchvision's training also freezes the backbone's `conv1` and `layer1`; here they learn.
    """

    def __init__(self, spec: MaskRCNNSpec) -> None:
        super().__init__()
        self.backbone = PyramidBackbone(frozen=spec.frozen_batch_norm)
        self.rpn = ProposalNetwork(spec.proposals)
        self.roi_heads = RegionHeads(spec.joints, spec.detections)
        self.register_load_state_dict_pre_hook(_take_older_names)  # type: ignore[no-untyped-call]

    def forward(
        self,
        images: Tensor,
        image_hws: Sequence[tuple[int, int]] | None = None,
        targets: Sequence[Target] | None = None,
    ) -> list[Detections] | dict[str, Tensor]:
        """Images (B, 3, H, W) -> the people in each, or in training mode the five losses by name.

        Args:
            images: normalised and padded as by `rcnn_images.batch`.
            image_hws: height and width of each image without padding; by default that of the batch.
            targets: of each image; needed in training mode, unused otherwise.
        """
        batch_hw = images.shape[2], images.shape[3]
        hws = [batch_hw] * len(images) if image_hws is None else list(image_hws)
        if self.training and targets is None:
            raise ValueError("Mask R-CNN needs targets in training mode; pass them, or call eval() to find people")
        truth = targets if self.training else None
        levels = self.backbone(images)
        proposals, losses = self.rpn(levels, batch_hw, hws, truth)
        if truth is None:
            return self.roi_heads.find(levels[:-1], proposals, hws)
        return losses | self.roi_heads.losses(levels[:-1], proposals, truth)  # type: ignore[no-any-return]


class RegionHeads(nn.Module):
    """The heads that look at single regions: is it a person, where exactly, and where are the joints."""

    def __init__(self, joints: int, detections: int) -> None:
        super().__init__()
        self.detections = detections
        self.box_head = nn.Sequential(
            OrderedDict[str, nn.Module](
                flatten=nn.Flatten(),
                fc6=nn.Linear(CHANNELS * 7 * 7, 1024),
                relu6=nn.ReLU(inplace=True),
                fc7=nn.Linear(1024, 1024),
                relu7=nn.ReLU(inplace=True),
            )
        )
        self.box_predictor = BoxPredictor()
        layers: list[nn.Module] = []
        for channels in (CHANNELS, *[512] * 7):
            layers += [nn.Conv2d(channels, 512, 3, padding=1), nn.ReLU(inplace=True)]
        self.keypoint_head = nn.Sequential(*layers)
        self.keypoint_predictor = KeypointPredictor(joints)
        init_convolutions(self, HE_NORMAL)

    def find(
        self, levels: Sequence[Tensor], proposals: Sequence[Tensor], image_hws: Sequence[tuple[int, int]]
    ) -> list[Detections]:
        """The people in each image, from P2 to P5 and the proposals (R, 4) in each image."""
        counts = [len(boxes) for boxes in proposals]
        logits, deltas = (torch.split(part, counts) for part in self._boxes(levels, proposals))
        best = [self._best(*one) for one in zip(logits, deltas, proposals, image_hws, strict=True)]
        boxes = [box for box, _ in best]
        heatmaps = torch.split(self._heatmaps(levels, boxes), [len(box) for box in boxes])
        return [
            Detections(box, score, *decode_keypoints(maps, box))
            for (box, score), maps in zip(best, heatmaps, strict=True)
        ]

    def losses(
        self, levels: Sequence[Tensor], proposals: Sequence[Tensor], targets: Sequence[Target]
    ) -> dict[str, Tensor]:
        """The losses of both heads on a sample of the proposals (R, 4) in each image."""
        regions = [training_regions(*pair) for pair in zip(proposals, targets, strict=True)]
        logits, deltas = self._boxes(levels, [region.boxes for region in regions])
        heatmaps = self._heatmaps(levels, [_with_people(region) for region in regions])
        return box_losses(logits, deltas, regions, targets, BOX_CODING) | keypoint_loss(heatmaps, regions, targets)

    def _boxes(self, levels: Sequence[Tensor], boxes: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Logits (R, 2) of background and person, and coded boxes (R, 4) of people, in the regions of all images."""
        return self.box_predictor(self.box_head(_pooled(levels, boxes, 7)))  # type: ignore[no-any-return]

    def _heatmaps(self, levels: Sequence[Tensor], boxes: Sequence[Tensor]) -> Tensor:
        """Logits (R, J, 56, 56) in the regions of all images."""
        return precise(self.keypoint_predictor(self.keypoint_head(_pooled(levels, boxes, 14))))

    def _best(
        self, logits: Tensor, deltas: Tensor, proposals: Tensor, image_hw: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """Boxes (N, 4) and scores (N,) of the people in one image."""
        scores = logits.softmax(1)[:, 1]
        boxes = clip(decode(deltas, proposals, BOX_CODING), image_hw)
        likely = where(scores > 0.05)
        likely = likely[at_least(boxes[likely], 1e-2)]
        kept = likely[nms(boxes[likely], scores[likely], 0.5)[: self.detections]]
        return boxes[kept], scores[kept]


class BoxPredictor(nn.Module):
    """Class and box of a region; the box of the background is a part of the released layer and is not used."""

    def __init__(self) -> None:
        super().__init__()
        self.cls_score = nn.Linear(1024, 2)
        self.bbox_pred = nn.Linear(1024, 2 * 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(R, 1024) -> logits (R, 2) and a person's coded box (R, 4)."""
        return precise(self.cls_score(x)), precise(self.bbox_pred(x)[:, 4:])


class KeypointPredictor(nn.Module):
    """Heatmaps at four times the resolution: a transposed convolution and a bilinear enlargement."""

    def __init__(self, joints: int) -> None:
        super().__init__()
        self.kps_score_lowres = nn.ConvTranspose2d(512, joints, 4, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(R, 512, 14, 14) -> logits (R, J, 56, 56)."""
        return F.interpolate(self.kps_score_lowres(x), scale_factor=2.0, mode="bilinear", align_corners=False)


def _pooled(levels: Sequence[Tensor], boxes: Sequence[Tensor], size: int) -> Tensor:
    """The regions (R, 4) of all images, cut out of P2 to P5: (R, 256, size, size)."""
    image = torch.cat([torch.full((len(box),), n, device=box.device) for n, box in enumerate(boxes)])
    every = torch.cat(list(boxes))
    return roi_align(levels, STRIDES, every, (image, pyramid_levels(every, len(levels))), size)


def _with_people(regions: Regions) -> Tensor:
    return regions.boxes[regions.person >= 0]


def current_name(name: str) -> str:
    """Today's name of a tensor of torchvision's network, from its name in any release.

    The published files are older than the nested names of the pyramid's convolutions and of the proposals'.
    """
    name = re.sub(r"^(backbone\.fpn\.\w+_blocks\.\d)\.(weight|bias)$", r"\1.0.\2", name)
    return re.sub(r"^(rpn\.head\.conv)\.(weight|bias)$", r"\1.0.0.\2", name)


def _take_older_names(_net: nn.Module, state: MutableMapping[str, Tensor], prefix: str, *_: object) -> None:
    """Before a state dict is loaded: renames what bears an older name."""
    for name in [name for name in state if name.startswith(prefix)]:
        state[prefix + current_name(name.removeprefix(prefix))] = state.pop(name)
