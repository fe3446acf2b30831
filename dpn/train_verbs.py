"""`python -m dpn train` and `recipes`. Imports no torch until a run begins."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import tyro

from dpn.training.options import Where
from dpn.training.recipes import RECIPES, Recipe, find

Json = Annotated[bool, tyro.conf.arg(name="json"), tyro.conf.FlagCreatePairsOff]

REMEDY = "training needs Lightning; install it: pip install 'dpn-workbench[training]'"


def recipes(as_json: Json = False) -> None:
    """Every recipe: the trained rows of the paper's tables, and the same on synthetic figures.

    Args:
        as_json: print one object for each recipe, with all fields.
    """
    if as_json:
        print(json.dumps({name: recipe.identity() for name, recipe in RECIPES.items()}, indent=1))
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
    base = find(name)

    def train(
        recipe: Annotated[Recipe, tyro.conf.OmitArgPrefixes] = base,
        where: Annotated[Where, tyro.conf.OmitArgPrefixes] = Where(),  # noqa: B008 - frozen
        as_json: Json = False,
    ) -> int:
        """Trains a recipe, or goes on with a run that was stopped; the same command does both.

        Args:
            recipe: what is trained; another value makes it another run, which needs a folder of its own.
            where: on what.
            as_json: print the result as one object.
        """
        try:
            from dpn.training.run import train as run
        except ModuleNotFoundError as error:
            if (error.name or "").split(".")[0] != "lightning":
                raise
            raise RuntimeError(REMEDY) from error
        from dpn.training.stopping import Stopped

        folder = where.run_folder(recipe)
        with _progress(recipe.name) as told:
            try:
                result = run(recipe, where, told)
            except Stopped:
                print(f"stopped and saved in {folder.path}; the same command goes on", file=sys.stderr)
                return 130
        if as_json:
            print(json.dumps(result))
        else:
            print(f"{recipe.name}: score {result['scores']['score']:.4f} after {result['steps']} steps, "
                  f"best {result['best']['score']:.4f}; {folder.path}")  # fmt: skip
        return 0

    return train


@contextmanager
def _progress(title: str) -> Iterator[Callable[[int, int, str], None] | None]:
    """A bar on a terminal with the time that is left; nothing where there is none, or no rich."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich import progress
    from rich.console import Console

    columns = (progress.TextColumn("{task.description}"), progress.BarColumn(), progress.TaskProgressColumn(),
               progress.TimeElapsedColumn(), progress.TimeRemainingColumn())  # fmt: skip
    with progress.Progress(*columns, console=Console(stderr=True)) as shown:
        task = shown.add_task(title, total=None)
        yield lambda done, total, text: shown.update(task, completed=done, total=total, description=f"{title} {text}")
