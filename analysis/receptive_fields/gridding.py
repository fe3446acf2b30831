"""Gridding of a stack of dilated convolutions in exact numbers: coverage, overlap, phases, paths, live taps. No torch.

Map 0 is the input and map n the output. Backward is what one output reads of a map, forward what one input reaches.
Numbers of one axis hold for rows and columns alike; those of a plane carry `_2d`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from math import prod
from statistics import fmean

import numpy as np

from analysis.receptive_fields.hdc import Hdc, hdc
from analysis.receptive_fields.live_taps import LayerTaps, layer_taps
from analysis.receptive_fields.path_matrices import (
    KERNEL,
    Support,
    backward_paths,
    count_phases,
    entropy_bits,
    forward_paths,
    high_share,
    mean_coverage,
    mean_overlap,
    path_counts,
    support,
)
from analysis.receptive_fields.stacks import stack

MOST_PERMUTED = 8
"""Dilations whose orders are all evaluated; eight have 40,320."""


@dataclass(frozen=True, kw_only=True)
class MapRow:
    """One map of an unbounded stack.

    Attributes:
        map: its number.
        backward_read: positions that one output reads.
        backward_span: positions from the first to the last of them.
        backward_coverage: the share of the span that is read, on an axis.
        backward_coverage_2d: the same in a plane.
        forward_read: positions that one input reaches; likewise the three that follow.
        forward_span: see there.
        forward_coverage: see there.
        forward_coverage_2d: see there.
        overlap: share of one output's support that the next output reads too; None at the output itself.
        phases: classes of outputs that share nothing with other classes; None at the output, where each is alone.
        phases_2d: the same in a plane.
        largest_gap: the longest run of positions left out between two that one output reads.
        entropy_bits: of the paths to one output by where they start.
        effective_inputs: two to the power of the entropy.
        most_paths: the largest number of paths from one position.
        centre_paths: the number from the position in the middle.
        high_share_in: share of the spectral energy of these numbers of paths above half the Nyquist frequency.
        high_share_out: the same of the paths from one input.
    """

    map: int
    backward_read: int
    backward_span: int
    backward_coverage: float
    backward_coverage_2d: float
    forward_read: int
    forward_span: int
    forward_coverage: float
    forward_coverage_2d: float
    overlap: float | None
    phases: int | None
    phases_2d: int | None
    largest_gap: int
    entropy_bits: float
    effective_inputs: float
    most_paths: int
    centre_paths: int
    high_share_in: float
    high_share_out: float


@dataclass(frozen=True, kw_only=True)
class BoundedRow:
    """One map of a stack on a map with ends, in the plane; means are over all units.

    Attributes:
        map: its number.
        backward_coverage: share of the rectangle around what one output reads that it reads; mean over outputs.
        forward_coverage: the same of what one input reaches; mean over inputs.
        overlap_y: share of one output's support that the output below reads too; None where there is none.
        overlap_x: the same of the output to the right.
        phases: classes of outputs that share nothing with other classes.
        effective_share: two to the power of the path entropy, over the map's area; mean over outputs.
        all_to_all: whether every output reads every position.
    """

    map: int
    backward_coverage: float
    forward_coverage: float
    overlap_y: float | None
    overlap_x: float | None
    phases: int
    effective_share: float
    all_to_all: bool


@dataclass(frozen=True, kw_only=True)
class Gridding:
    """All that is told of a stack.

    Attributes:
        dilations: of one module, input to output.
        modules: how often it stands in a row.
        kernel: taps on an axis.
        map_hw: height and width of the bounded map, or None.
        rf: receptive field on an axis, holes included.
        support: positions of it that are read.
        mean_backward_coverage: on an axis, over all maps but the output.
        mean_forward_coverage: on an axis, over all maps but the input.
        mean_interior_overlap: over the maps between input and output; None for a single layer.
        hdc: the verdict of the HDC rule on one module.
        maps: a row for each map.
        bounded: a row for each map where it is bounded, else empty.
        layers: the taps of each layer where maps are bounded, else empty.
        live_share: of the multiply-adds of all layers on the bounded map, or None.
    """

    dilations: tuple[int, ...]
    modules: int
    kernel: int
    map_hw: tuple[int, int] | None
    rf: int
    support: int
    mean_backward_coverage: float
    mean_forward_coverage: float
    mean_interior_overlap: float | None
    hdc: Hdc
    maps: tuple[MapRow, ...]
    bounded: tuple[BoundedRow, ...]
    layers: tuple[LayerTaps, ...]
    live_share: float | None


@dataclass(frozen=True, kw_only=True)
class Order:
    """One order of some dilations; attributes are those of `Gridding`, `hdc_m2` and `hdc_passes` those of `Hdc`."""

    dilations: tuple[int, ...]
    rf: int
    support: int
    mean_backward_coverage: float
    mean_interior_overlap: float | None
    hdc_m2: int | None
    hdc_passes: bool | None


def gridding(dilations: Sequence[int], map_hw: tuple[int, int] | None = None, modules: int = 1) -> Gridding:
    """Everything about one stack, on unbounded maps and, where a size is given, on bounded ones with zero padding.

    Example:
        >>> pyramid = gridding((32, 16, 8, 4, 2, 1), (32, 24))
        >>> pyramid.rf, round(pyramid.mean_interior_overlap, 3), pyramid.layers[0].is_1x1
        (127, 0.882, True)

    Raises:
        ValueError: a dilation or a size below 1.
    """
    graph = stack(dilations, map_hw or (1, 1), modules=modules)
    layers = tuple(dilations) * modules
    rows = tuple(_map_row(k, layers) for k in range(len(layers) + 1))
    taps = layer_taps(graph) if map_hw else ()
    return Gridding(
        dilations=tuple(dilations), modules=modules, kernel=KERNEL, map_hw=map_hw,
        rf=rows[0].backward_span, support=rows[0].backward_read,
        mean_backward_coverage=fmean(row.backward_coverage for row in rows[:-1]),
        mean_forward_coverage=fmean(row.forward_coverage for row in rows[1:]),
        mean_interior_overlap=_mean([row.overlap for row in rows[1:-1]]),
        hdc=hdc(dilations), maps=rows, bounded=_bounded(layers, map_hw) if map_hw else (),
        layers=taps, live_share=sum(row.live_reads for row in taps) / sum(row.reads for row in taps) if taps else None,
    )  # fmt: skip


def _map_row(k: int, layers: Sequence[int]) -> MapRow:
    back, ahead = support(layers[k:]), support(layers[:k])
    paths, fan_out = path_counts(layers[k:]), path_counts(layers[:k])
    inside = k < len(layers)
    entropy = float(entropy_bits(paths))
    return MapRow(
        map=k, backward_read=back.read, backward_span=back.span,
        backward_coverage=back.coverage, backward_coverage_2d=back.coverage**2,
        forward_read=ahead.read, forward_span=ahead.span,
        forward_coverage=ahead.coverage, forward_coverage_2d=ahead.coverage**2,
        overlap=back.overlap if inside else None,
        phases=back.phases, phases_2d=back.phases**2 if back.phases else None,
        largest_gap=back.largest_gap, entropy_bits=entropy, effective_inputs=2**entropy,
        most_paths=int(paths.max()), centre_paths=int(paths[len(paths) // 2]),
        high_share_in=high_share(paths), high_share_out=high_share(fan_out),
    )  # fmt: skip


def _bounded(layers: Sequence[int], map_hw: tuple[int, int]) -> tuple[BoundedRow, ...]:
    """Both axes have path matrices of their own; what the plane has is their product. One map's are held at a time."""
    forward = zip(*(forward_paths(layers, size) for size in map_hw), strict=True)
    reached = [prod(mean_coverage(paths.T > 0) for paths in axes) for axes in forward]
    backward = zip(*(backward_paths(layers, size) for size in map_hw), strict=True)
    rows = []
    for k, axes in zip(range(len(layers), -1, -1), backward, strict=True):
        reads = [paths > 0 for paths in axes]
        overlap_y, overlap_x = (mean_overlap(read) if k < len(layers) else None for read in reads)
        row = BoundedRow(
            map=k, backward_coverage=prod(map(mean_coverage, reads)),
            forward_coverage=reached[k], overlap_y=overlap_y, overlap_x=overlap_x,
            phases=prod(count_phases(np.packbits(read, axis=1)) for read in reads),
            effective_share=prod(float(np.exp2(entropy_bits(paths)).mean()) / len(paths) for paths in axes),
            all_to_all=all(bool(read.all()) for read in reads),
        )  # fmt: skip
        rows.append(row)
    return tuple(rows[::-1])


