"""Every rule of the tracer against the Jacobian of what it describes, unit by unit and channel by channel."""

import re
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from analysis.receptive_fields.field_records import depths
from analysis.receptive_fields.field_rules import RULES
from analysis.receptive_fields.field_trace import trace
from analysis.receptive_fields.live_taps import layer_taps
from tests.analysis.jacobians import Operator, assert_is_the_jacobians_support, graph_of
from tests.analysis.random_networks import Apply

MASK = torch.arange(9) % 2 == 0
LINEAR = nn.Linear(4, 4, dtype=torch.float64)


def squeeze_excite(x: Tensor) -> Tensor:
    return x * torch.sigmoid(LINEAR.to(x.device)(F.adaptive_avg_pool2d(x, 1).flatten(1))).view(1, 4, 1, 1)


def squeeze_excite_by_index(x: Tensor) -> Tensor:
    return x * x.mean((2, 3), keepdim=True).squeeze(3).squeeze(2)[:, :, None, None]


def copied(x: Tensor) -> Tensor:
    y = torch.zeros_like(x)
    y.copy_(2 * x)
    return y * x


def swapped(x: Tensor) -> Tensor:
    one, other = x.chunk(2, dim=1)
    return torch.cat([3 * other, one], dim=1)


def pieces(x: Tensor) -> Tensor:
    top, bottom = x.split([3, 4], dim=2)
    return top + bottom[:, :, :3]


def by_channel(x: Tensor) -> Tensor:
    """Eight maps whose fields differ, so that a channel which is mistaken for another shows."""
    moved = F.pad(x[:, :2], (1, 0, 0, 1))[:, :, 1:, :-1]
    return torch.cat([x[:, 2:], x[:, 1:3].flip(2), moved, F.avg_pool2d(x[:, :2], 3, 1, 1)], dim=1)


def shuffled_by_hand(x: Tensor) -> Tensor:
    """As ShuffleNet and Lite-HRNet do."""
    return by_channel(x).view(1, 2, 4, 7, 9).transpose(1, 2).contiguous().view(1, -1, 7, 9)


def permuted_by_hand(x: Tensor) -> Tensor:
    return by_channel(x).reshape(1, 2, 2, 2, 7, 9).permute(0, 3, 1, 2, 4, 5).flatten(1, 3)


def across_halves(dim: int) -> Operator:
    """A softmax over the means of two halves of the image, whose channels are a vector."""

    def run(x: Tensor) -> Tensor:
        left, right = (F.adaptive_avg_pool2d(half, 1).flatten(1) for half in (x[..., :4], x[..., 4:]))
        return torch.cat([left, right], dim=1).softmax(dim).view(1, 8, 1, 1)

    return run


def pooled(x: Tensor) -> Tensor:
    """(1, 8) means of two halves of the image."""
    return torch.cat([x[..., :4].mean((2, 3)), x[..., 4:].sum((-1, -2))], dim=1)


def modulated(x: Tensor) -> Tensor:
    """As FiLM does."""
    scale, shift = pooled(x).chunk(2, dim=-1)
    return x * scale.view(1, 4, 1, 1) + shift[:, :, None, None]


def one_number(x: Tensor) -> Tensor:
    return x * torch.sigmoid(F.adaptive_avg_pool2d(x, 1).sum(1, keepdim=True))


def addmm(x: Tensor) -> Tensor:
    linear = LINEAR.to(x.device)
    return torch.addmm(linear.bias, x.mean((2, 3)), linear.weight).mm(linear.weight)[:, :, None, None]


def last(x: Tensor) -> Tensor:
    """(B, H, W, C), of other channels than the middle ones."""
    return by_channel(x).permute(0, 2, 3, 1)


def first(x: Tensor) -> Tensor:
    return x.permute(0, 3, 1, 2)


def convnext(x: Tensor) -> Tensor:
    return x + first(F.gelu(LINEAR.to(x.device)(F.layer_norm(last(x)[..., 1:5], (4,)).contiguous())) * 0.5)


