"""From part affinity fields and heatmaps to people (Cao et al., CVPR 2017); arrays in, arrays out, no torch needed.

Positions are (x, y) in cells of the maps, the middle of the first cell being (0, 0). The steps are the paper's: peaks
of the heatmaps, line integrals of the fields along candidate limbs, greedy matching for each kind of limb, assembly.
Where the published code leaves room, the choices here are these. It enlarges all maps to the image's size and smooths
them; here peaks are found in maps of any size and placed between cells, and fields are read by bilinear interpolation.
It matches limbs by the integral alone and assembles them in a fixed order; here the surest limb comes first in both, by
its score and the values of its two peaks, so that a peak of noise beside a part does not win, and a wrong limb finds
its place taken. A part never belongs to two people.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dpn.arrays import Floats
from dpn.skeletons import COCO_18, Skeleton

Integers = NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """When something counts; the defaults are those of the published code.

    Attributes:
        peak: a part's heatmap must exceed this.
        most: so many peaks of a part are kept, the highest (that of OpenPose's C++ release, which bounds the work).
        samples: points on a candidate limb at which the field is read, both ends among them.
        field: what the field along the limb must exceed at a point for the point to agree.
        agreeing: more than this share of the points must agree.
        long_limb: limbs longer than this share of the maps' height lose score.
        parts: a person has at least so many.
        person: a person's score (`Person.score`) must be at least this.
    """

    peak: float = 0.1
    most: int = 127
    samples: int = 10
    field: float = 0.05
    agreeing: float = 0.8
    long_limb: float = 0.5
    parts: int = 4
    person: float = 0.4


PUBLISHED = Thresholds()


class Peaks(NamedTuple):
    """Local maxima of heatmaps, sorted by part: `part` (N,), `position` (N, 2) as x and y, `value` (N,)."""

    part: Integers
    position: Floats
    value: Floats


class Limbs(NamedTuple):
    """Candidates for limbs: their kind, the peaks they start and end at, and their score, each (N,)."""

    kind: Integers
    start: Integers
    end: Integers
    score: Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class Person:
    """One person.

    Attributes:
        parts: (J, 3): x, y and the heatmap's value of each part; x and y are NaN and the value is 0 where it is absent.
        score: the sum of the values of the parts and of the scores of the limbs that joined them, for each part; at
            most about 2, since n parts are joined by n - 1 limbs.
    """

    parts: Floats
    score: float


def parse(
    fields: Any,
    heatmaps: Any,
    *,
    skeleton: Skeleton = COCO_18,
    stride: float = 1,
    thresholds: Thresholds = PUBLISHED,
) -> list[Person]:
    """People in one image, surest first.

    Args:
        fields: (2 * limbs, h, w), numpy or torch; limb k has its x in channel 2 k and its y in 2 k + 1.
        heatmaps: (J, h, w), or (J + 1, h, w) with the background's last, which is not used.
        skeleton: the parts and the limbs, in the maps' order.
        stride: pixels of the image for each cell; 1 leaves positions in cells. Cell i covers the pixels from
            stride * i to stride * (i + 1) - 1, so that its middle is at stride * (i + 1/2) - 1/2.
        thresholds: when something counts.

    Raises:
        ValueError: the maps' shapes fit neither each other nor the skeleton.
    """
    fields, heatmaps = _maps(fields, heatmaps, skeleton)
    peaks = find_peaks(heatmaps, thresholds)
    limbs = match(score_limbs(fields, peaks, skeleton, thresholds), peaks)
    people = assemble(peaks, limbs, len(skeleton.joints))
    kept = [
        Person(parts=_in_pixels(person.parts, stride), score=person.score)
        for person in people
        if np.isfinite(person.parts[:, 0]).sum() >= thresholds.parts and person.score >= thresholds.person
    ]
    return sorted(kept, key=lambda person: -person.score)


def find_peaks(heatmaps: Floats, thresholds: Thresholds = PUBLISHED) -> Peaks:
    """Cells above the threshold that none of their eight neighbours exceeds, at the summit of a Gaussian through them.

    Of equal neighbours the first in reading order is the peak. On each axis the summit is that of the parabola through
    the logarithms of the cell and its two neighbours, which is exact for a Gaussian, in place and in value; at the edge
    of the map, where a neighbour is missing, it is the cell's middle. It is at most half a cell away.

    Args:
        heatmaps: (J, h, w).
        thresholds: when something counts.
    """
    part, y, x = np.nonzero(heatmaps > thresholds.peak)
    padded = np.pad(heatmaps, ((0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    value = heatmaps[part, y, x]
    is_peak = np.ones(len(part), dtype=bool)
    for dy, dx in ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)):
        neighbour = padded[part, y + 1 + dy, x + 1 + dx]
        is_peak &= value > neighbour if (dy, dx) < (0, 0) else value >= neighbour
    order = np.flatnonzero(is_peak)
    order = order[np.lexsort((-value[order], part[order]))]
    rank = np.arange(len(order)) - np.searchsorted(part[order], part[order])
    order = order[rank < thresholds.most]
    part, y, x, value = part[order], y[order], x[order], value[order]
    along_x, higher_by_x = _summit(padded[part, y + 1, x], value, padded[part, y + 1, x + 2])
    along_y, higher_by_y = _summit(padded[part, y, x + 1], value, padded[part, y + 2, x + 1])
    return Peaks(part, np.stack((x + along_x, y + along_y), axis=1), value * higher_by_x * higher_by_y)


def score_limbs(
    fields: Floats, peaks: Peaks, skeleton: Skeleton = COCO_18, thresholds: Thresholds = PUBLISHED
) -> Limbs:
    """Every pair of peaks that may be a limb, with its score: the mean of the field along it, less if it is very long.

    A pair may be a limb when enough points on it agree with the field and the score is positive. The prior on length is
    min(`long_limb` * h / length - 1, 0).

    Args:
        fields: (2 * limbs, h, w).
        peaks: of the same maps.
        skeleton: the limbs, in the order of the fields.
        thresholds: when something counts.
    """
    kind, start, end = _pairs(peaks, skeleton)
    along = peaks.position[end] - peaks.position[start]
    length = np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-6)
    total, agreeing = np.zeros(len(kind)), np.zeros(len(kind))
    rest = np.arange(len(kind))  # the pairs that can still have enough agreeing points
    for sample, fraction in enumerate(np.linspace(0, 1, thresholds.samples), start=1):
        points = peaks.position[start[rest]] + fraction * along[rest]
        agreement = (_read(fields, kind[rest], points) * along[rest]).sum(axis=1) / length[rest]
        total[rest] += agreement
        agreeing[rest] += agreement > thresholds.field
        to_come = thresholds.samples - sample
        rest = rest[agreeing[rest] + to_come > thresholds.agreeing * thresholds.samples]
    prior = np.minimum(thresholds.long_limb * fields.shape[1] / length[rest] - 1, 0)
    score = total[rest] / thresholds.samples + prior
    rest, score = rest[score > 0], score[score > 0]
    return Limbs(kind[rest], start[rest], end[rest], score)


def match(limbs: Limbs, peaks: Peaks) -> Limbs:
    """The candidates that are chosen, surest first: of each kind, a peak starts or ends one limb at most."""
    sureness = limbs.score + peaks.value[limbs.start] + peaks.value[limbs.end]
    order = np.argsort(-sureness, kind="stable")
    taken: set[tuple[int, int]] = set()
    chosen = []
    for candidate, kind, start, end in zip(
        order.tolist(), limbs.kind[order].tolist(), limbs.start[order].tolist(), limbs.end[order].tolist(), strict=True
    ):
        if (kind, start) not in taken and (kind, end) not in taken:  # a limb's ends are two parts, so no key means both
            taken |= {(kind, start), (kind, end)}
            chosen.append(candidate)
    return Limbs(limbs.kind[chosen], limbs.start[chosen], limbs.end[chosen], limbs.score[chosen])


def assemble(peaks: Peaks, limbs: Limbs, joints: int) -> list[Person]:
    """People, whatever their score: peaks joined by limbs, taken in the order given, none with two of the same part."""
    groups = {peak: _Group(parts={part: peak}, score=0) for peak, part in enumerate(peaks.part.tolist())}
    for start, end, score in zip(limbs.start.tolist(), limbs.end.tolist(), limbs.score.tolist(), strict=True):
        one, other = groups[start], groups[end]
        if one is other or one.parts.keys() & other.parts.keys():
            continue
        one.parts.update(other.parts)
        one.score += other.score + score
        groups.update(dict.fromkeys(other.parts.values(), one))
    people = []
    for group in {id(group): group for group in groups.values() if len(group.parts) > 1}.values():
        members = list(group.parts.values())
        parts = np.full((joints, 3), (np.nan, np.nan, 0.0))
        parts[list(group.parts)] = np.column_stack((peaks.position[members], peaks.value[members]))
        people.append(Person(parts=parts, score=(group.score + float(parts[:, 2].sum())) / len(members)))
    return people


@dataclass
class _Group:
    """Peaks that are taken for one person, by part, and the sum of the scores of the limbs between them."""

    parts: dict[int, int]
    score: float


def _maps(fields: Any, heatmaps: Any, skeleton: Skeleton) -> tuple[Floats, Floats]:
    """Both as arrays, without the background."""
    fields, heatmaps = _array(fields), _array(heatmaps)
    joints, limbs = len(skeleton.joints), len(skeleton.limbs)
    if (
        fields.ndim != 3
        or heatmaps.ndim != 3
        or len(fields) != 2 * limbs
        or len(heatmaps) not in (joints, joints + 1)
        or fields.shape[1:] != heatmaps.shape[1:]
    ):
        raise ValueError(
            f"fields of shape {fields.shape} and heatmaps of shape {heatmaps.shape}; a skeleton of {joints} parts and "
            f"{limbs} limbs needs ({2 * limbs}, h, w) and ({joints}, h, w), or ({joints + 1}, h, w) with a background, "
            "of one image"
        )
    return fields, heatmaps[:joints]


def _array(maps: Any) -> Floats:
    """Floating point in numpy, from numpy or from a torch tensor on any device."""
    if hasattr(maps, "detach"):
        maps = maps.detach().cpu().float().numpy()
    array: NDArray[Any] = np.asarray(maps)
    return array if np.issubdtype(array.dtype, np.floating) else array.astype(np.float64)


def _summit(before: Floats, at: Floats, after: Floats) -> tuple[Floats, Floats]:
    """Maximum of the Gaussian through three cells, one apart: its place, from -1/2 to 1/2, and its height over `at`.

    The place is 0 and the height 1 beside the edge. A neighbour below a tenth of the cell is taken for a tenth: no
    target is so narrow, and what is smaller is mostly noise, whose logarithm need not exist.
    """
    left, right = (np.log(np.maximum(values / at, 0.1)) for values in (before, after))
    inside = np.isfinite(before) & np.isfinite(after) & (left + right < 0)
    place = np.zeros_like(at)
    np.divide(left - right, 2 * (left + right), out=place, where=inside)
    place = np.clip(place, -0.5, 0.5)
    return place, np.exp((right - left) * place / 4)


def _pairs(peaks: Peaks, skeleton: Skeleton) -> tuple[Integers, Integers, Integers]:
    """Every limb that the peaks allow: its kind, the peak it starts at, the peak it ends at."""
    of_part = [np.flatnonzero(peaks.part == part) for part in range(len(skeleton.joints))]
    kinds, starts, ends = [], [], []
    for kind, (first, second) in enumerate(skeleton.limb_ends):
        start, end = np.meshgrid(of_part[first], of_part[second], indexing="ij")
        kinds.append(np.full(start.size, kind, dtype=np.intp))
        starts.append(start.ravel())
        ends.append(end.ravel())
    return np.concatenate(kinds), np.concatenate(starts), np.concatenate(ends)


def _read(fields: Floats, kind: Integers, points: Floats) -> Floats:
    """The field of each limb's kind (N,) at a point (N, 2) inside the map, bilinearly interpolated: (N, 2)."""
    _, height, width = fields.shape
    x, y = points[:, 0], points[:, 1]
    left, top = x.astype(np.intp), y.astype(np.intp)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    flat = fields.reshape(-1, 2, height * width)

    def row(y: Integers) -> Floats:
        ends = flat[kind, :, y * width + left], flat[kind, :, y * width + right]
        return np.asarray(ends[0] + (x - left)[:, None] * (ends[1] - ends[0]))

    above, below = row(top), row(bottom)
    return np.asarray(above + (y - top)[:, None] * (below - above))


def _in_pixels(parts: Floats, stride: float) -> Floats:
    positions = stride * (parts[:, :2] + 0.5) - 0.5
    return np.column_stack((positions, parts[:, 2]))
