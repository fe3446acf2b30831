"""Networks of a few operators whose cost was derived by hand: the public truth that any counter can be held against.

Every expected number is written in its factors, without any formula of this project's counter. The factors of a
convolution's multiply-adds stand in this order: output positions (of a transposed one: input positions), taps,
channels. Live multiply-adds are (rows x taps on the map) x (columns x taps on the map) x channels.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.counts.conventions import AT_OUTPUT


@dataclass(frozen=True, kw_only=True)
class MicroModel:
    """One network with its hand-derived cost.

    Attributes:
        name: unique, for people and test ids.
        derivation: why the expected numbers are what they are.
        build: makes the network.
        inputs: shapes of the inputs of `forward`.
        macs_by_kind: nominal multiply-adds by kind, as in `bench.counts.conventions`, kinds without any left out.
        live_macs: those whose tap falls on the map.
        params: parameters, shared ones once.
        unknown: operators, by ATen name, that no counter may pass over in silence; the count is incomplete.
        reads_values: the forward pass depends on values, so it cannot run on the meta device.

    Example:
        >>> from bench.counts.macs import count
        >>> model = MICRO_MODELS["conv_padded"]
        >>> count(model.build(), *model.inputs).live_macs == model.live_macs == 28 * 25 * 32
        True
    """

    name: str
    derivation: str
    build: Callable[[], nn.Module]
    inputs: tuple[tuple[int, ...], ...]
    macs_by_kind: Mapping[str, int]
    live_macs: int
    params: int
    unknown: tuple[str, ...]
    reads_values: bool

    @property
    def macs(self) -> int:
        """Nominal multiply-adds of all kinds."""
        return sum(macs for kind, macs in self.macs_by_kind.items() if kind != AT_OUTPUT)


class Layers(nn.Module):
    """A forward pass given as a function of some layers and the inputs."""

    def __init__(self, function: Callable[..., Tensor], *layers: nn.Module) -> None:
        super().__init__()
        self.function = function
        self.layers = nn.ModuleList(layers)

    def forward(self, *inputs: Tensor) -> Tensor:
        """What the function makes of the layers and the inputs."""
        return self.function(*self.layers, *inputs)


def _model(
    name: str,
    derivation: str,
    build: Callable[[], nn.Module],
    *inputs: tuple[int, ...],
    live: int | None = None,
    at_output: int | None = None,
    params: int = 0,
    unknown: tuple[str, ...] = (),
    reads_values: bool = False,
    **macs_by_kind: int,
) -> MicroModel:
    """A row of the tables below; without `live`, every multiply-add is live."""
    return MicroModel(
        name=name,
        derivation=derivation,
        build=build,
        inputs=inputs,
        macs_by_kind=macs_by_kind if at_output is None else macs_by_kind | {AT_OUTPUT: at_output},
        live_macs=sum(macs_by_kind.values()) if live is None else live,
        params=params,
        unknown=unknown,
        reads_values=reads_values,
    )


def _twice(layer: nn.Module) -> nn.Module:
    return nn.Sequential(layer, nn.ReLU(), layer)


def _tied_linear() -> nn.Module:
    first, second = nn.Linear(6, 6, bias=False), nn.Linear(6, 6, bias=False)
    second.weight = first.weight
    return nn.Sequential(first, second)


def _lazy_conv() -> nn.Module:
    net = nn.LazyConv2d(8, 3)
    net(torch.zeros(1, 4, 5, 5))
    return net


def _bottleneck(channels: int, width: int, dilation: int) -> nn.Module:
    """1x1, dilated 3x3, 1x1 with batch norm each, added to its input."""
    branch = nn.Sequential(
        nn.Conv2d(channels, width, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.Conv2d(width, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
    )
    return Layers(lambda branch, x: torch.relu(branch(x) + x), branch)


def _deconvolution_head() -> nn.Module:
    """SimpleBaseline's head: three 4x4 transposed convolutions of stride 2, and a 1x1 convolution to 17 heatmaps."""
    layers: list[nn.Module] = []
    for channels in (2048, 256, 256):
        layers += [
            nn.ConvTranspose2d(channels, 256, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(256),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers, nn.Conv2d(256, 17, 1))


def _squeeze_excitation() -> nn.Module:
    gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 2, 1), nn.ReLU(), nn.Conv2d(2, 8, 1), nn.Hardsigmoid())
    return Layers(lambda gate, x: x * gate(x), gate)


def _resnet_stem() -> nn.Module:
    conv = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(64), nn.ReLU(inplace=True), nn.MaxPool2d(3, stride=2, padding=1))


