"""JADA: costs, its residual and its agent against a second computation, what the agent sees, and that both learn."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.counts.conventions import CONVENTIONS
from dpn.build import build
from dpn.networks.hourglass import Residual
from dpn.networks.jada import ROTATIONS_DEG, SCALES, AugmentationAgent, AugmentedPose, PostActivationResidual
from dpn.spec import HourglassSpec, JADASpec, replace
from tests.dpn.learning import losses_of_ten_steps
from tests.dpn.parity import Layers, counted, relative_error, scramble

pytestmark = pytest.mark.usefixtures("one_thread")

JADA = JADASpec(name="jada", input_hw=(256, 256), joints=16)
SMALL = replace(JADA, name="small", stacks=2, input_hw=(64, 64), joints=5)


# Costs


@pytest.mark.parametrize(
    ("spec", "params", "macs"),
    [(JADA, 25_434_496, 27_440_185_344), (replace(JADA, stacks=2), 6_570_784, 8_334_606_336)],
    ids=["8 stacks", "2 stacks"],
)
def test_costs(spec: JADASpec, params: int, macs: int) -> None:
    assert (counted(spec).params, counted(spec).macs) == (params, macs)


def test_the_printed_cost_is_in_operations() -> None:
    assert CONVENTIONS["fpd"].printed(counted(JADA).macs_by_kind, 0) == "55"


def test_the_pose_network_is_as_large_as_the_standard_hourglass_but_for_batch_norm_behind_the_sum() -> None:
    standard = counted(HourglassSpec(name="standard", input_hw=(256, 256), joints=16, stacks=8))
    assert counted(JADA).macs == standard.macs
    widened = (128 - 64) + (256 - 128)  # of the two residuals that widen, three norms see the output, not the input
    assert counted(JADA).params - standard.params == 2 * widened


def test_the_agent_is_no_part_of_the_pose_networks_cost() -> None:
    with_agent = counted(replace(JADA, agent=True))
    assert with_agent.params - counted(JADA).params == 2_577_934
    residual, halved = (
        256 * 128 * 2 + 128 * 128 * 9,
        [64 * 64, 2 * 32 * 32, 2 * 16 * 16, 2 * 8 * 8, (1 + 1 + 3) * 4 * 4],
    )
    assert with_agent.macs - counted(JADA).macs == residual * sum(halved) + 256 * 14


# Wiring


class Independent(Layers):
    """A residual and the agent, from a state dict."""

    def residual(self, x: Tensor, name: str) -> Tensor:
        shortcut = self.conv(x, f"{name}.adapter") if f"{name}.adapter.weight" in self.state else x
        y = F.relu(self.norm(self.conv(x, f"{name}.conv1"), f"{name}.bn1"))
        y = F.relu(self.norm(self.conv(y, f"{name}.conv2"), f"{name}.bn2"))
        y = self.conv(y, f"{name}.conv3")
        if self.mistake == "sum behind batch norm":
            return F.relu(self.norm(y, f"{name}.bn3") + shortcut)
        if self.mistake == "sum behind activation":
            return F.relu(self.norm(y, f"{name}.bn3")) + shortcut
        y = self.norm(y if self.mistake == "no shortcut" else y + shortcut, f"{name}.bn3")
        return y if self.mistake == "no last activation" else F.relu(y)

    def agent(self, maps: list[Tensor]) -> tuple[Tensor, ...]:
        seen = [self.residual(map_, f"maps.{i}") for i, map_ in enumerate(maps)]
        if self.mistake == "maps as they are":
            seen = maps
        x = seen[0]
        for i in range(4):
            x = F.max_pool2d(x, 2) + seen[i + 1]
            x = x if self.mistake == "no residual behind the sum" else self.residual(x, f"merges.{i}")
        for i in range(3):
            x = self.residual(x, f"deep.{i}")
        x = x.mean((2, 3))
        return tuple(
            F.linear(x, self.state[f"{name}.weight"], self.state[f"{name}.bias"]) for name in ("scales", "rotations")
        )


def random(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("channels", [(8, 8), (8, 16)], ids=["same", "adapter"])
@torch.no_grad()
def test_a_residual_normalises_and_activates_behind_the_sum(channels: tuple[int, int]) -> None:
    block = scramble(PostActivationResidual(*channels))
    state, x = {f"block.{name}": value for name, value in block.state_dict().items()}, random(2, 8, 6, 5)
    found = block(x)
    assert relative_error(found, Independent(state).residual(x, "block")) < 1e-10
    for mistake in ("sum behind batch norm", "sum behind activation", "no shortcut", "no last activation"):
        assert relative_error(Independent(state, mistake).residual(x, "block"), found) > 1e-2, mistake


def test_every_residual_is_post_activation() -> None:
    with torch.device("meta"):
        net = build(JADA)
    assert sum(isinstance(module, PostActivationResidual) for module in net.modules()) == 3 + 8 * (13 + 1)
    assert not any(isinstance(module, Residual) for module in net.modules())


@torch.no_grad()
def test_the_agent_equals_a_computation_without_modules() -> None:
    agent = scramble(AugmentationAgent())
    state, maps = agent.state_dict(), [random(2, 256, 16 >> i, 32 >> i) for i in range(5)]
    found = agent(maps)
    for ours, theirs in zip(found, Independent(state).agent(maps), strict=True):
        assert ours.shape == (2, 7)
        assert relative_error(ours, theirs) < 1e-10
    for mistake in ("maps as they are", "no residual behind the sum"):
        for ours, theirs in zip(found, Independent(state, mistake).agent(maps), strict=True):
            assert relative_error(theirs, ours) > 1e-2, mistake


def test_the_bins_are_even_and_centred_on_no_change() -> None:
    assert SCALES == (-0.6, -0.4, -0.2, 0, 0.2, 0.4, 0.6)
    assert ROTATIONS_DEG == (-60, -40, -20, 0, 20, 40, 60)


@torch.no_grad()
def test_the_agent_sees_the_first_hourglass_and_leaves_the_heatmaps_as_they_are() -> None:
    torch.manual_seed(0)
    net = build(replace(SMALL, agent=True)).eval()
    seen: list[Tensor] = []
    net.agent.register_forward_pre_hook(lambda _, inputs: seen.extend(inputs[0]))
    given: dict[str, Tensor] = {}
    for name, module in net.named_modules():
        module.register_forward_hook(lambda _, __, y, name=name: given.update({name: y}))
    images = torch.randn(1, 3, 64, 128)
    answer = net(images)
    first = [given["hgs.0.0." + path] for path in ("up1", "low2.up1", "low2.low2.up1", "low2.low2.low2.up1")]
    assert [tuple(map_.shape[2:]) for map_ in seen] == [(16, 32), (8, 16), (4, 8), (2, 4), (1, 2)]
    for map_, expected in zip(seen, [*first, given["hgs.0.0.low2.low2.low2.low2"]], strict=True):
        assert torch.equal(map_, expected)

    plain = build(SMALL).eval()
    plain.load_state_dict({name: value for name, value in net.state_dict().items() if not name.startswith("agent.")})
    assert isinstance(answer, AugmentedPose)
    assert torch.equal(answer.heatmaps, plain(images))


def test_no_gradient_flows_from_the_agent_into_the_pose_network() -> None:
    torch.manual_seed(0)
    net = build(replace(SMALL, agent=True, stacks=1))
    answer = net(torch.randn(2, 3, 64, 64))
    (answer.scales.square().sum() + answer.rotations.square().sum()).backward()
    for path, parameter in net.named_parameters():
        assert (parameter.grad is not None) == path.startswith("agent."), path


# Start and learning


@torch.no_grad()
def test_batch_norms_start_with_scales_between_0_and_1() -> None:
    torch.manual_seed(0)
    scales = torch.cat([value for name, value in build(SMALL).named_parameters() if "bn" in name and "weight" in name])
    assert 0 <= float(scales.min()) < 0.01
    assert 0.99 < float(scales.max()) <= 1
    assert abs(float(scales.mean()) - 0.5) < 5 / (12 * len(scales)) ** 0.5


@pytest.mark.slow
def test_ten_steps_reduce_the_losses_and_every_gradient_is_finite() -> None:
    torch.manual_seed(0)
    net = build(replace(SMALL, agent=True))
    images, targets = torch.randn(4, 3, 64, 64), torch.rand(4, 5, 16, 16)
    scales, rotations = torch.rand(4, 7).softmax(1), torch.rand(4, 7).softmax(1)
    pose_losses, agent_losses = [], []

    def loss() -> Tensor:
        heatmaps, *logits = net(images)
        assert [tuple(map_.shape) for map_ in heatmaps] == [(4, 5, 16, 16)] * 2
        pose = torch.stack([F.mse_loss(map_, targets) for map_ in heatmaps]).sum()
        pairs = zip(logits, (scales, rotations), strict=True)
        agent = torch.stack([F.kl_div(x.log_softmax(1), wanted, reduction="batchmean") for x, wanted in pairs]).sum()
        pose_losses.append(pose.item())
        agent_losses.append(agent.item())
        return pose + agent

    losses_of_ten_steps(net, torch.optim.Adam(net.parameters(), lr=1e-3), loss)
    assert pose_losses[-1] < 0.8 * pose_losses[0]
    assert agent_losses[-1] < 0.8 * agent_losses[0]
