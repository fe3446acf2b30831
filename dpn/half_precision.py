"""bf16 and fp16 on processors that do not multiply in them: the same roundings, with products in float32.

Where a processor has arithmetic for bf16, a convolution takes operands of 8 significant bits, whose products are exact
in float32, adds these up in float32, and rounds each sum to bf16. Without it torch does the same by a slow way round: a
step of `quick/dpn4_32_d8_lite` took 17 s on an AMD EPYC without bf16, where one in fp32 takes 2 s. Here operands are
turned into float32, which changes none of them, the convolution is float32's own, and what comes out is rounded. That
takes little more than fp32's time, and differs from either in nothing but the order in which sums are added up, so that
scores from machines of both kinds can stand beside each other. In inference mode `torch.einsum` and recurrent layers,
which no network here has, get past autocast as a whole and are float32.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from dpn.processor import multiplies_in
from dpn.runtime import Precision
from dpn.torch_dispatch import Dispatch

TYPES: dict[Precision, torch.dtype] = {"bf16": torch.bfloat16, "fp16": torch.float16}
"""What torch calls a precision; fp32 needs no autocast and is not among them."""

HALVES = {dtype: name for name, dtype in TYPES.items()}

_aten = torch.ops.aten
_WHOLE = torch._C.DispatchKey.CompositeImplicitAutograd
"""Of operators that are made of others."""

PRODUCTS = frozenset(
    {
        _aten.convolution.default, _aten.convolution_backward.default, _aten.mm.default, _aten.addmm.default,
        _aten.bmm.default, _aten.baddbmm.default,
    }
)  # fmt: skip
"""Operators whose time is that of multiplying; all others are quick on any processor."""


def is_emulated(device: str, dtype: torch.dtype | None) -> bool:
    """Whether products of this type are computed in float32 on a device: "cpu" or another, for None in none.

    Example:
        >>> is_emulated("cuda", torch.bfloat16), is_emulated("cpu", None)
        (False, False)
    """
    return device == "cpu" and dtype in HALVES and not multiplies_in(HALVES[dtype])


def arithmetic(device: str, dtype: torch.dtype | None) -> AbstractContextManager[Any]:
    """Surrounds forward and backward passes under autocast; does nothing where the device multiplies in that type.

    Args:
        device: "cpu" or another.
        dtype: autocast's; None without autocast.
    """
    return Float32Products() if is_emulated(device, dtype) else nullcontext()


class Float32Products(Dispatch):  # type: ignore[no-untyped-call]  # torch's
    """Convolutions and matrix products of bf16 or fp16 tensors, gradients too, computed in float32 and rounded."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        """What torch calls in the place of each operator."""
        kwargs = kwargs or {}
        if func not in PRODUCTS:
            return self._passed_on(func, args, kwargs)
        if args[0].dtype not in HALVES:
            return func(*args, **kwargs)
        found = func(*(_widened(value) for value in args), **kwargs)
        if isinstance(found, Tensor):
            return found.to(args[0].dtype)
        return tuple(None if one is None else one.to(args[0].dtype) for one in found)  # gradients that nobody needs

    def _passed_on(self, func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Another operator; in inference mode some, such as conv2d, arrive whole, and torch takes them apart here.

        By its own C++ alone, as it does elsewhere: what `decompose` would take first is written in Python for some,
        bilinear upsampling among them, and takes many times as long.
        """
        if torch.is_inference_mode_enabled() and torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), _WHOLE):
            with self:
                return func._op_dk(_WHOLE, *args, **kwargs)
        return func(*args, **kwargs)


def _widened(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.dtype in HALVES else value
