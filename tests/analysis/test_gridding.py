"""Exact gridding against the checked facts, against enumeration, and against the counter's live multiply-adds."""

import tracemalloc
from fractions import Fraction
from itertools import product
from math import gcd
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from analysis.receptive_fields.axes import Window
from analysis.receptive_fields.coupling import coupling
from analysis.receptive_fields.field_graph import Edge, Map, Pointwise, UnavailableError
from analysis.receptive_fields.field_trace import trace
from analysis.receptive_fields.gridding import Gridding, gridding, orders
from analysis.receptive_fields.hdc import HDC_FAILURES, hdc
from analysis.receptive_fields.live_taps import bottleneck_macs, layer_taps
from analysis.receptive_fields.path_matrices import (
    backward_paths,
    count_phases,
    entropy_bits,
    forward_paths,
    high_share,
    path_counts,
    support,
)
from analysis.receptive_fields.receptive_field import FieldGraph
from analysis.receptive_fields.stacks import stack
from bench.counts.macs import count
from dpn import dilation
from dpn.networks.dpn import DilationPyramidModule

DPM, REV = dilation.pyramid(), dilation.reversed_pyramid()
STACKS = {"DPM": DPM, "REV": REV} | {f"constant {d}": dilation.constant(d) for d in (1, 2, 4, 8)}
RANDOM = np.random.default_rng(6)


def drawn(most: int = 6, largest: int = 12) -> tuple[int, ...]:
    return tuple(RANDOM.integers(1, largest + 1, size=RANDOM.integers(1, most + 1)).tolist())


def between_ends(dilations: tuple[int, ...], size: int) -> NDArray[Any]:
    """(outputs, inputs) numbers of paths on a bounded axis."""
    *_, last = backward_paths(dilations, size)
    return last


def rounded(values: list[float | None], digits: int = 3) -> list[float]:
    return [round(value, digits) for value in values if value is not None]


# Unbounded stacks, section 2 of the facts.

CONSTANT_BITS = [3.044, 3.547, 3.839, 4.047]
PYRAMID_BITS = [6.735, 7.441, 7.749, 7.960]


@pytest.mark.parametrize(
    ("name", "fields", "supports", "coverage_2d", "bits", "m2", "passes"),
    [
        ("DPM", [127, 253, 379, 505], [127, 253, 379, 505], 1, PYRAMID_BITS, 21, False),
        ("REV", [127, 253, 379, 505], [127, 253, 379, 505], 1, PYRAMID_BITS, 2, True),
        ("constant 1", [13, 25, 37, 49], [13, 25, 37, 49], 1, CONSTANT_BITS, 1, True),
        ("constant 2", [25, 49, 73, 97], [13, 25, 37, 49], 0.2704, CONSTANT_BITS, 2, True),
        ("constant 4", [49, 97, 145, 193], [13, 25, 37, 49], 0.0704, CONSTANT_BITS, 4, False),
        ("constant 8", [97, 193, 289, 385], [13, 25, 37, 49], 0.0180, CONSTANT_BITS, 8, False),
    ],
)
def test_unbounded_stacks(
    name: str, fields: list[int], supports: list[int], coverage_2d: float, bits: list[float], m2: int, passes: bool
) -> None:
    told = [gridding(STACKS[name], modules=modules) for modules in (1, 2, 3, 4)]
    assert [one.rf for one in told] == fields
    assert [one.support for one in told] == supports
    assert rounded([told[0].maps[0].backward_coverage_2d], 4) == [coverage_2d]
    assert rounded([one.maps[0].entropy_bits for one in told]) == bits
    assert [one.maps[0].effective_inputs for one in told] == pytest.approx([2**b for b in bits], rel=4e-4)
    assert (told[0].hdc.m2, told[0].hdc.passes) == (m2, passes)


def test_path_counts_of_a_pyramid_are_signed_binary_representations() -> None:
    counts = path_counts(DPM)
    assert counts[63 : 63 + 21].tolist() == [1, 6, 5, 9, 4, 11, 7, 10, 3, 11, 8, 13, 5, 12, 7, 9, 2, 9, 7, 12, 5]
    sums = [sum(digit * d for digit, d in zip(digits, DPM, strict=True)) for digits in product((-1, 0, 1), repeat=6)]
    assert counts.tolist() == [sums.count(offset) for offset in range(-63, 64)]
    offsets = np.arange(-63, 64)
    assert Fraction(int(counts[offsets % 2 == 1].sum()), int(counts.sum())) == Fraction(2, 3)
    row = gridding(DPM).maps[0]
    assert (int(counts.sum()), row.centre_paths, row.most_paths) == (729, 1, 13)
    assert offsets[counts == row.most_paths].tolist() == [-21, -11, 11, 21]
    assert path_counts(REV).tolist() == counts.tolist()


