"""Effective receptive fields as records, with their maps and intervals, for a page that is made without torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import tyro

from analysis.effective_fields import erf_inputs
from analysis.effective_fields.erf_estimate import Estimate, Scalar
from analysis.effective_fields.missing_records import Done, Wanted, add_missing, digest_of
from analysis.effective_fields.trained_weights import initial_kind, known_by, load_trained
from bench.records.provenance import measured
from bench.records.record import Record
from bench.records.store import Store
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
        initial: how random weights are drawn: calibrated (He et al., batch norm fitted to the images), he (batch norm
            left alone), given (as the network is built); by default calibrated, and given for a network of your own
            that dpn.build does not make, or that its factory has trained.
        source: of the images: noise, synthetic (figures drawn by a program), or a folder.
        images: for each initialisation.
        seeds: initialisations, numbered from 0; each is one independent draw.
    """

    of: str = "dpm.1"
    to: str = "conv2"
    recipe: str = "squared"
    initial: Annotated[str | None, tyro.conf.arg(metavar="KIND")] = None
    source: str = "noise"
    images: int = 4
    seeds: int = 16

    def of_record(self, subject: Subject, trained: Path | None = None) -> dict[str, Any]:
        """As a record's protocol; all images go through the one network that has trained weights.

        Raises:
            InputError: the source is a folder that is not there or has no images.
        """
        weights = f"random, {initial_kind(subject, self.initial)}" if trained is None else known_by(subject, trained)
        images, seeds = (self.images, self.seeds) if trained is None else (self.images * self.seeds, 1)
        return {
            "input_hw": list(subject.input_hw), "of": self.of, "to": self.to, "recipe": self.recipe,
            "weights": weights, "source": erf_inputs.source(self.source).name, "images": images, "seeds": seeds,
        }  # fmt: skip


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
        InputError: the source is a folder that is not there or has no images.
        ValueError: the weights are of another network, or so many images would fill the memory.
    """
    work = []
    for subject in subjects:
        told = protocol.of_record(subject, trained)
        work.append(
            Wanted(
                subject=subject, metric=METRIC, protocol=told, images=protocol.images * protocol.seeds,
                make=partial(_made, subject, protocol, trained, told),
            )
        )  # fmt: skip
    return add_missing(work, store, again=again)


def _made(subject: Subject, protocol: Protocol, trained: Path | None, told: dict[str, Any], done: Done) -> Record:
    from analysis.effective_fields.effective import Question, estimate_random, estimates

    question = Question(of=protocol.of, to=(protocol.to,), recipe=protocol.recipe)
    images = erf_inputs.at_once(erf_inputs.source(protocol.source), subject.input_hw, told["images"])
    _check_maps(subject, protocol)
    if trained is not None:
        found = estimates(load_trained(subject, trained), images, question, done=done)
    else:
        initial = initial_kind(subject, protocol.initial)
        found = estimate_random(subject.factory, range(protocol.seeds), images, question, weights=initial, done=done)
    return record(subject, found[protocol.to], told)


def _check_maps(subject: Subject, protocol: Protocol) -> None:
    """Raises a KeyError where the network has no such maps; says how to name others."""
    import torch

    from analysis.effective_fields.effective import shapes_read

    try:
        shapes_read(subject.factory(), torch.zeros(1, 3, *subject.input_hw), protocol.of, [protocol.to])
    except KeyError as error:
        raise KeyError(
            f"{subject.name}: {error.args[0]}; name two of its maps with --of and --to "
            f"(python -m analysis receptive-field {subject.name} lists them)"
        ) from error


def record(subject: Subject, found: Estimate, told: dict[str, Any]) -> Record:
    """The record of an estimate; its value is the share of the map's area around half of the mass.

    Its intervals are the bootstrap's percentiles, which `few_draws.widened` makes as wide as its n asks for.
    """
    scalars = {name: _scalar(scalar) for name, scalar in found.scalars().items()}
    value = scalars[HALF]["value"]
    mean = found.mean
    return measured(
        subject.name, digest_of(subject), METRIC, value if value is not None else 0.0,
        protocol=told, complete=value is not None,
        flags=("saturated",) if found.saturated else (),
        detail={
            "map": (mean / (mean.sum() or 1.0)).tolist(), "unit": list(found.unit), "n": found.independent,
            "scalars": scalars, "convergence": found.convergence().tolist(),
        },
    )  # fmt: skip


def _scalar(scalar: Scalar) -> Mapping[str, Any]:
    return {"value": scalar.value, "interval": None if scalar.ends is None else list(scalar.ends)}
