"""SimpleBaseline, SBL: a ResNet, three transposed convolutions, heatmaps.

Xiao et al., ECCV 2018. Parameter names are those of the authors' release (microsoft/human-pose-estimation.pytorch), so
that its files load unchanged; without `deconv_layers` and `final_layer` they are torchvision's.
"""

from torch import Tensor, nn

from dpn.networks.blocks import init_from_scratch
from dpn.networks.resnet import ResNet
from dpn.spec import SimpleBaselineSpec


class SimpleBaseline(ResNet):
    """A ResNet whose last map is doubled in size three times, each time by a 4x4 transposed convolution."""

    def __init__(self, spec: SimpleBaselineSpec) -> None:
        super().__init__(spec.depth)
        layers: list[nn.Module] = []
        for in_channels in (2048, 256, 256):
            layers += [
                nn.ConvTranspose2d(in_channels, 256, 4, 2, padding=1, bias=False),
                nn.BatchNorm2d(256),
                nn.ReLU(inplace=True),
            ]
        self.deconv_layers = nn.Sequential(*layers)
        self.final_layer = nn.Conv2d(256, spec.joints, 1)
        init_from_scratch(self)

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) -> heatmaps (B, J, H/4, W/4)."""
        return self.final_layer(self.deconv_layers(super().forward(images)))  # type: ignore[no-any-return]
