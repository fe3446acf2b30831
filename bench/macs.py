"""Counts a network: nominal and live multiply-adds, parameters, maps and bytes, exactly, operator by operator.

The counter sits at torch's dispatch level, so that it sees functional calls, shared modules and calls of `.forward`
alike, and runs on the meta device, so that nothing is computed and no weight takes memory. Every operator that it
sees is counted, declared free (`bench.operators`), or unknown; a count with an unknown operator is incomplete.
"""

import inspect
import re
import sys
from collections import Counter
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter
from torch.utils.weak import WeakIdKeyDictionary

from bench.conventions import AT_OUTPUT, KINDS
from bench.operators import RULES, Cost, Margins, is_free, shape_on_meta
from bench.watching import Where, attributes_kept, evaluation_mode, inside_modules, on_meta
from dpn.error_words import in_words
from dpn.torch_dispatch import Dispatch


class CountError(RuntimeError):
    """A network could not be run while it was watched; the message says why and what to do."""


class Watcher(Dispatch):  # type: ignore[no-untyped-call]  # torch leaves its __init_subclass__ bare
    """Sees every operator of a forward pass; `where` knows which module runs it."""

    def __init__(self, where: Where, _inputs: Sequence[Tensor]) -> None:
        super().__init__()
        self.where = where


AWatcher = TypeVar("AWatcher", bound=Watcher)


