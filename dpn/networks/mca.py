"""MCA, multi-context attention on stacked hourglasses (Chu et al., CVPR 2017)."""

import torch
from torch import Tensor, nn

from dpn.networks.blocks import conv_bn_relu
from dpn.networks.hourglass import LEVELS, Hourglass, Place, Residual
from dpn.spec import MCASpec

CHANNELS = 256
ITERATIONS = 3
"""Of the attention's mean field, all with one convolution."""


class ResidualPool(Residual):
    """The hourglass residual unit: a residual with a third branch, at half the resolution, that sees twice as far.

    The branch is batch norm, ReLU, max pooling, 3x3 convolution, batch norm, ReLU, 3x3 convolution and doubling by
    repetition; all three are summed. Keeps the shape of (B, channels, H, W), H and W even.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels)
        self.pooled = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.Upsample(scale_factor=2, mode="nearest"),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) -> (B, channels, H, W)."""
        return super().forward(x) + self.pooled(x)  # type: ignore[no-any-return]


class Attention(nn.Module):
    """Weighs every position of a map by one attention map, which a conditional random field makes smooth.

    A 3x3 convolution gives the evidence u; the attention is q_3 of q_t = sigmoid(conv(q_(t-1)) + u), from q_0 = u, with
    one and the same convolution each time.
    """

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.evidence = nn.Conv2d(channels, 1, 3, padding=1)
        self.neighbours = nn.Conv2d(1, 1, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        evidence: Tensor = self.evidence(x)
        attention = evidence
        for _ in range(ITERATIONS):
            attention = torch.sigmoid(self.neighbours(attention) + evidence)
        return x * attention


class HolisticHead(nn.Module):
    """One attention for the whole body, then the heatmaps: (B, C, H, W) -> (B, J, H, W)."""

    def __init__(self, channels: int, joints: int, kernel: int) -> None:
        super().__init__()
        self.whole = Attention(channels, kernel)
        self.heatmaps = nn.Conv2d(channels, joints, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, J, H, W)."""
        return self.heatmaps(self.whole(x))  # type: ignore[no-any-return]


class PartHead(nn.Module):
    """One attention for the whole body, then for each joint one of its own and its heatmap."""

    def __init__(self, channels: int, joints: int, kernel: int) -> None:
        super().__init__()
        self.whole = Attention(channels, kernel)
        self.parts = nn.ModuleList(
            nn.Sequential(Attention(channels, kernel), nn.Conv2d(channels, 1, 1)) for _ in range(joints)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, J, H, W)."""
        x = self.whole(x)
        return torch.cat([part(x) for part in self.parts], dim=1)


class MCA(nn.Module):
    """A stem that starts at the image's resolution, then stacked hourglasses whose heatmaps see through attention.

    On the way beside a halving, an hourglass has residuals with a pooled branch: two at its input's resolution, one at
    the next, none below. The first half of the stacks attends to the whole body, the second half to each part too. The
    last stack's features have twice the channels. Every stack is supervised, with the mean squared error; the heatmaps
    of the last are the network's answer.

    Transcribed from the released Torch code (bearpaw/pose-attention, train/models/hg-attention.lua), whose training
    script gives `attention_kernel` 11. Names are this project's; residuals and recursion are the hourglass's. Weights
    start as PyTorch's do: convolutions as Torch's, uniform within 1 / sqrt(fan in); batch norm at 1 and 0, where Torch
    draws scales from 0 to 1. The released code has eight stacks; with others, the second half of an odd number is the
    larger.
    """

    def __init__(self, spec: MCASpec) -> None:
        super().__init__()
        stacks = range(spec.stacks)
        widths = [2 * CHANNELS if stack == stacks[-1] else CHANNELS for stack in stacks]
        self.stem = _stem()
        self.hourglasses = nn.ModuleList(Hourglass(LEVELS, _block) for _ in stacks)
        self.features = nn.ModuleList(conv_bn_relu(CHANNELS, width, 1, bias=True) for width in widths)
        self.attended = nn.ModuleList(conv_bn_relu(width, width, 1, bias=True) for width in widths)
        self.heads = nn.ModuleList(
            (PartHead if stack >= spec.stacks // 2 else HolisticHead)(width, spec.joints, spec.attention_kernel)
            for stack, width in enumerate(widths)
        )
        self.merge_features = nn.ModuleList(conv_bn_relu(CHANNELS, CHANNELS, 1, bias=True) for _ in stacks[1:])
        self.merge_heatmaps = nn.ModuleList(nn.Conv2d(spec.joints, CHANNELS, 1) for _ in stacks[1:])

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        """Images (B, 3, H, W) -> the last stack's heatmaps (B, J, H/4, W/4); in training mode a list, all stacks'."""
        x = self.stem(x)
        heatmaps: list[Tensor] = []
        for stack, hourglass in enumerate(self.hourglasses):
            features = self.features[stack](hourglass(x))
            heatmaps.append(self.heads[stack](self.attended[stack](features)))
            if stack < len(self.merge_features):
                x = x + self.merge_heatmaps[stack](heatmaps[-1]) + self.merge_features[stack](features)
        return heatmaps if self.training else heatmaps[-1]


def _stem() -> nn.Sequential:
    """Images (B, 3, H, W) -> (B, 256, H/4, W/4), with two halvings between residuals and none before."""
    return nn.Sequential(
        nn.Conv2d(3, 64, 7, padding=3),
        nn.BatchNorm2d(64),
        nn.ReLU(inplace=True),
        Residual(64, 64),
        nn.MaxPool2d(2),
        Residual(64, 64),
        Residual(64, 128),
        nn.MaxPool2d(2),
        Residual(128, 128),
        Residual(128, 128),
        Residual(128, CHANNELS),
    )


def _block(place: Place, level: int) -> nn.Module:
    """A residual; beside the halving of the two finest levels, it is followed by one or two with a pooled branch."""
    if place != "up1":
        return Residual(CHANNELS, CHANNELS)
    return nn.Sequential(Residual(CHANNELS, CHANNELS), *(ResidualPool(CHANNELS) for _ in range(level - 2)))
