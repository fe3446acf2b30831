"""What one operator costs: every ATen operator that has multiply-adds, and those that are declared free."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import Any

import torch
from torch import Tensor

from bench.counts.live_taps import live_share

Margins = Sequence[tuple[int, int]]
"""For each spatial axis, how many cells at its two ends an operator before has filled with zeros."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The cost of one call of one operator.

    Attributes:
        kind: one of `bench.counts.conventions.KINDS`.
        macs: nominal multiply-adds.
        live_macs: those whose tap falls inside the map.
        macs_at_output: `macs`, but transposed convolutions multiplied out at their output size.
        weights: the tensors that are weights or biases.
        maps: the other tensors that are read.
        kernel: kernel size; empty where the operator has none. Likewise stride and dilation.
        groups: of a convolution.
    """

    kind: str
    macs: int
    live_macs: int
    macs_at_output: int
    weights: tuple[Tensor, ...]
    maps: tuple[Tensor, ...]
    kernel: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    dilation: tuple[int, ...] = ()
    groups: int = 1


Rule = Callable[[Sequence[Any], Mapping[str, Any], Any, Margins | None], Cost]
"""(positional arguments, keyword arguments, output, margins of the first argument) -> cost."""


def _per_axis(values: Sequence[int], axes: int) -> tuple[int, ...]:
    return tuple(values) * axes if len(values) == 1 else tuple(values)


def _convolution(args: Sequence[Any], kwargs: Mapping[str, Any], out: Tensor, margins: Margins | None) -> Cost:
    """aten::convolution(input, weight, bias, stride, padding, dilation, transposed, output_padding, groups)."""
    names = ("input", "weight", "bias", "stride", "padding", "dilation", "transposed", "output_padding", "groups")
    a = dict(zip(names, args, strict=False)) | dict(kwargs)
    image, weight = a["input"], a["weight"]
    axes = weight.dim() - 2
    stride, padding, dilation = (_per_axis(a[name], axes) for name in ("stride", "padding", "dilation"))
    kernel = tuple(weight.shape[2:])
    positions, plane = tuple(out.shape[2:]), tuple(image.shape[2:])
    if a["transposed"]:  # every input position meets every tap; a tap lives where it lands on the output
        positions, plane, margins = plane, positions, None
    live, nominal = live_share(
        positions, kernel, stride=stride, padding=padding, dilation=dilation, input_hw=plane, margins=margins
    )
    per_pair = image.shape[0] * prod(weight.shape[:2])  # batch x channels in x channels out / groups
    return Cost(
        kind="transposed_convolution" if a["transposed"] else "convolution",
        macs=nominal * per_pair,
        live_macs=live * per_pair,
        macs_at_output=prod(out.shape[2:]) * prod(kernel) * per_pair,
        weights=tuple(t for t in (weight, a["bias"]) if t is not None),
        maps=(image,),
        kernel=kernel,
        stride=stride,
        dilation=dilation,
        groups=a["groups"],
    )


def _dense(kind: str, macs: int, *, weights: Sequence[Tensor | None] = (), maps: Sequence[Tensor] = ()) -> Cost:
    present = tuple(w for w in weights if w is not None)
    return Cost(kind=kind, macs=macs, live_macs=macs, macs_at_output=macs, weights=present, maps=tuple(maps))


def _linear(args: Sequence[Any], kwargs: Mapping[str, Any], out: Tensor, _: Margins | None) -> Cost:
    """aten::linear(input, weight, bias): each output element is a dot product over the input features."""
    image, weight = args[0], args[1]
    bias = args[2] if len(args) > 2 else kwargs.get("bias")
    return _dense("linear", out.numel() * image.shape[-1], weights=(weight, bias), maps=(image,))


def _bilinear(args: Sequence[Any], _: Mapping[str, Any], out: Tensor, __: Margins | None) -> Cost:
    """aten::bilinear(input1, input2, weight, bias): one multiply-add for each weight and each output row."""
    weight = args[2]
    rows = out.numel() // weight.shape[0]
    return _dense("linear", rows * weight.numel(), weights=args[2:4], maps=args[:2])


def _product(left: int) -> Rule:
    """Matrix products; the two factors stand at `left` and `left + 1`, behind what is added to them."""

    def rule(args: Sequence[Any], _: Mapping[str, Any], __: Any, ___: Margins | None) -> Cost:
        a, b = args[left], args[left + 1]
        if a.dim() == 1:  # dot: the output is one number
            return _dense("matmul", a.numel(), maps=(a, b))
        rows = prod(a.shape[:-1])  # the batch is in the rows
        return _dense("matmul", rows * a.shape[-1] * (b.shape[-1] if b.dim() > 1 else 1), maps=(a, b))

    return rule


def _outer(args: Sequence[Any], _: Mapping[str, Any], out: Tensor, __: Margins | None) -> Cost:
    """aten::addr(input, vec1, vec2): the product of a column and a row is one multiply-add for each element."""
    return _dense("matmul", out.numel(), maps=args[1:3])


def _attention(args: Sequence[Any], _: Mapping[str, Any], out: Any, __: Margins | None) -> Cost:
    """softmax(q k^T) v: L x S dot products over E, and L x S more over Ev, for each head; no mask makes it cheaper."""
    query, key, value = args[:3]
    result = out[0] if isinstance(out, tuple | list) else out
    rows = prod(result.shape[:-1])  # of the result, because the batch of the query may be broadcast
    return _dense("attention", rows * key.shape[-2] * (query.shape[-1] + value.shape[-1]), maps=(query, key, value))


def _recurrent_layer(args: Sequence[Any], _: Mapping[str, Any], __: Any, ___: Margins | None) -> Cost:
    """aten::mkldnn_rnn_layer(input, w_ih, w_hh, b_ih, b_hh, ...): every step of every sequence meets both weights."""
    image, weights = args[0], args[1:5]
    steps = prod(image.shape[:2])
    return _dense("linear", steps * sum(w.numel() for w in weights[:2]), weights=weights, maps=(image,))


RULES: dict[str, Rule] = {
    "aten::convolution": _convolution,
    "aten::_convolution": _convolution,
    "aten::linear": _linear,
    "aten::bilinear": _bilinear,
    "aten::mm": _product(0),
    "aten::bmm": _product(0),
    "aten::mv": _product(0),
    "aten::dot": _product(0),
    "aten::vdot": _product(0),
    "aten::addmm": _product(1),
    "aten::addmv": _product(1),
    "aten::baddbmm": _product(1),
    "aten::addbmm": _product(1),
    "aten::addr": _outer,
    "aten::_addmm_activation": _product(1),
    "aten::scaled_dot_product_attention": _attention,
    "aten::_scaled_dot_product_attention_math": _attention,
    "aten::_scaled_dot_product_flash_attention": _attention,
    "aten::_scaled_dot_product_flash_attention_for_cpu": _attention,
    "aten::_scaled_dot_product_efficient_attention": _attention,
    "aten::_scaled_dot_product_cudnn_attention": _attention,
    "aten::_scaled_dot_product_fused_attention_overrideable": _attention,
    "aten::mkldnn_rnn_layer": _recurrent_layer,
}
"""Operators with multiply-adds, by name without overload."""

FREE: frozenset[str] = frozenset(
    f"aten::{name}"
    for line in (
        # normalisation
        "batch_norm native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training cudnn_batch_norm",
        "layer_norm native_layer_norm group_norm native_group_norm instance_norm rms_norm _fused_rms_norm",
        "local_response_norm norm linalg_vector_norm _weight_norm _weight_norm_interface",
        # pooling and resampling
        "max_pool1d max_pool2d max_pool3d max_pool2d_with_indices max_pool3d_with_indices avg_pool1d avg_pool2d",
        "avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d _adaptive_avg_pool2d adaptive_avg_pool3d",
        "_adaptive_avg_pool3d adaptive_max_pool2d adaptive_max_pool3d fractional_max_pool2d fractional_max_pool3d",
        "max_unpool2d max_unpool3d _upsample_nearest_exact1d _upsample_nearest_exact3d _upsample_bicubic2d_aa",
        "upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact2d upsample_linear1d",
        "upsample_bilinear2d upsample_trilinear3d upsample_bicubic2d _upsample_bilinear2d_aa grid_sampler",
        "grid_sampler_2d grid_sampler_3d affine_grid_generator im2col col2im pixel_shuffle pixel_unshuffle",
        # activations and random numbers that are not tagged as pointwise
        "softmax _softmax log_softmax _log_softmax _safe_softmax glu prelu _prelu_kernel celu dropout alpha_dropout",
        "hardswish log_sigmoid_forward feature_dropout native_dropout gumbel_softmax bernoulli multinomial rand_like",
        "randn_like randint_like uniform normal exponential",
        # reductions, sorting, comparison
        "sum nansum mean var std var_mean std_mean prod amax amin aminmax max min argmax argmin any all cumsum cumprod",
        "cummax cummin logcumsumexp logsumexp sort topk median nanmedian mode kthvalue unique_dim _unique2 nonzero",
        "count_nonzero equal isin bucketize searchsorted _local_scalar_dense item",
        # moving data without computing
        "cat stack constant_pad_nd reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d",
        "replication_pad2d replication_pad3d _pad_circular roll flip index _unsafe_index index_select index_put",
        "index_fill index_add index_copy gather scatter scatter_add scatter_reduce slice_scatter select_scatter",
        "masked_fill masked_scatter masked_select take put take_along_dim unsafe_split unsafe_split_with_sizes",
        "unsafe_chunk embedding one_hot tril triu diag_embed block_diag repeat repeat_interleave clone copy fill zero",
        "contiguous reshape _reshape_alias _unsafe_view view_copy _to_copy to lift_fresh lift_fresh_copy detach alias",
        "set resize squeeze unsqueeze transpose t as_strided where meshgrid channel_shuffle native_channel_shuffle",
        "_embedding_bag _embedding_bag_forward_only",
        "rot90 new_empty new_zeros new_ones new_full empty_like zeros_like ones_like full_like arange linspace",
    )
    for name in line.split()
)
"""Operators without multiply-adds by every convention of this project; those that write in place go by the same names.

