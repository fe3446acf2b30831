"""MCA: costs, its wiring and its attention against a second computation, shared kernels, and that it learns."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.counts.conventions import CONVENTIONS
from dpn.build import build
from dpn.networks.mca import Attention, HolisticHead, PartHead, ResidualPool
from dpn.spec import MCASpec, replace
from tests.dpn.learning import losses_of_ten_steps
from tests.dpn.parity import Layers, counted, relative_error, scramble

pytestmark = pytest.mark.usefixtures("one_thread")

MCA = MCASpec(name="mca", input_hw=(256, 256), joints=16)
SMALL = replace(MCA, name="small", stacks=3, input_hw=(64, 64), joints=3)


def random(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


# Costs


@pytest.mark.parametrize(
    ("spec", "params", "macs"),
    [(MCA, 58_312_088, 63_863_619_584), (replace(MCA, attention_kernel=1), 58_303_448, 63_757_451_264)],
    ids=["11x11", "1x1"],
)
def test_costs(spec: MCASpec, params: int, macs: int) -> None:
    assert (counted(spec).params, counted(spec).macs) == (params, macs)


def test_the_printed_cost_is_in_operations() -> None:
    assert CONVENTIONS["fpd"].printed(counted(MCA).macs_by_kind, 0) == "128"


def test_an_attentions_kernel_is_stored_once_and_runs_three_times() -> None:
    """Four stacks have one attention, four have one and sixteen more."""
    attentions = 4 + 4 * (1 + 16)
    large, small = counted(MCA), counted(replace(MCA, attention_kernel=1))
    assert large.params - small.params == attentions * (11**2 - 1)
    assert large.macs - small.macs == attentions * 3 * (11**2 - 1) * 64 * 64
    runs = [operator for operator in large.operators if operator.module.endswith(".neighbours")]
    assert len(runs) == 3 * attentions
    assert {operator.kernel for operator in runs} == {(11, 11)}
    assert {operator.output_shape for operator in runs} == {(1, 1, 64, 64)}


# Wiring


class Independent(Layers):
    """MCA from its state dict, with functions and a loop for each way of an hourglass."""

    def residual(self, x: Tensor, name: str) -> Tensor:
        y = x
        for i in (1, 2, 3):
            y = self.conv(F.relu(self.norm(y, f"{name}.bn{i}")), f"{name}.conv{i}.conv")
        skip = f"{name}.skip_layer.conv"
        return y + (self.conv(x, skip) if f"{skip}.weight" in self.state else x)

    def residual_pool(self, x: Tensor, name: str) -> Tensor:
        y = F.relu(self.norm(x, f"{name}.pooled.0"))
        y = self.conv(y if self.mistake == "no pooling" else F.max_pool2d(y, 2), f"{name}.pooled.3")
        y = self.conv(F.relu(self.norm(y, f"{name}.pooled.4")), f"{name}.pooled.6")
        y = y if self.mistake == "no pooling" else F.interpolate(y, scale_factor=2)
        return self.residual(x, name) + (0 if self.mistake == "two branches" else y)

    def beside(self, x: Tensor, name: str, level: int) -> Tensor:
        x = self.residual(x, f"{name}.0")
        for i in range(1, level - 1):
            x = self.residual_pool(x, f"{name}.{i}")
        return x

    def hourglass(self, x: Tensor, name: str) -> Tensor:
        beside, paths = [], [name + ".low2" * i for i in range(4)]
        for i, path in enumerate(paths):
            beside.append(self.beside(x, f"{path}.up1", 4 - i))
            x = self.residual(F.max_pool2d(x, 2), f"{path}.low1")
        x = self.residual(x, f"{paths[-1]}.low2")
        for path in reversed(paths):
            x = F.interpolate(self.residual(x, f"{path}.low3"), scale_factor=2) + beside.pop()
        return x

    def attention(self, x: Tensor, name: str) -> Tensor:
        u = self.conv(x, f"{name}.evidence")
        q = F.relu(u) if self.mistake == "another start" else u
        for _ in range({"two iterations": 2, "four iterations": 4}.get(self.mistake, 3)):
            q = self.conv(q, f"{name}.neighbours") + (0 if self.mistake == "evidence used once" else u)
            q = q if self.mistake == "sigmoid at the end" else q.sigmoid()
        q = q.sigmoid() if self.mistake == "sigmoid at the end" else q
        return x + x * q if self.mistake == "attention as a residual" else x * q

    def head(self, x: Tensor, name: str) -> Tensor:
        whole = self.attention(x, f"{name}.whole")
        if f"{name}.heatmaps.weight" in self.state:
            return self.conv(whole, f"{name}.heatmaps")
        whole = x if self.mistake == "parts without the whole" else whole
        parts = []
        while f"{name}.parts.{len(parts)}.1.weight" in self.state:
            part = f"{name}.parts.{len(parts)}"
            parts.append(self.conv(self.attention(whole, f"{part}.0"), f"{part}.1"))
        return torch.cat(parts, 1)

    def linear(self, x: Tensor, name: str) -> Tensor:
        return F.relu(self.norm(self.conv(x, f"{name}.0"), f"{name}.1"))

    def stem(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.conv(x, "stem.0"), "stem.1"))
        x = F.max_pool2d(self.residual(x, "stem.3"), 2)
        x = F.max_pool2d(self.residual(self.residual(x, "stem.5"), "stem.6"), 2)
        for i in (8, 9, 10):
            x = self.residual(x, f"stem.{i}")
        return x

    def forward(self, spec: MCASpec, x: Tensor) -> list[Tensor]:
        x = self.stem(x)
        heatmaps = []
        for stack in range(spec.stacks):
            features = self.linear(self.hourglass(x, f"hourglasses.{stack}"), f"features.{stack}")
            attended = self.linear(features, f"attended.{stack}")
            heatmaps.append(self.head(attended, f"heads.{stack}"))
            if stack + 1 < spec.stacks:
                source = attended if self.mistake == "the attended features passed on" else features
                x = x + self.conv(heatmaps[-1], f"merge_heatmaps.{stack}")
                x = x + self.linear(source, f"merge_features.{stack}")
        return heatmaps


MISTAKES = (
    "two branches",
    "no pooling",
    "two iterations",
    "four iterations",
    "another start",
    "evidence used once",
    "sigmoid at the end",
    "attention as a residual",
    "parts without the whole",
    "the attended features passed on",
)


@torch.no_grad()
def test_forward_equals_a_computation_without_modules() -> None:
    net = scramble(build(SMALL))
    found = net(random(1, 3, 64, 128))
    expected = Independent(net.state_dict()).forward(SMALL, random(1, 3, 64, 128))
    assert relative_error(found, expected[-1]) < 1e-10
    for module in net.modules():  # training mode, but for the statistics, so that both modes compute the same
        module.training = not isinstance(module, nn.BatchNorm2d)
    heatmaps = net(random(1, 3, 64, 128))
    assert len(heatmaps) == len(expected) == 3
    for ours, theirs in zip(heatmaps, expected, strict=True):
        assert ours.shape == (1, 3, 16, 32)
        assert relative_error(ours, theirs) < 1e-10


@torch.no_grad()
def test_parity_notices_plausible_mistakes() -> None:
    spec = replace(SMALL, stacks=2)
    net = scramble(build(spec))
    found = net(random(1, 3, 64, 64))
    assert relative_error(Independent(net.state_dict()).forward(spec, random(1, 3, 64, 64))[-1], found) < 1e-10
    for mistake in MISTAKES:
        wrong = Independent(net.state_dict(), mistake).forward(spec, random(1, 3, 64, 64))[-1]
        assert relative_error(wrong, found) > 1e-3, mistake


def test_heads_attention_and_pooled_branches_stand_where_the_authors_have_them() -> None:
    with torch.device("meta"):
        net = build(MCA)
    assert [type(head) for head in net.heads] == [HolisticHead] * 4 + [PartHead] * 4
    assert [head.whole.evidence.in_channels for head in net.heads] == [256] * 7 + [512]
    for head in net.heads:
        attentions = [module for module in head.modules() if isinstance(module, Attention)]
        assert len(attentions) == (17 if isinstance(head, PartHead) else 1)
        assert len({id(attention.neighbours.weight) for attention in attentions}) == len(attentions)
    pools = [name for name, module in net.hourglasses[0].named_modules() if isinstance(module, ResidualPool)]
    assert sorted(pools) == ["low2.up1.1", "up1.1", "up1.2"]


def test_the_stem_starts_at_the_images_resolution() -> None:
    maps = counted(MCA).maps
    assert maps["stem.0"] == (1, 64, 256, 256)
    assert [maps[f"stem.{i}"][1:] for i in (3, 4, 6, 7, 10)] == [
        (64, 256, 256), (64, 128, 128), (128, 128, 128), (128, 64, 64), (256, 64, 64),
    ]  # fmt: skip


# Learning


@pytest.mark.slow
def test_ten_steps_reduce_the_loss_and_every_gradient_is_finite() -> None:
    torch.manual_seed(0)
    net = build(replace(SMALL, stacks=2))
    images, targets = torch.randn(4, 3, 64, 64), torch.rand(4, 3, 16, 16)

    def loss() -> Tensor:
        return torch.stack([F.mse_loss(heatmaps, targets) for heatmaps in net(images)]).sum()

    losses = losses_of_ten_steps(net, torch.optim.Adam(net.parameters(), lr=1e-3), loss)
    assert losses[-1] < 0.8 * losses[0]
