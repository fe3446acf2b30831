"""Who of those that were found is whom of the annotated people, by COCO's rules for keypoints. Imports no torch.

The rules are those of pycocotools' `COCOeval`, and all is float64 in its order of operations, so that similarities and
matches are equal to the last bit.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpn.arrays import Floats
from dpn.data.coco_problems import PERSON
from dpn.skeletons import COCO_17

THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""From which similarity on a person counts as found."""
MOST = 20
"""So many of an image's people are looked at, the surest ones."""

SIGMAS = (np.array(COCO_17.oks_sigmas) * 10).round(2) / 10.0
"""`Skeleton.oks_sigmas`, some of which end in another bit than pycocotools', who divides by ten."""
VARIANCES = (SIGMAS * 2) ** 2
TINY = np.spacing(1)

_JOINTS = len(COCO_17.joints)
_PAIRS = 1 << 15  # so many pairs of people are compared at once, a few megabytes

Rows = NDArray[np.intp]
Mask = NDArray[np.bool_]
Bits = NDArray[np.uint16]
"""The first bit stands for the first of some thresholds, and so on."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """P annotated people, sorted by image.

    Attributes:
        image: (P,) the place of each one's image among all images by their number.
        points: (P, K, 3) x, y and label.
        boxes: (P, 4).
        areas: (P,) of their segments, in square pixels.
        crowd: (P,) several people in one annotation.
        ignored: (P,) whoever need not be found: crowds, and people without labelled joints.
    """

    image: Rows
    points: Floats
    boxes: Floats
    areas: Floats
    crowd: Mask
    ignored: Mask


@dataclass(frozen=True, eq=False)
class Found:
    """D people that were found, at most `MOST` in an image, by image and best first.

    Attributes:
        image: (D,) as of `Labelled`.
        points: (D, K, 3) x, y and score.
        scores: (D,).
        areas: (D,) of the boxes around their joints, in square pixels.
    """

    image: Rows
    points: Floats
    scores: Floats
    areas: Floats


@dataclass(frozen=True, eq=False)
class Pairs:
    """N pairs of a found and a true person of one image who are alike, as rows of `Found` and `Labelled`."""

    found: Rows
    true: Rows
    similarity: Floats


def people_of(truth: dict[str, Any], rows: list[dict[str, Any]]) -> tuple[Labelled, Found, int]:
    """The annotated people of some images, those that were found in them, and how many images there are.

    Args:
        truth: the content of an annotation file; it may lack `info`.
        rows: of a results file; those of other images or categories are not looked at.

    Raises:
        ValueError: a row has not 51 numbers in `keypoints`.
    """
    places = {number: place for place, number in enumerate(sorted({image["id"] for image in truth["images"]}))}
    return _true(truth["annotations"], places), _found(rows, places), len(places)


def _true(annotations: list[dict[str, Any]], places: dict[int, int]) -> Labelled:
    """The people of these images, in the order of the file within each."""
    people = [one for one in annotations if one["category_id"] == PERSON and one["image_id"] in places]
    people.sort(key=lambda one: places[one["image_id"]])
    crowd = np.array([bool(one.get("iscrowd")) for one in people], bool)
    return Labelled(
        image=np.array([places[one["image_id"]] for one in people], np.intp),
        points=_points(people),
        boxes=np.array([one["bbox"] for one in people], np.float64).reshape(-1, 4),
        areas=np.array([one["area"] for one in people], np.float64),
        crowd=crowd,
        ignored=crowd | np.array([one["num_keypoints"] == 0 for one in people], bool),
    )


def _found(rows: list[dict[str, Any]], places: dict[int, int]) -> Found:
    """The best of each image; of equal scores the earlier rows."""
    people = [row for row in rows if row["category_id"] == PERSON and row["image_id"] in places]
    image = np.array([places[row["image_id"]] for row in people], np.intp)
    scores = np.array([row["score"] for row in people], np.float64)
    order = np.lexsort((-scores, image))
    grouped = image[order]
    order = order[np.arange(len(order)) - np.searchsorted(grouped, grouped) < MOST]
    points = _points([people[row] for row in order.tolist()])
    return Found(image[order], points, scores[order], extents(points))


def _points(people: list[dict[str, Any]]) -> Floats:
    """(N, K, 3) float64."""
    lists = [one["keypoints"] for one in people]
    if not all(len(numbers) == 3 * _JOINTS for numbers in lists):
        raise ValueError(f"keypoints must be {3 * _JOINTS} numbers: x, y and score of each joint")
    values = np.fromiter(chain.from_iterable(lists), np.float64, 3 * _JOINTS * len(lists))
    return values.reshape(-1, _JOINTS, 3)


def extents(points: Floats) -> Floats:
    """(N,) areas of the boxes around the joints of people (N, K, 2 or more), in square pixels."""
    with np.errstate(over="ignore"):
        width, height = (np.ptp(points[:, :, axis], axis=1) for axis in range(2))
        return np.asarray(width * height)


def outside(areas: Floats, bounds: tuple[float, float]) -> Mask:
    """Which areas are not within the bounds; both ends belong to them."""
    least, most = bounds
    return np.asarray((areas < least) | (areas > most))


def alike(found: Found, people: Labelled, images: int, least: float = float(THRESHOLDS[0])) -> Pairs:
    """The pairs whose similarity is not below the least, in the order of the found people."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        return _alike(found, people, images, least)


