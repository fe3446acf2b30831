"""What the explorer shows: from choices to the fields of a unit and its neighbour, map by map, with numbers. No torch.

Each map that is shown becomes a `Panel`. `analysis.explorer.explore_picture` draws panels, and `analysis.explore` puts
sliders in front of both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.effective_fields.erf_expected import through_block
from analysis.explorer.explore_choices import Direction, NetworkChoices, StackChoices, Unit
from analysis.receptive_fields.axes import SAME, Window
from analysis.receptive_fields.field_graph import Field
from analysis.receptive_fields.live_taps import LayerTaps, layer_taps
from analysis.receptive_fields.path_matrices import entropy_bits
from analysis.receptive_fields.receptive_field import FieldGraph
from analysis.receptive_fields.stacks import stack

USUAL_MAPS = 12
"""Maps of a network that are shown before anybody has picked any."""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One map as it is shown.

    Attributes:
        title: which map.
        detail: what else is worth a line below it.
        hw: height and width of the map.
        support: (2, H, W), where the unit and its neighbour have paths; (1, H, W) where it has no neighbour; None where
            that cannot be told.
        share: the same shape, how the paths, or with shortcuts the energy, are spread; None where that cannot be told.
        mark: the unit's row and column, where the map has the size of the unit's own.
        own: whether this is the map of the unit itself.
        problem: why there is no support or no share.
    """

    title: str
    hw: tuple[int, int]
    support: NDArray[np.bool_] | None
    share: NDArray[np.float64] | None
    detail: str = ""
    mark: Unit | None = None
    own: bool = False
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """The numbers of one panel; None where they cannot be told.

    Attributes:
        map: the panel's title.
        detail: the panel's detail.
        size: height and width.
        positions: how many the unit has paths to.
        coverage: their share of the rectangle around them.
        overlap: the share of them that the neighbour has too; None on the map of the units themselves,
            and where there is no neighbour.
        effective: two to the power of the entropy of the shares, in bits: how many evenly used positions would do.
    """

    map: str
    detail: str
    size: str
    positions: int | None
    coverage: float | None
    overlap: float | None
    effective: float | None


def stack_panels(choices: StackChoices) -> tuple[Panel, ...]:
    """A panel for each map of a stack, the input first.

    Example:
        >>> panels = stack_panels(StackChoices(dilations=(4, 2, 1), map_hw=(32, 32), unit=(16, 16)))
        >>> [(panel.title, numbers(panel).positions) for panel in panels]
        [('map 0, input', 225), ('map 1, d = 4', 49), ('map 2, d = 2', 9), ('map 3, d = 1', 1)]
    """
    graph = stack(choices.layers, choices.map_hw)
    units = choices.units(choices.map_hw)
    backward = choices.direction == "backward"
    walk, start = (graph.backward, len(choices.layers)) if backward else (graph.forward, 0)
    supports = walk(start, units)
    if choices.shortcuts:
        shares = weighted(graph, units, choices.shortcuts, choices.direction)
    else:
        shares = [field.values for _, field in sorted(walk(start, units, kind="share").items())]
    taps = layer_taps(graph)
    return tuple(
        Panel(
            title=f"map {k}, d = {choices.layers[k - 1]}" if k else "map 0, input",
            detail=_liveness(taps[k - 1]) if k else "",
            hw=choices.map_hw, support=supports[k].support, share=shares[k], mark=choices.unit, own=k == start,
        )
        for k in range(len(graph.maps))
    )  # fmt: skip


def _liveness(taps: LayerTaps) -> str:
    if not taps.dead_taps:
        return ""
    return "1x1 on this map" if taps.is_1x1 else f"{taps.live_taps} of {taps.taps} taps live"


def weighted(
    graph: FieldGraph, units: Sequence[Unit], variance: float, direction: Direction
) -> list[NDArray[np.float64]]:
    """(units, H, W) for each map of a stack of residual blocks: the expected squared gradient, as shares of all.

    With random weights a block hands 1 / (1 + v) of it through its shortcut and spreads v / (1 + v) over its nine
    taps, so that along one axis its kernel is [v/3, 1 + v/3, v/3] / (1 + v). What falls on padding is lost.

    Args:
        graph: of the stack, without shortcuts.
        units: of the output where it goes backward, of the input where it goes forward.
        variance: v, of the branch over that of the identity, the same in each block.
        direction: see `Choices`.
    """
    height, width = graph.hw(0)
    values = np.zeros((len(units), height, width))
    for index, unit in enumerate(units):
        values[index, *unit] = 1
    found = [values]
    edges = [one.edges[0] for one in graph.maps[1:]]
    for edge in edges[::-1] if direction == "backward" else edges:
        values = through_block(values, [rule for rule in (edge.y, edge.x) if isinstance(rule, Window)], variance)
        found.append(values)
    return found[::-1] if direction == "backward" else found


