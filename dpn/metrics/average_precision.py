"""COCO's average precision and recall of keypoints in numpy alone: pycocotools' numbers, many times as fast.

It serves where pycocotools is not installed, and where waiting for it would hold up a training; what is reported comes
from pycocotools. The rules are those of its `COCOeval` for keypoints, and all is float64 in the same order of
operations, so that the numbers are equal to the last bit. Imports no torch.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpn.data.coco_problems import PERSON
from dpn.data.people import Floats
from dpn.metrics.coco_scores import Scores, as_scores, refuse_other_images
from dpn.skeletons import COCO_17

THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""From which similarity on a person counts as found."""
RECALLS = np.linspace(0, 1, 101)
"""At which recalls precision is read."""
AREAS = ((0.0, 1e10), (32.0**2, 96.0**2), (96.0**2, 1e10))
"""All, medium and large people, in square pixels; both ends belong to them."""
MOST = 20
"""So many of an image's people are looked at, the surest ones."""

SIGMAS = (np.array(COCO_17.oks_sigmas) * 10).round(2) / 10.0
"""`Skeleton.oks_sigmas`, some of which end in another bit than pycocotools', who divides by ten."""

_JOINTS = len(COCO_17.joints)
_VARIANCES = (SIGMAS * 2) ** 2
_TINY = np.spacing(1)
_PAIRS = 1 << 15  # so many pairs of people are compared at once, a few megabytes

