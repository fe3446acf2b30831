"""COCO's ten numbers of a data set in which each image stands so many times, without matching anybody again.

Matches are found within an image, so that repeating images changes ranks alone. The numbers are those of the data set
with the repeated images written out under new numbers, repeats of an image behind each other, to the last bit. Imports
no torch.

Why precision at some of the right ones is enough: recall rises nowhere else, and precision falls with each wrong one,
so that the best precision from a recall on is always that of a right one. With every right one it rises, so that the
last of several with nobody wrong between them stands for all, be they repeats of one or not. There are few right ones
and many wrong, and whole numbers can be summed over many curves at once: this is many times as fast as following both.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from dpn.arrays import Floats
from dpn.metrics.average_precision import RECALLS, Curves, Ranked, ranked
from dpn.metrics.matching import TINY, Mask, Rows, people_of

_CURVES = 15
"""So many are read at once, those at one threshold in `dpn.metrics.weighted_errors`: they have much in common."""


@dataclass(frozen=True, eq=False)
class _Slots:
    """Where found people stand in the ranking of the repeated data set.

    Usually repeats of one stand behind each other in one slot. Of several with the same score in an image, the first
    repeats of all come before the second of any: each has one slot for every repeat.
    """

    people: Rows  # (S,) rows of `Ranked`
    repeat: Rows | None  # (S,) which repeat stands in the slot, -1 for all of them; None if that is so everywhere
    most: int  # so many repeats have slots


@dataclass(frozen=True, eq=False)
class _Right:
    """The right ones of n curves of one range of area, and who is counted before each.

    M slots are right in some of these curves. They are in L runs: all of a run are right in the same curves, and there
    nobody wrong is between them.
    """

    slots: Rows  # (M,)
    starts: Rows  # (L,) where each run starts among them
    right: Rows  # (n, L) 1 where a run is right, else 0
    counted: Rows  # (L,) how many entries of the area's `always` come up to each run's end
    others: Rows  # slots that count here and not always, or the other way round, a curve behind the other
    signs: Rows
    steps: Rows  # how many of the others come up to the ends of `repeats` runs each, a curve behind the other,
    bases: Rows  # and how many of these are of earlier curves
    repeats: Rows

    def curves(self, each: Rows, always: Rows, needed: Rows) -> tuple[Floats, Rows]:
        """Precision (n, 101), and how many are right in all (n,).

        A run that is not right in a curve takes no part: its precision is not above that of the right one before it.

        Args:
            each: how many stand in each slot.
            always: how many are always counted in the first 0, 1, 2, ... slots that are.
            needed: (101,) how many right ones reach each recall.
        """
        shape = self.right.shape
        if not len(self.slots):
            return np.zeros((len(self.right), len(needed))), np.zeros(len(self.right), np.intp)
        ends = np.cumsum(np.add.reduceat(each.take(self.slots), self.starts) * self.right)
        totals = ends[shape[1] - 1 :: shape[1]]
        before = np.append(0, totals[:-1])[:, None]
        others = _sums(each.take(self.others) * self.signs)
        counted = np.repeat(others.take(self.steps) - others.take(self.bases), self.repeats).reshape(shape)
        counted += always.take(self.counted)
        precision = np.zeros(len(ends) + 1)
        np.divide(ends.reshape(shape) - before, counted + TINY, out=precision[:-1].reshape(shape))
        end = np.arange(1, shape[0] + 1)[:, None] * shape[1]
        place = np.clip(np.searchsorted(ends, before + needed), end - shape[1], end)
        best = np.maximum.reduceat(precision, place.reshape(-1)).reshape(place.shape)  # from each recall to the next
        best[place == end] = 0
        return np.maximum.accumulate(best[:, ::-1], axis=1)[:, ::-1], totals - before[:, 0]


class WeightedPrecision:
    """COCO's ten numbers by the weights of images."""

    def __init__(self, people: Ranked) -> None:
        """Sorts once; for `curves` alone there may be any ranges of area, and any curves of each."""
        self._people = people
        self._prepare(_slots(people, 0))

    @classmethod
    def of(cls, truth: dict[str, Any], rows: list[dict[str, Any]]) -> "WeightedPrecision":
        """For an annotation file's content and the rows of a results file for its images."""
        return cls(ranked(*people_of(truth, rows)))

    @property
    def images(self) -> int:
        """How many weights there are."""
        return int(self._people.positives.shape[1])

    def __call__(self, weights: Rows) -> Floats:
        """The ten numbers (10,), from 0 to 1, NaN where there is nobody to find.

        Args:
            weights: (images,) whole numbers: how many times each image stands in the data set, in the order of the
                images' numbers.
        """
        means = np.array(self.curves(weights).means())
        return np.where(means < 0, np.nan, means)

    def curves(self, weights: Rows) -> Curves:
        """The curves of which they are means, as many as the ranked people have."""
        if self._slots.repeat is not None and weights.max(initial=0) > self._slots.most:
            self._prepare(_slots(self._people, int(weights.max())))
        each = _weights(self._slots, weights[self._people.image])
        totals = self._people.positives @ weights
        shape = self._people.true_positives.shape[:2]
        precision, recall = np.full((*shape, len(RECALLS)), -1.0), np.full(shape, -1.0)
        for area, total in enumerate(totals.tolist()):
            if total:
                always = _sums(each.take(self._always[area]))
                needed = np.searchsorted(np.arange(total + 1) / total, RECALLS)
                for some, right in self._right[area]:
                    precision[area, some], hits = right.curves(each, always, needed)
                    recall[area, some] = hits / total
        return Curves(precision=precision, recall=recall)

    def _prepare(self, slots: _Slots) -> None:
        """Those who count in most curves are summed once for all of them; who differs in one is listed there."""
        right = self._people.true_positives[:, :, slots.people]
        counted = right | self._people.false_positives[:, :, slots.people]
        often = counted.sum(axis=1) * 2 > counted.shape[1]
        parts = [slice(start, start + _CURVES) for start in range(0, counted.shape[1], _CURVES)]
        self._slots = slots
        self._always = [np.flatnonzero(row) for row in often]
        self._right = [
            [(some, _right(right[area, some], counted[area, some], row)) for some in parts]
            for area, row in enumerate(often)
        ]


