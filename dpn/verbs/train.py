"""`python -m dpn train` and `recipes`. Imports no torch until a run begins."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from dpn.program.cli import Json
from dpn.program.missing import install
from dpn.program.progress import progress
from dpn.training.options import RunOptions
from dpn.training.recipes import RECIPES, Recipe, find


@dataclass(frozen=True, kw_only=True)
class AskedRecipe(Recipe):
    """A recipe as it was typed."""

    input: Annotated[str, tyro.conf.arg(metavar="HxW")] = Recipe.input

    def __post_init__(self) -> None:
        """Checks nothing: tyro would show what is wrong in a box, and the verb says it in one line."""


@dataclass(frozen=True, kw_only=True)
class AskedRunOptions(RunOptions):
    """On what, as it was typed."""

    def __post_init__(self) -> None:
        """See `AskedRecipe`."""


def recipes(as_json: Json = False) -> None:
    """Every recipe: the trained rows of the paper's tables, and the same on synthetic figures.

    Args:
        as_json: print one object, by name: all fields of each recipe.
    """
    if as_json:
        print(json.dumps({name: asdict(recipe) for name, recipe in RECIPES.items()}, indent=1))
        return
    width = max(map(len, RECIPES))
    for name, recipe in RECIPES.items():
        drops = "/".join(map(str, recipe.drops))
        print(f"{name:{width}}  {recipe.epochs} epochs, drops {drops}, batch {recipe.batch}, {recipe.data}")


def train_named(name: str) -> Callable[..., int]:
    """The verb that trains this recipe; its options show the recipe's own values.

    Raises:
        KeyError: no such recipe.
    """
    named = find(name)
    base = AskedRecipe(**vars(named))

    def train(
        recipe: Annotated[AskedRecipe, tyro.conf.OmitArgPrefixes] = base,
        where: Annotated[AskedRunOptions, tyro.conf.OmitArgPrefixes] = AskedRunOptions(),
        as_json: Json = False,
    ) -> int:
        """Trains a recipe, or goes on with a run that was stopped; the same command does both.

        Args:
            recipe: what is trained; another value makes it another run, which needs a folder of its own.
            where: on what.
            as_json: print the result as one object.
        """
        what, on = Recipe(**vars(recipe)), RunOptions(**vars(where))
        try:
            from dpn.training.run import train as run
        except ModuleNotFoundError as error:
            if (error.name or "").split(".")[0] != "lightning":
                raise
            raise RuntimeError(f"training needs Lightning; {install('training')}") from error
        from dpn.training.processes import rank
        from dpn.training.stopping import Stopped

        folder, speaks = on.run_folder(what), not rank()  # the first of several processes
        with progress(what.name, shown=speaks) as told:
            try:
                result = run(what, on, told)
            except Stopped:
                if speaks:
                    print(f"stopped and saved in {folder.path}; the same command goes on", file=sys.stderr)
                return 130 if speaks else 0
        if speaks:
            print(json.dumps(result) if as_json else _said(result, folder.path))
        return 0

    return train


def _said(result: dict[str, Any], folder: Path) -> str:
    """The result in one line."""
    return (f"{result['recipe']}: score {result['scores']['score']:.4f} after {result['steps']} steps, best "
            f"{result['best']['score']:.4f}; {folder}")  # fmt: skip
