"""AP and AR of found people again and again: after each kind of error is corrected, and for each group. No torch."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from dpn.metrics.average_precision import Ranked, curves_of, ranked
from dpn.metrics.coco_scores import NAMES
from dpn.metrics.keypoint_errors import INVERSION, JITTER, KINDS, MISS, SWAP, Diagnosis, corrected
from dpn.metrics.matching import Found, Labelled, Mask, Pairs, Rows, alike
from dpn.metrics.uncertainty import Name

ORDER = (MISS, SWAP, INVERSION, JITTER)
"""In which errors are corrected, one after the other."""

Numbers = dict[str, float | None]
"""COCO's ten by their names."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Members:
    """People of a group.

    Attributes:
        people: how many of them each image has (I,).
        located: how many of these were located (I,).
        hits: how many were found at each threshold, (I,) each.
        AR: average recall, with all others ignored; None without anybody.
    """

    people: Rows
    located: Rows
    hits: list[Rows]
    AR: float | None


class Scorer:
    """Ranks found people again and again, and says each time that it has."""

    def __init__(
        self, people: Labelled, found: Found, images: int, diagnosis: Diagnosis, done: Callable[[], None]
    ) -> None:  # fmt: skip
        """Ranks `found` among `people` of so many images; calls `done` after each ranking."""
        self._people, self._found, self._images, self._diagnosis = people, found, images, diagnosis
        self._pairs, self._done = alike(found, people, images), done

    def ranked(self, people: Labelled, found: Found) -> Ranked:
        """Found people, some of whose joints may have moved, among people some of whom may be ignored."""
        made = ranked(people, found, self._images, self._alike(found))
        self._done()
        return made

    def _alike(self, found: Found) -> Pairs:
        """Only those whose joints have changed are compared anew."""
        changed = (found.points != self._found.points).any(axis=(1, 2))
        if not changed.any():
            return self._pairs
        rows = np.flatnonzero(changed)
        some = Found(found.image[rows], found.points[rows], found.scores[rows], found.areas[rows])
        anew, kept = alike(some, self._people, self._images), ~changed[self._pairs.found]
        one = np.append(self._pairs.found[kept], rows[anew.found])
        order = np.argsort(one, kind="stable")
        true = np.append(self._pairs.true[kept], anew.true)
        return Pairs(one[order], true[order], np.append(self._pairs.similarity[kept], anew.similarity)[order])

    def corrections(self) -> dict[Name, Ranked]:
        """By the kind of error and the name in `dpn.metrics.error_report.Correction`."""
        made: dict[tuple[tuple[int, ...], bool], Ranked] = {}

        def after(kinds: tuple[int, ...], exactly: bool) -> Ranked:
            if (kinds, exactly) not in made:
                changed = corrected(self._people, self._found, self._diagnosis, kinds, exactly=exactly)
                made[kinds, exactly] = self.ranked(self._people, changed)
            return made[kinds, exactly]

        return {
            (KINDS[kind], name + ending): after(kinds, exactly)
            for number, kind in enumerate(ORDER)
            for exactly, ending in ((False, ""), (True, "_exactly"))
            for name, kinds in (("alone", (kind,)), ("in_order", ORDER[: number + 1]))
        }

    def members(self, mask: Mask) -> Members:
        """The people whom a (P,) mask chooses."""
        made = self.ranked(replace(self._people, ignored=self._people.ignored | ~mask), self._found)
        true = self._diagnosis.true
        located = np.bincount(self._people.image[true[mask[true]]], minlength=self._images)
        hits = [np.bincount(made.image[right], minlength=self._images) for right in made.true_positives[0]]
        return Members(people=made.positives[0], located=located, hits=hits, AR=numbers_of(made)["AR"])


def numbers_of(people: Ranked) -> Numbers:
    """COCO's ten of ranked people."""
    means = curves_of(people).means()
    return {name: None if mean < 0 else mean for name, mean in zip(NAMES, means, strict=True)}
