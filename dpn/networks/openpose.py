"""OpenPose's body network: VGG-19's first layers, then six stages that refine part affinity fields and heatmaps."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

import torch
from torch import Tensor, nn

from dpn.spec import OpenPoseSpec

STAGES = 6
FEATURES = 128
"""Channels of the front end's maps, and of the convolutions in a branch."""

_VGG_19 = ((64, 2), (128, 2), (256, 4), (512, 2))
"""Channels and number of its 3x3 convolutions, conv1_1 to conv4_2; there is a pooling after each but the last group."""

Stage = tuple[Tensor, Tensor]
"""What a stage gives: part affinity fields (B, 2 * limbs, H/8, W/8) and heatmaps (B, joints + 1, H/8, W/8)."""


class OpenPose(nn.Module):
    """Cao et al., CVPR 2017, the network for COCO's parts (`dpn.skeletons.COCO_18`), with Caffe's names of its layers.

    `model0` is the front end, `model{t}_1` gives stage t's fields and `model{t}_2` its heatmaps, the last of which is
    the background's. From the second stage on, a branch sees the fields, the heatmaps and the front end's features, in
    this order. Released weights take BGR images with values from -0.5 to 0.5 (of a byte v: v / 256 - 0.5), and load
    under their Caffe names too, which the released files bear.

    The structure and the names are those of the authors' Caffe network and its port to PyTorch
    (Hzzone/pytorch-openpose). That port has a slip: its list of layers without a ReLU has Mconv7_stage6_L1 twice and
    not Mconv7_stage6_L2, so that it cuts off what the last heatmaps have below zero. Here, as in the authors' network,
    no branch ends in a ReLU.
    """

    def __init__(self, spec: OpenPoseSpec) -> None:
        super().__init__()
        outputs = 2 * spec.limbs, spec.joints + 1
        self.model0 = _front_end()
        for stage in range(1, STAGES + 1):
            for branch, channels in enumerate(outputs, start=1):
                layers = _first(branch, channels) if stage == 1 else _refining(stage, branch, channels, sum(outputs))
                self.add_module(f"model{stage}_{branch}", layers)
        self.register_load_state_dict_pre_hook(_take_caffe_names)  # type: ignore[no-untyped-call]  # torch leaves it untyped

    def forward(self, x: Tensor) -> Stage | tuple[Stage, ...]:
        """Images (B, 3, H, W), H and W multiples of 8, -> the last stage in evaluation, all six in training."""
        features = self.model0(x)
        stages: list[Stage] = []
        seen = features
        for stage in range(1, STAGES + 1):
            fields = self.get_submodule(f"model{stage}_1")(seen)
            heatmaps = self.get_submodule(f"model{stage}_2")(seen)
            stages.append((fields, heatmaps))
            seen = torch.cat((fields, heatmaps, features), dim=1)
        return tuple(stages) if self.training else stages[-1]


def with_module_names(weights: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Weights under Caffe's names, `conv1_1.weight`, as they are called in an `OpenPose`, `model0.conv1_1.weight`.

    Args:
        weights: by name; a name that is no layer's is kept, and so are names that have their module already.
        names: what the network's state dict holds.
    """
    full = {name.partition(".")[2]: name for name in names}
    return {full.get(name, name): value for name, value in weights.items()}


def _take_caffe_names(net: nn.Module, weights: MutableMapping[str, Any], prefix: str, *_: Any) -> None:
    """Renames what is about to be loaded; where the network is a part of another, the names have that part's prefix."""
    own = {name: weights.pop(name) for name in list(weights) if name.startswith(prefix)}
    bare = {name.removeprefix(prefix): value for name, value in own.items()}
    weights.update({prefix + name: value for name, value in with_module_names(bare, net.state_dict()).items()})


class _Convolution(nn.Conv2d):
    """Initialised as the authors' Caffe layers; VGG-19's ImageNet weights, where there are any, go over that."""

    def reset_parameters(self) -> None:
        """Weights N(0, 0.01), biases 0."""
        if not self.weight.is_meta:  # where there is nothing to draw, and trying would import torch's compiler
            nn.init.normal_(self.weight, std=0.01)
            if self.bias is not None:
                nn.init.zeros_(self.bias)


def _front_end() -> nn.Sequential:
    """Conv1_1 to conv4_2 of VGG-19, then two convolutions down to 128 channels: (B, 3, H, W) -> (B, 128, H/8, W/8)."""
    layers = OrderedDict[str, nn.Module]()
    channels = 3
    for group, (width, count) in enumerate(_VGG_19, start=1):
        if group > 1:
            layers[f"pool{group - 1}_stage1"] = nn.MaxPool2d(2)
        for n in range(1, count + 1):
            _add(layers, f"conv{group}_{n}", channels, width, 3)
            channels = width
    _add(layers, "conv4_3_CPM", channels, 256, 3)
    _add(layers, "conv4_4_CPM", 256, FEATURES, 3)
    return nn.Sequential(layers)


def _first(branch: int, outputs: int) -> nn.Sequential:
    """A branch of the first stage: (B, 128, h, w) -> (B, outputs, h, w)."""
    layers = OrderedDict[str, nn.Module]()
    for n in range(1, 4):
        _add(layers, f"conv5_{n}_CPM_L{branch}", FEATURES, FEATURES, 3)
    _add(layers, f"conv5_4_CPM_L{branch}", FEATURES, 512, 1)
    layers[f"conv5_5_CPM_L{branch}"] = _Convolution(512, outputs, 1)
    return nn.Sequential(layers)


def _refining(stage: int, branch: int, outputs: int, both: int) -> nn.Sequential:
    """A branch of a later stage: (B, both branches' outputs + 128, h, w) -> (B, outputs, h, w)."""
    layers = OrderedDict[str, nn.Module]()
    channels = both + FEATURES
    for n in range(1, 7):
        _add(layers, f"Mconv{n}_stage{stage}_L{branch}", channels, FEATURES, 7 if n < 6 else 1)
        channels = FEATURES
    layers[f"Mconv7_stage{stage}_L{branch}"] = _Convolution(FEATURES, outputs, 1)
    return nn.Sequential(layers)


def _add(layers: OrderedDict[str, nn.Module], name: str, in_channels: int, out_channels: int, kernel: int) -> None:
    """Appends a convolution of stride 1 that keeps the map's size, and its ReLU."""
    layers[name] = _Convolution(in_channels, out_channels, kernel, padding=kernel // 2)
    layers[f"relu_{name}"] = nn.ReLU(inplace=True)
