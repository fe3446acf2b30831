"""What is the same in every epoch, made once and kept where all workers find it. Imports no torch."""

import mmap
import multiprocessing
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpn.arrays import Pixels
from dpn.data.opening import LabelledPeople
from dpn.data.people import DataSet, Example, Examples, Images
from dpn.skeletons import Skeleton

Arrays = Mapping[str, NDArray[Any]]

ALIGNED = 64
"""Bytes at whose multiples arrays begin."""


class Kept:
    """Rows of arrays, in memory that this process shares with those that it forks.

    Arrays of one name have the same type and the same number of axes in every row; their sizes may differ. Memory is
    taken only as rows come in, and rows that find no room are not kept.

    Attributes:
        room: bytes that all rows may take.
    """

    def __init__(self, like: Arrays, count: int, room: int) -> None:
        """Room for `count` rows `like` this one, of `room` bytes in all.

        Raises:
            OSError: the system does not have so much.
        """
        self.room = room
        shapes = [(name, np.int64, (array.ndim,)) for name, array in like.items()]
        row = np.dtype([("at", np.int64), *shapes])
        self._types = {name: array.dtype for name, array in like.items()}
        self._rows = np.frombuffer(mmap.mmap(-1, row.itemsize * count), row)
        self._end = np.frombuffer(mmap.mmap(-1, 8), np.int64)
        self._end[0] = ALIGNED  # 0 is the place of a row that nobody has put
        self._memory = mmap.mmap(-1, ALIGNED + room)
        self._lock = multiprocessing.Lock()

    def get(self, number: int) -> dict[str, NDArray[Any]] | None:
        """The row, as views of the memory here; None where it is not kept."""
        with self._lock:  # else another processor may see where a row is before the row
            row = self._rows[number].copy()
        at = int(row["at"])
        return self._views(at, {name: row[name].tolist() for name in self._types}) if at else None

    def missing(self) -> int:
        """How many rows are not kept."""
        return int((self._rows["at"] == 0).sum())

    def put(self, number: int, arrays: Arrays) -> None:
        """Keeps a row if there is room."""
        with self._lock:
            row, at = self._rows[number], int(self._end[0])
            end = at + _bytes(arrays)
            if row["at"] or end > len(self._memory):
                return
            self._end[0] = end
            for name, view in self._views(at, {name: arrays[name].shape for name in self._types}).items():
                view[...] = arrays[name]
                row[name] = view.shape
            row["at"] = at

    def _views(self, at: int, shapes: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
        views = {}
        for name, dtype in self._types.items():
            views[name] = np.ndarray(shapes[name], dtype, self._memory, at)
            at += _aligned(views[name].nbytes)
        return views


def kept(like: Arrays, count: int, room: int, *, alike: bool) -> Kept | None:
    """Room for `count` rows and the first of them in it, or None where they would take more than `room` bytes.

    Args:
        like: the first row.
        count: how many there are.
        room: in bytes.
        alike: whether the arrays of all rows have one size; else they are judged by the first, and may take half as
            much again if there is so much room.
    """
    needed = count * _bytes(like)
    if needed <= room:
        with suppress(OSError):
            rows = Kept(like, count, needed if alike else min(room, needed * 3 // 2))
            rows.put(0, like)
            return rows
    return None


def once(rows: Kept | None, number: int, make: Callable[[], Arrays]) -> Arrays:
    """The row of that number, made only if it is not kept, and then kept if there is room."""
    known = rows.get(number) if rows else None
    if known:
        return known
    made = make()
    if rows:
        rows.put(number, made)
    return made


class KeptExamples:
    """People to learn from, each of whom is drawn once, see `dpn.data.people.Examples`."""

    def __init__(self, examples: Examples, room: int) -> None:
        """Makes room for all of them, if `room` bytes are enough, and draws the first."""
        self._examples = examples
        self._kept = kept(vars(examples.example(0)), len(examples), room, alike=False) if room else None

    @property
    def skeleton(self) -> Skeleton:
        """Whose joints these are."""
        return self._examples.skeleton

    def __len__(self) -> int:
        """How many there are."""
        return len(self._examples)

    def example(self, index: int) -> Example:
        """See `dpn.data.people.Examples.example`; the arrays are read-only where they are kept."""
        arrays = once(self._kept, index, lambda: vars(self._examples.example(index)))
        return Example(**{name: _protected(array) if self._kept else array for name, array in arrays.items()})

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_kept": None}  # a worker that is spawned shares no memory


class KeptImages:
    """Images that are read once, see `dpn.data.people.Images`."""

    def __init__(self, images: Images, names: list[str], room: int) -> None:
        """Makes room for the images of those names, if `room` bytes are enough, and reads the first.

        Raises:
            DataError: it is missing or cannot be decoded.
        """
        self._images = images
        self._numbers = {name: number for number, name in enumerate(names)}
        enough = room and names
        self._kept = kept({"image": images.read(names[0])}, len(names), room, alike=False) if enough else None

    @property
    def room(self) -> int:
        """Bytes that they may take."""
        return self._kept.room if self._kept else 0

    def read(self, name: str) -> Pixels:
        """See `dpn.data.people.Images.read`; the pixels are read-only where they are kept."""
        number = self._numbers.get(name)
        if self._kept is None or number is None:
            return self._images.read(name)
        return _protected(once(self._kept, number, lambda: {"image": self._images.read(name)})["image"])

    def find(self, name: str) -> str | None:
        """See `dpn.data.people.Images.find`."""
        return self._images.find(name)

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_kept": None}  # a worker that is spawned shares no memory


def kept_images(data: DataSet, room: int) -> KeptImages:
    """The images of a data set's people, read once if `room` bytes are enough for them.

    Raises:
        DataError: the first image is missing or cannot be decoded.
    """
    names = dict.fromkeys(data.people.files[int(image)] for image in data.people.image_ids)
    return KeptImages(data.images, list(names), room)


def kept_people(examples: Examples, room: int) -> Examples:
    """The same people, whose images are read or drawn once if `room` bytes are enough for them.

    Raises:
        DataError: the first image is missing or cannot be decoded.
    """
    if isinstance(examples, LabelledPeople):  # several may be in one image
        return LabelledPeople(replace(examples.data, images=kept_images(examples.data, room)))
    return KeptExamples(examples, room)


def _bytes(arrays: Arrays) -> int:
    return sum(_aligned(array.nbytes) for array in arrays.values())


def _aligned(size: int) -> int:
    return -(-size // ALIGNED) * ALIGNED


def _protected(array: NDArray[Any]) -> NDArray[Any]:
    array.flags.writeable = False
    return array
