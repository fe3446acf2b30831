"""The Dilation Pyramid Network (Table I, Eq. 5), in every variant of the paper's tables."""

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn

from dpn.networks.blocks import Bottleneck, bottlenecks, conv_bn_relu, init_from_scratch
from dpn.spec import DPNLiteSpec, DPNSpec


class DilationPyramidModule(nn.Sequential):
    """Consecutive bottlenecks with identity shortcuts, one for each dilation, input to output (Eq. 5).

    Takes and returns (B, 4 * width, H, W).
    """

    def __init__(self, width: int, dilations: Sequence[int]) -> None:
        super().__init__(*(Bottleneck(4 * width, width, dilation=d) for d in dilations))


def pyramid_modules(count: int, width: int, dilations: Sequence[int]) -> nn.Sequential:
    """`count` Dilation Pyramid Modules one after another, named from 1 as in Table I."""
    return nn.Sequential(OrderedDict((str(n), DilationPyramidModule(width, dilations)) for n in range(1, count + 1)))


class _Pyramid(nn.Module):
    """What follows the stem in every DPN: the modules, `fuse`, the upsampling and the heatmaps."""

    dpm: nn.Sequential
    fuse: nn.Module
    upsample: nn.Module
    heatmap: nn.Conv2d

    def _add_modules_and_head(self, spec: DPNSpec) -> None:
        costed = spec.reading == "costed"
        upsample = costed or spec.conv2_stride == 2
        self.dpm = pyramid_modules(spec.modules, spec.width, spec.dilations)
        self.fuse = conv_bn_relu(spec.channels, spec.channels, 1) if costed else nn.Identity()
        self.upsample = nn.Upsample(scale_factor=2, mode="bilinear") if upsample else nn.Identity()
        self.heatmap = nn.Conv2d(spec.channels, spec.joints, 1)

    def _heatmaps(self, x: Tensor) -> Tensor:
        return self.heatmap(self.upsample(self.fuse(self.dpm(x))))  # type: ignore[no-any-return]


class DPN(_Pyramid):
    """Stem, ResNet-50's first stages, n Dilation Pyramid Modules and a heatmap head; attributes bear Table I's names.

    Table I leaves three things open, and the choices here are these. The `costed` reading has a 1x1 convolution with
    batch norm and ReLU after the last module (`fuse`), and keeps the head's upsampling when the modules already run
    at 1/4 of the input; the published costs imply both and the text states neither. The `printed` reading has neither.
    The upsampling is bilinear in all of them: it has no multiply-adds, so the costs cannot tell.
    """

    def __init__(self, spec: DPNSpec) -> None:
        super().__init__()
        self.conv0 = conv_bn_relu(3, 64, 7, stride=2)
        self.pooling = nn.MaxPool2d(3, stride=2, padding=1)
        self.conv1 = bottlenecks(64, 64, 3)
        self.conv2 = _conv2(spec)
        self._add_modules_and_head(spec)
        init_from_scratch(self)

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, 3, H, W) -> heatmaps (B, J, H/4, W/4), or H/2 and W/2 for the `costed` high resolution."""
        return self._heatmaps(self.conv2(self.conv1(self.pooling(self.conv0(x)))))


class DPNLite(_Pyramid):
    """Dilation Pyramid Modules and their head behind two convolutions, of stride 4 and then `conv2_stride`."""

    def __init__(self, spec: DPNLiteSpec) -> None:
        super().__init__()
        self.conv0 = conv_bn_relu(3, spec.stem_channels, 7, stride=4)
        self.conv2 = conv_bn_relu(spec.stem_channels, spec.channels, 3, stride=int(spec.conv2_stride))
        self._add_modules_and_head(spec)
        init_from_scratch(self)

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, 3, H, W) -> heatmaps (B, J, H/4, W/4), or H/2 and W/2 for the `costed` high resolution."""
        return self._heatmaps(self.conv2(self.conv0(x)))


def _conv2(spec: DPNSpec) -> nn.Sequential:
    """Table I's conv2: ResNet-50's second stage and a 1x1 convolution for width 64, the latter alone for width 32."""
    stages = OrderedDict[str, nn.Module]()
    channels, stride = 256, int(spec.conv2_stride)
    if spec.conv2_blocks:
        stages["blocks"] = bottlenecks(channels, 128, spec.conv2_blocks, stride=stride)
        channels, stride = 512, 1
    stages["transition"] = conv_bn_relu(channels, spec.channels, 1, stride=stride)
    return nn.Sequential(stages)
