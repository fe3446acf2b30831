"""How many cores of this machine make samples for a GPU. Imports no torch."""

import os

from dpn import processor

MOST_UNASKED = 32
"""Processes that make samples for a GPU unless somebody asks for more: they make over 4,000 a second, more than any
network here learns from, and the batches that each keeps ready are in shared memory."""


def workers_for_gpu(gpus: int) -> int:
    """Processes that make samples for each of so many GPUs at work: its cores but one, which the process itself needs.

    Its cores are its share of them all, or what Slurm gives it. There are `MOST_UNASKED` at most, and samples do not
    depend on how many make them.
    """
    own = os.environ.get("SLURM_CPUS_PER_TASK", "") if os.environ.get("SLURM_NTASKS", "1") != "1" else ""
    cores = processor.granted_cores()
    share = min(cores, int(own)) if own.isdecimal() else cores // gpus
    return min(MOST_UNASKED, max(1, share - 1))
