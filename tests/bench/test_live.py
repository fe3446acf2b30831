"""Live taps against brute force, against a real convolution of ones, and against the published table."""

from fractions import Fraction
from itertools import product
from math import prod

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bench.counts.live_taps import live_share, live_taps
from bench.counts.macs import count

# (extents, kernel, stride, padding, dilation, output_padding, groups); output_padding is for transposed ones only
GEOMETRIES = [
    ((11,), (3,), (1,), (1,), (1,), (0,), 1),
    ((11,), (5,), (2,), (2,), (1,), (1,), 1),
    ((12,), (5,), (2,), (2,), (1,), (0,), 2),
    ((7,), (3,), (1,), (8,), (8,), (0,), 1),
    ((9,), (4,), (3,), (1,), (2,), (2,), 4),
    ((10,), (1,), (2,), (0,), (1,), (1,), 1),
    ((5,), (3,), (1,), (2,), (4,), (0,), 1),
    ((6, 5), (3, 3), (1, 1), (1, 1), (1, 1), (0, 0), 1),
    ((6, 5), (3, 3), (2, 2), (1, 1), (1, 1), (1, 1), 1),
    ((7, 8), (3, 3), (2, 2), (1, 1), (1, 1), (0, 0), 2),
    ((7, 7), (5, 5), (1, 1), (2, 2), (1, 1), (0, 0), 4),
    ((9, 6), (7, 7), (2, 2), (3, 3), (1, 1), (1, 1), 1),
    ((8, 6), (4, 4), (2, 2), (1, 1), (1, 1), (0, 0), 1),
    ((8, 6), (2, 2), (2, 2), (0, 0), (1, 1), (0, 0), 1),
    ((8, 6), (3, 3), (1, 1), (8, 8), (8, 8), (0, 0), 1),
    ((8, 6), (3, 3), (1, 1), (4, 4), (4, 4), (0, 0), 2),
    ((8, 6), (3, 3), (1, 1), (2, 2), (2, 2), (0, 0), 1),
    ((9, 7), (3, 3), (1, 1), (5, 5), (5, 5), (0, 0), 1),
    ((9, 7), (3, 3), (2, 2), (4, 4), (4, 4), (1, 1), 1),
    ((9, 7), (3, 3), (3, 3), (2, 2), (2, 2), (2, 2), 1),
    ((9, 7), (1, 1), (1, 1), (2, 2), (1, 1), (0, 0), 1),
    ((9, 7), (1, 7), (1, 1), (0, 3), (1, 1), (0, 0), 1),
    ((9, 7), (7, 1), (2, 1), (3, 0), (1, 1), (1, 0), 1),
    ((9, 7), (3, 2), (2, 1), (1, 0), (1, 3), (0, 0), 1),
    ((5, 9), (3, 5), (1, 2), (1, 4), (1, 2), (0, 1), 2),
    ((5, 9), (2, 4), (1, 3), (1, 1), (3, 1), (0, 2), 1),
    ((5, 5), (5, 5), (1, 1), (4, 4), (1, 1), (0, 0), 1),
    ((4, 4), (3, 3), (1, 1), (3, 3), (1, 1), (0, 0), 1),
    ((6, 6), (2, 2), (3, 3), (1, 1), (1, 1), (2, 2), 1),
    ((6, 6), (2, 2), (1, 1), (3, 3), (6, 6), (0, 0), 1),
    ((10, 3), (3, 3), (4, 1), (1, 2), (1, 2), (3, 0), 1),
    ((1, 1), (3, 3), (1, 1), (1, 1), (1, 1), (0, 0), 1),
    ((3, 4, 5), (3, 3, 3), (1, 1, 1), (1, 1, 1), (1, 1, 1), (0, 0, 0), 1),
    ((3, 4, 5), (3, 2, 1), (2, 1, 2), (1, 1, 0), (1, 2, 1), (0, 1, 0), 1),
]
CONVOLVE = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
CONVOLVE_BACK = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


def layer(geometry: tuple, transposed: bool) -> nn.Module:
    extents, kernel, stride, padding, dilation, output_padding, groups = geometry
    name = f"Conv{'Transpose' if transposed else ''}{len(extents)}d"
    more = {"output_padding": output_padding} if transposed else {}
    return getattr(nn, name)(
        4, 8, kernel, stride=stride, padding=padding, dilation=dilation, groups=groups, bias=False, **more
    )


def walk(geometry: tuple, transposed: bool, output: tuple[int, ...]) -> int:
    """Live (position, tap) pairs, by visiting each of them."""
    extents, kernel, stride, padding, dilation, *_ = geometry
    positions, plane = (extents, output) if transposed else (output, extents)
    live = 0
    for position in product(*map(range, positions)):
        for tap in product(*map(range, kernel)):
            place = [p * s - q + t * d for p, s, q, t, d in zip(position, stride, padding, tap, dilation, strict=True)]
            live += all(0 <= at < size for at, size in zip(place, plane, strict=True))
    return live


