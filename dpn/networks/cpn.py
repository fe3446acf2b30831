"""The Cascaded Pyramid Network with a ResNet-50 (CPN; Chen et al., CVPR 2018)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dpn.networks.blocks import Bottleneck, conv_bn_relu
from dpn.networks.resnet import ResNet
from dpn.spec import CPNSpec

CHANNELS = 256
STAGES = (2048, 1024, 512, 256)
"""Channels of C5, C4, C3 and C2, the order in which every list of levels runs here: coarsest first."""


class ProjectedBottleneck(Bottleneck):
    """RefineNet's bottleneck: twice as wide outside as inside, with a projection for shortcut even where shapes agree.

    The paper's ablation of depths costs what it prints only with these projections.
    """

    expansion = 2

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__(in_channels, width)
        out_channels = self.expansion * width
        self.downsample = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels)
        )


class GlobalNet(nn.Module):
    """The feature pyramid from C5 up to C2, with heatmaps of every level where `heads` asks for them."""

    def __init__(self, joints: int, heads: bool) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(conv_bn_relu(channels, CHANNELS, 1) for channels in STAGES)
        self.upsamples = nn.ModuleList(
            nn.Sequential(_upsample(2), nn.Conv2d(CHANNELS, CHANNELS, 1, bias=False), nn.BatchNorm2d(CHANNELS))
            for _ in STAGES[1:]
        )
        self.predict = nn.ModuleList(_head(joints, _to_finest(level)) for level in range(len(STAGES)) if heads)

    def forward(self, stages: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """C5 .. C2 -> the pyramid's maps, 256 channels at the same sizes, and heatmaps (B, J, H/4, W/4) of each."""
        pyramid = [self.laterals[0](stages[0])]
        for stage, lateral, upsample in zip(stages[1:], self.laterals[1:], self.upsamples, strict=True):
            pyramid.append(lateral(stage) + upsample(pyramid[-1]))
        return pyramid, [head(level) for head, level in zip(self.predict, pyramid, strict=False)]


class RefineNet(nn.Module):
    """Takes the pyramid's levels through bottlenecks, three for the coarsest, none for the finest, and joins them."""

    def __init__(self, joints: int) -> None:
        super().__init__()
        coarsest = len(STAGES) - 1
        self.cascade = nn.ModuleList(
            nn.Sequential(
                *(ProjectedBottleneck(CHANNELS, CHANNELS // 2) for _ in range(coarsest - level)),
                _upsample(_to_finest(level)),
            )
            for level in range(len(STAGES))
        )
        self.final_predict = nn.Sequential(
            ProjectedBottleneck(len(STAGES) * CHANNELS, CHANNELS // 2),
            nn.Conv2d(CHANNELS, joints, 3, padding=1, bias=False),
            nn.BatchNorm2d(joints),
        )

    def forward(self, pyramid: Sequence[Tensor]) -> Tensor:
        """The pyramid's maps, coarsest first -> heatmaps (B, J, H/4, W/4)."""
        levels = [refine(level) for refine, level in zip(self.cascade, pyramid, strict=True)]
        return self.final_predict(torch.cat(levels, dim=1))  # type: ignore[no-any-return]


class CPN(nn.Module):
    """ResNet-50, GlobalNet and RefineNet, whose heatmaps are the network's answer.

    `spec.global_heads` makes it the training graph, which returns GlobalNet's heatmaps too, for they are supervised;
    without them it is the inference graph, whose cost the paper prints, and which the same weights fit but for
    `global_net.predict`. `spec.stride_in_1x1` is the authors' ResNet; the public ports have torchvision's.

    Layers and names are those of GengDavid/pytorch-cpn, and where the port and chenyilun95/tf-cpn differ, so is the
    choice: projections in every bottleneck of RefineNet, GlobalNet's merging convolution without bias but with batch
    norm, bilinear upsampling with aligned corners, and the heads' batch norm after it. Also the start is the port's:
    backbone and GlobalNet normal with variance 2 / fan out, RefineNet as PyTorch initialises; ImageNet weights are
    loaded over it.
    """

    def __init__(self, spec: CPNSpec) -> None:
        super().__init__()
        self.resnet = ResNet(50, stride_in_1x1=spec.stride_in_1x1)
        self.global_net = GlobalNet(spec.joints, heads=spec.global_heads)
        self.refine_net = RefineNet(spec.joints)
        for module in (*self.resnet.modules(), *self.global_net.modules()):
            if isinstance(module, nn.Conv2d) and not module.weight.is_meta:  # where drawing takes seconds, for nothing
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor | tuple[list[Tensor], Tensor]:
        """Images (B, 3, H, W) -> heatmaps (B, J, H/4, W/4).

        The training graph returns (GlobalNet's, RefineNet's) in either mode; GlobalNet's are four, from C5 to C2.
        """
        pyramid, heatmaps = self.global_net(self.resnet.stages(x)[::-1])
        refined: Tensor = self.refine_net(pyramid)
        return (heatmaps, refined) if self.global_net.predict else refined


def _to_finest(level: int) -> int:
    """How much smaller a level is than C2."""
    return 1 << (len(STAGES) - 1 - level)


def _upsample(factor: int) -> nn.Module:
    return nn.Upsample(scale_factor=factor, mode="bilinear", align_corners=True) if factor > 1 else nn.Identity()


def _head(joints: int, factor: int) -> nn.Sequential:
    """From a level of the pyramid to heatmaps at C2's size."""
    return nn.Sequential(
        *conv_bn_relu(CHANNELS, CHANNELS, 1),
        nn.Conv2d(CHANNELS, joints, 3, padding=1, bias=False),
        _upsample(factor),
        nn.BatchNorm2d(joints),
    )
