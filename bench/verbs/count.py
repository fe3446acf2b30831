"""The verbs `count` and `opinions`: what they print, and their exit codes. Torch is imported when they run."""

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

import tyro

from bench.counts import conventions
from bench.counts.parts import parts
from bench.outlets.count_tables import show_count, show_opinions
from bench.subject import resolve
from dpn.input_size import asked_hw
from dpn.program.cli import Flag, Input, Json, Network


def count(
    network: Network,
    input_: Input = None,
    convention: str = "macs",
    printed: Annotated[str | None, tyro.conf.arg(metavar="COST")] = None,
    as_json: Json = False,
    depth: int = 0,
    layers: Flag = False,
    strict: Flag = False,
    device: str = "meta",
) -> int:
    """Counts one network, stores nothing.

    Args:
        network: a name of the zoo, or package.module:factory.
        input_: height and width of the input; by default the network's own, 256x192 for a factory.
        convention: the unit of the cost, printed first: macs, flops, gmacs, gimacs, hrnet_summary,
            hrnet_summary_truncated, gimacs_truncated or fpd.
        printed: a cost as a paper prints it, such as 8.9: which conventions print it, or come nearest?
        as_json: print one object.
        depth: one row for each part of the network too: modules whose paths have their first so many words in common.
        layers: one row for each counted operator too.
        strict: exit with 1 when an operator is unknown.
        device: meta, where nothing is computed, and the CPU takes over a network that needs the values of tensors; or
            cpu or cuda.
    """
    unit = conventions.lookup(convention)
    if depth < 0:
        raise ValueError(f"--depth {depth}: must be 1 or more, such as 1 for the parts of the whole network")
    subject = resolve(network, asked_hw(input_))
    from bench.recording.counting import count_subject, unknown_operators

    counted, digest = count_subject(subject, device)
    by_kind = counted.macs_by_kind
    exact = unit.value(by_kind)
    answer: dict[str, Any] = {
        "name": subject.name,
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
    if printed is not None:
        answer["printed"] = _printed(printed, by_kind)
    if depth:
        answer["parts"] = [asdict(part) for part in parts(counted, depth)]
    if layers:
        answer["layers"] = [
            asdict(operator) | {"arithmetic_intensity": operator.arithmetic_intensity} for operator in counted.operators
        ]
    if as_json:
        print(json.dumps(answer))
    else:
        show_count(answer)
    for unknown in answer["unknown"]:
        print(f"unknown operator: {unknown}; the count is incomplete", file=sys.stderr)
    return 1 if strict and not counted.complete else 0


def _printed(cost: str, by_kind: Mapping[str, int]) -> dict[str, Any]:
    exactly, found = conventions.printing(cost, by_kind)
    return {"cost": cost, "exactly": exactly, "conventions": found}


def opinions(network: Network, input_: Input = None, as_json: Json = False) -> None:
    """What fvcore, ptflops and torch's FlopCounterMode count for a network, and why they differ.

    Args:
        network: a name of the zoo, or package.module:factory.
        input_: height and width of the input.
        as_json: print one object.
    """
    subject = resolve(network, asked_hw(input_))
    from bench.counts import macs
    from bench.opinions.second_opinions import second_opinions, to_record_detail
    from bench.recording.counting import run_subject

    net, counted, device = run_subject(subject, macs.count)
    detail = to_record_detail(second_opinions(net, (1, 3, *subject.input_hw), device=device))
    if as_json:
        print(json.dumps({"name": subject.name, "macs": counted.macs, **detail}))
    else:
        show_opinions(counted.macs, detail["opinions"])