def mambaout(x: Tensor) -> Tensor:
    """Channels are split behind the others, and some of them pooled before them."""
    gate, kept, pooled = torch.split(last(x), [4, 1, 3], dim=-1)
    return first(F.silu(gate) + torch.cat((kept, F.avg_pool2d(first(pooled), 3, 1, 1).permute(0, 2, 3, 1)), dim=-1))


def moved_in_another_order(x: Tensor) -> Tensor:
    y = last(x).roll((2, 3, 1), (1, -2, 3)).flip((2, 3))
    return first(y[:, 1:6:2, 2:, 1:7:3].narrow(2, 1, 4)).clone()


def statistics_in_another_order(x: Tensor) -> Tensor:
    y = last(x)
    y = y * y.mean((1, 2), keepdim=True)[..., :3].sum(-1, keepdim=True) + y.softmax(1)
    return first(F.glu(y, -1) / y.std(2, keepdim=True)[..., 2:6].expand(-1, -1, 9, -1))


def vectors_of_another_order(x: Tensor) -> Tensor:
    y = last(x)[..., 2:6]
    scale = LINEAR.to(x.device)(y.mean((1, 2))).view(1, 4, 1, 1) + y.amax((1, 2), keepdim=True).sum((1, 2)).view(
        1, 4, 1, 1
    )
    return x * scale + y[:, :, 2:].mean((1, 2), keepdim=True).flatten(1)[:, :, None, None]


def written_in_another_order(x: Tensor) -> Tensor:
    """As a view of what has its channels first, all of it and a part, and as a map of its own."""
    y = by_channel(x).clone()
    last = y.permute(0, 2, 3, 1)
    last.mul_(2)
    last[:, 2:5, :, 1:4] = last[:, :3, :, 4:7].clone()
    return y + first(F.layer_norm(last, (9, 8)).sigmoid_())


def rows_first(x: Tensor) -> Tensor:
    """(B, H, C, W)."""
    y = x.transpose(1, 2)
    return (F.layer_norm(y[:, 1:5], (9,)) + y[:, 1:5].softmax(2) + y[:, :4].movedim(-2, 1).movedim(1, 2)).transpose(
        -3, -2
    )


