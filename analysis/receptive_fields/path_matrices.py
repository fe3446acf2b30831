"""Stacks of dilated convolutions along one axis, exactly: supports, numbers of paths, path matrices. No torch.

Both axes of a map see the same dilations, so what holds on one axis holds on both, and shares of a map are products.
An unbounded support is one Python integer, a bit for each position, so that all orders of six dilations take
milliseconds. Numbers of paths are 64-bit integers where these suffice and Python's own elsewhere.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import accumulate
from math import gcd
from operator import or_
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.receptive_fields.axes import Connection, Window, connect

KERNEL = 3
"""Taps of a layer on an axis."""


@dataclass(frozen=True)
class Support:
    """The positions of an unbounded axis that one unit reads, or reaches.

    Attributes:
        bits: a bit for each position; the first is the lowest bit.

    Example:
        >>> lattice = support((8, 8))
        >>> lattice.read, lattice.span, lattice.largest_gap, lattice.phases
        (5, 33, 7, 8)
    """

    bits: int

    @property
    def read(self) -> int:
        """How many positions."""
        return self.bits.bit_count()

    @property
    def span(self) -> int:
        """Positions from the first to the last."""
        return self.bits.bit_length()

    @property
    def coverage(self) -> float:
        """Share of the span that is read."""
        return self.read / self.span

    @property
    def overlap(self) -> float:
        """Share of the positions that the neighbouring unit reads too."""
        return (self.bits & self.bits << 1).bit_count() / self.read

    @property
    def largest_gap(self) -> int:
        """The longest run of positions left out between two that are read; 0 where none is."""
        return max(map(len, f"{self.bits:b}".strip("0").split("1")))

    @property
    def phases(self) -> int | None:
        """Classes of units that share no position with units of another class; None where every unit is one alone.

        Two units share a position where their distance is a difference of two positions of the support. All chains of
        such steps reach the multiples of these differences' greatest common divisor, which is the number of classes.
        """
        positions = [i for i, bit in enumerate(reversed(f"{self.bits:b}")) if bit == "1"]
        return gcd(*(position - positions[0] for position in positions)) or None


def support(dilations: Sequence[int]) -> Support:
    """What one output of a stack reads of its input along one axis; a sum of sets, the same in any order."""
    bits = 1
    for dilation in dilations:
        bits = reduce(or_, (bits << tap * dilation for tap in range(KERNEL)))
    return Support(bits)


def path_counts(dilations: Sequence[int]) -> NDArray[Any]:
    """(span,) number of paths from each position that one output of a stack spans, along one axis, to that output.

    Example:
        >>> path_counts((2, 1)).tolist()
        [1, 1, 2, 1, 2, 1, 1]
    """
    counts = np.ones(1, dtype=_exact(dilations, KERNEL))
    for dilation in dilations:
        wider = np.zeros(len(counts) + (KERNEL - 1) * dilation, dtype=counts.dtype)
        for tap in range(KERNEL):
            wider[tap * dilation : tap * dilation + len(counts)] += counts
        counts = wider
    return counts


def backward_paths(dilations: Sequence[int], size: int, kernel: int = KERNEL) -> Iterator[NDArray[Any]]:
    """(outputs, units) numbers of paths on a bounded axis, zero padded, from each map's units; the output comes first.

    Args:
        dilations: of the stack, input to output.
        size: positions on the axis.
        kernel: taps of a layer, odd.

    Example:
        >>> *_, last = backward_paths((2, 1), 3)
        >>> last.tolist()
        [[1, 1, 1], [2, 1, 2], [1, 1, 1]]
    """
    layers = _layers(dilations, size, kernel)[::-1]
    return accumulate(layers, lambda paths, layer: layer.backward(paths, -1), initial=_alone(dilations, size, kernel))


def forward_paths(dilations: Sequence[int], size: int, kernel: int = KERNEL) -> Iterator[NDArray[Any]]:
    """(units, inputs) numbers of paths to each map's units, the input first; arguments are those of `backward_paths`.

    Example:
        >>> *_, last = forward_paths((2, 1), 3)
        >>> last.tolist()
        [[1, 1, 1], [2, 1, 2], [1, 1, 1]]
    """
    layers = _layers(dilations, size, kernel)
    return accumulate(layers, lambda paths, layer: layer.forward(paths, 0), initial=_alone(dilations, size, kernel))


def _layers(dilations: Sequence[int], size: int, kernel: int) -> list[Connection]:
    frame = (0, size - 1)
    return [connect(Window(kernel, 1, kernel // 2 * d, d), frame, frame, clamp=False) for d in dilations]


def _alone(dilations: Sequence[int], size: int, kernel: int) -> Any:
    """Each unit's one path to itself."""
    return np.eye(size, dtype=np.int64).astype(_exact(dilations, kernel))