Views and pointwise operators need no entry, unless, as `squeeze_`, they change the shape in place.
"""

CONVOLUTIONS = re.compile(r"aten::conv(_transpose)?[123]d")
"""Operators that torch makes of one that has a rule, or of three of real numbers where they are given complex ones."""

BAGS = frozenset({"aten::_embedding_bag", "aten::_embedding_bag_forward_only"})
"""Sums, means and maxima of rows of a table: (weight, indices, offsets, scale, mode, sparse, weights of rows, ...)."""

CHANNEL_NORMS = frozenset({"aten::batch_norm", "aten::instance_norm", "aten::group_norm"})
SUMS = frozenset({"aten::add", "aten::sub", "aten::mul"})


def shape_on_meta(func: torch._ops.OpOverload, args: Sequence[Any]) -> tuple[int, ...] | None:
    """Shape of the result of some frequent operators on the meta device; None where torch must work it out.

    Torch does it with hundreds of small Python calls, which would be most of the time of a count. Where the arguments
    do not fit together the answer is None too, so that torch complains; and where they lie in memory in another order
    than their axes', which the result would inherit; and where the result is written into a tensor that is given.
    """
    name, first = func._schema.name, args[0] if args else None
    if func._schema.is_mutable or not (isinstance(first, Tensor) and first.is_meta):
        return None
    if not all(tensor.is_contiguous() for tensor in args[:2] if isinstance(tensor, Tensor)):
        return None
    shape = tuple(first.shape)
    if name == "aten::convolution":
        return _convolved_shape(*args)
    if name in CHANNEL_NORMS:
        fits = all(tensor.numel() == shape[1] for tensor in args[1:5] if isinstance(tensor, Tensor))
        return shape if fits else None
    if name == "aten::layer_norm":
        return shape if tuple(args[1]) == shape[-len(args[1]) :] else None
    if name in SUMS:
        second = args[1]
        fits = isinstance(second, Tensor) and second.shape == first.shape and second.dtype == first.dtype
        return shape if fits else None
    if name.startswith("aten::upsample_") and func._overloadname == "vec":  # (input, size, [align_corners,] factors)
        size = args[1] or [int(side * factor) for side, factor in zip(shape[2:], args[-1], strict=True)]
        return (*shape[:2], *size)
    return None


def _convolved_shape(*args: Any) -> tuple[int, ...] | None:
    """The positions at which a kernel of span d (k - 1) + 1 fits on each padded axis, every stride-th of them."""
    image, weight, bias, stride, padding, dilation, transposed, _, groups = args
    axes = weight.dim() - 2
    fits = image.shape[1] == weight.shape[1] * groups and (bias is None or bias.numel() == weight.shape[0])
    if transposed or not fits or image.dim() != weight.dim() or image.dtype != weight.dtype:
        return None
    stride, padding, dilation = (_per_axis(values, axes) for values in (stride, padding, dilation))
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, weight.shape[2:], strict=True)]
    room = [n + 2 * p - span for n, p, span in zip(image.shape[2:], padding, spans, strict=True)]
    if min(room) < 0 or weight.shape[0] % groups:
        return None
    return (image.shape[0], weight.shape[0], *(free // s + 1 for free, s in zip(room, stride, strict=True)))


def uncounted(name: str, args: Sequence[Any]) -> str:
    """What makes a call unknown though its operator is counted or free; empty where nothing does.

    How many real multiply-adds a product of complex numbers takes, three or four, depends on who computes it; and in a
    weighted sum of rows each element is one, of which there is no kind here.
    """
    if name in RULES or CONVOLUTIONS.fullmatch(name):
        return "of complex numbers" if any(isinstance(one, Tensor) and one.is_complex() for one in args) else ""
    return "with weights" if name in BAGS and len(args) > 6 and args[6] is not None else ""


@cache
def is_free(func: torch._ops.OpOverload) -> bool:
    """Whether the operator is declared free: in `FREE`, a view, pointwise, or a factory that reads no tensor."""
    schema = func._schema
    reads_tensor = any("Tensor" in str(argument.type) for argument in schema.arguments)
    named = schema.name.removesuffix("_") in FREE
    return named or func.is_view or torch.Tag.pointwise in func.tags or not reads_tensor
