"""What the name of a network stands for: a network of the zoo, or anybody's as `package.module:factory`.

Imports no torch until a network is built.
"""

import difflib
import hashlib
import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from dpn import zoo
from dpn.digests import digest_of, file_digest
from dpn.program.error_words import in_words
from dpn.released import released
from dpn.spec import ModelSpec, SimpleBaselineSpec

if TYPE_CHECKING:
    from torch import nn

_SOURCES: MutableMapping[ModuleType, bytes | None] = WeakKeyDictionary()
"""What the file of a module said when a network was first named of it."""

_LEFT: dict[Callable[[], Any], tuple[Any, Any]] = {}
"""What was set for all of torch before and after the last network was built, by what reads it."""


class NetworkError(ValueError):
    """A name stands for no network, or for none that can be built; the message says what to write instead."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Network:
    """A network with what identifies it.

    Attributes:
        name: in the zoo, or as given.
        net: the network itself, with its weights.
        input_hw: height and width of its own input in pixels; None for anybody's factory.
        spec: its definition, for a network of the zoo.
        weights_sha256: of the file of weights, its first 12 hexadecimal digits; None without such a file.
        note: what its user should know of the weights; empty where the user chose them.
        definition: see `definition_of`; as it was built, since a network may write attributes when it runs.
    """

    name: str
    net: "nn.Module"
    input_hw: tuple[int, int] | None = None
    spec: ModelSpec | None = None
    weights_sha256: str | None = None
    note: str = ""
    definition: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "definition", definition_of(self.net, self.spec))

    def note_under(self, protocol: str) -> str:
        """What its user should know of the weights, where they are used by this publication's conventions."""
        if isinstance(self.spec, SimpleBaselineSpec) and self.weights_sha256 and protocol != "sbl":
            bgr = "weights that SimpleBaseline's authors released take BGR images: for these give --protocol sbl"
            return f"{self.note}; {bgr}" if self.note else bgr
        return self.note

    def state_digest(self) -> str:
        """Twelve hexadecimal digits of all weights as they are now, wherever they came from, and their names.

        Also of what else a state holds, such as types and scales of a quantized network, by its words.
        """
        from torch import Tensor

        digest = hashlib.sha256(self.definition.encode())
        for name, value in _leaves(self.net.state_dict()):
            if isinstance(value, Tensor):
                digest.update(f"{name}{tuple(value.shape)}{value.dtype}".encode())
                plain = value.dequantize() if value.is_quantized else value
                digest.update(plain.detach().float().cpu().contiguous().numpy().tobytes())
            else:
                digest.update(f"{name}{re.sub(' at 0x[0-9a-f]+', '', repr(value))}".encode())
        return digest.hexdigest()[:12]


def network(name: str, weights: Path | None = None) -> Network:
    """The network of that name with the weights of that file, on the CPU.

    Args:
        name: a name of the zoo, or `package.module:factory`.
        weights: a file that `dpn.checkpoints.load` takes, or `RELEASED`; a factory may have loaded its own. Without
            any, a network of the zoo has those that come with this project.

    Raises:
        KeyError: no such network in the zoo, with the nearest; or none of its weights come with this project.
        NetworkError: the factory cannot be imported or called, or builds on the meta device, or a network of the zoo is
            left without weights.
        CheckpointError: the file cannot be used, or is not this network's.
    """
    spec = None if ":" in name else zoo.lookup(name)
    name = spec.name if spec else name
    own = released(name, weights)
    weights = own.path if own else weights
    if spec and weights is None:
        raise NetworkError(f"{name} knows nothing without weights; give a file with --weights FILE")
    if weights is not None and not weights.is_file():
        raise NetworkError(f"{weights} does not exist or is not a file; give a file of weights")
    net, _ = built(name)
    if weights is not None:
        from dpn.checkpoints import load

        load(net, weights)
    if any(tensor.is_meta for tensor in chain(net.parameters(), net.buffers())):
        raise NetworkError(f"{name} is on the meta device, without numbers; build it on the CPU")
    return Network(
        name=name,
        net=net,
        input_hw=spec.input_hw if spec else None,
        spec=spec,
        weights_sha256=None if weights is None else file_digest(weights),
        note=own.words if own else "",
    )


def built(name: str) -> "tuple[nn.Module, ModelSpec | None]":
    """The network of that name with the weights that torch's seed gives it, and its definition if it is of the zoo.

    Raises:
        KeyError: no such network in the zoo, with the nearest.
        NetworkError: the factory cannot be imported or called.
    """
    if ":" in name:
        return imported(name)(), None
    from dpn.build import build

    spec = zoo.lookup(name)
    with _own_settings():
        return build(spec), spec


def definition_of(net: "nn.Module", spec: ModelSpec | None) -> str:
    """What stands for a network's definition: its spec's digest, or that of anybody's layers and their sizes.

    It changes with a kernel, a stride, a dilation or a padding, with no weight, and not with how torch words a layer.
    It knows nothing of what a network of a factory does between its layers, nor of what they have beside numbers and
    words.

    Args:
        net: as it was built: layers that wait for their first input to know their size are others behind it.
        spec: its definition, for a network of the zoo.
    """
    if spec:
        return spec.digest()
    from torch.nn.parameter import is_lazy

    layers = [
        (name, f"{type(layer).__module__}.{type(layer).__qualname__}", _plain_attributes(layer))
        for name, layer in net.named_modules()
    ]
    sizes = {name: [] if is_lazy(weight) else list(weight.shape) for name, weight in net.named_parameters()}
    return "layers-" + digest_of({"layers": layers, "sizes": sizes})


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """What a state holds, by dotted name, also inside of mappings and lists."""
    if isinstance(value, Mapping | list | tuple):
        for key, part in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from _leaves(part, f"{name}.{key}" if name else str(key))
    else:
        yield name, value


