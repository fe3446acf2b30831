"""Which of the tensors that a network returns is the one whose field is told as that of its output. Needs torch."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor


def by_preference(output: Any) -> list[Tensor]:
    """The tensors that a network returns, the one to look at first.

    Maps (B, C, H, W) come before all else. Of several stages in a list or tuple the last comes first; of things with
    names what is called `heatmaps` does, then the others in their order. What `dpn.network_output` decodes is the first
    here; it refuses what this accepts: dataclasses, mappings without `heatmaps`, tuples whose last tensor is no map.

    Example:
        >>> import torch
        >>> stages = [{"scores": torch.tensor(1)}, {"scores": torch.tensor(2), "heatmaps": torch.tensor(3)}]
        >>> [tensor.item() for tensor in by_preference(stages)]
        [3, 2, 1]
        >>> [tensor.dim() for tensor in by_preference((torch.ones(1, 17, 64, 48), torch.ones(1, 8)))]
        [4, 2]
    """
    return sorted(_listed(output), key=lambda tensor: tensor.dim() != 4)


def _listed(output: Any) -> Iterator[Tensor]:
    if isinstance(output, Tensor):
        yield output
        return
    named = _by_name(output)
    if named is not None:
        parts = [named[name] for name in sorted(named, key=lambda name: name != "heatmaps")]
    else:
        parts = list(reversed(output)) if isinstance(output, list | tuple) else []
    for part in parts:
        yield from _listed(part)


def _by_name(output: Any) -> Mapping[Any, Any] | None:
    """What has names, by name: a dictionary, a named tuple, a dataclass."""
    if isinstance(output, Mapping):
        return output
    if isinstance(output, tuple) and hasattr(output, "_fields"):
        return dict(zip(output._fields, output, strict=True))
    if dataclasses.is_dataclass(output) and not isinstance(output, type):
        return {field.name: getattr(output, field.name) for field in dataclasses.fields(output)}
    return None
