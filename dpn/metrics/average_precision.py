"""COCO's average precision and recall of keypoints in numpy alone: pycocotools' numbers, many times as fast.

It serves where pycocotools is not installed, and where waiting for it would hold up a training; what is reported comes
from pycocotools. The rules are those of its `COCOeval` for keypoints, and all is float64 in the same order of
operations, so that the numbers are equal to the last bit. Imports no torch.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from dpn.arrays import Floats
from dpn.metrics.coco_scores import Scores, as_scores, refuse_other_images
from dpn.metrics.matching import (
    THRESHOLDS,
    TINY,
    Bits,
    Found,
    Labelled,
    Mask,
    Pairs,
    Rows,
    alike,
    matches,
    outside,
    people_of,
)

RECALLS = np.linspace(0, 1, 101)
"""At which recalls precision is read."""
AREAS = ((0.0, 1e10), (32.0**2, 96.0**2), (96.0**2, 1e10))
"""All, medium and large people, in square pixels; both ends belong to them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Curves:
    """Precision over recall. -1 stands where there is nobody to find, as in pycocotools.

    Attributes:
        precision: (3, 10, 101) float64, over `AREAS`, `THRESHOLDS` and `RECALLS`.
        recall: (3, 10) float64, the most that is reached, over `AREAS` and `THRESHOLDS`.
    """

    precision: Floats
    recall: Floats

    def means(self) -> list[float]:
        """COCO's ten numbers in the order of `dpn.metrics.coco_scores.NAMES`, -1 where there is nobody to find."""
        at_50, at_75 = 0, 5
        everybody, medium, large = range(len(AREAS))
        places: tuple[Any, ...] = everybody, (everybody, at_50), (everybody, at_75), medium, large
        return [float(np.mean(values[place])) for values in (self.precision, self.recall) for place in places]


@dataclass(frozen=True, kw_only=True, eq=False)
class Ranked:
    """D found people of all images, best first, and whether they are right.

    Attributes:
        image: (D,) the place of each one's image among all images by their number.
        scores: (D,).
        true_positives: (3, 10, D) over `AREAS` and `THRESHOLDS`: they are somebody who is to be found.
        false_positives: (3, 10, D): they are nobody; those who are neither do not count.
        positives: (3, images) how many people are to be found.
    """

    image: Rows
    scores: Floats
    true_positives: Mask
    false_positives: Mask
    positives: Rows


def score(truth: dict[str, Any], rows: list[dict[str, Any]]) -> Scores:
    """COCO's ten numbers, as `dpn.metrics.coco.score`; neither argument is changed.

    Args:
        truth: the content of an annotation file; it may lack `info`.
        rows: of a results file for its images; none at all score 0.

    Raises:
        ValueError: rows of other images, or without 51 numbers in `keypoints`.
    """
    refuse_other_images(truth, rows)
    return as_scores(truth, curves(truth, rows).means(), "own")


def curves(truth: dict[str, Any], rows: list[dict[str, Any]]) -> Curves:
    """The curves of which COCO's ten numbers are means.

    Args:
        truth: as for `score`.
        rows: as for `score`; those of other images or categories are not looked at.

    Raises:
        ValueError: a row has not 51 numbers in `keypoints`.
    """
    return curves_of(ranked(*people_of(truth, rows)))


def ranked(people: Labelled, found: Found, images: int, pairs: Pairs | None = None) -> Ranked:
    """Matches them at each threshold, in each range of area.

    Crowds, people without labelled joints and people of another size are ignored; whoever is matched to one of them
    counts for nothing. Whoever is matched to nobody is wrong, unless of another size, by the box around the keypoints.

    Args:
        people: those to find.
        found: those who were found.
        images: how many there are.
        pairs: those who are alike, if that is known; they do not depend on who is ignored.
    """
    ignored = np.array([people.ignored | outside(people.areas, area) for area in AREAS])
    pairs = pairs or alike(found, people, images)
    matched, dropped = _matched(people, found, pairs, ignored)
    order = np.argsort(-found.scores, kind="stable")
    other = np.array([outside(found.areas, area) for area in AREAS])[:, None, order]
    is_matched = _unpacked(matched[:, order])
    counts = ~np.where(is_matched, _unpacked(dropped[:, order]), other)
    positives = [np.bincount(people.image[~out], minlength=images) for out in ignored]
    return Ranked(
        image=found.image[order], scores=found.scores[order],
        true_positives=is_matched & counts, false_positives=~is_matched & counts,
        positives=np.array(positives),
    )  # fmt: skip


def _matched(people: Labelled, found: Found, pairs: Pairs, ignored: Mask) -> tuple[Bits, Bits]:
    """(3, D) each: at which thresholds a found person is matched, and at which to somebody who does not count."""
    matched, dropped = (np.zeros((len(ignored), len(found.image)), np.uint16) for _ in range(2))
    for area, pair, now in matches(pairs, people, ignored, THRESHOLDS):
        one = area, pairs.found[pair]
        matched[one] |= now
        dropped[one] |= np.where(ignored[area, pairs.true[pair]], now, np.uint16(0))
    return matched, dropped


def _unpacked(bits: Bits) -> Mask:
    """(A, T, D) of (A, D), a row for each threshold."""
    return np.asarray(bits[:, None] >> np.arange(len(THRESHOLDS), dtype=np.uint16)[:, None] & 1, bool)


def curves_of(people: Ranked) -> Curves:
    """Precision over recall of found people who are matched."""
    precision = np.full((len(AREAS), len(THRESHOLDS), len(RECALLS)), -1.0)
    recall = np.full((len(AREAS), len(THRESHOLDS)), -1.0)
    for area, total in enumerate(people.positives.sum(axis=1).tolist()):
        for threshold in range(len(THRESHOLDS)) if total else ():
            counts = people.true_positives[area, threshold], people.false_positives[area, threshold]
            right, wrong = (np.cumsum(counted, dtype=np.float64) for counted in counts)
            precision[area, threshold] = interpolated_precision(right, wrong, total)
            recall[area, threshold] = right[-1] / total if len(right) else 0
    return Curves(precision=precision, recall=recall)


def interpolated_precision(true_positives: Floats, false_positives: Floats, positives: float) -> Floats:
    """Precision at `RECALLS`.

    Precision at a recall is the best that is reached there or further on, and 0 at recalls that are not reached.

    Args:
        true_positives: (D,) how many of the best 1, 2, ... D found people are somebody who is to be found.
        false_positives: (D,) how many of them are nobody.
        positives: how many people are to be found, more than 0.
    """
    precision = true_positives / (false_positives + true_positives + TINY)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return np.append(best, 0.0)[np.searchsorted(true_positives / positives, RECALLS)]
