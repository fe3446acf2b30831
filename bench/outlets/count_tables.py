"""A count, and what other counters say of it, as tables for a terminal. Imports no torch."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from bench.counts.conventions import CONVENTIONS, Convention
from bench.outlets.terminal import show, width
from bench.records.record import METRICS

LEGEND = 80
"""Characters to a line with which there is room for what the quantities mean."""

SHORT = {"convolution": "conv", "transposed_convolution": "deconv"}

QUANTITIES = ("params", "macs", "live_macs", "activations", "weight_bytes", "activation_bytes")


def show_count(answer: Mapping[str, Any]) -> None:
    """Prints what `python -m bench count` answers: the cost in every unit, and the parts and layers asked for."""
    size = "x".join(map(str, answer["input_hw"]))
    complete = "" if answer["complete"] else ", incomplete"
    title = Text.assemble((answer["name"], "bold"), f" at {size}, one image{complete}")
    Console(width=width()).print(title, highlight=False)
    _totals(answer)
    if "printed" in answer:
        _printed(answer["printed"])
    if "parts" in answer:
        _parts(answer["parts"])
    if "layers" in answer:
        _layers(answer["layers"])


def show_opinions(macs: int, opinions: Sequence[Mapping[str, Any]]) -> None:
    """Prints our multiply-adds and, of each counter, its own, why they differ and what nobody can explain."""
    rows: list[tuple[str, ...]] = [("bench.counts.macs", "", f"{macs:,}", "", "")]
    for opinion in opinions:
        total, why, left = "", opinion["failure"], ""
        if not why:
            total, left = f"{opinion['total']:,}", f"{opinion['unexplained']:,}"
            why = "; ".join(f"{reason} {extra:+,}" for reason, extra in opinion["extras"].items())
        rows.append((opinion["counter"], opinion["version"], total, left, why))
    header = ("counter", "version", "MACs", "unexplained", "of which not ours")
    show(header, rows, folds="of which not ours", numbers=("MACs", "unexplained"))


def _totals(answer: Mapping[str, Any]) -> None:
    """The convention asked for first, then the count, then the other units, each with its meaning."""
    asked = CONVENTIONS[answer["convention"]]
    rows = [(Text(f"{asked.name}, {asked.unit}", "bold"), Text(_cost(asked, answer), "bold"), asked.source)]
    rows += [
        (Text(name), Text(f"{answer[name]:,}"), METRICS[name].meaning) for name in QUANTITIES if name != asked.name
    ]
    rows += [
        (Text(f"{other.name}, {other.unit}"), Text(_cost(other, answer)), other.source)
        for other in CONVENTIONS.values()
        if other.divisor > 1 and other != asked
    ]
    legend = width() >= LEGEND
    show(
        ("quantity", "value", "meaning"),
        [(name, value, Text(meaning if legend else "", "dim")) for name, value, meaning in rows],
        folds="meaning", numbers=("value",), headed=False,
    )  # fmt: skip


def _cost(convention: Convention, answer: Mapping[str, Any]) -> str:
    """In full where the unit is one, else with three decimals."""
    by_kind = answer["macs_by_kind"]
    return convention.printed(by_kind, 3) if convention.divisor > 1 else f"{int(convention.value(by_kind)):,}"


def _printed(printed: Mapping[str, Any]) -> None:
    found = printed["conventions"]
    print(f"\n{printed['cost']} is what these print:" if printed["exactly"]
          else f"\nno convention prints {printed['cost']}; the nearest print:")  # fmt: skip
    rows = [(name, text, Text(CONVENTIONS[name].source, "dim")) for name, text in found.items()]
    show(("convention", "cost", "source"), rows, folds="source", numbers=("cost",), headed=False)


def _parts(parts: Sequence[Mapping[str, Any]]) -> None:
    print()
    total = {key: sum(part[key] for part in parts) for key in ("params", "macs", "live_macs")}

    def row(name: Text, part: Mapping[str, Any]) -> tuple[str | Text, ...]:
        share = f"{100 * part['macs'] / total['macs']:.1f}" if total["macs"] else ""
        return name, *(f"{part[key]:,}" for key in total), share

    rows = [row(Text(part["module"] or "(outside modules)"), part) for part in parts]
    numbers = ("params", "MACs", "live MACs", "% of MACs")
    show(("module", *numbers), [*rows, row(Text("total", "bold"), total)], folds="module", numbers=numbers)


def _layers(layers: Sequence[Mapping[str, Any]]) -> None:
    print()
    rows = [
        (
            layer["module"],
            SHORT.get(layer["kind"], layer["kind"]),
            "x".join(map(str, layer["output_shape"])),
            _kernel(layer["kernel"], layer["dilation"]),
            *(f"{layer[key]:,}" for key in ("params", "macs", "live_macs")),
        )
        for layer in layers
    ]
    numbers = ("params", "MACs", "live MACs")
    show(("module", "kind", "output", "kernel", *numbers), rows, folds="module", numbers=numbers)


def _kernel(kernel: Sequence[int], dilation: Sequence[int]) -> str:
    """Its size, and its dilation where it has any, once where that is the same on every axis."""
    size = "x".join(map(str, kernel))
    if all(each == 1 for each in dilation):
        return size
    return f"{size}, d={'x'.join(map(str, dilation if len({*dilation}) > 1 else dilation[:1]))}"
