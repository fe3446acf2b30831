"""The region proposal network: on every level of a feature pyramid, regions that may hold a person.

Ren et al., NIPS 2015; Lin et al., CVPR 2017. Layers, constants and parameter names are those of torchvision.
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from dpn.networks.blocks import init_convolutions
from dpn.networks.feature_pyramid import CHANNELS
from dpn.networks.rcnn_boxes import Weights, anchors, at_least, clip, decode, nms, precise
from dpn.networks.rcnn_training import Target, proposal_losses

ANCHOR_SIDES = (32, 64, 128, 256, 512)
"""On P2 to P6."""
CANDIDATES = {"testing": 1000, "training": 2000}
"""Proposals of each level that go into non-maximum suppression."""
TRAINING_PROPOSALS = 2000
CODING: Weights = (1.0, 1.0, 1.0, 1.0)


class ProposalNetwork(nn.Module):
    """A head on each level, and what non-maximum suppression leaves of the boxes that it rates best.

    Args:
        proposals: regions that are kept in each image in evaluation mode.
    """

    def __init__(self, proposals: int) -> None:
        super().__init__()
        self.proposals = proposals
        self.head = ProposalHead()

    def forward(
        self,
        levels: Sequence[Tensor],
        batch_hw: tuple[int, int],
        image_hws: Sequence[tuple[int, int]],
        targets: Sequence[Target] | None,
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """P2 to P6 -> the proposals (R, 4) in each image, the likeliest first, and the losses if there are targets."""
        found = [self.head(level) for level in levels]
        grids = [
            anchors((level.shape[2], level.shape[3]), batch_hw, side, like=deltas)
            for level, side, (_, deltas) in zip(levels, ANCHOR_SIDES, found, strict=True)
        ]
        proposals = [
            self._best([(o[n].detach(), d[n].detach(), grid) for (o, d), grid in zip(found, grids, strict=True)], hw)
            for n, hw in enumerate(image_hws)
        ]
        if targets is None:
            return proposals, {}
        objectness, deltas = (torch.cat(parts, dim=1) for parts in zip(*found, strict=True))
        return proposals, proposal_losses(objectness, deltas, torch.cat(grids), targets, CODING)

    def _best(self, levels: Sequence[tuple[Tensor, Tensor, Tensor]], image_hw: tuple[int, int]) -> Tensor:
        """The best regions in one image from the objectness, deltas and anchors of each level."""
        most = CANDIDATES["training" if self.training else "testing"]
        boxes, scores = [], []
        for objectness, deltas, grid in levels:
            score, chosen = objectness.topk(min(most, len(objectness)))
            box = clip(decode(deltas[chosen], grid[chosen], CODING), image_hw)
            large = at_least(box, 1e-3)
            kept = large[nms(box[large], score[large], 0.7)]
            boxes.append(box[kept])
            scores.append(score[kept])
        order = torch.cat(scores).argsort(descending=True, stable=True)
        return torch.cat(boxes)[order[: TRAINING_PROPOSALS if self.training else self.proposals]]


class ProposalHead(nn.Module):
    """A 3x3 convolution with ReLU, then the objectness and the coded box of three anchors at each place."""

    def __init__(self) -> None:
        super().__init__()
        width = CHANNELS
        convolution = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU(inplace=True))
        self.conv = nn.Sequential(convolution)
        self.cls_logits = nn.Conv2d(width, 3, 1)
        self.bbox_pred = nn.Conv2d(width, 3 * 4, 1)
        init_convolutions(self, partial(nn.init.normal_, std=0.01))

    def forward(self, level: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 256, h, w) -> logits (B, h * w * 3) and coded boxes (B, h * w * 3, 4), in the order of `anchors`."""
        x = self.conv(level)
        objectness, deltas = self.cls_logits(x), self.bbox_pred(x).unflatten(1, (3, 4))
        return precise(objectness.permute(0, 2, 3, 1).flatten(1)), precise(deltas.permute(0, 3, 4, 1, 2).flatten(1, 3))
