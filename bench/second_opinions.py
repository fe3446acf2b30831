"""The same network counted by fvcore, ptflops and torch's FlopCounterMode, and why each differs from our count.

No difference is a remainder: what a tool counts beyond multiply-adds comes from the tool's own breakdown or from the
rule that the reason states, and what it misses comes from our rules, applied to the calls that it has no rule for.
"""

import copy
import importlib
import io
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from importlib import metadata
from math import prod
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from bench.macs import Count, CountError, count
from bench.operators import RULES


@dataclass(frozen=True, kw_only=True)
class Opinion:
    """What another tool counts for one image.

    Attributes:
        counter: a key of `COUNTERS`.
        version: of the tool; empty when it is not installed.
        total: its count, in MACs as it defines them; FlopCounterMode, which counts FLOPs, halved. None on failure.
        own_macs: our nominal multiply-adds; None when our own count failed.
        extras: reason -> MACs that the tool counts and we do not; negative for what it misses.
        failure: why there is no total, with the remedy.
    """

    counter: str
    version: str
    total: int | None
    own_macs: int | None
    extras: Mapping[str, int] = field(default_factory=dict)
    failure: str = ""

    @property
    def unexplained(self) -> int | None:
        """What the extras leave of the difference from our count: 0 when the two agree, None without a total."""
        if self.total is None or self.own_macs is None:
            return None
        return self.total - self.own_macs - sum(self.extras.values())


class _NoCountError(RuntimeError):
    """A tool gave no count; the message says why."""


Answer = tuple[int, Mapping[str, int]]
"""A tool's total and the extras in it."""


def second_opinions(net: nn.Module, input_shape: Sequence[int], *, device: str = "meta") -> tuple[Opinion, ...]:
    """Asks every counter of `COUNTERS` about one forward pass; never fails, and the network is left as it was.

    Args:
        net: any module, on any device; each counter gets a copy in evaluation mode, all of whose tensors are zeros.
        input_shape: of the one input, with a batch of 1, e.g. (1, 3, 256, 192).
        device: "meta", or "cpu" for a network whose forward needs the values of tensors. fvcore always computes, since
            torch.jit.trace, on which it stands, can trace neither meta nor fake tensors.

    Example:
        >>> opinions = second_opinions(nn.Conv2d(3, 8, 3, padding=1), (1, 3, 10, 10))
        >>> {opinion.counter: dict(opinion.extras) for opinion in opinions if opinion.counter.startswith("ptflops")}
        {'ptflops-pytorch': {'biases': 800}, 'ptflops-aten': {'biases': 800}}
    """
    shape = tuple(input_shape)
    try:
        if shape[:1] != (1,):
            raise CountError(f"the counters are asked about one image, not an input of {shape}; use a batch of 1")
        own = count(net, shape, device=device)
    except Exception as error:  # without our count there is nothing to compare with, whatever the reason
        failure = str(error) if isinstance(error, CountError) else f"{type(error).__name__}: {error}"
        return tuple(
            Opinion(counter=name, version=_version(package), total=None, own_macs=None, failure=failure)
            for name, (package, _) in COUNTERS.items()
        )
    return tuple(_opinion(name, net, shape, own, device) for name in COUNTERS)


def agreeing(opinions: Iterable[Opinion]) -> int:
    """How many counters agree with our count once their extras are taken away: the value of the record."""
    return sum(opinion.unexplained == 0 for opinion in opinions)


def to_record_detail(opinions: Iterable[Opinion]) -> dict[str, Any]:
    """The `detail` of a record of the metric "second_opinions", whose value is `agreeing(opinions)`."""
    fields = ("counter", "version", "total", "extras", "unexplained", "failure")
    return {"opinions": [{name: getattr(opinion, name) for name in fields} for opinion in opinions]}


def _opinion(name: str, net: nn.Module, shape: tuple[int, ...], own: Count, device: str) -> Opinion:
    package, counter = COUNTERS[name]
    total, extras, failure = None, {}, ""
    said = io.StringIO()  # ptflops prints its warnings, and its failures with their tracebacks
    try:
        with _known_warnings():
            importlib.import_module(package)  # not below, as ptflops keeps the stdout that it finds when imported
            with redirect_stdout(said), redirect_stderr(said), torch.no_grad():
                total, found = counter(net, shape, own, device)
        extras = {reason: macs for reason, macs in found.items() if macs}
    except Exception as error:  # whatever a tool trips over must not cost the other tools' answers
        if sys.modules.get(package) is None:
            failure = f"{package} cannot be imported ({error}); run: pip install {package}"
        else:
            failure = " ".join(f"{type(error).__name__}: {error} {said.getvalue()[:300]}".split())
    return Opinion(
        counter=name, version=_version(package), total=total, own_macs=own.macs, extras=extras, failure=failure
    )


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


@contextmanager
def _known_warnings() -> Iterator[None]:
    """Silences what the tools are known to cause and nobody here can change."""
    with warnings.catch_warnings():
        # fvcore scripts its loss functions with torch.jit on import, and traces with it.
        warnings.filterwarnings("ignore", message=r".*torch\.jit\.", category=DeprecationWarning)
        yield


def _copy(net: nn.Module, device: str) -> nn.Module:
    """A copy in evaluation mode with zeros for all weights, which are never denormal; the originals are not read."""
    blank: dict[int, Any] = {}
    for tensor in (*net.parameters(), *net.buffers()):
        zeros = torch.zeros(tensor.shape, dtype=tensor.dtype, device=device)
        as_parameter = isinstance(tensor, nn.Parameter)
        blank[id(tensor)] = nn.Parameter(zeros, requires_grad=False) if as_parameter else zeros
    return copy.deepcopy(net, blank).eval()


