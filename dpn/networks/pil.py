"""The parsing induced learner, PIL: a parsing network makes kernels for a pose network (Nie et al., CVPR 2018)."""

from collections.abc import Callable
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from dpn.networks.blocks import bn_relu, conv_bn_relu
from dpn.spec import PILSpec

CHANNELS = 256
"""Of the maps that pass through the stacks, and of the dynamic kernels."""

LEVELS = 4


class Answer(NamedTuple):
    """What the network gives.

    Attributes:
        heatmaps: (B, J, H/4, W/4) of the last stack; in training mode a list, all stacks'.
        parsing: logarithms of the classes' probabilities (B, classes, H, W).
    """

    heatmaps: Tensor | list[Tensor]
    parsing: Tensor


class PreActivation(nn.Module):
    """Three times batch norm, ReLU, bias-free convolution (1x1, 3x3, 1x1), and the input added.

    Where the number of channels changes, the input goes through its own batch norm, ReLU and 1x1 convolution, which
    `unused` makes elsewhere too, without use. Takes (B, in_channels, H, W), returns (B, out_channels, H, W).
    """

    def __init__(self, in_channels: int, out_channels: int, *, unused: bool) -> None:
        super().__init__()
        width = out_channels // 2
        self.body = nn.Sequential(
            *_activated_conv(in_channels, width, 1),
            *_activated_conv(width, width, 3),
            *_activated_conv(width, out_channels, 1),
        )
        self.projects = in_channels != out_channels
        if self.projects or unused:
            self.skip = nn.Sequential(*_activated_conv(in_channels, out_channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H, W)."""
        return self.body(x) + (self.skip(x) if self.projects else x)  # type: ignore[no-any-return]


class PlainHourglass(nn.Module):
    """An hourglass whose skips are the maps on the way down, so that one residual is all that stands at each map.

    On the way down a residual comes before the pooling, on the way up after the sum. The enlargement is bilinear with
    aligned corners, as it was in the PyTorch (before 0.4) that the release is written for. Takes and returns
    (B, C, H, W); H and W are multiples of 2^levels.
    """

    def __init__(self, levels: int, channels: int, *, unused: bool) -> None:
        super().__init__()
        self.down = PreActivation(channels, channels, unused=unused)
        self.pool = nn.MaxPool2d(2)
        self.inner = (
            PlainHourglass(levels - 1, channels, unused=unused)
            if levels > 1
            else PreActivation(channels, channels, unused=unused)
        )
        self.upsample = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        self.up = PreActivation(channels, channels, unused=unused)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        x = self.down(x)
        return self.up(x + self.upsample(self.inner(self.pool(x))))  # type: ignore[no-any-return]


class Encoder(nn.Module):
    """A stem to 1/4 of the input and stacked hourglasses, each with predictions that the next one takes up."""

    def __init__(self, stacks: int, outputs: int, *, unused: bool) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            conv_bn_relu(3, 64, 7, stride=2, bias=True),
            _PostActivation(64, 128),
            nn.MaxPool2d(2),
            _Sum(_bottleneck(128, 128)),
            PreActivation(128, CHANNELS, unused=unused),
        )
        self.features = nn.ModuleList(
            nn.Sequential(
                PlainHourglass(LEVELS, CHANNELS, unused=unused),
                *bn_relu(CHANNELS),
                conv_bn_relu(CHANNELS, CHANNELS, 1, bias=True),
            )
            for _ in range(stacks)
        )
        self.predictions = nn.ModuleList(nn.Conv2d(CHANNELS, outputs, 1) for _ in range(stacks))
        self.merge_features = nn.ModuleList(nn.Conv2d(CHANNELS, CHANNELS, 1) for _ in range(stacks - 1))
        self.merge_predictions = nn.ModuleList(nn.Conv2d(outputs, CHANNELS, 1) for _ in range(stacks - 1))

    def forward(self, x: Tensor, refine: Callable[[Tensor], Tensor] | None = None) -> tuple[Tensor, list[Tensor]]:
        """Images -> the last stack's features (B, 256, H/4, W/4), after `refine`, and every stack's predictions."""
        x = self.stem(x)
        predictions: list[Tensor] = []
        for stack, merge in enumerate(self.merge_features):
            features = self.features[stack](x)
            predictions.append(self.predictions[stack](features))
            x = x + merge(features) + self.merge_predictions[stack](predictions[-1])
        features = self.features[-1](x)
        if refine is not None:
            features = refine(features)
        return features, [*predictions, self.predictions[-1](features)]


class PIL(nn.Module):
    """Pose hourglasses, the last of which is refined by a convolution whose kernels a parsing network computes.

    A parsing network of one hourglass sees the image too; the adapter shrinks its features to one 7x7 kernel for each
    of 256 channels (for an input of 256x256; 2 H/64 - 1 by 2 W/64 - 1 in general). With these, every image by its
    own, the last stack's features are convolved depth-wise between two 1x1 convolutions and added to themselves.
    `spec.joints` counts the heatmaps: the release has 17, of 16 joints and of the background. Training has the mean
    squared error of every stack's heatmaps and 0.01 of the parsing's negative log likelihood.

    The structure is that of the authors' release (NieXC/pytorch-pil, nets/hourglass_based_network.py), which is for
    the LIP data; MPII has no parsing, and what the authors used there is not known. As in the release, evaluation
    gives the parsing as well, and its cost counts it. The release gives every residual a skip of batch norm, ReLU and
    1x1 convolution, and leaves those in the hourglasses unused: 5,349,888 of its 26,424,988 parameters, without which
    it would be far from the published 26 million. `spec.unused_shortcuts` has them here too; no gradient reaches them.
    The release initialises as He et al., by code that could not be read; chosen here is the normal distribution of
    variance 2 / fan in, with biases of 0.
    """

    def __init__(self, spec: PILSpec) -> None:
        super().__init__()
        self.pose = Encoder(spec.stacks, spec.joints, unused=spec.unused_shortcuts)
        self.parsing = Encoder(1, spec.classes, unused=spec.unused_shortcuts)
        self.adapter = nn.Sequential(
            nn.Conv2d(CHANNELS, CHANNELS, 3, stride=2),
            nn.MaxPool2d(2),
            nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1),
            nn.MaxPool2d(2),
            nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1),
        )
        self.before = nn.Conv2d(CHANNELS, CHANNELS, 1)
        self.after = conv_bn_relu(CHANNELS, CHANNELS, 1, bias=True)
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and not module.weight.is_meta:  # where drawing takes seconds, for nothing
                nn.init.kaiming_normal_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Answer:
        """Images (B, 3, H, W) -> heatmaps, the last stack's or in training mode all stacks', and the parsing."""
        features, (classes,) = self.parsing(x)
        kernels = self.adapter(features)

        def refine(y: Tensor) -> Tensor:
            return y + self.after(dynamic_conv(self.before(y), kernels))  # type: ignore[no-any-return]

        _, heatmaps = self.pose(x, refine)
        classes = F.interpolate(classes, scale_factor=4, mode="bilinear", align_corners=True)
        return Answer(heatmaps if self.training else heatmaps[-1], F.log_softmax(classes, dim=1))


def dynamic_conv(x: Tensor, kernels: Tensor) -> Tensor:
    """Convolves each channel of each sample with its own kernel, of odd sides: (B, C, H, W), (B, C, k, l) -> as x."""
    height, width = kernels.shape[2:]
    groups = x.shape[0] * x.shape[1]
    y = F.conv2d(
        x.reshape(1, groups, *x.shape[2:]),
        kernels.reshape(groups, 1, height, width),
        padding=(height // 2, width // 2),
        groups=groups,
    )
    return y.reshape(x.shape)


class _Sum(nn.Module):
    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)  # type: ignore[no-any-return]


class _PostActivation(nn.Module):
    """The stem's first residual: both ways end in batch norm, and a ReLU follows the sum."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*_bottleneck(in_channels, out_channels), nn.BatchNorm2d(out_channels))
        self.skip = nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.body(x) + self.skip(x))  # type: ignore[no-any-return]


def _bottleneck(in_channels: int, out_channels: int) -> nn.Sequential:
    width = out_channels // 2
    return nn.Sequential(
        *conv_bn_relu(in_channels, width, 1),
        *conv_bn_relu(width, width, 3),
        nn.Conv2d(width, out_channels, 1, bias=False),
    )


def _activated_conv(in_channels: int, out_channels: int, kernel: int) -> tuple[nn.Module, ...]:
    return *bn_relu(in_channels), nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, bias=False)
