"""The deeply learned compositional model, DLCM, reconstructed: joints, bones and limbs, there and back (ECCV 2018)."""

import torch
from torch import Tensor, nn

from dpn.networks.blocks import conv_bn_relu
from dpn.networks.hourglass import LEVELS, Hourglass, Residual
from dpn.spec import DLCMSpec

CHANNELS = 256
"""Of the maps that pass through the hourglasses."""


class DLCM(nn.Module):
    """Hourglasses from the joints up to the largest parts and down to the joints again, each with its score maps.

    A reconstruction (Tang, Yu and Wu, ECCV 2018), for the authors' code could not be read.

    Known of the publication: semantic levels, bottom-up and then top-down; score maps of parts at all levels are
    supervised; three levels, by the released models' names; 15.5 million parameters and a cost of 15.6.

    Read in the code of a later network that builds on it (idotc/DLMSCM, src/models/dlmscm.lua, of multi-scale
    residuals, and src/structures): the levels have 16 joints, 12 and 6 parts, and each of the five steps, levels 1, 2,
    3 up and 2, 1 down, is one hourglass. On the way up, features and score maps enter the next step as between stacked
    hourglasses. On the way down, a residual narrows what comes from the step before, and the score maps that the same
    level had on the way up stand in front of it, to 256 channels together. No residual follows an hourglass. Score
    maps of the higher levels come with 16 for the joints, where the parts end (`spec.part_ends`, switched on by its
    script for the original network, experiments/mpii/train_dlcm_l3.sh: -netType dlcm -catPartEnds true). Its stem
    starts with a 3x3 convolution at the full resolution, a pooling, and two at half of it.

    Chosen: that the original has all of this, and Newell's residual (`dpn.networks.hourglass.Residual`) and his
    nearest enlargement in every place. This gives 15,495,870 parameters and 15.577 Gi multiply-adds, so that both
    published figures are met as printed; with Newell's 7x7 stem of stride 2 the cost would be 14.490 Gi, with a
    residual behind every hourglass 16.6 million and 19.6 Gi. Without `part_ends` both figures are met too, so that
    they cannot tell. Convolutions start as Torch's; batch norm at 1 and 0, where Torch draws scales from 0 to 1.
    """

    def __init__(self, spec: DLCMSpec) -> None:
        super().__init__()
        if spec.levels > len(spec.parts) or spec.parts[0] != spec.joints:
            raise ValueError(
                f"{spec.name}: {spec.levels} levels need as many numbers of parts, the first of them the {spec.joints} "
                f"joints, not {spec.parts}; set joints and parts together"
            )
        up = range(spec.levels)
        self.steps = (*up, *reversed(up[:-1]))
        """The semantic level of each step, from 0 for the joints."""
        maps = [parts + (spec.joints if spec.part_ends and level else 0) for level, parts in enumerate(spec.parts)]
        steps, passed_on = [maps[level] for level in self.steps], [maps[level] for level in self.steps[:-1]]
        self.stem = nn.Sequential(
            conv_bn_relu(3, 64, 3, bias=True),
            nn.MaxPool2d(2),
            conv_bn_relu(64, 64, 3, bias=True),
            conv_bn_relu(64, 64, 3, bias=True),
            Residual(64, 128),
            nn.MaxPool2d(2),
            Residual(128, 128),
            Residual(128, CHANNELS),
        )
        self.features = nn.ModuleList(
            nn.Sequential(
                Hourglass(LEVELS, lambda *_: Residual(CHANNELS, CHANNELS)),
                conv_bn_relu(CHANNELS, CHANNELS, 1, bias=True),
            )
            for _ in steps
        )
        self.scores = nn.ModuleList(nn.Conv2d(CHANNELS, n, 1) for n in steps)
        self.merge_features = nn.ModuleList(nn.Conv2d(CHANNELS, CHANNELS, 1) for _ in passed_on)
        self.merge_scores = nn.ModuleList(nn.Conv2d(n, CHANNELS, 1) for n in passed_on)
        self.top_down = nn.ModuleList(Residual(CHANNELS, CHANNELS - n) for n in steps[spec.levels :])

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        """Images (B, 3, H, W) -> the joints' heatmaps (B, J, H/4, W/4); in training mode a list, every step's maps.

        The list is in the order of the steps; each has the maps of its level's parts, then those of their ends.
        """
        x = self.stem(x)
        scores: list[Tensor] = []
        first_down = len(self.steps) - len(self.top_down)
        for step, level in enumerate(self.steps):
            if step >= first_down:
                x = torch.cat((scores[level], self.top_down[step - first_down](x)), dim=1)
            features = self.features[step](x)
            scores.append(self.scores[step](features))
            if step < len(self.merge_features):
                x = x + self.merge_features[step](features) + self.merge_scores[step](scores[-1])
        return scores if self.training else scores[-1]
