"""Which ImageNet files initialise which networks, and where the files' parts stand in them."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from dpn.networks.cpn import CPN
from dpn.networks.dpn import DPN
from dpn.networks.dpn_on_hrnet import DPNOnHRNet
from dpn.networks.hrnet import HRNet
from dpn.networks.mask_rcnn import MaskRCNN
from dpn.networks.simple_baseline import SimpleBaseline


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """The part of a network that a file of weights for ImageNet has.

    Attributes:
        source: files that fit, for people.
        parts: beginnings of names, in the file -> in the network. A part that a network does not have is left out.
        unused: beginnings of names in the file that belong to these parts, and to classification alone.
    """

    source: str
    parts: Mapping[str, str]
    unused: tuple[str, ...] = ()


def _kept(*parts: str, inside: str = "") -> dict[str, str]:
    return {f"{part}.": f"{inside}{part}." for part in parts}


_RESNET = ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4")
_HRNET = (
    *("conv1", "bn1", "conv2", "bn2", "layer1"),
    *("transition1", "stage2", "transition2", "stage3", "transition3", "stage4"),
)
_HRNET_SOURCE = "the authors' ImageNet file of this width, such as hrnet_w32-36af842e.pth, or a released pose file"
_CLASSIFIER_FUSIONS = tuple(f"stage4.2.fuse_layers.{i}." for i in (1, 2, 3))
"""A classifier reads all resolutions of the last module, a pose network the finest alone."""

_RESNET50_SOURCE = "torchvision's ResNet-50, resnet50-19c8e357.pth"

BACKBONES: Mapping[type[nn.Module], Backbone] = {
    DPN: Backbone(
        source=_RESNET50_SOURCE,  # Table I: its stem and first two stages
        parts={"conv1.": "conv0.0.", "bn1.": "conv0.1.", "layer1.": "conv1.", "layer2.": "conv2.blocks."},
    ),
    DPNOnHRNet: Backbone(source=_HRNET_SOURCE, parts=_kept(*_HRNET, inside="backbone."), unused=_CLASSIFIER_FUSIONS),
    HRNet: Backbone(source=_HRNET_SOURCE, parts=_kept(*_HRNET), unused=_CLASSIFIER_FUSIONS),
    SimpleBaseline: Backbone(
        source="torchvision's ResNet of this depth: resnet50-19c8e357.pth, resnet101-5d3b4d8f.pth, "
        "resnet152-b121ed2d.pth",
        parts=_kept(*_RESNET),
    ),
    CPN: Backbone(source=_RESNET50_SOURCE, parts=_kept(*_RESNET, inside="resnet.")),
    MaskRCNN: Backbone(source=_RESNET50_SOURCE, parts=_kept(*_RESNET, inside="backbone.body.")),
}
