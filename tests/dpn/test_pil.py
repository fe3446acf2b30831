"""PIL: its cost, its wiring against a second computation, kernels for each image by its own, and that it learns."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dpn.build import build
from dpn.networks.pil import PreActivation, dynamic_conv
from dpn.spec import PILSpec, replace
from tests.dpn.learning import losses_of_ten_steps
from tests.dpn.parity import Layers, counted, relative_error, scramble

pytestmark = pytest.mark.usefixtures("one_thread")

PUBLISHED = PILSpec(name="pil", joints=17, input_hw=(256, 256))
SMALL = replace(PUBLISHED, name="small", stacks=2, joints=5, classes=3, input_hw=(64, 64), unused_shortcuts=False)


def images(batch: int = 1, height: int = 64, width: int = 64) -> Tensor:
    return torch.randn(batch, 3, height, width, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("unused", "params"), [(True, 26_424_988), (False, 26_424_988 - 9 * 9 * 66_048)])
def test_costs(unused: bool, params: int) -> None:
    """Nine hourglasses of nine residuals: an unused skip of 256 channels has 256^2 weights, and 512 in batch norm."""
    result = counted(replace(PUBLISHED, unused_shortcuts=unused))
    assert (result.params, result.macs) == (params, 31_289_442_304)
    (dynamic,) = (operator for operator in result.operators if operator.groups > 1)
    assert (dynamic.macs, dynamic.kernel, dynamic.groups) == (51_380_224, (7, 7), 256)


# The dynamic convolution


@pytest.mark.parametrize("sides", [(7, 7), (1, 1), (3, 5)])
def test_every_channel_of_every_sample_meets_its_own_kernel(sides: tuple[int, int]) -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 4, 9, 8, dtype=torch.float64)
    kernels = torch.randn(3, 4, *sides, dtype=torch.float64)
    found = dynamic_conv(x, kernels)
    assert found.shape == x.shape
    padding = (sides[0] // 2, sides[1] // 2)
    for sample in range(3):
        for channel in range(4):
            plane, kernel = x[sample, channel], kernels[sample, channel]
            expected = F.conv2d(plane[None, None], kernel[None, None], padding=padding)[0, 0]
            assert torch.allclose(found[sample, channel], expected, rtol=1e-12, atol=1e-12)


@torch.no_grad()
def test_images_of_a_batch_do_not_mix() -> None:
    net = scramble(build(SMALL))
    batch = images(3)
    together = net(batch)
    for i in range(3):
        alone = net(batch[i : i + 1])
        assert relative_error(together.heatmaps[i], alone.heatmaps[0]) < 1e-10
        assert relative_error(together.parsing[i], alone.parsing[0]) < 1e-10


@torch.no_grad()
def test_the_parsing_network_reaches_the_last_stack_alone() -> None:
    net = scramble(build(SMALL))
    for module in net.modules():
        module.training = not isinstance(module, nn.BatchNorm2d)
    before = net(images()).heatmaps
    net.adapter[-1].weight.neg_()
    after = net(images()).heatmaps
    assert torch.equal(before[0], after[0])
    assert relative_error(after[1], before[1]) > 1e-3


@pytest.mark.parametrize(("height", "width"), [(64, 64), (128, 192), (256, 320)])
def test_sides_of_the_kernels(height: int, width: int) -> None:
    with torch.device("meta"):
        kernels = build(SMALL).adapter(torch.empty(1, 256, height // 4, width // 4))
    assert kernels.shape == (1, 256, 2 * height // 64 - 1, 2 * width // 64 - 1)


# Wiring


class Independent(Layers):
    """PIL from its state dict; an hourglass is a loop down and a loop up."""

    def activated(self, x: Tensor, name: str) -> Tensor:
        return F.relu(self.norm(x, name))

    def residual(self, x: Tensor, name: str) -> Tensor:
        y = x
        for i in (0, 3, 6):
            y = self.conv(self.activated(y, f"{name}.body.{i}"), f"{name}.body.{i + 2}")
        if f"{name}.skip.2.weight" in self.state and y.shape != x.shape:
            x = self.conv(self.activated(x, f"{name}.skip.0"), f"{name}.skip.2")
        return x + y

    def bottleneck(self, x: Tensor, name: str) -> Tensor:
        for i in (0, 3):
            x = self.activated(self.conv(x, f"{name}.{i}"), f"{name}.{i + 1}")
        return self.conv(x, f"{name}.6")

    def enlarged(self, x: Tensor, factor: int) -> Tensor:
        if self.mistake == "nearest":
            return F.interpolate(x, scale_factor=factor)
        aligned = self.mistake != "corners not aligned"
        return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=aligned)

    def hourglass(self, x: Tensor, name: str) -> Tensor:
        beside, paths = [], [name + ".inner" * i for i in range(4)]
        for path in paths:
            start, x = x, self.residual(x, f"{path}.down")
            beside.append(start if self.mistake == "skip before the residual" else x)
            if self.mistake == "a residual on the skip":
                beside[-1] = self.residual(x, f"{path}.down")
            x = F.max_pool2d(x, 2)
        x = self.residual(x, f"{paths[-1]}.inner")
        for path in reversed(paths):
            x = beside.pop() + self.enlarged(x, 2)
            x = self.residual(x, f"{path}.up")
        return x

    def stem(self, x: Tensor, name: str) -> Tensor:
        x = self.activated(self.conv(x, f"{name}.0.0", 2), f"{name}.0.1")
        y = self.norm(self.bottleneck(x, f"{name}.1.body"), f"{name}.1.body.7")
        x = F.relu(y + self.norm(self.conv(x, f"{name}.1.skip.0"), f"{name}.1.skip.1"))
        x = F.max_pool2d(x, 2)
        x = x + self.bottleneck(x, f"{name}.3.body")
        return self.residual(x, f"{name}.4")

    def features(self, x: Tensor, name: str) -> Tensor:
        x = self.activated(self.hourglass(x, f"{name}.0"), f"{name}.1")
        return self.activated(self.conv(x, f"{name}.3.0"), f"{name}.3.1")

    def kernels(self, x: Tensor) -> Tensor:
        weights = [(self.state[f"adapter.{i}.weight"], self.state[f"adapter.{i}.bias"]) for i in (0, 2, 4)]
        x = F.max_pool2d(F.conv2d(x, *weights[0], stride=2), 2)
        return F.conv2d(F.max_pool2d(F.conv2d(x, *weights[1], padding=1), 2), *weights[2], padding=1)

    def forward(self, spec: PILSpec, x: Tensor) -> tuple[list[Tensor], Tensor]:
        parsing = self.features(self.stem(x, "parsing.stem"), "parsing.features.0")
        kernels = self.kernels(parsing)
        heatmaps = []
        x = self.stem(x, "pose.stem")
        for stack in range(spec.stacks):
            features = self.features(x, f"pose.features.{stack}")
            if stack == spec.stacks - 1:
                y = self.conv(features, "before")
                y = F.conv2d(y, kernels[0][:, None], padding=[side // 2 for side in kernels.shape[2:]], groups=256)
                y = self.activated(self.conv(y, "after.0"), "after.1")
                features = y if self.mistake == "refined alone" else features + y
            heatmaps.append(self.conv(features, f"pose.predictions.{stack}"))
            if stack + 1 < spec.stacks:
                x = x + self.conv(features, f"pose.merge_features.{stack}")
                x = x + self.conv(heatmaps[-1], f"pose.merge_predictions.{stack}")
        classes = self.enlarged(self.conv(parsing, "parsing.predictions.0"), 4)
        return heatmaps, F.log_softmax(classes, 1)


MISTAKES = ("nearest", "corners not aligned", "skip before the residual", "a residual on the skip", "refined alone")


@pytest.mark.parametrize("spec", [SMALL, replace(SMALL, unused_shortcuts=True)], ids=["small", "unused shortcuts"])
@torch.no_grad()
def test_forward_equals_a_computation_without_modules(spec: PILSpec) -> None:
    net = scramble(build(spec))
    x = images(1, 64, 128)
    heatmaps, parsing = Independent(net.state_dict()).forward(spec, x)
    found = net(x)
    assert relative_error(found.heatmaps, heatmaps[-1]) < 1e-10
    assert found.parsing.shape == (1, 3, 64, 128)
    assert relative_error(found.parsing, parsing) < 1e-10
    for module in net.modules():  # training mode, but for the statistics, so that both modes compute the same
        module.training = not isinstance(module, nn.BatchNorm2d)
    stacks = net(x).heatmaps
    assert [tuple(map_.shape) for map_ in stacks] == [(1, 5, 16, 32)] * 2
    assert all(relative_error(a, b) < 1e-10 for a, b in zip(stacks, heatmaps, strict=True))


@torch.no_grad()
def test_parity_notices_plausible_mistakes() -> None:
    spec = replace(SMALL, stacks=1)
    net = scramble(build(spec))
    found = net(images()).heatmaps
    for mistake in MISTAKES:
        wrong, _ = Independent(net.state_dict(), mistake).forward(spec, images())
        assert relative_error(wrong[-1], found) > 1e-3, mistake


def test_an_hourglass_has_nine_residuals_and_none_of_them_on_a_skip() -> None:
    with torch.device("meta"):
        hourglass = build(SMALL).pose.features[0][0]
    residuals = [name for name, module in hourglass.named_modules() if isinstance(module, PreActivation)]
    assert sorted(residuals) == sorted(
        [*("inner." * i + way for i in range(4) for way in ("down", "up")), "inner.inner.inner.inner"]
    )


# Learning


def test_ten_steps_reduce_the_loss_and_every_gradient_is_finite() -> None:
    torch.manual_seed(0)
    net = build(replace(SMALL, stacks=1, unused_shortcuts=True))
    x, targets, classes = torch.randn(2, 3, 64, 64), torch.rand(2, 5, 16, 16), torch.randint(3, (2, 64, 64))
    unused = {path for path, _ in net.named_parameters() if ".skip." in path and ".features." in path}
    assert len(unused) == 2 * 9 * 3

    def loss() -> Tensor:
        answer = net(x)
        heatmaps = torch.stack([F.mse_loss(heatmaps, targets) for heatmaps in answer.heatmaps]).sum()
        return heatmaps + 0.01 * F.nll_loss(answer.parsing, classes)

    losses = losses_of_ten_steps(net, torch.optim.Adam(net.parameters(), lr=1e-3), loss, unused)
    assert losses[-1] < 0.8 * losses[0]
