"""A network as it is watched: without weights, in evaluation mode, in its parts, and which module runs."""

import sys
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from dpn.evaluation_mode import evaluation_mode
from dpn.torch_dispatch import Dispatch, unfused

ELSEWHERE = "whatever another thread runs"
"""What stands for the operators of a module that runs in a thread of its own."""


class Where:
    """The innermost module that is running.

    Attributes:
        path: its dotted path; "" for the network itself.
        maps: output shape of each module that has returned one tensor.
        params: after the pass, how many parameters each module itself holds, by dotted path, shared ones at their
            first place, and those that the pass registered; without modules that hold none.
        elsewhere: `ELSEWHERE` with the paths of the modules that ran in other threads, and how often.
        returned: told the path and the output of each module that returns.
    """

    def __init__(self, names: Mapping[int, str]) -> None:
        self.names = names
        self.stack: list[nn.Module] = []
        self.path = ""
        self.maps: dict[str, tuple[int, ...]] = {}
        self.params: Counter[str] = Counter()
        self.elsewhere: Counter[tuple[str, str]] = Counter()
        self.thread = threading.get_ident()
        self.returned: Callable[[str, Any], None] = lambda _path, _output: None

    def enter(self, module: nn.Module, _inputs: Any) -> None:
        """A forward pre-hook."""
        if id(module) in self.names and threading.get_ident() != self.thread:
            self.elsewhere[ELSEWHERE, self.names[id(module)]] += 1
        elif id(module) in self.names:
            self.stack.append(module)
            self.path = self.names[id(module)]

    def leave(self, module: nn.Module, _inputs: Any, output: Any) -> None:
        """A forward hook."""
        if module in self.stack and threading.get_ident() == self.thread:
            while self.stack.pop() is not module:  # those above it left by an exception that the network caught
                pass
            self.returned(self.names[id(module)], output)
            if isinstance(output, Tensor):
                self.maps.setdefault(self.names[id(module)], tuple(output.shape))
            self.path = self.names[id(self.stack[-1])] if self.stack else ""

    def finish(self, net: nn.Module) -> None:
        """Takes the parameters of the network, before what the pass registered is taken back."""
        for name, parameter in net.named_parameters():
            self.params[name.rpartition(".")[0]] += parameter.numel()


class Watcher(Dispatch):  # type: ignore[no-untyped-call]  # torch leaves its __init_subclass__ bare
    """Sees every operator of a forward pass; `where` knows which module runs it."""

    def __init__(self, where: Where, _inputs: Sequence[Tensor]) -> None:
        super().__init__()
        self.where = where


def on_meta(net: nn.Module) -> Callable[..., Any]:
    """The network as a function on the meta device, without touching or copying its weights."""
    state = {**dict(net.named_parameters()), **dict(net.named_buffers())}
    if all(tensor.is_meta for tensor in state.values()):
        return net
    shapes = {name: torch.empty_like(tensor, device="meta") for name, tensor in state.items()}
    return lambda *inputs: torch.func.functional_call(net, shapes, inputs)


@contextmanager
def evaluation_in_parts(net: nn.Module) -> Iterator[None]:
    """Evaluation mode, and back to what every module was; see `in_parts`."""
    with evaluation_mode(net), in_parts():
        yield


@contextmanager
def attributes_kept(net: nn.Module) -> Iterator[None]:
    """What a forward pass keeps for the next one, such as a grid, would be on the counting device: it is taken back.

    So are the parameters, buffers and modules that it registers.
    """
    modules = [module for module in net.modules() if not isinstance(module, torch.jit.ScriptModule)]
    dicts = [held for one in modules for held in (vars(one), one._parameters, one._buffers, one._modules)]
    kept = [(held, dict(held)) for held in dicts]
    try:
        yield
    finally:
        for held, before in kept:
            held.clear()
            held.update(before)


@contextmanager
def in_parts() -> Iterator[None]:
    """Inside, every operator is called by itself, for every counter to see.

    See `unfused`; and a network that `torch.compile` was applied to, which has imported the compiler, runs as it was
    written; else the compiler would take the counter for a part of it.
    """
    compiler = "torch._dynamo" in sys.modules
    with unfused(), torch.compiler.set_stance("force_eager") if compiler else nullcontext(), warnings.catch_warnings():
        # An outer module that was compiled is told to `Where` by itself, which costs nothing.
        warnings.filterwarnings("ignore", message="Using `torch.compile.module.` when there are global hooks")
        yield


@contextmanager
def inside_modules(net: nn.Module) -> Iterator[Where]:
    """Inside, the answer knows which module of the network is running."""
    where = Where({id(module): name for name, module in net.named_modules()})
    hooks = [register_module_forward_pre_hook(where.enter), register_module_forward_hook(where.leave)]
    try:
        yield where
    finally:
        for hook in hooks:
            hook.remove()
