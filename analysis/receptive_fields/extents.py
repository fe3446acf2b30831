"""Size, stride and place of the receptive fields of every map at once, by whole numbers, on unbounded maps. No torch.

Units that are a period apart have the same field, moved: after an interpolation by two, for example, even and odd units
differ. So the first and last position that a unit reads is kept for one period of units, along each axis, and apart for
each set of channels, because a later map may read some channels only. The place of a unit is that of a grid, the same
distance for all: the middle of all that a period of units reads, on the way with the smallest field.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from math import lcm
from operator import add

import numpy as np

from analysis.receptive_fields.axes import NOWHERE, Axis, Frame, UnboundedError
from analysis.receptive_fields.field_graph import Edge, Extent, Parts, Wiring
from analysis.receptive_fields.flow import Forward, hull
from analysis.receptive_fields.flow import add as add_part


@dataclass(frozen=True)
class Along:
    """The fields of one map's units along one axis.

    Attributes:
        jump: how far the fields of neighbouring units are apart, on average.
        ends: first and last position that units 0, 1, ... of one period read; None for one that reads nothing.
        lies: positions of the smallest field that joins here, and where unit 0 lies by it: the first and the last
            place, where several fields are the smallest.
    """

    jump: Fraction
    ends: tuple[Frame | None, ...]
    lies: tuple[int, Fraction, Fraction]

    def at(self, unit: int) -> Frame | None:
        """First and last position that any unit reads."""
        periods, phase = divmod(unit, len(self.ends))
        ends = self.ends[phase]
        shift = int(self.jump * len(self.ends)) * periods
        return None if ends is None else (ends[0] + shift, ends[1] + shift)

    def through(self, rule: Axis) -> "Along":
        """The fields of the units that read these units by a rule."""
        period = (rule.jump / len(self.ends)).denominator
        reads = rule.reads(np.arange(period, dtype=np.int64)).T.tolist()
        ends = tuple(_around([self.at(i) for i in units if i != NOWHERE]) for units in reads)
        (_, *places), step = self.lies, self.jump * _middle(rule)
        return Along(self.jump * rule.jump, ends, (_size(ends), places[0] + step, places[1] + step))

    def __add__(self, other: "Along") -> "Along":
        """Each unit's field around both; the jumps are the same."""
        period = lcm(len(self.ends), len(other.ends))
        ends = tuple(_around([self.at(unit), other.at(unit)]) for unit in range(period))
        size, *_ = least = min(self.lies, other.lies)
        alike = [one.lies for one in (self, other) if one.lies[0] == size]
        return Along(self.jump, ends, (size, least[1], max(last for _, _, last in alike)))


@dataclass(frozen=True)
class Plane:
    """The fields of one map's units, by rows and by columns."""

    rows: Along
    columns: Along

    def __add__(self, other: "Plane") -> "Plane":
        return Plane(self.rows + other.rows, self.columns + other.columns)


def extents(wiring: Wiring, to: int) -> dict[int, Extent | str]:
    """The receptive field that each map has in map `to`, or why it cannot be told; maps without one are left out."""
    itself = Along(Fraction(1), ((0, 0),), (1, Fraction(0), Fraction(0)))
    known: dict[int, Parts | str] = {to: {(1 << wiring.maps[to].shape[0]) - 1: Plane(itself, itself)}}
    problems = {one.problem for one in wiring.maps if one.problem}
    for i in range(to + 1, len(wiring.maps)):
        one = wiring.maps[i]
        sources = one.below & known.keys()
        told = [found for s in sorted(sources) if isinstance(found := known[s], str)]
        # An operator that no rule follows weighs more than strides that differ: there even the central unit is unknown.
        blocked = next((reason for reason in told if reason in problems), told[0] if told else "")
        if sources and (one.problem or blocked):
            known[i] = one.problem or blocked
            continue
        below = {s: found for s in sources if isinstance(found := known[s], dict)}
        if joined := _joined(below, one.edges, f"{one.op} of {one.module or 'the network'}"):
            known[i] = joined
    return {i: found if isinstance(found, str) else _extent(found) for i, found in known.items()}


def _joined(below: Mapping[int, Parts], edges: Sequence[Edge], where: str) -> Parts | str:
    """The fields that come by all edges, by channels; none where no channel that an edge reads has a field."""
    parts: Parts = {}
    jumps = set()
    try:
        for edge in edges:
            for channels, plane in Forward.channels(edge.channels, below.get(edge.source, {})).items():
                rows, columns = plane.rows.through(edge.y), plane.columns.through(edge.x)
                jumps.add((rows.jump, columns.jump))
                if len(jumps) > 1:
                    return f"branches that meet in {where} have different strides"
                add_part(parts, channels, Plane(rows, columns))
    except UnboundedError as error:
        return str(error)
    return parts


def _around(read: Sequence[Frame | None]) -> Frame | None:
    """The smallest frame around several; None where there is none."""
    found: Frame | None = None
    for ends in read:
        found = found if ends is None else hull(found, ends)
    return found


def _size(read: Sequence[Frame | None]) -> int:
    """Positions that the unit which reads most has from its first to its last."""
    return max((ends[1] - ends[0] + 1 for ends in read if ends), default=0)


def _middle(rule: Axis) -> Fraction:
    """Where output 0 lies in the input: the middle of all that the outputs of one period read, each moved to output 0.

    That is a window's middle tap, its inverse for a transposed one and, by symmetry, the shift of an interpolation.
    """
    outs = np.arange(rule.jump.denominator, dtype=np.int64)
    table = rule.reads(outs)
    known = table != NOWHERE
    return (int(table[known].sum()) - rule.jump * int((known * outs).sum())) / int(known.sum())


def _extent(parts: Parts) -> Extent | str:
    plane: Plane = reduce(add, parts.values())
    rows, columns = plane.rows, plane.columns
    if rows.ends[0] is None or columns.ends[0] is None:
        return "its unit (0, 0) reads nothing"
    centres = Fraction(sum(rows.ends[0]), 2), Fraction(sum(columns.ends[0]), 2)
    places = (rows.lies[1] + rows.lies[2]) / 2, (columns.lies[1] + columns.lies[2]) / 2
    return Extent((_size(rows.ends), _size(columns.ends)), (rows.jump, columns.jump), centres, places)
