"""Networks that tests measure by `package.module:factory`."""

import torch
from torch import Tensor, nn


class Fourier(nn.Module):
    """A convolution and a Fourier transform, which nobody here knows how to count."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.fft.rfft2(self.conv(x)).abs()


def with_fourier_transform() -> nn.Module:
    return Fourier()


def pointwise() -> nn.Module:
    """3 x 5 multiply-adds for each pixel."""
    return nn.Conv2d(3, 5, 1)


def needs_arguments(width: int) -> nn.Module:
    return nn.Conv2d(3, width, 1)


def returns_a_number() -> int:
    return 3