def test_two_modules_have_their_maximum_in_the_centre() -> None:
    row = gridding(DPM, modules=2).maps[0]
    assert row.centre_paths == row.most_paths
    assert np.flatnonzero(path_counts(DPM * 2) == row.most_paths).tolist() == [126]


def test_counts_beyond_64_bits_stay_exact() -> None:
    counts = path_counts((1,) * 48)
    assert sum(counts.tolist()) == 3**48 > 2**63
    assert between_ends((1,) * 48, 97)[48].tolist() == counts.tolist()


def test_all_orders_of_the_pyramid() -> None:
    rows = orders(REV)
    assert len(rows) == len({row.dilations for row in rows}) == 720
    assert {row.support for row in rows} == {row.rf for row in rows} == {127}
    assert sum(row.hdc_passes is True for row in rows) == 25
    verdicts = {row.dilations: row.hdc_passes for row in rows}
    assert (verdicts[DPM], verdicts[REV]) == (False, True)
    best, second = rows[:2]
    assert best.dilations == DPM
    assert best.mean_interior_overlap is not None
    assert second.mean_interior_overlap is not None
    assert best.mean_interior_overlap - second.mean_interior_overlap > 1e-3
    for row in rows[::97]:
        whole = gridding(row.dilations)
        assert row.mean_backward_coverage == pytest.approx(whole.mean_backward_coverage)
        assert row.mean_interior_overlap == pytest.approx(whole.mean_interior_overlap)
        assert (row.hdc_m2, row.hdc_passes) == (whole.hdc.m2, whole.hdc.passes)


def test_orders_of_equal_dilations_count_once() -> None:
    assert {row.dilations for row in orders((2, 1, 2))} == {(1, 2, 2), (2, 1, 2), (2, 2, 1)}


def test_what_the_hdc_rule_is_labelled_with_is_true() -> None:
    assert "passes six layers of dilation 2, which read 27 % of their field" in HDC_FAILURES
    assert hdc(STACKS["constant 2"]).passes is True
    assert round(100 * gridding(STACKS["constant 2"]).maps[0].backward_coverage_2d) == 27
    assert "fails the pyramid 32,16,8,4,2,1, which reads all of it" in HDC_FAILURES
    assert hdc(DPM).passes is False
    assert gridding(DPM).maps[0].backward_coverage == 1
    assert "passes the reversed pyramid" in HDC_FAILURES
    assert hdc(REV).passes is True
    assert gridding(REV).mean_interior_overlap == 0
    assert (hdc((5,)).m2, hdc((5,)).passes) == (None, None)


# What separates the orders, section 5 of the facts.


def test_coverage_overlap_and_phases_by_map() -> None:
    dpm, rev = gridding(DPM).maps, gridding(REV).maps
    assert [row.backward_coverage for row in dpm] == [1] * 7
    assert rounded([row.backward_coverage for row in rev[:6]]) == [1, 0.504, 0.256, 0.133, 0.072, 0.046]
    assert rounded([row.overlap for row in dpm[:6]]) == [0.992, 0.984, 0.968, 0.933, 0.857, 0.667]
    assert rounded([row.overlap for row in rev[:6]]) == [0.992, 0, 0, 0, 0, 0]
    assert [row.phases_2d for row in rev] == [1, 4, 16, 64, 256, 1024, None]
    assert [row.phases_2d for row in dpm] == [1] * 6 + [None]
    assert (dpm[6].overlap, rev[6].overlap) == (None, None)
    assert [row.largest_gap for row in rev] == [0, 1, 3, 7, 15, 31, 0]
    assert [row.largest_gap for row in gridding(STACKS["constant 8"]).maps] == [7] * 6 + [0]


@pytest.mark.parametrize(
    ("name", "coverage", "overlap"), [("DPM", 1, 0.882), ("REV", 0.335, 0), ("constant 8", 0.147, 0)]
)
def test_means_over_maps(name: str, coverage: float, overlap: float) -> None:
    told = gridding(STACKS[name])
    assert rounded([told.mean_backward_coverage, told.mean_interior_overlap]) == [coverage, overlap]
    assert rounded([gridding(STACKS["constant 1"]).mean_interior_overlap]) == [0.824]