OPERATORS: dict[str, Operator] = {
    "reflection": lambda x: F.pad(x, (1, 2, 2, 1), mode="reflect"),
    "replication": lambda x: F.pad(x, (1, 2, 2, 1), mode="replicate"),
    "circular": lambda x: x + F.pad(x, (1, 2, 3, 1), mode="circular")[:, :, 1:8, 2:11],
    "circular and crop": lambda x: F.pad(x, (-1, 2, 3, -2), mode="circular"),
    "zeros and crop": lambda x: F.pad(x, (-1, 2, 3, -2)),
    "zero channels": lambda x: F.pad(x, (0, 0, 0, 0, 1, 2)),
    "crop": lambda x: x[:, :, 2:, 1:-1],
    "every second": lambda x: x[:, :, ::2, 1::3],
    "some channels": lambda x: x[:, 1:3],
    "pieces": pieces,
    "swapped channels": swapped,
    "flip": lambda x: x.flip(2) + x.flip((2, 3)),
    "mean": lambda x: x * x.mean((2, 3), keepdim=True),
    "mean of rows": lambda x: x - x.mean(2, keepdim=True),
    "sum of channels": lambda x: x.sum(1, keepdim=True) * x,
    "softmax of rows": lambda x: x.softmax(2),
    "softmax of channels": lambda x: x.softmax(1),
    "logarithm of softmax": lambda x: x.log_softmax(3),
    "adaptive": lambda x: F.adaptive_avg_pool2d(x, (3, 4)),
    "attention": squeeze_excite,
    "attention by index": squeeze_excite_by_index,
    "expanded": lambda x: x.mean((2, 3), keepdim=True).expand(-1, -1, 3, 2),
    "copied": copied,
    "filled": lambda x: x + (2 * x).fill_(3) + (3 * x).zero_(),
    "masked": lambda x: x.masked_fill(MASK.to(x.device), 2.0) * x.clone().masked_fill_(MASK.to(x.device), 3.0) + x,
    "reshaped": lambda x: x.reshape(x.shape).view_as(x).contiguous().clone(),
    "broadcast channel": lambda x: x * torch.sigmoid(x[:, :1]),
    "windows": lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True),
    "linear": lambda x: LINEAR.to(x.device)(F.adaptive_avg_pool2d(x, 1).flatten(1)).unflatten(1, (4, 1, 1)),
    "every third channel": lambda x: by_channel(x)[:, 2::3],
    "flipped channels": lambda x: by_channel(x).flip((1, -1)),
    "rolled": lambda x: by_channel(x).roll((3, -2, 1), (1, 2, -1)).roll((2, 8), (-2, -2)),
    "shuffled": lambda x: F.channel_shuffle(by_channel(x), 4),
    "shuffled by hand": shuffled_by_hand,
    "permuted by hand": permuted_by_hand,
    "finer": lambda x: F.pixel_shuffle(by_channel(x), 2),
    "coarser": lambda x: F.pixel_unshuffle(by_channel(x)[:, 2::3, :6], 3),
    "softmax of a vector": across_halves(1),
    "softmax of a vector, from its end": across_halves(-1),
    "mean without its axes": lambda x: x * x.mean((-1, 2))[:, :, None, None],
    "sum of a vector": lambda x: x * pooled(x).sum(-1, keepdim=True).view(1, 1, 1, 1),
    "modulated": modulated,
    "narrowed vector": lambda x: pooled(x).narrow(-1, 2, 5).view(1, 5, 1, 1),
    "narrowed map": lambda x: by_channel(x).narrow(1, 3, 4).narrow(2, -5, 4),
    "flipped vector": lambda x: pooled(x).flip(-1).view(1, 8, 1, 1),
    "selected": lambda x: F.adaptive_avg_pool2d(x, 1)[:, :, 0, 0].select(1, -2).view(1, 1, 1, 1),
    "one number": one_number,
    "addmm": addmm,
    "group norm": lambda x: F.group_norm(by_channel(x)[:, 2:8], 3),
    "instance norm": lambda x: F.instance_norm(by_channel(x)[:, 2:8]),
    "layer norm": lambda x: F.layer_norm(x[:, :, :3], (4, 3, 9)),
    "layer norm of rows and columns": lambda x: F.layer_norm(by_channel(x)[:, 3:9, :3], (3, 9)),
    "layer norm of columns": lambda x: F.layer_norm(by_channel(x), (9,)),
    "a matrix along columns": lambda x: F.linear(by_channel(x), torch.ones(5, 9).to(x)),
    "layer norm of a vector": lambda x: F.layer_norm(pooled(x), (8,)).view(1, 8, 1, 1),
    "parametric": lambda x: F.prelu(by_channel(x), torch.linspace(0.1, 0.9, 8).to(x)),
    "gated linear": lambda x: F.glu(by_channel(x), 1),
    "spread of a map": lambda x: x / x.var((2, 3), keepdim=True) + torch.std_mean(x, 1, keepdim=True)[1],
    "mean and spread": lambda x: x.std(2, keepdim=True) * torch.var_mean(x, 3, keepdim=True)[0],
    "normalised": lambda x: F.normalize(x, dim=1) + x.logsumexp((2, 3), keepdim=True),
    "resized from one position": lambda x: x + F.interpolate(
        F.adaptive_avg_pool2d(x, 1), x.shape[2:], mode="bilinear", align_corners=True),
    "nearest, of its own size": lambda x: F.interpolate(x, scale_factor=1.05),
    "nearest, of its own width and twice its height": lambda x: F.interpolate(x, scale_factor=(2.1, 1.1)),
    "nearest, of another size": lambda x: F.interpolate(x, scale_factor=(1.5, 2.2)),
    "exactly nearest, of its own size": lambda x: F.interpolate(x, scale_factor=1.1, mode="nearest-exact"),
    "exactly nearest, of twice its size": lambda x: F.interpolate(x, scale_factor=(2.1, 2.05), mode="nearest-exact"),
    "bilinear, of its own size": lambda x: F.interpolate(x, scale_factor=1.05, mode="bilinear"),
    "bilinear, of its own width": lambda x: F.interpolate(x, scale_factor=(2.1, 1.05), mode="bilinear"),
    "bicubic, of its own height": lambda x: F.interpolate(x, scale_factor=(1.05, 1.2), mode="bicubic"),
    "expanded as": lambda x: x + x.mean((2, 3), keepdim=True).expand_as(x),
    "ConvNeXt": convnext,
    "MambaOut": mambaout,
    "moved in another order": moved_in_another_order,
    "statistics in another order": statistics_in_another_order,
    "vectors of another order": vectors_of_another_order,
    "rows first": rows_first,
    "written channels last": written_in_another_order,
    "only its type and shape": lambda x: (1 + MASK.to(x.device)).view(1, 1, 1, 9).type_as(x).view_as(x[:, :1, :1]) * x,
}  # fmt: skip


