"""DeeperCut: costs, where strides and dilations are, what its heads see and where they put it, and that it learns."""

from functools import cache

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.counts.conventions import CONVENTIONS
from bench.counts.macs import Count, count
from dpn.build import build
from dpn.networks.blocks import Bottleneck
from dpn.networks.deepercut import DeeperCut, PartMaps
from dpn.spec import DeeperCutSpec, replace
from tests.dpn.learning import losses_of_ten_steps

COSTED = DeeperCutSpec(name="costed", input_hw=(256, 256), joints=16)
RELEASED = replace(COSTED, name="released", output_stride=16, transposed_heads=True)


@cache
def on_meta(spec: DeeperCutSpec) -> DeeperCut:
    with torch.device("meta"):
        net = build(spec)
    assert isinstance(net, DeeperCut)
    return net


def counted(spec: DeeperCutSpec) -> Count:
    result = count(on_meta(spec), (1, 3, *spec.input_hw))
    assert result.complete
    return result


@pytest.mark.parametrize(
    ("spec", "params", "macs"),
    [
        (COSTED, 42_598_512, 44_311_773_184),
        (replace(COSTED, joints=14), 42_586_218, 44_299_190_272),
        (replace(RELEASED, joints=14), 43_403_384, 12_985_040_896),
    ],
    ids=["16 joints", "14 joints", "released"],
)
def test_costs(spec: DeeperCutSpec, params: int, macs: int) -> None:
    assert (counted(spec).params, counted(spec).macs) == (params, macs)


def test_the_printed_cost_is_that_of_stride_8_truncated() -> None:
    """Table VII prints 41.2, which fits 14 joints and 16."""
    truncated = CONVENTIONS["gimacs_truncated"]
    for joints in (14, 16):
        assert truncated.printed(counted(replace(COSTED, joints=joints)).macs_by_kind) == "41.2"
    assert truncated.printed(counted(RELEASED).macs_by_kind) != "41.2"


def test_the_released_networks_own_strides_cost_two_and_a_half_percent_less() -> None:
    """Slim's ResNet strides one unit earlier, on the 3x3, and lets the shortcut skip positions: a known deviation."""
    with torch.device("meta"):
        net = build(RELEASED)
    for last, first in ((net.resnet.layer1[-1], net.resnet.layer2[0]), (net.resnet.layer2[-1], net.resnet.layer3[0])):
        first.conv1.stride = first.downsample[0].stride = (1, 1)
        last.conv2.stride, last.downsample = (2, 2), nn.MaxPool2d(1, 2)
    slim = count(net, (1, 3, 256, 256))
    assert slim.params == counted(RELEASED).params
    assert 0.974 < slim.macs / counted(RELEASED).macs < 0.976


@pytest.mark.parametrize(
    ("spec", "strides", "dilations"),
    [(COSTED, (1, 2, 1, 1), (1, 1, 2, 4)), (RELEASED, (1, 2, 2, 1), (1, 1, 1, 2))],
    ids=["costed", "released"],
)
def test_stages_are_dilated_where_they_are_not_strided(
    spec: DeeperCutSpec, strides: tuple[int, ...], dilations: tuple[int, ...]
) -> None:
    """Also the first block of a dilated stage: its stride was on the 1x1, so that its 3x3 stood behind it."""
    resnet = on_meta(spec).resnet
    stages = [resnet.layer1, resnet.layer2, resnet.layer3, resnet.layer4]
    assert [len(stage) for stage in stages] == [3, 4, 23, 3]
    for stage, stride, dilation in zip(stages, strides, dilations, strict=True):
        for i, block in enumerate(stage):
            assert isinstance(block, Bottleneck)
            assert block.conv1.stride == ((stride, stride) if i == 0 else (1, 1))
            assert block.conv2.stride == block.conv3.stride == (1, 1)
            assert block.conv2.dilation == block.conv2.padding == (dilation, dilation)


@pytest.mark.parametrize("spec", [COSTED, RELEASED], ids=["costed", "released"])
def test_both_variants_give_maps_at_a_stride_of_8(spec: DeeperCutSpec) -> None:
    maps = on_meta(spec)(torch.empty(2, 3, 128, 96, device="meta"))
    assert isinstance(maps, PartMaps)
    assert maps.scores.shape == (2, 16, 16, 12)
    assert maps.offsets.shape == (2, 32, 16, 12)
    assert (maps.intermediate_scores is None) == (spec is COSTED)
    if maps.intermediate_scores is not None:
        assert maps.intermediate_scores.shape == (2, 16, 16, 12)


def test_the_intermediate_head_sees_twelve_units_of_the_third_stage_and_the_others_all() -> None:
    with torch.device("meta"):
        net = build(RELEASED)
    taken: dict[str, Tensor] = {}
    given: dict[str, Tensor] = {}
    for name, module in net.named_modules():
        if isinstance(module, Bottleneck):
            module.register_forward_hook(lambda _, __, y, name=name: given.update({name: y}))
        module.register_forward_pre_hook(lambda _, x, name=name: taken.update({name: x[0]}))
    net(torch.empty(1, 3, 64, 64, device="meta"))
    assert list(given) == [f"resnet.layer{i}.{j}" for i, n in enumerate((3, 4, 23, 3), start=1) for j in range(n)]
    assert taken["intermediate_scores"] is given["resnet.layer3.11"] is taken["resnet.layer3.12"]
    assert taken["scores"] is taken["offsets"] is given["resnet.layer4.2"]


@torch.no_grad()
def test_a_transposed_head_puts_position_i_of_its_input_at_2i() -> None:
    """Of three taps the first falls on it, as in TensorFlow's doubling; PyTorch's padding would put it at 2i - 1."""
    net = on_meta(RELEASED)
    head = type(net.scores)(1, 1)
    head.weight.copy_(torch.arange(1.0, 10).view(1, 1, 3, 3))
    head.bias.zero_()
    x = torch.zeros(1, 1, 4, 4)
    x[..., 1, 3] = 1
    out = head(x)
    assert out.shape == (1, 1, 8, 8)
    assert torch.equal(out[0, 0, 2:5, 6:], torch.tensor([[1.0, 2], [4, 5], [7, 8]]))
    assert out.count_nonzero() == 6


@pytest.mark.slow
@pytest.mark.parametrize("spec", [COSTED, RELEASED], ids=["costed", "released"])
def test_ten_steps_reduce_the_loss_and_every_gradient_is_finite(spec: DeeperCutSpec) -> None:
    torch.manual_seed(0)
    net = build(spec)
    images, parts, offsets = torch.randn(2, 3, 64, 64), torch.rand(2, 16, 8, 8).round(), torch.randn(2, 32, 8, 8)

    def loss() -> Tensor:
        maps = net(images)
        value = F.binary_cross_entropy_with_logits(maps.scores, parts) + 0.05 * F.huber_loss(maps.offsets, offsets)
        if maps.intermediate_scores is not None:
            value = value + F.binary_cross_entropy_with_logits(maps.intermediate_scores, parts)
        return value

    losses = losses_of_ten_steps(net, torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9), loss)
    assert losses[-1] < 0.8 * losses[0]


def test_weights_start_with_the_variance_that_keeps_a_relu_networks_maps() -> None:
    torch.manual_seed(0)
    net = build(COSTED)
    for path, module in net.named_modules():
        if isinstance(module, nn.Conv2d) and path.startswith("resnet") and module.weight.numel() > 10_000:
            variance = 2 / module.weight[0].numel()
            assert abs(float(module.weight.detach().var()) / variance - 1) < 0.1, path