def orders(dilations: Sequence[int]) -> tuple[Order, ...]:
    """All different orders of some dilations, best first: by mean interior overlap, then by mean backward coverage.

    Example:
        >>> best = orders((1, 2, 4, 8, 16, 32))[0]
        >>> best.dilations, best.hdc_passes
        ((32, 16, 8, 4, 2, 1), False)

    Raises:
        ValueError: none, or more than eight dilations, or one below 1.
    """
    stack(dilations, (1, 1))
    if len(dilations) > MOST_PERMUTED:
        raise ValueError(f"{len(dilations)} dilations have too many orders; give at most {MOST_PERMUTED}")
    known: dict[tuple[int, ...], tuple[Support, float, float]] = {}

    def rest(order: tuple[int, ...]) -> tuple[Support, float, float]:
        key = tuple(sorted(order))  # a support does not depend on the order of what remains
        if key not in known:
            found = support(key)
            known[key] = found, found.coverage, found.overlap
        return known[key]

    rows = []
    for order in sorted(set(permutations(dilations))):
        supports, coverages, overlaps = zip(*(rest(order[k:]) for k in range(len(order))), strict=True)
        verdict = hdc(order)
        row = Order(
            dilations=order, rf=supports[0].span, support=supports[0].read, mean_backward_coverage=fmean(coverages),
            mean_interior_overlap=_mean(overlaps[1:]), hdc_m2=verdict.m2, hdc_passes=verdict.passes,
        )  # fmt: skip
        rows.append(row)
    return tuple(sorted(rows, key=lambda row: (-(row.mean_interior_overlap or 0), -row.mean_backward_coverage)))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
