"""What the tracer's rules share: the shapes of maps, the map of a call, and how to refuse. Needs torch."""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

from torch import Tensor

from analysis.receptive_fields.axes import Axis
from analysis.receptive_fields.field_graph import Edge, Pointwise

Shape = tuple[int, int, int]


class UntraceableError(ValueError):
    """An operator acts on a map in a way that no rule describes; the message says how."""


Rule = Callable[[Mapping[str, Any], Sequence[Tensor], Mapping[Tensor, int]], Sequence[Sequence[Edge]]]
"""(arguments by name, outputs, index of each known map) -> the edges of each output."""


def tensors_in(values: Any) -> list[Tensor]:
    """All tensors in nested lists, tuples and dictionaries."""
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += tensors_in(value)
        elif isinstance(value, Mapping):
            found += tensors_in(value.values())
    return found


def shape_of(tensor: Tensor) -> Shape:
    """Channels, height, width. (B, ..., H, W) has all axes between as channels, in their order.

    What has fewer than four axes counts as one position with its elements as channels.
    """
    sizes = [int(size) for size in tensor.shape]
    if len(sizes) >= 4:
        return prod(sizes[1:-2]), sizes[-2], sizes[-1]
    return max(1, prod(sizes[1:])), 1, 1


def image_shape(value: Any) -> Shape:
    """That of a batch of maps, (B, C, H, W), or of vectors, (B, C).

    Raises:
        UntraceableError: it is neither.
    """
    if not isinstance(value, Tensor) or value.dim() not in (2, 4):
        raise UntraceableError("it is applied to something that is no batch of maps")
    return shape_of(value)


def axis_of(tensor: Tensor, dim: int) -> int:
    """The axis of (B, C) or (B, C, H, W) that a number means; negative ones count from the last.

    Raises:
        UntraceableError: it is the batch.
    """
    if not (axis := int(dim) % tensor.dim()):
        raise UntraceableError("it acts along the batch")
    return axis


def source_map(arguments: Mapping[str, Any], of: Mapping[Tensor, int]) -> Tensor:
    """The map that an operator of one map is applied to.

    Raises:
        UntraceableError: it is no known map, or the operator takes something else from the image besides.
    """
    source = arguments.get("self", arguments.get("input"))
    if not isinstance(source, Tensor) or source not in of:
        raise UntraceableError("it acts on something else than the map")
    if sum(tensor in of for tensor in tensors_in(arguments.values())) > 1:
        raise UntraceableError("it takes more than its map from the image")
    return source


def same(source: int, y: Axis, x: Axis, channels: int, to: int = 0, start: int = 0) -> Edge:
    """An edge that keeps channels apart: `channels` of them, from `start` on, as those from `to` on."""
    return Edge(source, y, x, Pointwise(start, to, channels))
