"""Exact receptive fields: what a unit reads and what an input reaches, as positions and as numbers of paths. No torch.

A network is a graph of maps. Each edge says which positions of one map each position of the next reads, an axis rule
for the rows and one for the columns (`analysis.receptive_fields.axes`), and which channels. The field of a unit is
found by walking the edges with whole maps of integers, so that branches, holes and the ends of maps come out as they
are. Values of weights play no part: every tap counts.

A path is one sequence of positions and branches from map to map that some channel can take. How many channels can does
not matter: a convolution of a thousand channels has as many paths as one of a single channel.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Literal

from analysis.receptive_fields.axes import SAME
from analysis.receptive_fields.extents import extents
from analysis.receptive_fields.field_graph import Extent, Field, Kind, Map, UnavailableError, Wiring
from analysis.receptive_fields.flow import Backward, Flow, Forward


class FieldGraph(Wiring):
    """A network's wiring, and what can be asked of it: fields of units, and extents."""

    def backward(
        self, of: str | int, units: Sequence[Sequence[int]], *, kind: Kind = "support", bounded: bool = True,
        to: Sequence[str | int] | None = None, channel: int | None = None,
    ) -> dict[int, Field]:  # fmt: skip
        """What units of one map read of the maps before it.

        Args:
            of: the map of the units.
            units: row and column of each.
            kind: what to tell of each position.
            bounded: maps end where they end; otherwise they go on for ever.
            to: the maps to keep; all by default. Those that cannot be told are left out, `problems` says why.
            channel: one channel of the units; by default all of them.

        Returns:
            A field for each map, by index, with one leading axis for the units.
        """
        start = self.index(of)
        flow = Flow(self, kind, bounded)
        return flow.run(start, units, channel, to, Backward(self, start))

    def forward(
        self, at: str | int, units: Sequence[Sequence[int]], *, kind: Kind = "support", bounded: bool = True,
        to: Sequence[str | int] | None = None, channel: int | None = None,
    ) -> dict[int, Field]:  # fmt: skip
        """What positions of one map reach in the maps after it; the arguments are those of `backward`."""
        start = self.index(at)
        flow = Flow(self, kind, bounded)
        return flow.run(start, units, channel, to, Forward(self, start))

    def problems(self, of: str | int, to: str | int = 0) -> tuple[str, ...]:
        """What stands in the way of knowing what `of` reads of `to`; nothing where all is known."""
        end = self.index(to)
        between = sorted(self.between(self.index(of), end))
        return tuple(self.maps[i].problem for i in between if i != end and self.maps[i].problem)

    def hw(self, of: str | int) -> tuple[int, int]:
        """Height and width of a map."""
        _, height, width = self.maps[self.index(of)].shape
        return height, width

    def connected(self, of: str | int, to: str | int = 0) -> bool:
        """Whether `of` depends on `to` at all."""
        return self.index(to) in self.ancestors(self.index(of))

    def extents(self, to: str | int = 0) -> Mapping[int, Extent | str]:
        """The receptive field that every map has in one map, by index, or why it cannot be told; on unbounded maps."""
        end = self.index(to)
        if end not in self._extents:
            self._extents[end] = extents(self, end)
        return self._extents[end]

    def extent(self, of: str | int, to: str | int = 0) -> Extent:
        """Size, jump and centre of the receptive field that units of one map have in another, on unbounded maps.

        Raises:
            UnavailableError: an operator in between cannot be followed, or branches disagree on the jump.
        """
        found = self.extents(to).get(self.index(of), f"map {of!r} does not depend on {to!r}")
        if isinstance(found, str):
            raise UnavailableError(found)
        return found

    def central_hw(self, of: str | int, to: str | int = 0) -> tuple[int, int]:
        """Height and width of what the central unit of one map reads of another, on unbounded maps.

        For maps whose units differ, because branches of different strides meet, so that there is no `extent`.

        Raises:
            UnboundedError: a rule in between holds on one size of map only.
            UnavailableError: an operator in between cannot be followed, or the unit reads nothing.
        """
        start, end = self.index(of), self.index(to)
        if problems := self.problems(start, end):
            raise UnavailableError(problems[0])
        sizes = []
        for line, size in zip(self._lines, self.hw(start), strict=True):
            flow = Flow(line, "support", bounded=False)
            found = flow.run(start, [(size // 2, 0)], None, [end], Backward(line, start, end))
            sizes.append(found[end].extent_hw[0] if end in found else 0)
        if 0 in sizes:
            raise UnavailableError(f"the central unit of map {of!r} reads nothing of {to!r}")
        return sizes[0], sizes[1]

    @cached_property
    def _lines(self) -> "tuple[FieldGraph, FieldGraph]":
        """The network as it is along rows, and as it is along columns."""
        return _line(self.maps, "y"), _line(self.maps, "x")

    @cached_property
    def _extents(self) -> dict[int, dict[int, Extent | str]]:
        return {}


def _line(maps: Sequence[Map], along: Literal["y", "x"]) -> FieldGraph:
    """The maps with the rules of one axis in the place of the rows', and nothing to do along the other."""
    return FieldGraph(
        tuple(
            replace(one, edges=tuple(replace(edge, y=getattr(edge, along), x=SAME) for edge in one.edges))
            for one in maps
        )
    )