@pytest.mark.parametrize("name", OPERATORS)
def test_a_rule_is_the_jacobians_support(name: str) -> None:
    graph = graph_of(OPERATORS[name])
    assert not any(one.problem for one in graph.maps), [one.problem for one in graph.maps if one.problem]
    assert_is_the_jacobians_support(OPERATORS[name], graph)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda x: x.max(2, keepdim=True).values, lambda x: x.amax(2, keepdim=True)),
        (lambda x: x.min(1, keepdim=True)[0], lambda x: x.amin(1, keepdim=True)),
        (lambda x: torch.max(x, x.roll(1, 2)), lambda x: torch.maximum(x, x.roll(1, 2))),
    ],
)
def test_extremes_read_what_their_likes_read(one: Operator, other: Operator) -> None:
    """A gradient shows the largest alone."""
    fields = [graph_of(of).backward("output", [(0, 0)])[0].values for of in (one, other)]
    assert np.array_equal(*fields)


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
@pytest.mark.parametrize(("ins", "asked"), [(32, 82), (48, 74), (64, 82), (20, 58), (66, 2.7), (65, 2.7), (280, 1.44)])
def test_nearest_positions_are_rounded_as_torch_rounds_them(mode: str, ins: int, asked: float) -> None:
    """In single precision, so that one of 32->82 is a neighbour of the position that fractions tell."""
    size = {"size": (asked, 1)} if isinstance(asked, int) else {"scale_factor": (asked, 1.0)}

    def resized(x: Tensor) -> Tensor:
        return F.interpolate(x, mode=mode, **size)  # type: ignore[arg-type]

    truth = resized(torch.eye(ins)[:, None, :, None])[:, 0, :, 0].T.numpy() != 0
    found = trace(Apply(resized), (1, 1, ins, 1)).backward("output", [(o, 0) for o in range(len(truth))])[0]
    assert np.array_equal(found.support[..., 0], truth)


def transposed_in_place(x: Tensor) -> Tensor:
    parts = by_channel(x).view(1, 2, 4, *x.shape[2:]).clone()
    parts.transpose_(1, 2)
    return parts.reshape(1, 8, *x.shape[2:])


def written_in_part(x: Tensor) -> Tensor:
    y = F.layer_norm(last(x), (8,))
    y[:, 1:3] = y[:, 3:5]
    return first(y + 1)


def given_in_part(x: Tensor) -> Tensor:
    y = torch.zeros(1, 9, 9, 8).to(x)
    torch.add(last(x), 1, out=y[:, 1:8])
    return 2 * y


