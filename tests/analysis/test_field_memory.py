"""Networks that write into maps, against autograd: what is told is the Jacobian's support, and what is not is named."""

import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from analysis.receptive_fields.field_graph import UnavailableError
from analysis.receptive_fields.field_trace import trace
from tests.analysis.jacobians import SHAPE, Operator, assert_is_the_jacobians_support, graph_of

CONV = nn.Conv2d(4, 4, 3, padding=1, groups=4, dtype=torch.float64)
AROUND = nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular", dtype=torch.float64)


def shifted(x: Tensor) -> Tensor:
    y = torch.sigmoid(x)
    z = torch.zeros_like(y)
    z[:, :, 5:] = y[:, :, :-5]
    return y + z


def rolled(x: Tensor) -> Tensor:
    z = x.new_empty(x.shape)
    z[:, :, 2:], z[:, :, :2] = x[:, :, :-2], x[:, :, -2:]
    return z * x


def interleaved(x: Tensor) -> Tensor:
    z = x.new_zeros((1, 4, 14, 9))
    z[:, :, ::2], z[:, :, 1::2] = x, x.flip(3)
    return z[:, :, 3:9]


def by_channels(x: Tensor) -> Tensor:
    z = torch.empty_like(x)
    for c in range(0, 4, 2):
        z[:, c : c + 2] = x[:, 2 - c : 4 - c].flip(c // 2 + 2)
    return z


def pasted(x: Tensor) -> Tensor:
    """A block over a part of each axis, and another over a part of the first."""
    z = 2 * x
    z[:, 1:3, 2:6, 3:8] = x[:, 2:4, 1:5, :5]
    z[:, :2, 4:, 5:] = 0
    return z


def read_before_and_after(x: Tensor) -> Tensor:
    z = 2 * x
    left = z[:, :, :, :4]
    early = left.clone()
    z[:, :, :, 2:6] = x[:, :, :, 5:9]
    return early + left


def channels_last(x: Tensor) -> Tensor:
    z = torch.zeros_like(x, memory_format=torch.channels_last)
    z[:, 1:3, 2:, ::3] = x[:, :2, :5, :3]
    return z


def cat_loop(x: Tensor) -> Tensor:
    z = x[:, :1]
    for c in range(1, 4):
        z = torch.cat([z, x[:, c : c + 1].flip(2)], dim=1)
    return z


TOLD: dict[str, Operator] = {
    "shifted": shifted,
    "rolled": rolled,
    "interleaved": interleaved,
    "by channels": by_channels,
    "pasted": pasted,
    "read before and after": read_before_and_after,
    "channels last": channels_last,
    "cat loop": cat_loop,
    "a circular convolution": lambda x: AROUND.to(x.device)(x),
    "beside a circular convolution": lambda x: CONV.to(x.device)(x) + AROUND.to(x.device)(x),
    "scaled in part": lambda x: _scaled(2 * x),
}  # fmt: skip


def _scaled(y: Tensor) -> Tensor:
    y[:, :, ::2] *= y[:, :, :1].clone()
    return y


@pytest.mark.parametrize("name", TOLD)
def test_what_is_written_in_parts_is_the_jacobians_support(name: str) -> None:
    graph = graph_of(TOLD[name])
    assert not any(one.problem for one in graph.maps), [one.problem for one in graph.maps if one.problem]
    assert_is_the_jacobians_support(TOLD[name], graph)


def through_an_alias(x: Tensor) -> Tensor:
    y = torch.sigmoid(x)
    y.detach()[:, :, 1:] += x[:, :, :-1]
    return y


def behind_its_data(x: Tensor) -> Tensor:
    y = torch.sigmoid(x)
    y.data[:, :, 1:] = x[:, :, :-1]
    return y + x.data[:, :, :, -1:]


def into_a_given_tensor(x: Tensor) -> Tensor:
    z = torch.zeros_like(x)
    torch.mul(x[:, :, :3], 2, out=z[:, :, 2:5])
    return z


def after_the_view(x: Tensor) -> Tensor:
    """The view lies in memory that no operator has filled yet, and the whole is only known by it."""
    z = torch.empty_like(x).zero_()
    middle = z[:, :, 2:5]
    z[:, :, 3:] = x[:, :, :4]
    return F.pad(middle.flip(3), (0, 0, 2, 2))


def given_other_data(x: Tensor) -> Tensor:
    y = torch.sigmoid(x)
    y.data = x.flip(2)
    return y * 2


HIDDEN = {
    one.__name__: one
    for one in (through_an_alias, behind_its_data, into_a_given_tensor, after_the_view, given_other_data)
}
"""What autograd cannot follow, or refuses."""


@pytest.mark.parametrize("name", HIDDEN)
def test_what_is_written_where_autograd_does_not_look(name: str) -> None:
    """Against trying: each position of the image is changed, in all channels, and it is seen what changes."""
    graph = graph_of(HIDDEN[name])
    assert not any(one.problem for one in graph.maps), [one.problem for one in graph.maps if one.problem]
    x = torch.rand(SHAPE, dtype=torch.float64)
    before = HIDDEN[name](x.clone())
    units = [(row, column) for row in range(SHAPE[2]) for column in range(SHAPE[3])]
    told = graph.backward("output", units)[0].support
    for row, column in units:
        other = x.clone()
        other[:, :, row, column] += 0.25
        changed = (HIDDEN[name](other) != before).any(dim=1)[0].flatten().numpy()
        assert np.array_equal(told[:, row, column], changed), (row, column)


def index_put(x: Tensor) -> Tensor:
    z = torch.zeros_like(x)
    z[:, :, torch.tensor([0, 3]), torch.tensor([1, 2])] = x[:, :, 0, :2]
    return z


def one_channel(x: Tensor) -> Tensor:
    z = torch.zeros_like(x)
    z[:, 2] = x[:, 0]
    return z


def turned(x: Tensor) -> Tensor:
    z = torch.zeros((1, 4, 9, 7), dtype=x.dtype, device=x.device)
    z.transpose(2, 3)[:, :, 1:] = x[:, :, :-1]
    return z


def every_second_channel(x: Tensor) -> Tensor:
    z = torch.zeros_like(x)
    z[:, ::2] = x[:, :2]
    return z


def flat(x: Tensor) -> Tensor:
    z = torch.zeros_like(x)
    z.view(1, 4, 63)[:, :, 5:] = x.flatten(2)[:, :, :-5]
    return z


WRITING = 6

REFUSED: dict[str, tuple[Operator, str]] = {
    "sort": (lambda x: x.sort(3)[0], "sort in .*: no rule"),
    "index_put": (index_put, "index_put_ in .*: no rule"),
    "scatter": (lambda x: torch.zeros_like(x).scatter_(2, torch.zeros(SHAPE, dtype=torch.int64), x), "scatter_ in"),
    "masked scatter": (lambda x: torch.zeros_like(x).masked_scatter_(x > 0, x), "masked_scatter_ in"),
    "one channel": (one_channel, "copy_ in .*: it reads memory that another view wrote"),
    "turned": (turned, "copy_ in .*: it reads memory that another view wrote"),
    "every second channel": (every_second_channel, "copy_ in .*: it reads memory .* every so many channels"),
    "flat": (flat, "copy_ in .*: it reads memory that another view wrote"),
    "strided": (lambda x: x.as_strided((1, 4, 7, 7), (252, 63, 9, 1)), "as_strided in .*: no rule"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_rule_describes_is_named_and_not_guessed(name: str) -> None:
    operator, reason = REFUSED[name]
    graph = graph_of(lambda x: operator(torch.sigmoid(x)) + torch.sigmoid(x)[:, :, :1, :1])
    assert graph.connected("output")
    assert 0 not in graph.backward("output", [(2, 2)])
    with pytest.raises(UnavailableError, match=reason):
        graph.extent("output")


def test_writing_into_nothing_moves_a_map_and_writing_into_a_map_has_ends() -> None:
    """The first holds on maps without ends too; of the second that is refused, and the bounded field is exact."""

    class Net(nn.Module):
        def __init__(self, twice: bool) -> None:
            super().__init__()
            self.conv, self.twice = nn.Conv2d(3, 4, 3, padding=1), twice

        def forward(self, x: Tensor) -> Tensor:
            y = self.conv(x)
            z = torch.zeros_like(y)
            z[:, :, 5:] = y[:, :, :-5]
            if self.twice:
                z[:, :, :5] = y[:, :, -5:]
            return y + z

    once, twice = (trace(Net(twice), (1, 3, 32, 32)) for twice in (False, True))
    assert once.extent("output").size_hw == (8, 3)
    with pytest.raises(UnavailableError, match="a map that was written in parts is defined for its own map only"):
        twice.extent("output")
    assert twice.backward("output", [(2, 16)])[0].extent_hw == (30, 3)


@pytest.mark.parametrize("border", ["circular", "reflect", "replicate"])
def test_padding_by_what_the_map_holds_is_not_met_without_ends(border: str) -> None:
    """On a map with ends the field goes around or back; without, and in the middle, it is that of zero padding."""

    class Net(nn.Module):
        def __init__(self, border: str) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3, padding=1)
            self.around = nn.Conv2d(3, 3, 3, 2, padding=1, padding_mode=border)

        def forward(self, x: Tensor) -> Tensor:
            x = self.conv(x)
            return x[:, :, ::2, ::2] + self.around(x)

    graph, zeros = (trace(Net(mode), (1, 3, 16, 16)) for mode in (border, "zeros"))
    assert graph.extent("output") == zeros.extent("output")
    assert graph.extent("output").size_hw == (5, 5)
    assert graph.backward("output", [(4, 4)])[0].extent_hw == (5, 5)
    free = graph.backward("output", [(0, 4)], bounded=False)[0]
    assert (free.extent_hw, free.origin) == ((5, 5), (-2, 6))
    first = graph.backward("output", [(0, 4)])[0].support[0, :, 8]
    assert set(np.flatnonzero(first)) == {0, 1, 2} | ({14, 15} if border == "circular" else set())


class Writing:
    """A random function that fills and changes two tensors through views of each other."""

    def __init__(self, seed: int) -> None:
        self.steps = [(random.Random(seed * 100 + step)) for step in range(random.Random(seed).randint(2, 7))]
        self.states = [draw.getstate() for draw in self.steps]

    def __call__(self, x: Tensor) -> Tensor:
        for draw, state in zip(self.steps, self.states, strict=True):
            draw.setstate(state)
        tensors = [torch.zeros_like(x), 2 * x, x]
        for draw in self.steps:
            self._step(tensors, draw)
        return tensors[0] * 3 + tensors[1]

    @staticmethod
    def _step(tensors: list[Tensor], draw: random.Random) -> None:
        to, source = tensors[draw.randrange(2)], tensors[draw.randrange(3)]
        sizes = [draw.randint(2, n) for n in SHAPE[1:]]
        parts = []
        for _ in range(2):
            steps = [1, *(draw.choice([s for s in (1, 1, 2, 3) if s * (n - 1) < most]) for n, most in
                          zip(sizes[1:], SHAPE[2:], strict=True))]  # fmt: skip
            starts = [draw.randint(0, most - s * (n - 1) - 1)
                      for n, s, most in zip(sizes, steps, SHAPE[1:], strict=True)]  # fmt: skip
            parts.append((slice(None), *(slice(a, a + s * (n - 1) + 1, s)
                                         for a, s, n in zip(starts, steps, sizes, strict=True))))  # fmt: skip
        kind = draw.randrange(5)
        value = source[parts[1]].clone() if draw.random() < 0.5 or source is not tensors[2] else source[parts[1]]
        if kind < 2:
            to[parts[0]] = value
        elif kind == 2:
            to[parts[0]].add_(value)
        elif kind == 3:
            to[parts[0]] = 0
        else:  # a view of a view, written through
            to[:, :, draw.randrange(2) :][:, :, :, draw.randrange(3) :].mul_(2)


@pytest.mark.parametrize("chunk", range(4))
def test_random_writes_against_autograd(chunk: int) -> None:
    for seed in range(chunk * WRITING, (chunk + 1) * WRITING):
        graph = graph_of(Writing(seed))
        assert not any(one.problem for one in graph.maps), (seed, [one.problem for one in graph.maps if one.problem])
        assert_is_the_jacobians_support(Writing(seed), graph)
