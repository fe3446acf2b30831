"""A sweep over a made-up table of the smallest networks, for tests that need one in a process of its own."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from dpn.program import cli
from dpn.training.recipes import Recipe
from dpn.training.sweep_jobs import Run
from dpn.training.sweep_options import SweepOptions
from dpn.verbs.sweep import swept

OPTIONS = SweepOptions(accelerator="cpu", pictures_every=0, sanity=False, workers=0, gpus=0)


def recipe(network: str, seed: int, epochs: int = 2) -> Recipe:
    return Recipe(
        name=f"made-up/{network}", network=f"tiny_network:{network}", data="synthetic:seed=1,images=24",
        val_data="synthetic:seed=2,images=4", epochs=epochs, drops=(1,), batch=8, seed=seed,
    )  # fmt: skip


def runs(options: SweepOptions, networks: Sequence[str], seeds: int, epochs: int) -> list[Run]:
    recipes = [recipe(network, seed, epochs) for seed in range(seeds) for network in networks]
    return [Run(recipe=one, where=replace(options.where(one), save_every_s=0.1)) for one in recipes]


def sweep(
    folder: Path, networks: tuple[str, ...] = ("build", "without_dropout"), seeds: int = 2, epochs: int = 2,
    at_once: int = 2, executor: Literal["local", "slurm"] = "local", as_list: bool = False, as_json: bool = False,
) -> int:  # fmt: skip
    """Trains the made-up table."""
    options = replace(OPTIONS, folder=folder, at_once=at_once, executor=executor)
    return swept(runs(options, networks, seeds, epochs), options, as_list, as_json)


if __name__ == "__main__":
    cli.run("sweep_program", "A sweep.", {"sweep": sweep, "other": lambda: None}, ["sweep", *sys.argv[1:]])
