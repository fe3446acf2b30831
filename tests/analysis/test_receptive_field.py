"""The exact engine against brute force, against the paper's equations, and where other tools are known to fail."""

import sys
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from analysis.receptive_fields.axes import Resize, Transposed, Window, connect
from analysis.receptive_fields.field_graph import UnavailableError
from analysis.receptive_fields.field_rules import RULES
from analysis.receptive_fields.field_trace import trace
from analysis.receptive_fields.receptive_field import FieldGraph
from analysis.receptive_fields.stacks import stack
from bench.counts.macs import CountError
from dpn import dilation
from dpn.build import build
from dpn.spec import HourglassSpec, ModelSpec
from dpn.zoo import ZOO
from tests.analysis.random_networks import Apply, Maker, Program

GRAPHS = 320


class Keeping(nn.Module):
    """Makes a grid in its first call, says so, and keeps it for the next ones."""

    grid: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.grid is None:
            print("a grid")
            self.grid = torch.zeros(x.shape[2:])
        return x + self.grid


@lru_cache(maxsize=2)
def followed(spec: ModelSpec) -> FieldGraph:
    with torch.device("meta"):
        net = build(spec)
    return trace(net, (1, 3, *spec.input_hw))


def traced(program: Program, shape: tuple[int, int, int]) -> tuple[FieldGraph, list[int]]:
    """A program's graph, and which of its maps stand for the program's own."""
    graph = trace(program, (1, *shape))
    return graph, [0, *(graph.names[f"steps.{i}"] for i in range(len(program.program)))]


