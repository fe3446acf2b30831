"""Which maps lie in which memory, and so what a tensor holds once another view of its memory was written. Needs torch.

Every map that was written is kept with the place where it lies. What a tensor holds is then put together from the maps
that were written into its memory, the later over the earlier. Places are compared by their offsets and strides, so it
does not matter how a view was made, nor whether the tracer ever saw it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from analysis.receptive_fields.axes import SAME, Axis, Listed, Transposed, Window
from analysis.receptive_fields.field_calls import NATURAL, order_of, shape_of
from analysis.receptive_fields.field_graph import Edge, Pointwise

Steps = tuple[int, int, int]
"""First position, distance to the next, how many."""

Box = tuple[Steps, ...]
"""What part of a batch of maps, (B, C, H, W), a tensor is."""

MASKED = "a map that was written in parts"
NOTHING = -1


class OverwrittenError(ValueError):
    """What a tensor holds cannot be put together from what was written into its memory."""


@dataclass(frozen=True)
class Place:
    """Where in its memory a tensor lies: what torch calls storage offset, size and stride, in the order B, C, H, W."""

    offset: int
    sizes: tuple[int, ...]
    strides: tuple[int, ...]

    @classmethod
    def of(cls, tensor: Tensor) -> "Place":
        """That of a tensor."""
        order = order_of(tensor)
        axes = [0, *(1 + order.index(axis) for axis in NATURAL)] if tensor.dim() == 4 else range(tensor.dim())
        sizes, strides = (tuple(int(of[d]) for d in axes) for of in (tensor.shape, tensor.stride()))
        return cls(int(tensor.storage_offset()), sizes, strides)

    def box(self, whole: "Place") -> Box | None:
        """This place as a part of a larger one; None where it is none, or does not keep axes as they are."""
        if len(self.sizes) != 4 or len(whole.sizes) != 4 or 0 in self.sizes:
            return None
        rest, starts = self.offset - whole.offset, [0, 0, 0, 0]
        for d in sorted(range(4), key=lambda d: whole.strides[d], reverse=True):
            if whole.sizes[d] > 1 and whole.strides[d] > 0:
                starts[d], rest = divmod(rest, whole.strides[d])
        steps = [1 if size == 1 or not whole.strides[d] else self.strides[d] // whole.strides[d]
                 for d, size in enumerate(self.sizes)]  # fmt: skip
        for d, size in enumerate(self.sizes):
            if starts[d] < 0 or starts[d] + steps[d] * (size - 1) >= whole.sizes[d]:
                return None
            if size > 1 and (steps[d] < 1 or steps[d] * whole.strides[d] != self.strides[d]):
                return None
        return None if rest else tuple(zip(starts, steps, self.sizes, strict=True))


@dataclass(frozen=True)
class Part:
    """A box of a map that is a part of another map.

    Attributes:
        source: index of the other map.
        channels: first channel, and the one behind the last.
        shift: channel of the other map less channel of this one.
        rows: for each row the other map's row, or `NOTHING`; likewise `columns`.
        y: the rule of the rows, where this is all that there is; likewise `x`.
    """

    source: int
    channels: tuple[int, int]
    shift: int
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    y: Axis
    x: Axis

    @property
    def empty(self) -> bool:
        """Whether no position is left."""
        return self.channels[0] >= self.channels[1] or not ((self.rows >= 0).any() and (self.columns >= 0).any())

    def below(self, other: "Part") -> Iterator["Part"]:
        """What is left of this where another part is written over it."""
        low, high = max(self.channels[0], other.channels[0]), min(self.channels[1], other.channels[1])
        rows, columns = other.rows >= 0, other.columns >= 0
        if low >= high or not (rows & (self.rows >= 0)).any() or not (columns & (self.columns >= 0)).any():
            yield self
            return
        yield replace(self, channels=(self.channels[0], low))
        yield replace(self, channels=(high, self.channels[1]))
        yield replace(self, channels=(low, high), rows=np.where(rows, NOTHING, self.rows))
        beside = np.where(columns, NOTHING, self.columns)
        yield replace(self, channels=(low, high), rows=np.where(rows, self.rows, NOTHING), columns=beside)

    def edge(self, alone: bool) -> Edge:
        """How a map that has this part reads the other map."""
        first, last = self.channels
        y, x = (_axis(table, rule, alone) for table, rule in ((self.rows, self.y), (self.columns, self.x)))
        return Edge(self.source, y, x, Pointwise(first + self.shift, first, last - first))


@dataclass
class _Written:
    """What lies in one storage.

    Attributes:
        whole: where the first tensor seen in it lies, of which others are views.
        log: what was written, and where, in order.
    """

    whole: Place
    log: list[tuple[Place, int]] = field(default_factory=list)


class Memory:
    """The storages that a network uses and the maps that were written into them."""

    def __init__(self) -> None:
        self.storages: dict[StorageWeakRef, _Written] = {}  # a weak reference keeps the address from being used again

    @staticmethod
    def storage(tensor: Tensor) -> StorageWeakRef | None:
        """What a tensor's memory is known by; None for one that has none, such as a sparse tensor."""
        if tensor.layout != torch.strided:
            return None
        return StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]  # torch ships it so

    def written(self, tensor: Tensor, since: int = 0) -> list[int]:
        """The maps that were written into a tensor's memory, in order, but for the first `since`.

        The first tensor of a memory that is asked about is the whole of it, of which others are views.
        """
        found = self._found(tensor)
        return [index for _, index in found.log[since:]] if found else []

    def write(self, tensor: Tensor, index: int) -> None:
        """A tensor was written and is now this map."""
        if found := self._found(tensor):
            found.log.append((Place.of(tensor), index))

    def edges(self, tensor: Tensor, own: int | None, since: int) -> list[Edge]:
        """What a tensor holds, which was map `own` or none at all before the later writes into its memory.

        Raises:
            OverwrittenError: no edges say what it holds.
        """
        found = self._found(tensor)
        place = Place.of(tensor)
        parts = [] if own is None else [_whole(own, tensor)]
        for other, index in found.log[since:] if found else ():
            if other == place:
                parts = [_whole(index, tensor)]
            elif part := _part(index, other.box(found.whole), place.box(found.whole)):  # type: ignore[union-attr]
                parts = [left for one in parts for left in one.below(part) if not left.empty] + [part]
        return [part.edge(alone=len(parts) == 1) for part in parts]

    def _found(self, tensor: Tensor) -> _Written | None:
        key = self.storage(tensor)
        if key is not None and key not in self.storages:
            self.storages[key] = _Written(Place.of(tensor))
        return None if key is None else self.storages[key]


