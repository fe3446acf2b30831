"""What is wrong with each joint of each person who was found, after Ronchi and Perona (ICCV 2017). Imports no torch.

Where a found joint lies is judged by its similarity to a place, exp(-d^2 / (2 (2 sigma)^2 area)), with the joint's own
sigma and the area of the person whose place it is: one term of COCO's OKS. A joint has its own place, that of its left
or right partner, and the same two of every other person in the image. Two similarities are the limits: from 0.85 on a
joint is as near as two people's marks are, and from 0.5 on it is near.

    good       near its own place, at 0.85 or more
    jitter     nearest to its own place, at 0.5 or more
    inversion  nearest to its partner's, at 0.5 or more
    swap       nearest to one of another person's two, at 0.5 or more
    miss       near none of them

"Nearest" is the most similar, and of equal ones the first in this list. In the published code (coco-analyze) a joint
that is nearer still to another place is never good; here whatever lies within the spread of marks is. It also leaves
out people below 32^2 square pixels; here everybody counts who is to be found.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dpn.arrays import Floats
from dpn.metrics.matching import (
    TINY,
    VARIANCES,
    Found,
    Labelled,
    Mask,
    Rows,
    alike,
    extents,
    matches,
    of_one_image,
)
from dpn.skeletons import COCO_17

KINDS = ("good", "jitter", "inversion", "swap", "miss")
GOOD, JITTER, INVERSION, SWAP, MISS = range(len(KINDS))
UNLABELLED = -1

LIKE_HUMANS = 0.85
NEAR = 0.5
LOCATED = 0.1
"""From this OKS on a found person is matched to an annotated one: far below what counts, so as to see what failed."""

_PAIRS = 1 << 14  # so many pairs of people are compared at once, some ten megabytes
_PARTNER = np.array(COCO_17.mirrored)
_HAS_PARTNER = np.arange(len(_PARTNER)) != _PARTNER


@dataclass(frozen=True, kw_only=True, eq=False)
class Diagnosis:
    """N found people who are somebody, and their joints.

    Attributes:
        found: (N,) rows of `Found`.
        true: (N,) rows of `Labelled`: who they are.
        kind: (N, K) numbers of `KINDS`, or `UNLABELLED`.
        similarity: (N, K) to their own places; 0 for joints that nobody labelled.
        nearest: (N, K) to the nearest of all places that a joint may be confused with, its own among them.
        unmatched: how many found people are nobody, not even a crowd.
    """

    found: Rows
    true: Rows
    kind: NDArray[np.int8]
    similarity: Floats
    nearest: Floats
    unmatched: int


def diagnose(people: Labelled, found: Found, images: int) -> Diagnosis:
    """Finds out who is whom, at an OKS of `LOCATED`, and what each labelled joint is.

    Args:
        people: those annotated.
        found: those who were found.
        images: how many there are.
    """
    pairs = alike(found, people, images, LOCATED)
    steps = [pair[now > 0] for _, pair, now in matches(pairs, people, people.ignored[None], np.array([LOCATED]))]
    matched = np.sort(np.concatenate([np.empty(0, np.intp), *steps]))
    wanted = matched[~people.ignored[pairs.true[matched]]]
    one, other = pairs.found[wanted], pairs.true[wanted]
    points, place = found.points[one, :, :2], people.points[other]
    own = _similarity(points, place, people.areas[other])
    partner = np.where(_HAS_PARTNER, _similarity(points, place[:, _PARTNER], people.areas[other]), 0)
    nearest = np.maximum(np.maximum(own, partner), _others(people, points, other, images))
    kind = np.select(
        [own >= LIKE_HUMANS, nearest < NEAR, own == nearest, partner == nearest], [GOOD, MISS, JITTER, INVERSION], SWAP
    )
    return Diagnosis(
        found=one, true=other, similarity=own, nearest=nearest, unmatched=len(found.image) - len(matched),
        kind=np.where(place[:, :, 2] > 0, kind, UNLABELLED).astype(np.int8),
    )  # fmt: skip


def _similarity(points: Floats, places: Floats, areas: Floats) -> Floats:
    """(M, K) of joints (M, K, 2) to places (M, K, 3) of people of such areas (M,); 0 where no place is labelled."""
    with np.errstate(over="ignore", under="ignore"):
        squares = np.square(points - places[:, :, :2]).sum(axis=2)
        near = np.exp(-squares / VARIANCES / (areas[:, None] + TINY) / 2)
    return np.where(places[:, :, 2] > 0, near, 0)


def _others(people: Labelled, points: Floats, true: Rows, images: int) -> Floats:
    """(N, K) similarity of found joints (N, K, 2) to the nearest of the places of anybody else in their images."""
    nearest = np.zeros(points.shape[:2])
    first, second = of_one_image(people.image[true], people.image, images)
    different = second != true[first]  # found once more, its own places might be nearer by a rounding
    first, second = first[different], second[different]
    for start in range(0, len(first), _PAIRS):
        one, other = first[start : start + _PAIRS], second[start : start + _PAIRS]
        for places in (people.points[other], people.points[other][:, _PARTNER]):
            np.maximum.at(nearest, one, _similarity(points[one], places, people.areas[other]))
    return nearest


def corrected(
    people: Labelled, found: Found, diagnosis: Diagnosis, kinds: Collection[int], *, exactly: bool
) -> Found:  # fmt: skip
    """The found people with some kinds of wrong joints corrected, which nobody could do without the truth.

    A correction takes away its own error and no other: a jitter ends at a similarity of 0.85 to its place, a miss at
    0.5, and an inversion and a swap as near to their own place as they were to the wrong one. They are moved there
    along x, a hair nearer, so that rounding does not decide what is exactly at a threshold. The published code
    moves joints by the same formula, but with sigma where its similarity has 2 sigma, so that its joints end at the
    fourth roots of these, 0.96 and 0.84.

    Args:
        people: those annotated.
        found: those who were found; it is not changed.
        diagnosis: of them.
        kinds: numbers of `KINDS`.
        exactly: put the joints upon their places instead.
    """
    row, joint = np.nonzero(np.isin(diagnosis.kind, list(kinds)))
    ends = np.array([1, LIKE_HUMANS, np.nan, np.nan, NEAR])[diagnosis.kind[row, joint]]
    target = np.where(np.isnan(ends), diagnosis.nearest[row, joint], ends)
    areas = people.areas[diagnosis.true[row]] + TINY
    moved = 0 if exactly else np.sqrt(-np.log(target) * 2 * VARIANCES[joint] * areas) * (1 - 1e-9)
    points = found.points.copy()
    places = people.points[diagnosis.true[row], joint]
    points[diagnosis.found[row], joint, 0] = places[:, 0] + moved
    points[diagnosis.found[row], joint, 1] = places[:, 1]
    return replace(found, points=points, areas=extents(points))


def overlaps(people: Labelled, images: int, least: float = 0.1) -> Rows:
    """(P,) how many other annotated people's boxes overlap each one's: intersection over union above the least."""
    first, second = of_one_image(people.image, people.image, images)
    first, second = first[first != second], second[first != second]
    start, end = people.boxes[:, :2], people.boxes[:, :2] + people.boxes[:, 2:]
    shared = np.minimum(end[first], end[second]) - np.maximum(start[first], start[second])
    common = np.clip(shared, 0, None).prod(axis=1)
    sizes = people.boxes[:, 2:].prod(axis=1)
    over = common > least * (sizes[first] + sizes[second] - common)
    return np.bincount(first[over], minlength=len(people.image))


def visible(people: Labelled) -> tuple[Mask, Mask]:
    """(P, K) each: joints that are labelled as visible, and as hidden."""
    return people.points[:, :, 2] == 2, people.points[:, :, 2] == 1
