"""ptflops' counts: by module type and by function, as its pytorch back end has it, and by call, as its aten one."""

from collections import Counter
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from bench.counts.macs import Count
from bench.opinions.missed_calls import MISSED, Below
from bench.opinions.opinion import Answer, blank_copy


class _NoCountError(RuntimeError):
    """ptflops gave no count; the message says why."""


_MODULES = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Linear)
"""Modules whose multiply-adds it counts; by exact type, as it looks them up."""

_PRODUCTS = frozenset({"matmul", "mm", "bmm", "addmm", "baddbmm"})
"""Functions whose multiply-adds it counts, unless they are written `@`."""


def ask_pytorch(net: nn.Module, shape: tuple[int, ...], own: Count, device: str) -> Answer:
    """Counts by the back end "pytorch": hooks on modules, and patches of torch's functions and tensor methods."""
    from ptflops import pytorch_ops
    from ptflops.aten_ops import ATEN_OPS_MAPPING

    extras: Counter[str] = Counter()
    products: Counter[str] = Counter()

    def recorded_module(hook: Callable[..., None]) -> Callable[..., None]:
        def record(module: Any, inputs: Any, output: Any) -> None:
            before = module.__flops__
            hook(module, inputs, output)
            if type(module) not in _MODULES:
                extras[_reason(type(module).__name__)] += module.__flops__ - before
            elif module.bias is not None:
                extras["biases"] += output.numel()

        return record

    def recorded_function(name: str, rule: Callable[..., Any]) -> Callable[..., int]:
        def record(*args: Any, **kwargs: Any) -> int:
            if below.computing:  # not a call of the network's, and on a real device there would be none
                return 0
            macs = int(rule(*args, **kwargs))
            if name in _PRODUCTS:
                products[name] += macs
            else:
                extras[f"{_reason(name)}, called as a function"] += macs
            return macs

        return record

    below = Below(ATEN_OPS_MAPPING)  # for `computing` only
    hooks = {kind: recorded_module(hook) for kind, hook in pytorch_ops.MODULES_MAPPING.items()}
    with (
        _replaced(pytorch_ops.FUNCTIONAL_MAPPING, recorded_function),
        _replaced(pytorch_ops.TENSOR_OPS_MAPPING, recorded_function),
        below,
    ):
        total = _ptflops(blank_copy(net, device), shape, device, backend="pytorch", custom_modules_hooks=hooks)
    extras.update(_functional_missed(net, own, products_seen=bool(products)))
    return total, extras


def _functional_missed(net: nn.Module, own: Count, *, products_seen: bool) -> dict[str, int]:
    """Our multiply-adds outside of the modules that it knows; matrix products only when it saw none at all."""
    modules = dict(net.named_modules())
    missed: Counter[str] = Counter()
    for operator in own.operators:
        known = type(modules[operator.module]) in _MODULES
        if not known and not (operator.kind == "matmul" and products_seen):
            missed[f"functional {MISSED[operator.kind]}"] -= operator.macs
    return dict(missed)


def _reason(name: str) -> str:
    """Type or function -> what it does."""
    lower = name.lower()
    families = {"batchnorm": "batch norm", "pool": "pooling", "upsample": "upsampling", "interpolate": "upsampling"}
    families |= {"relu6": "ReLU6", "prelu": "PReLU", "leakyrelu": "leaky ReLU", "relu": "ReLU"}
    return next((reason for part, reason in families.items() if part in lower), name)


@contextmanager
def _replaced(table: MutableMapping[Any, Any], recorded: Callable[[str, Any], Any]) -> Iterator[None]:
    """Puts a recorder around every rule in one of the tool's tables, and takes it away again."""
    rules = dict(table)
    table.update({function: recorded(function.__name__, rule) for function, rule in rules.items()})
    try:
        yield
    finally:
        table.update(rules)


def ask_aten(net: nn.Module, shape: tuple[int, ...], _: Count, device: str) -> Answer:
    """Counts by the back end "aten": the calls that reach torch's dispatcher."""
    from ptflops.aten_ops import ATEN_OPS_MAPPING

    with Below(ATEN_OPS_MAPPING) as below:
        total = _ptflops(blank_copy(net, device), shape, device, backend="aten")
    return total, {"biases": below.biases} | below.missed


def _ptflops(model: nn.Module, shape: tuple[int, ...], device: str, **options: Any) -> int:
    from ptflops import get_model_complexity_info

    total, _ = get_model_complexity_info(
        model,
        shape,
        print_per_layer_stat=False,
        as_strings=False,
        input_constructor=lambda whole: torch.zeros(whole, device=device),
        **options,
    )
    if total is None:
        raise _NoCountError("ptflops gave no count")
    return int(total)
