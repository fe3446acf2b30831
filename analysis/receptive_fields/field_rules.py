"""Which positions of its inputs each operator reads: the tracer's rules, one for each ATen operator. Needs torch.

A rule turns the arguments of one call into the edges of each output. What it cannot describe it refuses by name.
"""

from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from torch import Tensor

from analysis.receptive_fields.axes import SAME, Axis, Listed, Resize, Transposed, Window, adaptive, spread, whole
from analysis.receptive_fields.field_calls import (
    Rule,
    Shape,
    UntraceableError,
    axis_of,
    image_shape,
    in_one_order,
    meant,
    same,
    shape_of,
    source_map,
    tensors_in,
)
from analysis.receptive_fields.field_graph import EXCHANGES, Edge, Grouped, Pointwise
from analysis.receptive_fields.field_moves import (
    bordered,
    channel_shuffle,
    concatenation,
    exchanged,
    flip,
    kept,
    pieces,
    pixels,
    roll,
    selected,
    sliced,
    zero_padding,
)

__all__ = [
    "RULES", "SHAPE_ONLY", "VALUES", "Rule", "Shape", "UntraceableError", "pointwise", "shape_of", "tensors_in",
    "unknown",
]  # fmt: skip


def _pair(values: Any) -> tuple[int, int]:
    listed = [int(v) for v in (values if isinstance(values, list | tuple) else [values])]
    return (listed[0], listed[-1]) if listed else (0, 0)


def unknown(_arguments: Mapping[str, Any], _outs: Sequence[Tensor], _of: Mapping[Tensor, int]) -> Any:
    """The rule of an operator that has none."""
    raise UntraceableError("no rule says which positions it reads")


