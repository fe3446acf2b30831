"""The nouns of receptive fields: maps of a network, edges that say who reads what, fields, extents. No torch."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from analysis.receptive_fields.axes import Axis

Kind = Literal["support", "paths", "share"]
"""`support`: which positions. `paths`: how many paths, exact integers. `share`: the same in floating point."""

Channels = int
"""A set of channels: bit k stands for channel k."""

Parts = dict[Channels, Any]
"""What comes or goes by a set of channels, mostly maps (..., H, W). Sets may overlap: each path is in one of them."""


EXCHANGES = ("transpose", "permute", "movedim", "moveaxis")
"""Operators that put axes in another order, be it only that of groups of channels."""

NO_OUTPUT = "no map named 'output': no tensor that the network returns depends on the image; return one that does"


class UnavailableError(ValueError):
    """The field cannot be told exactly; the message names the operator that is in the way."""


@dataclass(frozen=True)
class Pointwise:
    """Output channel `to + j` reads input channel `start + j`, for j < size."""

    start: int
    to: int
    size: int


@dataclass(frozen=True)
class Chosen:
    """For each pair (to, start), output channel `to` reads input channel `start`; channels in no pair are not read."""

    pairs: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Grouped:
    """A convolution's channels: each group of outputs reads its group of inputs; all read all where groups is 1."""

    ins: int
    outs: int
    groups: int = 1


Route = Pointwise | Chosen | Grouped
"""Which channels of one map read which of another."""


@dataclass(frozen=True)
class Edge:
    """One way in which a map reads another.

    Attributes:
        source: index of the map that is read.
        y: rule of the rows.
        x: rule of the columns.
        channels: which channels read which.
    """

    source: int
    y: Axis
    x: Axis
    channels: Route


@dataclass(frozen=True)
class Map:
    """What one operator returns.

    Attributes:
        op: the operator.
        module: dotted path of the innermost module that called it.
        shape: channels, height, width.
        edges: what it reads.
        sources: all maps that it depends on, also where `edges` cannot say how.
        problem: why nothing behind it can be told; empty where all is known.
    """

    op: str
    module: str
    shape: tuple[int, int, int]
    edges: tuple[Edge, ...] = ()
    sources: tuple[int, ...] = ()
    problem: str = ""

    @property
    def convolves(self) -> bool:
        """Whether it is a convolution; a traced module calls its own by another name."""
        return self.op in ("convolution", "_convolution")

    @property
    def below(self) -> set[int]:
        """Every map that it depends on."""
        return {*self.sources, *(edge.source for edge in self.edges)}


@dataclass(frozen=True)
class Field:
    """What of one map a unit reads, or an input reaches.

    Attributes:
        values: (..., H, W), by `Kind`, where the leading axes are those of the units.
        origin: row and column of `values[..., 0, 0]` in the map; (0, 0) on a bounded map.
        channels: how many different sets of the map's channels the paths use; `values` is their sum.
    """

    values: NDArray[Any]
    origin: tuple[int, int] = (0, 0)
    channels: int = 1

    @property
    def support(self) -> NDArray[np.bool_]:
        """Where there is anything."""
        return np.asarray(self.values != 0, dtype=np.bool_)

    @property
    def extent_hw(self) -> tuple[int, int]:
        """Height and width of the smallest rectangle around everything; (0, 0) around nothing."""
        *_, rows, columns = np.nonzero(self.support)
        return (int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1) if len(rows) else (0, 0)


@dataclass(frozen=True)
class Extent:
    """Size and place of a receptive field on unbounded maps; rows first, then columns.

    Attributes:
        size_hw: positions of the map below that a unit reads, holes included; of the unit that reads most.
        jump_hw: positions between the fields of neighbouring units, the total stride; below 1 after upsampling.
        centre_hw: centre of the field of unit (0, 0), in positions of the map below.
        place_hw: where unit (0, 0) lies on the grid of all units, in the same positions; unit (y, x) lies as many jumps
            on. After upsampling, and where a wider branch joins, the centres of single fields are elsewhere.
    """

    size_hw: tuple[int, int]
    jump_hw: tuple[Fraction, Fraction]
    centre_hw: tuple[Fraction, Fraction]
    place_hw: tuple[Fraction, Fraction]


@dataclass(frozen=True)
class Wiring:
    """The maps of a network in the order in which they are made; the first is the input.

    Attributes:
        maps: all of them.
        names: index of the map that each module returns, by dotted path; "input" is the first, "output" the last.
        valued: the modules that took values out of maps, which no edge follows.
    """

    maps: tuple[Map, ...]
    names: Mapping[str, int] = field(default_factory=dict)
    valued: tuple[str, ...] = ()

    def index(self, name: str | int) -> int:
        """The index of a map given by name.

        Raises:
            KeyError: no module of that name returns a map; names the nearest.
        """
        if isinstance(name, int):
            return name
        if name == "output" and name not in self.names:
            raise KeyError(NO_OUTPUT)
        if name not in self.names:
            near = difflib.get_close_matches(name, self.names, n=4, cutoff=0.3) or list(self.names)[:4]
            raise KeyError(f"no map named {name!r}; the nearest are {', '.join(near)}")
        return self.names[name]

    @cached_property
    def readers(self) -> tuple[tuple[int, ...], ...]:
        """For each map those that read it."""
        readers: list[list[int]] = [[] for _ in self.maps]
        for i, one in enumerate(self.maps):
            for source in one.below:
                readers[source].append(i)
        return tuple(map(tuple, readers))

    def between(self, start: int, end: int) -> set[int]:
        """A later map, an earlier one, and all on the ways from one to the other."""
        return self.ancestors(start) & self.descendants(end)

    def ancestors(self, start: int) -> set[int]:
        """The map itself and all that it depends on."""
        found = {start}
        for i in range(start, -1, -1):
            if i in found:
                found |= self.maps[i].below
        return found

    def descendants(self, start: int) -> set[int]:
        """The map itself and all that depend on it."""
        found = {start}
        for i in range(start, len(self.maps)):
            if i in found:
                found |= set(self.readers[i])
        return found