def _attention_by_einsum() -> nn.Module:
    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return torch.einsum("bqk,bkd->bqd", torch.einsum("bqd,bkd->bqk", q, k).softmax(-1), v)

    return Layers(attend)


def _attention_without_weights() -> nn.Module:
    layer = nn.MultiheadAttention(8, 2, batch_first=True)
    return Layers(lambda layer, x: layer(x, x, x, need_weights=False)[0], layer)


def _halve_until_small(conv: nn.Module, x: Tensor) -> Tensor:
    while x.shape[-1] > 3:
        x = conv(x)
    return x


def _if_positive(conv: nn.Module, x: Tensor) -> Tensor:
    return conv(x) if float((x * 0 + 1).sum()) > 0 else x


# fmt: off
_CONVOLUTIONS = (
    _model("conv_plain", "10x9 without padding leaves 8x7 positions",
           lambda: nn.Conv2d(4, 8, 3, bias=False), (1, 4, 10, 9),
           convolution=(8 * 7) * (3 * 3) * (4 * 8), live=(8 * 3) * (7 * 3) * (4 * 8), params=8 * 4 * 9),
    _model("conv_bias", "a bias is an addition: it costs parameters, no multiply-adds",
           lambda: nn.Conv2d(4, 8, 3), (1, 4, 10, 9),
           convolution=(8 * 7) * (3 * 3) * (4 * 8), live=(8 * 3) * (7 * 3) * (4 * 8), params=8 * 4 * 9 + 8),
    _model("conv_batch_of_3", "every image pays",
           lambda: nn.Conv2d(4, 8, 3, bias=False), (3, 4, 10, 9),
           convolution=3 * (8 * 7) * (3 * 3) * (4 * 8), live=3 * (8 * 3) * (7 * 3) * (4 * 8), params=8 * 4 * 9),
    _model("conv_without_batch", "channels, height, width: one image",
           lambda: nn.Conv2d(4, 8, 3, bias=False), (4, 10, 9),
           convolution=(8 * 7) * (3 * 3) * (4 * 8), live=(8 * 3) * (7 * 3) * (4 * 8), params=8 * 4 * 9),
    _model("conv_padded", "the first and the last position of each axis lose one tap of three",
           lambda: nn.Conv2d(4, 8, 3, padding=1, bias=False), (1, 4, 10, 9),
           convolution=(10 * 9) * (3 * 3) * (4 * 8), live=(10 * 3 - 2) * (9 * 3 - 2) * (4 * 8), params=8 * 4 * 9),
    _model("conv_strided", "rows -1,1,3,5,7 reach to 9 of 0..9: one tap lost; columns reach to 9 of 0..8: two lost",
           lambda: nn.Conv2d(4, 8, 3, stride=2, padding=1, bias=False), (1, 4, 10, 9),
           convolution=(5 * 5) * (3 * 3) * (4 * 8), live=(5 * 3 - 1) * (5 * 3 - 2) * (4 * 8), params=8 * 4 * 9),
    _model("conv_dilated", "with d = 2 the outer taps each miss the map at 2 positions of an axis",
           lambda: nn.Conv2d(4, 8, 3, padding=2, dilation=2, bias=False), (1, 4, 10, 9),
           convolution=(10 * 9) * (3 * 3) * (4 * 8), live=(10 + 8 + 8) * (9 + 7 + 7) * (4 * 8), params=8 * 4 * 9),
    _model("conv_dilated_unpadded", "a kernel of span 7 fits 4 x 3 times, always on the map",
           lambda: nn.Conv2d(4, 8, 3, dilation=3, bias=False), (1, 4, 10, 9),
           convolution=(4 * 3) * (3 * 3) * (4 * 8), live=(4 * 3) * (3 * 3) * (4 * 8), params=8 * 4 * 9),
    _model("conv_grouped", "each of 12 outputs reads 8 / 4 channels",
           lambda: nn.Conv2d(8, 12, 3, padding=1, groups=4, bias=False), (1, 8, 6, 5),
           convolution=(6 * 5) * (3 * 3) * (12 * 2), live=(6 * 3 - 2) * (5 * 3 - 2) * (12 * 2), params=12 * 2 * 9),
    _model("conv_depthwise", "one channel each; taps lost on an axis: 2 + 1 at either end",
           lambda: nn.Conv2d(8, 8, 5, padding=2, groups=8, bias=False), (1, 8, 6, 5),
           convolution=(6 * 5) * (5 * 5) * 8, live=(6 * 5 - 6) * (5 * 5 - 6) * 8, params=8 * 25),
    _model("conv_depthwise_multiplier", "three outputs for each of four channels",
           lambda: nn.Conv2d(4, 12, 3, groups=4, bias=False), (1, 4, 6, 5),
           convolution=(4 * 3) * (3 * 3) * 12, live=(4 * 3) * (3 * 3) * 12, params=12 * 9),
    _model("conv_pointwise", "one tap",
           lambda: nn.Conv2d(16, 32, 1, bias=False), (1, 16, 6, 5),
           convolution=(6 * 5) * (16 * 32), live=(6 * 5) * (16 * 32), params=16 * 32),
    _model("conv_pointwise_strided", "rows 0, 2, 4 and columns 0, 2, 4",
           lambda: nn.Conv2d(16, 32, 1, stride=2, bias=False), (1, 16, 6, 5),
           convolution=(3 * 3) * (16 * 32), live=(3 * 3) * (16 * 32), params=16 * 32),
    _model("conv_pointwise_padded", "6x5 positions, of which the 4x3 of the map are live",
           lambda: nn.Conv2d(4, 8, 1, padding=1, bias=False), (1, 4, 4, 3),
           convolution=(6 * 5) * (4 * 8), live=(4 * 3) * (4 * 8), params=4 * 8),
    _model("conv_only_padding", "both positions of each axis, -1 and 1, lie beside the one cell 0",
           lambda: nn.Conv2d(2, 3, 1, stride=2, padding=1, bias=False), (1, 2, 1, 1),
           convolution=(2 * 2) * (2 * 3), live=0, params=2 * 3),
    _model("conv_dead_ring_d32", "d = 32 on 32x24: eight of nine taps never meet the map",
           lambda: nn.Conv2d(2, 3, 3, padding=32, dilation=32, bias=False), (1, 2, 32, 24),
           convolution=(32 * 24) * (3 * 3) * (2 * 3), live=(32 * 24) * (1 * 1) * (2 * 3), params=3 * 2 * 9),
    _model("conv_dead_ring_d64", "d = 64 on 64x48: eight of nine taps never meet the map",
           lambda: nn.Conv2d(2, 3, 3, padding=64, dilation=64, bias=False), (1, 2, 64, 48),
           convolution=(64 * 48) * (3 * 3) * (2 * 3), live=(64 * 48) * (1 * 1) * (2 * 3), params=3 * 2 * 9),
    _model("conv1d", "positions -2, 0, 2, 4, 6, 8 of a 5-tap kernel on 0..10 lose 2, 0, 0, 0, 0, 2 taps",
           lambda: nn.Conv1d(4, 8, 5, stride=2, padding=2, bias=False), (1, 4, 11),
           convolution=6 * 5 * (4 * 8), live=(3 + 5 + 5 + 5 + 5 + 3) * (4 * 8), params=8 * 4 * 5),
    _model("conv3d", "two taps lost on each of three axes",
           lambda: nn.Conv3d(2, 4, 3, padding=1, bias=False), (1, 2, 4, 5, 6),
           convolution=(4 * 5 * 6) * (3 * 3 * 3) * (2 * 4), live=(4 * 3 - 2) * (5 * 3 - 2) * (6 * 3 - 2) * (2 * 4),
           params=4 * 2 * 27),
    _model("conv_1x7", "one tap down, seven across with 3 + 2 + 1 lost at either end",
           lambda: nn.Conv2d(4, 8, (1, 7), padding=(0, 3), bias=False), (1, 4, 5, 9),
           convolution=(5 * 9) * (1 * 7) * (4 * 8), live=(5 * 1) * (9 * 7 - 12) * (4 * 8), params=8 * 4 * 7),
    _model("conv_asymmetric", "rows -1, 1, 3, 5 with 3 taps lose one; columns 0..5 with taps 3 apart lose none",
           lambda: nn.Conv2d(3, 5, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 3), bias=False), (1, 3, 8, 9),
           convolution=(4 * 6) * (3 * 2) * (3 * 5), live=(4 * 3 - 1) * (6 * 2) * (3 * 5), params=5 * 3 * 6),
    _model("conv_same", "padding='same' with d = 2 is padding 2",
           lambda: nn.Conv2d(4, 6, 3, padding="same", dilation=2, bias=False), (1, 4, 9, 7),
           convolution=(9 * 7) * (3 * 3) * (4 * 6), live=(9 + 7 + 7) * (7 + 5 + 5) * (4 * 6), params=6 * 4 * 9),
    _model("conv_same_even", "one zero before, two behind: the taps at -1, 0, 1, 2 meet N-1, N, N-1, N-2 cells",
           lambda: nn.Conv2d(4, 6, 4, padding="same", bias=False), (1, 4, 9, 7),
           convolution=(9 * 7) * (4 * 4) * (4 * 6), live=(8 + 9 + 8 + 7) * (6 + 7 + 6 + 5) * (4 * 6),
           params=6 * 4 * 16),
    _model("conv_same_odd_by_even", "three taps at -1, 0, 1 and four at -1, 0, 1, 2",
           lambda: nn.Conv2d(4, 6, (3, 4), padding="same", bias=False), (1, 4, 9, 7),
           convolution=(9 * 7) * (3 * 4) * (4 * 6), live=(8 + 9 + 8) * (6 + 7 + 6 + 5) * (4 * 6), params=6 * 4 * 12),
    *(
        _model(f"conv_padding_{mode}", "the border is filled with data, so that every tap is live",
               partial(nn.Conv2d, 4, 6, 3, padding=1, padding_mode=mode, bias=False), (1, 4, 9, 7),
               convolution=(9 * 7) * (3 * 3) * (4 * 6), live=(9 * 7) * (3 * 3) * (4 * 6), params=6 * 4 * 9)
        for mode in ("reflect", "circular", "replicate")
    ),
    _model("zero_pad_then_conv", "padded to 12x10; rows lose 3 + 2 + 1 taps above, columns 1 left and 2 + 1 right",
           lambda: nn.Sequential(nn.ZeroPad2d((1, 2, 3, 0)), nn.Conv2d(4, 6, 3, bias=False)), (1, 4, 9, 7),
           convolution=(10 * 8) * (3 * 3) * (4 * 6), live=(10 * 3 - 6) * (8 * 3 - 4) * (4 * 6), params=6 * 4 * 9),
    _model("zero_pad_twice_then_conv", "three rings of zeros in all: 3 + 2 + 1 taps lost at either end of an axis",
           lambda: nn.Sequential(nn.ZeroPad2d(1), nn.ZeroPad2d(1), nn.Conv2d(4, 6, 3, padding=1, bias=False)),
           (1, 4, 9, 7),
           convolution=(13 * 11) * (3 * 3) * (4 * 6), live=(13 * 3 - 12) * (11 * 3 - 12) * (4 * 6), params=6 * 4 * 9),
    _model("pad_with_ones_then_conv", "ones are data",
           lambda: nn.Sequential(nn.ConstantPad2d(1, 1.0), nn.Conv2d(4, 6, 3, bias=False)), (1, 4, 9, 7),
           convolution=(9 * 7) * (3 * 3) * (4 * 6), live=(9 * 7) * (3 * 3) * (4 * 6), params=6 * 4 * 9),
    _model("pad_written_to_then_conv", "zeros that were overwritten are data",
           lambda: Layers(lambda conv, x: conv(F.pad(x, (1, 1, 1, 1)).add_(1)), nn.Conv2d(4, 6, 3, bias=False)),
           (1, 4, 9, 7),
           convolution=(9 * 7) * (3 * 3) * (4 * 6), live=(9 * 7) * (3 * 3) * (4 * 6), params=6 * 4 * 9),
    _model("functional_conv2d", "the weight is an input, not a parameter",
           lambda: Layers(lambda x, w: F.conv2d(x, w, padding=1)), (1, 4, 10, 9), (8, 4, 3, 3),
           convolution=(10 * 9) * (3 * 3) * (4 * 8), live=(10 * 3 - 2) * (9 * 3 - 2) * (4 * 8)),
    _model("conv_by_forward", "a call of .forward() passes by every hook",
           lambda: Layers(lambda conv, x: conv.forward(x), nn.Conv2d(4, 8, 3, bias=False)), (1, 4, 10, 9),
           convolution=(8 * 7) * (3 * 3) * (4 * 8), live=(8 * 3) * (7 * 3) * (4 * 8), params=8 * 4 * 9),
    _model("conv_lazy", "a lazy layer that has seen an input is an ordinary one",
           _lazy_conv, (1, 4, 10, 9),
           convolution=(8 * 7) * (3 * 3) * (4 * 8), live=(8 * 3) * (7 * 3) * (4 * 8), params=8 * 4 * 9 + 8),
    _model("conv_shared", "called twice: parameters once, multiply-adds twice",
           lambda: _twice(nn.Conv2d(4, 4, 3, padding=1, bias=False)), (1, 4, 6, 5),
           convolution=2 * (6 * 5) * (3 * 3) * (4 * 4), live=2 * (6 * 3 - 2) * (5 * 3 - 2) * (4 * 4),
           params=4 * 4 * 9),
    _model("loop_over_shape", "12 -> 6 -> 3 columns: two calls, each losing the first tap of each axis",
           lambda: Layers(_halve_until_small, nn.Conv2d(4, 4, 3, stride=2, padding=1, bias=False)), (1, 4, 16, 12),
           convolution=(8 * 6) * (3 * 3) * (4 * 4) + (4 * 3) * (3 * 3) * (4 * 4),
           live=(8 * 3 - 1) * (6 * 3 - 1) * (4 * 4) + (4 * 3 - 1) * (3 * 3 - 1) * (4 * 4), params=4 * 4 * 9),
    _model("branch_on_value", "the branch depends on a value of the input, always positive here",
           lambda: Layers(_if_positive, nn.Conv2d(4, 8, 3, bias=False)), (1, 4, 10, 9),
           convolution=(8 * 7) * (3 * 3) * (4 * 8), live=(8 * 3) * (7 * 3) * (4 * 8), params=8 * 4 * 9,
           reads_values=True),
    _model("unfold_then_conv", "moving data is free",
           lambda: nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(16, 8, 1, bias=False), nn.PixelShuffle(2)),
           (1, 4, 10, 8),
           convolution=(5 * 4) * (16 * 8), live=(5 * 4) * (16 * 8), params=16 * 8),
    _model("squeeze_excitation", "two 1x1 convolutions on one position; pooling, sigmoid and scaling are free",
           _squeeze_excitation, (1, 8, 6, 5),
           convolution=8 * 2 + 2 * 8, live=8 * 2 + 2 * 8, params=(8 * 2 + 2) + (2 * 8 + 8)),
    _model("resnet_stem", "7 taps from rows -3, -1, 1, … 57, 59 on 0..63 lose 3, 1, 0, … 0, 2; columns alike",
           _resnet_stem, (1, 3, 64, 48),
           convolution=(32 * 24) * (7 * 7) * (3 * 64), live=(32 * 7 - 6) * (24 * 7 - 6) * (3 * 64),
           params=64 * 3 * 49 + 2 * 64),
    _model("dpm_bottleneck_d16", "two 1x1 layers; the 3x3 layer's outer taps reach 32 - 16 rows and 24 - 16 columns",
           lambda: _bottleneck(256, 64, 16), (1, 256, 32, 24),
           convolution=(32 * 24) * (2 * 256 * 64 + 9 * 64 * 64),
           live=(32 * 24) * (2 * 256 * 64) + (32 + 16 + 16) * (24 + 8 + 8) * (64 * 64),
           params=2 * 256 * 64 + 9 * 64 * 64 + 2 * (64 + 64 + 256)),
    _model("dilation_pyramid_module", "six bottlenecks, d = 32 … 1; outer taps of an axis meet max(0, N - d) positions",
           lambda: nn.Sequential(*(_bottleneck(256, 64, d) for d in (32, 16, 8, 4, 2, 1))), (1, 256, 32, 24),
           convolution=6 * (32 * 24) * (2 * 256 * 64 + 9 * 64 * 64),
           live=6 * (32 * 24) * (2 * 256 * 64)
           + (32 * 24 + 64 * 40 + 80 * 56 + 88 * 64 + 92 * 68 + 94 * 70) * (64 * 64),
           params=6 * (2 * 256 * 64 + 9 * 64 * 64 + 2 * (64 + 64 + 256))),
)

