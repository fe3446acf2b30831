"""What the figures of receptive fields and gridding are drawn from: exact numbers, one row per mark. No torch.

None of them is measured, so the evidence goes unread: every number follows from dilations, strides and sizes of maps.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from analysis.evidence import Evidence
from analysis.receptive_fields.axes import SAME, Window
from analysis.receptive_fields.field_graph import Edge, Map, Pointwise
from analysis.receptive_fields.gridding import gridding, orders
from analysis.receptive_fields.live_taps import bottleneck_macs
from analysis.receptive_fields.path_matrices import support
from analysis.receptive_fields.receptive_field import FieldGraph
from analysis.receptive_fields.stacks import stack
from dpn import dilation
from dpn.spec import DPNSpec
from dpn.zoo import ZOO

SHOWN = 8
"""Positions of Figure 2 on either side of the centre: one more than any of its outputs reads."""

LAYERS = 3
"""Layers in each panel of the paper's Figure 2."""

TAPESTRIES: Mapping[str, tuple[int, ...]] = {
    "dpm": dilation.pyramid(),
    "reversed": dilation.reversed_pyramid(),
    "constant": dilation.constant(8),
    "normal": dilation.normal(),
}
"""Dilations of the tapestry's panels, by key of `style.SCHEDULES`."""

NAMES: Mapping[str, str] = {"dpm": "DPM", "reversed": "reversed", "constant": "constant", "normal": "normal"}
"""Of `TAPESTRIES` in the figures."""

BOUNDED = ("dpn1_64", "dpn1_64_highres")
"""Networks whose modules run at the paper's two sizes of map."""


def figure_2_data(_evidence: Evidence) -> pd.DataFrame:
    """One row for each position of the four maps of the four panels of the paper's Figure 2.

    Columns: panel, name, map (0 is the input), dilation and stride (of the layer that makes the map; missing for the
    input), position (in its own map, from the centre), place (the same in positions of the input), paths (to the
    centre output; 0: it reads nothing here), taps (of a position with paths: places that it reads in the map below),
    rf (the output's receptive field in this map, holes included).
    """
    width = 2 * SHOWN + 1
    panels = {
        "normal": stack(dilation.normal(LAYERS), (1, width)),
        "dilated": stack(dilation.constant(2, LAYERS), (1, width)),
        "DPM": stack(dilation.pyramid(LAYERS), (1, width)),
        "stride": _strided(width),
    }
    rows = []
    for letter, (name, graph) in zip("abcd", panels.items(), strict=True):
        rows += [{"panel": letter, "name": name, **row} for k in range(LAYERS + 1) for row in _positions(graph, k)]
    return pd.DataFrame(rows).astype({"dilation": "Int64", "stride": "Int64"})


def _strided(width: int) -> FieldGraph:
    """One row of 3-wide convolutions of stride 2, whose maps are centred where a window's middle tap stands at 2 o."""
    window = Window(3, 2, 1, 1)
    maps = [Map("input", "", (1, 1, width))]
    for layer in range(LAYERS):
        width = (width + 1) // 2
        maps.append(Map("convolution", f"layer {layer + 1}", (1, 1, width),
                        (Edge(layer, SAME, window, Pointwise(0, 0, 1)),), (layer,)))  # fmt: skip
    return FieldGraph(tuple(maps), {"input": 0, "output": LAYERS})


