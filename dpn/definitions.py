"""What stands for a network's definition, which weights do not show. Imports no torch until it is asked for one."""

from typing import TYPE_CHECKING, Any

from dpn.digests import digest_of
from dpn.spec import ModelSpec

if TYPE_CHECKING:
    from torch import nn

LAYERS = "layers-"
"""Before the digest of a network's layers, where no spec is its definition."""


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
    return LAYERS + digest_of({"layers": layers, "sizes": sizes})


def _plain_attributes(layer: "nn.Module") -> dict[str, Any]:
    """What a layer is of itself, such as its stride: its own numbers and words, and tuples of them."""
    own = {name: value for name, value in vars(layer).items() if not name.startswith("_") and _is_plain(value)}
    own.pop("training", None)
    return own


def _is_plain(value: object) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, int | float | str)
