"""What the name of a network stands for: a network of the zoo, or anybody's as `package.module:factory`.

Imports no torch until a network is built.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dpn import zoo
from dpn.definitions import definition_of
from dpn.digests import file_digest
from dpn.factories import NetworkError, imported, own_settings
from dpn.released import released
from dpn.spec import ModelSpec, SimpleBaselineSpec

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Network", "built", "definition_of", "network"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Network:
    """A network with what identifies it.

    Attributes:
        name: in the zoo, or as given.
        net: the network itself, with its weights.
        input_hw: height and width of its own input in pixels; None for anybody's factory.
        spec: its definition, for a network of the zoo.
        weights_sha256: of the file of weights, its first 12 hexadecimal digits; None without such a file.
        note: what its user should know of the weights: that they come with this project, or were trained as another
            network; else empty.
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


def network(name: str, weights: Path | str | None = None) -> Network:
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
    weights = None if weights is None else Path(weights)
    own = released(name, weights)
    weights = own.path if own else weights
    if spec and weights is None:
        raise NetworkError(f"{name} knows nothing without weights; give a file of weights (--weights FILE)")
    if weights is not None and not weights.is_file():
        raise NetworkError(f"{weights} does not exist or is not a file; give a file of weights")
    net, _ = built(name)
    note = ""
    if weights is not None:
        from dpn.checkpoints import load

        note = load(net, weights)
    if any(tensor.is_meta for tensor in chain(net.parameters(), net.buffers())):
        raise NetworkError(f"{name} is on the meta device, without numbers; build it on the CPU")
    return Network(
        name=name,
        net=net,
        input_hw=spec.input_hw if spec else None,
        spec=spec,
        weights_sha256=None if weights is None else file_digest(weights),
        note=own.words if own else note,
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
    with own_settings():
        return build(spec), spec


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """What a state holds, by dotted name, also inside of mappings and lists."""
    if isinstance(value, Mapping | list | tuple):
        for key, part in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from _leaves(part, f"{name}.{key}" if name else str(key))
    else:
        yield name, value