def _positions(graph: FieldGraph, k: int) -> list[dict[str, object]]:
    """The rows of one map of Figure 2."""
    centres = [one.shape[2] // 2 for one in graph.maps]
    jumps = [int(graph.extent(i, 0).jump_hw[1]) for i in range(len(graph.maps))]
    unit = (0, centres[-1])
    paths = graph.backward("output", [unit], kind="paths", to=[k])[k].values[0, 0]
    edge = graph.maps[k].edges[0] if k else None
    window = edge.x if edge and isinstance(edge.x, Window) else None
    rows: list[dict[str, object]] = []
    for index, count in enumerate(paths.tolist()):
        read = window.reads(np.array([index])).ravel().tolist() if window and count else []
        rows.append(
            {
                "map": k,
                "dilation": window.dilation if window else None,
                "stride": window.stride if window else None,
                "position": index - centres[k],
                "place": (index - centres[k]) * jumps[k],
                "paths": count,
                "taps": " ".join(str((tap - centres[k - 1]) * jumps[k - 1]) for tap in read),
                "rf": graph.extent("output", k).size_hw[1],
            }
        )
    return rows


def figure_tapestry_data(_evidence: Evidence) -> pd.DataFrame:
    """One row for each position that output u, at 0, or its neighbour u+1 reads, in every map of four unbounded stacks.

    Columns: schedule (a key of `TAPESTRIES`), dilations (input to output), map (0 is the input), position, readers
    ("u", "next" or "both"), coverage and overlap (of the map's row, see `gridding.MapRow`; no overlap at the output).
    """
    rows = []
    for schedule, dilations in TAPESTRIES.items():
        for one in gridding(dilations).maps:
            reads = support(dilations[one.map :])
            first = {place - reads.span // 2 for place in range(reads.span) if reads.bits >> place & 1}
            second = {place + 1 for place in first}
            for place in sorted(first | second):
                rows.append(
                    {
                        "schedule": schedule,
                        "dilations": " ".join(map(str, dilations)),
                        "map": one.map,
                        "position": place,
                        "readers": "both" if place in first & second else "u" if place in first else "next",
                        "coverage": one.backward_coverage,
                        "overlap": one.overlap,
                    }
                )
    return pd.DataFrame(rows)


def figure_orders_data(_evidence: Evidence) -> pd.DataFrame:
    """One row for each order of a DPM's dilations, the one with the largest overlap first.

    Columns: dilations (input to output), schedule ("dpm", "reversed", else empty), mean_backward_coverage,
    mean_interior_overlap, hdc_m2 and hdc_passes (the rule of Wang et al. 2018 as printed).
    """
    named = {TAPESTRIES[name]: name for name in ("dpm", "reversed")}
    return pd.DataFrame(
        {
            "dilations": " ".join(map(str, order.dilations)),
            "schedule": named.get(order.dilations, ""),
            "mean_backward_coverage": order.mean_backward_coverage,
            "mean_interior_overlap": order.mean_interior_overlap,
            "hdc_m2": order.hdc_m2,
            "hdc_passes": order.hdc_passes,
        }
        for order in orders(TAPESTRIES["dpm"])
    )


def figure_bounded_data(_evidence: Evidence) -> pd.DataFrame:
    """One row for each number that zero padding changes in a module, on the paper's two sizes of map.

    Columns: quantity ("taps": live share of a 3x3 layer's taps; "nominal macs" and "live macs": multiply-adds of a
    whole module; "inputs": effective inputs over the map's area, mean over outputs), map ("32×24"), schedule (of
    "inputs"; the others do not depend on the order), dilation and is_1x1 (of "taps"), value.
    """
    rows: list[dict[str, object]] = []
    for name in BOUNDED:
        spec = ZOO[name]
        assert isinstance(spec, DPNSpec), name
        size = "×".join(map(str, spec.module_hw))
        for schedule in ("dpm", "reversed"):
            found = gridding(TAPESTRIES[schedule], spec.module_hw)
            rows.append(
                {"quantity": "inputs", "map": size, "schedule": schedule, "value": found.bounded[0].effective_share}
            )
            if schedule != "dpm":
                continue
            for layer in found.layers:
                step, one = layer.dilation_hw[0], layer.is_1x1
                rows.append(
                    {"quantity": "taps", "map": size, "dilation": step, "is_1x1": one, "value": layer.live_share}
                )
            nominal, live = bottleneck_macs(found.layers, spec.channels, spec.width)
            rows += [
                {"quantity": f"{kind} macs", "map": size, "value": macs}
                for kind, macs in (("nominal", nominal), ("live", live))
            ]
    order = ["quantity", "map", "schedule", "dilation", "is_1x1", "value"]
    return pd.DataFrame(rows)[order].astype({"dilation": "Int64", "is_1x1": "boolean"})
