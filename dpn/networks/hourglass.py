"""The stacked hourglass network (Newell et al., ECCV 2016), and the recursion that later networks build on."""

from collections import OrderedDict
from collections.abc import Callable, MutableMapping
from typing import Any, Literal

from torch import Tensor, nn

from dpn.spec import HourglassSpec

Place = Literal["up1", "low1", "low2", "low3"]
"""Of a block in an hourglass: beside the pooled path, before, at and after what lies deeper."""

LEVELS = 4


class Residual(nn.Module):
    """The pre-activation bottleneck: three times batch norm, ReLU, convolution (1x1, 3x3, 1x1; with biases).

    The shortcut is the identity, or a plain 1x1 convolution where the number of channels changes; nothing follows the
    sum. Takes (B, in_channels, H, W), returns (B, out_channels, H, W).
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        width = out_channels // 2
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = _conv(in_channels, width, 1)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = _conv(width, width, 3)
        self.bn3 = nn.BatchNorm2d(width)
        self.conv3 = _conv(width, out_channels, 1)
        self.relu = nn.ReLU(inplace=True)
        self.skip_layer: nn.Module | None = None
        if in_channels != out_channels:
            self.skip_layer = _conv(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H, W)."""
        shortcut = x if self.skip_layer is None else self.skip_layer(x)
        y = self.conv1(self.relu(self.bn1(x)))
        y = self.conv2(self.relu(self.bn2(y)))
        y = self.conv3(self.relu(self.bn3(y)))
        return y + shortcut  # type: ignore[no-any-return]


class Hourglass(nn.Module):
    """Halves the map `levels` times and returns to its size, with a block beside every halving (Figure 3 of Newell).

    `block(place, level)` makes the block of each place; levels count down, from `levels` at the input's resolution to
    1 at the last halving, where `low2` is the block at the bottom. Every block keeps the shape of its input.
    """

    def __init__(self, levels: int, block: Callable[[Place, int], nn.Module]) -> None:
        super().__init__()
        self.up1 = block("up1", levels)
        self.pool = nn.MaxPool2d(2)
        self.low1 = block("low1", levels)
        self.low2 = Hourglass(levels - 1, block) if levels > 1 else block("low2", levels)
        self.low3 = block("low3", levels)
        self.upsample = nn.Upsample(scale_factor=2, mode="nearest")

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W); H and W are multiples of 2^levels."""
        low = self.low3(self.low2(self.low1(self.pool(x))))
        return self.up1(x) + self.upsample(low)  # type: ignore[no-any-return]


class StackedHourglass(nn.Module):
    """A stem to 1/4 of the input, then hourglasses of four levels, each with heatmaps that the next one takes up.

    Every stack is supervised, and the heatmaps of the last one are the network's answer. Each stack's heatmaps go
    into the next stack, so that inference computes them all; the published costs include them.

    Structure and names are those of the authors' PyTorch port (princeton-vl/pytorch_stacked_hourglass), which follows
    their Torch release (princeton-vl/pose-hg-train, src/models/hg.lua). The port's files hold a `skip_layer` for every
    residual, also where the shortcut is the identity and the weights are never used: these are left out on loading.
    Without the residual after each hourglass (`spec.post_residual`) this is an earlier state of the Torch release
    (commit 528ff3e), whose cost is the one that HRNet and DPN print. Weights start as PyTorch's do: convolutions as
    Torch's, uniform within 1 / sqrt(fan in); batch norm at 1 and 0, where Torch draws scales from 0 to 1.

    Args:
        spec: numbers of stacks, channels and joints.
        residual: makes every residual block from its numbers of input and output channels.
    """

    def __init__(self, spec: HourglassSpec, residual: Callable[[int, int], nn.Module] = Residual) -> None:
        super().__init__()
        channels, stacks, passed_on = spec.channels, range(spec.stacks), range(spec.stacks - 1)

        def same(*_: object) -> nn.Module:
            return residual(channels, channels)

        self.pre = nn.Sequential(
            _conv_bn_relu(3, 64, 7, stride=2),
            residual(64, 128),
            nn.MaxPool2d(2),
            residual(128, 128),
            residual(128, channels),
        )
        self.hgs = nn.ModuleList(nn.Sequential(Hourglass(LEVELS, same)) for _ in stacks)
        self.features = nn.ModuleList(
            nn.Sequential(same() if spec.post_residual else nn.Identity(), _conv_bn_relu(channels, channels, 1))
            for _ in stacks
        )
        self.outs = nn.ModuleList(_conv(channels, spec.joints, 1) for _ in stacks)
        self.merge_features = nn.ModuleList(_merge(channels, channels) for _ in passed_on)
        self.merge_preds = nn.ModuleList(_merge(spec.joints, channels) for _ in passed_on)
        self.register_load_state_dict_pre_hook(_take_port_names)  # type: ignore[no-untyped-call]

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        """Images (B, 3, H, W) -> the last stack's heatmaps (B, J, H/4, W/4); in training mode a list, all stacks'."""
        x = self.pre(x)
        heatmaps: list[Tensor] = []
        for stack, hourglass in enumerate(self.hgs):
            features = self.features[stack](hourglass(x))
            heatmaps.append(self.outs[stack](features))
            if stack < len(self.merge_features):
                x = x + self.merge_features[stack](features) + self.merge_preds[stack](heatmaps[-1])
        return heatmaps if self.training else heatmaps[-1]


def _take_port_names(net: nn.Module, weights: MutableMapping[str, Any], prefix: str, *_: Any) -> None:
    """Takes the port's wrappers off the names of what is about to be loaded, and leaves out its unused shortcuts."""
    own = net.state_dict().keys()
    for name in [name for name in weights if name.startswith(prefix)]:
        value, bare = weights.pop(name), name.removeprefix(prefix).removeprefix("model.module.")
        if bare in own or ".skip_layer." not in bare:
            weights[prefix + bare] = value


def _conv(in_channels: int, out_channels: int, kernel: int) -> nn.Sequential:
    """A convolution with bias, one level down because the authors' names have it there."""
    return nn.Sequential(OrderedDict(conv=nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2)))


def _conv_bn_relu(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict[str, nn.Module](
            conv=nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2),
            bn=nn.BatchNorm2d(out_channels),
            relu=nn.ReLU(inplace=True),
        )
    )


def _merge(in_channels: int, out_channels: int) -> nn.Sequential:
    """The 1x1 convolution with which a stack's features or heatmaps enter the next stack."""
    return nn.Sequential(OrderedDict(conv=_conv(in_channels, out_channels, 1)))
