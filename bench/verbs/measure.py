"""The verbs `list`, `measure` and `verify` of `python -m bench`. Torch is imported where something is counted."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from bench import suite
from bench.outlets.terminal import show
from bench.records.store import RECORDS
from bench.subject import Subject, resolve
from bench.sweeps.choices import Choices
from bench.sweeps.measuring import count_networks, measure_cells, open_store
from bench.sweeps.plan import Plan
from bench.verbs.arguments import Networks, Setting
from dpn.input_size import asked_hw, hw_text
from dpn.program.cli import Flag, Input, Json
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
    lines = [(spec.name, hw_text(spec.input_hw), str(spec.joints), spec.paper) for spec in ZOO.values()]
    show(("name", "input", "joints", "in the paper"), lines, folds="in the paper", numbers=("joints",))


def measure(
    networks: Networks = (),
    suite_name: Suite = None,
    choices: Setting = Choices(),  # noqa: B008 - frozen
    plan: Annotated[Plan, tyro.conf.OmitArgPrefixes] = Plan(),  # noqa: B008 - frozen
    again: Flag = False,
    records: Path = RECORDS,
) -> int:
    """Measures networks into results/records: adds what is missing, checks stored counts against a fresh count.

    Args:
        networks: names of the zoo, package.module:factory, or ONNX files; or give a suite.
        suite_name: "paper" is every network of the paper's tables, "quick" a few of them.
        choices: what is measured.
        plan: how much of it.
        again: measure times that the records have, too.
        records: the folder of the records.
    """
    plan.check()
    wanted, store = _wanted(networks, suite_name, choices.input_hw()), open_store(records, write=True)
    wrong = []
    if choices.counts():
        wrong.append(count_networks(wanted, store))
    if choices.timed():
        wrong.append(measure_cells(wanted, choices, plan, store, again=again)[1])
    return _code(wrong)


def verify(
    networks: Networks = (),
    suite_name: Suite = None,
    input_: Input = None,
    strict: Flag = False,
    records: Path = RECORDS,
) -> int:
    """Counts networks afresh and compares with the stored records, exactly; writes nothing, exits with 1 if any differ.

    Args:
        networks: names of the zoo or package.module:factory; or give a suite.
        suite_name: "paper" is every network of the paper's tables.
        input_: height and width of the input; by default the network's own, 256x192 for a factory.
        strict: exit with 1 when an operator is unknown, too.
        records: the folder of the records.
    """
    wanted = _wanted(networks, suite_name, asked_hw(input_))
    return _code([count_networks(wanted, open_store(records), write=False, strict=strict)])


def _code(wrong: Sequence[str]) -> int:
    """Says what is wrong, if anything is; the exit code."""
    for text in filter(None, wrong):
        print(f"error: {text}", file=sys.stderr)
    return 1 if any(wrong) else 0


def _wanted(networks: tuple[str, ...], suite_name: str | None, input_hw: tuple[int, int] | None) -> list[Subject]:
    every = (*networks, *(suite.networks(suite_name) if suite_name else ()))
    if not every:
        raise ValueError("nothing to measure; name networks (python -m bench list) or give --suite paper")
    return [resolve(name, input_hw) for name in every]
