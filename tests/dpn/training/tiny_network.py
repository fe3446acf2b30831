"""The smallest networks that can be trained, for tests of everything around them."""

import os
import time
from pathlib import Path

import torch
from torch import nn

from dpn.networks.dpn import DPN
from dpn.spec import DPNSpec


def build() -> nn.Module:
    """17 heatmaps of an image; batch norm and dropout, so that their state and their randomness matter."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 8, stride=8), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout2d(0.1),
        nn.Conv2d(8, 17, 3, padding=1), nn.Upsample(scale_factor=2),
    )  # fmt: skip


def without_dropout() -> nn.Module:
    """The same in every process, whatever its share of the batch.

    Without a bias before batch norm, whose gradient is zero but for rounding: Adam would make steps of that.
    """
    return nn.Sequential(
        nn.Conv2d(3, 8, 8, stride=8, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 17, 3, padding=1),
        nn.Upsample(scale_factor=2),
    )  # fmt: skip


class _Lingering(nn.Sequential):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training and len(x) > 1 and (place := os.environ.get("LINGER")):
            Path(place).touch()
            time.sleep(1)
        heatmaps: torch.Tensor = super().forward(x)
        return heatmaps


def lingering() -> nn.Module:
    """`build`, which is slow to predict several people where LINGER names a file, which tells that it has begun."""
    return _Lingering(*build())


class InModule(nn.Module):
    """Without a length, as most networks are; some of its weights are never used where that is asked for."""

    def __init__(self, *, idle: bool = False) -> None:
        super().__init__()
        self.net = without_dropout()
        self.shortcut = nn.Conv2d(3, 17, 1) if idle else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) -> (B, 17, H / 4, W / 4)."""
        heatmaps: torch.Tensor = self.net(x)
        return heatmaps


def with_idle_weights() -> nn.Module:
    """See `InModule`."""
    return InModule(idle=True)


def on_resnet() -> nn.Module:
    """With the stem and the first stage of a ResNet-50, which `dpn.backbones` knows, and next to nothing behind."""
    return DPN(DPNSpec(name="tiny", modules=1, width=2, dilations=(2, 1), conv2_blocks=0))


class Bursting(nn.Module):
    """Gives numbers until it has been trained for some steps, then none."""

    def __init__(self, steps: int = 12) -> None:
        super().__init__()
        self.net = build()
        self.steps = steps
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) -> (B, 17, H / 4, W / 4)."""
        if self.training:
            self.seen += 1
        heatmaps: torch.Tensor = self.net(x)
        return heatmaps * (float("nan") if self.training and self.seen > self.steps else 1.0)


def bursting() -> nn.Module:
    """See `Bursting`."""
    return Bursting()