def _pointwise(arguments: Mapping[str, Any], outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
    """Each position of the output reads the same position of every operand; what has one position is read by all."""
    channels, height, width = image_shape(outs[0])
    edges = []
    for operand in (t for t in tensors_in(arguments.values()) if t in of):
        if operand.dim() == 0:
            raise UntraceableError("a number computed from the image acts on a whole map")
        c, h, w = image_shape(operand)
        if operand.dim() != outs[0].dim() and operand.numel() > 1:
            raise UntraceableError("it spreads channels along the columns of a map; give them axes of their own")
        y = SAME if h == height else spread(height, "spreading one position over a map")
        x = SAME if w == width else spread(width, "spreading one position over a map")
        route = Pointwise(0, 0, channels) if c == channels else Grouped(c, channels)
        edges.append(Edge(of[operand], y, x, route))
    return [edges] * len(outs)


def _convolution(arguments: Mapping[str, Any], outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
    weight = arguments["weight"]
    if weight in of:
        raise UntraceableError("its kernel is computed from the image")
    source = source_map(arguments, of)
    channels, _, _ = image_shape(source)
    names = ("stride", "padding", "dilation")
    axes = [
        Window(int(kernel), stride, padding, dilation)
        for kernel, stride, padding, dilation in zip(
            weight.shape[2:], *(_pair(arguments.get(name, 0 if name == "padding" else 1)) for name in names),
            strict=True,
        )
    ]  # fmt: skip
    y, x = (Transposed(axis) if arguments.get("transposed") else axis for axis in axes)
    route = Grouped(channels, shape_of(outs[0])[0], int(arguments.get("groups", 1)))
    return [[Edge(of[source], y, x, route)]]


def _pooling(arguments: Mapping[str, Any], outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
    source = source_map(arguments, of)
    channels, _, _ = image_shape(source)
    kernel = _pair(arguments["kernel_size"])
    stride = _pair(arguments.get("stride") or arguments["kernel_size"])
    padding, dilation = _pair(arguments.get("padding", 0)), _pair(arguments.get("dilation", 1))
    y, x = (Window(*each) for each in zip(kernel, stride, padding, dilation, strict=True))
    edge = same(of[source], y, x, channels)
    return [[edge]] * len(outs)


def _adaptive(arguments: Mapping[str, Any], outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
    source = source_map(arguments, of)
    channels, height, width = image_shape(source)
    _, out_height, out_width = image_shape(outs[0])
    what = "adaptive pooling"
    edge = same(of[source], adaptive(height, out_height, what), adaptive(width, out_width, what), channels)
    return [[edge]] * len(outs)


def _reduction(arguments: Mapping[str, Any], outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
    """A mean, sum or extreme along whole axes; rows and columns stay, or go together; over channels they mix."""
    if "other" in arguments:  # the larger or smaller one of two maps
        return _pointwise(arguments, outs, of)
    source = source_map(arguments, of)
    image_shape(source)
    dims = arguments.get("dim")
    given = range(source.dim()) if dims in (None, []) else dims if isinstance(dims, list | tuple) else [dims]
    listed = {meant(source, d) for d in given}
    if 0 in listed or not (arguments.get("keepdim") or source.dim() == 2 or {2, 3} <= listed):
        raise UntraceableError("it reduces axes of a map that do not stay; keep them (keepdim) or pool instead")
    return [[_along(source, outs[0], of, listed, "a reduction over a whole axis")]] * len(outs)


def _along(source: Tensor, out: Tensor, of: Mapping[Tensor, int], axes: Collection[int], what: str) -> Edge:
    """Each position reads all that there is along some axes."""
    (channels, height, width), (c, h, w) = shape_of(source), shape_of(out)
    y = whole(height, h, what) if 2 in axes else SAME
    x = whole(width, w, what) if 3 in axes else SAME
    return Edge(of[source], y, x, Grouped(channels, c) if 1 in axes else Pointwise(0, 0, channels))


def _gated(arguments: Mapping[str, Any], outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
    """One half of the channels, multiplied by a function of the other."""
    source = source_map(arguments, of)
    if axis_of(source, arguments.get("dim", -1)) != 1:
        raise UntraceableError("it halves rows or columns; halve channels instead")
    half, _, _ = shape_of(outs[0])
    return [[same(of[source], SAME, SAME, half, start=start) for start in (0, half)]]


def _along_axis(arguments: Mapping[str, Any], outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
    """Softmax and its like: each position reads all positions of one axis."""
    source = source_map(arguments, of)
    image_shape(source)
    return [[_along(source, outs[0], of, {axis_of(source, arguments["dim"])}, "an operator over a whole axis")]]


def _batch_norm(arguments: Mapping[str, Any], outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
    """With stored statistics it acts on each position; with those of the map, as instance norm, it reads the map."""
    source = source_map(arguments, of)
    channels, _, _ = image_shape(source)
    if arguments.get("running_mean") is None and source.shape[0] == 1:
        return _by_own_statistics(source, outs, of, groups=channels)
    if arguments.get("running_mean") is None or arguments.get("training"):
        raise UntraceableError("it normalises by the statistics of a batch, or writes down those of the map")
    return [[same(of[source], SAME, SAME, channels)], *[[]] * (len(outs) - 1)]


def _group_norm(arguments: Mapping[str, Any], outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
    return _by_own_statistics(source_map(arguments, of), outs, of, groups=int(arguments["group"]))


def _layer_norm(arguments: Mapping[str, Any], outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
    """Along the last axes, whatever they are."""
    source = source_map(arguments, of)
    image_shape(source)
    axes = {axis_of(source, -1 - k) for k in range(len(arguments["normalized_shape"]))}
    return [[_along(source, out, of, axes, _STATISTICS)] for out in outs]


def _by_own_statistics(source: Tensor, outs: Sequence[Tensor], of: Mapping[Tensor, int], groups: int) -> Any:
    """Every position, and every statistic, reads the whole map of its group of channels."""
    channels, height, width = image_shape(source)
    return [
        [Edge(of[source], whole(height, h, _STATISTICS), whole(width, w, _STATISTICS),
              Grouped(channels, c, min(groups, c)))]
        for c, h, w in map(shape_of, outs)
    ]  # fmt: skip


def _resized(mode: Any, exact: bool = False) -> Rule:
    def rule(arguments: Mapping[str, Any], outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
        source = source_map(arguments, of)
        channels, *ins = image_shape(source)
        _, *sizes = image_shape(outs[0])
        scales = arguments.get("scale_factors") or (arguments.get("scales_h"), arguments.get("scales_w"))
        corners = bool(arguments.get("align_corners"))
        if mode == "cubic" and not corners and ins == sizes and any(scale not in (None, 1) for scale in scales):
            raise UntraceableError("its scale keeps the map's size, where torch's gradient ignores it; give the size")
        axes = [
            _resize(mode, exact, corners, size_in, size_out, scale)
            for size_in, size_out, scale in zip(ins, sizes, scales, strict=True)
        ]
        return [[same(of[source], axes[0], axes[1], channels)]]

    return rule


def _resize(mode: Any, exact: bool, corners: bool, ins: int, outs: int, given: float | None) -> Axis:
    """On the CPU torch ignores a given scale where a size stays or, for nearest, doubles.

    It rounds nearest positions in single precision, but for the values, not the gradients, of a float64 map.
    """
    if ins == 1:
        return spread(outs, "resizing a single position")
    if corners:
        return Resize(mode, Fraction(ins - 1, outs - 1) if outs > 1 else Fraction(1))
    if not exact and ((outs == ins and mode != "cubic") or (outs == 2 * ins and mode == "nearest")):
        given = None
    scale = 1 / Fraction(given).limit_denominator(10_000) if given else Fraction(ins, outs)
    if mode == "nearest":
        step = np.float32(1 / given) if given else np.float32(ins) / np.float32(outs)
        looked = (np.arange(outs, dtype=np.float32) + np.float32(exact / 2)) * step
        read = tuple((min(int(at), ins - 1),) for at in looked)
        return Resize(mode, scale, scale / 2 if exact else Fraction(0), Listed(read, "resizing to the nearest"))
    return Resize(mode, scale, (scale - 1) / 2)


def _linear(arguments: Mapping[str, Any], outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
    """The last axis by a matrix of weights: linear, mm, addmm."""
    source = arguments.get("mat1", arguments.get("input", arguments.get("self")))
    if source not in of or source.dim() not in (2, 4) or sum(t in of for t in tensors_in(arguments.values())) > 1:
        raise UntraceableError("it mixes positions or takes weights from the image")
    return [[_along(source, outs[0], of, {axis_of(source, -1)}, "a matrix along a whole axis")]]


def _copy_into(arguments: Mapping[str, Any], outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
    source = arguments["src"]
    return [_pointwise({"self": source}, outs, of)[0] if source in of else []] * len(outs)


def _filled(arguments: Mapping[str, Any], outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
    """What is overwritten by a number is read no more."""
    if arguments.get("value") in of:
        raise UntraceableError("a number computed from the image fills a map")
    return [[]] * len(outs)


def _expand(arguments: Mapping[str, Any], outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
    return _pointwise({"self": arguments["self"]}, outs, of)


_STATISTICS = "a normalisation by the statistics of the map"
_POOLS = ("max_pool2d", "max_pool2d_with_indices", "avg_pool2d")
_ADAPTIVE = ("adaptive_avg_pool2d", "_adaptive_avg_pool2d", "adaptive_max_pool2d")
_REDUCTIONS = ("mean", "sum", "amax", "amin", "max", "min", "var", "std", "var_mean", "std_mean", "logsumexp",
               "linalg_vector_norm")  # fmt: skip
_ALONG = ("softmax", "_softmax", "log_softmax", "_log_softmax")
_BATCH_NORMS = ("batch_norm", "native_batch_norm", "cudnn_batch_norm", "_native_batch_norm_legit_no_training",
                "_batch_norm_no_update")  # fmt: skip
_VIEWS = ("view", "reshape", "_unsafe_view", "view_as", "_reshape_alias", "flatten", "unflatten", "squeeze",
          "unsqueeze")  # fmt: skip
_COPIES = ("clone", "contiguous", "detach", "alias", "to", "_to_copy", "dropout", "lift_fresh", "type_as",
           "feature_dropout", "alpha_dropout", "native_dropout")  # fmt: skip

SHAPE_ONLY = frozenset({
    "zeros_like", "ones_like", "empty_like", "full_like", "rand_like", "randn_like", "new_zeros", "new_ones",
    "new_empty", "new_full", "new_tensor",
})  # fmt: skip
"""Operators that ask a map for its shape and read nothing of it."""

VALUES = frozenset({"_local_scalar_dense", "resolve_neg"})
"""Operators that hand values of a map to Python or numpy; the last is how `numpy()` and `tolist()` begin."""

_RULES: dict[str, Rule] = {
    "convolution": _convolution,
    "_convolution": _convolution,
    **dict.fromkeys(_POOLS, _pooling),
    **dict.fromkeys(_ADAPTIVE, _adaptive),
    **dict.fromkeys(_REDUCTIONS, _reduction),
    **dict.fromkeys(_ALONG, _along_axis),
    **dict.fromkeys(_BATCH_NORMS, _batch_norm),
    "native_group_norm": _group_norm,
    "native_layer_norm": _layer_norm,
    **dict.fromkeys((*_VIEWS, *_COPIES), kept),
    "cat": concatenation,
    "upsample_nearest2d": _resized("nearest"),
    "_upsample_nearest_exact2d": _resized("nearest", exact=True),
    "upsample_bilinear2d": _resized("linear"),
    "upsample_bicubic2d": _resized("cubic"),
    "constant_pad_nd": zero_padding,
    "reflection_pad2d": bordered("reflect"),
    "replication_pad2d": bordered("replicate"),
    "_pad_circular": bordered("circular"),
    **dict.fromkeys(("slice", "narrow"), sliced),
    "select": selected,
    **dict.fromkeys(("split", "split_with_sizes", "chunk"), pieces),
    "flip": flip,
    "roll": roll,
    **dict.fromkeys(EXCHANGES, exchanged),
    **dict.fromkeys(("channel_shuffle", "native_channel_shuffle"), channel_shuffle),
    "pixel_shuffle": pixels(finer=True),
    "pixel_unshuffle": pixels(finer=False),
    **dict.fromkeys(("expand", "expand_as"), _expand),
    **dict.fromkeys(("linear", "mm", "addmm"), _linear),
    "copy": _copy_into,
    "fill": _filled,
    "zero": _filled,
    "masked_fill": _pointwise,
    "_prelu_kernel": _pointwise,
    "glu": _gated,
}
_ANY_ORDER = frozenset({
    _pointwise, _reduction, _along_axis, _layer_norm, _linear, _copy_into, _filled, _expand, _gated,
    kept, concatenation, sliced, selected, pieces, flip, roll, exchanged,
})  # fmt: skip

pointwise = in_one_order(_pointwise, any_order=True)
"""The rule of every operator that torch marks as pointwise."""

RULES: dict[str, Rule] = {name: in_one_order(rule, any_order=rule in _ANY_ORDER) for name, rule in _RULES.items()}
"""What each ATen operator reads; pointwise operators need no entry, because torch marks them."""