@pytest.mark.parametrize("dilations", [DPM, REV, *(drawn() for _ in range(20))])
def test_forward_is_the_mirror_image_of_backward(dilations: tuple[int, ...]) -> None:
    here, there = gridding(dilations), gridding(dilations[::-1])
    for ahead, back in zip(here.maps, reversed(there.maps), strict=True):
        for one, other in (("forward_read", "backward_read"), ("forward_coverage", "backward_coverage"),
                           ("forward_span", "backward_span"), ("high_share_out", "high_share_in")):  # fmt: skip
            assert getattr(ahead, one) == getattr(back, other)
    assert here.mean_forward_coverage == pytest.approx(there.mean_backward_coverage)


def with_head(kernel: int) -> FieldGraph:
    """REV with one more ordinary convolution behind it, on a map so large that its middle knows nothing of its ends."""
    graph = stack(REV, (400, 400))
    window = Window(kernel, 1, kernel // 2, 1)
    head = Map("convolution", "head", (1, 400, 400), (Edge(6, window, window, Pointwise(0, 0, 1)),), (6,))
    return FieldGraph((*graph.maps, head), dict(graph.names) | {"output": 7})


def mean_interior_overlap(graph: FieldGraph) -> float:
    fields = graph.backward("output", [(200, 200), (200, 201)])
    first, second = (np.stack([fields[i].support[unit].any(axis=0) for i in range(1, 7)]) for unit in (0, 1))
    return float(((first & second).sum(axis=1) / first.sum(axis=1)).mean())


def test_a_dense_convolution_repairs_the_reversed_pyramid_and_a_1x1_does_not() -> None:
    assert round(mean_interior_overlap(with_head(3)), 3) == 0.721
    assert rounded([gridding((*REV, 1)).mean_interior_overlap]) == [0.721]
    assert mean_interior_overlap(with_head(1)) == 0


# Bounded maps, section 3 of the facts.


@pytest.mark.parametrize(
    ("map_hw", "shares", "live"),
    [
        ((32, 24), [1 / 9, 0.3704, 0.6481, 0.8148, 0.9051, 0.9520], 0.6336),
        ((64, 48), [0.3704, 0.6481, 0.8148, 0.9051, 0.9520, 0.9758], 0.7777),
    ],
)
def test_live_taps_of_a_pyramid(map_hw: tuple[int, int], shares: list[float], live: float) -> None:
    told = gridding(DPM, map_hw)
    assert rounded([row.live_share for row in told.layers], 4) == rounded(list(shares), 4)
    assert rounded([told.live_share], 4) == [live]
    for row, d in zip(told.layers, DPM, strict=True):
        axes = [Fraction(n + 2 * max(0, n - d), 3 * n) for n in map_hw]
        assert Fraction(row.live_reads, row.reads) == axes[0] * axes[1]
        assert row.taps == row.live_taps + row.dead_taps == 9


def test_the_widest_layer_is_a_1x1_convolution_at_32x24_and_not_at_64x48() -> None:
    small, large = gridding(DPM, (32, 24)).layers, gridding(DPM, (64, 48)).layers
    assert [row.is_1x1 for row in small] == [True] + [False] * 5
    assert (small[0].live_taps, small[0].dead_taps) == (1, 8)
    assert not any(row.is_1x1 for row in large)
    assert [row.is_1x1 for row in layer_taps(stack((1, 1), kernel=1))] == [False, False]


def test_a_module_spends_a_fifth_on_padding_as_the_counter_says() -> None:
    nominal, live = bottleneck_macs(gridding(DPM, (32, 24)).layers, channels=256, width=64)
    assert rounded([nominal / 1e6, live / 1e6], 2) == [320.86, 258.62]
    assert rounded([100 * (1 - live / nominal)], 1) == [19.4]
    counted = count(DilationPyramidModule(64, DPM), (1, 256, 32, 24))
    assert (counted.macs, counted.live_macs) == (nominal, live)


def test_live_taps_of_strided_and_transposed_convolutions_are_the_counters() -> None:
    for _ in range(40):
        kernel, stride, padding, d = (int(RANDOM.integers(low, high)) for low, high in ((1, 5), (1, 4), (0, 4), (1, 5)))
        kind = [nn.Conv2d, nn.ConvTranspose2d][int(RANDOM.integers(2))]
        net = kind(2, 3, kernel, stride, min(padding, d * (kernel - 1)), dilation=d, bias=False)
        hw = [int(n) for n in RANDOM.integers(17, 24, size=2)]
        (row,), counted = layer_taps(trace(net, (1, 2, *hw))), count(net, (1, 2, *hw))
        assert (6 * row.reads, 6 * row.live_reads) == (counted.macs, counted.live_macs)
        image = torch.randn(1, 2, *hw, dtype=torch.float64)
        (gradient,) = torch.autograd.grad(net.double()(image).square().sum(), [net.weight])
        assert int((gradient.abs().sum((0, 1)) > 1e-12).sum()) == row.live_taps


@pytest.mark.parametrize("map_hw", [(32, 24), (64, 48)])
@pytest.mark.parametrize("dilations", [DPM, REV])
def test_one_module_lets_every_output_reach_every_input(dilations: tuple[int, ...], map_hw: tuple[int, int]) -> None:
    assert gridding(dilations, map_hw).bounded[0].all_to_all
    assert not gridding(STACKS["constant 8"], map_hw).bounded[0].all_to_all


@pytest.mark.parametrize("size", [24, 32, 48, 64])
def test_the_reversed_path_matrix_is_the_transpose(size: int) -> None:
    assert np.array_equal(between_ends(REV, size), between_ends(DPM, size).T)
    assert not np.array_equal(between_ends(REV, size), between_ends(DPM, size))


@pytest.mark.parametrize(
    ("name", "map_hw", "share"),
    [("DPM", (32, 24), 0.801), ("REV", (32, 24), 0.717), ("DPM", (64, 48), 0.777), ("REV", (64, 48), 0.696)],
)
def test_effective_inputs_on_bounded_maps(name: str, map_hw: tuple[int, int], share: float) -> None:
    told = gridding(STACKS[name], map_hw)
    assert rounded([told.bounded[0].effective_share]) == [share]
    units = list(product(range(map_hw[0]), range(map_hw[1])))
    paths = stack(STACKS[name], map_hw).backward("output", units[::7], kind="paths", to=[0])[0].values
    plane = 2 ** entropy_bits(paths.reshape(len(paths), -1)) / (map_hw[0] * map_hw[1])
    rows = [2 ** entropy_bits(between_ends(STACKS[name], size)) / size for size in map_hw]
    assert plane == pytest.approx(np.outer(*rows).ravel()[::7])


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_path_matrices_against_the_sums_written_out(kernel: int) -> None:
    for dilations in (drawn(), drawn(), DPM):
        size = int(RANDOM.integers(1, 40))
        truth = [np.eye(size, dtype=np.int64)]
        for d in dilations:
            layer = np.zeros((size, size), dtype=np.int64)
            for row, tap in product(range(size), range(kernel)):
                column = row + d * (tap - kernel // 2)
                if 0 <= column < size:
                    layer[row, column] += 1
            truth.append(layer @ truth[-1])
        backward, forward = (walk(dilations, size, kernel) for walk in (backward_paths, forward_paths))
        assert all(np.array_equal(one, other) for one, other in zip(forward, truth, strict=True))
        assert all(np.array_equal(b @ f, truth[-1]) for b, f in zip(backward, truth[::-1], strict=True))


def test_bounded_maps_are_counted_one_at_a_time() -> None:
    tracemalloc.start()
    gridding((1,) * 30, (256, 8))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 15 * 256**2 * 8


# Definitions.


def classes_by_walking(dilations: tuple[int, ...]) -> int:
    """Classes of many outputs in a row, joined one by one wherever two read the same position."""
    reads = [offset for offset, bit in enumerate(reversed(f"{support(dilations).bits:b}")) if bit == "1"]
    outputs = 6 * support(dilations).span
    parent = list(range(outputs))

    def root(unit: int) -> int:
        while parent[unit] != unit:
            unit = parent[unit]
        return unit

    readers: dict[int, int] = {}
    for unit in range(outputs):
        for offset in reads:
            parent[root(unit)] = root(readers.setdefault(unit + offset, unit))
    return len({root(unit) for unit in range(outputs)})


@pytest.mark.parametrize("dilations", [REV[3:], (6, 10), (4, 6), (9,), (6, 10, 15), *(drawn(3) for _ in range(12))])
def test_phases_are_the_common_divisor_of_the_dilations(dilations: tuple[int, ...]) -> None:
    assert support(dilations).phases == gcd(*dilations) == classes_by_walking(dilations)


@pytest.mark.parametrize("dilations", [REV, (2, 4, 6), *(drawn(4) for _ in range(6))])
def test_phases_in_the_plane_are_the_product_of_the_axes(dilations: tuple[int, ...]) -> None:
    graph = stack(dilations, (14, 11))
    units = list(product(range(14), range(11)))
    fields = graph.backward("output", units)
    for row in gridding(dilations, (14, 11)).bounded:
        packed = np.packbits(fields[row.map].support.reshape(len(units), -1), axis=1)
        assert count_phases(packed) == row.phases


def test_a_large_bounded_map_has_the_phases_of_an_unbounded_one() -> None:
    for told in (gridding(REV, (64, 64)), gridding(DPM, (64, 64)), gridding((3, 6), (64, 64))):
        assert [row.phases for row in told.bounded[:-1]] == [row.phases_2d for row in told.maps[:-1]]
        assert told.bounded[-1].phases == 64 * 64


@pytest.mark.parametrize("shape", [(1,), (31,), (128,), (9, 14)])
def test_high_share_is_the_limit_of_fine_discrete_transforms(shape: tuple[int, ...]) -> None:
    values = RANDOM.random(shape)
    bins = [4096] if len(shape) == 1 else [2048, 2048]
    energy = np.abs(np.fft.fftn(values, bins, axes=range(len(bins)))) ** 2
    within = np.ones(bins, dtype=bool)
    for axis, size in enumerate(bins):
        low = np.abs(np.fft.fftfreq(size)) < 0.25
        within &= low.reshape([-1 if other == axis else 1 for other in range(len(bins))])
    assert high_share(values) == pytest.approx(energy[~within].sum() / energy.sum(), abs=2e-3)


def test_high_share_of_known_shapes() -> None:
    comb = np.zeros(400)
    comb[::8] = 1
    assert high_share(comb) == pytest.approx(0.5, abs=1e-6)
    assert high_share(np.ones(400)) < 0.002
    assert high_share(np.ones(400) * (-1.0) ** np.arange(400)) > 0.99
    assert high_share(np.zeros((3, 3))) == 0
    rough = RANDOM.random((6, 5))
    assert high_share(1e-200 * rough) == pytest.approx(high_share(rough), abs=1e-12)
    line = RANDOM.random(20)
    assert 1 - high_share(np.outer(line, line)) == pytest.approx((1 - high_share(line)) ** 2)


def test_high_share_of_residual_streams_as_published_in_the_facts() -> None:
    """Section 4: variance grows by one a block, so block i adds 1/i; the facts took a transform of 256 x 256 points.

    Of its frequencies those at half the Nyquist frequency count as low, which an integral has no use for.
    """
    for dilations, fact in ((DPM, 0.700), (REV, 0.494)):
        field = np.zeros((256, 256))
        field[128, 128] = 1
        for number, d in reversed(list(enumerate(dilations, 1))):
            branch = sum(np.roll(field, (dy, dx), (0, 1)) for dy in (-d, 0, d) for dx in (-d, 0, d)) / 9
            field = (field + branch / number) / (1 + 1 / number)
        energy = np.abs(np.fft.fft2(field)) ** 2
        f = np.abs(np.fft.fftfreq(256))
        high = np.maximum(f[:, None], f) > 0.25
        assert round(energy[high].sum() / energy.sum(), 3) == fact
        assert high_share(field) == pytest.approx(fact, abs=0.011)


def test_what_does_not_separate_the_pyramid_from_the_reversed() -> None:
    dpm, rev = gridding(DPM), gridding(REV)
    assert (dpm.rf, dpm.support) == (rev.rf, rev.support)
    for name in ("backward_coverage", "entropy_bits", "most_paths", "centre_paths", "high_share_in"):
        assert getattr(dpm.maps[0], name) == getattr(rev.maps[0], name)


def test_entropy_of_even_and_single_paths() -> None:
    assert entropy_bits(np.ones(8, dtype=np.int64)) == 3
    assert entropy_bits(np.array([0, 5, 0])) == 0
    assert entropy_bits(np.array([3**50, 3**50], dtype=object)) == 1
    assert entropy_bits(np.zeros(4, dtype=np.int64)) == 0


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (((0, 1),), "must be at least 1"),
        (((),), "must be at least 1"),
        (((1,), (0, 3)), "must be at least 1"),
        (((1,), None, 0), "must be at least 1"),
    ],
)
def test_stacks_that_make_no_sense(arguments: tuple[object, ...], part: str) -> None:
    with pytest.raises(ValueError, match=part):
        gridding(*arguments)  # type: ignore[arg-type]


