"""The verb `receptive-field` of `python -m analysis`. Torch is imported where a network is named."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from analysis.receptive_fields.field_graph import NO_OUTPUT
from analysis.receptive_fields.field_rows import extent_row, stack_rows
from analysis.receptive_fields.field_text import say, show_rows, shown
from analysis.receptive_fields.receptive_field import FieldGraph
from analysis.verbs.arguments import NetworkOrNot, traced
from analysis.verbs.stack import Stack
from dpn.program.cli import Input, Json, message

if TYPE_CHECKING:
    from bench.subject import Subject


def receptive_field(
    name: NetworkOrNot = "",
    stack: Annotated[Stack, tyro.conf.OmitArgPrefixes] = Stack(),  # noqa: B008 - frozen
    input_: Input = None,
    to: str = "input",
    as_json: Json = False,
) -> None:
    """Receptive fields: of a stack of dilated convolutions, or of every map of a network.

    Args:
        name: a name of the zoo, or package.module:factory; or give --dilations.
        stack: in the place of a network.
        input_: height and width of the network's input; by default its own, 256x192 for a factory.
        to: the map that is read.
        as_json: print one object.
    """
    if stack.instead_of(name, input_):
        _show_stack(stack, to, as_json)
        return
    subject, graph = traced(name, input_)
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


def _show_stack(stack: Stack, to: str, as_json: bool) -> None:
    dilations, map_hw = stack.layers(), stack.map_hw()
    rows = stack_rows(dilations * stack.modules, map_hw, to)
    if as_json:
        print(json.dumps({"dilations": dilations, "modules": stack.modules, "map_hw": map_hw, "to": to, "maps": rows}))
        return
    say(f"{stack.words()}: fields in map {to}, on an axis")
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
