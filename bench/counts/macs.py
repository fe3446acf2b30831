"""Counts a network: nominal and live multiply-adds, parameters, maps and bytes, exactly, operator by operator.

The counter sits at torch's dispatch level, so that it sees functional calls, shared modules and calls of `.forward`
alike, and runs on the meta device, so that nothing is computed and no weight takes memory. Every operator that it
sees is counted, declared free (`bench.counts.operators`), or unknown; a count with an unknown operator is incomplete.
"""

import inspect
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from bench.counts.conventions import AT_OUTPUT, KINDS
from bench.counts.operator_counter import Operator, OperatorCounter
from bench.counts.watching import Watcher, Where, attributes_kept, evaluation_in_parts, inside_modules, on_meta
from dpn.program.error_words import in_words


class CountError(RuntimeError):
    """A network could not be run while it was watched; the message says why and what to do."""


AWatcher = TypeVar("AWatcher", bound=Watcher)

PACKED = "packed weights"
"""What stands for the weights that a quantised module keeps in an object of torch's, where they are no parameters."""


@dataclass(frozen=True, kw_only=True)
class Count:
    """The count of a network for one input.

    Attributes:
        params: parameters of the whole network, shared ones once.
        operators: every counted call, in execution order.
        free: how often each free operator ran.
        unknown: how often each unknown operator ran, with the module it ran in; empty when the count is complete. Of a
            module that another thread runs nothing is seen but that: it is `ELSEWHERE`. Calls of functions in another
            thread, outside of every module, are not noticed. Weights that `params` lacks are `PACKED`.
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
        """Multiply-adds by kind, as `bench.counts.conventions` takes them."""
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
    counter, _ = run_watched(net, inputs, device, OperatorCounter)
    held = counter.where.params
    return Count(
        params=held.total(),
        operators=counter.with_params(),
        free=dict(counter.free),
        unknown=dict(counter.unknown + counter.where.elsewhere + _packed(net)),
        maps=counter.where.maps,
        params_by_module=dict(held),
        computed=dict(counter.computed),
    )


def _packed(net: nn.Module) -> Counter[tuple[str, str]]:
    """The modules that hold packed weights; a scripted module is an object of torch's itself."""
    modules = [(path, one) for path, one in net.named_modules() if not isinstance(one, torch.jit.ScriptModule)]
    return Counter(
        (PACKED, path)
        for path, one in modules
        if any(isinstance(held, torch.ScriptObject) for held in vars(one).values())
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
    with attributes_kept(net), evaluation_in_parts(net), inside_modules(net) as where, torch.inference_mode(), quiet:
        watcher = watch(where, tensors)
        try:
            with torch.device(device), watcher:
                returned = run(*tensors)
            where.finish(net)
        except (Exception, SystemExit) as error:  # the network is anybody's: it may fail in any way, or leave
            place = f" in {where.path}" if where.path else ""
            remedy = _remedy(error, net, tensors, device)
            raise CountError(f"{type(net).__name__} failed{place}: {in_words(error)}; {remedy}") from error
    return watcher, returned


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
    if built := type_remedy(error, net, tensors):
        return built
    remedy = "check the input's size"
    if device == "meta":
        remedy += ", or take real tensors (device cpu) if the forward pass reads values, makes its own or is scripted"
    return remedy


def type_remedy(error: BaseException, net: nn.Module, tensors: Sequence[Tensor]) -> str | None:
    """What to do about a network that failed as its weights are of another type than its input; None of any other."""
    own, given = (
        {str(tensor.dtype) for tensor in some if tensor.is_floating_point()} for some in (net.parameters(), tensors)
    )
    if "type" not in str(error) or not own or not given or own & given:
        return None
    return f"its weights are {' and '.join(sorted(own))} and its input {min(given)}: build it with .to({min(given)})"


def _takes(net: nn.Module, tensors: Sequence[Tensor]) -> bool:
    """Whether the network can be called with so many arguments at all."""
    try:
        inspect.signature(net.forward).bind(*tensors)
    except TypeError:
        return False
    except ValueError:  # no signature
        pass
    return True


def _tensor(value: Tensor | Sequence[int], device: str) -> Tensor:
    if isinstance(value, Tensor):
        return value.to(device)
    return torch.empty(tuple(value), device=device) if device == "meta" else torch.rand(tuple(value), device=device)
