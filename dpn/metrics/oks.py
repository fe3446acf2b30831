"""Object keypoint similarity, a person's score, and which of several alike people in an image stay. Imports no torch.

All of it is float64. Similarity sums joint by joint, in the skeleton's order; HRNet takes differences of float32
coordinates, which changes it by less than 1e-6. A score sums float32 heatmap values in float64, which is exact, so that
no order of summation can break or make a tie.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpn.arrays import Floats

Rows = NDArray[np.intp]

PAIRS = 1 << 19
"""So many pairs of people are compared at once, a few tens of megabytes, however many share an image."""

ROUNDING = 1e-9
"""Far more than float64 loses in a sum of 17 numbers, far less than any difference that means something."""


def oks(keypoints: Floats, others: Floats, areas: Floats, other_areas: Floats, sigmas: Sequence[float]) -> Floats:
    """How alike two people are: the mean over all joints of exp(-d^2 / (2 (2 sigma)^2 (area + other area) / 2)).

    It is the similarity of HRNet's suppression (`oks_iou`): every joint counts, however sure it is. COCO's evaluation
    differs: it takes the true person's segment area and labelled joints alone.

    Args:
        keypoints: (N, K, 2) in image pixels; further columns are not read.
        others: (M, K, 2), likewise.
        areas: (N,) in square pixels.
        other_areas: (M,), likewise.
        sigmas: K of them, as fractions of a person's size (`Skeleton.oks_sigmas`).

    Returns:
        (N, M) float64, from 0 to 1.

    Raises:
        ValueError: keypoints of another number of joints, or without x and y.

    Example:
        >>> person = np.zeros((1, 2, 2))
        >>> oks(person, person + [3, 4], np.array([100.0]), np.array([100.0]), [0.5, 0.5]).round(3)  # exp(-25/200)
        array([[0.882]])
    """
    ours, theirs = _xy(keypoints, sigmas)[:, :, :, None], _xy(others, sigmas)[:, :, None, :]
    size = _size(_floats(areas)[:, None], _floats(other_areas)[None, :])
    total = np.zeros(size.shape)
    for joint, sigma in enumerate(sigmas):
        dx, dy = ours[0, joint] - theirs[0, joint], ours[1, joint] - theirs[1, joint]
        total += _likeness(dx, dy, size, sigma)
    return total / len(sigmas)


def labelled_oks(
    keypoints: Floats, truth: Floats, labelled: NDArray[np.bool_], areas: Floats, sigmas: Sequence[float]
) -> Floats:  # fmt: skip
    """How near people's joints are to the true ones, as COCO's evaluation has it: over labelled joints alone.

    Args:
        keypoints: (N, K, 2) in image pixels; further columns are not read.
        truth: (N, K, 2), likewise, of the same people.
        labelled: (N, K), at least one of each person.
        areas: (N,) the true segments' areas in square pixels.
        sigmas: K of them, as for `oks`.

    Returns:
        (N,) float64, from 0 to 1.

    Raises:
        ValueError: as `oks`.
    """
    ours, theirs = _xy(keypoints, sigmas), _xy(truth, sigmas)
    size = _floats(areas) + np.spacing(1)
    total = np.zeros(len(size))
    for joint, sigma in enumerate(sigmas):
        dx, dy = ours[0, joint] - theirs[0, joint], ours[1, joint] - theirs[1, joint]
        total += np.where(labelled[:, joint], _likeness(dx, dy, size, sigma), 0.0)
    return np.asarray(total / labelled.sum(1))


def rescore(box_scores: Floats, joint_scores: Floats, threshold: float = 0.2) -> Floats:
    """A person's score: the box's, times the mean of those joints' that exceed the threshold; 0 if none does.

    SimpleBaseline's and HRNet's rule. A joint's score is its heatmap's maximum, not clipped, so that a person's score
    can exceed 1. Comparison is in float64: a float32 0.2, being a little more, exceeds 0.2.

    Args:
        box_scores: (N,).
        joint_scores: (N, K).
        threshold: which joints count.

    Returns:
        (N,) float64.

    Example:
        >>> rescore(np.array([0.5, 0.9]), np.array([[0.25, 0.75, 0.1], [0.2, 0.1, 0.0]]))
        array([0.25, 0.  ])
    """
    joints = _floats(joint_scores)
    sure = joints > threshold
    means = np.where(sure, joints, 0.0).sum(axis=1) / np.maximum(sure.sum(axis=1), 1)
    return np.asarray(means * _floats(box_scores))


def nms_by_image(
    image_ids: NDArray[np.integer[Any]], keypoints: Floats, scores: Floats, areas: Floats, sigmas: Sequence[float],
    threshold: float = 0.9,
) -> Rows:  # fmt: skip
    """Who of each image stays: from the best on, each drops all worse ones that are more alike than the threshold.

    HRNet's `oks_nms`, of many images at once. Of equal scores the later row counts as the better one, as in HRNet's
    `argsort()[::-1]`; the sort here is stable, so that this holds on every machine.

    Args:
        image_ids: (N,), in any order.
        keypoints: (N, K, 2) in image pixels; further columns are not read.
        scores: (N,).
        areas: (N,) in square pixels, of the padded boxes of the network's aspect.
        sigmas: K of them.
        threshold: similarity beyond which the worse of two is dropped; at the threshold both stay.

    Returns:
        Rows that stay: images in the order of their first rows, best first within each.

    Raises:
        ValueError: as `oks`.
    """
    order, ends = _best_first(image_ids, scores)
    xy, sizes = _xy(keypoints, sigmas)[:, :, order], _floats(areas)[order]
    dropped = np.zeros(len(order), bool)
    for first, second in _pairs(ends, dropped):
        better, worse = _alike(xy, sizes, first, second, sigmas, threshold)
        for row, other in zip(better.tolist(), worse.tolist(), strict=True):
            if not dropped[row]:
                dropped[other] = True
    return np.asarray(order[~dropped])


def soft_nms(
    keypoints: Floats, scores: Floats, areas: Floats, sigmas: Sequence[float], threshold: float = 0.9, most: int = 20
) -> Rows:  # fmt: skip
    """Who of one image stays where likeness to a better one lowers a score instead of dropping the person.

    HRNet's `soft_oks_nms`: after each choice the scores of the rest are multiplied by exp(-oks^2 / threshold). The
    lowered scores decide the order alone; results keep the scores they had. Equal scores are ordered as for
    `nms_by_image`, but anew after each choice, which turns their order round.

    Args:
        keypoints: as for `nms_by_image`.
        scores: as for `nms_by_image`.
        areas: as for `nms_by_image`.
        sigmas: as for `nms_by_image`.
        threshold: the larger, the less a score is lowered.
        most: so many stay.

    Returns:
        At most `most` rows, in the order in which they were chosen.

    Raises:
        ValueError: as `oks`.
    """
    order, _ = _best_first(np.zeros(len(scores), np.int64), scores)
    left = _floats(scores)[order]
    kept: list[int] = []
    points, sizes = np.asarray(keypoints), _floats(areas)
    while len(order) and len(kept) < most:
        best, order = order[:1], order[1:]
        kept.append(int(best[0]))
        likeness = oks(points[best], points[order], sizes[best], sizes[order], sigmas)[0]
        left = left[1:] * np.exp(-(likeness**2) / threshold)
        again = np.argsort(left, kind="stable")[::-1]
        order, left = order[again], left[again]
    return np.array(kept, np.intp)


def _floats(values: Any) -> Floats:
    return np.asarray(values, np.float64)


def _xy(keypoints: Floats, sigmas: Sequence[float]) -> Floats:
    """(2, K, N): x and y, joint by joint, so that each joint of all people lies in one piece."""
    points = np.asarray(keypoints)
    if points.ndim != 3 or points.shape[1] != len(sigmas) or points.shape[2] < 2:
        raise ValueError(f"keypoints are (people, {len(sigmas)}, 2 or 3), not {points.shape}")
    return np.ascontiguousarray(points[:, :, :2].transpose(2, 1, 0), np.float64)


def _size(areas: Floats, others: Floats) -> Floats:
    return np.asarray((areas + others) / 2 + np.spacing(1))


def _likeness(dx: Floats, dy: Floats, size: Floats, sigma: float) -> Floats:
    return np.asarray(np.exp((dx * dx + dy * dy) / size * (-1 / (2 * (2 * sigma) ** 2))))


def _best_first(image_ids: NDArray[np.integer[Any]], scores: Floats) -> tuple[Rows, Rows]:
    """Rows by image and score, and for each place in that order where its image ends."""
    _, firsts, image = np.unique(image_ids, return_index=True, return_inverse=True)
    first_row = firsts[image.reshape(-1)]
    order = np.lexsort((-np.arange(len(first_row)), -_floats(scores), first_row))
    grouped = first_row[order]
    return order, np.searchsorted(grouped, grouped, side="right")


def _pairs(ends: Rows, dropped: NDArray[np.bool_]) -> Iterator[tuple[Rows, Rows]]:
    """All pairs of places (better, worse) of one image, those first whose better one is; who is dropped has none."""
    counts = ends - np.arange(len(ends)) - 1
    totals = np.concatenate([[0], np.cumsum(counts)])
    begin = 0
    while begin < len(ends):
        stop = max(begin + 1, int(np.searchsorted(totals, totals[begin] + PAIRS, side="right")) - 1)
        rows = np.arange(begin, stop)[~dropped[begin:stop]]
        repeats = counts[rows]
        first = np.repeat(rows, repeats)
        within = np.arange(len(first)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
        yield first, first + 1 + within
        begin = stop


def _alike(
    xy: Floats, areas: Floats, first: Rows, second: Rows, sigmas: Sequence[float], threshold: float
) -> tuple[Rows, Rows]:  # fmt: skip
    """The pairs whose similarity exceeds the threshold; given up as soon as the joints left cannot make up for it."""
    size, total = _size(areas[first], areas[second]), np.zeros(len(first))
    most_lost = len(sigmas) * (1 - threshold) + ROUNDING
    for joint, sigma in enumerate(sigmas):
        x, y = xy[0, joint], xy[1, joint]
        total += _likeness(x[first] - x[second], y[first] - y[second], size, sigma)
        possible = joint + 1 - total <= most_lost
        if not possible.all():
            first, second, size, total = first[possible], second[possible], size[possible], total[possible]
    alike = total / len(sigmas) > threshold
    return first[alike], second[alike]
