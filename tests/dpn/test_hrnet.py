"""HRNet: its costs, the names of the released files, and parity with a computation written from the state dict."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.counts.conventions import CONVENTIONS
from dpn.build import build
from dpn.spec import DPNOnHRNetSpec, HRNetSpec, ModelSpec, replace
from dpn.zoo import ZOO
from tests.dpn.parity import Layers, counted, relative_error, scramble

W32 = HRNetSpec(name="w32", width=32)
W48 = HRNetSpec(name="w48", width=48)
ON_HRNET = DPNOnHRNetSpec(name="on_hrnet", backbone=W32, modules=2, width=64)
SMALL = HRNetSpec(name="small", width=4, joints=3)
SMALL_ON_HRNET = DPNOnHRNetSpec(name="small_on", backbone=SMALL, modules=2, width=2, dilations=(4, 2, 1), joints=3)
KEYS = Path(__file__).resolve().parents[3] / "shared" / "facts" / "hrnet_w32_keys.json"


def shapes(spec: ModelSpec) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in build(spec).state_dict().items()}


# Costs


@pytest.mark.parametrize(
    ("spec", "params", "macs", "printed"),
    [
        (W32, 28_536_113, 7_645_003_776, "7.1"),
        (W48, 63_595_745, 15_691_825_152, "14.6"),
        (replace(W32, input_hw=(256, 256), joints=16), 28_536_080, 10_193_207_296, "9.5"),
        (replace(W32, input_hw=(384, 288)), 28_536_113, 17_201_258_496, "16.0"),
        (replace(W48, input_hw=(384, 288)), 63_595_745, 35_306_606_592, "32.9"),
    ],
)
def test_published_costs(spec: HRNetSpec, params: int, macs: int, printed: str) -> None:
    found = counted(spec)
    assert (found.params, found.macs) == (params, macs)
    assert CONVENTIONS["hrnet_summary"].printed(found.macs_by_kind) == printed


def test_dpn_on_hrnet_prints_its_costs_of_table_6() -> None:
    found = counted(ON_HRNET)
    assert round(found.params / 1e6, 3) == 29.459
    assert round(found.macs / 2**30, 2) == 7.78
    assert f"{found.params / 1e6:.1f}" == "29.5"
    assert CONVENTIONS["gimacs"].printed(found.macs_by_kind) == "7.8"


def test_dpn_on_hrnet_costs_its_parts() -> None:
    """HRNet less its head, the transition at 32x24, and what a DPN2_64 has behind conv2."""
    whole, hrnet, dpn = (counted(spec) for spec in (ON_HRNET, W32, ZOO["dpn2_64"]))
    without_head = hrnet.macs - 64 * 48 * 32 * 17
    transition = 32 * 24 * 32 * 256
    behind_conv2 = sum(op.macs for op in dpn.operators if op.module.split(".")[0] in ("dpm", "fuse", "heatmap"))
    assert whole.macs == without_head + transition + behind_conv2
    assert whole.maps["dpm.2"] == (1, 256, 32, 24)
    assert whole.maps[""] == (1, 17, 64, 48)


# Names


def convolution(name: str, *shape: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": shape}


def norm(name: str, channels: int) -> dict[str, tuple[int, ...]]:
    entries = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{entry}": (channels,) for entry in entries} | {f"{name}.num_batches_tracked": ()}


def pair(name: str, into: int, out: int, kernel: int) -> dict[str, tuple[int, ...]]:
    """A convolution and its batch norm, numbered 0 and 1."""
    return convolution(f"{name}.0", out, into, kernel, kernel) | norm(f"{name}.1", out)


def names_by_hand(width: int, joints: int) -> dict[str, tuple[int, ...]]:
    """The released network's entries with their shapes, from its description alone."""
    names = convolution("conv1", 64, 3, 3, 3) | norm("bn1", 64) | convolution("conv2", 64, 64, 3, 3) | norm("bn2", 64)
    for block in range(4):
        name = f"layer1.{block}"
        names |= convolution(f"{name}.conv1", 64, 256 if block else 64, 1, 1) | norm(f"{name}.bn1", 64)
        names |= convolution(f"{name}.conv2", 64, 64, 3, 3) | norm(f"{name}.bn2", 64)
        names |= convolution(f"{name}.conv3", 256, 64, 1, 1) | norm(f"{name}.bn3", 256)
    names |= pair("layer1.0.downsample", 64, 256, 1)
    c = [width, 2 * width, 4 * width, 8 * width]
    names |= pair("transition1.0", 256, c[0], 3) | pair("transition1.1.0", 256, c[1], 3)
    names |= pair("transition2.2.0", c[1], c[2], 3) | pair("transition3.3.0", c[2], c[3], 3)
    for stage, modules in ((2, 1), (3, 4), (4, 3)):
        for module in range(modules):
            prefix = f"stage{stage}.{module}"
            for branch in range(stage):
                for block in range(4):
                    for i in (1, 2):
                        name = f"{prefix}.branches.{branch}.{block}"
                        names |= convolution(f"{name}.conv{i}", c[branch], c[branch], 3, 3)
                        names |= norm(f"{name}.bn{i}", c[branch])
            for target in range(1 if (stage, module) == (4, 2) else stage):
                for source in range(stage):
                    name = f"{prefix}.fuse_layers.{target}.{source}"
                    if source > target:
                        names |= pair(name, c[source], c[target], 1)
                    for step in range(target - source):
                        last = step == target - source - 1
                        names |= pair(f"{name}.{step}", c[source], c[target] if last else c[source], 3)
    return names | {"final_layer.weight": (joints, width, 1, 1), "final_layer.bias": (joints,)}


