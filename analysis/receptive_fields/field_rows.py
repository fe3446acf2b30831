"""The rows that `python -m analysis receptive-field` and `gridding` show, as plain dictionaries. No torch."""

import re
from collections.abc import Sequence
from fractions import Fraction
from itertools import repeat
from math import prod
from typing import Any

from analysis.receptive_fields.axes import UnboundedError
from analysis.receptive_fields.coupling import Coupling, coupling
from analysis.receptive_fields.field_graph import UnavailableError
from analysis.receptive_fields.live_taps import layer_taps
from analysis.receptive_fields.path_matrices import forward_paths, path_counts, support
from analysis.receptive_fields.receptive_field import FieldGraph
from analysis.receptive_fields.stacks import stack

ALL_UNITS = 4096
"""Positions of a map up to which all its units are asked by default."""

SAMPLE = 256

Row = dict[str, Any]


def stack_rows(layers: Sequence[int], map_hw: tuple[int, int] | None, to: str) -> list[Row]:
    """What units of each map of a stack read of one of its maps, on an axis; with `map_hw` also what ends do to it.

    Raises:
        KeyError: no such map; names the nearest.
    """
    graph = stack(layers, map_hw or (1, 1))
    start = graph.index(to)
    taps = layer_taps(graph) if map_hw else ()
    reads = zip(*(forward_paths(layers[start:], size) for size in map_hw), strict=True) if map_hw else repeat(())
    rows = []
    for k, axes in zip(range(start, len(layers) + 1), reads, strict=False):
        below = layers[start:k]
        found = support(below)
        row = {
            "map": f"layer {k}" if k else "input", "dilation": below[-1] if below else None, "rf": found.span,
            "support": found.read, "coverage": found.coverage, "coverage_2d": found.coverage**2,
            "most_paths": int(path_counts(below).max()),
        }  # fmt: skip
        if map_hw:
            tap = taps[k - 1] if k > start else None
            row["mean_share_of_map"] = prod(float((axis > 0).mean()) for axis in axes)
            row |= {key: getattr(tap, key, None) for key in ("live_taps", "dead_taps", "live_share", "is_1x1")}
        rows.append(row)
    return rows


def extent_row(graph: FieldGraph, of: str, to: str) -> Row:
    """Size, jump and centre of the fields that units of one map have in another, or why that cannot be told.

    Where units differ, the size is that of the map's central unit, and `note` says so: on maps without ends, or on the
    given ones where a rule in between, such as that of adaptive pooling, holds on its own map only.
    """
    row: Row = {"map": of, "shape": list(graph.maps[graph.index(of)].shape), "note": None, "unavailable": None}
    absent: Row = {"size_hw": None, "jump_hw": None, "centre_hw": None}
    try:
        extent = graph.extent(of, to)
    except UnavailableError as error:
        try:
            central, maps = graph.central_hw(of, to), ""
        except UnboundedError:
            central, maps = _bounded_hw(graph, of, to), ", on this map"
        except UnavailableError:
            return row | absent | {"unavailable": str(error)}
        return row | absent | {"size_hw": list(central), "note": f"of the central unit{maps}: {error}"}
    jump, centre = ([_exact(value) for value in pair] for pair in (extent.jump_hw, extent.centre_hw))
    return row | {"size_hw": list(extent.size_hw), "jump_hw": jump, "centre_hw": centre}


def _bounded_hw(graph: FieldGraph, of: str, to: str) -> tuple[int, int]:
    """Height and width of what the central unit of one map reads of another, on maps that end where they end."""
    height, width = graph.hw(of)
    return graph.backward(of, [(height // 2, width // 2)], to=[to])[graph.index(to)].extent_hw


def _exact(value: Fraction) -> int | str:
    return int(value) if value.denominator == 1 else str(value)


def coupled(graph: FieldGraph, of: str, to: str, sample: int | None) -> Coupling:
    """As `coupling`, with a sample by default where a map is large."""
    if sample is None:
        sample = None if all(prod(graph.hw(name)) <= ALL_UNITS for name in (of, to)) else SAMPLE
    return coupling(graph, of, to, sample=sample)


def module_pairs(graph: FieldGraph) -> list[tuple[str, str]]:
    """Each dilation module's output with every map of the module, the map that enters it first."""
    blocks: dict[str, list[str]] = {}
    for name in graph.names:
        if match := re.fullmatch(r"((?:.*\.)?dpm\.\d+)\.\d+", name):
            blocks.setdefault(match[1], []).append(name)
    pairs = []
    for names in blocks.values():
        ordered = sorted(names, key=graph.index)
        before = _entering(graph, ordered[0])
        pairs += [(ordered[-1], to) for to in [*before, *ordered[:-1]]]
    return pairs


def _entering(graph: FieldGraph, block: str) -> list[str]:
    """The shortest name of the map that a block reads, where it has one."""
    first = next((one for one in graph.maps if one.module.startswith(f"{block}.") and one.edges), None)
    names = [name for name, index in graph.names.items() if first and index == first.edges[0].source]
    return [min(names, key=len)] if names else []