def network_panels(graph: FieldGraph, choices: NetworkChoices) -> tuple[Panel, ...]:
    """A panel for each map that was picked, in the order of picking.

    Raises:
        ChoiceError: the unit or its neighbour is not on its map.
        KeyError: no such map; names the nearest.
    """
    start = graph.index(choices.at)
    units = choices.units(graph.hw(choices.at))
    walk = graph.backward if choices.direction == "backward" else graph.forward
    supports = walk(start, units, to=choices.shown)
    with np.errstate(over="ignore"):  # a very deep network has more paths than a float can hold; see _network_panel
        shares = walk(start, units, kind="share", to=choices.shown)
    return tuple(_network_panel(graph, choices, name, supports, shares) for name in choices.shown)


def _network_panel(
    graph: FieldGraph, choices: NetworkChoices, name: str, supports: Mapping[int, Field], shares: Mapping[int, Field]
) -> Panel:
    index, hw = graph.index(name), graph.hw(name)
    of, to = (choices.at, name) if choices.direction == "backward" else (name, choices.at)
    problem = ""
    support = supports[index].support if index in supports else None
    share: NDArray[Any] | None = shares[index].values if support is not None else None
    if support is None:
        problem = next(iter(graph.problems(of, to)), f"{of} does not depend on {to}")
    elif share is not None and not np.isfinite(share.sum(axis=(1, 2))).all():
        share, problem = None, "more paths than a floating-point number can hold"
    same = hw == graph.hw(choices.at)
    return Panel(
        title=name, detail=_made_by(graph, index), hw=hw, support=support, share=share,
        mark=choices.unit if same else None, own=index == graph.index(choices.at), problem=problem,
    )  # fmt: skip


def _made_by(graph: FieldGraph, index: int) -> str:
    one = graph.maps[index]
    size = f"{one.shape[1]}x{one.shape[2]}"
    rules = {edge.y for edge in one.edges if one.convolves}
    dilations = {rule.dilation for rule in rules if isinstance(rule, Window) and rule.kernel > 1}
    return f"{size}, d = {dilations.pop()}" if len(dilations) == 1 else size


def related(graph: FieldGraph, at: str, direction: Direction) -> dict[str, str]:
    """Names of the maps that a map depends on, or that depend on it, as they are made, with their sizes."""
    start = graph.index(at)
    members = graph.ancestors(start) if direction == "backward" else graph.descendants(start)
    named = sorted((index, name) for name, index in graph.names.items() if index in members)
    return {name: "x".join(map(str, graph.hw(name))) for _, name in named}


def usual_maps(graph: FieldGraph, at: str, direction: Direction) -> tuple[str, ...]:
    """Up to `USUAL_MAPS` of the related maps, and the map itself, as they are made.

    Outer modules go before those inside them; where one depth has too many, they are spread over the network. Maps that
    an operator on single positions has made, such as a batch norm, are left out: they would look like their sources.
    """
    start = graph.index(at)
    alike = _alike(graph)
    names = related(graph, at, direction)
    chosen = {alike[start]: at}
    for depth in sorted({name.count(".") for name in names}):
        layer: dict[int, str] = {}
        for name in names:
            if name.count(".") == depth and alike[graph.index(name)] not in chosen:
                layer.setdefault(alike[graph.index(name)], name)
        room = min(len(layer), USUAL_MAPS - len(chosen))
        kept = np.linspace(0, len(layer) - 1, room).astype(int)
        chosen |= {i: name for order, (i, name) in enumerate(layer.items()) if order in kept}
    return tuple(sorted(chosen.values(), key=graph.index))


def _alike(graph: FieldGraph) -> list[int]:
    """For each map the first one from which operators on single positions lead to it."""
    alike: list[int] = []
    for i, one in enumerate(graph.maps):
        single = len(one.edges) == 1 and not one.problem and one.edges[0].y == one.edges[0].x == SAME
        alike.append(alike[one.edges[0].source] if single else i)
    return alike


def numbers(panel: Panel) -> Numbers:
    """The numbers of a panel, of the unit itself and, for the overlap, of its neighbour."""
    size = "x".join(map(str, panel.hw))
    positions = coverage = overlap = effective = None
    if panel.support is not None:
        unit, others = panel.support[0], panel.support[1:]
        positions = int(unit.sum())
        area = _span(unit.any(axis=1)) * _span(unit.any(axis=0))
        coverage = positions / area if positions else None
        overlap = int((unit & others).sum()) / positions if positions and len(others) and not panel.own else None
    if panel.share is not None and positions:
        effective = float(2 ** entropy_bits(panel.share[0].reshape(1, -1))[0])
    return Numbers(
        map=panel.title, detail=panel.detail, size=size, positions=positions, coverage=coverage, overlap=overlap,
        effective=effective,
    )  # fmt: skip


def _span(line: NDArray[np.bool_]) -> int:
    found = np.flatnonzero(line)
    return int(found[-1] - found[0]) + 1 if len(found) else 0


def share_text(value: float | None) -> str:
    """A share as text; only what is exactly 0 or 1 is shown so.

    Example:
        >>> share_text(1.0), share_text(2 / 3), share_text(0.9999), share_text(0.0), share_text(None)
        ('1', '0.667', '>0.999', '0', '–')
    """
    if value is None:
        return "–"
    if value in (0, 1):
        return str(int(value))
    text = f"{value:.3f}"
    return {"1.000": ">0.999", "0.000": "<0.001"}.get(text, text)
