"""The DPN itself: names, wiring and initialisation, and parity with a computation written without its modules."""

import re
from collections.abc import Iterator, Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dpn.build import build
from dpn.networks.blocks import Bottleneck
from dpn.networks.dpn import DPN, DilationPyramidModule
from dpn.spec import DPNSpec, ModelSpec, replace
from dpn.zoo import ZOO
from tests.dpn.parity import Layers, relative_error

SMALL = DPNSpec(name="small", modules=2, width=4, dilations=(4, 2, 1), conv2_blocks=2, input_hw=(64, 64), joints=5)
VARIANTS = {
    "dpn1_32": ZOO["dpn1_32"],
    "small": SMALL,
    "small reversed": replace(SMALL, dilations=(1, 2, 4)),
    "small printed": replace(SMALL, reading="printed"),
    "small high resolution": replace(SMALL, conv2_stride=1),
    "small high resolution printed": replace(SMALL, conv2_stride=1, reading="printed"),
    "small without conv2 blocks": replace(SMALL, conv2_blocks=0),
    "small high resolution without conv2 blocks": replace(SMALL, conv2_blocks=0, conv2_stride=1),
}


def scrambled(spec: ModelSpec, seed: int = 0) -> nn.Module:
    """The network in evaluation mode with weights and statistics that leave no two layers alike."""
    torch.manual_seed(seed)
    net = build(spec).double().eval()
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
        elif isinstance(module, nn.BatchNorm2d):
            for tensor, low, high in (
                (module.weight, 0.5, 1.5),
                (module.bias, -0.5, 0.5),
                (module.running_mean, -0.5, 0.5),
                (module.running_var, 0.5, 1.5),
            ):
                nn.init.uniform_(tensor, low, high)
    nn.init.uniform_(net.heatmap.bias)
    return net


# Parity


class Independent(Layers):
    """Table I, computed from a state dict with functions and loops alone."""

    def conv_norm_relu(self, x: Tensor, name: str, stride: int = 1) -> Tensor:
        return F.relu(self.norm(self.conv(x, f"{name}.0", stride), f"{name}.1"))

    def bottleneck(self, x: Tensor, name: str, stride: int = 1, dilation: int = 1) -> Tensor:
        on_first, on_second = (stride, 1) if self.mistake == "stride on the 1x1" else (1, stride)
        if self.mistake == "pre-activation":
            y = self.conv(F.relu(x), f"{name}.conv1", on_first)
            y = self.conv(F.relu(self.norm(y, f"{name}.bn1")), f"{name}.conv2", on_second, dilation)
            y = self.norm(self.conv(F.relu(self.norm(y, f"{name}.bn2")), f"{name}.conv3"), f"{name}.bn3")
            return y + self.shortcut(x, name, stride)
        y = F.relu(self.norm(self.conv(x, f"{name}.conv1", on_first), f"{name}.bn1"))
        y = F.relu(self.norm(self.conv(y, f"{name}.conv2", on_second, dilation), f"{name}.bn2"))
        y = self.norm(self.conv(y, f"{name}.conv3"), f"{name}.bn3")
        return F.relu(y if self.mistake == "no shortcut" else y + self.shortcut(x, name, stride))

    def shortcut(self, x: Tensor, name: str, stride: int) -> Tensor:
        if f"{name}.downsample.0.weight" not in self.state:
            return x
        return self.norm(self.conv(x, f"{name}.downsample.0", stride), f"{name}.downsample.1")

    def forward(self, spec: DPNSpec, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.conv_norm_relu(x, "conv0", stride=2), 3, 2, 1)
        for i in range(3):
            x = self.bottleneck(x, f"conv1.{i}")
        for i in range(spec.conv2_blocks):
            x = self.bottleneck(x, f"conv2.blocks.{i}", stride=spec.conv2_stride if i == 0 else 1)
        x = self.conv_norm_relu(x, "conv2.transition", stride=1 if spec.conv2_blocks else spec.conv2_stride)
        for n in range(1, spec.modules + 1):
            for i, dilation in enumerate(spec.dilations):
                x = self.bottleneck(x, f"dpm.{n}.{i}", dilation=dilation)
        if spec.reading == "costed":
            x = self.conv_norm_relu(x, "fuse")
        if spec.reading == "costed" or spec.conv2_stride == 2:
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        return self.conv(x, "heatmap")


