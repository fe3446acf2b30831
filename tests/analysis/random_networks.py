"""Random small networks, each with a linear twin whose gradients count paths, for the tests of the exact engine."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TINY = 1e-6
LARGEST = 40


@dataclass
class Step:
    """One operator of a program.

    Attributes:
        real: the module as a network has it.
        twin: the same taps, each of weight one, so that a derivative is a number of paths.
        inputs: indices of the maps that it takes.
    """

    real: nn.Module
    twin: Callable[..., Tensor]
    inputs: tuple[int, ...]


class Program(nn.Module):
    """A network that runs its steps in order and returns the last map."""

    def __init__(self, steps: list[Step]) -> None:
        super().__init__()
        self.program = steps
        self.steps = nn.ModuleList(step.real for step in steps)

    def forward(self, image: Tensor) -> Tensor:
        maps = [image]
        for step, module in zip(self.program, self.steps, strict=True):
            maps.append(module(*(maps[i] for i in step.inputs)))
        return maps[-1]

    def twins(self, image: Tensor) -> list[Tensor]:
        """All maps of the twin, whose first is the image."""
        maps = [image]
        for step in self.program:
            maps.append(step.twin(*(maps[i] for i in step.inputs)))
        return maps


class Apply(nn.Module):
    """A function as a module, so that its map has a name."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *maps: Tensor) -> Tensor:
        return self.function(*maps)


def ones_like_taps(module: nn.Conv2d | nn.ConvTranspose2d) -> nn.Module:
    """The same convolution with every weight one and no bias."""
    twin: nn.Module = type(module)(
        module.in_channels, module.out_channels, module.kernel_size, module.stride, module.padding,  # type: ignore[arg-type]
        **({"output_padding": module.output_padding} if isinstance(module, nn.ConvTranspose2d) else {}),  # type: ignore[arg-type]
        dilation=module.dilation, groups=module.groups, bias=False,  # type: ignore[arg-type]
    ).double()  # fmt: skip
    nn.init.ones_(twin.weight)  # type: ignore[arg-type]
    return twin.requires_grad_(False)


def summed_windows(kernel: int, stride: int, padding: int, out_hw: tuple[int, int]) -> Callable[[Tensor], Tensor]:
    """A pooling window as a sum over its taps, padding being nothing."""

    def run(image: Tensor) -> Tensor:
        channels = image.shape[1]
        extra = [padding, padding + kernel * stride, padding, padding + kernel * stride]  # room for a ceil_mode window
        weight = torch.ones(channels, 1, kernel, kernel, dtype=image.dtype)
        out = F.conv2d(F.pad(image, extra), weight, stride=stride, groups=channels)
        return out[..., : out_hw[0], : out_hw[1]]

    return run


def tapped(resize: Callable[[Tensor], Tensor], height: int, width: int) -> Callable[[Tensor], Tensor]:
    """An interpolation as ones wherever torch's own has a weight, found by interpolating one position at a time."""
    rows = resize(torch.eye(height).reshape(1, height, height, 1).expand(1, height, height, width))[0, :, :, 0]
    columns = resize(torch.eye(width).reshape(1, width, 1, width).expand(1, width, height, width))[0, :, 0, :]
    down, across = ((m.abs() > TINY).double() for m in (rows.T, columns))  # (out, in) and (in, out)
    return lambda image: down @ image @ across