_TRANSPOSED = (
    _model("deconv", "every input meets every tap; at 2i - 1 + t the first and the last tap of an axis miss the map",
           lambda: nn.ConvTranspose2d(4, 6, 4, stride=2, padding=1, bias=False), (1, 4, 5, 4),
           transposed_convolution=(5 * 4) * (4 * 4) * (4 * 6), live=(5 * 4 - 2) * (4 * 4 - 2) * (4 * 6),
           at_output=(10 * 8) * (4 * 4) * (4 * 6), params=4 * 6 * 16),
    _model("deconv_without_overlap", "kernel 2, stride 2: taps tile the output",
           lambda: nn.ConvTranspose2d(4, 6, 2, stride=2), (1, 4, 5, 4),
           transposed_convolution=(5 * 4) * (2 * 2) * (4 * 6), live=(5 * 4) * (2 * 2) * (4 * 6),
           at_output=(10 * 8) * (2 * 2) * (4 * 6), params=4 * 6 * 4 + 6),
    _model("deconv_everything", "at 2i - 1 + 2t on 22x18 only i = 0, t = 0 misses; each of 4 inputs feeds 3 outputs",
           lambda: nn.ConvTranspose2d(4, 6, 4, 2, 1, output_padding=1, groups=2, dilation=2, bias=False), (1, 4, 9, 7),
           transposed_convolution=(9 * 7) * (4 * 4) * (4 * 3), live=(9 * 4 - 1) * (7 * 4 - 1) * (4 * 3),
           at_output=(22 * 18) * (4 * 4) * (4 * 3), params=4 * 3 * 16),
    _model("deconv_that_shrinks", "stride 1, padding 2: each of 4x3 outputs is met by 3x3 inputs, the rest misses",
           lambda: nn.ConvTranspose2d(4, 6, 3, padding=2, bias=False), (1, 4, 6, 5),
           transposed_convolution=(6 * 5) * (3 * 3) * (4 * 6), live=(4 * 3) * (3 * 3) * (4 * 6),
           at_output=(4 * 3) * (3 * 3) * (4 * 6), params=4 * 6 * 9),
    _model("deconv1d", "landing at 3i - 1 + t on 0..12: the first and the last tap miss",
           lambda: nn.ConvTranspose1d(4, 3, 3, stride=3, padding=1, bias=False), (1, 4, 5),
           transposed_convolution=5 * 3 * (4 * 3), live=(5 * 3 - 2) * (4 * 3), at_output=13 * 3 * (4 * 3),
           params=4 * 3 * 3),
    _model("deconv3d", "taps tile the output",
           lambda: nn.ConvTranspose3d(2, 3, 2, stride=2, bias=False), (1, 2, 2, 3, 4),
           transposed_convolution=(2 * 3 * 4) * (2 * 2 * 2) * (2 * 3), live=(2 * 3 * 4) * (2 * 2 * 2) * (2 * 3),
           at_output=(4 * 6 * 8) * (2 * 2 * 2) * (2 * 3), params=2 * 3 * 8),
    _model("functional_conv_transpose2d", "two images; the weight is an input",
           lambda: Layers(lambda x, w: F.conv_transpose2d(x, w, stride=2, padding=1)), (2, 4, 5, 4), (4, 6, 4, 4),
           transposed_convolution=2 * (5 * 4) * (4 * 4) * (4 * 6), live=2 * (5 * 4 - 2) * (4 * 4 - 2) * (4 * 6),
           at_output=2 * (10 * 8) * (4 * 4) * (4 * 6)),
    _model("simple_baseline_head", "1422.66 MMAC: inputs 8x6, 16x12, 32x24, and a 1x1 convolution at 64x48",
           _deconvolution_head, (1, 2048, 8, 6),
           transposed_convolution=(8 * 6) * 16 * (2048 * 256) + (16 * 12 + 32 * 24) * 16 * (256 * 256),
           convolution=(64 * 48) * (256 * 17),
           live=(8 * 4 - 2) * (6 * 4 - 2) * (2048 * 256) + (16 * 4 - 2) * (12 * 4 - 2) * (256 * 256)
           + (32 * 4 - 2) * (24 * 4 - 2) * (256 * 256) + (64 * 48) * (256 * 17),
           at_output=4 * ((8 * 6) * 16 * (2048 * 256) + (16 * 12 + 32 * 24) * 16 * (256 * 256)),
           params=16 * 256 * (2048 + 256 + 256) + 3 * 2 * 256 + 256 * 17 + 17),
)