def ones_summed(geometry: tuple, transposed: bool) -> int:
    """Live pairs, by a real convolution of a map of ones with a kernel of ones: each live tap adds one."""
    extents, kernel, stride, padding, dilation, output_padding, _ = geometry
    image, weight = (torch.ones(1, 1, *size, dtype=torch.float64) for size in (extents, kernel))
    if transposed:
        back = CONVOLVE_BACK[len(extents)]
        return int(
            back(image, weight, stride=stride, padding=padding, output_padding=output_padding, dilation=dilation).sum()
        )
    return int(CONVOLVE[len(extents)](image, weight, stride=stride, padding=padding, dilation=dilation).sum())


def has_output(geometry: tuple) -> bool:
    """Whether the padding of a transposed convolution leaves anything of its output."""
    axes = zip(*geometry[:-1], strict=True)
    return all((n - 1) * s - 2 * p + d * (k - 1) + more + 1 > 0 for n, k, s, p, d, more in axes)


CASES = [(geometry, False) for geometry in GEOMETRIES] + [
    (geometry, True) for geometry in filter(has_output, GEOMETRIES)
]


@pytest.mark.parametrize(("geometry", "transposed"), CASES, ids=str)
def test_live_macs_are_the_taps_that_a_walk_and_a_real_convolution_meet(geometry: tuple, transposed: bool) -> None:
    net = layer(geometry, transposed)
    extents, *_, groups = geometry
    image = torch.zeros(1, 4, *extents)
    output = tuple(net(image).shape[2:])
    (operator,) = count(net, image.shape).operators
    assert operator.output_shape == (1, 8, *output)
    channels = 4 * 8 // groups
    assert operator.live_macs == walk(geometry, transposed, output) * channels
    assert operator.live_macs == ones_summed(geometry, transposed) * channels
    assert operator.macs == prod(extents if transposed else output) * prod(geometry[1]) * channels


@given(
    extent=st.integers(1, 30),
    taps=st.integers(1, 7),
    stride=st.integers(1, 4),
    padding=st.integers(0, 12),
    dilation=st.integers(1, 9),
    before=st.integers(0, 5),
    behind=st.integers(0, 5),
)
@settings(max_examples=300, deadline=None)
def test_live_taps_of_any_axis(
    extent: int, taps: int, stride: int, padding: int, dilation: int, before: int, behind: int
) -> None:
    padded = extent + before + behind
    positions = max(0, (padded + 2 * padding - dilation * (taps - 1) - 1) // stride + 1)
    visited = sum(
        before <= i * stride - padding + t * dilation < before + extent for i in range(positions) for t in range(taps)
    )
    found = live_taps(
        positions,
        taps,
        stride=stride,
        padding=padding,
        dilation=dilation,
        extent=padded,
        margin=(before, behind),
    )
    assert found == visited


def share(height: int, width: int, dilation: int) -> Fraction:
    """Live share of a 3x3 layer whose padding is its dilation."""
    live, nominal = live_share(
        (height, width),
        (3, 3),
        stride=(1, 1),
        padding=(dilation, dilation),
        dilation=(dilation, dilation),
        input_hw=(height, width),
    )
    return Fraction(live, nominal)


@pytest.mark.parametrize(
    ("height", "width", "shares", "module"),
    [
        (32, 24, {16: ".3704", 8: ".6481", 4: ".8148", 2: ".9051", 1: ".9520"}, ".6336"),
        (64, 48, {32: ".3704", 16: ".6481", 8: ".8148", 4: ".9051", 2: ".9520", 1: ".9758"}, ".7777"),
    ],
)
def test_shares_of_the_published_table(height: int, width: int, shares: dict[int, str], module: str) -> None:
    assert {d: f"{float(share(height, width, d)):.4f}"[1:] for d in shares} == shares
    mean = sum((share(height, width, d) for d in (32, 16, 8, 4, 2, 1)), Fraction()) / 6
    assert f"{float(mean):.4f}"[1:] == module


def test_a_dilation_as_large_as_the_map_keeps_one_tap_of_nine() -> None:
    assert share(32, 24, 32) == Fraction(1, 9)
    assert share(64, 48, 64) == Fraction(1, 9)
    assert share(33, 24, 32) > Fraction(1, 9)  # one more row, and the ring is not dead any more


@pytest.mark.parametrize("dilation", [1, 2, 4, 8, 16, 32])
@pytest.mark.parametrize(("height", "width"), [(32, 24), (64, 48), (17, 5)])
def test_share_is_a_product_over_the_axes(height: int, width: int, dilation: int) -> None:
    expected = prod(Fraction(n + 2 * max(0, n - dilation), 3 * n) for n in (height, width))
    assert share(height, width, dilation) == expected
