"""All processes of a run go on with the same run, or none does: each reads folder and data from its own file system."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch.distributed as dist

from dpn.training.errors import TrainingError


def check_alike(run: Mapping[str, Any]) -> None:
    """Compares what all processes are about to train, where there are several.

    Args:
        run: this process's, by name: the step, digests, versions and whatever else must be one.

    Raises:
        TrainingError: it is not the same in all of them; raised in each.
    """
    if not dist.is_available() or not dist.is_initialized():
        return
    runs: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(runs, dict(run))
    differences = differing(runs)
    if differences:
        raise TrainingError(
            f"the processes of this run differ: {differences}; give all machines one --folder that they share, the "
            "same data and the same packages"
        )


def differing(runs: Sequence[Mapping[str, Any]]) -> str:
    """What is not the same in all processes, with the first one that has each value; empty where all is.

    Example:
        >>> differing([{"step": 10, "torch": "2.13.0"}, {"step": 0, "torch": "2.13.0"}])
        'step 10 in process 0 and 0 in process 1'
    """
    parts = []
    for name in runs[0]:
        values = [run[name] for run in runs]
        if len(set(values)) > 1:
            first = (f"{value} in process {values.index(value)}" for value in dict.fromkeys(values))
            parts.append(f"{name} {' and '.join(first)}")
    return ", ".join(parts)