Rows = NDArray[np.intp]
Mask = NDArray[np.bool_]
Bits = NDArray[np.uint16]
"""The first bit stands for the first of `THRESHOLDS`, and so on."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Curves:
    """Precision over recall. -1 stands where there is nobody to find, as in pycocotools.

    Attributes:
        precision: (3, 10, 101) float64, over `AREAS`, `THRESHOLDS` and `RECALLS`.
        recall: (3, 10) float64, the most that is reached, over `AREAS` and `THRESHOLDS`.
    """

    precision: Floats
    recall: Floats


@dataclass(frozen=True, eq=False)
class _True:
    """P annotated people, sorted by image."""

    image: Rows
    points: Floats  # (P, K, 3)
    boxes: Floats
    areas: Floats
    crowd: Mask
    ignored: Mask


@dataclass(frozen=True, eq=False)
class _Found:
    """D people that were found, at most `MOST` in an image, by image and best first."""

    image: Rows
    points: Floats  # (D, K, 3)
    scores: Floats
    areas: Floats


@dataclass(frozen=True, eq=False)
class _Pairs:
    """N pairs of a found and a true person of one image who are alike, as rows of `_Found` and `_True`."""

    found: Rows
    true: Rows
    similarity: Floats


def score(truth: dict[str, Any], rows: list[dict[str, Any]]) -> Scores:
    """COCO's ten numbers, as `dpn.metrics.coco.score`; neither argument is changed.

    Args:
        truth: the content of an annotation file; it may lack `info`.
        rows: of a results file for its images; none at all score 0.

    Raises:
        ValueError: rows of other images, or without 51 numbers in `keypoints`.
    """
    refuse_other_images(truth, rows)
    found = curves(truth, rows)
    at_50, at_75 = 0, 5
    everybody, medium, large = range(len(AREAS))
    places: tuple[Any, ...] = everybody, (everybody, at_50), (everybody, at_75), medium, large
    means = [float(np.mean(values[place])) for values in (found.precision, found.recall) for place in places]
    return as_scores(truth, means, "own")


def curves(truth: dict[str, Any], rows: list[dict[str, Any]]) -> Curves:
    """The curves of which COCO's ten numbers are means.

    A found person is matched, best first, to the true person of the image who is most alike, beyond the threshold and
    not taken; of equally alike ones to the last. Crowds, people without labelled joints and people of another size
    come behind all others; whoever is matched to one of them counts for nothing, and a crowd is never taken. Whoever
    is matched to nobody is wrong, unless of another size, by the box around the keypoints.

    Args:
        truth: as for `score`.
        rows: as for `score`; those of other images or categories are not looked at.

    Raises:
        ValueError: a row has not 51 numbers in `keypoints`.
    """
    places = {number: place for place, number in enumerate(sorted({image["id"] for image in truth["images"]}))}
    people, found = _true(truth["annotations"], places), _found(rows, places)
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        pairs = _alike(found, people, len(places))
    ignored = np.array([people.ignored | _outside(people.areas, area) for area in AREAS])
    matched, dropped = _matches(found, people, pairs, ignored)
    precision = np.full((len(AREAS), len(THRESHOLDS), len(RECALLS)), -1.0)
    recall = np.full((len(AREAS), len(THRESHOLDS)), -1.0)
    order = np.argsort(-found.scores, kind="stable")
    for place, area in enumerate(AREAS):
        total = int((~ignored[place]).sum())
        if total:
            right = _unpacked(matched[place][order])
            other = _outside(found.areas, area)[order]
            counts = ~np.where(right, _unpacked(dropped[place][order]), other)
            precision[place], recall[place] = _curve(right & counts, ~right & counts, total)
    return Curves(precision=precision, recall=recall)


def _true(annotations: list[dict[str, Any]], places: dict[int, int]) -> _True:
    """The people of these images, in the order of the file within each."""
    people = [one for one in annotations if one["category_id"] == PERSON and one["image_id"] in places]
    people.sort(key=lambda one: places[one["image_id"]])
    crowd = np.array([bool(one.get("iscrowd")) for one in people], bool)
    return _True(
        image=np.array([places[one["image_id"]] for one in people], np.intp),
        points=_points(people),
        boxes=np.array([one["bbox"] for one in people], np.float64).reshape(-1, 4),
        areas=np.array([one["area"] for one in people], np.float64),
        crowd=crowd,
        ignored=crowd | np.array([one["num_keypoints"] == 0 for one in people], bool),
    )


def _found(rows: list[dict[str, Any]], places: dict[int, int]) -> _Found:
    """The best of each image; of equal scores the earlier rows."""
    people = [row for row in rows if row["category_id"] == PERSON and row["image_id"] in places]
    image = np.array([places[row["image_id"]] for row in people], np.intp)
    scores = np.array([row["score"] for row in people], np.float64)
    order = np.lexsort((-scores, image))
    grouped = image[order]
    order = order[np.arange(len(order)) - np.searchsorted(grouped, grouped) < MOST]
    points = _points([people[row] for row in order.tolist()])
    with np.errstate(over="ignore"):
        width, height = (np.ptp(points[:, :, axis], axis=1) for axis in range(2))
        areas = width * height
    return _Found(image[order], points, scores[order], areas)


def _points(people: list[dict[str, Any]]) -> Floats:
    """(N, K, 3) float64."""
    lists = [one["keypoints"] for one in people]
    if not all(len(numbers) == 3 * _JOINTS for numbers in lists):
        raise ValueError(f"keypoints must be {3 * _JOINTS} numbers: x, y and score of each joint")
    values = np.fromiter(chain.from_iterable(lists), np.float64, 3 * _JOINTS * len(lists))
    return values.reshape(-1, _JOINTS, 3)


def _outside(areas: Floats, bounds: tuple[float, float]) -> Mask:
    least, most = bounds
    return np.asarray((areas < least) | (areas > most))


def _alike(found: _Found, people: _True, images: int) -> _Pairs:
    """The pairs that are not below the first threshold; all others can match at none."""
    each = np.bincount(people.image, minlength=images)
    repeats = each[found.image]
    first = np.repeat(np.arange(len(found.image)), repeats)
    within = np.arange(len(first)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    second = (np.cumsum(each) - each)[found.image[first]] + within
    similarity = np.empty(len(first))
    labelled = people.points[:, :, 2] > 0
    counts = labelled.sum(axis=1)
    joints = np.argsort(~labelled, axis=1, kind="stable")
    for pairs, count in _chunks(counts[second]):
        whom, chosen = second[pairs], joints[second[pairs], : count or _JOINTS]
        xy = found.points[first[pairs, None], chosen]
        x, y = xy[:, :, 0], xy[:, :, 1]
        if count:
            true = people.points[whom[:, None], chosen]
            dx, dy = x - true[:, :, 0], y - true[:, :, 1]
        else:
            dx, dy = (_beyond(values, people.boxes[whom], axis) for axis, values in enumerate((x, y)))
        far = (dx * dx + dy * dy) / _VARIANCES[chosen] / (people.areas[whom, None] + _TINY) / 2
        similarity[pairs] = np.exp(-far).sum(axis=1) / chosen.shape[1]
    kept = ~(similarity < THRESHOLDS[0])
    return _Pairs(first[kept], second[kept], similarity[kept])


def _chunks(counts: Rows) -> Iterator[tuple[Rows, int]]:
    """Pairs whose true person has equally many labelled joints, and how many; not too many pairs at once."""
    for count in np.unique(counts).tolist():
        pairs = np.flatnonzero(counts == count)
        for start in range(0, len(pairs), _PAIRS):
            yield pairs[start : start + _PAIRS], count


def _beyond(values: Floats, boxes: Floats, axis: int) -> Floats:
    """How far outside of a person's box, extended by its own size to each side."""
    start, size = boxes[:, axis, None], boxes[:, 2 + axis, None]
    return np.asarray(np.maximum(start - size - values, 0) + np.maximum(values - (start + size * 2), 0))


