"""What the tracer's rules share: shapes and orders of maps, the map of a call, and how to refuse. Needs torch."""

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from analysis.receptive_fields.axes import Axis
from analysis.receptive_fields.field_graph import Edge, Pointwise

Shape = tuple[int, int, int]

Order = tuple[int, ...]
"""What the axes behind the batch of four are: 1 the channels, 2 the rows, 3 the columns."""

NATURAL: Order = (1, 2, 3)

# By storage and by the place in it, so that an alias which no operator made has the order too.
_ORDERS: MutableMapping[torch.UntypedStorage, dict[tuple[int, ...], Order]] = WeakIdKeyDictionary()


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


def order_of(tensor: Tensor) -> Order:
    """The order of a map's axes, (B, C, H, W) unless a permute has put them in another."""
    if tensor.dim() != 4 or tensor.layout != torch.strided:
        return NATURAL
    return _ORDERS.get(tensor.untyped_storage(), {}).get(_place(tensor), NATURAL)


def put_in_order(tensor: Tensor, order: Order) -> None:
    """Notes the order of a map's axes."""
    if order != order_of(tensor) and tensor.dim() == 4:
        _ORDERS.setdefault(tensor.untyped_storage(), {})[_place(tensor)] = order


def _place(tensor: Tensor) -> tuple[int, ...]:
    return (int(tensor.storage_offset()), *map(int, tensor.shape), *map(int, tensor.stride()))


def shape_of(tensor: Tensor) -> Shape:
    """Channels, height, width. (B, ..., H, W) has all axes between as channels, in their order.

    What has fewer than four axes counts as one position with its elements as channels.
    """
    sizes = [int(size) for size in tensor.shape]
    if len(sizes) == 4:
        channels, height, width = (sizes[1 + order_of(tensor).index(axis)] for axis in NATURAL)
        return channels, height, width
    if len(sizes) > 4:
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


def meant(tensor: Tensor, dim: int) -> int:
    """What a number means of a map's axes in their order: 0 the batch, 1 channels, 2 rows, 3 columns."""
    axis = int(dim) % tensor.dim()
    return order_of(tensor)[axis - 1] if axis and tensor.dim() == 4 else axis


def axis_of(tensor: Tensor, dim: int) -> int:
    """What a number means of (B, C) or of the axes of a map; negative ones count from the last.

    Raises:
        UntraceableError: it is the batch.
    """
    if not (axis := meant(tensor, dim)):
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


def in_one_order(rule: Rule, *, any_order: bool) -> Rule:
    """A rule for maps whose axes are all in one order, which the outputs have too.

    Args:
        rule: the rule.
        any_order: it says by `axis_of` and `shape_of` what an axis is; others are told of (B, C, H, W) only.
    """

    def ordered(arguments: Mapping[str, Any], outs: Sequence[Tensor], of: Mapping[Tensor, int]) -> Any:
        maps = [tensor for tensor in tensors_in(arguments.values()) if tensor in of and tensor.dim() == 4]
        order, *others = {order_of(tensor) for tensor in maps} or {NATURAL}
        if others:
            raise UntraceableError("it joins maps whose axes are in different orders; permute them alike")
        if order != NATURAL and not any_order:
            axes = ", ".join("BCHW"[axis] for axis in (0, *order))
            raise UntraceableError(f"it takes ({axes}) for (B, C, H, W); permute the map back")
        for out in outs:
            put_in_order(out, order)
        return rule(arguments, outs, of)

    return ordered
