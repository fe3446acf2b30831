"""What a run is at one step, in one file that is whole or not there: weights, optimiser, position and provenance."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any

import torch
from torch import Tensor

from dpn.program.whole_files import write_whole
from dpn.training.errors import TrainingError, written
from dpn.weight_files import CheckpointError, load_plain

FORMAT = 4
"""Goes up when the content changes, so that an older program does not continue a run as something else."""

READ = (1, 2, 3, FORMAT)
"""Formats that are read. The first had neither legs nor a backbone, the second no definition; in the third nothing was
due."""


@dataclass(kw_only=True)
class State:
    """Everything that the rest of a run follows from; randomness is a function of the step and is not here.

    Attributes:
        step: steps done.
        weights: the network's state dict.
        optimizer: Adam's state dict.
        average: the moving average of the weights, where there is one.
        best: the best validation so far: its step and score.
        recipe: `Recipe.identity()`, as a run that is continued must have it.
        digest: of that recipe.
        data: names and digests of the data trained and validated on.
        versions: of python, torch and what else takes part.
        seconds: time spent so far.
        legs: what made each part of the run between two stops, see `dpn.training.legs`.
        backbone: what the network started from besides its seed, see `dpn.training.pretrained`.
        definition: of the network, see `dpn.network_names.definition_of`; empty where it is not known.
        due: the step is the last one of an epoch, whose validation and picture are yet to be made.
    """

    step: int
    weights: Mapping[str, Tensor]
    optimizer: Mapping[str, Any] = field(default_factory=dict)
    average: Mapping[str, Tensor] | None = None
    best: dict[str, float] | None = None
    recipe: dict[str, Any] = field(default_factory=dict)
    digest: str = ""
    data: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    legs: list[dict[str, Any]] = field(default_factory=list)
    backbone: dict[str, Any] | None = None
    definition: str = ""
    due: bool = False


KINDS: dict[str, type | UnionType] = {
    "step": int, "weights": dict, "optimizer": dict, "average": dict | None, "best": dict | None, "recipe": dict,
    "digest": str, "data": dict, "versions": dict, "seconds": int | float, "legs": list, "backbone": dict | None,
    "definition": str, "due": bool,
}  # fmt: skip
"""Of the attributes of a `State` that comes from a file."""


def save(path: Path, state: State, *, resumable: bool = True) -> None:
    """Writes a state so that the file is always a whole one, whatever happens meanwhile.

    Args:
        path: the file; `dpn.checkpoints.load` reads its weights like any other file's.
        state: what is written.
        resumable: with the optimiser; else the average takes the weights' place, as the network is meant to be used.

    Raises:
        TrainingError: the disk is full or the folder cannot be written; the older file is still whole.
    """
    content = dict(vars(state)) | {"format": FORMAT}
    weights = content.pop("weights")
    if not resumable:
        del content["optimizer"], content["due"]
        average = content.pop("average")
        weights = unwrapped(average) if average else weights
    buffer = io.BytesIO()
    torch.save({"state_dict": dict(weights), **content}, buffer)
    with written(path):
        write_whole(path, buffer.getbuffer())


def unwrapped(average: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a moving average under the network's own names, without its count of steps."""
    return {name.removeprefix("module."): tensor for name, tensor in average.items() if name != "n_averaged"}


def read(path: Path) -> State:
    """The state in a file.

    Raises:
        TrainingError: it is no state of a run, or of another format.
    """
    try:
        content = load_plain(path)
    except CheckpointError as error:
        raise TrainingError(f"{error}; or remove the run's folder to start afresh") from error
    if state := _state(content):
        return state
    raise TrainingError(f"{path} is no state of a run of this version; remove the run's folder to start afresh")


def _state(content: Any) -> State | None:
    """What a file holds, if it is a state."""
    if not isinstance(content, dict) or content.pop("format", None) not in READ or "optimizer" not in content:
        return None
    try:
        state = State(weights=content.pop("state_dict"), **content)
    except (KeyError, TypeError):  # without something, or with something else
        return None
    right = all(isinstance(getattr(state, name), kind) for name, kind in KINDS.items())
    return state if right and all(isinstance(leg, dict) for leg in state.legs) else None
