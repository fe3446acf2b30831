"""How much neighbouring outputs of a module share, with weights, as records for a page that is made without torch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from analysis.effective_fields import erf_inputs
from analysis.effective_fields.missing_records import Done, Wanted, add_missing, digest_of
from analysis.effective_fields.trained_weights import initial_kind, known_by, load_trained
from bench.records.provenance import measured
from bench.records.record import Record
from bench.records.store import Store
from bench.subject import Subject

if TYPE_CHECKING:
    from torch import Tensor, nn

    from analysis.effective_fields.gridding_measured import Measured, Watched
    from analysis.receptive_fields.receptive_field import FieldGraph

METRIC = "neighbour_cosine"

LIGHT = tuple(f"dpn1_32{schedule}_lite" for schedule in ("", "_reversed", "_normal", "_d2", "_d4", "_d6", "_d8"))
"""Networks of one module, one for each schedule of Tables II, III and V, that are trained at the quick budget."""

DEEP = "dpn4_32"
"""The network whose trained weights come with this project."""

SHOWN = (*LIGHT, DEEP)

STEPS = ((1, 0), (0, 1))
"""From a unit to the neighbours below and to the right."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How networks with weights are looked at: what makes two measurements comparable.

    Attributes:
        initial: how random weights are drawn: calibrated (He et al., batch norm fitted to the images), he (batch norm
            left alone), given (as the network is built); by default calibrated, and given for a network of your own
            that dpn.build does not make, or that its factory has trained.
        source: of the images: noise, synthetic (figures drawn by a program), or a folder.
        images: that each network gets, at least two; cosines rise with them.
        seeds: random initialisations, numbered from 0; each is one independent draw.
    """

    initial: Annotated[str | None, tyro.conf.arg(metavar="KIND")] = None
    source: str = "synthetic"
    images: int = 32
    seeds: int = 8

    def check(self) -> None:
        """Raises a ValueError where there is too little to measure."""
        if self.images < 2 or self.seeds < 1:
            raise ValueError(
                f"--images {self.images}, --seeds {self.seeds}: an interval takes at least two images, and random "
                "weights one initialisation"
            )

    def networks(self, trained: Path | None) -> int:
        """How many networks are looked at."""
        return self.seeds if trained is None else 1

    def weights(self, subject: Subject, trained: Path | None) -> str:
        """Which weights, in the words of a record: the digest of their file, or how they are drawn."""
        if trained is not None:
            return known_by(subject, trained)
        return f"random, {initial_kind(subject, self.initial)}"

    def of_record(self, subject: Subject, trained: Path | None, of: str) -> dict[str, Any]:
        """As a record's protocol; `of` is the map of the units."""
        return {
            "input_hw": list(subject.input_hw), "of": of, "weights": self.weights(subject, trained),
            "source": erf_inputs.source(self.source).name, "images": self.images, "seeds": self.networks(trained),
        }  # fmt: skip


PROTOCOL = Protocol()
"""How the cosines on the page are measured."""


def pictures(subject: Subject, protocol: Protocol) -> "Tensor":
    """The images (B, 3, H, W) that a network gets.

    Raises:
        InputError: a folder that has none, or fewer than two.
        ValueError: fewer than two are asked for, or so many that they would fill the memory.
    """
    import numpy as np
    import torch

    protocol.check()
    found = erf_inputs.at_once(erf_inputs.source(protocol.source), subject.input_hw, protocol.images)
    if len(found) < 2:
        raise erf_inputs.InputError(f"{protocol.source} has one image; two are needed for an interval")
    return torch.as_tensor(np.stack(found))


def networks(subject: Subject, protocol: Protocol, images: "Tensor", trained: Path | None) -> "Iterator[nn.Module]":
    """The network with its trained weights, or one after another with random ones."""
    if trained is not None:
        yield load_trained(subject, trained)
        return
    from analysis.effective_fields.random_weights import drawn

    kind = protocol.weights(subject, None).removeprefix("random, ")
    for seed in range(protocol.seeds):
        yield drawn(subject.factory, seed, images[:8], kind)


