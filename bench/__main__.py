"""`python -m bench`: list, count, measure, verify, opinions, accuracy, trained, duel, trials, compare, export."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, NoReturn

import tyro
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench import conventions, suite
from bench.choices import Choices
from bench.measuring import count_networks, measure_cells, open_store
from bench.plan import Plan
from bench.store import RECORDS
from bench.subject import Subject, parse_hw, resolve
from bench.verbs.accuracy_verbs import accuracy, trained
from bench.verbs.compare_verbs import compare, export
from bench.verbs.duel_verbs import duel, trials
from dpn import cli
from dpn.cli import Flag, Input, Json, Name
from dpn.zoo import ZOO

Suite = Annotated[str | None, tyro.conf.arg(name="suite")]


def list_(as_json: Json = False) -> None:
    """Every network of the zoo, with the row of the paper that it stands for."""
    rows = [
        {"name": spec.name, "family": spec.family, "input_hw": list(spec.input_hw), "joints": spec.joints,
         "paper": spec.paper, "spec_digest": spec.digest()}
        for spec in ZOO.values()
    ]  # fmt: skip
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    table = Table("name", "input", "joints", "in the paper", box=None, header_style="bold")
    for spec in ZOO.values():
        table.add_row(spec.name, "x".join(map(str, spec.input_hw)), str(spec.joints), spec.paper)
    Console().print(table)


def count(
    name: Name,
    input_: Input = None,
    convention: str = "macs",
    as_json: Json = False,
    layers: Flag = False,
    strict: Flag = False,
    device: str = "meta",
) -> int:
    """Counts one network, stores nothing.

    Args:
        name: a name of the zoo, or package.module:factory.
        input_: height and width of the input; by default the network's own, 256x192 for a factory.
        convention: the unit of the cost, printed first: macs, flops, gmacs, gimacs, hrnet_summary,
            hrnet_summary_truncated, gimacs_truncated or fpd.
        as_json: print one object.
        layers: one row for each counted operator too.
        strict: exit with 1 when an operator is unknown.
        device: meta, where nothing is computed, and the CPU takes over a network that needs the values of tensors; or
            cpu or cuda.
    """
    unit = conventions.lookup(convention)
    subject = resolve(name, parse_hw(input_) if input_ else None)
    from bench.counting import count_subject, unknown_operators

    counted, digest = count_subject(subject, device)
    by_kind = counted.macs_by_kind
    exact = unit.value(by_kind)
    answer: dict[str, Any] = {
        "name": name,
        "input_hw": list(subject.input_hw),
        "params": counted.params,
        "macs": counted.macs,
        "live_macs": counted.live_macs,
        "convention": convention,
        "value": int(exact) if exact.denominator == 1 else float(exact),
        "unit": unit.unit,
        "complete": counted.complete,
        "unknown": unknown_operators(counted),
        "macs_by_kind": by_kind,
        **{total: counted.total(total) for total in ("activations", "weight_bytes", "activation_bytes")},
        "spec_digest": digest,
    }
    if layers:
        answer["layers"] = [
            asdict(operator) | {"arithmetic_intensity": operator.arithmetic_intensity} for operator in counted.operators
        ]
    if as_json:
        print(json.dumps(answer))
    else:
        _print_count(answer, subject)
    for unknown in answer["unknown"]:
        print(f"unknown operator: {unknown}; the count is incomplete", file=sys.stderr)
    return 1 if strict and not counted.complete else 0


def _print_count(answer: dict[str, Any], subject: Subject) -> None:
    console = Console()
    size = "x".join(map(str, subject.input_hw))
    complete = "" if answer["complete"] else ", incomplete"
    console.print(Text.assemble((answer["name"], "bold"), f" at {size}, one image{complete}"), highlight=False)
    table = Table(box=None, show_header=False)
    table.add_column(justify="left")
    table.add_column(justify="right")
    asked = conventions.lookup(answer["convention"])
    table.add_row(f"[bold]{asked.name}, {asked.unit}[/]", f"[bold]{_cost(asked, answer)}[/]")
    for quantity in ("params", "macs", "live_macs", "activations", "weight_bytes", "activation_bytes"):
        if quantity != asked.name:
            table.add_row(quantity, f"{answer[quantity]:,}")
    for convention in conventions.CONVENTIONS.values():
        if convention.divisor > 1 and convention != asked:
            table.add_row(f"{convention.name}, {convention.unit}", _cost(convention, answer))
    console.print(table)
    if "layers" in answer:
        rows = Table("module", "kind", "output", "kernel", "dilation", "params", "MACs", "live MACs", box=None)
        for layer in answer["layers"]:
            shapes = ("x".join(map(str, layer[key])) for key in ("output_shape", "kernel", "dilation"))
            numbers = (f"{layer[key]:,}" for key in ("params", "macs", "live_macs"))
            rows.add_row(Text(layer["module"]), layer["kind"], *shapes, *numbers)
        console.print(rows)


def _cost(convention: conventions.Convention, answer: dict[str, Any]) -> str:
    """In full where the unit is one, else with three decimals."""
    by_kind = answer["macs_by_kind"]
    return convention.printed(by_kind, 3) if convention.divisor > 1 else f"{int(convention.value(by_kind)):,}"


def measure(
    *names: Name,
    suite_name: Suite = None,
    choices: Annotated[Choices, tyro.conf.OmitArgPrefixes] = Choices(),  # noqa: B008 - frozen
    plan: Annotated[Plan, tyro.conf.OmitArgPrefixes] = Plan(),  # noqa: B008 - frozen
    again: Flag = False,
    records: Path = RECORDS,
) -> int:
    """Measures networks into results/records: adds what is missing, checks stored counts against a fresh count.

    Args:
        names: names of the zoo, package.module:factory, or ONNX files; or give a suite.
        suite_name: "paper" is every network of the paper's tables, "quick" a few of them.
        choices: what is measured.
        plan: how much of it.
        again: measure times that the records have, too.
        records: the folder of the records.
    """
    plan.check()
    wanted, store = _wanted(names, suite_name, choices.input_hw()), open_store(records, write=True)
    wrong = []
    if choices.counts():
        wrong.append(count_networks(wanted, store))
    if choices.timed():
        wrong.append(measure_cells(wanted, choices, plan, store, again=again)[1])
    return _code(wrong)


def verify(
    *names: Name, suite_name: Suite = None, input_: Input = None, strict: Flag = False, records: Path = RECORDS
) -> int:
    """Counts networks afresh and compares with the stored records, exactly; writes nothing, exits with 1 if any differ.

    Args:
        names: names of the zoo or package.module:factory; or give a suite.
        suite_name: "paper" is every network of the paper's tables.
        input_: height and width of the input; by default the network's own, 256x192 for a factory.
        strict: exit with 1 when an operator is unknown, too.
        records: the folder of the records.
    """
    wanted = _wanted(names, suite_name, parse_hw(input_) if input_ else None)
    return _code([count_networks(wanted, open_store(records), write=False, strict=strict)])


def _code(wrong: Sequence[str]) -> int:
    """Says what is wrong, if anything is; the exit code."""
    for text in filter(None, wrong):
        print(f"error: {text}", file=sys.stderr)
    return 1 if any(wrong) else 0


def _wanted(names: tuple[str, ...], suite_name: str | None, input_hw: tuple[int, int] | None) -> list[Subject]:
    every = (*names, *(suite.networks(suite_name) if suite_name else ()))
    if not every:
        raise ValueError("nothing to measure; name networks (python -m bench list) or give --suite paper")
    return [resolve(name, input_hw) for name in every]


def opinions(name: Name, input_: Input = None, as_json: Json = False) -> None:
    """What fvcore, ptflops and torch's FlopCounterMode count for a network, and why they differ.

    Args:
        name: a name of the zoo, or package.module:factory.
        input_: height and width of the input.
        as_json: print one object.
    """
    subject = resolve(name, parse_hw(input_) if input_ else None)
    from bench import macs
    from bench.counting import run_subject
    from bench.opinions.second_opinions import second_opinions, to_record_detail

    net, counted, device = run_subject(subject, macs.count)
    detail = to_record_detail(second_opinions(net, (1, 3, *subject.input_hw), device=device))
    if as_json:
        print(json.dumps({"name": name, "macs": counted.macs, **detail}))
        return
    table = Table("counter", "version", "MACs", "of which not ours", "unexplained", box=None)
    table.add_row("bench.macs", "", f"{counted.macs:,}", "", "")
    for opinion in detail["opinions"]:
        if opinion["failure"]:
            table.add_row(opinion["counter"], opinion["version"], Text(opinion["failure"]), "", "")
            continue
        extras = Text("; ".join(f"{reason} {macs:+,}" for reason, macs in opinion["extras"].items()))
        table.add_row(
            opinion["counter"], opinion["version"], f"{opinion['total']:,}", extras, f"{opinion['unexplained']:,}"
        )
    Console().print(table)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Does what the words say, by default those of the command line, and exits; see `cli.run`."""
    cli.run(
        "python -m bench",
        "Counts and times networks, and keeps the numbers with their provenance.",
        {
            "list": list_,
            "count": count,
            "measure": measure,
            "verify": verify,
            "opinions": opinions,
            "accuracy": accuracy,
            "trained": trained,
            "duel": duel,
            "trials": trials,
            "compare": compare,
            "export": export,
        },
        arguments,
    )


if __name__ == "__main__":
    main()
