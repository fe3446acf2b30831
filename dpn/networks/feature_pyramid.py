"""A ResNet-50 with a feature pyramid, its batch norm frozen or not: the backbone of Mask R-CNN.

Lin et al., CVPR 2017. Layers, initialisation and parameter names are those of torchvision.
"""

from collections.abc import MutableMapping, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dpn.networks.blocks import HE_NORMAL, init_convolutions
from dpn.networks.resnet import ResNet

CHANNELS = 256
STRIDES = (4, 8, 16, 32)
"""Pixels of the image to a cell of P2 to P5."""


class FrozenBatchNorm2d(nn.Module):
    """Batch norm whose four tensors are constants: buffers, without a count of batches.

    A state dict of ordinary batch norm loads too, its count of batches is left out.
    """

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, eps: float = 0.0) -> None:
        super().__init__()
        self.eps = eps
        for name, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
            self.register_buffer(name, torch.full((channels,), value))
        self.register_load_state_dict_pre_hook(_leave_out_count)  # type: ignore[no-untyped-call]

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) -> the same shape."""
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


class PyramidBackbone(nn.Module):
    """A ResNet-50 (`body`) and a feature pyramid on its four stages (`fpn`), trained as a whole (see `MaskRCNN`)."""

    def __init__(self, *, frozen: bool) -> None:
        super().__init__()
        self.body = ResNet(50, norm=FrozenBatchNorm2d if frozen else nn.BatchNorm2d)
        self.fpn = FeaturePyramid((256, 512, 1024, 2048))
        init_convolutions(self.body, HE_NORMAL)

    def forward(self, images: Tensor) -> list[Tensor]:
        """(B, 3, H, W) -> P2 to P6, each (B, 256, H/s, W/s) with s = 4, 8, 16, 32 and 64, P6 rounded up."""
        return self.fpn(self.body.stages(images))  # type: ignore[no-any-return]


class FeaturePyramid(nn.Module):
    """A 1x1 convolution of each stage, coarser levels added to finer ones, a 3x3 convolution of each sum."""

    def __init__(self, stage_channels: Sequence[int]) -> None:
        super().__init__()
        width = CHANNELS
        self.inner_blocks = nn.ModuleList(nn.Sequential(nn.Conv2d(c, width, 1)) for c in stage_channels)
        self.layer_blocks = nn.ModuleList(nn.Sequential(nn.Conv2d(width, width, 3, padding=1)) for _ in stage_channels)
        init_convolutions(self, partial(nn.init.kaiming_uniform_, a=1))

    def forward(self, stages: Sequence[Tensor]) -> list[Tensor]:
        """C2 to C5 -> P2 to P5, and P6, which is every other cell of P5."""
        merged = [inner(stage) for inner, stage in zip(self.inner_blocks, stages, strict=True)]
        for finer in reversed(range(len(merged) - 1)):
            coarse = F.interpolate(merged[finer + 1], size=merged[finer].shape[2:], mode="nearest")
            merged[finer] = merged[finer] + coarse
        levels = [layer(level) for layer, level in zip(self.layer_blocks, merged, strict=True)]
        return [*levels, F.max_pool2d(levels[-1], 1, stride=2)]


def _leave_out_count(_norm: nn.Module, state: MutableMapping[str, Tensor], prefix: str, *_: object) -> None:
    state.pop(prefix + "num_batches_tracked", None)
