"""From a network to its count records, and the check of stored counts against a fresh count."""

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import torch
from torch import nn

from bench.counts.macs import Count, CountError, count
from bench.counts.operator_counter import Operator
from bench.opinions.second_opinions import agreeing, second_opinions, to_record_detail
from bench.recording.count_changes import count_changes
from bench.records.provenance import measured
from bench.records.record import Record
from bench.records.store import Store
from bench.subject import Subject

DEVICES = ("meta", "cpu", "cuda")
"""Where a network can be counted; on meta without memory and without arithmetic."""

MAPS = frozenset({"convolution", "transposed_convolution"})
"""Kinds of operators whose outputs have their channels in front of their positions."""

TOTALS = ("live_macs", "activations", "weight_bytes", "activation_bytes")

Found = TypeVar("Found")


@dataclass
class Outcome:
    """What a run of measurements did.

    Attributes:
        added: records that were new.
        verified: stored records that a fresh count equals.
        differing: one line for each stored record that a fresh count contradicts.
        incomplete: networks with operators that nobody knows how to count, with their names.
    """

    added: int = 0
    verified: int = 0
    differing: list[str] = field(default_factory=list)
    incomplete: dict[str, list[str]] = field(default_factory=dict)


def build_subject(subject: Subject, device: str = "meta") -> nn.Module:
    """The network; on the meta device without memory for weights, unless it cannot be built so: then on the CPU.

    Constructors may read values, such as the rates of stochastic depth.
    """
    if device == "meta":
        with suppress(Exception), torch.device(device):
            return subject.factory()
        device = "cpu"
    with torch.device(device):
        return subject.factory()


def run_subject(subject: Subject, run: Callable[..., Found], device: str = "meta") -> tuple[nn.Module, Found, str]:
    """Builds a network and runs it for one image: without data, or where that fails on the CPU with seeded values.

    Args:
        subject: the network.
        run: `bench.counts.macs.count`, or what else takes a network, the shape of its input and a device.
        device: another than "meta" to run it there only.

    Returns:
        The network, what `run` found and the device that it ran on.

    Raises:
        CountError: the forward pass failed both ways.
    """
    shape, ran = (1, 3, *subject.input_hw), device
    if device == "meta":
        net = build_subject(subject)
        try:
            return net, run(net, shape, device=device), device
        except CountError:
            ran = "cpu"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = build_subject(subject, ran)
        found = run(net, shape, device=ran)
    if ran != device:
        print(f"warning: {subject.name} does not run without data, so it ran on the CPU with random values; "
              "what it does may depend on them", file=sys.stderr)  # fmt: skip
    return net, found, ran


def count_subject(subject: Subject, device: str = "meta") -> tuple[Count, str]:
    """Builds a network and counts one image as `run_subject` does; returns the count and the network's digest.

    Raises:
        CountError: the forward pass failed.
        ValueError: there is no such device.
    """
    if device != "meta":
        if not re.fullmatch(r"cpu|cuda(:\d+)?", device, re.ASCII):
            raise ValueError(f"--device {device!r} is none of {', '.join(DEVICES)}")
        from dpn.inference import device_of

        device_of(device)
    _, counted, _, digest = _counted(subject, device)
    return counted, digest


def _counted(subject: Subject, device: str = "meta") -> tuple[nn.Module, Count, str, str]:
    """The network, its count, the device that it ran on, and its digest."""
    net, counted, ran = run_subject(subject, count, device)
    return net, counted, ran, subject.digest(net, counted if ran == "meta" else None)


def count_records(subject: Subject, counted: Count, digest: str) -> Iterator[Record]:
    """All count records of a network: one for each metric that its count answers; see `count_subject`."""
    values: dict[str, tuple[int, dict[str, Any]]] = {
        "params": (counted.params, {}),
        "macs": (counted.macs, {"by_kind": counted.macs_by_kind, "free": dict(sorted(counted.free.items()))}),
        "layers": (len(counted.operators), {"columns": layer_columns(counted), "maps": stage_maps(counted)}),
        **{name: (counted.total(name), {}) for name in TOTALS},
    }
    if counted.unknown:
        values["macs"][1]["unknown"] = unknown_operators(counted)
    for metric, (value, detail) in values.items():
        yield make_record(subject, digest, metric, value, detail, complete=counted.complete)


