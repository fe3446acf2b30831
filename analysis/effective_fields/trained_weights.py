"""Which weights a network is looked at with: those of a file, those that come with this project, or random ones."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from bench.subject import Subject
from dpn.digests import file_digest
from dpn.program.cli import note
from dpn.released import file_of

if TYPE_CHECKING:
    from torch import nn


def known_by(subject: Subject, weights: Path) -> str:
    """What stands for the weights in a record: the digest of their file."""
    return f"sha256:{file_digest(file_of(subject.name, weights))}"


def initial_kind(subject: Subject, asked: str | None) -> str:
    """How random weights of a network are drawn; where nothing is asked, calibrated, and given for your own network.

    What a factory makes with `dpn.build` is no network of your own while its batch norms have seen no image: as it is
    built nothing of it but its shortcuts would be seen (`analysis.effective_fields.random_weights`).
    """
    if asked or subject.spec:
        return asked or "calibrated"
    kind = _new(subject.factory)
    return "calibrated" if kind is not None and kind.__module__.startswith("dpn.networks.") else "given"


def doubt(subject: Subject, asked: str | None, trained: Path | None) -> str:
    """What to tell a user who gets a new network's own weights without asking; nothing where there is nothing.

    Args:
        subject: the network.
        asked: how random weights are to be drawn, if that is asked.
        trained: a file of weights, instead of random ones.
    """
    if asked or trained is not None or initial_kind(subject, None) != "given" or _new(subject.factory) is None:
        return ""
    return (
        f"{subject.name} has the weights that it is built with, and its batch norms have seen no image: branches may "
        "come to nothing beside their shortcuts; --initial calibrated draws others, --initial given keeps these"
    )


@lru_cache(maxsize=16)
def _new(factory: "Callable[[], nn.Module]") -> "type[nn.Module] | None":
    """The class of what a factory builds, if it has batch norms and none has seen an image: trained networks differ."""
    from torch.nn.parameter import is_lazy

    from bench.running.torch_networks import norms

    net = factory()
    means = [norm.running_mean for _, norm in norms(net)]
    return type(net) if means and all(is_lazy(mean) or not mean.any() for mean in means) else None


def load_trained(subject: Subject, weights: Path) -> "nn.Module":
    """The network with the weights of a file, or with those that come with this project; says what is odd about them.

    Raises:
        CheckpointError: the file cannot be used, or is not this network's.
    """
    from dpn.checkpoints import load

    net = subject.factory()
    note(load(net, file_of(subject.name, weights)))
    return net
