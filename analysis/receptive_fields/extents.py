"""Size, stride and place of the receptive fields of every map at once, by whole numbers, on unbounded maps. No torch.

Units that are a period apart have the same field, moved: after an interpolation by two, for example, even and odd units
differ. So the first and last position that a unit reads is kept for one period of units, along each axis.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm

from analysis.receptive_fields.axes import Axis, Frame, UnboundedError
from analysis.receptive_fields.field_graph import Edge, Extent, Wiring
from analysis.receptive_fields.flow import hull


@dataclass(frozen=True)
class Along:
    """The fields of one map's units along one axis.

    Attributes:
        jump: how far the fields of neighbouring units are apart, on average.
        ends: first and last position that units 0, 1, ... of one period read; None for one that reads nothing.
    """

    jump: Fraction
    ends: tuple[Frame | None, ...]

    def at(self, unit: int) -> Frame | None:
        """First and last position that any unit reads."""
        periods, phase = divmod(unit, len(self.ends))
        ends = self.ends[phase]
        shift = int(self.jump * len(self.ends)) * periods
        return None if ends is None else (ends[0] + shift, ends[1] + shift)

    def between(self, units: Frame) -> Frame | None:
        """Hull of what a range of units reads; their ends never run backward, so the outermost units decide."""
        reading = (self.at(unit) for unit in range(units[0], units[1] + 1))
        first = next((ends for ends in reading if ends is not None), None)
        if first is None:
            return None
        last = next(ends for unit in range(units[1], units[0] - 1, -1) if (ends := self.at(unit)) is not None)
        return first[0], last[1]


def extents(wiring: Wiring, to: int) -> dict[int, Extent | str]:
    """The receptive field that each map has in map `to`, or why it cannot be told; maps without one are left out."""
    known: dict[int, tuple[Along, Along] | str] = {to: (Along(Fraction(1), ((0, 0),)),) * 2}
    problems = {one.problem for one in wiring.maps if one.problem}
    for i in range(to + 1, len(wiring.maps)):
        one = wiring.maps[i]
        sources = one.below & known.keys()
        told = [found for s in sorted(sources) if isinstance(found := known[s], str)]
        # An operator that no rule follows weighs more than strides that differ: there even the central unit is unknown.
        blocked = next((reason for reason in told if reason in problems), told[0] if told else "")
        if sources and (one.problem or blocked):
            known[i] = one.problem or blocked
        elif edges := [edge for edge in one.edges if edge.source in known]:
            known[i] = _both(known, edges, f"{one.op} of {one.module or 'the network'}")
    return {i: found if isinstance(found, str) else _extent(*found) for i, found in known.items()}


def _both(
    known: dict[int, tuple[Along, Along] | str], edges: Sequence[Edge], where: str
) -> tuple[Along, Along] | str:  # fmt: skip
    below = [found for edge in edges if not isinstance(found := known[edge.source], str)]
    try:
        rows = _along([(edge.y, found[0]) for edge, found in zip(edges, below, strict=True)], where)
        columns = _along([(edge.x, found[1]) for edge, found in zip(edges, below, strict=True)], where)
    except UnboundedError as error:
        return str(error)
    return rows, columns


def _along(edges: Sequence[tuple[Axis, Along]], where: str) -> Along:
    jumps = {rule.jump * below.jump for rule, below in edges}
    if len(jumps) > 1:
        raise UnboundedError(f"branches that meet in {where} have different strides")
    period = lcm(*((rule.jump / len(below.ends)).denominator for rule, below in edges))
    ends: list[Frame | None] = []
    for unit in range(period):
        found: Frame | None = None
        for rule, below in edges:
            read = below.between(rule.reach((unit, unit)))
            found = found if read is None else hull(found, read)
        ends.append(found)
    return Along(jumps.pop(), tuple(ends))


def _extent(rows: Along, columns: Along) -> Extent | str:
    sizes = [max((last - first + 1 for ends in a.ends if ends for first, last in [ends]), default=0)
             for a in (rows, columns)]  # fmt: skip
    if rows.ends[0] is None or columns.ends[0] is None:
        return "its unit (0, 0) reads nothing"
    centres = Fraction(sum(rows.ends[0]), 2), Fraction(sum(columns.ends[0]), 2)
    return Extent((sizes[0], sizes[1]), (rows.jump, columns.jump), centres)
