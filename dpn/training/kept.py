"""Samples that are the same in every epoch, made once and kept where all workers find them."""

import mmap
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor


class Kept:
    """Room for `count` samples `like` this one, in memory that this process shares with those that it forks.

    Memory is taken only as samples come in.
    """

    def __init__(self, like: Mapping[str, Tensor], count: int) -> None:
        fields = [(name, tensor.numpy().dtype, tuple(tensor.shape)) for name, tensor in like.items()]
        row = np.dtype([("filled", np.bool_), *fields], align=True)
        self._names = list(like)
        self._rows = np.frombuffer(mmap.mmap(-1, row.itemsize * count), row)

    def get(self, number: int) -> dict[str, Tensor] | None:
        """The sample, as views of the memory here; None where nobody has put it."""
        row = self._rows[number]
        return {name: torch.from_numpy(np.asarray(row[name])) for name in self._names} if row["filled"] else None

    def missing(self) -> int:
        """How many samples nobody has put yet."""
        return int((~self._rows["filled"]).sum())

    def put(self, number: int, sample: Mapping[str, Tensor]) -> None:
        """Keeps a sample; whoever sees that it is filled sees all of it."""
        row = self._rows[number]
        for name in self._names:
            row[name] = sample[name].numpy()
        row["filled"] = True


def size_of(like: Mapping[str, Tensor], count: int) -> int:
    """Bytes that so many such samples take."""
    return count * sum(tensor.numel() * tensor.element_size() for tensor in like.values())
