"""COCO's ten numbers of a data set in which each image stands so many times, without matching anybody again.

Matches are found within an image, so that repeating images changes ranks alone. The numbers are those of the data set
with the repeated images written out under new numbers, repeats of an image behind each other, to the last bit. Imports
no torch.

Why precision at the right ones is enough: recall rises nowhere else, and precision falls with each wrong one, so that
the best precision from a recall on is always that of a right one. Repeats of somebody right are followed by each other;
precision rises with each, so that the last one stands for all. There are few right ones and many wrong, so that this is
ten times as fast as following both.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from dpn.data.people import Floats
from dpn.metrics.average_precision import AREAS, RECALLS, Curves, Ranked, interpolated_precision, ranked
from dpn.metrics.matching import THRESHOLDS, Mask, Rows, people_of


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
    """The right ones of one range of area and one threshold, and how to find those who are counted before each."""

    slots: Rows
    counted: Rows  # of each, how many entries of the area's `always` come up to it
    others: Rows  # slots that count here and not always, or the other way round
    signs: Floats
    before: Rows  # of each right one, how many of the others come up to it


class WeightedPrecision:
    """COCO's ten numbers by the weights of images."""

    def __init__(self, people: Ranked) -> None:
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
        """The curves of which they are means."""
        if self._slots.repeat is not None and weights.max(initial=0) > self._slots.most:
            self._prepare(_slots(self._people, int(weights.max())))
        each = _weights(self._slots, weights[self._people.image])
        totals = self._people.positives @ weights
        shape = len(AREAS), len(THRESHOLDS)
        precision, recall = np.full((*shape, len(RECALLS)), -1.0), np.full(shape, -1.0)
        for area, total in enumerate(totals.tolist()):
            always = _sums(each[self._always[area]])
            for threshold, right in enumerate(self._right[area]) if total else ():
                hits = np.cumsum(each[right.slots])
                counted = always[right.counted] + _sums(each[right.others] * right.signs)[right.before]
                precision[area, threshold] = interpolated_precision(hits, counted - hits, total)
                recall[area, threshold] = hits[-1] / total if len(hits) else 0
        return Curves(precision=precision, recall=recall)

    def _prepare(self, slots: _Slots) -> None:
        """Those who count at most thresholds are summed once for all of them; who differs at one is listed there."""
        right = self._people.true_positives[:, :, slots.people]
        counted = right | self._people.false_positives[:, :, slots.people]
        often = counted.sum(axis=1) * 2 > len(THRESHOLDS)
        self._slots = slots
        self._always = [np.flatnonzero(row) for row in often]
        self._right = [
            [_right(*pair, often[area]) for pair in zip(right[area], counted[area], strict=True)]
            for area in range(len(AREAS))
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


def _weights(slots: _Slots, each: Rows) -> Floats:
    """Of each slot, from those of the people; whole numbers, so that sums of them are exact."""
    found = each[slots.people]
    if slots.repeat is not None:
        found = np.where(slots.repeat < 0, found, found > slots.repeat)
    return found.astype(np.float64)


def _right(right: Mask, counted: Mask, often: Mask) -> _Right:
    slots, others = np.flatnonzero(right), np.flatnonzero(counted != often)
    return _Right(
        slots=slots,
        counted=np.cumsum(often, dtype=np.intp)[slots],
        others=others,
        signs=np.where(counted[others], 1.0, -1.0),
        before=np.searchsorted(others, slots, side="right"),
    )


def _sums(values: Floats) -> Floats:
    """Of the first 0, 1, 2, ... values."""
    sums = np.zeros(len(values) + 1)
    np.cumsum(values, out=sums[1:])
    return sums
