"""Records of what gradients say of networks: their keys, and the loop that makes those that a store lacks. No torch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.machine import environment
from bench.records.record import METRICS, Record, key_of
from bench.records.store import Store
from bench.subject import Subject
from dpn.program.progress import progress

Done = Callable[[int], None]
"""Told how many images went through a network."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A record that is to be there.

    Attributes:
        subject: the network.
        metric: of the record.
        protocol: of the record.
        images: that go through the network, over all initialisations.
        make: makes it.
    """

    subject: Subject
    metric: str
    protocol: dict[str, Any]
    images: int
    make: Callable[[Done], Record]


def key(subject: Subject, metric: str, protocol: dict[str, Any]) -> str:
    """The key that a record will have."""
    return key_of(environment.machine("cpu"), metric, METRICS[metric].version, digest_of(subject), protocol)


def digest_of(subject: Subject) -> str:
    """What a record names a network by: `bench.subject.Subject.digest`, for which a factory is called."""
    return subject.spec_digest() or subject.digest(subject.factory())


def add_missing(work: Sequence[Wanted], store: Store, *, again: bool) -> int:
    """Makes the records that the store lacks, or all again, with a progress bar; returns how many were added."""
    missing = [one for one in work if again or store.newest(key(one.subject, one.metric, one.protocol)) is None]
    with progress(total=sum(one.images for one in missing)) as bar:
        for one in missing:
            bar.advance(0, one.subject.name)
            store.append(one.make(bar.advance))
    return len(missing)
