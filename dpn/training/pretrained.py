"""The weights that a network's backbone starts from: which file is meant, and what of it went into the network."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from dpn.checkpoints import load_backbone
from dpn.training import state
from dpn.training.errors import TrainingError
from dpn.training.folder import RunFolder
from dpn.training.recipe import BY_CONTENT, Recipe, by_content

Origin = dict[str, Any]
"""What was loaded, as plain data: file (its name), sha256 (as `by_content` has it), tensors (how many), of (how many
the network has)."""


def settled(recipe: Recipe, folder: RunFolder) -> tuple[Recipe, Path | None]:
    """The recipe with what its file of weights is known by, so that nobody reads that again, and the file.

    A run that was begun with a file of this name goes on although the file is gone: its weights are in the state.

    Raises:
        ValueError: the file is missing.
    """
    if not recipe.backbone or recipe.backbone.startswith(BY_CONTENT):
        return recipe, None
    path = Path(recipe.backbone)
    begun = None if path.is_file() else _begun(folder)
    if begun and begun["file"] == path.name:
        return replace(recipe, backbone=begun["sha256"]), None
    return replace(recipe, backbone=by_content(recipe.backbone)), path


def _begun(folder: RunFolder) -> Origin | None:
    """What the folder's run was begun with."""
    result = folder.result()
    if result is not None:
        return result.get("backbone")
    return state.read(folder.last).backbone if folder.last.is_file() else None


def into(net: nn.Module, recipe: Recipe, path: Path | None) -> Origin:
    """Loads the backbone of a network whose run begins.

    Args:
        net: with its seed's weights.
        recipe: as `settled` returns it.
        path: likewise.

    Raises:
        CheckpointError: the file cannot be used, or is of another backbone.
        TrainingError: no backbone is known for this network, or there is no file.
    """
    if path is None:
        raise TrainingError(f"a run starts from a file and not from {recipe.backbone}; give it with --backbone FILE")
    try:
        loaded = load_backbone(net, path)
    except TypeError as error:
        raise TrainingError(f"{path} cannot be used: {error}; train {recipe.network} without --backbone") from error
    return {"file": path.name, "sha256": recipe.backbone, "tensors": len(loaded), "of": len(net.state_dict())}


def words(origin: Origin) -> str:
    """What was loaded, in one line.

    Example:
        >>> words({"file": "resnet50.pth", "sha256": "sha256:19c8e3570123", "tensors": 120, "of": 240})
        '120 of 240 tensors of the network start from resnet50.pth (sha256:19c8e3570123), the others from the seed'
    """
    return (
        f"{origin['tensors']} of {origin['of']} tensors of the network start from {origin['file']} "
        f"({origin['sha256']}), the others from the seed"
    )
