"""The same network counted by fvcore, ptflops and torch's FlopCounterMode, and why each differs from our count.

A difference is explained, or shown as unexplained; no reason is a remainder. What a tool counts beyond multiply-adds
comes from the tool's own breakdown or from the rule that the reason states, and what it misses comes from our rules,
applied to the calls that it has no rule for. All are shown the computation that we count: see `in_parts`.
"""

import importlib
import io
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib import metadata
from typing import Any

import torch
from torch import nn

from bench.counts.macs import Count, CountError, count
from bench.counts.watching import in_parts
from bench.opinions import opinion_fvcore, opinion_ptflops, opinion_torch
from bench.opinions.opinion import Answer, Opinion

__all__ = ["COUNTERS", "Opinion", "agreeing", "second_opinions", "to_record_detail"]

COUNTERS: dict[str, tuple[str, Callable[[nn.Module, tuple[int, ...], Count, str], Answer]]] = {
    "fvcore": ("fvcore", opinion_fvcore.ask),
    "ptflops-pytorch": ("ptflops", opinion_ptflops.ask_pytorch),
    "ptflops-aten": ("ptflops", opinion_ptflops.ask_aten),
    "flop-counter-mode": ("torch", opinion_torch.ask),
}
"""Every counter: its distribution, for version and remedy, and how it is asked."""


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
            with redirect_stdout(said), redirect_stderr(said), torch.no_grad(), in_parts():
                total, found = counter(net, shape, own, device)
        extras = {reason: macs for reason, macs in found.items() if macs}
    except (Exception, SystemExit) as error:  # whatever a tool trips over must not cost the other tools' answers
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
