"""The tracer's rules for operators that only move what maps hold: pads, slices, flips, shuffles, views. Needs torch."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, Literal

import numpy as np
from torch import Tensor

from analysis.receptive_fields.axes import SAME, Bordered, Listed, Transposed, Window
from analysis.receptive_fields.field_calls import (
    NATURAL,
    Rule,
    UntraceableError,
    axis_of,
    image_shape,
    meant,
    order_of,
    put_in_order,
    same,
    shape_of,
    source_map,
)
from analysis.receptive_fields.field_graph import Chosen, Edge, Pointwise


def concatenation(arguments: Mapping[str, Any], outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
    """Maps behind one another along the channels."""
    dim = int(arguments.get("dim", 0))
    if meant(outs[0], dim) != 1:
        raise UntraceableError("it joins maps along another axis than the channels")
    edges, start = [], 0
    for part in arguments["tensors"]:
        image_shape(part)
        if part in of:
            edges.append(same(of[part], SAME, SAME, int(part.shape[dim]), to=start))
        start += int(part.shape[dim])
    return [edges]


def zero_padding(arguments: Mapping[str, Any], outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
    """Pads or crops rows and columns; channels too, where it says so."""
    source = source_map(arguments, of)
    channels, _, _ = image_shape(source)
    pad = [int(p) for p in arguments["pad"]] + [0] * 8
    if source.dim() != 4 or pad[6] or pad[7]:
        raise UntraceableError("it pads the batch, or what is no batch of maps")
    kept = channels + min(0, pad[4]) + min(0, pad[5])
    route = Pointwise(max(0, -pad[4]), max(0, pad[4]), kept)
    image_shape(outs[0])
    return [[Edge(of[source], Window(1, 1, pad[2]), Window(1, 1, pad[0]), route)]]


def bordered(border: Literal["reflect", "replicate", "circular"]) -> Rule:
    """Padding by what the map holds."""

    def rule(arguments: Mapping[str, Any], outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
        source = source_map(arguments, of)
        channels, height, width = image_shape(source)
        _, out_height, out_width = image_shape(outs[0])
        left, _, top, _ = (int(p) for p in arguments.get("padding", arguments.get("pad")))
        edge = same(of[source], _border(height, out_height, top, border), _border(width, out_width, left, border),
                    channels)  # fmt: skip
        return [[edge]]

    return rule


def _border(ins: int, outs: int, before: int, border: Literal["reflect", "replicate", "circular"]) -> Bordered:
    after = outs - ins - before
    kept = ins + min(0, before) + min(0, after)

    def position(o: int) -> int:
        p = o - before
        if border == "circular":  # what is left after a crop goes around
            return max(0, -before) + (o - max(0, before)) % kept
        if border == "replicate":
            return min(max(p, 0), ins - 1)
        return -p if p < 0 else 2 * (ins - 1) - p if p >= ins else p

    return Bordered(before, Listed(tuple((position(o),) for o in range(outs)), "padding by what the map holds"))


def sliced(arguments: Mapping[str, Any], outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
    """A slice, or narrow: a part of one axis; of the batch too, whose images are all alike."""
    source = source_map(arguments, of)
    channels, _, _ = image_shape(source)
    dim, step = int(arguments.get("dim", 0)), int(arguments.get("step", 1))
    start, _, _ = slice(arguments.get("start"), arguments.get("end"), step).indices(int(source.shape[dim]))
    if (axis := meant(source, dim)) == 1:
        pairs = tuple((to, start + step * to) for to in range(shape_of(outs[0])[0]))
        return [[Edge(of[source], SAME, SAME, Chosen(pairs) if step > 1 else Pointwise(start, 0, len(pairs)))]]
    y, x = (Window(1, step, -start) if axis == d else SAME for d in (2, 3))
    return [[same(of[source], y, x, channels)]]


def selected(arguments: Mapping[str, Any], outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
    """One place of an axis, which goes: the only place, or one channel of (B, C)."""
    source = source_map(arguments, of)
    axis_of(source, dim := int(arguments["dim"]))
    if source.shape[dim] == 1:
        return kept(arguments, outs, of)
    if source.dim() != 2:
        raise UntraceableError("it takes an axis away from a map; slice it to keep the axis")
    return [[same(of[source], SAME, SAME, 1, start=int(arguments["index"]) % int(source.shape[1]))]]


def pieces(arguments: Mapping[str, Any], outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
    """Pieces of a map along one axis, in order: split, split_with_sizes, chunk."""
    source = source_map(arguments, of)
    channels, _, _ = image_shape(source)
    axis, start, made = axis_of(source, arguments.get("dim", 0)), 0, []
    for out in outs:
        size = shape_of(out)[axis - 1]
        if axis == 1:
            made.append([same(of[source], SAME, SAME, size, start=start)])
        else:
            y, x = (Window(1, 1, -start) if axis == d else SAME for d in (2, 3))
            made.append([same(of[source], y, x, channels)])
        start += size
    return made


def flip(arguments: Mapping[str, Any], _outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
    """Axes backward."""
    source = source_map(arguments, of)
    sizes = image_shape(source)
    axes = {axis_of(source, d) for d in arguments["dims"]}
    return [[_reordered(of, source, {axis: range(sizes[axis - 1])[::-1] for axis in axes}, "a flip")]]


def roll(arguments: Mapping[str, Any], _outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
    """Axes moved, where what leaves at one end comes in at the other."""
    source = source_map(arguments, of)
    sizes = image_shape(source)
    if not arguments.get("dims"):
        raise UntraceableError("it rolls a map as one long row; name its dims")
    orders: dict[int, Sequence[int]] = {}
    for dim, shift in zip(arguments["dims"], arguments["shifts"], strict=True):
        order = orders.get(axis := axis_of(source, dim), range(sizes[axis - 1]))
        orders[axis] = [order[(o - int(shift)) % len(order)] for o in range(len(order))]
    return [[_reordered(of, source, orders, "a roll")]]


def _reordered(of: Mapping[Tensor, int], source: Tensor, orders: Mapping[int, Sequence[int]], what: str) -> Edge:
    """Every place of channels (1), rows (2) or columns (3) reads another place: by axis, what each of them reads."""
    y, x = (Listed(tuple((o,) for o in orders[d]), what) if d in orders else SAME for d in (2, 3))
    channels, _, _ = shape_of(source)
    return Edge(of[source], y, x, Chosen(tuple(enumerate(orders[1]))) if 1 in orders else Pointwise(0, 0, channels))


def channel_shuffle(arguments: Mapping[str, Any], _outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
    """The first channel of each group, then the second of each."""
    source = source_map(arguments, of)
    channels, _, _ = image_shape(source)
    order = np.arange(channels).reshape(int(arguments["groups"]), -1).T.ravel().tolist()
    return [[_reordered(of, source, {1: order}, "a shuffle")]]


def exchanged(arguments: Mapping[str, Any], outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
    """A transpose or permute: of a map's axes, rows before columns, or of axes that all count as channels."""
    source = source_map(arguments, of)
    order = list(range(source.dim()))
    if "dims" in arguments:
        order = [int(d) % source.dim() for d in arguments["dims"]]
    elif "destination" in arguments:  # a movedim
        order = list(np.moveaxis(np.empty(order), arguments["source"], arguments["destination"]).shape)
    else:
        one, other = (int(arguments[name]) for name in ("dim0", "dim1"))
        order[one], order[other] = order[other], order[one]
    if source.dim() == 4 and order[0] == 0:
        moved = tuple(order_of(source)[d - 1] for d in order[1:])
        if moved.index(2) < moved.index(3):  # what is turned has no rows and columns that an index of it would mean
            put_in_order(outs[0], moved)
            return [[same(of[source], SAME, SAME, shape_of(source)[0])]]
    last = source.dim() - 2 if source.dim() >= 4 else source.dim()
    if order[:1] != [0] or order[last:] != list(range(last, source.dim())):
        raise UntraceableError(f"it puts the axes of {tuple(source.shape)} in the order {tuple(order)}")
    channels = np.arange(shape_of(source)[0]).reshape(source.shape[1:last]).transpose([d - 1 for d in order[1:last]])
    return [[_reordered(of, source, {1: channels.ravel().tolist()}, "a shuffle")]]