_DENSE = (
    _model("linear", "5 rows", lambda: nn.Linear(3, 4), (5, 3), linear=5 * 3 * 4, params=3 * 4 + 4),
    _model("linear_vector", "one row", lambda: nn.Linear(3, 4), (3,), linear=3 * 4, params=3 * 4 + 4),
    _model("linear_4d", "2x5x6 rows",
           lambda: nn.Linear(3, 4), (2, 5, 6, 3),
           linear=(2 * 5 * 6) * 3 * 4, params=3 * 4 + 4),
    _model("functional_linear", "5 rows", lambda: Layers(F.linear), (5, 3), (4, 3), linear=5 * 3 * 4),
    _model("linear_tied", "one weight, used twice", _tied_linear, (5, 6), linear=2 * 5 * 6 * 6, params=6 * 6),
    _model("bilinear", "each of 5 outputs multiplies all 3x4 pairs with a weight, in 2 rows",
           lambda: Layers(lambda layer, a, b: layer(a, b), nn.Bilinear(3, 4, 5)), (2, 3), (2, 4),
           linear=2 * 5 * 3 * 4, params=5 * 3 * 4 + 5),
    _model("matmul", "2x3 products", lambda: Layers(torch.matmul), (2, 3, 5, 8), (2, 3, 8, 6), matmul=6 * 5 * 8 * 6),
    _model("matmul_broadcast", "2x3 products with one factor",
           lambda: Layers(lambda a, b: a @ b), (2, 3, 5, 8), (8, 6),
           matmul=6 * 5 * 8 * 6),
    _model("matmul_vector", "2x3 dot products", lambda: Layers(torch.matmul), (2, 3, 5), (5,), matmul=6 * 5),
    _model("dot", "one product for each element", lambda: Layers(torch.dot), (7,), (7,), matmul=7),
    _model("mv", "5 dot products", lambda: Layers(torch.mv), (5, 6), (6,), matmul=5 * 6),
    _model("addmm", "what is added is free", lambda: Layers(torch.addmm), (5, 6), (5, 4), (4, 6), matmul=5 * 4 * 6),
    _model("baddbmm", "2 products",
           lambda: Layers(torch.baddbmm), (2, 5, 6), (2, 5, 8), (2, 8, 6),
           matmul=2 * 5 * 8 * 6),
    _model("tensordot", "sums over 5x6",
           lambda: Layers(lambda a, b: torch.tensordot(a, b, 2)), (2, 5, 6), (5, 6, 3),
           matmul=2 * (5 * 6) * 3),
    _model("outer_by_pointwise", "a product without a sum is pointwise, and free",
           lambda: Layers(lambda a, b: a[:, None] * b[None]), (5,), (6,)),
    _model("attention_by_matmul", "2x3 heads: scores 5x7 over 8, then values over 7",
           lambda: Layers(lambda q, k, v: (q @ k.mT).softmax(-1) @ v), (2, 3, 5, 8), (2, 3, 7, 8), (2, 3, 7, 6),
           matmul=6 * (5 * 7 * 8 + 5 * 7 * 6)),
    _model("attention_by_einsum", "scores 5x7 over 8, then values over 7",
           _attention_by_einsum, (2, 5, 8), (2, 7, 8), (2, 7, 6),
           matmul=2 * (5 * 7 * 8 + 5 * 7 * 6)),
    _model("attention_by_bmm", "scores 5x7 over 8, then values over 7",
           lambda: Layers(lambda q, k, v: torch.bmm(torch.bmm(q, k.mT).softmax(-1), v)), (2, 5, 8), (2, 7, 8),
           (2, 7, 6),
           matmul=2 * (5 * 7 * 8 + 5 * 7 * 6)),
    _model("sdpa", "2x3 heads: scores 5x7 over E = 8, then values of E_v = 6 over S = 7",
           lambda: Layers(F.scaled_dot_product_attention), (2, 3, 5, 8), (2, 3, 7, 8), (2, 3, 7, 6),
           attention=6 * (5 * 7 * 8 + 5 * 7 * 6)),
    _model("sdpa_causal", "a mask makes no product cheaper",
           lambda: Layers(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True)), (2, 3, 5, 8),
           (2, 3, 5, 8), (2, 3, 5, 8),
           attention=6 * (5 * 5 * 8 + 5 * 5 * 8)),
    _model("sdpa_grouped_queries", "4 heads of queries share 2 of keys: each query head still pays",
           lambda: Layers(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, enable_gqa=True)), (2, 4, 5, 8),
           (2, 2, 7, 8), (2, 2, 7, 8),
           attention=2 * 4 * (5 * 7 * 8 + 5 * 7 * 8)),
    _model("sdpa_broadcast_query", "one query for two images: both pay",
           lambda: Layers(F.scaled_dot_product_attention), (1, 3, 5, 8), (2, 3, 7, 8), (2, 3, 7, 8),
           attention=2 * 3 * (5 * 7 * 8 + 5 * 7 * 8)),
    _model("multihead_attention", "2x5 rows through 8x24 and 8x8; 2x2 heads of 4, by matrix products",
           lambda: Layers(lambda layer, x: layer(x, x, x)[0], nn.MultiheadAttention(8, 2, batch_first=True)),
           (2, 5, 8),
           linear=(2 * 5) * (8 * 24 + 8 * 8), matmul=(2 * 2) * (5 * 5 * 4 + 5 * 5 * 4),
           params=(8 * 24 + 24) + (8 * 8 + 8)),
    _model("multihead_attention_without_weights", "as before, by the fused kernel",
           _attention_without_weights, (2, 5, 8),
           linear=(2 * 5) * (8 * 24 + 8 * 8), attention=(2 * 2) * (5 * 5 * 4 + 5 * 5 * 4),
           params=(8 * 24 + 24) + (8 * 8 + 8)),
    _model("transformer_encoder_layer", "attention as before, then 2x5 rows through 8x16 and back",
           lambda: nn.TransformerEncoderLayer(8, 2, dim_feedforward=16, batch_first=True), (2, 5, 8),
           linear=(2 * 5) * (8 * 24 + 8 * 8 + 8 * 16 + 16 * 8), attention=(2 * 2) * (5 * 5 * 4 + 5 * 5 * 4),
           params=(8 * 24 + 24) + (8 * 8 + 8) + (8 * 16 + 16) + (16 * 8 + 8) + 2 * (8 + 8)),
    _model("lstm", "3 steps of 2 sequences: four gates of 7 read 5 inputs and 7 states",
           lambda: nn.LSTM(5, 7), (3, 2, 5),
           linear=(3 * 2) * (4 * 7) * (5 + 7), params=(4 * 7) * (5 + 7) + 2 * (4 * 7)),
    _model("lstm_cell", "one step of 3 sequences",
           lambda: nn.LSTMCell(5, 7), (3, 5),
           linear=3 * (4 * 7) * (5 + 7), params=(4 * 7) * (5 + 7) + 2 * (4 * 7)),
    _model("gru_bidirectional", "3 steps of 2 sequences, twice: three gates of 7 read 5 inputs and 7 states",
           lambda: nn.GRU(5, 7, bidirectional=True), (3, 2, 5),
           linear=2 * (3 * 2) * (3 * 7) * (5 + 7), params=2 * ((3 * 7) * (5 + 7) + 2 * (3 * 7))),
)

