"""One measurement with everything that is needed to trust and to repeat it: `Record`. Imports no torch."""

import datetime
import json
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat

SCHEMA_VERSION: Literal[2] = 2

EXACT = "exact"
"""The machine of counts: parameters and multiply-adds are counted without data and are the same on every machine."""

MACHINE_KEY = r"^[a-z0-9][a-z0-9.-]*$"
"""What the key of a machine looks like; a folder of records has its name."""

Scalar = int | FiniteFloat | str | bool


class Metric(BaseModel):
    """What a number measures.

    Attributes:
        name: its id in records, file names and tables.
        unit: singular, written out.
        version: goes up when the way of measuring changes, so that older records no longer count as current.
        exact: an integer that does not depend on the machine.
        meaning: one line for people.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    unit: str
    version: int
    exact: bool
    meaning: str


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(name="params", unit="parameter", version=1, exact=True, meaning="parameters, frozen too, shared once"),
        Metric(name="macs", unit="MAC", version=1, exact=True, meaning="nominal multiply-adds of one image"),
        Metric(name="live_macs", unit="MAC", version=1, exact=True, meaning="multiply-adds whose tap meets the map"),
        Metric(name="activations", unit="element", version=1, exact=True, meaning="outputs of counted operators"),
        Metric(name="weight_bytes", unit="byte", version=1, exact=True, meaning="weights read by counted operators"),
        Metric(name="activation_bytes", unit="byte", version=1, exact=True, meaning="maps read and written by them"),
        Metric(name="layers", unit="operator", version=1, exact=True, meaning="counted operators, one row each"),
        Metric(name="receptive_field", unit="row", version=2, exact=True, meaning="rows of the image an output reads"),
        Metric(name="second_opinions", unit="counter", version=1, exact=True, meaning="the same count by other tools"),
        Metric(name="latency", unit="second", version=2, exact=False, meaning="median over processes of a call's time"),
        Metric(name="throughput", unit="image/second", version=2, exact=False, meaning="images by time, in a row"),
        Metric(name="memory", unit="byte", version=2, exact=False, meaning="peak memory of a process that runs it"),
        Metric(name="energy", unit="joule/image", version=1, exact=False, meaning="energy of one image in steady load"),
        Metric(name="ap", unit="share", version=1, exact=False, meaning="COCO's AP of trained weights on a data set"),
        Metric(name="pckh", unit="share", version=1, exact=False, meaning="MPII's mean PCKh@0.5, likewise"),
        Metric(name="effective_field", unit="share", version=1, exact=False, meaning="area of half the gradients"),
        Metric(name="neighbour_cosine", unit="cosine", version=1, exact=False, meaning="what neighbours share"),
        Metric(name="arithmetic_ceiling", unit="MAC/second", version=1, exact=False, meaning="the fastest arithmetic"),
        Metric(name="copy_ceiling", unit="byte/second", version=1, exact=False, meaning="the fastest copy in memory"),
        Metric(name="trial", unit="ratio", version=1, exact=False, meaning="a comparison whose true answer is known"),
        Metric(name="copy", unit="second", version=1, exact=False, meaning="latency of a copy, for trials of records"),
        Metric(name="refusal", unit="cell", version=1, exact=False, meaning="a cell that cannot be measured, and why"),
    )
}


def _finite(value: float) -> float:
    """The value unchanged; nothing else can be written as JSON, or compared."""
    try:
        finite = math.isfinite(value)
    except OverflowError:  # an integer that is no float
        finite = False
    if not finite:
        raise ValueError("must be a finite number")
    return value


def now() -> str:
    """The time, as `Record.recorded_at` and others of its kind have it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def key_of(machine: str, metric: str, version: int, digest: str, protocol: Mapping[str, Any]) -> str:
    """The key of a record, made already or still to be made; see `Record` for its parts."""
    return f"{machine}/{metric}.v{version}/{digest}/{json.dumps(dict(protocol), sort_keys=True)}"


class Record(BaseModel):
    """One measured value of one network.

    Attributes:
        subject: the network's name in the zoo, or `package.module:factory`.
        spec_digest: identifies the network's definition; a record whose digest is not the zoo's is stale.
        metric: a key of `METRICS`.
        metric_version: the metric's version when this was measured.
        unit: the metric's unit.
        value: exact as measured, never rounded.
        samples: the raw samples behind the value; empty for counts.
        protocol: how it was measured (input_hw, batch, device, ...): part of the record's key.
        complete: False when an operator was met that nobody knows how to count.
        flags: what a reader must know before trusting the value: "disturbed", "no steady state", "budget spent".
        detail: whatever else the metric yields: counts by kind, columns of layers, unknown operators; what it must
            hold is in `bench.records.fields`.
        machine: the key of the machine, of small letters, digits, dots and hyphens, or "exact".
        versions: versions of python, torch and whatever else took part.
        environment: system, processor, libraries' build and settings that decide speed, flat.
        commit: the commit of this project, or "unknown" outside a checkout.
        dirty: whether the checkout had uncommitted changes to tracked code.
        recorded_at: UTC, ISO 8601, to the second.
        schema_version: of this model.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    subject: str = Field(min_length=1)
    spec_digest: str = Field(min_length=1)
    metric: str
    metric_version: int = Field(ge=1)
    unit: str
    value: Annotated[int | float, AfterValidator(_finite)]
    samples: tuple[FiniteFloat, ...] = ()
    protocol: dict[str, Scalar | list[int]]
    complete: bool = True
    flags: tuple[str, ...] = ()
    detail: dict[str, Any] = Field(default_factory=dict)
    machine: str = Field(pattern=MACHINE_KEY)
    versions: dict[str, str]
    environment: dict[str, Scalar] = Field(default_factory=dict)
    commit: str
    dirty: bool
    recorded_at: str
    schema_version: Literal[1, 2] = SCHEMA_VERSION

    def key(self) -> str:
        """Two records with one key measure the same thing in the same way on the same machine."""
        return key_of(self.machine, self.metric, self.metric_version, self.spec_digest, self.protocol)

    def provenance(self) -> str:
        """One line that says where the number comes from."""
        protocol = ", ".join(f"{name} {_plain(value)}" for name, value in self.protocol.items())
        where = "any machine" if self.machine == EXACT else self.machine
        commit = self.commit[:10] + ("+changes" if self.dirty else "")
        return f"{self.metric} of {self.subject} ({protocol}), {where}, commit {commit}, {self.recorded_at}"


Identity = tuple[str, str, str, str]


def identity(record: Record) -> Identity:
    """Subject, metric, protocol and machine: what is measured, whatever definition the network had at the time."""
    return record.subject, record.metric, json.dumps(record.protocol, sort_keys=True), record.machine


def _plain(value: Scalar | list[int]) -> str:
    return "x".join(map(str, value)) if isinstance(value, list) else str(value)
