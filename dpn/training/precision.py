"""In which precision a recipe is trained on this machine. Imports no torch.

Recipes on synthetic figures are in bf16: where processor or GPU have arithmetic for it, a step takes about half the
time. Elsewhere torch computes it with other arithmetic, in many times the time of fp32, and fp32 is taken. The
precision is part of what a run is; runs of one recipe in two precisions are of one budget, and never compared.
"""

from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from dpn.processor import has_bf16
from dpn.training.recipe import Recipe

NVIDIA = Path("/dev/nvidiactl")
"""Is there where a GPU is."""

FALLEN_BACK = (
    "fp32 in place of bf16, for which this processor has no arithmetic; the same with --precision bf16 would take many "
    "times as long"
)

EMULATED = (
    "this processor has no arithmetic for bf16, and a step takes many times as long as with --precision fp32; that is "
    "another run, in a folder of its own"
)

AnyRecipe = TypeVar("AnyRecipe", bound=Recipe)


def for_this_machine(recipe: AnyRecipe, accelerator: str = "auto") -> AnyRecipe:
    """The recipe, in fp32 where it is in bf16 and neither a GPU nor the processor computes in that.

    Args:
        recipe: as it is named.
        accelerator: see `RunOptions`.
    """
    on_gpu = accelerator != "cpu" and NVIDIA.exists()
    return recipe if recipe.precision != "bf16" or on_gpu or has_bf16() else replace(recipe, precision="fp32")