@pytest.mark.parametrize("chunk", range(4))
def test_random_networks_against_brute_force(chunk: int) -> None:
    """Support and path counts of every map before a unit, and of every map behind a position, are those of autograd."""
    compared = 0
    for seed in range(chunk * GRAPHS // 4, (chunk + 1) * GRAPHS // 4):
        maker = Maker(seed)
        program = maker.program()
        graph, own = traced(program, maker.shapes[0])
        assert not any(one.problem for one in graph.maps), (seed, [one.problem for one in graph.maps])
        assert [graph.maps[i].shape for i in own] == maker.shapes
        maps = program.twins(torch.zeros(1, *maker.shapes[0], dtype=torch.float64, requires_grad=True))
        of = len(maps) - 1 - maker.draw.randrange(2)
        unit = tuple(maker.draw.randrange(n) for n in maker.shapes[of][1:])
        gradients = torch.autograd.grad(maps[of][0, :, unit[0], unit[1]].sum(), maps, allow_unused=True)
        paths = graph.backward(own[of], [unit], kind="paths")
        support = graph.backward(own[of], [unit])
        for i, gradient in enumerate(gradients[: of + 1]):
            if gradient is None:
                assert not graph.connected(own[of], own[i])
                continue
            truth = gradient[0].sum(0).numpy()
            assert truth.max() < 2**53
            assert np.array_equal(support[own[i]].values[0], truth != 0), (seed, of, i)
            assert np.array_equal(paths[own[i]].values[0] != 0, truth != 0), (seed, of, i)
            if maker.shapes[i][0] == 1:
                assert np.array_equal(paths[own[i]].values[0].astype(float), truth), (seed, of, i)
            compared += 1
        compared += forward_agrees(maker, program, graph, own)
    assert compared > 4 * GRAPHS // 4


def forward_agrees(maker: Maker, program: Program, graph: FieldGraph, own: list[int]) -> int:
    """The twin is linear: what one position of the input reaches is what the twin makes of a one there."""
    shape = maker.shapes[0]
    place = tuple(maker.draw.randrange(n) for n in shape[1:])
    image = torch.zeros(1, *shape, dtype=torch.float64)
    image[0, 0, place[0], place[1]] = 1
    reached = graph.forward("input", [place], kind="paths")
    compared = 0
    for i, (found, truth) in enumerate(zip((reached.get(j) for j in own), program.twins(image), strict=True)):
        if found is None:
            assert not graph.connected(own[i], 0)
            continue
        values = truth[0].sum(0).numpy()
        assert np.array_equal(found.values[0] != 0, values != 0), i
        if maker.shapes[i][0] == 1:
            assert np.array_equal(found.values[0].astype(float), values), i
        compared += 1
    return compared


def test_unbounded_fields_are_those_in_the_middle_of_a_large_map() -> None:
    net = nn.Sequential(nn.Conv2d(1, 1, 3, 2, 1), nn.MaxPool2d(3, 2, 1), nn.Conv2d(1, 1, 3, padding=4, dilation=4),
                        nn.Upsample(scale_factor=2, mode="bilinear"), nn.ConvTranspose2d(1, 1, 4, 2, 1))  # fmt: skip
    graph = trace(net, (1, 1, 256, 256))
    for unit in ((128, 128), (129, 127)):
        bounded = graph.backward("output", [unit], kind="paths", to=["input"])[0]
        free = graph.backward("output", [unit], kind="paths", to=["input"], bounded=False)[0]
        top, left = free.origin
        height, width = free.values.shape[1:]
        assert np.array_equal(bounded.values[0, top : top + height, left : left + width], free.values[0])
        assert bounded.values.sum() == free.values.sum()
        assert max(graph.extent("output").size_hw) >= max(free.extent_hw)


@pytest.mark.parametrize("rule", [
    Window(3, 2, 1), Window(3, 1, 8, 8), Window(1, 1, -2), Transposed(Window(4, 2, 1)), Transposed(Window(3, 3, 0, 2)),
    Resize("nearest", Fraction(1, 2)), Resize("linear", Fraction(1, 2), Fraction(-1, 4)),
    Resize("cubic", Fraction(3, 5), Fraction(-1, 5)), Resize("cubic", Fraction(1, 3), Fraction(-1, 3)),
])  # fmt: skip
@pytest.mark.parametrize("outs", [(-7, 9), (-8, 8), (1, 4), (-2, 1)])
def test_axis_rules_know_their_ends(rule: Window | Transposed | Resize, outs: tuple[int, int]) -> None:
    """`reach` is what `reads` reads, `reached` misses no reader, `most` is never exceeded."""
    ins = rule.reach(outs)
    table = rule.reads(np.arange(outs[0], outs[1] + 1))
    known = table[table != np.iinfo(np.int64).min]
    assert ins == (known.min(), known.max())
    both = connect(rule, outs, ins, clamp=False)
    assert (both.reads >= 0).sum(axis=0).max() <= rule.most
    assert (both.read_by >= 0).sum(axis=0).max() <= rule.most
    low, high = rule.reached((0, 0))
    wide = np.arange(low - 40, high + 41)
    readers = wide[(rule.reads(wide) == 0).any(axis=0)]
    assert low <= readers.min()
    assert readers.max() <= high


def spans(graph: FieldGraph, unit: int, *, bounded: bool) -> tuple[int, int]:
    """First and last row of the input that a unit of the output reads."""
    field = graph.backward("output", [(unit, unit)], to=["input"], bounded=bounded)[0]
    rows = np.flatnonzero(field.support[0].any(axis=1)) + field.origin[0]
    return int(rows[0]), int(rows[-1])


@pytest.mark.parametrize("net", [
    nn.Sequential(nn.Upsample(scale_factor=3, mode="bicubic"), nn.Conv2d(1, 1, 4)),
    nn.Sequential(nn.Upsample(scale_factor=3, mode="bicubic"), nn.MaxPool2d(2, 1), nn.Conv2d(1, 1, 2)),
    nn.Sequential(nn.Upsample(79, mode="bicubic", align_corners=True), nn.Conv2d(1, 1, 4)),
    nn.Sequential(nn.ConvTranspose2d(1, 1, 2, stride=3, dilation=5), nn.Conv2d(1, 1, 3)),
    nn.Sequential(nn.ConvTranspose2d(1, 1, 3, stride=3, dilation=4), nn.Conv2d(1, 1, 3)),
    nn.Sequential(nn.ConvTranspose2d(1, 1, 1, stride=2), nn.Conv2d(1, 1, 2, dilation=3)),
    nn.Sequential(nn.Conv2d(1, 1, 3), nn.ConvTranspose2d(1, 1, 2, stride=3, dilation=5), nn.Conv2d(1, 1, 3),
                  nn.Upsample(scale_factor=3, mode="bicubic"), nn.Conv2d(1, 1, 4, dilation=2)),
], ids=["cubic", "cubic, pooled", "corners", "wide taps", "wider taps", "holes", "all"])  # fmt: skip
def test_sizes_and_centres_of_fields_whose_ends_run_backward_are_those_of_single_units(net: nn.Module) -> None:
    """After a cubic or a transposed convolution a unit may end before the one before it, or read nothing."""
    graph = trace(net, (1, 1, 40, 40))
    extent, middle = graph.extent("output"), graph.hw("output")[0] // 2
    found = {unit: spans(graph, unit, bounded=True) for unit in range(middle - 9, middle + 9)}
    assert {unit: spans(graph, unit, bounded=False) for unit in found} == found
    assert extent.size_hw[0] == max(last - first + 1 for first, last in found.values())
    assert graph.central_hw("output")[0] == found[middle][1] - found[middle][0] + 1
    first, last = spans(graph, 0, bounded=False)
    assert extent.centre_hw[0] == Fraction(first + last, 2)


class Parted(nn.Module):
    """Two branches as channels of one map, of which only some are read on."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.wide, self.narrow = nn.Conv2d(1, 8, 9, stride, 4), nn.Conv2d(1, 4, 1)
        self.after, self.all = nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.Conv2d(12, 1, 3, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        wide = self.wide(x)
        both = torch.cat([wide, self.narrow(x)[:, :, : wide.shape[2], : wide.shape[3]]], 1)
        return self.after(both[:, 8:]), self.all(both)


def test_channels_that_are_not_read_do_not_count() -> None:
    graph = trace(Parted(1), (1, 1, 32, 32))
    assert graph.extent("after").size_hw == graph.central_hw("after") == (3, 3)
    assert graph.extent("all").size_hw == graph.central_hw("all") == (11, 11)
    assert graph.backward("after", [(16, 16)])[0].extent_hw == (3, 3)
    graph = trace(Parted(2), (1, 1, 32, 32))
    with pytest.raises(UnavailableError, match=r"branches that meet in .* have different strides"):
        graph.extent("after")
    assert graph.central_hw("after") == (3, 3)


def test_equations_1_to_6() -> None:
    """Eqs. 1 to 4 layer by layer and Eq. 6 in one, against the graph."""
    rf, jump, layers = 1, 1, []
    for kernel, stride, dilated in ((3, 1, 1), (5, 2, 1), (3, 1, 4), (3, 2, 1), (3, 1, 2)):
        layers.append(nn.Conv2d(1, 1, kernel, stride, dilation=dilated))
        extent = trace(nn.Sequential(*layers), (1, 1, 99, 99)).extent("output")
        if stride == jump == dilated == 1:
            assert dilation.rf_after_convolution(rf, kernel) == extent.size_hw[0]
        if jump == 1:
            assert dilation.rf_after_dilated(rf, kernel, dilated) == extent.size_hw[0]
        rf = dilation.rf_after_strided(rf, dilated * (kernel - 1) + 1, jump)
        jump = dilation.jump_after_strided(jump, stride)
        assert extent.size_hw == (rf, rf)
        assert extent.jump_hw == (jump, jump)
    for n in range(1, 8):
        assert stack(dilation.pyramid(n)).extent("output").size_hw == (dilation.rf_pyramid(layers=n),) * 2


@pytest.mark.parametrize(("dilations", "size"), [((8,) * 6, 97), ((32, 16, 8, 4, 2, 1), 127), ((1,) * 6, 13)])
@pytest.mark.parametrize("map_hw", [(64, 64), (32, 24)])
def test_where_other_tools_fail(dilations: tuple[int, ...], size: int, map_hw: tuple[int, int]) -> None:
    """Constant 8 is 97 wide, not 13 or 57, with stride 1, not 0 or -7, and centred on its unit, on any size of map."""
    net = nn.Sequential(*(nn.Conv2d(4, 4, 3, padding=d, dilation=d) for d in dilations))
    graph = trace(net, (1, 4, *map_hw))
    extent = graph.extent("output")
    assert (extent.size_hw, extent.jump_hw, extent.centre_hw) == ((size, size), (1, 1), (0, 0))
    bounded = graph.backward("output", [(map_hw[0] // 2, map_hw[1] // 2)])[0]
    assert bounded.extent_hw == tuple(
        len({p for p in reads(dilations, n // 2) if 0 <= p < n}) and np.ptp(
            [p for p in reads(dilations, n // 2) if 0 <= p < n]) + 1 for n in map_hw)  # fmt: skip


def reads(dilations: tuple[int, ...], unit: int) -> set[int]:
    """Positions that a unit reads, by enumeration."""
    found = {unit}
    for d in reversed(dilations):
        found = {p + step for p in found for step in (-d, 0, d)}
    return found


def test_path_counts_larger_than_64_bits_are_exact() -> None:
    graph = stack((32, 16, 8, 4, 2, 1), (200, 1), modules=7)
    field = graph.backward("output", [(100, 0)], kind="paths", bounded=False)[0]
    assert int(field.values.sum()) == 9**42
    share = graph.backward("output", [(100, 0)], kind="share", bounded=False)[0]
    assert float(share.values.sum()) == pytest.approx(9.0**42, rel=1e-12)


def test_channels_that_never_meet_stay_apart() -> None:
    """Depthwise convolutions keep channels apart, a slice reads some, and a dense convolution mixes them."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wide = nn.Conv2d(1, 4, 3, padding=1)
            self.apart = nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=4)
            self.left = nn.Conv2d(2, 2, 5, padding=2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.apart(self.wide(x))
            one, other = x.chunk(2, dim=1)
            return torch.cat([self.left(one), other], dim=1)

    graph = trace(Net(), (1, 1, 21, 21))
    left = graph.backward("output", [(10, 10)], channel=0)
    right = graph.backward("output", [(10, 10)], channel=3)
    assert left[graph.index("apart")].extent_hw == (5, 5)
    assert right[graph.index("apart")].extent_hw == (1, 1)
    assert right[0].extent_hw == (7, 7)
    assert right[0].support.sum() == 49
    both = graph.backward("output", [(10, 10)], kind="paths")
    assert both[graph.index("apart")].channels == 2
    assert int(both[0].values.sum()) == 81 * (25 + 1)
    with pytest.raises(ValueError, match="channel 4 is not on the map, which has 4"):
        graph.backward("output", [(10, 10)], channel=4)


def test_an_unknown_operator_is_named_and_hides_what_lies_behind() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.first(x)
            return self.second(torch.sort(x, 2)[0]) + self.second(x)

    graph = trace(Net(), (1, 3, 20, 20))
    field = graph.backward("output", [(4, 4)])
    assert graph.index("first") not in field
    assert 0 not in field
    assert graph.index("second") in field
    with pytest.raises(UnavailableError, match="sort in the network: no rule"):
        graph.extent("output")
    assert graph.extent("first").size_hw == (3, 3)
    assert set(graph.forward("input", [(0, 0)])) == {0, graph.index("first"), graph.index("second #2")}


def test_a_rule_that_fails_costs_what_lies_behind_it_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RULES, "avg_pool2d", lambda *_: {}["kernel"])
    graph = trace(nn.Sequential(nn.Conv2d(3, 4, 3), nn.AvgPool2d(2), nn.Conv2d(4, 4, 1)), (1, 3, 8, 8))
    assert graph.extent("0").size_hw == (3, 3)
    (problem,) = graph.problems("output")
    assert problem == "avg_pool2d in 1: its rule fails here, KeyError: 'kernel'"