def _exact(dilations: Sequence[int], kernel: int) -> Any:
    return np.int64 if kernel ** len(dilations) < 2**62 else np.object_


def entropy_bits(paths: NDArray[Any]) -> NDArray[np.float64]:
    """(...) path entropy of (..., positions), in bits: how evenly the paths come from the positions.

    Two to the power of it is the effective number of positions. Where there is no path it is 0.
    """
    total = paths.sum(axis=-1, keepdims=True)
    shares = np.asarray(paths / np.where(total == 0, 1, total), dtype=np.float64)
    return np.asarray(-(shares * np.log2(np.where(shares > 0, shares, 1))).sum(axis=-1) + 0.0)


def mean_coverage(reads: NDArray[np.bool_]) -> float:
    """Mean over rows of (units, positions) of the share of each row's span that is read; empty rows do not count."""
    rows = reads[reads.any(axis=1)]
    span = reads.shape[1] - rows[:, ::-1].argmax(axis=1) - rows.argmax(axis=1)
    return float((rows.sum(axis=1) / span).mean()) if len(rows) else 0.0


def mean_overlap(reads: NDArray[np.bool_]) -> float | None:
    """Mean over neighbouring rows of (units, positions) of what the next shares with each; None for a single row."""
    first, second = reads[:-1], reads[1:]
    first, second = first[first.any(axis=1)], second[first.any(axis=1)]
    return float(((first & second).sum(axis=1) / first.sum(axis=1)).mean()) if len(first) else None


def count_phases(packed: NDArray[np.uint8]) -> int:
    """Classes of units that share no position with units of another class, from (units, bytes) packed supports."""
    rest, classes = packed, 0
    while len(rest):
        reached, rest = rest[0], rest[1:]
        while (near := (rest & reached).any(axis=1)).any():
            reached = reached | np.bitwise_or.reduce(rest[near], axis=0)
            rest = rest[~near]
        classes += 1
    return classes


def high_share(values: NDArray[Any]) -> float:
    """Share of the spectral energy above half the Nyquist frequency, along any axis of an array that zeros surround.

    The energy within a quarter of a cycle a position is an integral over frequencies, and its value at two positions
    l apart is sin(pi l / 2) / (pi l); no grid of frequencies is in the way, as a discrete transform's would be. The
    mean counts as energy. An array of zeros has a share of 0.

    Example:
        >>> high_share(np.array([1])), high_share(np.eye(1))  # an impulse is white: half of an axis, 3/4 of a plane
        (0.5, 0.75)
    """
    peak = values.max(initial=0)
    if peak <= 0:
        return 0.0
    scaled = np.asarray(values / peak, dtype=np.float64)
    return float(1 - (scaled * half_band(scaled, range(scaled.ndim))).sum() / (scaled**2).sum())


def half_band(values: NDArray[np.float64], axes: Sequence[int]) -> NDArray[np.float64]:
    """The part of values, zero outside, whose frequencies along each of the axes are within half the Nyquist frequency.

    Only on the values' own positions; what the ideal filter spreads beyond them is left out.
    """
    for axis in axes:
        size = values.shape[axis]
        lags = np.sinc(np.arange(-size + 1, size) / 2) / 2
        bins = 4 * size
        spectrum = np.fft.rfft(values, bins, axis=axis)
        shape = [1] * values.ndim
        shape[axis] = -1
        filtered = np.fft.irfft(spectrum * np.fft.rfft(lags, bins).reshape(shape), bins, axis=axis)
        values = np.take(filtered, np.arange(size - 1, 2 * size - 1), axis=axis)
    return values
