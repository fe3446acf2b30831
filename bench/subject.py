"""What can be measured: a network of the zoo by name, or anybody's as `package.module:factory`. Imports no torch."""

import hashlib
import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpn import zoo
from dpn.spec import ModelSpec

if TYPE_CHECKING:
    from torch import nn

DEFAULT_INPUT_HW = (256, 192)


class SubjectError(ValueError):
    """A name stands for no network, or for none that can be built; the message says what to write instead."""


@dataclass(frozen=True)
class Subject:
    """A network to measure.

    Attributes:
        name: as given.
        input_hw: height and width of its input in pixels.
        factory: builds it, on torch's current default device.
        spec: its definition, for a network of the zoo.
    """

    name: str
    input_hw: tuple[int, int]
    factory: "Callable[[], nn.Module]"
    spec: ModelSpec | None = None

    def digest(self, net: "nn.Module") -> str:
        """Identifies the network: the spec's digest, or one of the module's structure and shapes."""
        if self.spec is not None:
            return self.spec.digest()
        shapes = [f"{name}{tuple(tensor.shape)}" for name, tensor in net.state_dict().items()]
        return "module-" + hashlib.sha256("\n".join([repr(net), *shapes]).encode()).hexdigest()[:12]


def parse_hw(text: str) -> tuple[int, int]:
    """Height and width from "256x192".

    Raises:
        SubjectError: the text has another form.
    """
    match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text)
    if match is None:
        raise SubjectError(f"an input size is HEIGHTxWIDTH in pixels, such as 256x192, not {text!r}")
    return int(match[1]), int(match[2])


def resolve(name: str, input_hw: tuple[int, int] | None = None) -> Subject:
    """The network of that name, for its own input size or the one given.

    Raises:
        KeyError: no such network in the zoo; names the nearest.
        ValueError: the network cannot take that input size; says which it can.
        SubjectError: `package.module:factory` cannot be imported or called.
    """
    if ":" in name:
        return Subject(name, input_hw or DEFAULT_INPUT_HW, _imported(name))
    spec = zoo.lookup(name)
    hw = input_hw or spec.input_hw
    spec.check_input(*hw)

    def factory() -> "nn.Module":
        from dpn.build import build

        return build(spec)

    return Subject(name, hw, factory, spec)


def _imported(name: str) -> "Callable[[], nn.Module]":
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute:
        raise SubjectError(f"a network of your own is package.module:factory, not {name!r}")
    try:
        factory = getattr(importlib.import_module(module_name), attribute)
    except ImportError as error:
        raise SubjectError(
            f"cannot import {module_name!r} for {name!r}: {error}; run from the folder that has it, or install it"
        ) from error
    except AttributeError as error:
        raise SubjectError(f"{module_name!r} has no {attribute!r}") from error

    def build() -> "nn.Module":
        from torch import nn

        try:
            net = factory()
        except TypeError as error:
            raise SubjectError(f"{name} must build a network when called without arguments: {error}") from error
        if not isinstance(net, nn.Module):
            raise SubjectError(f"{name} must return a torch.nn.Module, not a {type(net).__name__}")
        return net

    return build
