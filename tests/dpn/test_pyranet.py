"""PyraNet: its cost, its wiring against a second computation, its two poolings, and that it learns."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dpn.build import build
from dpn.networks.pyranet import Pyramid, PyramidResidual
from dpn.spec import PyraNetSpec, replace
from tests.dpn.learning import losses_of_ten_steps
from tests.dpn.parity import Layers, counted, relative_error, scramble

pytestmark = pytest.mark.usefixtures("one_thread")

PUBLISHED = PyraNetSpec(name="pyranet", joints=16, input_hw=(256, 256))
SMALL = replace(PUBLISHED, name="small", stacks=2, joints=5, input_hw=(64, 64))


def image(height: int = 64, width: int = 64) -> Tensor:
    return torch.randn(1, 3, height, width, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("fractional", [False, True])
def test_costs(fractional: bool) -> None:
    result = counted(replace(PUBLISHED, fractional_pooling=fractional))
    assert (result.params, result.macs) == (28_131_832, 22_829_322_956)


# Wiring


class Independent(Layers):
    """PyraNet with adaptive pooling from its state dict, with functions and a loop for each way of an hourglass."""

    def activated(self, x: Tensor, name: str) -> Tensor:
        return F.relu(self.norm(x, name))

    def skip(self, x: Tensor, name: str) -> Tensor:
        if f"{name}.2.weight" not in self.state:
            return x
        return self.conv(x if self.mistake == "plain skip" else self.activated(x, f"{name}.0"), f"{name}.2")

    def pyramid(self, x: Tensor, name: str) -> Tensor:
        levels = 3 if self.mistake == "a level less" else 4
        total = torch.zeros_like(x)
        for i in range(levels):
            ratio = 2 ** (-i / 4) if self.mistake == "first level at full size" else 2 ** (-(i + 1) / 4)
            if self.mistake == "octaves":
                ratio = 2.0 ** -(i + 1)
            size = [max(1, int(side * ratio)) for side in x.shape[2:]]
            small = self.conv(F.adaptive_max_pool2d(x, size), f"{name}.levels.{i}")
            aligned = self.mistake != "corners not aligned"
            total = total + F.interpolate(small, size=x.shape[2:], mode="bilinear", align_corners=aligned)
        return total

    def pyramid_residual(self, x: Tensor, name: str) -> Tensor:
        first = 2 if f"{name}.branch.5.weight" in self.state else 0  # further back where batch norm and ReLU lead
        sums = []
        for branch in ("branch", "pyramid"):
            y = self.activated(x, f"{name}.{branch}.0") if first else x
            if not first and self.mistake == "pre-activation in the stem":
                y = F.relu(F.instance_norm(x))
            sums.append(self.activated(self.conv(y, f"{name}.{branch}.{first}"), f"{name}.{branch}.{first + 1}"))
        wide = self.conv(sums[0], f"{name}.branch.{first + 3}")
        y = self.activated(self.pyramid(sums[1], f"{name}.pyramid.{first + 3}"), f"{name}.pyramid.{first + 4}")
        y = self.activated(wide + self.conv(y, f"{name}.pyramid.{first + 6}"), f"{name}.out.0")
        return self.conv(y, f"{name}.out.2") + self.skip(x, f"{name}.skip")

    def plain(self, x: Tensor, name: str) -> Tensor:
        y = x
        for i in (1, 2, 3):
            y = self.conv(self.activated(y, f"{name}.bn{i}"), f"{name}.conv{i}.conv")
        return y + self.skip(x, f"{name}.skip_layer")

    def hourglass(self, x: Tensor, name: str) -> Tensor:
        beside, paths = [], [name + ".low2" * i for i in range(4)]
        for i, path in enumerate(paths):
            beside.append((self.pyramid_residual if i < 3 else self.plain)(x, f"{path}.up1"))
            x = (self.pyramid_residual if i < 2 else self.plain)(F.max_pool2d(x, 2), f"{path}.low1")
        x = self.plain(x, f"{paths[-1]}.low2")
        for i, path in reversed(list(enumerate(paths))):
            x = (self.pyramid_residual if i < 2 else self.plain)(x, f"{path}.low3")
            x = F.interpolate(x, scale_factor=2) + beside.pop()
        return x

    def forward(self, spec: PyraNetSpec, x: Tensor) -> list[Tensor]:
        x = F.relu(self.norm(self.conv(x, "stem.0.0", 2), "stem.0.1"))
        x = F.max_pool2d(self.pyramid_residual(x, "stem.1"), 2)
        x = self.pyramid_residual(self.pyramid_residual(x, "stem.3"), "stem.4")
        heatmaps = []
        for stack in range(spec.stacks):
            features = self.hourglass(x, f"hourglasses.{stack}")
            if self.mistake != "no activation behind the hourglass":
                features = self.activated(features, f"features.{stack}.0")
            features = self.activated(self.conv(features, f"features.{stack}.2.0"), f"features.{stack}.2.1")
            heatmaps.append(self.conv(features, f"heatmaps.{stack}"))
            if stack + 1 < spec.stacks:
                x = x + self.conv(features, f"merge_features.{stack}")
                x = x + self.conv(heatmaps[-1], f"merge_heatmaps.{stack}")
        return heatmaps


MISTAKES = (
    "plain skip",
    "a level less",
    "first level at full size",
    "octaves",
    "corners not aligned",
    "pre-activation in the stem",
    "no activation behind the hourglass",
)


@torch.no_grad()
def test_forward_equals_a_computation_without_modules() -> None:
    net = scramble(build(SMALL))
    x = image(64, 128)
    expected = Independent(net.state_dict()).forward(SMALL, x)
    last = net(x)
    assert relative_error(last, expected[-1]) < 1e-10
    for module in net.modules():  # training mode, but for the statistics, so that both modes compute the same
        module.training = not isinstance(module, nn.BatchNorm2d)
    heatmaps = net(x)
    assert [tuple(map_.shape) for map_ in heatmaps] == [(1, 5, 16, 32)] * 2
    assert all(relative_error(a, b) < 1e-10 for a, b in zip(heatmaps, expected, strict=True))


@torch.no_grad()
def test_parity_notices_plausible_mistakes() -> None:
    spec = replace(SMALL, stacks=1)
    net = scramble(build(spec))
    found = net(image())
    for mistake in MISTAKES:
        wrong = Independent(net.state_dict(), mistake).forward(spec, image())[-1]
        assert relative_error(wrong, found) > 1e-3, mistake


def test_pyramids_stand_at_the_finer_levels_and_projections_behind_every_halving() -> None:
    with torch.device("meta"):
        hourglass = build(replace(SMALL, stacks=1)).hourglasses[0]
    pyramids = {name for name, module in hourglass.named_modules() if isinstance(module, PyramidResidual)}
    assert pyramids == {
        *("up1", "low2.up1", "low2.low2.up1"),
        *("low1", "low2.low1"),
        *("low3", "low2.low3"),
    }
    projected = {name for name, _ in hourglass.named_parameters() if name.endswith(("skip.2.weight", "layer.2.weight"))}
    assert {name.split(".skip")[0] for name in projected} == {"low2." * i + "low3" for i in range(4)}


def test_only_the_first_block_lacks_the_pre_activation() -> None:
    with torch.device("meta"):
        blocks = [module for module in build(SMALL).modules() if isinstance(module, PyramidResidual)]
    leading = [[isinstance(way[0], nn.BatchNorm2d) for way in (block.branch, block.pyramid)] for block in blocks]
    assert leading == [[False, False]] + [[True, True]] * (2 + 2 * 7)
    assert isinstance(blocks[0].skip[0], nn.BatchNorm2d)


# Pooling


def test_sizes_of_a_pyramid() -> None:
    pyramid = Pyramid(1, 4, fractional=False)
    assert pyramid.sizes(64, 128) == [(53, 107), (45, 90), (38, 76), (32, 64)]
    assert pyramid.sizes(4, 16) == [(3, 13), (2, 11), (2, 9), (2, 8)]


@torch.no_grad()
def test_fractional_pooling_is_random_and_adaptive_pooling_is_not() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 4, 32, 32)
    adaptive, fractional = Pyramid(4, 4, fractional=False).eval(), Pyramid(4, 4, fractional=True).eval()
    fractional.load_state_dict(adaptive.state_dict())
    assert torch.equal(adaptive(x), adaptive(x))
    assert not torch.allclose(fractional(x), fractional(x), atol=1e-3)
    assert not torch.allclose(fractional(x), adaptive(x), atol=1e-3)
    flat = torch.ones(1, 4, 32, 32)  # where there is nothing to choose, both pool alike
    assert torch.allclose(fractional(flat), adaptive(flat), atol=1e-6)


# Start and learning


@torch.no_grad()
def test_the_convolution_behind_a_pyramid_starts_smaller() -> None:
    torch.manual_seed(0)
    block = PyramidResidual(256, 256, SMALL, project=False)
    for conv, branches in ((block.pyramid[8], 4), (block.out[2], 1)):
        bound = (branches * conv.weight[0].numel()) ** -0.5
        assert 0.95 * bound < float(conv.weight.abs().max()) <= bound


@pytest.mark.parametrize("fractional", [False, True])
def test_ten_steps_reduce_the_loss_and_every_gradient_is_finite(fractional: bool) -> None:
    torch.manual_seed(0)
    net = build(replace(SMALL, stacks=1, fractional_pooling=fractional))
    images, targets = torch.randn(2, 3, 64, 64), torch.rand(2, 5, 16, 16)

    def loss() -> Tensor:
        return torch.stack([F.mse_loss(heatmaps, targets) for heatmaps in net(images)]).sum()

    losses = losses_of_ten_steps(net, torch.optim.Adam(net.parameters(), lr=1e-3), loss)
    assert losses[-1] < 0.8 * losses[0]