def pixels(finer: bool) -> Rule:
    """pixel_shuffle makes a square of positions from as many channels; pixel_unshuffle, where not finer, undoes it."""

    def rule(arguments: Mapping[str, Any], outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
        source = source_map(arguments, of)
        channels, _, _ = image_shape(outs[0] if finer else source)
        factor = int(arguments["upscale_factor" if finer else "downscale_factor"])
        edges = []
        for i, j in product(range(factor), repeat=2):
            y, x = (Transposed(Window(1, factor, -k)) if finer else Window(1, factor, -k) for k in (i, j))
            links = [(c, (c * factor + i) * factor + j) for c in range(channels)]  # of the fine map, of the coarse one
            edges.append(Edge(of[source], y, x, Chosen(tuple(link if finer else link[::-1] for link in links))))
        return [edges]

    return rule


def kept(arguments: Mapping[str, Any], outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
    """Views, copies and casts that change no position; what only lends its shape or type is not read."""
    source = arguments.get("self", arguments.get("input"))
    if source not in of:
        return [[]] * len(outs)
    channels, height, width = size = shape_of(source)
    moved = outs[0].shape != source.shape and order_of(source) != NATURAL
    if moved:
        put_in_order(outs[0], NATURAL)  # which it has where there is but one position
    if shape_of(outs[0]) != size or (moved and height * width > 1):
        raise UntraceableError(f"it turns {tuple(source.shape)} into {tuple(outs[0].shape)}")
    return [[same(of[source], SAME, SAME, channels)]] * len(outs)
