"""Effective receptive fields as records, with their maps and intervals, for a page that is made without torch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import tyro

from analysis.effective_fields.erf_estimate import Estimate
from analysis.effective_fields.trained_weights import load_trained
from bench import environment
from bench.provenance import measured
from bench.record import METRICS, Record, key_of
from bench.store import Store
from bench.subject import Subject
from dpn.network_names import file_digest
from dpn.released import file_of

METRIC = "effective_field"

SHOWN = ("dpn1_32", "dpn1_32_reversed", "dpn1_32_normal", "dpn1_32_d2", "dpn1_32_d4", "dpn1_32_d6", "dpn1_32_d8")
"""Networks of one module, one for each schedule of Tables II, III and V."""

HALF = "area_50"
"""The scalar that stands for the whole record."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How an effective field is estimated: what makes two of them comparable.

    Attributes:
        of: the map of the central unit.
        to: the map that the field is in.
        recipe: of the estimator.
        weights: how they were drawn, such as "random, he", or the digest of the file that they are from.
        source: of the images.
        images: for each initialisation.
        seeds: initialisations, numbered from 0; each is one independent draw.
    """

    of: str = "dpm.1"
    to: str = "conv2"
    recipe: str = "squared"
    weights: Annotated[str, tyro.conf.arg(name="initial")] = "random, calibrated"
    source: str = "noise"
    images: int = 4
    seeds: int = 16

    def of_record(self, subject: Subject) -> dict[str, Any]:
        """As a record's protocol."""
        return {"input_hw": list(subject.input_hw), **self.__dict__}


PROTOCOL = Protocol()
"""How the fields on the page are estimated."""


def key(subject: Subject, protocol: Protocol, device: str = "cpu") -> str:
    """The key that a record will have."""
    version, digest = METRICS[METRIC].version, str(subject.spec_digest())
    return key_of(environment.machine(device), METRIC, version, digest, protocol.of_record(subject))


def measure_effective(
    subjects: Sequence[Subject], store: Store, protocol: Protocol, *, trained: Path | None = None, again: bool = False
) -> int:  # fmt: skip
    """Estimates the fields that the store lacks, with a progress bar; returns how many were added.

    Args:
        subjects: the networks.
        store: where the records go.
        protocol: how; with trained weights all of its images go through the one network.
        trained: a file of weights that fits every subject, instead of random ones.
        again: estimate what the store has, too.

    Raises:
        ValueError: the weights are of another network.
    """
    from bench.measuring import bar

    if trained is not None:
        digest = file_digest(file_of(subjects[0].name, trained))
        protocol = replace(protocol, weights=f"sha256:{digest}", images=protocol.images * protocol.seeds, seeds=1)
    wanted = [s for s in subjects if again or store.newest(key(s, protocol)) is None]
    with bar() as shown:
        task = shown.add_task("", total=len(wanted) * protocol.images * protocol.seeds)
        for subject in wanted:
            shown.update(task, description=subject.name)
            found = _estimated(subject, protocol, trained, lambda n: shown.advance(task, n))
            store.append(record(subject, found, protocol))
    return len(wanted)


def _estimated(subject: Subject, protocol: Protocol, trained: Path | None, done: Callable[[int], None]) -> Estimate:
    from analysis.effective_fields import erf_inputs
    from analysis.effective_fields.effective import Question, estimate_random, estimates

    question = Question(of=protocol.of, to=(protocol.to,), recipe=protocol.recipe)
    images = list(erf_inputs.source(protocol.source).images(subject.input_hw, protocol.images))
    if trained is not None:
        return estimates(load_trained(subject, trained), images, question, done=done)[protocol.to]
    initial = protocol.weights.removeprefix("random, ")
    return estimate_random(
        subject.factory, range(protocol.seeds), images, question, weights=initial, done=done
    )[protocol.to]  # fmt: skip


def record(subject: Subject, found: Estimate, protocol: Protocol) -> Record:
    """The record of an estimate; its value is the share of the map's area around half of the mass."""
    scalars = {name: _scalar(scalar) for name, scalar in found.scalars().items()}
    value = scalars[HALF]["value"]
    mean = found.mean
    return measured(
        subject.name, subject.spec_digest() or subject.name, METRIC, value if value is not None else 0.0,
        protocol=protocol.of_record(subject), complete=value is not None,
        flags=("saturated",) if found.saturated else (),
        detail={
            "map": (mean / (mean.sum() or 1.0)).tolist(), "unit": list(found.unit), "n": found.independent,
            "scalars": scalars, "convergence": found.convergence().tolist(),
        },
    )  # fmt: skip


def _scalar(scalar: Any) -> Mapping[str, Any]:
    interval = scalar.interval
    return {"value": scalar.value, "interval": None if interval is None else [interval.low, interval.high]}
