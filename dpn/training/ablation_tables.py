"""Which recipes each table of ablations compares, at which budget. Imports no torch."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from dpn import dilation
from dpn.spec import DPNLiteSpec, DPNSpec
from dpn.training.recipes import RECIPES, Recipe
from dpn.zoo import ZOO

Budget = Literal["quick", "full", "coco"]
"""The first word of a recipe's name: synthetic figures behind the light stem, synthetic figures, or COCO."""

Table = Literal["table-2", "table-3", "table-4", "table-5"]

ENDS = (1, 4)
"""Modules of the networks in Table III."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """What the networks of a table have in common, and what they differ in.

    Attributes:
        width: of their modules, see `DPNSpec`; behind the light stem there is only one.
        dilations: whether such dilations are compared.
        low: only modules at 32x24.
        modules: numbers of modules; empty for any.
    """

    width: int
    dilations: Callable[[tuple[int, ...]], bool]
    low: bool = True
    modules: tuple[int, ...] = ()

    def have(self, spec: DPNSpec) -> bool:
        """Whether the table compares this network."""
        return (
            (spec.width == self.width or isinstance(spec, DPNLiteSpec))
            and self.dilations(spec.dilations)
            and (spec.conv2_stride == 2 or not self.low)
            and (spec.modules in self.modules or not self.modules)
        )


def _same_or_pyramid(dilations: tuple[int, ...]) -> bool:
    return len(set(dilations)) == 1 or dilations == dilation.pyramid()


TABLES: Mapping[Table, Rows] = {
    "table-2": Rows(width=64, dilations=(dilation.pyramid(), dilation.normal()).__contains__),
    "table-3": Rows(width=32, dilations=_same_or_pyramid, modules=ENDS),
    "table-4": Rows(width=64, dilations=dilation.pyramid().__eq__, low=False),
    "table-5": Rows(width=32, dilations=(dilation.pyramid(), dilation.reversed_pyramid()).__contains__),
}


def recipes_of(table: Table, budget: Budget) -> tuple[Recipe, ...]:
    """The recipes whose results the table compares, at that budget.

    Example:
        >>> [recipe.network for recipe in recipes_of("table-5", "full")][3:5]
        ['dpn4_32', 'dpn1_32_reversed']
    """
    rows = TABLES[table]
    return tuple(recipe for recipe, spec in _of_budget(budget) if rows.have(spec))


def recipes_of_all(
    tables: Iterable[Table], budget: Budget, seeds: int, data: str | None = None, val_data: str | None = None
) -> tuple[Recipe, ...]:
    """The recipes of several tables with each of the seeds 0, 1, ..., those that tables share once.

    All recipes with one seed come before the next seed, so that a sweep that is stopped has compared them all.

    Args:
        tables: which.
        budget: see `Budget`.
        seeds: how many.
        data: trained on, and validated on its other split, in place of the recipes' own.
        val_data: validated on instead.

    Raises:
        ValueError: fewer than one seed.
    """
    if seeds < 1:
        raise ValueError(f"--seeds is at least 1, not {seeds}")
    found = {recipe.name: recipe for table in tables for recipe in recipes_of(table, budget)}
    recipes = list(found.values())
    if data:
        recipes = [replace(recipe, data=data, val_data="") for recipe in recipes]
    if val_data:
        recipes = [replace(recipe, val_data=val_data) for recipe in recipes]
    return tuple(replace(recipe, seed=seed) for seed in range(seeds) for recipe in recipes)


def _of_budget(budget: Budget) -> Iterator[tuple[Recipe, DPNSpec]]:
    for name, recipe in RECIPES.items():
        spec = ZOO[recipe.network]
        if name.startswith(f"{budget}/") and isinstance(spec, DPNSpec):
            yield recipe, spec
