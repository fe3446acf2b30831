"""In which precision a recipe is trained on this machine. Imports no torch until it looks for a GPU or at a state.

Recipes on synthetic figures are in bf16: where processor or GPU have arithmetic for it, a step takes about half the
time. Elsewhere torch computes it with other arithmetic, in many times the time of fp32, and fp32 is taken. The
precision is part of what a run is, and one that has begun keeps it wherever it goes on; runs of one recipe in two
precisions are of one budget, and never compared.
"""

from contextlib import suppress
from dataclasses import replace
from typing import Any, get_args

from dpn.processor import has_bf16
from dpn.training.folder import RunFolder
from dpn.training.options import RunOptions
from dpn.training.recipe import Precision, Recipe

FALLEN_BACK = "fp32 in place of bf16, for which this processor has no arithmetic"

EMULATED = (
    "this processor has no arithmetic for bf16, and a step takes many times as long as with --precision fp32; that is "
    "another run, in a folder of its own"
)


def for_this_machine(recipe: Recipe, where: RunOptions) -> Recipe:
    """The recipe; one in bf16 in the precision of its run, or in fp32 where that has not begun and nothing has bf16.

    Runs on several machines stay as they are: each would choose by itself, and all must choose alike.

    Args:
        recipe: as it is named.
        where: on what it is trained, and in which folder.
    """
    if recipe.precision != "bf16" or where.num_nodes > 1:
        return recipe
    return replace(recipe, precision=_begun_in(where.run_folder(recipe)) or _fitting(where))


def _begun_in(folder: RunFolder) -> Precision | None:
    """The precision of the folder's run; None where none has begun."""
    found: Any = None
    with suppress(Exception):  # whatever is damaged is told of by what needs the rest of it
        found = (folder.result() or {}).get("fields", {}).get("precision")
        if found is None and folder.last.is_file():
            from dpn.training import state

            found = state.read(folder.last, mapped=True).recipe.get("precision")
    return found if found in get_args(Precision) else None


def _fitting(where: RunOptions) -> Precision:
    if has_bf16():
        return "bf16"
    if where.accelerator == "cpu":
        return "fp32"
    import torch

    return "bf16" if torch.cuda.is_available() else "fp32"
