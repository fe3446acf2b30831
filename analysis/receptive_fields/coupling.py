"""How units of any two maps of a network hang together: coverage both ways, neighbours' overlap, phases. No torch.

For a stack `analysis.receptive_fields.gridding` tells the same from its dilations alone. Here the supports are those of
the network's own graph, with its strides, branches and the ends of its maps.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from analysis.receptive_fields.field_graph import Field, UnavailableError
from analysis.receptive_fields.path_matrices import count_phases
from analysis.receptive_fields.receptive_field import FieldGraph

POSITIONS_AT_ONCE = 1 << 21
"""Of the largest map between, over all units of a batch: 2 MB of booleans."""

Units = Sequence[tuple[int, int]]


@dataclass(frozen=True, kw_only=True)
class Coupling:
    """What the units of one map and the positions of an earlier map have to do with each other.

    Attributes:
        of: the later map.
        to: the earlier map.
        of_hw: height and width of the later map.
        to_hw: height and width of the earlier map.
        units: how many units of the later map were asked, and `positions` of the earlier.
        positions: see there.
        backward_coverage: share of the rectangle around what a unit reads that it reads; mean over units.
        forward_coverage: share of the rectangle around what a position reaches that it reaches; mean over positions.
        overlap_y: share of a unit's support that the unit below reads too; mean over units, None where there is none.
        overlap_x: the same of the unit to the right.
        phases: classes of units that share nothing with other classes; None for a sample of units.
    """

    of: str
    to: str
    of_hw: tuple[int, int]
    to_hw: tuple[int, int]
    units: int
    positions: int
    backward_coverage: float | None
    forward_coverage: float | None
    overlap_y: float | None
    overlap_x: float | None
    phases: int | None


def coupling(graph: FieldGraph, of: str, to: str, *, sample: int | None = None, seed: int = 0) -> Coupling:
    """Exact numbers of all units of two bounded maps, or of a sample of them.

    Args:
        graph: of the network.
        of: name of the later map.
        to: name of the earlier map.
        sample: how many units of the later and positions of the earlier map to ask, drawn at random; all by default.
        seed: of the draw.

    Example:
        >>> from analysis.receptive_fields.stacks import stack
        >>> found = coupling(stack((1, 2, 4), (12, 12)), "output", "layer 1")
        >>> found.overlap_x, found.phases
        (0.0, 4)

    Raises:
        KeyError: no such map; names the nearest.
        UnavailableError: an operator in between cannot be followed, or the later map does not depend on the earlier.
        ValueError: a sample of less than one unit.
    """
    if sample is not None and sample < 1:
        raise ValueError(f"a sample has at least one unit, not {sample}")
    part = _between(graph, of, to)
    of_hw, to_hw = (graph.hw(name) for name in (of, to))
    units, positions = (_drawn(hw, sample, seed) for hw in (of_hw, to_hw))
    neighbours = [(y + dy, x + dx) for y, x in units for dy, dx in ((0, 0), (1, 0), (0, 1))]
    wanted = sorted({(y, x) for y, x in neighbours if y < of_hw[0] and x < of_hw[1]})
    supports, coverage = _supports(part, of, to, wanted, set(units))
    rows = {unit: row for row, unit in enumerate(wanted)}
    return Coupling(
        of=of, to=to, of_hw=of_hw, to_hw=to_hw, units=len(units), positions=len(positions),
        backward_coverage=_mean(coverage), forward_coverage=_mean(_reached(part, of, to, positions)),
        overlap_y=_overlap(supports, rows, units, (1, 0)), overlap_x=_overlap(supports, rows, units, (0, 1)),
        phases=count_phases(supports) if len(units) == of_hw[0] * of_hw[1] else None,
    )  # fmt: skip


def _between(graph: FieldGraph, of: str, to: str) -> FieldGraph:
    """The graph without what the later map does not need of the earlier, so that fields are not carried beyond."""
    start, end = graph.index(of), graph.index(to)
    if problems := graph.problems(start, end):
        raise UnavailableError(problems[0])
    if not graph.connected(start, end) or start == end:
        raise UnavailableError(f"map {of!r} does not depend on map {to!r}; exchange them or choose others")
    members = graph.between(start, end)
    maps = []
    for i, one in enumerate(graph.maps):
        inside = i in members and i != end
        edges = tuple(edge for edge in one.edges if edge.source in members) if inside else ()
        sources = tuple(source for source in one.sources if source in members) if inside else ()
        maps.append(replace(one, edges=edges, sources=sources, problem=one.problem if inside else ""))
    return FieldGraph(tuple(maps), {of: start, to: end})


def _drawn(hw: tuple[int, int], sample: int | None, seed: int) -> list[tuple[int, int]]:
    area = hw[0] * hw[1]
    chosen = np.arange(area)
    if sample is not None and sample < area:
        chosen = np.sort(np.random.default_rng(seed).choice(area, sample, replace=False))
    return [(int(i) // hw[1], int(i) % hw[1]) for i in chosen]


def _batches(graph: FieldGraph, units: Units) -> Iterator[Units]:
    members = graph.ancestors(max(graph.names.values())) | set(graph.names.values())
    size = max(1, POSITIONS_AT_ONCE // max(graph.maps[i].shape[1] * graph.maps[i].shape[2] for i in members))
    for first in range(0, len(units), size):
        yield units[first : first + size]


def _supports(
    graph: FieldGraph, of: str, to: str, units: Units, counted: set[tuple[int, int]]
) -> tuple[NDArray[np.uint8], list[float]]:
    """(units, bytes) packed supports, and the coverage of those units that count."""
    packed, coverage = [], []
    for batch in _batches(graph, units):
        support = graph.backward(of, batch, to=[to])[graph.index(to)].support
        packed.append(np.packbits(support.reshape(len(batch), -1), axis=1))
        coverage += _coverage(support[[unit in counted for unit in batch]])
    return np.concatenate(packed), coverage


def _reached(graph: FieldGraph, of: str, to: str, positions: Units) -> list[float]:
    coverage = []
    for batch in _batches(graph, positions):
        found: dict[int, Field] = graph.forward(to, batch, to=[of])
        coverage += _coverage(found[graph.index(of)].support)
    return coverage


def _coverage(support: NDArray[np.bool_]) -> list[float]:
    """Of each (H, W) that is not empty, the share of the rectangle around it."""
    read = support.sum(axis=(1, 2))
    area = np.ones(len(support), dtype=np.int64)
    for axis in (1, 2):
        line = np.asarray(support.any(axis=axis))
        area *= line.shape[1] - line[:, ::-1].argmax(axis=1) - line.argmax(axis=1)
    return (read[read > 0] / area[read > 0]).tolist()  # type: ignore[no-any-return]


def _overlap(
    supports: NDArray[np.uint8], rows: dict[tuple[int, int], int], units: Units, step: tuple[int, int]
) -> float | None:
    pairs = [(rows[unit], rows.get((unit[0] + step[0], unit[1] + step[1]))) for unit in units]
    known = [(first, second) for first, second in pairs if second is not None]
    shares = []
    for first, second in known:
        if read := _ones(supports[first]):
            shares.append(_ones(supports[first] & supports[second]) / read)
    return _mean(shares)


def _ones(packed: NDArray[np.uint8]) -> int:
    return int.from_bytes(packed.tobytes(), "big").bit_count()


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None