@pytest.mark.parametrize("spec", [W32, W48, replace(W32, joints=16)], ids=["w32", "w48", "16 joints"])
def test_names_and_shapes_are_the_released_networks(spec: HRNetSpec) -> None:
    found = shapes(spec)
    assert found == names_by_hand(spec.width, spec.joints)
    assert len(found) == 1754


@pytest.mark.skipif(not KEYS.is_file(), reason="the recorded list is not on this machine")
def test_names_and_shapes_are_the_recorded_ones() -> None:
    recorded = [(name, tuple(shape)) for name, shape in json.loads(KEYS.read_text())]
    assert list(shapes(W32).items()) == recorded


def test_names_of_dpn_on_hrnet() -> None:
    hrnet = {f"backbone.{name}" for name in names_by_hand(32, 17) if not name.startswith("final_layer")}
    dpn = {name for name in shapes(ZOO["dpn2_64"]) if name.startswith(("dpm.", "fuse.", "heatmap."))}
    assert set(shapes(ON_HRNET)) == hrnet | dpn | set(pair("transition", 32, 256, 1))


def test_convolutions_have_no_bias_except_the_last() -> None:
    for spec, head in ((W32, "final_layer"), (ON_HRNET, "heatmap")):
        with torch.device("meta"):
            net = build(spec)
        assert [path for path, m in net.named_modules() if isinstance(m, nn.Conv2d) and m.bias is not None] == [head]


# Parity


class Independent(Layers):
    """The network as functions and loops over names; knows nothing of the modules."""

    def step(self, x: Tensor, name: str, stride: int = 1) -> Tensor:
        return self.norm(self.conv(x, f"{name}.0", stride), f"{name}.1")

    def basic_block(self, x: Tensor, name: str) -> Tensor:
        y = F.relu(self.norm(self.conv(x, f"{name}.conv1"), f"{name}.bn1"))
        return F.relu(x + self.norm(self.conv(y, f"{name}.conv2"), f"{name}.bn2"))

    def bottleneck(self, x: Tensor, name: str) -> Tensor:
        y = x
        for i in (1, 2, 3):
            y = self.norm(self.conv(y, f"{name}.conv{i}"), f"{name}.bn{i}")
            y = F.relu(y) if i < 3 else y
        shortcut = self.step(x, f"{name}.downsample") if f"{name}.downsample.0.weight" in self.state else x
        return F.relu(y + shortcut)

    def brought(self, maps: list[Tensor], source: int, target: int, name: str) -> Tensor:
        x = maps[source]
        if source > target:
            x, size = self.step(x, name), maps[target].shape[-2:]
            return F.interpolate(x, size, mode="bilinear" if self.mistake == "bilinear" else "nearest")
        for k in range(target - source):
            x = self.step(x, f"{name}.{k}", stride=2)
            if k < target - source - 1 or self.mistake == "ReLU after every halving":
                x = F.relu(x)
        return x

    def module(self, maps: list[Tensor], name: str, outputs: int) -> list[Tensor]:
        for r in range(len(maps)):
            for block in range(4):
                maps[r] = self.basic_block(maps[r], f"{name}.branches.{r}.{block}")
        fused = []
        for i in range(outputs):
            rows = [self.brought(maps, j, i, f"{name}.fuse_layers.{i}.{j}") for j in range(len(maps))]
            total = torch.stack(rows).sum(0)
            fused.append(total if self.mistake == "no ReLU after a fusion" else F.relu(total))
        return fused

    def finest(self, x: Tensor) -> Tensor:
        for i in (1, 2):
            x = F.relu(self.norm(self.conv(x, f"conv{i}", stride=2), f"bn{i}"))
        for block in range(4):
            x = self.bottleneck(x, f"layer1.{block}")
        maps = [F.relu(self.step(x, "transition1.0")), F.relu(self.step(x, "transition1.1.0", stride=2))]
        maps = self.module(maps, "stage2.0", 2)
        for stage, modules in ((3, 4), (4, 3)):
            maps.append(F.relu(self.step(maps[-1], f"transition{stage - 1}.{stage - 1}.0", stride=2)))
            for module in range(modules):
                maps = self.module(maps, f"stage{stage}.{module}", 1 if (stage, module) == (4, 2) else stage)
        return maps[0]

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.finest(x), "final_layer")


