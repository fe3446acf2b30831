"""fvcore's count by operator, as it adds it up, and what it has no rule for."""

from collections import Counter
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
from torch import nn

from bench.counts.macs import Count, count
from bench.opinions.missed_calls import MISSED
from bench.opinions.opinion import Answer, blank_copy

_PADDING_BY_NAME = "convolutions with padding by name missed"
_RECURRENT = "recurrent layers missed"
_FEWER_REGIONS = "regions that a blank image does not have"
_MULTIPLY_ADDS = frozenset({"conv", "addmm", "bmm", "einsum", "matmul", "mm", "linear"})
_UPSAMPLING = {"upsample_bilinear2d": "bilinear upsampling", "upsample_nearest2d": "nearest upsampling"}


def ask(net: nn.Module, shape: tuple[int, ...], own: Count, _: str) -> Answer:
    """Counts on the CPU, whatever the device asked for: torch.jit.trace can trace neither meta nor fake tensors.

    A detector has as many regions to compute as it finds in the image, and its count on the meta device as many as it
    can have; so where fvcore sees other multiply-adds, our counter goes over the same computation that fvcore saw.
    """
    from fvcore.nn import FlopCountAnalysis

    blank = blank_copy(net, "cpu")
    analysis = FlopCountAnalysis(blank, torch.zeros(shape))
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    counted = analysis.by_operator()
    total = sum(counted.values())
    extras = {
        _UPSAMPLING.get(op, op.replace("_", " ")): int(n) for op, n in counted.items() if op not in _MULTIPLY_ADDS
    }
    gaps = {op: rule for op, rule in _GAPS.items() if op in analysis.unsupported_ops()}
    if gaps:  # a second trace, so that the total above is the tool's own
        with_gaps = analysis.set_op_handle(**gaps).by_operator()
        extras |= {reason: -with_gaps[reason] for reason in (_PADDING_BY_NAME, MISSED["attention"], _RECURRENT)}
    if total != own.macs + sum(extras.values()):
        extras[_FEWER_REGIONS] = count(blank, torch.zeros(shape), device="cpu").macs - own.macs
    return int(total), extras


def _shape(traced: Any) -> list[int]:
    return list(traced.type().sizes())


def _convolution_by_name(inputs: Sequence[Any], outputs: Sequence[Any]) -> Counter[str]:
    macs = _shape(inputs[0])[0] * prod(_shape(inputs[1])) * prod(_shape(outputs[0])[2:])
    return Counter({_PADDING_BY_NAME: macs})


def _attention(inputs: Sequence[Any], _: Sequence[Any]) -> Counter[str]:
    query, key, value = map(_shape, inputs[:3])
    return Counter({MISSED["attention"]: prod(query[:-1]) * key[-2] * (query[-1] + value[-1])})


def _recurrent(inputs: Sequence[Any], _: Sequence[Any]) -> Counter[str]:
    """Every step of every sequence meets all weight matrices of all layers; packed steps (steps, features) are a batch.

    Inputs are (steps, state, weights and biases, ...), or (packed steps, sizes of batches, state, weights, ...).
    """
    steps = _shape(inputs[0])[:-1]
    weights = [_shape(weight) for weight in inputs[4 - len(steps)].node().inputs()]
    return Counter({_RECURRENT: prod(steps) * sum(prod(shape) for shape in weights if len(shape) == 2)})


_GAPS: dict[str, Callable[[Sequence[Any], Sequence[Any]], Counter[str]]] = {
    "aten::_convolution_mode": _convolution_by_name,
    "aten::scaled_dot_product_attention": _attention,
    "aten::gru": _recurrent,
    "aten::lstm": _recurrent,
    "aten::rnn_tanh": _recurrent,
    "aten::rnn_relu": _recurrent,
}
"""What fvcore is known to have no rule for."""
