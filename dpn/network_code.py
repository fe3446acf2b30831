"""What a network computes beside its layers and weights, known by the code that it is made of. Imports no torch."""

import inspect
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from numbers import Number
from pathlib import Path
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from dpn.digests import digest_of, file_digest

if TYPE_CHECKING:
    from torch import nn

_PYTHONS = Path(sysconfig.get_path("stdlib"))
_INSTALLED = {"site-packages", "dist-packages"}


def code_digest(name: str, net: "nn.Module") -> str:
    """Twelve hexadecimal digits of what `dpn.network_names.definition_of` knows nothing of.

    These are the files of its classes and its factory, and of all that these import at their top but for installed
    packages; and the lists, dictionaries and functions that its layers have. A comment makes it another one, too. A
    class in no file, such as one of a notebook's cell, is known by the text of its `forward`, and what torch.jit or
    torch.export made of a network by the code that it wrote.

    Args:
        name: of the network: `package.module:factory`, or in the zoo.
        net: the network.
    """
    classes = {type(layer) for layer in net.modules()}
    names = {one.__module__ for one in classes} | {name.partition(":")[0]}
    texts = [*_texts(classes), *map(repr, _scripts(net)), *_graphs(net)]
    return digest_of({"files": _files(names), "texts": sorted(texts), "attributes": list(_attributes(net))})


def _scripts(net: "nn.Module") -> Iterator[tuple[str, list[tuple[int, ...]]]]:
    """The code of every script of torch.jit in a network, and the shapes of the weights that are frozen into it."""
    from torch import Tensor, jit

    for module in net.modules():
        if isinstance(module, jit.ScriptModule) and hasattr(module, "code"):
            code, frozen = module.code_with_constants
            yield code, [tuple(held.shape) for held in frozen.const_mapping.values() if isinstance(held, Tensor)]


def _graphs(net: "nn.Module") -> Iterator[str]:
    from torch import fx

    return (module.code for module in net.modules() if isinstance(module, fx.GraphModule))


def _files(names: set[str]) -> dict[str, str]:
    """The digests of the files of these modules and of those that they import."""
    found, waiting = dict[str, str](), [*names]
    while waiting:
        name = waiting.pop()
        module = sys.modules.get(name)
        file = _file(module)
        if name in found or file is None:
            continue
        found[name] = file_digest(file)
        values = list(vars(module).values())
        waiting += [value.__name__ for value in values if isinstance(value, ModuleType)]
        waiting += [str(value.__module__) for value in values if isinstance(value, type | FunctionType)]
    return found


def _file(module: ModuleType | None) -> Path | None:
    """The file of a module, unless it is Python's or an installed package's."""
    path = Path(getattr(module, "__file__", None) or "")
    installed = path.is_relative_to(_PYTHONS) or _INSTALLED.intersection(path.parts)
    return path if path.is_file() and not installed else None


def _texts(classes: "set[type[nn.Module]]") -> Iterator[str]:
    for one in classes:
        if getattr(sys.modules.get(one.__module__), "__file__", None) is None:
            with suppress(OSError, TypeError):  # it was typed where nobody kept it
                yield inspect.getsource(one.forward)


def _attributes(net: "nn.Module") -> Iterator[Any]:
    """What layers have beside numbers and words, which their definition knows as they were built."""
    from torch import nn

    known = set(vars(nn.Module()))
    for name, layer in net.named_modules():
        yield name, {key: _plain(value) for key, value in vars(layer).items() if key not in known and _is_made(value)}


def _is_made(value: object) -> bool:
    return isinstance(value, list | tuple | set | frozenset | dict) or callable(value)


def _plain(value: object) -> Any:
    """For JSON; of what is neither made of numbers and words nor has a name, its type alone."""
    if isinstance(value, dict):
        return [[_plain(key), _plain(one)] for key, one in value.items()]
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, set | frozenset):
        return sorted((_plain(one) for one in value), key=str)
    if value is None or isinstance(value, Number | str):
        return repr(value)
    return getattr(value, "__qualname__", type(value).__qualname__)