_MISSED = {
    "convolution": "convolutions missed",
    "transposed_convolution": "transposed convolutions missed",
    "linear": "linear layers missed",
    "matmul": "matrix products missed",
    "attention": "attention missed",
}
"""Reasons, by kind, why a counter is below ours."""


# --- fvcore: by operator, as it counts ---

_PADDING_BY_NAME = "convolutions with padding by name missed"
_FVCORE_CORE = frozenset({"conv", "addmm", "bmm", "einsum", "matmul", "mm", "linear"})
_UPSAMPLING = {"upsample_bilinear2d": "bilinear upsampling", "upsample_nearest2d": "nearest upsampling"}


def _ask_fvcore(net: nn.Module, shape: tuple[int, ...], _: Count, __: str) -> Answer:
    from fvcore.nn import FlopCountAnalysis

    analysis = FlopCountAnalysis(_copy(net, "cpu"), torch.zeros(shape))
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    counted = analysis.by_operator()
    total = sum(counted.values())
    extras = {_UPSAMPLING.get(op, op.replace("_", " ")): int(n) for op, n in counted.items() if op not in _FVCORE_CORE}
    gaps = {op: rule for op, rule in _FVCORE_GAPS.items() if op in analysis.unsupported_ops()}
    if gaps:  # a second trace, so that the total above is the tool's own
        with_gaps = analysis.set_op_handle(**gaps).by_operator()
        extras |= {reason: -with_gaps[reason] for reason in (_PADDING_BY_NAME, _MISSED["attention"])}
    return int(total), extras


def _shape(traced: Any) -> list[int]:
    return list(traced.type().sizes())


def _convolution_by_name(inputs: Sequence[Any], outputs: Sequence[Any]) -> Counter[str]:
    macs = _shape(inputs[0])[0] * prod(_shape(inputs[1])) * prod(_shape(outputs[0])[2:])
    return Counter({_PADDING_BY_NAME: macs})


def _attention(inputs: Sequence[Any], _: Sequence[Any]) -> Counter[str]:
    query, key, value = map(_shape, inputs[:3])
    return Counter({_MISSED["attention"]: prod(query[:-1]) * key[-2] * (query[-1] + value[-1])})


_FVCORE_GAPS: dict[str, Callable[[Sequence[Any], Sequence[Any]], Counter[str]]] = {
    "aten::_convolution_mode": _convolution_by_name,
    "aten::scaled_dot_product_attention": _attention,
}
"""What fvcore is known to have no rule for."""


# --- FlopCounterMode and ptflops' aten back end: by the calls that reach them ---


class _Below(TorchDispatchMode):
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
            self.missed[_MISSED[cost.kind]] -= cost.macs
        elif name == "aten::addmm" or (name == "aten::convolution" and args[2] is not None):
            self.biases += out.numel()
        return out


def _ask_flop_counter_mode(net: nn.Module, shape: tuple[int, ...], _: Count, device: str) -> Answer:
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    model, image = _copy(net, device), torch.zeros(shape, device=device)
    with _Below(counter.flop_registry) as below, counter:
        model(image)
    return counter.get_total_flops() // 2, below.missed


def _ask_ptflops_aten(net: nn.Module, shape: tuple[int, ...], _: Count, device: str) -> Answer:
    from ptflops.aten_ops import ATEN_OPS_MAPPING

    with _Below(ATEN_OPS_MAPPING) as below:
        total = _ptflops(_copy(net, device), shape, device, backend="aten")
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


# --- ptflops' pytorch back end: by module type and by function, as it counts ---

_MODULES = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Linear)
"""Modules whose multiply-adds it counts; by exact type, as it looks them up."""

_PRODUCTS = frozenset({"matmul", "mm", "bmm", "addmm", "baddbmm"})
"""Functions whose multiply-adds it counts, unless they are written `@`."""


def _ask_ptflops_pytorch(net: nn.Module, shape: tuple[int, ...], own: Count, device: str) -> Answer:
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

    below = _Below(ATEN_OPS_MAPPING)  # for `computing` only
    hooks = {kind: recorded_module(hook) for kind, hook in pytorch_ops.MODULES_MAPPING.items()}
    with (
        _replaced(pytorch_ops.FUNCTIONAL_MAPPING, recorded_function),
        _replaced(pytorch_ops.TENSOR_OPS_MAPPING, recorded_function),
        below,
    ):
        total = _ptflops(_copy(net, device), shape, device, backend="pytorch", custom_modules_hooks=hooks)
    extras.update(_functional_missed(net, own, products_seen=bool(products)))
    return total, extras


def _functional_missed(net: nn.Module, own: Count, *, products_seen: bool) -> dict[str, int]:
    """Our multiply-adds outside of the modules that it knows; matrix products only when it saw none at all."""
    modules = dict(net.named_modules())
    missed: Counter[str] = Counter()
    for operator in own.operators:
        known = type(modules[operator.module]) in _MODULES
        if not known and not (operator.kind == "matmul" and products_seen):
            missed[f"functional {_MISSED[operator.kind]}"] -= operator.macs
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


COUNTERS: dict[str, tuple[str, Callable[[nn.Module, tuple[int, ...], Count, str], Answer]]] = {
    "fvcore": ("fvcore", _ask_fvcore),
    "ptflops-pytorch": ("ptflops", _ask_ptflops_pytorch),
    "ptflops-aten": ("ptflops", _ask_ptflops_aten),
    "flop-counter-mode": ("torch", _ask_flop_counter_mode),
}
"""Every counter: its distribution, for version and remedy, and how it is asked."""
