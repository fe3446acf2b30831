"""The verb `gridding` of `python -m analysis`. Torch is imported where a network is named."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from analysis.effective_fields.gridding_records import Protocol
from analysis.effective_fields.trained_weights import doubt
from analysis.effective_fields.untraced_axes import caution
from analysis.receptive_fields.field_graph import UnavailableError
from analysis.receptive_fields.field_rows import Row, coupled, module_pairs
from analysis.receptive_fields.field_text import say, show_rows, shown
from analysis.receptive_fields.gridding import Gridding, Order
from analysis.receptive_fields.gridding import gridding as gridding_of
from analysis.receptive_fields.gridding import orders as orders_of
from analysis.receptive_fields.live_taps import LayerTaps, layer_taps
from analysis.receptive_fields.receptive_field import FieldGraph
from analysis.verbs.arguments import NetworkOrNot, traced
from analysis.verbs.measured_gridding import measured_gridding, show_measured
from analysis.verbs.stack import Stack
from dpn.program.cli import Flag, Json, note

if TYPE_CHECKING:
    from bench.subject import Subject

BEST = 10
"""Orders that are printed; the JSON has all."""

LEFT_OUT = ("backward_coverage_2d", "forward_read", "forward_span", "forward_coverage_2d", "phases")
"""Of unbounded maps in print, so that a row fits a screen; the JSON has all."""

BRIEF = Protocol(images=16, seeds=1)
"""What --measured takes by default: a first look, in seconds."""


@dataclass(frozen=True, kw_only=True)
class RankedStack(Stack):
    """A stack, and whether to rank its orders.

    Attributes:
        orders: also hold the order of a stack of one module against all others.
    """

    orders: Flag = False


@dataclass(frozen=True, kw_only=True)
class Between:
    """Which units of a network are asked about.

    Attributes:
        input: height and width of the network's input; by default its own, 256x192 for a factory.
        of: the later of two maps of the network; "output" by default where --to is given.
        to: the earlier of them; "input" by default where --of is given.
        sample: how many units to ask; by default all of maps of at most 4,096 positions, else 256.
    """

    input: Annotated[str | None, tyro.conf.arg(metavar="HxW")] = None
    of: Annotated[str | None, tyro.conf.arg(metavar="MAP")] = None
    to: Annotated[str | None, tyro.conf.arg(metavar="MAP")] = None
    sample: Annotated[int | None, tyro.conf.arg(metavar="N")] = None

    def pairs(self, name: str, graph: FieldGraph) -> list[tuple[str, str]]:
        """The later and the earlier map of each question about the network of that name.

        Raises:
            ValueError: no maps are named, and it has no dilation modules.
        """
        pairs = [(self.of or "output", self.to or "input")] if self.of or self.to else module_pairs(graph)
        if not pairs:
            raise ValueError(
                f"{name} has no dilation modules (maps dpm.1.0 and so on); name two maps with --of and --to "
                f"(python -m analysis receptive-field {name} lists them)"
            )
        return pairs


def gridding(
    name: NetworkOrNot = "",
    stack: Annotated[RankedStack, tyro.conf.OmitArgPrefixes] = RankedStack(),
    between: Annotated[Between, tyro.conf.OmitArgPrefixes, tyro.conf.arg(name="network")] = Between(),
    measured: Flag = False,
    weights: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None,
    protocol: Annotated[Protocol, tyro.conf.OmitArgPrefixes, tyro.conf.arg(name="--measured")] = BRIEF,
    as_json: Json = False,
) -> None:
    """Gridding, exactly: of a stack of dilated convolutions, or between maps of a network; measured with --measured.

    For a network with dilation modules (maps dpm.1.0 and so on) each module's output is held against every map of the
    module; otherwise name two maps.

    Args:
        name: a name of the zoo, or package.module:factory; or give --dilations.
        stack: in the place of a network.
        between: which units of the network.
        measured: also say what gradients make of the wiring in a network with weights, random or trained; they take
            every map for (B, C, H, W), and need no wiring that can be told exactly.
        weights: a file of trained weights to measure, or released for those that come with this project; without,
            weights are random, even where dpn would take the released ones.
        protocol: which random weights and images --measured takes.
        as_json: print one object.
    """
    if not measured and (weights is not None or protocol != BRIEF):
        raise ValueError("--weights, --initial, --source, --images and --seeds are for --measured; add it")
    if stack.instead_of(name, between.input):
        if measured:
            raise ValueError("--measured is for a network, which has weights; name one in place of --dilations")
        if between != Between():
            raise ValueError("--of, --to and --sample are for a network; a stack is told at every map")
        _of_stack(stack, as_json)
        return
    if stack.orders:
        raise ValueError("--orders is for a stack; give --dilations in place of the network")
    subject, graph = traced(name, between.input)
    pairs = between.pairs(name, graph)
    rows = [_row(graph, *pair, between.sample, or_reason=measured) for pair in pairs]
    taps = layer_taps(graph)
    note(doubt(subject, protocol.initial, weights) if measured else "")
    more = {"measured": measured_gridding(subject, graph, pairs, protocol, weights)} if measured else {}
    if measured:
        note(caution(more["measured"]["untraced"]))
    if as_json:
        told = {"maps": rows, "layers": [asdict(row) for row in taps]}
        print(json.dumps({"name": name, "input_hw": subject.input_hw} | told | more))
        return
    _show_coupling(subject, rows, taps)
    if measured:
        show_measured(more["measured"], taps)


def _row(graph: FieldGraph, of: str, to: str, sample: int | None, *, or_reason: bool) -> Row:
    """How units of one map share positions of another; where asked, the operator that keeps that from being told."""
    try:
        return asdict(coupled(graph, of, to, sample))
    except UnavailableError as error:
        if not or_reason or not graph.problems(of, to):
            raise
        return {"of": of, "to": to, "unavailable": str(error)}


def _of_stack(stack: RankedStack, as_json: bool) -> None:
    if stack.orders and stack.modules != 1:
        raise ValueError("--orders ranks the orders of one module; leave --modules out")
    layers = stack.layers()
    found = gridding_of(layers, stack.map_hw(), stack.modules)
    others = orders_of(layers) if stack.orders else ()
    if as_json:
        print(json.dumps(asdict(found) | ({"orders": [asdict(row) for row in others]} if stack.orders else {})))
    else:
        _show_gridding(stack, found, others)


def _show_gridding(stack: RankedStack, told: Gridding, others: Sequence[Order]) -> None:
    say(stack.words())
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


def _show_coupling(subject: "Subject", rows: Sequence[Row], taps: Sequence[LayerTaps]) -> None:
    say(f"{subject.name} at {shown(subject.input_hw)}")
    if told := [row for row in rows if "unavailable" not in row]:
        show_rows(told, "units of the map `of` and positions of the map `to`")
    for row in rows:
        if "unavailable" in row:
            say(f"units of {row['of']} and positions of {row['to']}: unavailable: {row['unavailable']}")
    dead = [asdict(row) for row in taps if row.dead_taps]
    title = "layers with taps that only ever meet padding" if dead else "every tap of every layer meets its map"
    show_rows(dead, title)
