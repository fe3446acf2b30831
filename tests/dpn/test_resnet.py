"""ResNet and SimpleBaseline: costs, torchvision's names, parity, and what dilation in place of strides keeps."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.counts.conventions import CONVENTIONS
from bench.counts.macs import count
from dpn.build import build
from dpn.networks.resnet import BLOCKS, ResNet
from dpn.spec import SimpleBaselineSpec, replace
from tests.dpn.parity import Layers, counted, relative_error, scramble

SBL50, SBL101, SBL152 = (SimpleBaselineSpec(name=f"sbl{depth}", depth=depth) for depth in (50, 101, 152))


# Costs


@pytest.mark.parametrize(
    ("spec", "params", "macs", "printed"),
    [
        (SBL50, 33_999_697, 5_426_380_800, "8.9"),
        (SBL101, None, 9_062_842_368, "12.3"),
        (SBL152, None, 12_699_303_936, "15.7"),
        (replace(SBL152, input_hw=(256, 256), joints=16), 68_635_216, 16_931_356_672, "21.0"),
        (replace(SBL50, input_hw=(256, 256)), 33_999_697, 7_235_174_400, "11.9"),
        (replace(SBL50, input_hw=(384, 288)), 33_999_697, 12_209_356_800, "20.2"),
        (replace(SBL152, input_hw=(384, 288)), None, 28_573_433_856, "35.4"),
    ],
)
def test_published_costs(spec: SimpleBaselineSpec, params: int | None, macs: int, printed: str) -> None:
    found = counted(spec)
    assert found.macs == macs
    assert params in (None, found.params)
    assert CONVENTIONS["hrnet_summary_truncated"].printed(found.macs_by_kind) == printed


def on_meta(**options: Any) -> ResNet:
    with torch.device("meta"):
        return ResNet(50, **options)


def test_the_stride_on_the_1x1_spares_what_it_should() -> None:
    """The three 1x1 convolutions before the three strides, and the 3x3 behind the stride is what it was."""
    torchvision, caffe = (count(on_meta(stride_in_1x1=on), (1, 3, 256, 192)) for on in (False, True))
    spared = sum((64 >> i) * (48 >> i) * 3 * (256 << i) * (128 << i) // 4 for i in range(3))
    assert torchvision.macs - caffe.macs == spared == 226_492_416
    assert torchvision.params == caffe.params


@pytest.mark.parametrize("output_stride", [8, 16, 32])
def test_output_strides(output_stride: Any) -> None:
    maps = on_meta(output_stride=output_stride).stages(torch.empty(1, 3, 256, 192, device="meta"))
    assert [tuple(x.shape) for x in maps] == [
        (1, 256 << i, 256 // min(4 << i, output_stride), 192 // min(4 << i, output_stride)) for i in range(4)
    ]


@pytest.mark.parametrize(("output_stride", "stride_in_1x1"), [(8, False), (8, True), (16, False)])
@torch.no_grad()
def test_dilated_networks_compute_the_same_where_the_ordinary_one_has_positions(
    output_stride: Any, stride_in_1x1: bool
) -> None:
    """Holschneider's algorithme à trous: what is dropped is only the dropping of positions."""
    net = scramble(ResNet(50, stride_in_1x1=stride_in_1x1)).float()
    with torch.device("meta"):
        dilated = ResNet(50, stride_in_1x1=stride_in_1x1, output_stride=output_stride).eval()
    dilated.load_state_dict(net.state_dict(), assign=True)
    x = image()[:1].float()
    for ordinary, dense in zip(net.stages(x), dilated.stages(x), strict=True):
        step = dense.shape[-1] // ordinary.shape[-1]
        assert relative_error(dense[..., ::step, ::step], ordinary) < 1e-4
    assert step == 32 // output_stride


# Names


def names_by_hand(depth: Any) -> dict[str, tuple[int, ...]]:
    """torchvision's entries and their shapes, without the classifier."""
    names: dict[str, tuple[int, ...]] = {}

    def add(conv: str, norm: str, *shape: int) -> None:
        names[f"{conv}.weight"] = shape
        names.update({f"{norm}.{key}": shape[:1] for key in ("weight", "bias", "running_mean", "running_var")})
        names[f"{norm}.num_batches_tracked"] = ()

    add("conv1", "bn1", 64, 3, 7, 7)
    channels = 64
    for stage, blocks in enumerate(BLOCKS[depth]):
        width = 64 << stage
        for block in range(blocks):
            name = f"layer{stage + 1}.{block}"
            add(f"{name}.conv1", f"{name}.bn1", width, channels, 1, 1)
            add(f"{name}.conv2", f"{name}.bn2", width, width, 3, 3)
            add(f"{name}.conv3", f"{name}.bn3", 4 * width, width, 1, 1)
            if block == 0:
                add(f"{name}.downsample.0", f"{name}.downsample.1", 4 * width, channels, 1, 1)
            channels = 4 * width
    return names