def test_what_a_network_keeps_or_prints_while_it_is_traced_is_taken_back(capsys: pytest.CaptureFixture[str]) -> None:
    net = Keeping()
    trace(net, (1, 3, 4, 4))
    assert tuple(capsys.readouterr()) == ("", "a grid\n")
    assert net(torch.ones(1, 3, 4, 4)).device.type == "cpu"


@pytest.mark.parametrize(
    ("net", "words"),
    [
        (Apply(lambda _: sys.exit(3)), "SystemExit: 3; a forward pass must return, never leave"),
        (nn.Conv2d(3, 4, 1).half(), r"RuntimeError: .*build it with \.to\(torch\.float32\)"),
        (nn.LazyConv2d(4, 1), "call it once on a real input"),
        (nn.Conv2d(4, 4, 1), "RuntimeError: .*; check the input's size"),
    ],
    ids=["leaving", "half precision", "lazy", "wrong size"],
)
def test_a_network_that_cannot_be_traced_is_told_what_to_do(net: nn.Module, words: str) -> None:
    with pytest.raises(CountError, match=words):
        trace(net, (1, 3, 8, 8))


def test_branches_of_different_strides_are_refused() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fine, self.coarse = nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1, stride=2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            coarse = self.coarse(x)
            return coarse + self.fine(x)[:, :, : coarse.shape[2], : coarse.shape[3]]

    graph = trace(Net(), (1, 1, 8, 8))
    with pytest.raises(UnavailableError, match=r"branches that meet in .* have different strides"):
        graph.extent("output")
    assert graph.backward("output", [(1, 1)])[0].support.sum() == 2