_FREE = "has no multiply-adds by convention"
_UPSAMPLED = ("nearest", "bilinear", "bicubic")
_POOLS = (
    partial(nn.MaxPool2d, 2), partial(nn.AvgPool2d, 2), partial(nn.AdaptiveAvgPool2d, 2),
    partial(nn.AdaptiveMaxPool2d, 2), partial(nn.LPPool2d, 2, 2), partial(nn.FractionalMaxPool2d, 2, output_size=3),
)
_NORMS = (
    (partial(nn.BatchNorm2d, 4), 2 * 4), (partial(nn.LayerNorm, 6), 2 * 6), (partial(nn.GroupNorm, 2, 4), 2 * 4),
    (partial(nn.InstanceNorm2d, 4), 0), (partial(nn.RMSNorm, 6), 6), (partial(nn.LocalResponseNorm, 2), 0),
)
_NOTHING = (
    *(
        _model(f"upsample_{mode}", f"upsampling {_FREE}",
               partial(nn.Upsample, scale_factor=2, mode=mode), (1, 4, 6, 5))
        for mode in _UPSAMPLED
    ),
    *(
        _model(f"interpolate_{mode}", f"resizing {_FREE}",
               partial(Layers, partial(F.interpolate, size=(9, 11), mode=mode)), (1, 4, 6, 5))
        for mode in _UPSAMPLED
    ),
    _model("grid_sample", f"sampling {_FREE}",
           partial(Layers, partial(F.grid_sample, align_corners=False)), (1, 4, 6, 5), (1, 3, 3, 2)),
    _model("pixel_shuffle", f"moving data {_FREE}", lambda: nn.PixelShuffle(2), (1, 4, 6, 5)),
    *(
        _model(f"pool_{pool.func.__name__}", f"pooling {_FREE}", pool, (1, 4, 6, 6))
        for pool in _POOLS
    ),
    *(
        _model(f"norm_{norm.func.__name__}", f"normalisation {_FREE}", norm, (1, 4, 6, 6), params=params)
        for norm, params in _NORMS
    ),
)

_UNKNOWN = (
    _model("unknown_fft", "a transform that nobody counts: it must be named",
           lambda: Layers(lambda x: torch.fft.fft2(x).abs()), (1, 3, 8, 8),
           unknown=("aten::_fft_c2c",)),
    _model("unknown_cdist", "distances are sums of squared differences: no convention covers them",
           lambda: Layers(lambda a, b: torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")), (1, 5, 3),
           (1, 6, 3),
           unknown=("aten::_cdist_forward",)),
    _model("unknown_beside_known", "what is known is still counted",
           lambda: Layers(lambda layer, x: torch.fft.fft(layer(x)).real, nn.Linear(3, 4)), (5, 3),
           linear=5 * 3 * 4, params=3 * 4 + 4, unknown=("aten::_fft_r2c",)),
)
# fmt: on

MICRO_MODELS: dict[str, MicroModel] = {
    model.name: model for model in (*_CONVOLUTIONS, *_TRANSPOSED, *_DENSE, *_NOTHING, *_UNKNOWN)
}
"""Every micro-model by name, none of them left out because a counter fails it."""