def _whole(index: int, tensor: Tensor) -> Part:
    channels, height, width = shape_of(tensor)
    return Part(index, (0, channels), 0, np.arange(height), np.arange(width), SAME, SAME)


def _part(index: int, written: Box | None, held: Box | None) -> Part | None:
    """The part of what a tensor holds that was written, both as boxes of one memory; None where they do not meet."""
    if written is None or held is None:
        raise OverwrittenError("it reads memory that another view wrote, and the two are no boxes of one map")
    meeting = [set(range(a, a + b * c, b)) & set(range(d, d + e * f, e))
               for (a, b, c), (d, e, f) in zip(written, held, strict=True)]  # fmt: skip
    if not all(meeting):
        return None
    if written[0] != held[0]:
        raise OverwrittenError("it reads memory of which another view wrote a part of the batch")
    (start, step, count), (first, every, channels) = written[1], held[1]
    if written[1] != held[1] and (step, every) != (1, 1):
        raise OverwrittenError("it reads memory of which another view wrote every so many channels")
    shift = 0 if written[1] == held[1] else first - start
    (rows, y), (columns, x) = (_along(*axes) for axes in zip(written[2:], held[2:], strict=True))
    return Part(index, (max(0, -shift), min(channels, count - shift)), shift, rows, columns, y, x)


def _along(written: Steps, held: Steps) -> tuple[NDArray[np.int64], Axis]:
    """For each position that is held the position of what was written, `NOTHING` outside of it, and as a rule."""
    (start, step, count), (first, every, size) = written, held
    found, rest = np.divmod(first + every * np.arange(size) - start, step)
    table = np.where((rest == 0) & (found >= 0) & (found < count), found, NOTHING)
    if every == 1:
        return table, Transposed(Window(1, step, first - start)) if step > 1 else Window(1, 1, start - first)
    return table, Window(1, every, start - first) if step == 1 else _listed(table)


def _axis(table: NDArray[np.int64], rule: Axis, alone: bool) -> Axis:
    """The shortest rule for a table; one that holds on maps without ends only where no other part has to end there."""
    if np.array_equal(table, np.arange(len(table))):
        return SAME
    return rule if alone else _listed(table)


def _listed(table: NDArray[np.int64]) -> Listed:
    return Listed(tuple((position,) if position >= 0 else () for position in table.tolist()), MASKED)
