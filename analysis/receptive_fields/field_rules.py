"""Which positions of its inputs each operator reads: the tracer's rules, one for each ATen operator. Needs torch.

A rule turns the arguments of one call into the edges of each output. What it cannot describe it refuses by name.
"""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, Literal

from torch import Tensor

from analysis.receptive_fields.axes import (
    SAME,
    Axis,
    Bordered,
    Listed,
    Resize,
    Transposed,
    Window,
    adaptive,
    spread,
    whole,
)
from analysis.receptive_fields.field_graph import Edge, Grouped, Pointwise

Shape = tuple[int, int, int]


class UntraceableError(ValueError):
    """An operator acts on a map in a way that no rule describes; the message says how."""


Rule = Callable[[Mapping[str, Any], Sequence[Tensor], Mapping[Tensor, int]], Sequence[Sequence[Edge]]]
"""(arguments by name, outputs, index of each known map) -> the edges of each output."""


def tensors_in(values: Any) -> list[Tensor]:
    """All tensors in nested lists, tuples and dictionaries."""
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += tensors_in(value)
        elif isinstance(value, Mapping):
            found += tensors_in(value.values())
    return found


def shape_of(tensor: Tensor) -> Shape:
    """Channels, height, width; what is no batch of maps counts as one position with its elements as channels."""
    if tensor.dim() == 4:
        return int(tensor.shape[1]), int(tensor.shape[2]), int(tensor.shape[3])
    return max(1, tensor.numel() // max(1, tensor.shape[0] if tensor.dim() else 1)), 1, 1


def _image(value: Any) -> Shape:
    if not isinstance(value, Tensor) or value.dim() not in (2, 4):
        raise UntraceableError("it is applied to something that is no batch of maps")
    return shape_of(value)


def _source(arguments: Mapping[str, Any], of: Mapping[Tensor, int]) -> Tensor:
    """The map that an operator of one map is applied to."""
    source = arguments.get("self", arguments.get("input"))
    if not isinstance(source, Tensor) or source not in of:
        raise UntraceableError("it acts on something else than the map")
    return source


def _pair(values: Any) -> tuple[int, int]:
    listed = [int(v) for v in (values if isinstance(values, list | tuple) else [values])]
    return (listed[0], listed[-1]) if listed else (0, 0)


def _same(source: int, y: Axis, x: Axis, channels: int, to: int = 0, start: int = 0) -> Edge:
    return Edge(source, y, x, Pointwise(start, to, channels))


def unknown(_arguments: Mapping[str, Any], _outs: Sequence[Tensor], _of: Mapping[Tensor, int]) -> Any:
    """The rule of an operator that has none."""
    raise UntraceableError("no rule says which positions it reads")


def pointwise(arguments: Mapping[str, Any], outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
    """Each position of the output reads the same position of every operand; what has one position is read by all."""
    channels, height, width = _image(outs[0])
    edges = []
    for operand in (t for t in tensors_in(arguments.values()) if t in of):
        if operand.dim() == 0 or operand.numel() == 1:
            raise UntraceableError("a number computed from the image acts on a whole map")
        c, h, w = _image(operand)
        y = SAME if h == height else spread(height, "spreading one position over a map")
        x = SAME if w == width else spread(width, "spreading one position over a map")
        route = Pointwise(0, 0, channels) if c == channels else Grouped(c, channels)
        edges.append(Edge(of[operand], y, x, route))
    return [edges] * len(outs)


def _convolution(arguments: Mapping[str, Any], outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
    source, weight = arguments["input"], arguments["weight"]
    if weight in of:
        raise UntraceableError("its kernel is computed from the image")
    channels, _, _ = _image(source)
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
    source = _source(arguments, of)
    channels, _, _ = _image(source)
    kernel = _pair(arguments["kernel_size"])
    stride = _pair(arguments.get("stride") or arguments["kernel_size"])
    padding, dilation = _pair(arguments.get("padding", 0)), _pair(arguments.get("dilation", 1))
    y, x = (Window(*each) for each in zip(kernel, stride, padding, dilation, strict=True))
    edge = _same(of[source], y, x, channels)
    return [[edge]] * len(outs)


def _adaptive(arguments: Mapping[str, Any], outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
    source = _source(arguments, of)
    channels, height, width = _image(source)
    _, out_height, out_width = _image(outs[0])
    what = "adaptive pooling"
    edge = _same(of[source], adaptive(height, out_height, what), adaptive(width, out_width, what), channels)
    return [[edge]] * len(outs)


def _reduction(arguments: Mapping[str, Any], outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
    """A mean, sum or extreme along whole axes that stay as axes of one position; over channels they mix."""
    source = _source(arguments, of)
    channels, height, width = _image(source)
    dims = arguments.get("dim")
    listed = range(4) if dims in (None, []) else [d % 4 for d in (dims if isinstance(dims, list | tuple) else [dims])]
    if 0 in listed or outs[0].dim() != 4:
        raise UntraceableError("it reduces axes of a map that do not stay; keep them (keepdim) or pool instead")
    y = whole(height, 1, "a reduction over a whole axis") if 2 in listed else SAME
    x = whole(width, 1, "a reduction over a whole axis") if 3 in listed else SAME
    route = Grouped(channels, 1) if 1 in listed else Pointwise(0, 0, channels)
    return [[Edge(of[source], y, x, route)]] * len(outs)


def _along_axis(arguments: Mapping[str, Any], _outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
    """Softmax and its like: each position reads all positions of one axis."""
    source = _source(arguments, of)
    channels, height, width = _image(source)
    dim = int(arguments["dim"]) % 4
    what = "an operator over a whole axis"
    y = whole(height, height, what) if dim == 2 else SAME
    x = whole(width, width, what) if dim == 3 else SAME
    return [[Edge(of[source], y, x, Grouped(channels, channels) if dim == 1 else Pointwise(0, 0, channels))]]


def _normalisation(arguments: Mapping[str, Any], outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
    """Batch norm with stored statistics acts on each position; with those of the batch it reads the whole map."""
    source = _source(arguments, of)
    channels, _, _ = _image(source)
    if arguments.get("training") or arguments.get("running_mean") is None:
        raise UntraceableError("it normalises by the statistics of the map itself")
    return [[_same(of[source], SAME, SAME, channels)], *[[]] * (len(outs) - 1)]


def _concatenation(arguments: Mapping[str, Any], outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
    if int(arguments.get("dim", 0)) % max(1, outs[0].dim()) != 1:
        raise UntraceableError("it joins maps along another axis than the channels")
    edges, start = [], 0
    for part in arguments["tensors"]:
        channels, _, _ = _image(part)
        if part in of:
            edges.append(_same(of[part], SAME, SAME, channels, to=start))
        start += channels
    return [edges]


def _resized(mode: Any, exact: bool = False) -> Rule:
    def rule(arguments: Mapping[str, Any], outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
        source = _source(arguments, of)
        channels, *ins = _image(source)
        _, *sizes = _image(outs[0])
        scales = arguments.get("scale_factors") or (arguments.get("scales_h"), arguments.get("scales_w"))
        axes = [
            _resize(mode, exact, bool(arguments.get("align_corners")), size_in, size_out, scale)
            for size_in, size_out, scale in zip(ins, sizes, scales, strict=True)
        ]
        return [[_same(of[source], axes[0], axes[1], channels)]]

    return rule


def _resize(mode: Any, exact: bool, corners: bool, ins: int, outs: int, given: float | None) -> Axis:
    if corners:
        return Resize(mode, Fraction(ins - 1, outs - 1) if outs > 1 else Fraction(1))
    scale = 1 / Fraction(given).limit_denominator(10_000) if given else Fraction(ins, outs)
    if mode == "nearest":
        return Resize(mode, scale, scale / 2 if exact else Fraction(0))
    return Resize(mode, scale, (scale - 1) / 2)


def _zero_padding(arguments: Mapping[str, Any], outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
    """Pads or crops rows and columns; channels too, where it says so."""
    source = _source(arguments, of)
    channels, _, _ = _image(source)
    pad = [int(p) for p in arguments["pad"]] + [0] * 8
    if pad[6] or pad[7]:
        raise UntraceableError("it pads the batch")
    kept = channels + min(0, pad[4]) + min(0, pad[5])
    route = Pointwise(max(0, -pad[4]), max(0, pad[4]), kept)
    _image(outs[0])
    return [[Edge(of[source], Window(1, 1, pad[2]), Window(1, 1, pad[0]), route)]]


def _bordered(border: Literal["reflect", "replicate", "circular"]) -> Rule:
    def rule(arguments: Mapping[str, Any], outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
        source = _source(arguments, of)
        channels, height, width = _image(source)
        _, out_height, out_width = _image(outs[0])
        left, _, top, _ = (int(p) for p in arguments.get("padding", arguments.get("pad")))
        edge = _same(of[source], _border(height, out_height, top, border), _border(width, out_width, left, border),
                     channels)  # fmt: skip
        return [[edge]]

    return rule


def _border(ins: int, outs: int, before: int, border: Literal["reflect", "replicate", "circular"]) -> Axis:
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


def _slice(arguments: Mapping[str, Any], outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
    source = _source(arguments, of)
    sizes = _image(source)
    dim = int(arguments.get("dim", 0)) % 4
    step = int(arguments.get("step", 1))
    whole_axis = [int(n) for n in source.shape]
    start, _, _ = slice(arguments.get("start"), arguments.get("end"), step).indices(whole_axis[dim])
    if dim == 0:
        return [[_same(of[source], SAME, SAME, sizes[0])]]
    if dim == 1:
        return [[_channel_slice(of[source], start, step, shape_of(outs[0])[0])]]
    y, x = (Window(1, step, -start) if dim == d else SAME for d in (2, 3))
    return [[_same(of[source], y, x, sizes[0])]]


def _channel_slice(source: int, start: int, step: int, size: int) -> Edge:
    if step != 1:
        raise UntraceableError("it takes every so many channels")
    return _same(source, SAME, SAME, size, start=start)


def _split(arguments: Mapping[str, Any], outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
    """Pieces of a map along one axis, in order: split, split_with_sizes, chunk."""
    source = _source(arguments, of)
    channels, _, _ = _image(source)
    dim, start, made = int(arguments.get("dim", 0)) % 4, 0, []
    for out in outs:
        if dim == 0:
            raise UntraceableError("it splits the batch")
        if dim == 1:
            made.append([_same(of[source], SAME, SAME, int(out.shape[1]), start=start)])
        else:
            y, x = (Window(1, 1, -start) if dim == d else SAME for d in (2, 3))
            made.append([_same(of[source], y, x, channels)])
        start += int(out.shape[dim])
    return made


def _flip(arguments: Mapping[str, Any], _outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
    source = _source(arguments, of)
    channels, height, width = _image(source)
    dims = {int(d) % 4 for d in arguments["dims"]}
    if dims - {2, 3}:
        raise UntraceableError("it flips another axis than rows and columns")
    y, x = (
        Listed(tuple((n - 1 - o,) for o in range(n)), "a flip") if d in dims else SAME
        for d, n in ((2, height), (3, width))
    )
    return [[_same(of[source], y, x, channels)]]


def _reshaped(arguments: Mapping[str, Any], outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
    """A view that keeps what it looks at."""
    source = _source(arguments, of)
    channels, *_ = size = shape_of(source)
    if outs[0].shape != source.shape and not (size[1:] == (1, 1) and shape_of(outs[0]) == size):
        raise UntraceableError(f"it turns {tuple(source.shape)} into {tuple(outs[0].shape)}")
    return [[_same(of[source], SAME, SAME, channels)]]


def _linear(arguments: Mapping[str, Any], outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
    source, weight = arguments["input"], arguments["weight"]
    if weight in of or source.dim() != 2:
        raise UntraceableError("it mixes positions or takes weights from the image")
    return [[Edge(of[source], SAME, SAME, Grouped(int(source.shape[1]), int(outs[0].shape[1])))]]


def _copy_into(arguments: Mapping[str, Any], outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
    source = arguments["src"]
    return [pointwise({"self": source}, outs, of)[0] if source in of else []] * len(outs)


def _filled(arguments: Mapping[str, Any], outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
    """What is overwritten by a number is read no more."""
    if arguments.get("value") in of:
        raise UntraceableError("a number computed from the image fills a map")
    return [[]] * len(outs)


def _expand(arguments: Mapping[str, Any], outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
    return pointwise({"self": arguments["self"]}, outs, of)


def _kept(arguments: Mapping[str, Any], outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
    """Copies, casts and other operators on whole tensors that change no position."""
    source = next(t for t in tensors_in(arguments.values()) if t in of)
    return [[_same(of[source], SAME, SAME, _image(source)[0])]] * len(outs)


_POOLS = ("max_pool2d", "max_pool2d_with_indices", "avg_pool2d")
_ADAPTIVE = ("adaptive_avg_pool2d", "_adaptive_avg_pool2d", "adaptive_max_pool2d")
_REDUCTIONS = ("mean", "sum", "amax", "amin")
_ALONG = ("softmax", "_softmax", "log_softmax", "_log_softmax")
_NORMS = ("batch_norm", "native_batch_norm", "cudnn_batch_norm", "_native_batch_norm_legit_no_training",
          "_batch_norm_with_update", "_batch_norm_no_update")  # fmt: skip
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

RULES: dict[str, Rule] = {
    "convolution": _convolution,
    **dict.fromkeys(_POOLS, _pooling),
    **dict.fromkeys(_ADAPTIVE, _adaptive),
    **dict.fromkeys(_REDUCTIONS, _reduction),
    **dict.fromkeys(_ALONG, _along_axis),
    **dict.fromkeys(_NORMS, _normalisation),
    **dict.fromkeys(_COPIES, _kept),
    "cat": _concatenation,
    "upsample_nearest2d": _resized("nearest"),
    "_upsample_nearest_exact2d": _resized("nearest", exact=True),
    "upsample_bilinear2d": _resized("linear"),
    "upsample_bicubic2d": _resized("cubic"),
    "constant_pad_nd": _zero_padding,
    "reflection_pad2d": _bordered("reflect"),
    "replication_pad2d": _bordered("replicate"),
    "_pad_circular": _bordered("circular"),
    "slice": _slice,
    "split": _split,
    "split_with_sizes": _split,
    "chunk": _split,
    "flip": _flip,
    **dict.fromkeys(_VIEWS, _reshaped),
    "expand": _expand,
    "linear": _linear,
    "copy": _copy_into,
    "fill": _filled,
    "zero": _filled,
    "masked_fill": pointwise,
}
"""What each ATen operator reads; pointwise operators need no entry, because torch marks them."""
