"""DeeperCut for one person: a dilated ResNet-101 with part scores and offsets (Insafutdinov et al., ECCV 2016)."""

from typing import NamedTuple

from torch import Tensor, nn

from dpn.networks.resnet import ResNet
from dpn.spec import DeeperCutSpec

INTERMEDIATE_UNIT = 12
"""Of the third stage's bottlenecks, counted from one: the one whose map is supervised too."""


class PartMaps(NamedTuple):
    """What DeeperCut gives, for images (B, 3, H, W); h, w are H/8, W/8 in both its variants.

    Attributes:
        scores: (B, J, h, w), logits of a part being near, trained with sigmoid cross-entropy.
        offsets: (B, 2J, h, w), x and y to part j in channels 2j and 2j + 1, in units of 7.2801 pixels of the image, the
            standard deviation that the authors divide by; trained with Huber's loss, weight 0.05, near the parts.
        intermediate_scores: as `scores` and with the same loss, from the middle of the third stage; only of the
            network with transposed heads, else None.
    """

    scores: Tensor
    offsets: Tensor
    intermediate_scores: Tensor | None


class DeeperCut(nn.Module):
    """ResNet-101 that keeps the resolution of its last stages, and a head each for part scores and offsets.

    With `spec.output_stride` 8, the third stage is dilated by 2 and the fourth by 4, and heads are 1x1 convolutions:
    the network whose size and cost HRNet's paper prints, as far as these determine it. With stride 16 and
    `spec.transposed_heads` it is the released one (eldar/pose-tensorflow, nnet/pose_net.py): the fourth stage dilated
    by 2, heads that double the resolution, and a third head in the middle of the third stage. Only training needs that
    one; it runs in evaluation too, so that a count of this network is of all of it.

    In both, strides are on the first 1x1 convolution of a stage, as in caffe's ResNet, and as the printed cost asks
    for. There the released variant differs from its source, whose ResNet (TensorFlow's slim) strides one unit earlier,
    on the 3x3 convolution of a stage's last unit, with the same parameters and 2.5 % fewer multiply-adds.

    Chosen where the sources are silent or leave it open: no pairwise head; batch norm trains, where the authors freeze
    it. A transposed head drops the last row and column that its 3x3 kernels reach, as TensorFlow does to double the
    size. Weights start normal with variance 2 / fan in, the heads' uniform as Glorot's, their biases 0; ImageNet
    weights are loaded over `resnet`.
    """

    def __init__(self, spec: DeeperCutSpec) -> None:
        super().__init__()
        head = _Doubling if spec.transposed_heads else _head
        self.resnet = ResNet(101, stride_in_1x1=True, output_stride=spec.output_stride)
        self.scores = head(2048, spec.joints)
        self.offsets = head(2048, 2 * spec.joints)
        self.intermediate_scores = head(1024, spec.joints) if spec.transposed_heads else None
        _initialise(self)

    def forward(self, x: Tensor) -> PartMaps:
        """Images (B, 3, H, W) -> scores (B, J, H/8, W/8) and offsets (B, 2J, H/8, W/8), see `PartMaps`."""
        x = self.resnet.layer2(self.resnet.layer1(self.resnet.stem(x)))
        middle = self.resnet.layer3[:INTERMEDIATE_UNIT](x)
        x = self.resnet.layer4(self.resnet.layer3[INTERMEDIATE_UNIT:](middle))
        intermediate = None if self.intermediate_scores is None else self.intermediate_scores(middle)
        return PartMaps(self.scores(x), self.offsets(x), intermediate)


class _Doubling(nn.ConvTranspose2d):
    """A 3x3 transposed convolution of stride 2, (B, in_channels, H, W) -> (B, out_channels, 2H, 2W)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, 2)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        return super().forward(x, output_size)[..., :-1, :-1]


def _head(in_channels: int, out_channels: int) -> nn.Module:
    return nn.Conv2d(in_channels, out_channels, 1)


def _initialise(net: DeeperCut) -> None:
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and not module.weight.is_meta:  # there, it takes seconds
            if module.bias is None:  # the backbone's
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            else:
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
