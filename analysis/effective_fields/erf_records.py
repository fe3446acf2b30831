"""Effective receptive fields as records, with their maps and intervals, for a page that is made without torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import tyro

from analysis.effective_fields.erf_estimate import Estimate
from analysis.effective_fields.missing_records import Done, Wanted, add_missing, digest_of
from analysis.effective_fields.trained_weights import known_by, load_trained
from bench.provenance import measured
from bench.record import Record
from bench.store import Store
from bench.subject import Subject

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
    if trained is not None:
        weights = known_by(subjects[0], trained)
        protocol = replace(protocol, weights=weights, images=protocol.images * protocol.seeds, seeds=1)
    work = [
        Wanted(
            subject=subject, metric=METRIC, protocol=protocol.of_record(subject),
            images=protocol.images * protocol.seeds, make=partial(_made, subject, protocol, trained),
        )
        for subject in subjects
    ]  # fmt: skip
    return add_missing(work, store, again=again)


def _made(subject: Subject, protocol: Protocol, trained: Path | None, done: Done) -> Record:
    return record(subject, _estimated(subject, protocol, trained, done), protocol)


def _estimated(subject: Subject, protocol: Protocol, trained: Path | None, done: Done) -> Estimate:
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
        subject.name, digest_of(subject), METRIC, value if value is not None else 0.0,
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