REFUSED: dict[str, tuple[Operator, str]] = {
    "softmax of a batch": (lambda x: x.softmax(0), "softmax .* the batch"),
    "softmax of a batch of vectors": (lambda x: pooled(x).softmax(-2)[:, :, None, None], "softmax .* the batch"),
    "mean without rows": (lambda x: x.mean((1, 2))[:, :, None, None], "mean in .* do not stay"),
    "a vector along the columns": (lambda x: x + x.mean((2, 3))[:, :1].repeat(1, 9), "add in .* along the columns"),
    "a vector along the columns, copied": (lambda x: torch.zeros_like(x).copy_(F.pad(pooled(x), (0, 1))), "copy_ in"),
    "convolved channels last": (lambda x: F.conv2d(last(x), torch.ones(3, 7, 3, 3).to(x)),
                                r"convolution in .* \(B, H, W, C\) for \(B, C, H, W\); permute"),
    "pooled rows first": (lambda x: F.max_pool2d(x.transpose(1, 2), 2), r"max_pool2d.* in .* \(B, H, C, W\) for"),
    "padded channels last": (lambda x: F.pad(last(x), (0, 1)), "constant_pad_nd in .* permute the map back"),
    "reshaped, not permuted": (lambda x: x.permute(0, 2, 3, 1).reshape(x.shape), "_unsafe_view in .* turns|reshape"),
    "reshaped to windows": (lambda x: last(x).reshape(1, 7, 3, 3, 8)[0], "view in .* turns|reshape"),
    "two orders": (lambda x: x[:, :, :4, :4] + x[:, :, :4, :4].permute(0, 2, 3, 1), "add in .* different orders"),
    "a part written channels last": (written_in_part, "no boxes of one map"),
    "a part as an output": (given_in_part, "no boxes of one map"),
    "columns before rows": (lambda x: x.transpose(1, 3), r"transpose in .* in the order \(0, 3, 2, 1\)"),
    "turned": (lambda x: x.transpose(2, 3), "transpose in .* in the order"),
    "a roll of all": (lambda x: x.roll(3), "roll in .* name its dims"),
    "a row": (lambda x: x[:, :, 2][:, :, None], "select in .* slice it"),
    "a shift of its own": (lambda x: F.group_norm(x, 2, None, x.mean((0, 2, 3))), "native_group_norm in .* more than"),
    "transposed in place": (transposed_in_place, "transpose_ in .* no rule"),
    "squeezed in place": (lambda x: x.sum(1, keepdim=True).squeeze_(1).unsqueeze_(1), "squeeze_ in .* no rule"),
    "gated columns": (lambda x: F.glu(F.pad(x, (0, 1)), 3), "glu in .* halves rows or columns"),
    "bicubic, of its own size": (lambda x: F.interpolate(x, scale_factor=1.05, mode="bicubic"),
                                 "upsample_bicubic2d in .* keeps the map's size, where .* give the size"),
    "a product of vectors": (lambda x: (pooled(x) @ pooled(x).t())[:, :, None, None], "mm in .* from the image"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_rule_can_say_is_refused_by_name(name: str) -> None:
    operator, reason = REFUSED[name]
    graph = graph_of(lambda x: operator(torch.sigmoid(x)))
    assert 0 not in graph.backward("output", [(0, 0)])
    assert any(re.search(reason, problem) for problem in graph.problems("output")), graph.problems("output")


@pytest.mark.parametrize("returned", [lambda y: y, lambda y: y.data, lambda y: y.detach().contiguous()])
def test_a_map_whose_channels_come_last_keeps_its_rows_and_columns(returned: Operator) -> None:
    """Also where an alias that no operator made is returned, and where all three sizes are alike."""

    def field(operator: Operator) -> tuple[Any, ...]:
        graph = trace(Apply(operator), (1, 4, 12, 12))
        found = graph.backward("output", [(5, 7)], channel=1)[0].values
        return graph.maps[graph.index("output")].shape, graph.extent("output"), found.tolist()

    def pooled(x: Tensor) -> Tensor:
        return F.avg_pool2d(torch.cat([x, x, x], 1), (3, 5), 1, (1, 2))

    last = field(lambda x: returned(F.layer_norm(pooled(x).permute(0, 2, 3, 1), (12,))))
    assert last == field(lambda x: pooled(x).softmax(1))
    assert last[0] == (12, 12, 12)


def test_convnexts_field_is_that_of_its_convolutions() -> None:
    """Two 7x7 windows behind a stem of 4x4 patches; units of every map are known."""

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.spatial, self.norm = nn.Conv2d(16, 16, 7, padding=3, groups=16), nn.LayerNorm(16)
            self.wide, self.narrow, self.scale = nn.Linear(16, 64), nn.Linear(64, 16), nn.Parameter(torch.ones(16))

        def forward(self, x: Tensor) -> Tensor:
            y = self.wide(self.norm(self.spatial(x).permute(0, 2, 3, 1)))
            return x + (self.scale * self.narrow(F.gelu(y))).permute(0, 3, 1, 2)

    graph = trace(nn.Sequential(nn.Conv2d(3, 16, 4, 4), Block(), Block(), nn.Conv2d(16, 17, 1)), (1, 3, 64, 48))
    assert not any(one.problem for one in graph.maps)
    assert graph.extent("output").size_hw == (4 + 2 * 6 * 4,) * 2
    assert graph.maps[graph.index("2.wide")].shape == (64, 16, 12)
    assert graph.extent("2.wide") == graph.extent("2.spatial")


def test_a_traced_modules_convolutions_are_convolutions() -> None:
    """`torch.jit` writes them down under a name of their own."""
    weight = torch.zeros(4, 3, 3, 3)
    steps = [2, 2], [1, 1], [1, 1], False, [0, 0], 1
    graph, plain = (
        trace(Apply(lambda x, run=run: run(x, weight.to(x.device), None, *steps)), (1, 3, 12, 10))
        for run in (lambda *given: torch._convolution(*given, False, False, False, False), torch.convolution)
    )
    assert [one.op for one in graph.maps] == ["input", "_convolution"]
    assert graph.extent("output") == plain.extent("output")
    assert depths(graph) == depths(plain) == [0, 1]
    assert layer_taps(graph) == layer_taps(plain)
    assert len(layer_taps(graph)) == 1


def test_paths_are_as_many_through_a_shuffle_as_without_it() -> None:
    """A shuffle makes no branch: the positions on the way from a convolution to the next are the same."""
    first, second, last = (nn.Conv2d(8, 8, 3, padding=1, groups=groups) for groups in (1, 4, 1))
    plain = trace(nn.Sequential(first, second, last), (1, 8, 20, 20))
    squares = nn.PixelUnshuffle(2), nn.PixelShuffle(2)
    shuffled = trace(nn.Sequential(first, *squares, second, nn.ChannelShuffle(4), last), (1, 8, 20, 20))
    one, other = (graph.backward("output", [(9, 8)], kind="paths")[0].values for graph in (plain, shuffled))
    assert one.sum() == 9**3
    assert (one == other).all()


def test_the_operators_above_and_random_networks_meet_most_rules() -> None:
    """What no test meets is written down, so that a new rule without a test is noticed."""
    met: set[str] = set()
    for operator in OPERATORS.values():
        graph = graph_of(operator)
        met |= {one.op.removesuffix("_") for one in graph.maps}
    random = {"convolution", "max_pool2d", "upsample_nearest2d", "_upsample_nearest_exact2d", "upsample_bilinear2d",
              "upsample_bicubic2d", "batch_norm"}  # fmt: skip
    aliases = {"max_pool2d_with_indices", "_adaptive_avg_pool2d", "_softmax", "_log_softmax", "_unsafe_view",
               "_reshape_alias", "native_batch_norm", "cudnn_batch_norm", "_native_batch_norm_legit_no_training",
               "_batch_norm_no_update", "_to_copy", "split", "native_channel_shuffle", "_convolution"}  # fmt: skip
    same = {"detach", "alias", "to", "dropout", "lift_fresh", "type_as", "feature_dropout", "alpha_dropout",
            "native_dropout", "clone", "contiguous"}  # fmt: skip
    synonyms = {"moveaxis"}
    extremes = {"amax", "amin", "max", "min", "adaptive_max_pool2d"}
    assert set(RULES) - met - random - aliases - same - synonyms - extremes == set()