def head_by_hand(joints: int) -> dict[str, tuple[int, ...]]:
    names: dict[str, tuple[int, ...]] = {"final_layer.weight": (joints, 256, 1, 1), "final_layer.bias": (joints,)}
    for i, into in ((0, 2048), (3, 256), (6, 256)):
        names[f"deconv_layers.{i}.weight"] = (into, 256, 4, 4)  # of a transposed convolution: input channels first
        entries = ("weight", "bias", "running_mean", "running_var")
        names |= {f"deconv_layers.{i + 1}.{entry}": (256,) for entry in entries}
        names[f"deconv_layers.{i + 1}.num_batches_tracked"] = ()
    return names


@pytest.mark.parametrize(("spec", "entries"), [(SBL50, 338), (SBL101, 644), (SBL152, 950)])
def test_names_and_shapes_are_the_released_networks(spec: SimpleBaselineSpec, entries: int) -> None:
    with torch.device("meta"):
        state = build(replace(spec, joints=16)).state_dict()
    found = {name: tuple(tensor.shape) for name, tensor in state.items()}
    assert found == names_by_hand(spec.depth) | head_by_hand(16)
    assert len(found) == entries


# Parity


class Independent(Layers):
    """SimpleBaseline as functions and loops over names; knows nothing of the modules."""

    def bottleneck(self, x: Tensor, name: str, stride: int) -> Tensor:
        strides = (stride, 1, 1) if self.mistake == "stride on the 1x1" else (1, stride, 1)
        y = x
        for i, s in enumerate(strides, start=1):
            y = self.norm(self.conv(y, f"{name}.conv{i}", s), f"{name}.bn{i}")
            y = F.relu(y) if i < 3 else y
        if f"{name}.downsample.0.weight" in self.state:
            x = self.norm(self.conv(x, f"{name}.downsample.0", stride), f"{name}.downsample.1")
        return F.relu(x + y)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.conv(x, "conv1", stride=2), "bn1"))
        x = F.max_pool2d(x, 3, 2, padding=1)
        for stage in (1, 2, 3, 4):
            block = 0
            while f"layer{stage}.{block}.conv1.weight" in self.state:
                x = self.bottleneck(x, f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1)
                block += 1
        for i in (0, 3, 6):
            weight = self.state[f"deconv_layers.{i}.weight"]
            if self.mistake == "flipped kernels":
                weight = weight.flip(2, 3)
            x = F.relu(self.norm(self.twice_as_large(x, weight), f"deconv_layers.{i + 1}"))
        return self.conv(x, "final_layer")

    @staticmethod
    def twice_as_large(x: Tensor, weight: Tensor) -> Tensor:
        """A transposed convolution by its definition: zeros between the inputs, then the flipped kernel."""
        spread = x.new_zeros(*x.shape[:2], 2 * x.shape[2] - 1, 2 * x.shape[3] - 1)
        spread[..., ::2, ::2] = x
        return F.conv2d(spread, weight.flip(2, 3).transpose(0, 1), padding=2)


def image() -> Tensor:
    return torch.randn(2, 3, 64, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def scrambled(spec: SimpleBaselineSpec) -> nn.Module:
    net = scramble(build(spec))
    for module in net.modules():
        if isinstance(module, nn.ConvTranspose2d):  # each output sums 4 of the 16 taps of each channel
            nn.init.normal_(module.weight, std=(2 / (4 * module.in_channels)) ** 0.5)
    return net


@torch.no_grad()
def test_forward_equals_a_computation_without_modules() -> None:
    net = scrambled(SBL50)
    expected = Independent(net.state_dict()).forward(image())
    assert expected.shape == (2, 17, 16, 8)
    assert relative_error(net(image()), expected) < 1e-10
    found = net.float()(image().float())
    assert relative_error(found.double(), expected) < 1e-5
    for mistake in ("stride on the 1x1", "flipped kernels"):
        wrong = Independent(net.state_dict(), mistake).forward(image().float())
        assert relative_error(wrong, found) > 1e-2, mistake


@pytest.mark.slow
@pytest.mark.parametrize("spec", [SBL101, SBL152], ids=["101", "152"])
@torch.no_grad()
def test_forward_of_the_deeper_ones(spec: SimpleBaselineSpec) -> None:
    net = scrambled(spec)
    assert relative_error(net(image()), Independent(net.state_dict()).forward(image())) < 1e-9


# Training


@torch.no_grad()
def test_initialisation() -> None:
    torch.manual_seed(0)
    for path, module in build(SBL50).named_modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            assert abs(float(module.weight.std()) / 1e-3 - 1) < 5 / (2 * module.weight.numel()) ** 0.5, path
            assert (module.bias is not None) == (path == "final_layer")
            assert module.bias is None or not module.bias.any()
        elif isinstance(module, nn.BatchNorm2d):
            assert (module.eps, module.momentum) == (1e-5, 0.1)


def test_gradient_reaches_every_layer() -> None:
    net = scrambled(SBL50).train().float()
    net(image().float()).square().sum().backward()
    assert [path for path, p in net.named_parameters() if p.grad is None or not bool(p.grad.any())] == []