def make_record(
    subject: Subject, digest: str, metric: str, value: int, detail: dict[str, Any], *, complete: bool = True
) -> Record:
    """A record of an exact metric, with the provenance of here and now."""
    protocol = {"input_hw": list(subject.input_hw), "batch": 1}
    return measured(subject.name, digest, metric, value, protocol=protocol, complete=complete, detail=detail)


def layer_columns(counted: Count) -> dict[str, list[Any]]:
    """The operators as columns of equal length: what figures and tables of layers are made from."""
    operators = counted.operators
    columns: dict[str, list[Any]] = {
        name: [getattr(operator, name) for operator in operators]
        for name in (
            "module", "op", "kind", "groups", "macs", "live_macs", "params", "activations",
            "weight_bytes", "activation_bytes",
        )
    }  # fmt: skip
    for name in ("kernel", "stride", "dilation"):
        columns[name] = [list(getattr(operator, name)) for operator in operators]
    outputs = [_channels_and_positions(operator) for operator in operators]
    columns["out_channels"] = [channels for channels, _ in outputs]
    columns["output_hw"] = [positions for _, positions in outputs]
    return columns


def _channels_and_positions(operator: Operator) -> tuple[int, list[int]]:
    """Of what an operator returns, without the batch: maps are (B, C, ...), all else (B, ..., C), (C) or one number.

    So 192 tokens of 128 numbers each, (1, 192, 128), are 128 channels at 192 positions.
    """
    shape = operator.output_shape
    if operator.kind in MAPS:
        return shape[1], list(shape[2:])
    return (shape[-1] if shape else 1), list(shape[1:-1])


def stage_maps(counted: Count) -> dict[str, list[int]]:
    """Output shapes, without the batch, of the network's parts and their parts, in execution order."""
    return {path: list(shape[1:]) for path, shape in counted.maps.items() if path and path.count(".") < 2}


def unknown_operators(counted: Count) -> list[str]:
    """One phrase for each unknown operator: what, how often, where."""
    return [
        f"{name} x{times}" + (f" in {module}" if module else "")
        for (name, module), times in sorted(counted.unknown.items())
    ]


def measure(subject: Subject, store: Store, outcome: Outcome, *, write: bool = True) -> None:
    """Counts a network afresh; adds what the store lacks and compares with what it has. Nothing is overwritten.

    Other counters are asked only when the store lacks their opinions, and never without `write`.
    """
    net, counted, device, digest = _counted(subject)
    _keep_counts(count_records(subject, counted, digest), store, outcome, write=write)
    opinion = partial(make_record, subject, digest, "second_opinions")
    if write and not store.bring_forward(opinion(0, {}).key(), subject.name):
        opinions = second_opinions(net, (1, 3, *subject.input_hw), device=device)
        store.append(opinion(agreeing(opinions), to_record_detail(opinions)))
        outcome.added += 1


def _keep_counts(found: Iterable[Record], store: Store, outcome: Outcome, *, write: bool) -> None:
    for fresh in found:
        add_or_verify(fresh, store, outcome, write=write)
        if fresh.metric == "macs" and not fresh.complete:
            outcome.incomplete[fresh.subject] = fresh.detail["unknown"]


def add_or_verify(fresh: Record, store: Store, outcome: Outcome, *, write: bool = True) -> None:
    """Adds an exact record that the store lacks, or holds what the store has against it.

    A record of this definition with a newer one of another behind it is added again: the newest is what readers take.
    """
    stored = store.newest(fresh.key())
    if stored is not None and (changes := count_changes(stored, fresh)):
        outcome.differing.append(_difference(stored, fresh, changes))
    elif store.is_current(fresh):
        outcome.verified += 1
    else:
        outcome.added += 1
        if write:
            store.append(fresh)


def _difference(stored: Record, fresh: Record, changes: Sequence[str]) -> str:
    values = f"stored {stored.value}, counted now {fresh.value}"
    if stored.value == fresh.value:
        values += f", but {'; '.join(changes)}"
    return f"{fresh.metric} of {fresh.subject}: {values} (stored: {stored.provenance()})"
