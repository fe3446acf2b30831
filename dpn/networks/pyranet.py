"""PyraNet, whose stacked hourglasses are made of pyramid residual modules: LFP (Yang et al., ICCV 2017)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dpn.networks.blocks import bn_relu, conv_bn_relu
from dpn.networks.hourglass import LEVELS, Hourglass, Place, Residual
from dpn.spec import PyraNetSpec

CHANNELS = 256
"""Of the maps that pass through the stacks."""


class Pyramid(nn.Module):
    """Max pooling to several sizes, at each a 3x3 convolution, all enlarged to the first size again and summed.

    Level i of n, counted from 1, has floor(2^(-i/n)) of the height and width: 53, 45, 38 and 32 of 64. The enlargement
    is bilinear with aligned corners, Torch's. Takes and returns (B, C, H, W).
    """

    def __init__(self, channels: int, levels: int, *, fractional: bool) -> None:
        super().__init__()
        self.levels = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(levels))
        self.fractional = fractional

    def sizes(self, height: int, width: int) -> list[tuple[int, int]]:
        """Of the map at each level."""
        ratios = [2 ** (-level / len(self.levels)) for level in range(1, len(self.levels) + 1)]
        return [(int(height * ratio), int(width * ratio)) for ratio in ratios]

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        full = x.shape[2], x.shape[3]
        total: Tensor | None = None
        for conv, size in zip(self.levels, self.sizes(*full), strict=True):
            small = (
                F.fractional_max_pool2d(x, 2, output_size=size) if self.fractional else F.adaptive_max_pool2d(x, size)
            )
            level = F.interpolate(conv(small), size=full, mode="bilinear", align_corners=True)
            total = level if total is None else total + level
        assert total is not None
        return total


class PyramidResidual(nn.Module):
    """The pyramid residual module: a 3x3 branch and a pyramid branch are summed, then batch norm, ReLU, 1x1; and skip.

    Both branches start with their own batch norm and ReLU, unless `pre_activation` is off, as in the stem's first
    module, whose input has just had them; its skip has them all the same. The skip is the identity where the number of
    channels stays. Takes (B, in_channels, H, W), returns (B, out_channels, H, W).
    """

    def __init__(
        self, in_channels: int, out_channels: int, spec: PyraNetSpec, *, pre_activation: bool = True, project: bool
    ) -> None:
        super().__init__()
        half, narrow = out_channels // 2, out_channels // spec.base_width
        self.branch = nn.Sequential(
            *(bn_relu(in_channels) if pre_activation else ()),
            nn.Conv2d(in_channels, half, 1),
            *bn_relu(half),
            nn.Conv2d(half, half, 3, padding=1),
        )
        merge = nn.Conv2d(narrow, half, 1)
        self.pyramid = nn.Sequential(
            *(bn_relu(in_channels) if pre_activation else ()),
            nn.Conv2d(in_channels, narrow, 1),
            *bn_relu(narrow),
            Pyramid(narrow, spec.cardinality, fractional=spec.fractional_pooling),
            *bn_relu(narrow),
            merge,
        )
        self.out = nn.Sequential(*bn_relu(half), nn.Conv2d(half, out_channels, 1))
        self.skip = _projection(in_channels, out_channels) if project else nn.Identity()
        if not merge.weight.is_meta:
            with torch.no_grad():
                merge.weight.mul_(spec.cardinality**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H, W)."""
        return self.out(self.branch(x) + self.pyramid(x)) + self.skip(x)  # type: ignore[no-any-return]


class PyraNet(nn.Module):
    """Stacked hourglasses whose finer levels are pyramid residual modules and whose coarser ones plain residuals.

    Of an hourglass of four halvings, counted down from 4 at 1/4 of the input, the blocks beside the halvings 4 to 2
    and those before and after the halvings 4 and 3 are pyramids, all others plain. Every block after a halving has a
    1x1 convolution on its skip, also the plain ones. No residual follows an hourglass, but batch norm and ReLU.

    The structure is the authors' Torch release's (bearpaw/PyraNet, models/hg-prm.lua and layers/PRM.lua: the additive
    variant); base width 9 and cardinality 4 are those of its script for two stacks, and give the
    published cost with eight, while its default options do not. The release pools by random fractional max pooling,
    also at test. Here that is an option (`spec.fractional_pooling`), and the default is adaptive max pooling to the
    same sizes, which gives the same answer twice at the same cost; it is not the same function. Convolutions start as
    Torch's; batch norm at 1 and 0, where Torch draws scales from 0 to 1. The convolution behind a pyramid, which the
    release marks for the paper's initialisation of multi-branch networks, starts as if its fan in were as many times
    larger as there are levels. That reading of the mark is a choice: the release's models/init.lua could not be read.
    """

    def __init__(self, spec: PyraNetSpec) -> None:
        super().__init__()
        stacks, passed_on = range(spec.stacks), range(spec.stacks - 1)

        def block(place: Place, level: int) -> nn.Module:
            project = place == "low3"
            if level >= (2 if place == "up1" else 3):
                return PyramidResidual(CHANNELS, CHANNELS, spec, project=project)
            residual = Residual(CHANNELS, CHANNELS)
            if project:
                residual.skip_layer = _projection(CHANNELS, CHANNELS)
            return residual

        self.stem = nn.Sequential(
            conv_bn_relu(3, 64, 7, stride=2, bias=True),
            PyramidResidual(64, 128, spec, pre_activation=False, project=True),
            nn.MaxPool2d(2),
            PyramidResidual(128, 128, spec, project=False),
            PyramidResidual(128, CHANNELS, spec, project=True),
        )
        self.hourglasses = nn.ModuleList(Hourglass(LEVELS, block) for _ in stacks)
        self.features = nn.ModuleList(
            nn.Sequential(*bn_relu(CHANNELS), conv_bn_relu(CHANNELS, CHANNELS, 1, bias=True)) for _ in stacks
        )
        self.heatmaps = nn.ModuleList(nn.Conv2d(CHANNELS, spec.joints, 1) for _ in stacks)
        self.merge_features = nn.ModuleList(nn.Conv2d(CHANNELS, CHANNELS, 1) for _ in passed_on)
        self.merge_heatmaps = nn.ModuleList(nn.Conv2d(spec.joints, CHANNELS, 1) for _ in passed_on)

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        """Images (B, 3, H, W) -> the last stack's heatmaps (B, J, H/4, W/4); in training mode a list, all stacks'."""
        x = self.stem(x)
        heatmaps: list[Tensor] = []
        for stack, hourglass in enumerate(self.hourglasses):
            features = self.features[stack](hourglass(x))
            heatmaps.append(self.heatmaps[stack](features))
            if stack < len(self.merge_features):
                x = x + self.merge_features[stack](features) + self.merge_heatmaps[stack](heatmaps[-1])
        return heatmaps if self.training else heatmaps[-1]


def _projection(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(*bn_relu(in_channels), nn.Conv2d(in_channels, out_channels, 1))