def measure_neighbours(
    subjects: Sequence[Subject], store: Store, protocol: Protocol, *, trained: Path | None = None, again: bool = False
) -> int:  # fmt: skip
    """Measures the networks that the store lacks, with a progress bar; returns how many records were added.

    Args:
        subjects: the networks; each has dilation modules, of which the last is looked at.
        store: where the records go.
        protocol: how.
        trained: a file of weights that fits every subject, instead of random ones.
        again: measure what the store has, too.

    Raises:
        ValueError: a network has no dilation modules, or the weights are of another network.
    """
    work = []
    for subject in subjects:
        watched = last_module(subject)
        told = protocol.of_record(subject, trained, watched.of)
        work.append(
            Wanted(
                subject=subject, metric=METRIC, protocol=told, images=protocol.images * protocol.networks(trained),
                make=partial(_made, subject, watched, protocol, trained, told),
            )
        )  # fmt: skip
    return add_missing(work, store, again=again)


def around_middle(graph: "FieldGraph", of: str, to: Sequence[str], also: Sequence[str] = ()) -> "Watched":
    """The middle unit of a map, or the last that has a unit below and to the right, and those of its neighbours.

    Raises:
        ValueError: the map is a single unit.
    """
    from analysis.effective_fields.gridding_measured import Watched

    map_hw = graph.hw(of)
    y, x = (max(min(size // 2, size - 2), 0) for size in map_hw)
    steps = tuple((dy, dx) for dy, dx in STEPS if y + dy < map_hw[0] and x + dx < map_hw[1])
    if not steps:
        raise ValueError(f"{of} is a single unit and has no neighbours; give a larger input, or another map with --of")
    return Watched(units=((y, x),), of=of, to=tuple(to), also=tuple(also), steps=steps)


def last_module(subject: Subject) -> "Watched":
    """The middle unit of a network's last dilation module, its maps between, and the map that the module reads.

    Raises:
        ValueError: the network has no dilation modules.
    """
    from analysis.receptive_fields.field_rows import module_pairs
    from analysis.receptive_fields.field_trace import trace_subject

    graph = trace_subject(subject)[1]
    pairs = module_pairs(graph)
    if not pairs:
        raise ValueError(f"{subject.name} has no dilation modules (maps dpm.1.0 and so on), whose gridding this is")
    of = pairs[-1][0]
    module = of.rpartition(".")[0] + "."
    maps = [to for last, to in pairs if last == of]
    between, entering = ([to for to in maps if to.startswith(module) == inside] for inside in (True, False))
    return around_middle(graph, of, between, entering)


def _made(
    subject: Subject, watched: "Watched", protocol: Protocol, trained: Path | None, told: dict[str, Any], done: Done
) -> Record:
    from analysis.effective_fields.gridding_measured import measured_neighbours

    images = pictures(subject, protocol)
    cosines, _ = measured_neighbours(networks(subject, protocol, images, trained), images, watched, done=done)
    return record(subject, watched, cosines, told)


def record(subject: Subject, watched: "Watched", rows: "Sequence[Measured]", told: dict[str, Any]) -> Record:
    """The record of a measurement; its value is the mean over the maps between the module's input and output.

    Its intervals are the bootstrap's percentiles, which `few_draws.over_draws` makes as wide as its draws ask for.
    """
    *each, mean = rows
    return measured(
        subject.name, digest_of(subject), METRIC, mean.value, protocol=told,
        detail={
            "unit": list(watched.units[0]), "interval": [mean.low, mean.high], "between": list(watched.to),
            "entering": list(watched.also), "pairs": mean.units, "networks": mean.networks,
            "maps": {row.map: {"value": row.value, "interval": [row.low, row.high]} for row in each},
        },
    )  # fmt: skip
