"""Networks that anybody's function builds: `package.module:factory`, as its file is now. No torch before that."""

import difflib
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from dpn.program.error_words import in_words

if TYPE_CHECKING:
    from torch import nn

_SOURCES: MutableMapping[ModuleType, bytes | None] = WeakKeyDictionary()
"""What the file of a module said when a network was first named of it."""

_LEFT: dict[Callable[[], Any], tuple[Any, Any]] = {}
"""What was set for all of torch before and after the last network was built, by what reads it."""


class NetworkError(ValueError):
    """A name stands for no network, or for none that can be built; the message says what to write instead."""


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
            with redirect_stdout(sys.stderr), own_settings():
                net = factory()
        except (Exception, SystemExit) as error:  # anybody's, too
            raise NetworkError(f"{name} fails when it is called: {in_words(error)}") from error
        if not isinstance(net, nn.Module):
            raise NetworkError(f"{name} must return a torch.nn.Module, not a {type(net).__name__}")
        return net

    return build


@contextmanager
def own_settings() -> Iterator[None]:
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