def of_one_image(image: Rows, others: Rows, images: int) -> tuple[Rows, Rows]:
    """All pairs of a row of one list and a row of another, sorted one, whose image is the same."""
    each = np.bincount(others, minlength=images)
    repeats = each[image]
    first = np.repeat(np.arange(len(image)), repeats)
    within = np.arange(len(first)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    return first, (np.cumsum(each) - each)[image[first]] + within


def _alike(found: Found, people: Labelled, images: int, least: float) -> Pairs:
    first, second = of_one_image(found.image, people.image, images)
    similarity = np.empty(len(first))
    labelled = people.points[:, :, 2] > 0
    counts = labelled.sum(axis=1)
    joints = np.argsort(~labelled, axis=1, kind="stable")
    for pairs, count in _chunks(counts[second]):
        whom, chosen = second[pairs], joints[second[pairs], : count or _JOINTS]
        xy = found.points[first[pairs, None], chosen]
        x, y = xy[:, :, 0], xy[:, :, 1]
        dx: Floats
        dy: Floats
        if count:
            true = people.points[whom[:, None], chosen]
            dx, dy = x - true[:, :, 0], y - true[:, :, 1]
        else:
            dx, dy = (_beyond(values, people.boxes[whom], axis) for axis, values in enumerate((x, y)))
        far = (dx * dx + dy * dy) / VARIANCES[chosen] / (people.areas[whom, None] + TINY) / 2
        similarity[pairs] = np.exp(-far).sum(axis=1) / chosen.shape[1]
    kept = ~(similarity < least)
    return Pairs(first[kept], second[kept], similarity[kept])


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


def matches(pairs: Pairs, people: Labelled, ignored: Mask, thresholds: Floats) -> Iterator[tuple[Rows, Rows, Bits]]:
    """Matches pairs of one image, in the order in which they may match: areas, pairs, and at which thresholds they do.

    A found person is matched, best first, to the true person of the image who is most alike, beyond the threshold and
    not taken; of equally alike ones to the last. Whoever is ignored comes behind all others, and a crowd is never
    taken. One pair of each image and area is looked at in every step, at all thresholds.

    Args:
        pairs: in the order of the found people, who are best first in each image.
        people: the true ones.
        ignored: (A, P), in each of A ranges of area.
        thresholds: ascending, at most 16.
    """
    shape = len(ignored), int(pairs.found.max(initial=-1)) + 1
    matched, taken = np.zeros(shape, np.uint16), np.zeros(ignored.shape, np.uint16)
    similar = np.searchsorted(thresholds, pairs.similarity, side="right")
    fits = ((1 << similar) - 1).astype(np.uint16)
    for area, pair in _steps(pairs, people, ignored):
        one, other = (area, pairs.found[pair]), (area, pairs.true[pair])
        now = fits[pair] & ~matched[one] & ~taken[other]
        matched[one] |= now
        taken[other] |= np.where(people.crowd[other[1]], np.uint16(0), now)
        yield area, pair, now


def _steps(pairs: Pairs, people: Labelled, ignored: Mask) -> Iterator[tuple[Rows, Rows]]:
    """The first pairs of all images and areas, then the second ones, and so on: areas and pairs."""
    orders = [np.lexsort((-pairs.true, -pairs.similarity, out[pairs.true], pairs.found)) for out in ignored]
    image = people.image[pairs.true]  # pairs come by image, in every order
    number = np.arange(len(image)) - np.searchsorted(image, image)
    area = np.repeat(np.arange(len(orders)), len(image))
    pair, number = np.concatenate(orders), np.tile(number, len(orders))
    by_number = np.argsort(number, kind="stable")
    for step in np.split(by_number, np.cumsum(np.bincount(number))[:-1]) if len(number) else []:
        yield area[step], pair[step]
