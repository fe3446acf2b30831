"""Which weights a network is looked at with: those of a file, those that come with this project, or random ones."""

from pathlib import Path
from typing import TYPE_CHECKING

from bench.subject import Subject
from dpn.digests import file_digest
from dpn.released import file_of

if TYPE_CHECKING:
    from torch import nn


def known_by(subject: Subject, weights: Path) -> str:
    """What stands for the weights in a record: the digest of their file."""
    return f"sha256:{file_digest(file_of(subject.name, weights))}"


def initial_kind(subject: Subject, asked: str | None) -> str:
    """How random weights of a network are drawn; where nothing is asked, calibrated, and given for your own network."""
    return asked or ("calibrated" if subject.spec else "given")


def load_trained(subject: Subject, weights: Path) -> "nn.Module":
    """The network with the weights of a file, or with those that come with this project.

    Raises:
        CheckpointError: the file cannot be used, or is not this network's.
    """
    from dpn.checkpoints import load

    net = subject.factory()
    load(net, file_of(subject.name, weights))
    return net