def test_too_many_orders() -> None:
    with pytest.raises(ValueError, match="give at most 8"):
        orders(range(1, 10))


# Any two maps of any network.


@pytest.mark.parametrize("dilations", [DPM, REV, (2, 4, 6), (3, 1)])
def test_coupling_of_a_stack_is_its_gridding(dilations: tuple[int, ...]) -> None:
    told: Gridding = gridding(dilations, (20, 15))
    graph = stack(dilations, (20, 15))
    for row in told.bounded[1:-1]:
        found = coupling(graph, "output", f"layer {row.map}")
        assert (found.units, found.positions, found.phases) == (300, 300, row.phases)
        assert found.backward_coverage == pytest.approx(row.backward_coverage)
        assert (found.overlap_y, found.overlap_x) == pytest.approx((row.overlap_y, row.overlap_x))
    for row in told.bounded[1:-1]:
        found = coupling(graph, f"layer {row.map}", "input")
        assert found.forward_coverage == pytest.approx(row.forward_coverage)


class Branching(nn.Module):
    """A stride, two branches of different dilation, a concatenation and an upsampling."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 2, 3, 2, 1)
        self.near, self.far = nn.Conv2d(2, 1, 3, 1, 1), nn.Conv2d(2, 1, 3, 1, 4, 4)
        self.join, self.up = nn.Conv2d(2, 1, 1), nn.Upsample(scale_factor=2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        return self.up(self.join(torch.cat([self.near(x), self.far(x)], 1)))  # type: ignore[no-any-return]


def jacobian_support(net: nn.Module, hw: tuple[int, int]) -> NDArray[np.bool_]:
    """(outputs, inputs) where the derivative is not zero, for positive weights."""
    for parameter in net.parameters():
        nn.init.uniform_(parameter, 0.5, 1)
    matrix = torch.autograd.functional.jacobian(net, torch.rand(1, 1, *hw))
    return np.asarray(matrix.reshape(-1, hw[0] * hw[1]).numpy() != 0)


def test_coupling_of_a_branching_network_against_its_jacobian() -> None:
    hw = (14, 18)
    net = Branching()
    reads = jacobian_support(net, hw)
    found = coupling(trace(net, (1, 1, *hw)), "output", "input")
    assert (found.of_hw, found.to_hw, found.units, found.positions) == (hw, hw, 252, 252)

    def coverage(rows: NDArray[np.bool_]) -> float:
        shares = []
        for row in rows.reshape(-1, *hw):
            ys, xs = np.nonzero(row)
            if len(ys):
                shares.append(len(ys) / ((np.ptp(ys) + 1) * (np.ptp(xs) + 1)))
        return float(np.mean(shares))

    assert found.backward_coverage == pytest.approx(coverage(reads))
    assert found.forward_coverage == pytest.approx(coverage(reads.T))
    grid = reads.reshape(*hw, -1)
    right = (grid[:, :-1] & grid[:, 1:]).sum(-1) / grid[:, :-1].sum(-1)
    below = (grid[:-1] & grid[1:]).sum(-1) / grid[:-1].sum(-1)
    assert (found.overlap_y, found.overlap_x) == pytest.approx((below.mean(), right.mean()))
    shared = (reads.astype(int) @ reads.T.astype(int)) > 0
    reach = np.linalg.matrix_power(shared.astype(float), 16) > 0
    assert found.phases == len({tuple(row) for row in reach.tolist()})


def test_a_sample_says_what_all_units_say_where_they_agree() -> None:
    graph = stack((1, 1, 4), (40, 40))
    found = coupling(graph, "output", "layer 2", sample=30, seed=1)
    assert (found.units, found.positions, found.phases) == (30, 30, None)
    assert found.overlap_x == 0
    assert coupling(graph, "output", "layer 2", sample=1600) == coupling(graph, "output", "layer 2")


def test_what_cannot_be_coupled() -> None:
    graph = stack((1, 2))
    with pytest.raises(UnavailableError, match="exchange them"):
        coupling(graph, "layer 1", "output")
    with pytest.raises(KeyError, match="nearest are"):
        coupling(graph, "outptu", "input")
    with pytest.raises(ValueError, match="at least one unit"):
        coupling(graph, "output", "input", sample=0)