def test_a_unit_off_the_map_and_an_unknown_map() -> None:
    graph = stack((2, 1), (8, 8))
    with pytest.raises(ValueError, match=r"unit \[8, 0\] is not on the map, which is 8x8"):
        graph.backward("output", [(1, 1), (8, 0)])
    with pytest.raises(KeyError, match="no map named 'layer 3'; the nearest are layer 2"):
        graph.backward("layer 3", [(1, 1)])
    with pytest.raises(ValueError, match="must be at least 1"):
        stack((2, 0))
    with pytest.raises(ValueError, match="give an odd size"):
        stack((1,), kernel=2)


@pytest.mark.parametrize(
    "names",
    [
        ("pil", "dpn4_64", "hrnet_w32"),
        pytest.param(
            ("sbl_r50", "hourglass8", "openpose", "dlcm", "mca", "jada", "cpn_r50", "pil", "deepercut_r101_released"),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_every_network_is_followed_or_says_why_not(names: tuple[str, ...]) -> None:
    """Only one has operators that no rule follows, and these are what its authors say of them."""
    blocked = {}
    for name in names:
        problems = {one.problem for one in followed(ZOO[name]).maps if one.problem}
        if problems:
            blocked[name] = problems
    assert set(blocked) == {"pil"}
    assert any("its kernel is computed from the image" in problem for problem in blocked["pil"])


HOURGLASS = ZOO["hourglass8"]
assert isinstance(HOURGLASS, HourglassSpec)


@pytest.mark.parametrize(
    ("spec", "place"),
    [(ZOO["dpn4_64"], -2), (ZOO["hrnet_w32"], 0), (ZOO["sbl_r50"], -14), (replace(HOURGLASS, stacks=1), 1)],
    ids=["DPN", "HRNet", "SimpleBaseline", "hourglass"],
)
def test_joints_lie_where_the_networks_layers_put_them(spec: ModelSpec, place: int) -> None:
    """DPN doubles a grid of 8 px by x/2 - 1/4, three transposed convolutions x/2 - 1/4 of 32 px, a pooling 2x + 1/2."""
    extent = followed(spec).extent("output")
    assert (extent.jump_hw, extent.place_hw) == ((4, 4), (place, place))


def wider(x: Tensor) -> Tensor:
    """Three branches, each with another place; the first reads least."""
    low = F.interpolate(F.max_pool2d(x, 3, 2, 1), scale_factor=2)
    return x + low + F.avg_pool2d(F.pad(x, (3, 0, 3, 0)), 4, 1)


@pytest.mark.parametrize(
    ("net", "jump", "place"),
    [
        (nn.ConvTranspose2d(1, 1, 4, 2, 1), "1/2", "-1/4"),
        (nn.Sequential(nn.Conv2d(1, 1, 5, 4, 2), nn.ConvTranspose2d(1, 1, 4, 2, 1)), 2, -1),
        (nn.ConvTranspose2d(1, 1, 3, 3, dilation=2), "1/3", "-2/3"),
        (nn.AvgPool2d(2), 2, "1/2"),
        (nn.Upsample(scale_factor=2), "1/2", "-1/4"),
        (nn.Upsample(scale_factor=3, mode="nearest-exact"), "1/3", "-1/3"),
        (nn.Upsample(scale_factor=0.5), 2, 0),
        (nn.Upsample(scale_factor=3, mode="bicubic"), "1/3", "-1/3"),
        (nn.Upsample(79, mode="bilinear", align_corners=True), "1/2", 0),
        (nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(4, 1, 1)), 2, "1/2"),
        (nn.Sequential(nn.Conv2d(1, 9, 1), nn.PixelShuffle(3)), "1/3", "-1/3"),
        (Apply(wider), 1, 0),
    ],
)  # fmt: skip
def test_units_lie_on_one_grid_where_their_fields_differ(net: nn.Module, jump: str | int, place: str | int) -> None:
    extent = trace(net, (1, 1, 40, 40)).extent("output")
    assert (extent.jump_hw, extent.place_hw) == ((Fraction(jump),) * 2, (Fraction(place),) * 2)


def test_a_shortcut_adds_its_own_paths() -> None:
    """Of a residual stack each layer has one path more in the middle; the support is the same."""
    plain, residual = stack((4, 2, 1), (31, 31)), stack((4, 2, 1), (31, 31), shortcuts=True)
    one = plain.backward("output", [(15, 15)], kind="paths")[0].values
    other = residual.backward("output", [(15, 15)], kind="paths")[0].values
    assert int(other.sum()) == 10**3
    assert np.array_equal(one != 0, other != 0)
    assert other[0, 15, 15] == 2**3
    assert one[0, 15, 15] == 1
