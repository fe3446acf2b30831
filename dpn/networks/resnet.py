"""ResNet-50, -101 and -152 without classifier, the backbone of several networks, at any output stride.

He et al., CVPR 2016. Parameter names are torchvision's, so that its ImageNet weights load.
"""

from typing import Literal

from torch import Tensor, nn

from dpn.networks.blocks import Bottleneck, Norm, bottlenecks

Depth = Literal[50, 101, 152]
BLOCKS: dict[Depth, tuple[int, int, int, int]] = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
"""Bottlenecks in each of the four stages."""
_PACES = {
    32: ((1, 1), (2, 1), (2, 1), (2, 1)),
    16: ((1, 1), (2, 1), (2, 1), (1, 2)),
    8: ((1, 1), (2, 1), (1, 2), (1, 4)),
}
"""Stride and dilation of each stage, by output stride; the stem has stride 4."""


class ResNet(nn.Module):
    """Stem and four stages of post-activation bottlenecks with 256, 512, 1024 and 2048 channels.

    An output stride of 16 or 8 keeps the resolution where the ordinary network, of stride 32, would halve it once or
    twice more, and dilates the convolutions behind that place instead, so that at every position which both networks
    have, both compute the same. That fixes the dilation of the first block of such a stage: its 3x3 convolution stands
    before the stride that it replaces, and so keeps the previous dilation, unless the stride was on the 1x1.

    Args:
        depth: of the network, as in ResNet-50.
        stride_in_1x1: strides are on a block's first 1x1 convolution, as in the ResNets released for caffe, and not on
            its 3x3, as in torchvision's.
        output_stride: pixels of the image to one of the last map.
        norm: makes the normalisations.
    """

    def __init__(
        self,
        depth: Depth,
        *,
        stride_in_1x1: bool = False,
        output_stride: Literal[8, 16, 32] = 32,
        norm: Norm = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False)
        self.bn1 = norm(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        stages, channels, before = [], 64, 1
        for i, (count, (stride, dilation)) in enumerate(zip(BLOCKS[depth], _PACES[output_stride], strict=True)):
            stages.append(
                bottlenecks(
                    channels,
                    64 * 2**i,
                    count,
                    stride=stride,
                    dilations=(dilation if stride_in_1x1 else before, dilation),
                    stride_in_1x1=stride_in_1x1,
                    norm=norm,
                )
            )
            channels, before = Bottleneck.expansion * 64 * 2**i, dilation
        self.layer1, self.layer2, self.layer3, self.layer4 = stages

    def stem(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) -> (B, 64, H/4, W/4), what the first stage takes."""
        return self.maxpool(self.relu(self.bn1(self.conv1(images))))  # type: ignore[no-any-return]

    def stages(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Images (B, 3, H, W) -> C2 .. C5: (B, 256, H/4, W/4), (B, 512, H/8, W/8), (B, 1024, ..), (B, 2048, ..).

        The last two are at 1/16 and 1/32, but never below 1 / output stride.
        """
        c2 = self.layer1(self.stem(images))
        c3 = self.layer2(c2)
        c4 = self.layer3(c3)
        c5 = self.layer4(c4)
        return c2, c3, c4, c5

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) -> the last map, (B, 2048, H / output stride, W / output stride)."""
        return self.stages(images)[-1]
