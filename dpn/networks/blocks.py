"""Building blocks that several network families share."""

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

Norm = Callable[[int], nn.Module]
"""Makes a normalisation of so many channels, such as nn.BatchNorm2d."""

HE_NORMAL = partial(nn.init.kaiming_normal_, mode="fan_out", nonlinearity="relu")


def bn_relu(channels: int) -> tuple[nn.Module, nn.Module]:
    """Batch norm and ReLU, as they come before a convolution; (B, channels, H, W) stays so."""
    return nn.BatchNorm2d(channels), nn.ReLU(inplace=True)


def conv_bn_relu(
    in_channels: int, out_channels: int, kernel: int, stride: int = 1, *, bias: bool = False
) -> nn.Sequential:
    """A convolution that keeps the map's size up to the stride, batch norm and ReLU.

    Takes (B, in_channels, H, W), returns (B, out_channels, ceil(H / stride), ceil(W / stride)); `kernel` is odd.
    """
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2, bias=bias),
        *bn_relu(out_channels),
    )


class Bottleneck(nn.Module):
    """ResNet's post-activation bottleneck, 1x1 -> 3x3 -> 1x1, with the stride and the dilation on the 3x3 convolution.

    With `stride_in_1x1` the stride is on the first 1x1 convolution, as in the first released (caffe) ResNets. The
    shortcut is the identity where shapes allow it, else a 1x1 convolution with batch norm. Parameter names are
    torchvision's, so that an ImageNet ResNet loads. He et al., CVPR 2016; Table I of the paper.
    """

    expansion = 4

    def __init__(
        self,
        in_channels: int,
        width: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        stride_in_1x1: bool = False,
        norm: Norm = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        out_channels = self.expansion * width
        on_1x1, on_3x3 = (stride, 1) if stride_in_1x1 else (1, stride)
        self.conv1 = nn.Conv2d(in_channels, width, 1, on_1x1, bias=False)
        self.bn1 = norm(width)
        self.conv2 = nn.Conv2d(width, width, 3, on_3x3, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = norm(width)
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.bn3 = norm(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module | None = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), norm(out_channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, 4 * width, H / stride, W / stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        return self.relu(self.bn3(self.conv3(y)) + shortcut)  # type: ignore[no-any-return]


def bottlenecks(
    in_channels: int,
    width: int,
    count: int,
    *,
    stride: int = 1,
    dilations: tuple[int, int] = (1, 1),
    stride_in_1x1: bool = False,
    norm: Norm = nn.BatchNorm2d,
) -> nn.Sequential:
    """A ResNet stage: `count` bottlenecks, the first of which takes the stride and the change of channels.

    `dilations` are the first block's and all others'.
    """
    inside, (first, others) = Bottleneck.expansion * width, dilations
    return nn.Sequential(
        Bottleneck(in_channels, width, stride=stride, dilation=first, stride_in_1x1=stride_in_1x1, norm=norm),
        *(Bottleneck(inside, width, dilation=others, norm=norm) for _ in range(count - 1)),
    )


def init_from_scratch(net: nn.Module) -> None:
    """The recipe's initialisation: weights of convolutions N(0, 0.001), their biases 0; batch norm has its 1 and 0.

    As in the published SimpleBaseline and HRNet code, whose recipe the paper follows; ImageNet weights, where there
    are any, are loaded over it.
    """
    init_convolutions(net, partial(nn.init.normal_, std=0.001))


def init_convolutions(net: nn.Module, draw: Callable[[Tensor], Tensor]) -> None:
    """Draws the weights of all convolutions in a network and sets their biases to 0."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            if module.weight.is_meta:  # has no values, and torch would load its compiler, for seconds, to draw none
                continue
            draw(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