def _matches(found: _Found, people: _True, pairs: _Pairs, ignored: Mask) -> tuple[Bits, Bits]:
    """(3, D) each: at which thresholds a found person is matched, and at which to somebody who does not count.

    An image's pairs come in the order in which they may match, and a pair matches at those thresholds at which neither
    of the two has been matched before. One pair of each image and area is looked at in every step, at all thresholds.
    """
    shape = len(AREAS), len(found.image)
    matched, dropped, taken = np.zeros(shape, np.uint16), np.zeros(shape, np.uint16), np.zeros(ignored.shape, np.uint16)
    similar = np.searchsorted(THRESHOLDS, pairs.similarity, side="right")
    fits = ((1 << similar) - 1).astype(np.uint16)
    for area, pair in _steps(found, pairs, ignored):
        one, other = (area, pairs.found[pair]), (area, pairs.true[pair])
        now = fits[pair] & ~matched[one] & ~taken[other]
        matched[one] |= now
        dropped[one] |= np.where(ignored[other], now, np.uint16(0))
        taken[other] |= np.where(people.crowd[other[1]], np.uint16(0), now)
    return matched, dropped


def _steps(found: _Found, pairs: _Pairs, ignored: Mask) -> Iterator[tuple[Rows, Rows]]:
    """The first pairs of all images and areas, then the second ones, and so on: areas and pairs."""
    orders = [np.lexsort((-pairs.true, -pairs.similarity, out[pairs.true], pairs.found)) for out in ignored]
    image = found.image[pairs.found]  # pairs come by image, in every order
    number = np.arange(len(image)) - np.searchsorted(image, image)
    area = np.repeat(np.arange(len(orders)), len(image))
    pair, number = np.concatenate(orders), np.tile(number, len(orders))
    by_number = np.argsort(number, kind="stable")
    for step in np.split(by_number, np.cumsum(np.bincount(number))[:-1]) if len(number) else []:
        yield area[step], pair[step]


def _unpacked(bits: Bits) -> Mask:
    """(T, D), a row for each threshold."""
    return np.asarray(bits >> np.arange(len(THRESHOLDS), dtype=np.uint16)[:, None] & 1, bool)


def _curve(right: Mask, wrong: Mask, total: int) -> tuple[Floats, Floats]:
    """Precision (T, R) and recall (T,) of D found people, best first, of so many to find.

    Precision at a recall is the best that is reached there or further on, and 0 at recalls that are not reached.
    """
    hits, misses = np.cumsum(right, axis=1, dtype=np.float64), np.cumsum(wrong, axis=1, dtype=np.float64)
    precision = hits / (misses + hits + _TINY)
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    best = np.column_stack([best, np.zeros(len(best))])
    recall = hits / total
    read = [row[np.searchsorted(reached, RECALLS)] for row, reached in zip(best, recall, strict=True)]
    return np.array(read), recall[:, -1] if recall.shape[1] else np.zeros(len(recall))
