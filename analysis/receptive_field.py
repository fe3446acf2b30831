"""Exact receptive fields: what a unit reads and what an input reaches, as positions and as numbers of paths. No torch.

A network is a graph of maps. Each edge says which positions of one map each position of the next reads, an axis rule
for the rows and one for the columns (`analysis.axes`), and which channels. The field of a unit is found by walking the
edges with whole maps of integers, so that branches, holes and the ends of maps come out as they are. Values of weights
play no part: every tap counts.

A path is one sequence of positions from map to map. Channels that carry the same thing count once: a convolution of a
thousand channels has as many paths as one of a single channel.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Literal

from analysis.axes import Frame, UnboundedError
from analysis.field_graph import Extent, Field, Kind, UnavailableError, Wiring
from analysis.flow import Backward, Flow, Forward, hull


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
        between = self.ancestors(self.index(of)) & self.descendants(end)
        return tuple(self.maps[i].problem for i in sorted(between) if i != end and self.maps[i].problem)

    def connected(self, of: str | int, to: str | int = 0) -> bool:
        """Whether `of` depends on `to` at all."""
        return self.index(to) in self.ancestors(self.index(of))

    def extent(self, of: str | int, to: str | int = 0) -> Extent:
        """Size, jump and centre of the receptive field that units of one map have in another, unbounded.

        Raises:
            UnavailableError: an operator in between cannot be followed, or branches disagree on the jump.
        """
        start, end = self.index(of), self.index(to)
        if problems := self.problems(start, end):
            raise UnavailableError(problems[0])
        if not self.connected(start, end):
            raise UnavailableError(f"map {of!r} does not depend on {to!r}")
        axes = [self._extent_along(start, end, axis) for axis in ("y", "x")]
        sizes, jumps, centres = zip(*axes, strict=True)
        return Extent(sizes, jumps, centres)

    def _extent_along(self, start: int, end: int, axis: Literal["y", "x"]) -> tuple[int, Fraction, Fraction]:
        between = sorted(self.ancestors(start) & self.descendants(end), reverse=True)
        try:
            jump = self._jump(between, axis)
            frames = [self._reach(between, axis, (o, o))[end] for o in range(max(1, jump.denominator))]
        except UnboundedError as error:
            raise UnavailableError(str(error)) from error
        known = [frame for frame in frames if frame is not None]
        if not known or frames[0] is None:
            raise UnavailableError(f"unit 0 of map {start} reads nothing of map {end}")
        return max(last - first + 1 for first, last in known), jump, Fraction(sum(frames[0]), 2)

    def _jump(self, between: Sequence[int], axis: Literal["y", "x"]) -> Fraction:
        """The product of jumps along any path; they must agree."""
        jumps: dict[int, Fraction] = {between[0]: Fraction(1)}
        for i in between:
            for edge in self.maps[i].edges:
                if edge.source not in between:
                    continue
                jump = jumps[i] * getattr(edge, axis).jump
                if jumps.setdefault(edge.source, jump) != jump:
                    name = self.maps[i].module or "the network"
                    raise UnboundedError(f"branches that meet in {self.maps[i].op} of {name} have different strides")
        return jumps[between[-1]]

    def _reach(self, between: Sequence[int], axis: Literal["y", "x"], unit: Frame) -> dict[int, Frame | None]:
        """Hulls of what a range of units reads, on unbounded maps."""
        frames: dict[int, Frame | None] = dict.fromkeys(between)
        frames[between[0]] = unit
        for i in between:
            frame = frames[i]
            for edge in self.maps[i].edges if frame is not None else ():
                if edge.source in frames:
                    frames[edge.source] = hull(frames[edge.source], getattr(edge, axis).reach(frame))
        return frames
