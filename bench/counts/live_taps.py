"""Live multiply-adds: how many taps of a convolution fall inside the map, exactly. Imports no torch.

A nominal count multiplies every tap by every output position. Near the border, and everywhere for a dilation as large
as the map, taps read padding: zeros that cost as much as data and change nothing. A tap's position is inside the map
when it is inside on every axis, so the live share of a layer is the product of the shares of its axes.
"""

from collections.abc import Sequence
from math import prod


def live_taps(
    positions: int,
    taps: int,
    *,
    stride: int,
    padding: int,
    dilation: int,
    extent: int,
    margin: tuple[int, int] = (0, 0),
) -> int:
    """Pairs (position i, tap t) on one axis whose place `i * stride - padding + t * dilation` lies on the map.

    For a convolution, positions are output positions and the map is its input; for a transposed convolution,
    positions are input positions and the map is its output.

    Args:
        positions: number of positions, i = 0 .. positions - 1.
        taps: kernel size on this axis.
        stride: of the layer.
        padding: zeros before the map on this axis.
        dilation: distance of neighbouring taps.
        extent: size of the map.
        margin: cells at the map's two ends that are padding all the same, put there by an operator before.

    Example:
        >>> live_taps(24, 3, stride=1, padding=32, dilation=32, extent=24)  # d = 32 on 24 columns: one tap of three
        24
    """
    first, last = margin[0], extent - margin[1]
    total = 0
    for tap in range(taps):
        offset = tap * dilation - padding
        low = max(0, _ceil_div(first - offset, stride))
        high = min(positions, _ceil_div(last - offset, stride))
        total += max(0, high - low)
    return total


def live_share(
    output_hw: Sequence[int],
    kernel: Sequence[int],
    *,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    input_hw: Sequence[int],
    margins: Sequence[tuple[int, int]] | None = None,
) -> tuple[int, int]:
    """Live and nominal (output position, tap) pairs of a convolution over all axes: `live / nominal` is the share."""
    axes = range(len(kernel))
    live = prod(
        live_taps(
            output_hw[axis],
            kernel[axis],
            stride=stride[axis],
            padding=padding[axis],
            dilation=dilation[axis],
            extent=input_hw[axis],
            margin=margins[axis] if margins else (0, 0),
        )
        for axis in axes
    )
    return live, prod(output_hw) * prod(kernel)


def _ceil_div(a: int, b: int) -> int:
    return -(-a // b)
