"""DLCM: near its published cost, its hierarchy against a second computation, and that it learns."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.counts.conventions import CONVENTIONS
from dpn.build import build
from dpn.spec import DLCMSpec, replace
from tests.dpn.learning import losses_of_ten_steps
from tests.dpn.parity import Layers, counted, relative_error, scramble

pytestmark = pytest.mark.usefixtures("one_thread")

WHOLE = DLCMSpec(name="dlcm", joints=16, input_hw=(256, 256))
SMALL = replace(WHOLE, name="small", levels=2, joints=5, parts=(5, 3), input_hw=(64, 64))


@pytest.mark.parametrize("part_ends", [True, False])
def test_costs_are_those_published(part_ends: bool) -> None:
    result = counted(replace(WHOLE, part_ends=part_ends))
    assert result.params == pytest.approx(15.5e6, rel=0.03)
    assert result.macs == pytest.approx(15.6 * 2**30, rel=0.03)
    assert f"{result.params / 1e6:.1f}" == "15.5"
    assert CONVENTIONS["gimacs"].printed(result.macs_by_kind) == "15.6"


def test_figures_in_the_description() -> None:
    result = counted(WHOLE)
    assert (result.params, f"{result.macs / 2**30:.3f}") == (15_495_870, "15.577")


def test_score_maps_of_all_levels() -> None:
    with torch.device("meta"):
        image = torch.empty(1, 3, 256, 256)
        shapes = [
            [tuple(maps.shape) for maps in build(spec)(image)] for spec in (WHOLE, replace(WHOLE, part_ends=False))
        ]
    assert shapes[0] == [(1, n, 64, 64) for n in (16, 12 + 16, 6 + 16, 12 + 16, 16)]
    assert shapes[1] == [(1, n, 64, 64) for n in (16, 12, 6, 12, 16)]


@pytest.mark.parametrize("wrong", [{"joints": 14}, {"levels": 4}])
def test_a_hierarchy_that_does_not_start_at_the_joints_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="set joints and parts together"):
        build(replace(WHOLE, **wrong))


# Wiring


class Independent(Layers):
    """The hierarchy from a state dict; the hourglasses, which have tests of their own, are those of the network."""

    def __init__(self, net: nn.Module, mistake: str = "") -> None:
        super().__init__(net.state_dict(), mistake)
        self.net = net

    def block(self, x: Tensor, name: str) -> Tensor:
        return F.relu(self.norm(self.conv(x, f"{name}.0"), f"{name}.1"))

    def step(self, x: Tensor, name: str) -> tuple[Tensor, Tensor]:
        features = self.block(self.net.get_submodule(f"features.{name}.0")(x), f"features.{name}.1")
        return features, self.conv(features, f"scores.{name}")

    def passed_on(self, x: Tensor, features: Tensor, scores: Tensor, name: str) -> Tensor:
        return x + self.conv(features, f"merge_features.{name}") + self.conv(scores, f"merge_scores.{name}")

    def forward(self, x: Tensor) -> list[Tensor]:
        """Three levels, written out."""
        x = F.max_pool2d(self.block(x, "stem.0"), 2)
        x = self.block(self.block(x, "stem.2"), "stem.3")
        x = F.max_pool2d(self.net.stem[4](x), 2)
        x = self.net.stem[7](self.net.stem[6](x))
        features, joints = self.step(x, "0")
        x = self.passed_on(x, features, joints, "0")
        features, bones = self.step(x, "1")
        x = self.passed_on(x, features, bones, "1")
        features, limbs = self.step(x, "2")
        x = self.passed_on(x, features, limbs, "2")
        down = self.net.top_down[0](x)
        swapped = self.mistake == "score maps behind the features"
        x = torch.cat((down, bones) if swapped else (bones, down), 1)
        features, bones_again = self.step(x, "3")
        x = self.passed_on(x, features, bones_again, "3")
        down = self.net.top_down[1](x)
        x = torch.cat((torch.zeros_like(joints) if self.mistake == "no skip to the joints" else joints, down), 1)
        _, joints_again = self.step(x, "4")
        return [joints, bones, limbs, bones_again, joints_again]


@torch.no_grad()
def test_forward_equals_the_hierarchy_written_out() -> None:
    net = scramble(build(WHOLE))
    x = torch.randn(1, 3, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    expected = Independent(net).forward(x)
    last = net(x)
    assert relative_error(last, expected[-1]) < 1e-10
    for mistake in ("score maps behind the features", "no skip to the joints"):
        assert relative_error(Independent(net, mistake).forward(x)[-1], last) > 1e-5, mistake
    for module in net.modules():  # training mode, but for the statistics, so that both modes compute the same
        module.training = not isinstance(module, nn.BatchNorm2d)
    found = net(x)
    assert len(found) == len(expected)
    assert all(relative_error(a, b) < 1e-10 for a, b in zip(found, expected, strict=True))


def test_ten_steps_reduce_the_loss_and_every_gradient_is_finite() -> None:
    torch.manual_seed(0)
    net = build(SMALL)
    images = torch.randn(2, 3, 64, 64)
    targets = [torch.rand(2, n, 16, 16) for n in (5, 3 + 5, 5)]

    def loss() -> Tensor:
        pairs = zip(net(images), targets, strict=True)
        return torch.stack([F.mse_loss(maps, wanted) for maps, wanted in pairs]).sum()

    losses = losses_of_ten_steps(net, torch.optim.Adam(net.parameters(), lr=5e-4), loss)
    assert losses[-1] < 0.9 * losses[0]
