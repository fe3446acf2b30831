"""Which taps of a convolution ever meet its map, and which only padding. No torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from analysis.receptive_fields.axes import Axis, Transposed, Window
from analysis.receptive_fields.receptive_field import FieldGraph
from bench.counts.live_taps import live_taps


@dataclass(frozen=True, kw_only=True)
class LayerTaps:
    """The taps of one convolution on its bounded map.

    Attributes:
        layer: dotted path of the module.
        map_hw: height and width of the map that it returns.
        kernel_hw: taps of the rows and of the columns.
        dilation_hw: their distances.
        taps: all of them, as one kernel has them.
        live_taps: those that meet the map at one position at least.
        dead_taps: the others; their weights meet neither data nor gradient.
        reads: pairs of a position and a tap; nominal multiply-adds are this times pairs of channels.
        live_reads: those that meet the map.
        live_share: `live_reads` over `reads`.
        is_1x1: a kernel of more taps that has one live tap, and so is a 1x1 convolution here.
    """

    layer: str
    map_hw: tuple[int, int]
    kernel_hw: tuple[int, int]
    dilation_hw: tuple[int, int]
    taps: int
    live_taps: int
    dead_taps: int
    reads: int
    live_reads: int
    live_share: float
    is_1x1: bool


def layer_taps(graph: FieldGraph) -> tuple[LayerTaps, ...]:
    """A row for each convolution of a network, in execution order.

    Zeros that another operator has padded a map with are part of that map here.

    Example:
        >>> from analysis.receptive_fields.stacks import stack
        >>> [(row.live_taps, round(row.live_share, 4), row.is_1x1) for row in layer_taps(stack((32, 16), (32, 24)))]
        [(1, 0.1111, True), (9, 0.3704, False)]
    """
    rows = []
    for one in graph.maps:
        edge = one.edges[0] if one.convolves and one.edges else None
        if edge is None:
            continue
        axes = zip((edge.y, edge.x), graph.maps[edge.source].shape[1:], one.shape[1:], strict=True)
        rows.append(_row(one.module, (one.shape[1], one.shape[2]), [_along(*axis) for axis in axes]))
    return tuple(rows)


def _along(rule: Axis, ins: int, outs: int) -> tuple[Window, int, list[int]]:
    """The window of one axis, the positions that it stands at, and at how many of them each tap meets the map."""
    window = rule.window if isinstance(rule, Transposed) else rule
    if not isinstance(window, Window):
        raise ValueError(f"a convolution's axis has a window, not {type(window).__name__}")
    positions, extent = (ins, outs) if isinstance(rule, Transposed) else (outs, ins)
    live = [
        live_taps(
            positions, 1, stride=window.stride, padding=window.padding - tap * window.dilation, dilation=1,
            extent=extent,
        )
        for tap in range(window.kernel)
    ]  # fmt: skip
    return window, positions, live


def _row(layer: str, map_hw: tuple[int, int], axes: Sequence[tuple[Window, int, list[int]]]) -> LayerTaps:
    (y, _, _), (x, _, _) = axes
    taps = y.kernel * x.kernel
    alive = prod(sum(count > 0 for count in live) for _, _, live in axes)
    reads, live_reads = taps * prod(positions for _, positions, _ in axes), prod(sum(live) for _, _, live in axes)
    return LayerTaps(
        layer=layer, map_hw=map_hw, kernel_hw=(y.kernel, x.kernel), dilation_hw=(y.dilation, x.dilation),
        taps=taps, live_taps=alive, dead_taps=taps - alive, reads=reads, live_reads=live_reads,
        live_share=live_reads / reads, is_1x1=alive == 1 and taps > 1,
    )  # fmt: skip


def bottleneck_macs(rows: Sequence[LayerTaps], channels: int = 256, width: int = 64) -> tuple[int, int]:
    """Nominal and live multiply-adds of bottlenecks, 1x1 -> 3x3 -> 1x1, whose middle convolutions are these.

    Args:
        rows: one for each bottleneck.
        channels: of the stream.
        width: channels of the middle convolution.
    """
    ends = sum(2 * channels * width * prod(row.map_hw) for row in rows)
    nominal, live = (width**2 * sum(getattr(row, name) for row in rows) for name in ("reads", "live_reads"))
    return ends + nominal, ends + live