def _slots(people: Ranked, most: int) -> _Slots:
    """With so many repeats for each of those who share image and score."""
    place = np.arange(len(people.image))
    same = (np.diff(people.scores) == 0) & (np.diff(people.image) == 0)
    tied = np.append(same, False) | np.append(False, same) if len(place) else same
    if not tied.any():
        return _Slots(place, None, most)
    first = np.maximum.accumulate(np.where(np.append(True, ~same), place, 0))  # of those tied
    copies = np.where(tied, most, 1)
    whom = np.repeat(place, copies)
    repeat = np.arange(len(whom)) - np.repeat(np.cumsum(copies) - copies, copies)
    order = np.lexsort((whom, repeat, first[whom]))
    return _Slots(whom[order], np.where(tied[whom], repeat, -1)[order], most)


def _weights(slots: _Slots, each: Rows) -> Rows:
    """Of each slot, from those of the people."""
    if slots.repeat is None:
        return each
    found = each[slots.people]
    return np.where(slots.repeat < 0, found, found > slots.repeat)


def _right(right: Mask, counted: Mask, often: Mask) -> _Right:
    """Of n curves: who is right (n, S), who is right or wrong (n, S), and who is so always (S,)."""
    slots = np.flatnonzero(right.any(axis=0))
    chosen, wrong = right[:, slots], np.cumsum(counted & ~right, axis=1)[:, slots]
    is_first = np.ones(len(slots), bool)
    same, both = chosen[:, 1:] == chosen[:, :-1], chosen[:, 1:] & chosen[:, :-1]
    is_first[1:] = (~same | both & (np.diff(wrong) != 0)).any(axis=0)
    starts = np.flatnonzero(is_first)
    ends = slots[np.append(starts[1:], len(slots))[: len(starts)] - 1]
    curve, others = np.nonzero(counted != often)
    of, end = (place.reshape(-1) for place in np.broadcast_arrays(np.arange(len(right))[:, None], ends))
    before = np.searchsorted(curve * len(often) + others, of * len(often) + end, side="right")
    is_step = np.ones(len(of), bool)
    is_step[1:] = (np.diff(of) != 0) | (np.diff(before) != 0)
    steps = np.flatnonzero(is_step)
    return _Right(
        slots=slots, starts=starts, right=chosen[:, starts].astype(np.intp),
        counted=np.cumsum(often, dtype=np.intp)[ends], others=others, signs=np.where(counted[curve, others], 1, -1),
        steps=before[steps], bases=np.searchsorted(curve, of[steps]), repeats=np.diff(np.append(steps, len(of))),
    )  # fmt: skip


def _sums(values: Rows) -> Rows:
    """Of the first 0, 1, 2, ... values."""
    sums = np.zeros(len(values) + 1, np.intp)
    np.cumsum(values, out=sums[1:])
    return sums
