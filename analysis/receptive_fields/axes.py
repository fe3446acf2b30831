"""Which positions of an input map each position of an output map reads, along one axis. No torch.

An operator on maps is one such rule for the rows and one for the columns. Rules are unbounded: position -1 and whatever
lies beyond a map's end are positions like any other, until two frames cut a finite table out of the rule (`connect`).
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import ceil, floor
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.int64]
"""(most that any position reads, positions): what each position reads, with `NOWHERE` where it reads less."""

NOWHERE = np.iinfo(np.int64).min
Frame = tuple[int, int]
"""First and last position of a map, or of the part of an unbounded map that matters."""


class UnboundedError(ValueError):
    """The rule says nothing of a map without ends; the message says which rule."""


@dataclass(frozen=True)
class Window:
    """Reads `kernel` positions `dilation` apart, from `stride * o - padding` on: convolutions, pooling, crops, pads.

    What falls outside the map is padding, which carries nothing.
    """

    kernel: int = 1
    stride: int = 1
    padding: int = 0
    dilation: int = 1

    clamps = False

    @property
    def most(self) -> int:
        """No position reads, or is read, more often than this."""
        return self.kernel

    @property
    def jump(self) -> Fraction:
        """Input positions between what neighbouring outputs read."""
        return Fraction(self.stride)

    def reads(self, outs: NDArray[np.int64]) -> Table:
        """What each of these output positions reads."""
        return outs * self.stride - self.padding + self.dilation * np.arange(self.kernel, dtype=np.int64)[:, None]

    def reach(self, frame: Frame) -> Frame:
        """First and last input position that the outputs of a frame read."""
        first = frame[0] * self.stride - self.padding
        return first, frame[1] * self.stride - self.padding + self.dilation * (self.kernel - 1)

    def reached(self, frame: Frame) -> Frame:
        """First and last output position that may read from a frame of inputs; last < first where none does."""
        first = frame[0] + self.padding - self.dilation * (self.kernel - 1)
        return ceil(Fraction(first, self.stride)), floor(Fraction(frame[1] + self.padding, self.stride))


@dataclass(frozen=True)
class Transposed:
    """The mirror image of a window: input `i` is read by the outputs that it would read as a window's output."""

    window: Window

    clamps = False

    @property
    def most(self) -> int:
        """No position reads, or is read, more often than this."""
        return self.window.most

    @property
    def jump(self) -> Fraction:
        """Input positions between what neighbouring outputs read."""
        return 1 / self.window.jump

    def reads(self, outs: NDArray[np.int64]) -> Table:
        """What each of these output positions reads."""
        w = self.window
        shifted = outs + w.padding - w.dilation * np.arange(w.kernel, dtype=np.int64)[:, None]
        return np.where(shifted % w.stride == 0, shifted // w.stride, NOWHERE)

    def reach(self, frame: Frame) -> Frame:
        """First and last input position that the outputs of a frame read; last < first where there is none."""
        return _ends(self.reads(np.arange(frame[0], frame[1] + 1, dtype=np.int64)))

    def reached(self, frame: Frame) -> Frame:
        """First and last output position that reads from a frame of inputs."""
        return self.window.reach(frame)


@dataclass(frozen=True)
class Resize:
    """Interpolation: output `o` looks at input coordinate `scale * o + shift` and reads the positions around it.

    A bounded map repeats its first and last position outwards.

    Attributes:
        mode: which positions are read: the one before, two or four around.
        scale: input positions from one output to the next.
        shift: the coordinate of output 0.
        bounded: what each position reads on the map with its ends, where rounding may tell otherwise.
    """

    mode: Literal["nearest", "linear", "cubic"]
    scale: Fraction
    shift: Fraction = Fraction(0)
    bounded: "Listed | None" = None

    clamps = True

    @property
    def most(self) -> int:
        """No position reads, or is read, more often than this."""
        taps = {"nearest": 1, "linear": 2, "cubic": 4}[self.mode]
        return max(taps, ceil((taps + 1) / self.scale) + 1)

    @property
    def jump(self) -> Fraction:
        """Input positions between what neighbouring outputs read."""
        return self.scale

    def reads(self, outs: NDArray[np.int64]) -> Table:
        """What each of these output positions reads."""
        bottom = self.scale.denominator * self.shift.denominator
        tops = outs * int(self.scale * bottom) + int(self.shift * bottom)
        below, whole = tops // bottom, tops % bottom == 0
        if self.mode == "nearest":
            return below[None]
        around = (0, 1) if self.mode == "linear" else (-1, 0, 1, 2)
        return np.stack([below + step if step == 0 else np.where(whole, NOWHERE, below + step) for step in around])

    def reach(self, frame: Frame) -> Frame:
        """First and last input position that the outputs of a frame read; a cubic's outermost may read less."""
        return _ends(self.reads(np.arange(frame[0], frame[1] + 1, dtype=np.int64)))

    def reached(self, frame: Frame) -> Frame:
        """First and last output position that may read from a frame of inputs."""
        margin = 2  # a cubic looks at most so far, and frames may be larger than what is reached
        return (
            floor((frame[0] - margin - self.shift) / self.scale),
            ceil((frame[1] + margin - self.shift) / self.scale),
        )


@dataclass(frozen=True)
class Listed:
    """Any finite rule, output by output: whole-map means, adaptive pooling, flips, maps that are written in parts.

    Attributes:
        positions: what each output position reads.
        what: names the rule in errors.
    """

    positions: tuple[tuple[int, ...], ...]
    what: str

    clamps = False

    @property
    def most(self) -> int:
        """No position reads, or is read, more often than this."""
        return max(len(self.positions), *map(len, self.positions))

    @property
    def jump(self) -> Fraction:
        """Not defined for a rule that only holds on one size of map."""
        raise UnboundedError(f"{self.what} is defined for its own map only, not for an unbounded one")

    def reads(self, outs: NDArray[np.int64]) -> Table:
        """What each of these output positions reads."""
        most = max(map(len, self.positions), default=0)
        padded = [(*read, *[NOWHERE] * (most - len(read))) for read in self.positions]
        return np.array(padded, dtype=np.int64).reshape(len(padded), most).T[:, outs]

    def reach(self, _frame: Frame) -> Frame:
        """Raises `UnboundedError`."""
        raise UnboundedError(f"{self.what} is defined for its own map only, not for an unbounded one")

    reached = reach


@dataclass(frozen=True)
class Bordered:
    """Padding by what the map holds, reflected, repeated or from its other end: a map without ends is only moved by it.

    Attributes:
        before: positions that are added before the first, or taken away.
        bounded: what each position reads on the map with its ends.
    """

    before: int
    bounded: Listed

    clamps = False

    @property
    def most(self) -> int:
        """No position reads, or is read, more often than this."""
        return self.bounded.most

    @property
    def jump(self) -> Fraction:
        """Input positions between what neighbouring outputs read."""
        return Fraction(1)

    def reads(self, outs: NDArray[np.int64]) -> Table:
        """What each of these output positions reads on a map without ends."""
        return (outs - self.before)[None]

    def reach(self, frame: Frame) -> Frame:
        """First and last input position that the outputs of a frame read."""
        return frame[0] - self.before, frame[1] - self.before

    def reached(self, frame: Frame) -> Frame:
        """First and last output position that reads from a frame of inputs."""
        return frame[0] + self.before, frame[1] + self.before


Axis = Window | Transposed | Resize | Listed | Bordered
SAME = Window()


def whole(ins: int, outs: int, what: str) -> Listed:
    """Every output reads the whole axis."""
    return Listed((tuple(range(ins)),) * outs, what)


def spread(outs: int, what: str) -> Listed:
    """Every output reads the one position there is."""
    return Listed(((0,),) * outs, what)


def adaptive(ins: int, outs: int, what: str) -> Listed:
    """Adaptive pooling: output `o` reads from floor(o * ins / outs) to before ceil((o + 1) * ins / outs)."""
    return Listed(tuple(tuple(range(o * ins // outs, -(-(o + 1) * ins // outs))) for o in range(outs)), what)


@dataclass(frozen=True, eq=False)
class Connection:
    """A rule between two frames, both ways, as positions inside the frames; -1 stands for nothing.

    Attributes:
        reads: (T, outs), the inputs that each output reads.
        read_by: (T', ins), the outputs that read each input.
    """

    reads: Table
    read_by: Table

    def backward(self, values: NDArray[Any], axis: int) -> NDArray[Any]:
        """Values at outputs, summed into the inputs that they read."""
        return _gathered(values, self.read_by, axis)

    def forward(self, values: NDArray[Any], axis: int) -> NDArray[Any]:
        """Values at inputs, summed into the outputs that read them."""
        return _gathered(values, self.reads, axis)


@lru_cache(maxsize=4096)
def connect(rule: Axis, outs: Frame, ins: Frame, *, clamp: bool) -> Connection:
    """Cuts a rule to two frames.

    Args:
        rule: the axis rule.
        outs: frame of the output map.
        ins: frame of the input map.
        clamp: the input map ends at its frame; interpolation repeats its ends there instead of losing them.
    """
    if clamp and isinstance(rule, Bordered | Resize) and rule.bounded:
        rule = rule.bounded
    table = rule.reads(np.arange(outs[0], outs[1] + 1, dtype=np.int64))
    if clamp and rule.clamps:
        table = np.where(table == NOWHERE, NOWHERE, np.clip(table, *ins))
        for row in range(1, len(table)):  # what was pushed onto another tap is one and the same position
            table[row, (table[:row] == table[row]).any(axis=0)] = NOWHERE
    inside = (table >= ins[0]) & (table <= ins[1])
    reads = np.where(inside, table - ins[0], -1)
    return Connection(reads, _inverse(reads, max(0, ins[1] - ins[0] + 1)))


def _inverse(reads: Table, ins: int) -> Table:
    """(T', ins) from (T, outs)."""
    taps, outs = np.nonzero(reads >= 0)
    read = reads[taps, outs]
    order = np.argsort(read, kind="stable")
    read, outs = read[order], outs[order]
    first = np.searchsorted(read, np.arange(ins))
    rank = np.arange(len(read)) - first[read]
    inverse = np.full((rank.max(initial=-1) + 1, ins), -1, dtype=np.int64)
    inverse[rank, read] = outs
    return inverse


def _gathered(values: NDArray[Any], table: Table, axis: int) -> NDArray[Any]:
    """For each column of the table the sum of what its rows point at; of booleans the disjunction."""
    shape = list(values.shape)
    shape[axis] = 1
    padded = np.concatenate([values, np.zeros(shape, dtype=values.dtype)], axis=axis)
    shape[axis] = table.shape[1]
    total = np.zeros(shape, dtype=values.dtype)
    for row in table:
        total += np.take(padded, row, axis=axis)
    return total


def _ends(table: Table) -> Frame:
    found = table[table != NOWHERE]
    return (int(found.min()), int(found.max())) if found.size else (0, -1)