def image(height: int = 64, width: int = 64) -> Tensor:
    return torch.randn(2, 3, height, width, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_forward_equals_a_computation_without_modules() -> None:
    net = scramble(build(SMALL))
    expected = Independent(net.state_dict()).forward(image(64, 96))
    assert expected.shape == (2, 3, 16, 24)
    assert relative_error(net(image(64, 96)), expected) < 1e-10
    assert relative_error(net.float()(image(64, 96).float()).double(), expected) < 1e-5


@torch.no_grad()
def test_forward_of_width_32_in_single_precision() -> None:
    net = scramble(build(W32)).float()
    x = image(64, 32)[:1].float()
    assert relative_error(net(x), Independent(net.state_dict()).forward(x)) < 1e-5


@pytest.mark.parametrize("mistake", ["bilinear", "ReLU after every halving", "no ReLU after a fusion"])
@torch.no_grad()
def test_parity_notices_mistakes(mistake: str) -> None:
    net = scramble(build(SMALL))
    assert relative_error(Independent(net.state_dict(), mistake).forward(image()), net(image())) > 1e-2


class IndependentOnHRNet(Independent):
    """The same behind an HRNet: names of the backbone without their prefix, then the DPN's part."""

    def __init__(self, state: dict[str, Tensor]) -> None:
        super().__init__({name.removeprefix("backbone."): tensor for name, tensor in state.items()})

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.step(self.finest(x), "transition", stride=2))
        for n in (1, 2):
            for i, d in enumerate(SMALL_ON_HRNET.dilations):
                name = f"dpm.{n}.{i}"
                y = F.relu(self.norm(self.conv(x, f"{name}.conv1"), f"{name}.bn1"))
                y = F.conv2d(y, self.state[f"{name}.conv2.weight"], padding=d, dilation=d)
                y = self.conv(F.relu(self.norm(y, f"{name}.bn2")), f"{name}.conv3")
                x = F.relu(x + self.norm(y, f"{name}.bn3"))
        x = F.relu(self.step(x, "fuse"))
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        return self.conv(x, "heatmap")


@torch.no_grad()
def test_dpn_on_hrnet_equals_a_computation_without_modules() -> None:
    net = scramble(build(SMALL_ON_HRNET))
    expected = IndependentOnHRNet(net.state_dict()).forward(image())
    assert expected.shape == (2, 3, 16, 16)
    assert relative_error(net(image()), expected) < 1e-10


# Training


@pytest.mark.parametrize("spec", [SMALL, SMALL_ON_HRNET], ids=["hrnet", "dpn_on_hrnet"])
def test_gradient_reaches_every_layer(spec: ModelSpec) -> None:
    net = scramble(build(spec)).train()
    net(image()).square().sum().backward()
    without = [path for path, p in net.named_parameters() if p.grad is None or not bool(p.grad.any())]
    assert without == []


@pytest.mark.parametrize("spec", [W32, ON_HRNET], ids=["hrnet", "dpn_on_hrnet"])
@torch.no_grad()
def test_initialisation(spec: ModelSpec) -> None:
    torch.manual_seed(0)
    net = build(spec)
    for path, module in net.named_modules():
        if isinstance(module, nn.Conv2d):
            n = module.weight.numel()
            assert abs(float(module.weight.std()) / 1e-3 - 1) < 5 / (2 * n) ** 0.5, path
            assert module.bias is None or not module.bias.any()
        elif isinstance(module, nn.BatchNorm2d):
            assert (module.eps, module.momentum) == (1e-5, 0.1)
            assert bool((module.weight == 1).all()), path
            assert not module.bias.any()


def test_each_branch_has_half_the_size_of_the_finer_one() -> None:
    maps = counted(W32).maps
    sizes = [maps[f"stage4.1.branches.{r}"] for r in range(4)]
    assert sizes[0] == (1, 32, 64, 48)
    for (_, c, h, w), coarser in pairwise(sizes):
        assert coarser == (1, 2 * c, h // 2, w // 2)
