"""Dilation Pyramid Modules behind an HRNet: the DPN2_hrnet of Table VI.

The paper names this network and prints its costs, 29.5 M parameters and 7.8 "GFLOPs", but not how the two are joined.
The choices here print both numbers (29.459 M, 7.78 Gi multiply-adds): the modules read HRNet's finest map after a
1x1 convolution of stride 2, the transition that DPNn_32 has, and before the head stands the 1x1 convolution of the
`costed` reading, without which the parameters print 29.4. A 3x3 transition would print the same.
"""

from torch import Tensor, nn

from dpn.networks.blocks import conv_bn_relu, init_from_scratch
from dpn.networks.dpn import pyramid_modules
from dpn.networks.hrnet import HRNetBackbone
from dpn.spec import DPNOnHRNetSpec


class DPNOnHRNet(nn.Module):
    """HRNet without its head, a transition to 1/8 of the image, n Dilation Pyramid Modules and the DPN's head."""

    def __init__(self, spec: DPNOnHRNetSpec) -> None:
        super().__init__()
        channels = 4 * spec.width
        self.backbone = HRNetBackbone(spec.backbone)
        self.transition = conv_bn_relu(spec.backbone.width, channels, 1, stride=2)
        self.dpm = pyramid_modules(spec.modules, spec.width, spec.dilations)
        self.fuse = conv_bn_relu(channels, channels, 1)
        self.upsample = nn.Upsample(scale_factor=2, mode="bilinear")
        self.heatmap = nn.Conv2d(channels, spec.joints, 1)
        init_from_scratch(self)

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) -> heatmaps (B, J, H/4, W/4)."""
        x = self.dpm(self.transition(self.backbone(images)))
        return self.heatmap(self.upsample(self.fuse(x)))  # type: ignore[no-any-return]
