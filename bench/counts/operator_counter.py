"""Sees every operator of a forward pass, and adds each to those that are counted, declared free, or unknown."""

import re
from collections import Counter
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from bench.counts.operators import RULES, Cost, Margins, is_free, shape_on_meta, uncounted
from bench.counts.watching import Watcher, Where


@dataclass(frozen=True, kw_only=True)
class Operator:
    """One call of one counted operator.

    Attributes:
        module: dotted path of the innermost module that made the call; "" for the network itself.
        op: ATen name without overload, such as "aten::convolution".
        kind: one of `bench.counts.conventions.KINDS`.
        output_shape: shape of what it returns.
        kernel: kernel size, empty where there is none; likewise `stride` and `dilation`.
        groups: of a convolution.
        macs: nominal multiply-adds of the call.
        live_macs: those whose tap falls inside the map.
        macs_at_output: as `macs`, transposed convolutions at output size.
        params: parameters that the module itself holds, those of its parametrizations too, and shared ones where they
            stand first; in the row of its first counted call.
        activations: elements of the output.
        weight_bytes: weights and biases read.
        activation_bytes: maps read and written.
    """

    module: str
    op: str
    kind: str
    output_shape: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    macs: int
    live_macs: int
    macs_at_output: int
    params: int
    activations: int
    weight_bytes: int
    activation_bytes: int

    @property
    def arithmetic_intensity(self) -> float:
        """Floating-point operations (two for a multiply-add) for each byte of weights and maps."""
        return 2 * self.macs / (self.weight_bytes + self.activation_bytes)


class OperatorCounter(Watcher):  # type: ignore[no-untyped-call]  # torch leaves its __init_subclass__ bare
    """Puts every operator that runs where it belongs.

    Attributes:
        operators: those that have multiply-adds, in order; without parameters, see `with_params`.
        free: how often each ran that is declared free.
        unknown: how often each ran that is neither, by its name and the module's path.
        computed: how often each of both ran that computes something.
    """

    def __init__(self, where: Where, inputs: Sequence[Tensor]) -> None:
        super().__init__(where, inputs)
        self.operators: list[Operator] = []
        self.free: Counter[str] = Counter()
        self.unknown: Counter[tuple[str, str]] = Counter()
        self.computed: Counter[str] = Counter()
        self._margins: MutableMapping[Tensor, Margins | None] = WeakIdKeyDictionary()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """What torch calls in the place of each operator."""
        kwargs = kwargs or {}
        name = func._schema.name
        why = uncounted(name, args)
        if name not in RULES and not is_free(func) and not why:
            with self:  # a composite operator: what it is made of comes by here again
                out = func.decompose(*args, **kwargs)
            if out is not NotImplemented:
                return out
        shape = shape_on_meta(func, args)
        out = func(*args, **kwargs) if shape is None else torch.empty(shape, dtype=args[0].dtype, device="meta")
        if (why or name not in RULES) and _computes(func):
            self.computed[name] += 1
        if why:
            self.unknown[f"{name} {why}", self.where.path] += 1
        elif name in RULES:
            margins = self._margins.get(args[0]) if args and isinstance(args[0], Tensor) else None
            self._add(name, RULES[name](args, kwargs, out, margins), out)
        elif is_free(func):
            self.free[name] += 1
            if name == "aten::constant_pad_nd" and (args[2] if len(args) > 2 else 0) == 0:
                self._margins[out] = _margins(args[1], out.dim() - 2, self._margins.get(args[0]))
            elif func._schema.is_mutable and isinstance(written := kwargs.get("out", args[0]), Tensor):
                self._written(written)
        else:
            self.unknown[name, self.where.path] += 1
        return out

    def with_params(self) -> tuple[Operator, ...]:
        """The operators, once the pass is over: now it is known what each module holds."""
        left = Counter[str]()
        for module, params in self.where.params.items():
            left[_PARAMETRIZATIONS.split(module)[0]] += params
        return tuple(replace(operator, params=left.pop(operator.module, 0)) for operator in self.operators)

    def _written(self, tensor: Tensor) -> None:
        """Whatever was written need not be zero any more, nor in the maps of which the tensor is a part.

        Views are known by their memory, as they have no `_base` in inference mode.
        """
        for padded in list(self._margins):
            if torch._C._is_alias_of(padded, tensor):  # type: ignore[attr-defined]  # torch does not declare it
                del self._margins[padded]

    def _add(self, name: str, cost: Cost, out: Any) -> None:
        result = out[0] if isinstance(out, tuple | list) else out
        self.operators.append(
            Operator(
                module=self.where.path,
                op=name,
                kind=cost.kind,
                output_shape=tuple(result.shape),
                kernel=cost.kernel,
                stride=cost.stride,
                dilation=cost.dilation,
                groups=cost.groups,
                macs=cost.macs,
                live_macs=cost.live_macs,
                macs_at_output=cost.macs_at_output,
                params=0,
                activations=result.numel(),
                weight_bytes=sum(map(_bytes, cost.weights)),
                activation_bytes=sum(map(_bytes, cost.maps)) + _bytes(result),
            )
        )


_PARAMETRIZATIONS = re.compile(r"(?:^|\.)parametrizations\.")
"""In the path of a module that makes a weight of the layer before it, see `torch.nn.utils.parametrize`."""

_COPIES = re.compile(r"aten::(clone|copy|_unsafe_view|view_copy|_to_copy|set|resize|fill|zero|new_\w+|\w+_like)_?")
"""Operators that pass values on or make room for some; how often they run depends on torch's version."""


@cache
def _computes(func: torch._ops.OpOverload) -> bool:
    """Whether an operator makes a tensor's values from those that it is given, so is no view, copy or factory."""
    schema = func._schema
    both = all(any("Tensor" in str(one.type) for one in side) for side in (schema.arguments, schema.returns))
    return both and not func.is_view and not _COPIES.fullmatch(schema.name)


def _margins(pad: Sequence[int], axes: int, before: Margins | None) -> Margins | None:
    """The zeros on each spatial axis after a padding operator, together with those that were there `before`.

    None when it pads other axes too, or crops.
    """
    if axes < 1 or len(pad) > 2 * axes or min(pad) < 0:
        return None
    pairs = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)]
    new = [*((0, 0) for _ in range(axes - len(pairs))), *reversed(pairs)]
    return [(low + a, high + b) for (low, high), (a, b) in zip(new, before or [(0, 0)] * axes, strict=True)]


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