@dataclass(frozen=True, kw_only=True)
class Operator:
    """One call of one counted operator.

    Attributes:
        module: dotted path of the innermost module that made the call; "" for the network itself.
        op: ATen name without overload, such as "aten::convolution".
        kind: one of `bench.conventions.KINDS`.
        output_shape: shape of what it returns.
        kernel: kernel size, empty where there is none; likewise `stride` and `dilation`.
        groups: of a convolution.
        macs: nominal multiply-adds of the call.
        live_macs: those whose tap falls inside the map.
        macs_at_output: as `macs`, transposed convolutions at output size.
        params: parameters that the module itself holds, in the row of its first counted call.
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


@dataclass(frozen=True, kw_only=True)
class Count:
    """The count of a network for one input.

    Attributes:
        params: parameters of the whole network, shared ones once.
        operators: every counted call, in execution order.
        free: how often each free operator ran.
        unknown: how often each unknown operator ran, with the module it ran in; empty when the count is complete. Of a
            module that another thread runs nothing is seen but that: it is `ELSEWHERE`. Calls of functions in another
            thread, outside of every module, are not noticed.
        maps: output shape of each module that returns one tensor, by dotted path, in the order of first completion.
        params_by_module: how many parameters each module itself holds, by dotted path, shared ones at their first
            place; without those that hold none.
        computed: how often each operator ran that computes something, but has no multiply-adds or is unknown.
    """

    params: int
    operators: tuple[Operator, ...]
    free: Mapping[str, int]
    unknown: Mapping[tuple[str, str], int]
    maps: Mapping[str, tuple[int, ...]]
    params_by_module: Mapping[str, int]
    computed: Mapping[str, int]

    def total(self, quantity: str) -> int:
        """The sum of an integer attribute of `Operator` over all operators, e.g. "live_macs"."""
        return sum(getattr(operator, quantity) for operator in self.operators)

    @property
    def macs(self) -> int:
        """Nominal multiply-adds."""
        return self.total("macs")

    @property
    def live_macs(self) -> int:
        """Multiply-adds whose tap falls inside the map."""
        return self.total("live_macs")

    def traits(self) -> str:
        """What identifies the network, whatever torch's version.

        Not so what else is free, such as how often a map is copied, nor which operator of ATen a convolution is.
        """
        operators = [replace(operator, op="") for operator in self.operators]
        return repr((self.params, operators, dict(self.maps), sorted(self.computed.items())))

    @property
    def complete(self) -> bool:
        """Whether every operator that ran is counted or declared free."""
        return not self.unknown

    @property
    def macs_by_kind(self) -> dict[str, int]:
        """Multiply-adds by kind, as `bench.conventions` takes them."""
        by_kind = dict.fromkeys((*KINDS, AT_OUTPUT), 0)
        for operator in self.operators:
            by_kind[operator.kind] += operator.macs
            if operator.kind == "transposed_convolution":
                by_kind[AT_OUTPUT] += operator.macs_at_output
        return by_kind


def count(net: nn.Module, *inputs: Tensor | Sequence[int], device: str = "meta") -> Count:
    """Counts one forward pass in evaluation mode; the network is left as it was.

    Args:
        net: any module, on any device; its weights are neither copied nor computed with on the meta device.
        inputs: the positional inputs of `forward`, as tensors or as shapes of float tensors, e.g. (1, 3, 256, 192).
        device: "meta", or "cpu" for a network whose forward needs the values of tensors.

    Example:
        >>> count(nn.Conv2d(3, 8, 3, padding=1), (1, 3, 10, 10)).macs
        21600

    Raises:
        TypeError: the network is no module, such as the function that builds it.
        CountError: the forward pass failed, or the network has lazy parameters that no input has shaped yet.
    """
    counter, _ = run_watched(net, inputs, device, _Counter)
    held = Counter[str]()
    for name, parameter in net.named_parameters():
        held[name.rpartition(".")[0]] += parameter.numel()
    return Count(
        params=held.total(),
        operators=tuple(counter.operators),
        free=dict(counter.free),
        unknown=dict(counter.unknown + counter.where.elsewhere),
        maps=counter.where.maps,
        params_by_module=dict(held),
        computed=dict(counter.computed),
    )


def run_watched(
    net: nn.Module, inputs: Sequence[Tensor | Sequence[int]], device: str,
    watch: Callable[[Where, Sequence[Tensor]], AWatcher],
) -> tuple[AWatcher, Any]:  # fmt: skip
    """Runs one forward pass in evaluation mode, watched; the network is left as it was, its prints go to stderr.

    Args:
        net: as in `count`, like `inputs` and `device`.
        inputs: tensors, or shapes.
        device: "meta", or where to compute.
        watch: makes the watcher from what knows the running module, and the inputs as tensors.

    Returns:
        The watcher, and what the network returned.

    Raises:
        TypeError: the network is no module.
        CountError: the forward pass failed, or the network has lazy parameters that no input has shaped yet.
    """
    _check_module(net)
    if any(isinstance(parameter, UninitializedParameter) for parameter in net.parameters()):
        raise CountError(
            f"{type(net).__name__} has lazy parameters without a shape; call it once on a real input first"
        )
    tensors = [_tensor(value, device) for value in inputs]
    run = on_meta(net) if device == "meta" else net
    quiet = redirect_stdout(sys.stderr)
    with attributes_kept(net), evaluation_mode(net), inside_modules(net) as where, torch.inference_mode(), quiet:
        watcher = watch(where, tensors)
        try:
            with torch.device(device), watcher:
                return watcher, run(*tensors)
        except (Exception, SystemExit) as error:  # the network is anybody's: it may fail in any way, or leave
            place = f" in {where.path}" if where.path else ""
            remedy = _remedy(error, net, tensors, device)
            raise CountError(f"{type(net).__name__} failed{place}: {in_words(error)}; {remedy}") from error


def _check_module(net: object) -> None:
    if not isinstance(net, nn.Module):
        name = getattr(net, "__name__", type(net).__name__)
        remedy = f"; call the factory: {name}()" if callable(net) else ""
        raise TypeError(f"give a module, a torch.nn.Module, not {name!r} of type {type(net).__name__}{remedy}")


def _remedy(error: BaseException, net: nn.Module, tensors: Sequence[Tensor], device: str) -> str:
    """What to do about a network that failed."""
    if isinstance(error, SystemExit):
        return "a forward pass must return, never leave"
    if isinstance(error, TypeError) and not _takes(net, tensors):
        return "a network must take one image tensor and nothing else; a factory can wrap it in a module that does"
    own, given = (
        {str(tensor.dtype) for tensor in some if tensor.is_floating_point()} for some in (net.parameters(), tensors)
    )
    if "type" in str(error) and own and given and not own & given:
        return (
            f"its weights are {' and '.join(sorted(own))} and its input {min(given)}: build it with .to({min(given)})"
        )
    remedy = "check the input's size"
    if device == "meta":
        remedy += ", or take real tensors (device cpu) if the forward pass reads values, makes its own or is scripted"
    return remedy


def _takes(net: nn.Module, tensors: Sequence[Tensor]) -> bool:
    """Whether the network can be called with so many arguments at all."""
    try:
        inspect.signature(net.forward).bind(*tensors)
    except TypeError:
        return False
    except ValueError:  # no signature
        pass
    return True


class _Counter(Watcher):  # type: ignore[no-untyped-call]  # torch leaves its __init_subclass__ bare
    def __init__(self, where: Where, inputs: Sequence[Tensor]) -> None:
        super().__init__(where, inputs)
        self.operators: list[Operator] = []
        self.free: Counter[str] = Counter()
        self.unknown: Counter[tuple[str, str]] = Counter()
        self.computed: Counter[str] = Counter()
        self.margins: MutableMapping[Tensor, Margins | None] = WeakIdKeyDictionary()
        self.seen_modules: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = func._schema.name
        if name not in RULES and not is_free(func):
            with self:  # a composite operator: what it is made of comes by here again
                out = func.decompose(*args, **kwargs)
            if out is not NotImplemented:
                return out
        shape = shape_on_meta(func, args)
        out = func(*args, **kwargs) if shape is None else torch.empty(shape, dtype=args[0].dtype, device="meta")
        if name not in RULES and _computes(func):
            self.computed[name] += 1
        if name in RULES:
            margins = self.margins.get(args[0]) if args and isinstance(args[0], Tensor) else None
            self._add(name, RULES[name](args, kwargs, out, margins), out)
        elif is_free(func):
            self.free[name] += 1
            if name == "aten::constant_pad_nd" and (args[2] if len(args) > 2 else 0) == 0:
                self.margins[out] = _margins(args[1], out.dim() - 2, self.margins.get(args[0]))
            elif func._schema.is_mutable and isinstance(args[0], Tensor):
                self._written(args[0])
        else:
            self.unknown[name, self.where.path] += 1
        return out

    def _written(self, tensor: Tensor) -> None:
        """Whatever was written need not be zero any more, nor in the maps of which the tensor is a part.

        Views are known by their memory, as they have no `_base` in inference mode.
        """
        for padded in list(self.margins):
            if torch._C._is_alias_of(padded, tensor):  # type: ignore[attr-defined]  # torch does not declare it
                del self.margins[padded]

    def _add(self, name: str, cost: Cost, out: Any) -> None:
        result = out[0] if isinstance(out, tuple | list) else out
        module, params = self.where.own_params()
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
                params=0 if module in self.seen_modules else params,
                activations=result.numel(),
                weight_bytes=sum(map(_bytes, cost.weights)),
                activation_bytes=sum(map(_bytes, cost.maps)) + _bytes(result),
            )
        )
        self.seen_modules.add(module)


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


def _tensor(value: Tensor | Sequence[int], device: str) -> Tensor:
    if isinstance(value, Tensor):
        return value.to(device)
    return torch.empty(tuple(value), device=device) if device == "meta" else torch.rand(tuple(value), device=device)
