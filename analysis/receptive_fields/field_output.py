"""Which of the tensors that a network returns is the one whose field is told as that of its output. Needs torch."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor


def by_preference(output: Any) -> Iterator[Tensor]:
    """The tensors that a network returns, the one to look at first.

    Of several stages in a list or tuple the last comes first; of things with names what is called `heatmaps` does, then
    the others in their order. `dpn.network_output` decodes by the same choice.

    Example:
        >>> import torch
        >>> stages = [{"scores": torch.tensor(1)}, {"scores": torch.tensor(2), "heatmaps": torch.tensor(3)}]
        >>> [tensor.item() for tensor in by_preference(stages)]
        [3, 2, 1]
    """
    if isinstance(output, Tensor):
        yield output
        return
    named = _by_name(output)
    if named is not None:
        parts = [named[name] for name in sorted(named, key=lambda name: name != "heatmaps")]
    else:
        parts = list(reversed(output)) if isinstance(output, list | tuple) else []
    for part in parts:
        yield from by_preference(part)


def _by_name(output: Any) -> Mapping[Any, Any] | None:
    """What has names, by name: a dictionary, a named tuple, a dataclass."""
    if isinstance(output, Mapping):
        return output
    if isinstance(output, tuple) and hasattr(output, "_fields"):
        return dict(zip(output._fields, output, strict=True))
    if dataclasses.is_dataclass(output) and not isinstance(output, type):
        return {field.name: getattr(output, field.name) for field in dataclasses.fields(output)}
    return None
