"""The verbs `receptive-field` and `gridding` of `python -m analysis`. Torch is imported where a network is named."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from analysis.effective_fields.gridding_records import Protocol
from analysis.receptive_fields.coupling import Coupling
from analysis.receptive_fields.field_graph import NO_OUTPUT
from analysis.receptive_fields.field_rows import coupled, extent_row, module_pairs, stack_rows
from analysis.receptive_fields.field_text import say, show_rows, shown
from analysis.receptive_fields.gridding import Gridding, Order
from analysis.receptive_fields.gridding import gridding as gridding_of
from analysis.receptive_fields.gridding import orders as orders_of
from analysis.receptive_fields.live_taps import LayerTaps, layer_taps
from analysis.receptive_fields.receptive_field import FieldGraph
from analysis.verbs.measured_verbs import measured_gridding, show_measured
from analysis.verbs.named_networks import NetworkOrNot
from bench.subject import parse_hw, resolve
from dpn.program.cli import Flag, Input, Json, message

if TYPE_CHECKING:
    from bench.subject import Subject

LONGEST = 1 << 16
"""Positions that a stack of the command line may span: beyond that a typing error is likelier than a network."""

LARGEST = 2048
"""Positions on an axis of a bounded stack, whose path matrices are the square of it."""

MOST_COUNTED = 1 << 28
"""Numbers of paths in a stack of the command line: about a quarter of a minute."""

INT64_LAYERS = 39
"""Layers of three taps whose numbers of paths fit 64 bits; Python's own integers, beyond, take eight times as long."""

BEST = 10
"""Orders that are printed; the JSON has all."""

LEFT_OUT = ("backward_coverage_2d", "forward_read", "forward_span", "forward_coverage_2d", "phases")
"""Of unbounded maps in print, so that a row fits a screen; the JSON has all."""

BRIEF = Protocol(images=16, seeds=1)
"""What --measured takes by default: a first look, in seconds."""

Dilations = Annotated[str | None, tyro.conf.arg(metavar="D,D,...")]
Map = Annotated[str | None, tyro.conf.arg(name="map", metavar="HxW")]
AMap = Annotated[str | None, tyro.conf.arg(metavar="MAP")]
Weights = Annotated[Path | None, tyro.conf.arg(metavar="FILE")]
Sample = Annotated[int | None, tyro.conf.arg(metavar="N")]


def receptive_field(
    name: NetworkOrNot = "", dilations: Dilations = None, modules: int = 1, map_: Map = None, input_: Input = None,
    to: str = "input", as_json: Json = False,
) -> None:  # fmt: skip
    """Receptive fields: of a stack of dilated convolutions, or of every map of a network.

    Args:
        name: a name of the zoo, or package.module:factory; or give --dilations.
        dilations: of a stack of 3x3 convolutions, input to output, such as 32,16,8,4,2,1.
        modules: how often the stack's module stands in a row.
        map_: height and width of the stack's maps, for what depends on their ends.
        input_: height and width of the network's input; by default its own, 256x192 for a factory.
        to: the map that is read.
        as_json: print one object.
    """
    layers = _choice(name, dilations, modules, map_, input_)
    if layers:
        _show_stack(layers, modules, _map_hw(map_, len(layers) * modules), to, as_json)
        return
    subject, graph = _traced(name, input_)
    graph.index(to)
    rows = [extent_row(graph, of, to) for of in graph.names]
    if rows[-1]["map"] == "output" and graph.problems("output", to):
        rows[-1]["probed"] = _probed(subject, graph, to)
    remarks = _remarks(graph)
    if as_json:
        print(json.dumps({"name": name, "input_hw": subject.input_hw, "to": to, "maps": rows} | remarks))
        return
    say(f"{name} at {shown(subject.input_hw)}: receptive fields in map {to}")
    show_rows(
        {
            "map": row["map"], "shape": tuple(row["shape"]), "size": _or_reason(row), "jump": row["jump_hw"],
            "centre": row["centre_hw"],
        }
        for row in rows
    )  # fmt: skip
    for remark in remarks.values():
        say(remark)


