"""On what a recipe is trained, which does not change what is trained."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dpn.data.workers import check_workers
from dpn.training.cores import workers_for_gpu
from dpn.training.folder import RunFolder
from dpn.training.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Devices, processes, folder and what else a run needs that is not its recipe.

    Attributes:
        folder: of the run; by default runs/<recipe>/seed-<n>.
        accelerator: cpu, cuda, or whichever there is.
        devices: processes on this machine, one for each device.
        num_nodes: machines, started by torchrun or Slurm.
        workers: processes that make samples, for each device; by default one on a CPU, and for a GPU its share of the
            cores but one.
        threads: of torch in each process; 0 leaves them as they are. On a CPU they decide rounding, so a run is
            continued with the number that it was begun with.
        keep_gb: memory, in 10^9 bytes, in which each process may keep what is the same in every epoch: the images that
            it validates on, and samples where there is no augmentation, else people and their images, decoded or drawn.
            Each of the two is kept where all of it fits, and both never in more than half of the memory that is free.
        save_every_s: seconds between two saved states within an epoch; more where a thirtieth of them is too few
            for saving one.
        pictures_every: epochs between two pictures of predictions; 0 for none.
        sanity: look at the data, overfit one batch and send perfect heatmaps through the scoring first.
    """

    folder: Path | None = None
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    devices: int = 1
    num_nodes: int = 1
    workers: int | None = None
    threads: int = 0
    keep_gb: float = 4.0
    save_every_s: float = 60.0
    pictures_every: int = 5
    sanity: bool = True

    def __post_init__(self) -> None:
        if min(self.devices, self.num_nodes) < 1:
            raise ValueError(f"--devices {self.devices} and --num-nodes {self.num_nodes} are at least 1")
        check_workers(self.workers)
        if min(self.threads, self.pictures_every) < 0:
            raise ValueError("--threads and --pictures-every are not below 0")
        if not all(0 <= number < math.inf for number in (self.keep_gb, self.save_every_s)):
            raise ValueError("--keep-gb and --save-every-s are numbers from 0 on")

    def run_folder(self, recipe: Recipe) -> RunFolder:
        """The folder of this recipe's run."""
        return RunFolder(self.folder or Path("runs") / recipe.name / f"seed-{recipe.seed}")

    @property
    def processes(self) -> int:
        """In all, on all machines."""
        return self.devices * self.num_nodes

    def workers_each(self) -> int:
        """Processes that make samples for each device, when what was left open has been decided."""
        if self.workers is not None:
            return self.workers
        return workers_for_gpu(self.devices) if self.device() == "cuda" else 1

    def device(self) -> str:
        """The kind of device, when `auto` has been decided.

        Raises:
            ValueError: a GPU is asked for, and there is none.
        """
        import torch

        there = torch.cuda.is_available()
        if self.accelerator == "cuda" and not there:
            raise ValueError("--accelerator cuda: torch finds no GPU here; leave it out, or give --accelerator cpu")
        return "cuda" if there and self.accelerator != "cpu" else "cpu"
