"""Recipes of the networks that DPN is compared with, as their authors published them but for HRNet's epochs on MPII.

Imports no torch.

Both begin with ImageNet weights, which are not part of this project: give their file with `--backbone`. Without it a
recipe trains from scratch, which is another one than the published. Batch norm is over 32 people a process: 128 on one
GPU, `--devices 1`, is another recipe as well.
"""

from dataclasses import replace

from dpn.spec import HRNetSpec, SimpleBaselineSpec
from dpn.training.recipe import Recipe, as_published

LARGE = 384
"""Height of the larger of the two published inputs, in pixels."""


def simple_baseline(spec: SimpleBaselineSpec) -> Recipe:
    """SimpleBaseline, on COCO and on MPII's train split: 140 epochs, drops at 90 and 120, its own augmentation.

    It sees BGR images as if they were RGB, as its released weights do.
    Expected on val2017 with its detected boxes: AP 70.4, 71.4 and 72.0 with ResNet-50, 101 and 152; 72.2, 73.6 and 74.3
    at 384x288. Expected on MPII's validation: mean PCKh@0.5 88.5, 89.1 and 89.6.
    Its authors validate without the mirrored image while training; here it is averaged in then as well.
    Its authors print no time. An epoch of COCO is 1,170 steps of 128 (the authors' 1,171 count a last, smaller batch);
    with ResNet-50, 140 epochs are under half of the multiply-adds of HRNet-W32's 210, which took 50 to 60 hours on four
    P100.

    Needs --backbone: resnet50-19c8e357.pth, resnet101-5d3b4d8f.pth or resnet152-b121ed2d.pth.
    Command: python -m dpn train coco/sbl_r50 --data /path/to/coco --devices 4 --backbone resnet50-19c8e357.pth
    """
    return _rival(spec, "sbl")


def hrnet(spec: HRNetSpec) -> Recipe:
    """HRNet, on COCO: 210 epochs, drops at 170 and 200, its own augmentation; on MPII's train split 140, 90 and 120.

    W48 at 384x288 takes 24 people a process, 96 in all.
    Expected on val2017 with SimpleBaseline's boxes: AP 74.4 for W32 and 75.1 for W48; 75.8 and 76.3 at 384x288; with
    true boxes, as during training, some two points more. Expected on MPII's validation: mean PCKh@0.5 90.3 for W32. Its
    authors' own file for MPII (w32_256x256_adam_lr1e-3.yaml) has 210 epochs, 170 and 200; others who trained it report
    90.0 to 90.1, and 90.3 with the shorter schedule alone, which is why it stands here.
    Its authors report 50 to 60 hours for W32 on COCO with four P100.

    Needs --backbone: hrnet_w32-36af842e.pth or hrnet_w48-8ef0771d.pth.
    Command: python -m dpn train coco/hrnet_w32 --data /path/to/coco --devices 4 --backbone hrnet_w32-36af842e.pth
    """
    recipe = _rival(spec, "hrnet")
    if recipe.kind == "coco":
        recipe = replace(recipe, epochs=210, drops=(170, 200))
    return replace(recipe, batch=96) if spec.width == 48 and spec.input_hw[0] == LARGE else recipe


def _rival(spec: SimpleBaselineSpec | HRNetSpec, protocol: str) -> Recipe:
    """On the data that has the network's joints; MPII's results in print are of networks that saw no one validated."""
    return as_published(spec.name, "mpii" if spec.joints == 16 else "coco", protocol=protocol)
