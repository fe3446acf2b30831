"""How the runs of a sweep are started, as frozen data: `SweepOptions`. Imports no torch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dpn.training.memory import room
from dpn.training.options import RunOptions
from dpn.training.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class SweepOptions:
    """How the runs of a sweep are started.

    Attributes:
        executor: on this machine, or as jobs of a Slurm cluster.
        folder: of all runs; each is in <recipe>/seed-<n> below it.
        at_once: runs at the same time; by default one for each physical core, or for each GPU, and with Slurm all.
        accelerator: cpu, cuda, or whichever there is.
        threads: of torch in each run; on a CPU they decide rounding, so runs are continued with the same number.
        workers: processes that make samples, for each run; by default one, with GPUs each run's share of the cores
            but one, and on a cluster 4 for each GPU.
        pictures_every: epochs between two pictures of predictions; 0 for none.
        sanity: look at data, network and scoring before each run.
        partition: of the cluster; by default its own default.
        gpus: of each run on the cluster; 0 trains on CPUs.
        time_min: minutes that the cluster gives a run; one that needs more is put into the queue again and goes on.
    """

    executor: Literal["local", "slurm"] = "local"
    folder: Path = Path("runs")
    at_once: int | None = None
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = 1
    workers: int | None = None
    pictures_every: int = 5
    sanity: bool = True
    partition: str | None = None
    gpus: int = 1
    time_min: int = 24 * 60

    def where(self, recipe: Recipe) -> RunOptions:
        """What a run is told; the folder's name is that of a run by hand, below another root."""
        own = RunOptions().run_folder(recipe).path
        on_cluster = self.executor == "slurm"
        return RunOptions(
            folder=self.folder / own.relative_to(own.parts[0]),
            accelerator="cpu" if on_cluster and not self.gpus else self.accelerator,
            devices=max(1, self.gpus) if on_cluster else 1,
            workers=self.workers,
            threads=self.threads,
            keep_gb=RunOptions.keep_gb if on_cluster else room(RunOptions.keep_gb, self.at_once or 1) / 1e9,
            pictures_every=self.pictures_every,
            sanity=self.sanity,
        )