def image(height: int = 64, width: int = 64) -> Tensor:
    return torch.randn(2, 3, height, width, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("spec", VARIANTS.values(), ids=VARIANTS)
@torch.no_grad()
def test_forward_equals_a_computation_without_modules(spec: DPNSpec) -> None:
    net = scrambled(spec)
    state = net.state_dict()
    expected = Independent(state).forward(spec, image())
    assert relative_error(net(image()), expected) < 1e-10
    single = build(spec).eval()
    single.load_state_dict(state)
    assert relative_error(single(image().float()).double(), expected) < 1e-5


@pytest.mark.parametrize("mistake", ["stride on the 1x1", "pre-activation", "no shortcut"])
@torch.no_grad()
def test_parity_notices_wrong_blocks(mistake: str) -> None:
    net = scrambled(SMALL)
    assert relative_error(Independent(net.state_dict(), mistake).forward(SMALL, image()), net(image())) > 1e-2


@torch.no_grad()
def test_parity_notices_dilations_in_the_other_order() -> None:
    net = scrambled(SMALL)
    backwards = replace(SMALL, dilations=SMALL.dilations[::-1])
    assert relative_error(Independent(net.state_dict()).forward(backwards, image()), net(image())) > 1e-2


@torch.no_grad()
def test_images_of_a_batch_do_not_mix() -> None:
    net = scrambled(SMALL)
    assert torch.allclose(net(image())[1:], net(image()[1:]), rtol=1e-10)


# Structure


def dilated(net: nn.Module) -> list[tuple[int, ...]]:
    """Dilations of the 3x3 convolutions of each pyramid module, in the order in which data meets them."""
    modules: list[list[int]] = []
    hooks = []
    for module in net.modules():
        if isinstance(module, DilationPyramidModule):
            hooks.append(module.register_forward_pre_hook(lambda *_: modules.append([])))
            for conv in module.modules():
                if isinstance(conv, nn.Conv2d) and conv.kernel_size == (3, 3):
                    hooks.append(conv.register_forward_hook(lambda conv, *_: modules[-1].append(conv.dilation[0])))
    net(torch.zeros(1, 3, 64, 64, device=next(net.parameters()).device))
    for hook in hooks:
        hook.remove()
    return [tuple(found) for found in modules]


@pytest.mark.parametrize("name", ["dpn1_32", "dpn4_64", "dpn2_32_reversed", "dpn4_32_d8", "dpn3_64_normal"])
def test_data_meets_the_dilations_from_input_to_output(name: str) -> None:
    spec = ZOO[name]
    with torch.device("meta"):
        net = build(spec).eval()
    assert dilated(net) == [spec.dilations] * spec.modules


def test_the_first_dilation_of_a_dpn_is_32_and_the_last_1() -> None:
    with torch.device("meta"):
        net = build(ZOO["dpn1_32"]).eval()
    assert dilated(net) == [(32, 16, 8, 4, 2, 1)]


def bottleneck_blocks(spec: ModelSpec) -> Iterator[tuple[str, Bottleneck]]:
    with torch.device("meta"):
        net = build(spec)
    return ((name, module) for name, module in net.named_modules() if isinstance(module, Bottleneck))


@pytest.mark.parametrize("name", ["dpn4_64", "dpn4_32", "dpn4_64_highres"])
def test_strides_and_shortcuts_stand_where_resnet_has_them(name: str) -> None:
    for path, block in bottleneck_blocks(ZOO[name]):
        strided = path == "conv2.blocks.0" and ZOO[name].conv2_stride == 2
        assert block.conv1.stride == block.conv3.stride == (1, 1)
        assert block.conv2.stride == ((2, 2) if strided else (1, 1))
        assert block.conv2.padding == block.conv2.dilation
        projected = path in ("conv1.0", "conv2.blocks.0")
        assert (block.downsample is not None) == projected
        if projected:
            assert block.downsample[0].stride == block.conv2.stride
            assert block.downsample[0].kernel_size == (1, 1)
        if path.startswith("conv"):
            assert block.conv2.dilation == (1, 1)


def test_widths_of_table_1() -> None:
    widths = {
        path: (block.conv1.in_channels, block.conv1.out_channels, block.conv3.out_channels)
        for path, block in bottleneck_blocks(ZOO["dpn4_64"])
    }
    assert widths["conv1.0"] == (64, 64, 256)
    assert widths["conv2.blocks.0"] == (256, 128, 512)
    assert widths["dpm.4.5"] == (256, 64, 256)
    assert len(widths) == 3 + 4 + 4 * 6
    assert dict(bottleneck_blocks(ZOO["dpn4_32"]))["dpm.1.0"].conv1.out_channels == 32


def test_convolutions_have_no_bias_except_the_last() -> None:
    for name in ("dpn4_64", "dpn4_32"):
        with torch.device("meta"):
            net = build(ZOO[name])
        biased = [path for path, m in net.named_modules() if isinstance(m, nn.Conv2d) and m.bias is not None]
        assert biased == ["heatmap"]


BLOCK = r"(conv[123]\.weight|bn[123]\.(weight|bias|running_mean|running_var|num_batches_tracked)|downsample\.[01]\.\w+)"
NAMES = (
    r"conv0\.[01]\.\w+",
    rf"conv1\.[012]\.{BLOCK}",
    rf"conv2\.blocks\.[0-3]\.{BLOCK}",
    r"conv2\.transition\.[01]\.\w+",
    rf"dpm\.[1-4]\.[0-5]\.{BLOCK}",
    r"fuse\.[01]\.\w+",
    r"heatmap\.(weight|bias)",
)


@pytest.mark.parametrize(("name", "absent"), [("dpn4_64", ()), ("dpn4_32", (2,)), ("dpn4_64_printed", (5,))])
def test_names_in_the_state_dict(name: str, absent: Sequence[int]) -> None:
    with torch.device("meta"):
        state = build(ZOO[name]).state_dict()
    used = [[key for key in state if re.fullmatch(pattern, key)] for pattern in NAMES]
    assert sorted(key for keys in used for key in keys) == sorted(state)
    assert [i for i, keys in enumerate(used) if not keys] == list(absent)


def test_weights_move_between_schedules() -> None:
    torch.manual_seed(0)
    net = build(replace(SMALL, dilations=(1, 2, 4)))
    assert net.load_state_dict(build(SMALL).state_dict()).missing_keys == []


# Initialisation and gradients


@torch.no_grad()
def test_initialisation() -> None:
    torch.manual_seed(0)
    net = build(ZOO["dpn4_64"])
    weights = {path: m.weight for path, m in net.named_modules() if isinstance(m, nn.Conv2d)}
    everything = torch.cat([weight.flatten() for weight in weights.values()])
    n = everything.numel()
    assert abs(float(everything.mean())) < 5 * 1e-3 / n**0.5
    assert abs(float(everything.std()) / 1e-3 - 1) < 5 / (2 * n) ** 0.5
    assert abs(float((everything.abs() < 1e-3).float().mean()) - 0.6827) < 5e-3  # a normal distribution's share
    for path, weight in weights.items():
        assert abs(float(weight.std()) / 1e-3 - 1) < 5 / (2 * weight.numel()) ** 0.5, path
    assert not net.heatmap.bias.any()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert torch.equal(module.weight, torch.ones_like(module.weight))
            assert not module.bias.any()


def test_gradient_reaches_everything_but_dead_taps() -> None:
    spec = replace(SMALL, dilations=(8, 4, 1))  # modules run at 8x8, so the ring of d = 8 never meets the map
    net = scrambled(spec).train()
    net(image()).square().sum().backward()
    for path, parameter in net.named_parameters():
        assert parameter.grad is not None, path
        taps = parameter.grad.abs().amax((0, 1)) if parameter.dim() == 4 else parameter.grad.abs()
        if re.fullmatch(r"dpm\.\d\.0\.conv2\.weight", path):
            assert taps.count_nonzero() == 1, path
            assert taps[1, 1] > 0, path
        else:
            assert bool((taps > 0).all()), path


def test_a_dead_ring_makes_the_layer_a_1x1_convolution() -> None:
    block = Bottleneck(16, 4, dilation=8).double().eval()
    x = torch.rand(1, 16, 8, 6, dtype=torch.float64)
    before = block(x)
    with torch.no_grad():
        centre = block.conv2.weight[..., 1:2, 1:2].clone()
        block.conv2.weight.uniform_()
        block.conv2.weight[..., 1:2, 1:2] = centre
    assert torch.equal(block(x), before)


def test_heatmaps_of_one_image_and_training_mode() -> None:
    net = build(SMALL)
    assert net.training
    assert isinstance(net, DPN)
    assert net(torch.rand(2, 3, 64, 48)).shape == (2, 5, 16, 12)


def test_a_spec_without_builder_is_refused() -> None:
    with pytest.raises(TypeError, match=r"no builder for a ModelSpec .* knows .*DPNSpec"):
        build(ModelSpec(name="nothing"))
