"""Networks that tests measure by `package.module:factory`."""

import os

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


def forking() -> nn.Module:
    """Its factory comes back twice, as one that starts helpers carelessly does."""
    os.fork()
    return pointwise()


def returns_a_number() -> int:
    return 3


class Conv(nn.Module):
    """A convolution whose answer something else happens to."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)


class Raising(Conv):
    def forward(self, x: Tensor) -> Tensor:
        raise LookupError(f"no joint in an image\nof {tuple(x.shape)}")


class Leaving(Conv):
    def forward(self, x: Tensor) -> Tensor:
        raise SystemExit(f"left at {tuple(x.shape)}")


class Silent(Conv):
    def forward(self, x: Tensor) -> str:
        self.conv(x)
        return "no tensor"


class Noisy(Conv):
    """Never twice the same, not even in two processes."""

    def forward(self, x: Tensor) -> Tensor:
        generator = torch.Generator()
        generator.seed()
        return self.conv(x) + torch.rand(x.shape[-2:], generator=generator)


class Talking(Conv):
    """Prints more than a pipe holds."""

    def forward(self, x: Tensor) -> Tensor:
        print("x" * 200_000)
        return self.conv(x)


def raises() -> nn.Module:
    return Raising()


def leaves() -> nn.Module:
    return Leaving()


def silent() -> nn.Module:
    return Silent()


def noisy() -> nn.Module:
    return Noisy()


class Overflowing(Conv):
    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x).exp() / 0


def overflowing() -> nn.Module:
    return Overflowing()


def lacks_weights() -> nn.Module:
    raise FileNotFoundError("weights.pth is missing")


def talking() -> nn.Module:
    return Talking()


class Late(Conv):
    """Registers a parameter and a layer in its first call."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        if not hasattr(self, "head"):
            self.place = nn.Parameter(torch.zeros(4, *x.shape[2:], device=x.device))
            self.head = nn.Conv2d(4, 2, 1).to(x.device)
        return self.head(x + self.place)


def late() -> nn.Module:
    return Late()


class Transformer(nn.Module):
    """Attention among 2 x 2 patches, as torch's own layers do it."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x)
        return self.encoder(x.flatten(2).transpose(1, 2)).transpose(1, 2).reshape(x.shape)


def transformer() -> nn.Module:
    return Transformer()


def in_half_precision() -> nn.Module:
    return pointwise().half()
