"""Evaluation mode, also of networks that refuse to change their mode, and back."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from torch import nn

AModule = TypeVar("AModule", bound=nn.Module)


@contextmanager
def evaluation_mode(net: nn.Module) -> Iterator[None]:
    """The network in evaluation mode; afterwards each of its modules is in its own mode again, frozen ones too."""
    training = [(module, module.training) for module in net.modules() if hasattr(module, "training")]
    evaluating(net)
    try:
        yield
    finally:
        for module, was in training:
            module.training = was


def evaluating(net: AModule) -> AModule:
    """The network in evaluation mode; what `torch.export` wrote refuses to change its mode, which is fixed already."""
    try:
        return net.eval()
    except NotImplementedError:
        for module in net.modules():
            module.training = False
        return net
