"""Says what a file of weights is: which networks it fits exactly, as a backbone, or nearly."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from dpn.build import build
from dpn.checkpoints import Comparison, compare, fits_as_backbone
from dpn.program.quantities import some
from dpn.spec import ModelSpec, replace
from dpn.weight_files import load_plain, state_dict_in, trained_as

NEAR = 0.3
"""A network is near when this share of all names, its own and the file's, agrees; another shape agrees by half."""


@dataclass(frozen=True, kw_only=True)
class Identification:
    """What a file of weights is.

    Attributes:
        path: of the file.
        trained_as: the network in whose training this project wrote it; empty where it says none.
        tensors: how many it holds.
        values: numbers in all of them together.
        exactly: networks whose every entry it has, and nothing else.
        as_backbone: networks that it initialises in part, without those above.
        nearly: the nearest networks, with what differs; empty when it fits others exactly.
    """

    path: Path
    trained_as: str
    tensors: int
    values: int
    exactly: tuple[str, ...]
    as_backbone: tuple[str, ...]
    nearly: Mapping[str, str]

    def __str__(self) -> str:
        origin = f"trained as {self.trained_as}, " if self.trained_as else ""
        lines = [f"{self.path}: {origin}{self.tensors} tensors with {self.values:,} values"]
        if self.exactly:
            lines.append(f"fits exactly: {', '.join(self.exactly)}")
        if self.as_backbone:
            lines.append(f"fits as a backbone: {some(list(self.as_backbone), most=8)}")
        lines += [f"nearly fits {name}: {difference}" for name, difference in self.nearly.items()]
        if len(lines) == 1:
            lines.append("fits no network")
        return "\n".join(lines)


def identify(path: Path, networks: Mapping[str, ModelSpec], *, most: int = 3) -> Identification:
    """Compares a file with networks, which are built on the meta device.

    Weights do not show what has none: networks that differ in dilations or in the input's size alone fit alike.

    Args:
        path: a file of weights.
        networks: name -> spec, such as `dpn.zoo.ZOO`.
        most: how many of the nearest networks are told.

    Raises:
        CheckpointError: the file cannot be used.
    """
    content = load_plain(path)
    found = state_dict_in(content, path)
    exactly: list[str] = []
    as_backbone: list[str] = []
    differences: dict[str, Comparison] = {}
    for names in _alike(networks):
        with torch.device("meta"):
            net = build(networks[names[0]])
        comparison = compare(net, found)
        if comparison.fits:
            exactly += names
            continue
        if fits_as_backbone(net, found):
            as_backbone += names
        differences[some(names)] = comparison
    nearest = sorted(differences, key=lambda name: -_nearness(differences[name]))[:most]
    return Identification(
        path=path,
        trained_as=trained_as(content)[0],
        tensors=len(found),
        values=sum(tensor.numel() for tensor in found.values()),
        exactly=tuple(exactly),
        as_backbone=tuple(as_backbone),
        nearly={
            name: differences[name].summary()
            for name in nearest
            if not exactly and _nearness(differences[name]) >= NEAR
        },
    )


def _alike(networks: Mapping[str, ModelSpec]) -> list[list[str]]:
    """Names of networks whose definitions differ at most in the size of the input, which no weight depends on."""
    groups: dict[str, list[str]] = {}
    for name, spec in networks.items():
        groups.setdefault(replace(spec, input_hw=(1, 1)).digest(), []).append(name)
    return list(groups.values())


def _nearness(comparison: Comparison) -> float:
    apart = len(comparison.missing) + len(comparison.unexpected)
    other_shape = len(comparison.misshapen)
    return (comparison.matching + other_shape / 2) / (comparison.matching + other_shape + apart)
