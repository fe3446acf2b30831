"""The High-Resolution Network: four resolutions side by side, exchanging what they see after every module.

Sun et al., CVPR 2019. Parameter names are those of the authors' release (leoxiaobin/deep-high-resolution-net.pytorch),
so that its files load unchanged. Branch r has 2^r times the width in channels and runs at 1/(4 * 2^r) of the image.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from dpn.networks.blocks import bottlenecks, conv_bn_relu, init_from_scratch
from dpn.spec import HRNetSpec

MODULES = {2: 1, 3: 4, 4: 3}
"""Exchange modules in each stage; a stage has as many branches as its number says."""
BLOCKS = 4
"""Basic blocks in each branch of a module."""


class BasicBlock(nn.Module):
    """ResNet's post-activation block of two 3x3 convolutions, with identity shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) -> the same."""
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(y)) + x)  # type: ignore[no-any-return]


class Fusion(nn.ModuleList):
    """One resolution after a module: the sum of all branches, each brought to its size and channels."""

    def __init__(self, channels: Sequence[int], target: int) -> None:
        super().__init__(_bring(channels, source, target) for source in range(len(channels)))

    def forward(self, maps: list[Tensor]) -> Tensor:
        """One map (B, C_r, H_r, W_r) for each branch, finest first -> the target's."""
        first, *others = (bring(x) for bring, x in zip(self, maps, strict=True))
        return F.relu(sum(others, start=first), inplace=True)


class ExchangeModule(nn.Module):
    """Basic blocks on every branch, then a fusion for each resolution that is asked for.

    Args:
        channels: of each branch, finest first.
        outputs: how many of the resolutions are computed, from the finest.
    """

    def __init__(self, channels: Sequence[int], outputs: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(nn.Sequential(*(BasicBlock(c) for _ in range(BLOCKS))) for c in channels)
        self.fuse_layers = nn.ModuleList(Fusion(channels, target) for target in range(outputs))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """One map (B, C_r, H_r, W_r) for each branch, finest first -> the finest `outputs` of them."""
        maps = [branch(x) for branch, x in zip(self.branches, maps, strict=True)]
        return [fuse(maps) for fuse in self.fuse_layers]


class HRNetBackbone(nn.Module):
    """HRNet without its head: stem, layer1 and three stages of two, three and four branches.

    The network's last module computes the finest resolution alone, as nothing reads the others.
    """

    def __init__(self, spec: HRNetSpec) -> None:
        super().__init__()
        widths = [spec.width * 2**r for r in range(4)]
        self.conv1 = nn.Conv2d(3, 64, 3, 2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.conv2 = nn.Conv2d(64, 64, 3, 2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = bottlenecks(64, 64, 4)
        finest, halved = conv_bn_relu(256, widths[0], 3), conv_bn_relu(256, widths[1], 3, stride=2)
        self.transition1 = nn.ModuleList([finest, nn.Sequential(halved)])
        self.stage2 = _stage(widths[:2])
        self.transition2 = _transition(widths[:3])
        self.stage3 = _stage(widths[:3])
        self.transition3 = _transition(widths)
        self.stage4 = _stage(widths, last_outputs=1)
        init_from_scratch(self)

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) -> the finest map, (B, width, H/4, W/4)."""
        x = self.relu(self.bn1(self.conv1(images)))
        x = self.relu(self.bn2(self.conv2(x)))
        maps = self.stage2(_enter(self.transition1, [self.layer1(x)]))
        maps = self.stage3(_enter(self.transition2, maps))
        (finest,) = self.stage4(_enter(self.transition3, maps))
        return finest  # type: ignore[no-any-return]


class HRNet(HRNetBackbone):
    """HRNet with the 1x1 convolution that makes heatmaps of its finest resolution."""

    def __init__(self, spec: HRNetSpec) -> None:
        super().__init__(spec)
        self.final_layer = nn.Conv2d(spec.width, spec.joints, 1)
        init_from_scratch(self.final_layer)

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) -> heatmaps (B, J, H/4, W/4)."""
        return self.final_layer(super().forward(images))  # type: ignore[no-any-return]


def _stage(channels: Sequence[int], last_outputs: int | None = None) -> nn.Sequential:
    count = MODULES[len(channels)]
    outputs = [len(channels)] * (count - 1) + [last_outputs or len(channels)]
    return nn.Sequential(*(ExchangeModule(channels, n) for n in outputs))


def _transition(channels: Sequence[int]) -> nn.ModuleList:
    """Into a stage of these channels: branches go on as they are, and a new one starts, at half the size."""
    *kept, last, new = channels
    start = nn.Sequential(conv_bn_relu(last, new, 3, stride=2))
    return nn.ModuleList([*(nn.Identity() for _ in (*kept, last)), start])


def _enter(transition: nn.ModuleList, maps: list[Tensor]) -> list[Tensor]:
    """The maps of the next stage; its new branches start from the coarsest map there is."""
    return [step(maps[min(r, len(maps) - 1)]) for r, step in enumerate(transition)]


def _bring(channels: Sequence[int], source: int, target: int) -> nn.Module:
    """Brings the map of one branch to another's size and channels."""
    if source == target:
        return nn.Identity()
    if source > target:  # from coarse to fine
        return nn.Sequential(
            nn.Conv2d(channels[source], channels[target], 1, bias=False),
            nn.BatchNorm2d(channels[target]),
            nn.Upsample(scale_factor=2 ** (source - target), mode="nearest"),
        )
    halvings = [conv_bn_relu(channels[source], channels[source], 3, stride=2) for _ in range(target - source - 1)]
    return nn.Sequential(*halvings, conv_bn_relu(channels[source], channels[target], 3, stride=2)[:2])