def _plain_attributes(layer: "nn.Module") -> dict[str, Any]:
    """What a layer is of itself, such as its stride: its own numbers and words, and tuples of them."""
    own = {name: value for name, value in vars(layer).items() if not name.startswith("_") and _is_plain(value)}
    own.pop("training", None)
    return own


def _is_plain(value: object) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, int | float | str)


def parse_hw(text: str) -> tuple[int, int]:
    """Height and width from "256x192".

    Example:
        >>> parse_hw("256x192")
        (256, 192)

    Raises:
        NetworkError: the text has another form, or OpenCV could not crop to that size.
    """
    match = re.fullmatch(r"([1-9]\d{0,3})x([1-9]\d{0,3})", text, re.ASCII)
    if match is None:
        raise NetworkError(
            "an input size is HEIGHTxWIDTH in pixels, such as 256x192, of 9999 at most and without channels, of which "
            f"every image has 3, not {text!r}"
        )
    return int(match[1]), int(match[2])


def imported(name: str) -> "Callable[[], nn.Module]":
    """What builds the network `package.module:factory`, on torch's current default device.

    A module whose file has changed since a network was last named of it is imported anew, which a notebook relies on;
    other modules that it imports are not. What module and factory print goes to standard error: standard output is for
    answers.

    Raises:
        NetworkError: the module cannot be imported or has no such function; what is returned raises it too, where the
            function cannot be called without arguments or returns no network.
    """
    module_name, _, attribute = name.partition(":")
    parts = module_name.split(".")
    if not attribute or parts[-1] == "py" or not all(part.isidentifier() for part in parts):
        raise NetworkError(f"a network of your own is package.module:factory, not {name!r}: write mine:net for net in "
                           "mine.py, and run from the folder that has it")  # fmt: skip
    try:
        with redirect_stdout(sys.stderr):
            module = _module(module_name)
    except ImportError as error:
        raise NetworkError(
            f"cannot import {module_name!r} for {name!r}: {error}; run from the folder that has it, or install it"
        ) from error
    except (Exception, SystemExit) as error:  # the module is anybody's: it may fail in any way, or leave
        raise NetworkError(f"{module_name!r} fails when it is imported for {name!r}: {in_words(error)}") from error
    factory = getattr(module, attribute, None)
    if factory is None:
        near = difflib.get_close_matches(attribute, dir(module), n=1)
        raise NetworkError(f"{module_name!r} has no {attribute!r}" + (f"; the nearest is {near[0]}" if near else ""))
    if not callable(factory):
        raise NetworkError(f"{name} is of type {type(factory).__name__}; name a function that builds a network")

    def build() -> "nn.Module":
        from torch import nn

        if isinstance(factory, nn.Module):
            raise NetworkError(f"{name} is a network already; name a function that builds it")
        try:
            inspect.signature(factory).bind()
        except TypeError as error:
            raise NetworkError(f"{name} must build a network when called without arguments: {error}") from error
        except ValueError:  # some built-in functions have no signature
            pass
        try:
            with redirect_stdout(sys.stderr), _own_settings():
                net = factory()
        except (Exception, SystemExit) as error:  # anybody's, too
            raise NetworkError(f"{name} fails when it is called: {in_words(error)}") from error
        if not isinstance(net, nn.Module):
            raise NetworkError(f"{name} must return a torch.nn.Module, not a {type(net).__name__}")
        return net

    return build


@contextmanager
def _own_settings() -> Iterator[None]:
    """Around what builds a network: torch's default type and gradients are as they were before the last factory.

    They are not taken back as soon as a network is built, because it may run only under what its factory has set, and
    not where somebody else has set them since.
    """
    import torch

    settings: tuple[tuple[Callable[[], Any], Callable[[Any], Any]], ...] = (
        (torch.get_default_dtype, torch.set_default_dtype),
        (torch.is_grad_enabled, torch.set_grad_enabled),
    )
    for read, write in settings:
        before, after = _LEFT.pop(read, (None, None))
        if read() == after:
            write(before)
    found = {read: read() for read, _ in settings}
    try:
        yield
    finally:
        _LEFT.update({read: (before, read()) for read, before in found.items()})


def _module(name: str) -> ModuleType:
    """The module as its file is now, with its submodules anew; where that fails all stay as they were imported."""
    old, gone = sys.modules.get(name), dict[str, ModuleType]()
    said = None if old is None else _source(old)
    if old is not None and _SOURCES.setdefault(old, said) != said:
        if old.__spec__ is not None and old.__spec__.cached:
            with suppress(OSError):  # Python would take what it compiled from another text of this size and second
                Path(old.__spec__.cached).unlink()
        parts = [part for part in sys.modules if part == name or part.startswith(f"{name}.")]
        gone = {part: sys.modules.pop(part) for part in parts}
    try:
        module = importlib.import_module(name)
    except BaseException:
        sys.modules.update(gone)
        raise
    _SOURCES.setdefault(module, _source(module))
    return module


def _source(module: ModuleType) -> bytes | None:
    """What the file of a module says; None where it has none in Python, as the notebook itself."""
    spec = module.__spec__
    if spec is None or spec.name != module.__name__ or not (spec.origin or "").endswith(".py"):
        return None
    try:
        return Path(str(spec.origin)).read_bytes()
    except OSError:
        return None