class Maker:
    """Draws programs."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.shapes: list[tuple[int, int, int]] = [(1, self.draw.randint(5, 24), self.draw.randint(5, 24))]
        self.steps: list[Step] = []

    def program(self) -> Program:
        while len(self.steps) < self.draw.randint(4, 10):
            kinds = ["conv", "conv", "dilated", "dilated", "pointwise", "transposed", "pool", "resize", "pad", "add",
                     "cat", "shuffle", "channels_last"]  # fmt: skip
            kind = self.draw.choice(kinds)
            getattr(self, kind)(self.draw.randrange(max(0, len(self.shapes) - 3), len(self.shapes)))
        return Program(self.steps).eval()

    def _add(self, real: nn.Module, twin: Callable[..., Tensor], *inputs: int) -> None:
        images = [torch.zeros(1, *self.shapes[i]) for i in inputs]
        try:
            shape = tuple(real.eval()(*images).shape[1:])
        except RuntimeError:  # a window larger than the map
            return
        if min(shape) >= 1 and max(shape[1:]) <= LARGEST:
            self.steps.append(Step(real, twin, inputs))
            self.shapes.append(shape)

    def conv(self, i: int, dilation: int = 1) -> None:
        kernel, stride = self.draw.choice([1, 2, 3, 5]), self.draw.choice([1, 1, 2, 3])
        padding = self.draw.randint(0, dilation * (kernel // 2) + 2)
        channels = self.shapes[i][0]
        grouped = channels > 1 and self.draw.random() < 0.5
        real = nn.Conv2d(channels, channels if grouped else 1, kernel, stride, padding, dilation,
                         groups=channels if grouped else 1)  # fmt: skip
        self._add(real, ones_like_taps(real), i)

    def dilated(self, i: int) -> None:
        self.conv(i, self.draw.randint(1, 32) if self.draw.random() < 0.5 else self.draw.choice([1, 2, 4, 8]))

    def transposed(self, i: int) -> None:
        kernel, stride, dilation = self.draw.randint(1, 4), self.draw.randint(1, 3), self.draw.choice([1, 1, 2])
        padding = self.draw.randint(0, kernel // 2)
        real = nn.ConvTranspose2d(self.shapes[i][0], 1, kernel, stride, padding, self.draw.randrange(stride),
                                  dilation=dilation)  # fmt: skip
        self._add(real, ones_like_taps(real), i)

    def pointwise(self, i: int) -> None:
        channels = self.shapes[i][0]
        real = self.draw.choice([nn.ReLU(), nn.ReLU(inplace=False), nn.Sigmoid(), nn.BatchNorm2d(channels)])
        self._add(real, lambda image: image * 1, i)  # a map of its own

    def pool(self, i: int) -> None:
        kernel, stride = self.draw.randint(1, 3), self.draw.randint(1, 3)
        padding, ceil_mode = self.draw.randint(0, kernel // 2), self.draw.random() < 0.3
        kind = self.draw.choice([nn.MaxPool2d, nn.AvgPool2d])
        real = kind(kernel, stride, padding, ceil_mode=ceil_mode)
        try:
            out_hw = tuple(real(torch.zeros(1, *self.shapes[i])).shape[2:])
        except RuntimeError:
            return
        self._add(real, summed_windows(kernel, stride, padding, out_hw), i)

    def resize(self, i: int) -> None:
        mode = self.draw.choice(["nearest", "nearest-exact", "bilinear", "bicubic"])
        options: dict[str, Any] = {"mode": mode}
        if self.draw.random() < 0.5:
            options["scale_factor"] = self.draw.choice([2.0, 2.0, 0.5, 3.0])
        else:
            options["size"] = (self.draw.randint(2, 24), self.draw.randint(2, 24))
        if mode.startswith("bi"):
            options["align_corners"] = self.draw.random() < 0.3
        if min(self.shapes[i][1:]) < 2:
            return

        def run(image: Tensor) -> Tensor:
            return F.interpolate(image, **options)

        self._add(Apply(run), tapped(run, *self.shapes[i][1:]), i)

    def pad(self, i: int) -> None:
        amounts = [self.draw.randint(-1, 3) for _ in range(4)]
        self._add(nn.ZeroPad2d(amounts), lambda image: F.pad(image, amounts), i)  # type: ignore[arg-type]

    def shuffle(self, i: int) -> None:
        channels, height, width = self.shapes[i]
        kinds = [nn.PixelUnshuffle(2)] if channels < 3 and height % 2 == width % 2 == 0 else []
        kinds += [nn.PixelShuffle(2)] if channels % 4 == 0 else []
        kinds += [nn.ChannelShuffle(n) for n in range(2, channels) if channels % n == 0]
        if kinds:
            real = self.draw.choice(kinds)
            self._add(real, real, i)

    def channels_last(self, i: int) -> None:
        """As in ConvNeXt's blocks."""
        real = nn.Sequential(
            Apply(lambda image: image.permute(0, 2, 3, 1)), nn.LayerNorm(self.shapes[i][0]),
            nn.Linear(self.shapes[i][0], 4), nn.GELU(), nn.Linear(4, 1), Apply(lambda image: image.movedim(-1, 1)),
        )  # fmt: skip
        self._add(real, lambda image: image.sum(1, keepdim=True), i)

    def _partner(self, i: int) -> int:
        """A map of the same shape, perhaps the map itself."""
        return self.draw.choice([j for j, shape in enumerate(self.shapes) if shape == self.shapes[i]])

    def add(self, i: int) -> None:
        self._add(Apply(torch.add), torch.add, i, self._partner(i))

    def cat(self, i: int) -> None:
        def join(*maps: Tensor) -> Tensor:
            return torch.cat(maps, 1)

        if self.shapes[i][0] < 3:
            self._add(Apply(join), join, i, self._partner(i))
