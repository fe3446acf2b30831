"""Batches of samples for one process, from any step of a run to its end."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dpn.data.augment import NONE
from dpn.data.people import Examples
from dpn.data.problems import DataError
from dpn.data.samples import TrainingSamples, collate, worker_init
from dpn.protocols import Protocol
from dpn.training.kept import Kept, kept, kept_people, once
from dpn.training.order import Drawn, Steps
from dpn.training.stopping import obey_parent, shielded

NEEDED = ("crop", "joints", "visible")
"""Of a sample in training."""


class Stream(Dataset[Any]):
    """Samples by epoch and number, so that worker processes need not be told when an epoch begins.

    What is the same in every epoch is made once and kept where all of it fits into `room` bytes: samples where there is
    no augmentation, else people and their images.

    Raises:
        DataError: the first image is missing or cannot be decoded.
    """

    def __init__(
        self, examples: Examples, protocol: Protocol, input_hw: tuple[int, int], seed: int, room: int = 0
    ) -> None:  # fmt: skip
        still = protocol.augmentation == NONE
        people = examples if still else kept_people(examples, room)
        self._samples = TrainingSamples(people, protocol, input_hw, seed)
        self._kept: Kept | None = None
        if still and room:
            self._kept = kept(_arrays(self._samples[0]), len(self._samples), room, alike=True)

    def missing(self) -> int | None:
        """How many samples are yet to be made; None where they are made anew in every epoch."""
        return self._kept.missing() if self._kept else None

    def __getitem__(self, drawn: Drawn) -> Any:
        """The sample, or what is wrong with it, see `dpn.data.samples.collate`."""
        epoch, number = drawn
        self._samples.set_epoch(epoch)
        try:
            arrays = once(self._kept, number, lambda: _arrays(self._samples[number]))
        except DataError as error:
            return error
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_kept": None}  # a worker that is spawned shares no memory, and makes its own samples


def _arrays(sample: dict[str, Tensor]) -> dict[str, Any]:
    return {name: tensor.numpy() for name, tensor in sample.items()}


class Batches:
    """What the trainer iterates over; starts its workers when the first batch is asked for.

    Attributes:
        steps: which samples are in which batch.
    """

    def __init__(self, stream: Stream, steps: Steps, workers: int, *, pinned: bool) -> None:
        self.steps = steps
        self._stream, self._workers, self._pinned = stream, workers, pinned

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        """Batches of what is `NEEDED` of samples, as `dpn.data.samples.tensors` has it, stacked.

        Once samples are kept, this process puts them together by itself: it has that done sooner than it has taken a
        batch from another process.

        Raises:
            DataError: an image is missing or cannot be decoded.
        """
        left = self.steps
        while len(left):
            missing = self._stream.missing()
            made_here = missing is not None and missing < left.batch  # an epoch leaves out less than a batch
            until = left.epochs if made_here or missing is None else left.first // left.per_epoch + 1
            with shielded():  # its workers are started here
                batches = iter(self._loader(replace(left, epochs=until), 0 if made_here else self._workers))
            for batch in batches:
                if isinstance(batch, DataError):
                    raise batch
                yield batch
            left = replace(left, first=until * left.per_epoch)

    def _loader(self, steps: Steps, workers: int) -> DataLoader[Any]:
        return DataLoader(
            self._stream, batch_sampler=steps, num_workers=workers, collate_fn=partial(collate, names=NEEDED),
            worker_init_fn=_begin, pin_memory=self._pinned, prefetch_factor=4 if workers else None,
        )  # fmt: skip


def _begin(worker: int) -> None:
    worker_init(worker)
    obey_parent()
    sys.excepthook = _said


def _said(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Shows an error of a worker's threads, unless it is that whoever takes its batches was killed meanwhile."""
    if not issubclass(kind, EOFError | ConnectionError):
        sys.__excepthook__(kind, error, trace)