def gridding(
    name: NetworkOrNot = "", dilations: Dilations = None, modules: int = 1, map_: Map = None, orders: Flag = False,
    input_: Input = None, of: AMap = None, to: AMap = None, sample: Sample = None, measured: Flag = False,
    weights: Weights = None,
    protocol: Annotated[Protocol, tyro.conf.OmitArgPrefixes, tyro.conf.arg(name="--measured")] = BRIEF,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Gridding, exactly: of a stack of dilated convolutions, or between maps of a network; measured with --measured.

    For a network with dilation modules (maps dpm.1.0 and so on) each module's output is held against every map of the
    module; otherwise name two maps.

    Args:
        name: a name of the zoo, or package.module:factory; or give --dilations.
        dilations: of a stack of 3x3 convolutions, input to output, such as 32,16,8,4,2,1.
        modules: how often the stack's module stands in a row.
        map_: height and width of the stack's maps, for what depends on their ends.
        orders: also hold the order of a stack of one module against all others.
        input_: height and width of the network's input; by default its own, 256x192 for a factory.
        of: the later of two maps of the network; "output" by default where --to is given.
        to: the earlier of them; "input" by default where --of is given.
        sample: how many units to ask; by default all of maps of at most 4,096 positions, else 256.
        measured: also say what gradients make of the wiring in a network with weights, random or trained.
        weights: a file of trained weights to measure, or released for those that come with this project; without,
            weights are random, even where dpn would take the released ones.
        protocol: which random weights and images --measured takes.
        as_json: print one object.
    """
    layers = _choice(name, dilations, modules, map_, input_)
    if not measured and (weights is not None or protocol != BRIEF):
        raise ValueError("--weights, --initial, --source, --images and --seeds are for --measured; add it")
    if layers:
        if measured:
            raise ValueError("--measured is for a network, which has weights; name one in place of --dilations")
        if of or to or sample is not None:
            raise ValueError("--of, --to and --sample are for a network; a stack is told at every map")
        if orders and modules != 1:
            raise ValueError("--orders ranks the orders of one module; leave --modules out")
        stack = gridding_of(layers, _map_hw(map_, len(layers) * modules), modules)
        others = orders_of(layers) if orders else ()
        if as_json:
            print(json.dumps(asdict(stack) | ({"orders": [asdict(row) for row in others]} if orders else {})))
        else:
            _show_gridding(stack, others)
        return
    if orders:
        raise ValueError("--orders is for a stack; give --dilations in place of the network")
    subject, graph, pairs = _pairs(name, input_, of, to)
    rows, taps = [coupled(graph, *pair, sample) for pair in pairs], layer_taps(graph)
    more = {"measured": measured_gridding(subject, graph, pairs, protocol, weights)} if measured else {}
    if as_json:
        told = {"maps": [asdict(row) for row in rows], "layers": [asdict(row) for row in taps]}
        print(json.dumps({"name": name, "input_hw": subject.input_hw} | told | more))
        return
    _show_coupling(subject, rows, taps)
    if measured:
        show_measured(more["measured"], taps)


def _choice(name: str, dilations: str | None, modules: int, map_: str | None, input_: str | None) -> tuple[int, ...]:
    """The dilations of the stack that is asked for; empty where a network is."""
    if bool(name) == bool(dilations):
        raise ValueError("give either a network (python -m bench list) or --dilations such as 32,16,8,4,2,1")
    if not dilations:
        if modules != 1 or map_:
            raise ValueError("--modules and --map are for --dilations; a network takes --input HxW")
        return ()
    if input_:
        raise ValueError("--input is for a network; a stack takes --map HxW")
    if not re.fullmatch(r"0*[1-9]\d*(,0*[1-9]\d*)*", dilations, re.ASCII):
        raise ValueError(f"dilations are positive integers with commas, such as 32,16,8,4,2,1, not {dilations!r}")
    if re.search(r"[1-9]\d{8}", dilations):
        raise ValueError(f"a dilation is too large; give smaller ones, of at most {LONGEST:,} positions in all")
    layers = tuple(map(int, dilations.split(",")))
    if modules < 1:
        raise ValueError(f"--modules must be 1 or more, not {modules}")
    span = 1 + 2 * sum(layers) * modules
    if span > LONGEST:
        raise ValueError(f"the stack spans {span:,} positions; give smaller dilations, of at most {LONGEST:,} in all")
    depth = len(layers) * modules
    if depth**2 * span > MOST_COUNTED:
        raise ValueError(f"{depth:,} layers that span {span:,} positions have too many paths; give fewer modules")
    return layers


def _map_hw(text: str | None, depth: int) -> tuple[int, int] | None:
    if text is None:
        return None
    if not (match := re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text, re.ASCII)):
        raise ValueError(f"a map is HEIGHTxWIDTH in positions, such as 64x48, not {text!r}")
    map_hw = int(match[1][:9]), int(match[2][:9])  # of more digits the first nine are too large already
    if max(map_hw) > LARGEST:
        raise ValueError(f"a map of {text} is too large for its path matrices; give at most {LARGEST} on a side")
    counted = (depth + 1) * (map_hw[0] ** 2 + map_hw[1] ** 2) * (8 if depth > INT64_LAYERS else 1)
    if counted > MOST_COUNTED:
        raise ValueError(f"{depth:,} layers on a map of {text} have too many paths; give a smaller map or fewer layers")
    return map_hw


def _traced(name: str, input_: str | None) -> "tuple[Subject, FieldGraph]":
    subject = resolve(name, parse_hw(input_) if input_ else None)
    from analysis.receptive_fields.field_trace import trace_subject

    return subject, trace_subject(subject)[1]


def _show_stack(dilations: Sequence[int], modules: int, map_hw: tuple[int, int] | None, to: str, as_json: bool) -> None:
    rows = stack_rows(tuple(dilations) * modules, map_hw, to)
    if as_json:
        print(json.dumps({"dilations": dilations, "modules": modules, "map_hw": map_hw, "to": to, "maps": rows}))
        return
    where = f" on {shown(map_hw)}" if map_hw else ""
    say(f"dilations {','.join(map(str, dilations))}, modules {modules}, 3x3{where}: fields in map {to}, on an axis")
    say(f"receptive field {rows[-1]['rf']:,}, of which {rows[-1]['support']:,} are read")
    show_rows(rows)


def _remarks(graph: FieldGraph) -> dict[str, str]:
    """What no row of the maps says: that there is no output, and what was done with values outside of torch."""
    told = {} if "output" in graph.names else {"output": NO_OUTPUT}
    if graph.valued:
        where = ", ".join(graph.valued)
        told["values"] = f"values of maps were read in {where}: what Python made of them, branches too, is not traced"
    return told


def _or_reason(row: dict[str, Any]) -> Any:
    if probed := row.get("probed"):
        return f"unavailable: {row['unavailable']}; {probed}"
    if row["unavailable"]:
        return f"unavailable: {row['unavailable']}"
    return f"{shown(row['size_hw'])} {row['note']}" if row["note"] else tuple(row["size_hw"])


def _probed(subject: "Subject", graph: FieldGraph, to: str) -> str:
    """What gradients of the output's central unit reach where no rule leads: a lower bound, and marked as one."""
    import torch

    from analysis.effective_fields.probing import IMAGES, probe

    torch.manual_seed(0)
    height, width = graph.hw("output")
    try:
        found = probe(subject.factory(), subject.input_hw, [(height // 2, width // 2)], to=to)
    except (RuntimeError, ValueError, KeyError) as error:
        return f"not probed either: {message(error)}"
    return f"probed: at least {shown(found.at_least_hw[0])}, by gradients of {IMAGES} random images"


def _show_gridding(told: Gridding, others: Sequence[Order]) -> None:
    where = f" on {shown(told.map_hw)}" if told.map_hw else ""
    say(f"dilations {','.join(map(str, told.dilations))}, modules {told.modules}, 3x3{where}")
    say(f"receptive field {told.rf:,} on an axis, of which {told.support:,} are read")
    means = {
        "backward coverage": told.mean_backward_coverage, "forward coverage": told.mean_forward_coverage,
        "interior overlap": told.mean_interior_overlap,
    }  # fmt: skip
    say("means over maps: " + ", ".join(f"{key} {value:.4f}" for key, value in means.items() if value is not None))
    if told.hdc.m2 is not None:
        say(f"HDC: M_2 = {told.hdc.m2}, {'passes' if told.hdc.passes else 'fails'} ({told.hdc.failures})")
    show_rows((_without(asdict(row), *LEFT_OUT) for row in told.maps), "unbounded, one axis")
    if told.map_hw:
        show_rows((asdict(row) for row in told.bounded), "bounded, both axes")
        show_rows((asdict(row) for row in told.layers), f"taps; {told.live_share:.4f} of all multiply-adds are live")
    if others:
        own = next(rank for rank, row in enumerate(others, 1) if row.dilations == told.dilations)
        passing = sum(bool(row.hdc_passes) for row in others)
        title = f"{len(others):,} orders, best first; this one is number {own:,}, {passing:,} pass the HDC rule"
        best = [asdict(row) | {"dilations": ",".join(map(str, row.dilations))} for row in others[:BEST]]
        show_rows(best, title)


def _without(row: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in keys}


def _pairs(
    name: str, input_: str | None, of: str | None, to: str | None
) -> "tuple[Subject, FieldGraph, list[tuple[str, str]]]":
    """The network, its wiring and the pairs of maps that are asked about."""
    subject, graph = _traced(name, input_)
    pairs = [(of or "output", to or "input")] if of or to else module_pairs(graph)
    if not pairs:
        raise ValueError(
            f"{name} has no dilation modules (maps dpm.1.0 and so on); name two maps with --of and --to "
            f"(python -m analysis receptive-field {name} lists them)"
        )
    return subject, graph, pairs


def _show_coupling(subject: "Subject", rows: Sequence[Coupling], taps: Sequence[LayerTaps]) -> None:
    say(f"{subject.name} at {shown(subject.input_hw)}")
    show_rows((asdict(row) for row in rows), "units of the map `of` and positions of the map `to`")
    dead = [asdict(row) for row in taps if row.dead_taps]
    title = "layers with taps that only ever meet padding" if dead else "every tap of every layer meets its map"
    show_rows(dead, title)
