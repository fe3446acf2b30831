"""The calls that another counter lets through without a rule of its own, priced by our rules."""

from collections import Counter
from collections.abc import Container
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from bench.counts.operators import RULES

MISSED = {
    "convolution": "convolutions missed",
    "transposed_convolution": "transposed convolutions missed",
    "linear": "linear layers missed",
    "matmul": "matrix products missed",
    "attention": "attention missed",
}
"""Reasons, by kind, why a counter is below ours."""


class Below(TorchDispatchMode):
    """Stands below a counter and sees every call that it lets through, in the form in which the counter sees it.

    Attributes:
        known: the operators that the counter has rules for.
        missed: our MACs, negative, of all others, by reason.
        biases: elements that a bias was added to.
        computing: a call is being computed; on the meta device that may run torch's own Python code.
    """

    def __init__(self, known: Container[Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch ships it without annotations
        self.known = known
        self.missed: Counter[str] = Counter()
        self.biases = 0
        self.computing = False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = func._schema.name
        if name == "aten::native_batch_norm" and args[0].is_meta:  # hundreds of small Python calls on meta
            return torch.empty_like(args[0]), args[0].new_empty(0), args[0].new_empty(0)
        self.computing = True
        try:
            out = func(*args, **kwargs)
        finally:
            self.computing = False
        if name in RULES and func._overloadpacket not in self.known:
            cost = RULES[name](args, kwargs, out, None)
            self.missed[MISSED[cost.kind]] -= cost.macs
        elif name == "aten::addmm" or (name == "aten::convolution" and args[2] is not None):
            self.biases += out.numel()
        return out
