"""Which people are in which step: a pure function of the seed and the step, so that any step can be the first.

Imports no torch.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Drawn = tuple[int, int]
"""An epoch and the number of a person; together with the seed they decide the augmented sample."""


def epoch_order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """(count,) the order in which an epoch goes through the people.

    numpy pads seeds with zeros, so the stream of (seed, epoch) is that of (seed, epoch, 0): the order of an epoch and
    the augmentation of person 0, see `dpn.data.augment`, come from one stream.

    Example:
        >>> sorted(epoch_order(0, 3, 5).tolist())
        [0, 1, 2, 3, 4]
    """
    return np.random.default_rng((seed, epoch)).permutation(count)


@dataclass(frozen=True, kw_only=True)
class Steps:
    """The batches of one process, from a step of the whole run to its end; a batch sampler for a `DataLoader`.

    Every step takes `batch` people, of which each process gets every `world`-th, so that two processes see between
    them what one with the same seed would. The people that are left at the end of an epoch are left out, others in each
    epoch; the published trainers make a smaller last batch of them.

    Attributes:
        seed: of the order.
        count: number of people.
        batch: people in one step, all processes together.
        epochs: of the whole run.
        first: the step to begin with, counted from 0 over the whole run.
        rank: of this process.
        world: number of processes.

    Raises:
        ValueError: the batch cannot be shared by the processes, or is more than the people there are.
    """

    seed: int
    count: int
    batch: int
    epochs: int
    first: int = 0
    rank: int = 0
    world: int = 1

    def __post_init__(self) -> None:
        if self.batch % self.world:
            raise ValueError(f"--batch {self.batch} cannot be shared by {self.world} processes; make it a multiple")
        if self.count < self.batch:
            raise ValueError(f"--batch {self.batch} is more than the {self.count} people there are; lower it")

    @property
    def per_epoch(self) -> int:
        """Steps of one epoch."""
        return self.count // self.batch

    @property
    def total(self) -> int:
        """Steps of the whole run."""
        return self.per_epoch * self.epochs

    def __len__(self) -> int:
        return max(0, self.total - self.first)

    def __iter__(self) -> Iterator[list[Drawn]]:
        for epoch in range(self.first // self.per_epoch, self.epochs):
            order = epoch_order(self.seed, epoch, self.count)
            begin = self.first - epoch * self.per_epoch if epoch == self.first // self.per_epoch else 0
            for step in range(begin, self.per_epoch):
                together = order[step * self.batch : (step + 1) * self.batch]
                yield [(epoch, int(number)) for number in together[self.rank :: self.world]]


def shard(count: int, rank: int, world: int) -> NDArray[np.int64]:
    """The rows that a process validates; all processes together have every row exactly once.

    A sampler that pads the last share with repeats would count some people twice.

    Example:
        >>> [shard(5, rank, 2).tolist() for rank in (0, 1)]
        [[0, 2, 4], [1, 3]]
    """
    return np.arange(rank, count, world)


def spread(count: int, most: int) -> range:
    """At most so many rows of a table of `count`, evenly from the first on.

    Example:
        >>> list(spread(25, 4)), list(spread(3, 4))
        ([0, 6, 12, 18], [0, 1, 2])
    """
    return range(0, count, max(1, count // most))[:most]
