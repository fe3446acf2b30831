"""A network as it is watched: without weights, in evaluation mode, in its parts, and which module runs."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

ELSEWHERE = "whatever another thread runs"
"""What stands for the operators of a module that runs in a thread of its own."""


class Where:
    """The innermost module that is running.

    Attributes:
        path: its dotted path; "" for the network itself.
        maps: output shape of each module that has returned one tensor.
        elsewhere: `ELSEWHERE` with the paths of the modules that ran in other threads, and how often.
        returned: told the path and the output of each module that returns.
    """

    def __init__(self, names: Mapping[int, str]) -> None:
        self.names = names
        self.stack: list[nn.Module] = []
        self.path = ""
        self.maps: dict[str, tuple[int, ...]] = {}
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

    def own_params(self) -> tuple[int, int]:
        """Identity and number of own parameters of the innermost module."""
        if not self.stack:
            return 0, 0
        module = self.stack[-1]
        return id(module), sum(parameter.numel() for parameter in module.parameters(recurse=False))


def on_meta(net: nn.Module) -> Callable[..., Any]:
    """The network as a function on the meta device, without touching or copying its weights."""
    state = {**dict(net.named_parameters()), **dict(net.named_buffers())}
    if all(tensor.is_meta for tensor in state.values()):
        return net
    shapes = {name: torch.empty_like(tensor, device="meta") for name, tensor in state.items()}
    return lambda *inputs: torch.func.functional_call(net, shapes, inputs)


@contextmanager
def evaluation_mode(net: nn.Module) -> Iterator[None]:
    """Evaluation mode, and back to what every module was; attention in its parts."""
    training = [(module, module.training) for module in net.modules()]
    net.eval()
    try:
        with attention_in_parts():
            yield
    finally:
        for module, was in training:
            module.training = was


@contextmanager
def attributes_kept(net: nn.Module) -> Iterator[None]:
    """What a forward pass keeps for the next one, such as a grid, would be on the counting device: it is taken back."""
    modules = [module for module in net.modules() if not isinstance(module, torch.jit.ScriptModule)]
    kept = [(held, dict(held)) for module in modules for held in (vars(module), module._buffers)]
    try:
        yield
    finally:
        for held, before in kept:
            held.clear()
            held.update(before)


@contextmanager
def attention_in_parts() -> Iterator[None]:
    """Inside, `nn.MultiheadAttention` does without the one fused call that hides its parts from every counter."""
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)


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
