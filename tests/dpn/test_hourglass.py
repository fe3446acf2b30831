"""The stacked hourglass: its costs, its wiring against a second computation, its names, and that it learns."""

import re
from itertools import product
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.counts.conventions import CONVENTIONS
from dpn.build import build
from dpn.checkpoints import load
from dpn.networks.hourglass import Hourglass, Residual, StackedHourglass
from dpn.spec import HourglassSpec, replace
from dpn.weight_files import CheckpointError
from tests.dpn.learning import losses_of_ten_steps
from tests.dpn.parity import Layers, counted, relative_error, scramble

pytestmark = pytest.mark.usefixtures("one_thread")

STANDARD = HourglassSpec(name="standard", stacks=8)
WITHOUT = replace(STANDARD, name="without", post_residual=False)
SMALL = HourglassSpec(name="small", stacks=2, channels=16, joints=5, input_hw=(64, 64))


def image(height: int = 64, width: int = 64) -> Tensor:
    return torch.randn(1, 3, height, width, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


# Costs


@pytest.mark.parametrize(
    ("spec", "params", "macs"),
    [
        (STANDARD, 25_437_960, 20_591_935_488),
        (WITHOUT, 23_721_736, 15_357_444_096),
        (replace(WITHOUT, joints=16, input_hw=(256, 256)), 23_717_888, 20_460_863_488),
    ],
    ids=["standard", "without", "without at 256x256"],
)
def test_costs(spec: HourglassSpec, params: int, macs: int) -> None:
    result = counted(spec)
    assert (result.params, result.macs) == (params, macs)


GIMACS = CONVENTIONS["gimacs"]


def test_printed_costs_belong_to_the_network_without_the_post_residual() -> None:
    assert GIMACS.printed(counted(WITHOUT).macs_by_kind) == "14.3"
    assert GIMACS.printed(counted(replace(WITHOUT, joints=16, input_hw=(256, 256))).macs_by_kind, 3) == "19.056"
    assert GIMACS.printed(counted(STANDARD).macs_by_kind, 3) == "19.178"


@pytest.mark.parametrize(("post_residual", "printed"), [(True, "2.22"), (False, "1.61")])
def test_cost_of_one_more_stack(post_residual: bool, printed: str) -> None:
    """The CPN paper's stacks are 2.22 apart: with the post-residual."""
    spec = replace(STANDARD, joints=16, post_residual=post_residual)
    more, fewer = counted(replace(spec, stacks=2)).macs_by_kind, counted(replace(spec, stacks=1)).macs_by_kind
    assert GIMACS.printed({kind: more[kind] - fewer[kind] for kind in more}, 2) == printed


def by_stacks(post_residual: bool, stacks: int) -> tuple[int, dict[str, int]]:
    """Parameters and MACs by kind of so many stacks: those of one, and of each further one what the second adds."""
    one, two = (counted(replace(STANDARD, stacks=n, post_residual=post_residual)) for n in (1, 2))
    macs = {kind: n + (stacks - 1) * (two.macs_by_kind[kind] - n) for kind, n in one.macs_by_kind.items()}
    return one.params + (stacks - 1) * (two.params - one.params), macs


def test_no_variant_meets_both_printed_numbers() -> None:
    """25.1 M parameters and a cost of 14.3 stand in one row of Table VI; each is compared in every convention."""
    assert by_stacks(True, 8) == (counted(STANDARD).params, counted(STANDARD).macs_by_kind)
    by_cost, by_params = set(), set()
    for stacks, post_residual in product(range(1, 17), (True, False)):
        params, macs = by_stacks(post_residual, stacks)
        if abs(params / 1e6 - 25.1) <= 0.1:
            by_params.add((stacks, post_residual))
        if "14.3" in {convention.printed(macs) for convention in CONVENTIONS.values()}:
            by_cost.add((stacks, post_residual))
    assert by_cost == {(8, False)}
    assert by_params == set()


# Wiring


class Independent(Layers):
    """A stacked hourglass from its state dict, with functions and a loop for each way of an hourglass."""

    def conv_norm_relu(self, x: Tensor, name: str, stride: int = 1) -> Tensor:
        return F.relu(self.norm(self.conv(x, f"{name}.conv", stride), f"{name}.bn"))

    def residual(self, x: Tensor, name: str) -> Tensor:
        shortcut = x
        if f"{name}.skip_layer.conv.weight" in self.state:
            shortcut = self.conv(x, f"{name}.skip_layer.conv")
        y = x
        for i in (1, 2, 3):
            y = y if self.mistake == "no pre-activation" else F.relu(self.norm(y, f"{name}.bn{i}"))
            y = self.conv(y, f"{name}.conv{i}.conv")
        y = y if self.mistake == "no shortcut" else y + shortcut
        return F.relu(y) if self.mistake == "activation after the sum" else y

    def hourglass(self, x: Tensor, name: str) -> Tensor:
        beside, paths = [], [name + ".low2" * i for i in range(4)]
        for path in paths:
            beside.append(x if self.mistake == "nothing beside" else self.residual(x, f"{path}.up1"))
            pool = F.avg_pool2d if self.mistake == "average pooling" else F.max_pool2d
            x = self.residual(pool(x, 2), f"{path}.low1")
        x = x if self.mistake == "nothing at the bottom" else self.residual(x, f"{paths[-1]}.low2")
        for path in reversed(paths):
            x = self.residual(x, f"{path}.low3")
            bilinear = self.mistake == "bilinear"
            x = F.interpolate(x, scale_factor=2, mode="bilinear") if bilinear else F.interpolate(x, scale_factor=2)
            x = x + beside.pop()
        return x

    def forward(self, spec: HourglassSpec, x: Tensor) -> list[Tensor]:
        x = self.residual(self.conv_norm_relu(x, "pre.0", stride=2), "pre.1")
        x = self.residual(self.residual(F.max_pool2d(x, 2), "pre.3"), "pre.4")
        heatmaps = []
        for stack in range(spec.stacks):
            features = self.hourglass(x, f"hgs.{stack}.0")
            if spec.post_residual:
                features = self.residual(features, f"features.{stack}.0")
            features = self.conv_norm_relu(features, f"features.{stack}.1")
            heatmaps.append(self.conv(features, f"outs.{stack}.conv"))
            if stack + 1 < spec.stacks:
                merged = self.conv(features, f"merge_features.{stack}.conv.conv")
                if self.mistake != "heatmaps not taken up":
                    merged = merged + self.conv(heatmaps[-1], f"merge_preds.{stack}.conv.conv")
                x = merged if self.mistake == "stem not passed on" else x + merged
        return heatmaps


@pytest.mark.parametrize("spec", [SMALL, replace(SMALL, post_residual=False)], ids=["standard", "without"])
@torch.no_grad()
def test_forward_equals_a_computation_without_modules(spec: HourglassSpec) -> None:
    net = scramble(build(spec))
    expected = Independent(net.state_dict()).forward(spec, image(64, 128))
    assert relative_error(net(image(64, 128)), expected[-1]) < 1e-10
    single = build(spec).eval()
    single.load_state_dict(net.state_dict())
    assert relative_error(single(image(64, 128).float()).double(), expected[-1]) < 1e-5


MISTAKES = (
    "no pre-activation",
    "activation after the sum",
    "no shortcut",
    "nothing beside",
    "average pooling",
    "nothing at the bottom",
    "bilinear",
    "heatmaps not taken up",
    "stem not passed on",
)


@torch.no_grad()
def test_parity_notices_plausible_mistakes() -> None:
    net = scramble(build(SMALL))
    found = net(image())
    for mistake in MISTAKES:
        wrong = Independent(net.state_dict(), mistake).forward(SMALL, image())[-1]
        assert relative_error(wrong, found) > 1e-2, mistake


@torch.no_grad()
def test_training_gives_the_heatmaps_of_every_stack_and_inference_the_last() -> None:
    net = scramble(build(replace(SMALL, stacks=3)))
    last = net(image())
    for module in net.modules():  # training mode, but for the statistics, so that both modes compute the same
        module.training = not isinstance(module, nn.BatchNorm2d)
    heatmaps = net(image())
    expected = Independent(net.state_dict()).forward(replace(SMALL, stacks=3), image())
    assert len(heatmaps) == len(expected) == 3
    for ours, theirs in zip(heatmaps, expected, strict=True):
        assert ours.shape == (1, 5, 16, 16)
        assert relative_error(ours, theirs) < 1e-10
    assert torch.equal(heatmaps[-1], last)


def test_an_hourglass_asks_for_each_block_once_with_its_level() -> None:
    asked = []

    def block(place: str, level: int) -> nn.Module:
        asked.append((place, level))
        return nn.Identity()

    hourglass = Hourglass(4, block)
    assert sorted(asked) == sorted([*product(("up1", "low1", "low3"), (1, 2, 3, 4)), ("low2", 1)])
    x = torch.zeros(1, 1, 16, 16)
    x[..., 5, 9] = 1  # max pooling passes it down, and five maps of blocks of 1, 2, 4, 8 and 16 cells meet it
    out = hourglass(x)
    for side in (1, 2, 4, 8, 16):
        row, column = 5 // side * side, 9 // side * side
        assert out[0, 0, row : row + side, column : column + side].min() >= 5 - (1, 2, 4, 8, 16).index(side)
    assert out.sum() == 1 + 4 + 16 + 64 + 256


def test_another_residual_takes_the_place_of_every_one() -> None:
    made = []

    def residual(in_channels: int, out_channels: int) -> nn.Module:
        made.append((in_channels, out_channels))
        return nn.Conv2d(in_channels, out_channels, 1)

    with torch.device("meta"):
        net = StackedHourglass(SMALL, residual=residual)
        heatmaps = net(torch.empty(1, 3, 64, 64))
    assert made[:3] == [(64, 128), (128, 128), (128, 16)]
    assert made[3:] == [(16, 16)] * 2 * (13 + 1)
    assert not any(isinstance(module, Residual) for module in net.modules())
    assert [tuple(map_.shape) for map_ in heatmaps] == [(1, 5, 16, 16)] * 2


# Names


NORM = r"(weight|bias|running_mean|running_var|num_batches_tracked)"
CONV = r"conv\.(weight|bias)"
BLOCK = rf"(bn[123]\.{NORM}|conv[123]\.{CONV})"
NAMES = (
    rf"pre\.0\.(bn\.{NORM}|{CONV})",
    rf"pre\.[14]\.({BLOCK}|skip_layer\.{CONV})",
    rf"pre\.3\.{BLOCK}",
    rf"hgs\.[0-7]\.0\.(low2\.){{0,3}}(up1|low1|low3)\.{BLOCK}",
    rf"hgs\.[0-7]\.0\.(low2\.){{4}}{BLOCK}",
    rf"features\.[0-7]\.0\.{BLOCK}",
    rf"features\.[0-7]\.1\.(bn\.{NORM}|{CONV})",
    rf"outs\.[0-7]\.{CONV}",
    rf"merge_(features|preds)\.[0-6]\.conv\.{CONV}",
)


@pytest.mark.parametrize(("spec", "absent"), [(STANDARD, []), (WITHOUT, [5])], ids=["standard", "without"])
def test_names_in_the_state_dict(spec: HourglassSpec, absent: list[int]) -> None:
    with torch.device("meta"):
        state = build(spec).state_dict()
    used = [[key for key in state if re.fullmatch(pattern, key)] for pattern in NAMES]
    assert sorted(key for keys in used for key in keys) == sorted(state)
    assert [i for i, keys in enumerate(used) if not keys] == absent


def test_a_file_of_the_authors_port_loads_without_its_dead_shortcuts(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net, theirs = build(replace(SMALL, stacks=1)), build(replace(SMALL, stacks=1)).state_dict()
    dead = {
        f"{name}.skip_layer.conv.{kind}": torch.zeros(1)
        for name, module in net.named_modules()
        if isinstance(module, Residual) and module.skip_layer is None
        for kind in ("weight", "bias")
    }
    assert len(dead) == 2 * (1 + 13 + 1)
    path = tmp_path / "checkpoint.pt"
    torch.save({"state_dict": {f"model.module.{name}": value for name, value in (theirs | dead).items()}}, path)
    before = {name: tensor.zero_() for name, tensor in net.state_dict().items()}
    load(net, path)
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in before.items())
    torch.save(theirs | {"fc.weight": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match=r"1 unexpected \(fc\.weight\)"):
        load(net, path)


# Start and learning


@torch.no_grad()
def test_convolutions_start_uniform_within_one_over_the_root_of_their_fan_in() -> None:
    torch.manual_seed(0)
    for name, module in build(replace(SMALL, stacks=1)).named_modules():
        if isinstance(module, nn.Conv2d):
            assert module.bias is not None, name
            bound = module.weight[0].numel() ** -0.5
            assert 0.95 * bound < float(module.weight.abs().max()) <= bound, name
            assert float(module.bias.abs().max()) <= bound, name


def test_ten_steps_reduce_the_loss_and_every_gradient_is_finite() -> None:
    torch.manual_seed(0)
    net = build(SMALL)
    images, targets = torch.randn(4, 3, 64, 64), torch.rand(4, 5, 16, 16)

    def loss() -> Tensor:
        return torch.stack([F.mse_loss(heatmaps, targets) for heatmaps in net(images)]).sum()

    losses = losses_of_ten_steps(net, torch.optim.Adam(net.parameters(), lr=3e-3), loss)
    assert losses[-1] < 0.8 * losses[0]
