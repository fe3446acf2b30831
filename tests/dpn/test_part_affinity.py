"""Parsing of part affinity fields: synthetic crowds are found again, and each step equals a brute-force one."""

import math
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from dpn.networks.part_affinity import (
    PUBLISHED,
    Limbs,
    Peaks,
    Person,
    Thresholds,
    assemble,
    find_peaks,
    match,
    parse,
    score_limbs,
)
from dpn.skeletons import COCO_18, Skeleton

Array = NDArray[np.float64]
HEIGHT, WIDTH = 56, 84  # cells, of an image of 448x672
SIGMA = 7 / 8  # OpenPose's targets: 7 pixels
JOINTS, LIMBS = len(COCO_18.joints), len(COCO_18.limbs)


# A generator of crowds


def poses(rng: np.random.Generator, count: int) -> Array:
    """Random articulated people (count, 18, 2) of different sizes, upright or not; parts outside the map are NaN."""
    size = rng.uniform(8, 12, count)
    turn = np.where(rng.random(count) < 0.5, rng.normal(0, 15, count), rng.uniform(-180, 180, count))
    at = {"neck": rng.uniform((0, 0), (WIDTH - 1, HEIGHT - 1), (count, 2))}

    def put(part: str, start: str, length: float, angle: float, spread: float) -> None:
        """`angle` in degrees clockwise from the person's upward direction."""
        radians = np.deg2rad(angle + turn + rng.uniform(-spread, spread, count))
        direction = np.stack((np.sin(radians), -np.cos(radians)), axis=1)
        at[part] = at[start] + (size * length)[:, None] * direction

    put("nose", "neck", 0.55, 0, 25)
    for side, sign in (("right", -1), ("left", 1)):
        put(f"{side}_shoulder", "neck", 0.42, sign * 95, 15)
        put(f"{side}_elbow", f"{side}_shoulder", 0.6, sign * 150, 110)
        put(f"{side}_wrist", f"{side}_elbow", 0.55, sign * 150, 150)
        put(f"{side}_hip", "neck", 1.1, 180 - sign * 13, 5)
        put(f"{side}_knee", f"{side}_hip", 0.85, 180 - sign * 15, 60)
        put(f"{side}_ankle", f"{side}_knee", 0.8, 180 - sign * 5, 60)
        put(f"{side}_eye", "nose", 0.22, sign * 45, 10)
        put(f"{side}_ear", f"{side}_eye", 0.22, sign * 105, 15)
    parts = np.stack([at[name] for name in COCO_18.joints], axis=1)
    outside = (parts < 0).any(-1) | (parts > (WIDTH - 1, HEIGHT - 1)).any(-1)
    hidden = rng.random((count, JOINTS)) < rng.choice([0, 0.1, 0.25], (count, 1))
    parts[outside | hidden] = np.nan
    return parts


def joined(parts: Array) -> bool:
    """Whether limbs join all parts that there are, of which there are enough: else nobody could tell the person."""
    present = set(np.flatnonzero(np.isfinite(parts[:, 0])).tolist())
    limbs = [set(ends) for ends in COCO_18.limb_ends if present.issuperset(ends)]
    reached = {min(present, default=0)}
    for _ in range(JOINTS):
        reached |= {part for limb in limbs if limb & reached for part in limb}
    return len(present) >= PUBLISHED.parts and reached == present


def apart(one: Array, other: Array) -> bool:
    """Solvable side by side: equal parts 3 cells apart, and equal limbs, which may not cross, 1 cell."""
    start, end = np.transpose(COCO_18.limb_ends)
    steps = np.linspace(0, 1, 13)[:, None]
    lines = [parts[start][:, None] + steps * (parts[end] - parts[start])[:, None] for parts in (one, other)]
    between_parts = np.linalg.norm(one - other, axis=-1)
    between_limbs = np.linalg.norm(lines[0][:, :, None] - lines[1][:, None], axis=-1)
    return not (between_parts < 3).any() and not (between_limbs < 1).any()


def crowd(rng: np.random.Generator) -> list[Array]:
    """One to six people."""
    count, people = rng.integers(1, 7), list[Array]()
    while True:
        for person in poses(rng, 60):
            if joined(person) and all(apart(person, other) for other in people):
                people.append(person)
                if len(people) == count:
                    return people


def render(people: list[Array]) -> tuple[Array, Array]:
    """The maps that a perfect network would give: fields (38, h, w), heatmaps (19, h, w) with the background's."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    heatmaps = np.zeros((JOINTS + 1, HEIGHT, WIDTH))
    fields, covering = np.zeros((LIMBS, 2, HEIGHT, WIDTH)), np.zeros((LIMBS, 1, HEIGHT, WIDTH))
    for parts in people:
        squared = (x - parts[:, :1, None]) ** 2 + (y - parts[:, 1:, None]) ** 2
        heatmaps[:-1] = np.fmax(heatmaps[:-1], np.exp(-squared / (2 * SIGMA**2)))
        for limb, (start, end) in enumerate(COCO_18.limb_ends):
            vector = parts[end] - parts[start]
            if np.isfinite(vector).all():
                length = np.hypot(*vector)
                ux, uy = vector / length
                dx, dy = x - parts[start, 0], y - parts[start, 1]
                along, across = dx * ux + dy * uy, np.abs(dx * uy - dy * ux)
                inside = (along >= -1) & (along <= length + 1) & (across <= 1)
                fields[limb] += np.stack((ux * inside, uy * inside))
                covering[limb] += inside
    heatmaps[-1] = 1 - heatmaps[:-1].max(axis=0)
    return (fields / np.maximum(covering, 1)).reshape(2 * LIMBS, HEIGHT, WIDTH), heatmaps


@cache
def scene(seed: int) -> tuple[list[Array], Array, Array]:
    people = crowd(np.random.default_rng(seed))
    fields, heatmaps = render(people)
    return people, fields, heatmaps


def is_same(truth: Array, found: Array) -> bool:
    present = np.isfinite(truth[:, 0])
    distance = np.linalg.norm(truth - found[:, :2], axis=1)[present]
    return bool((present == np.isfinite(found[:, 0])).all() and (distance <= 1).all())


def recovered(people: list[Array], found: list[Person]) -> bool:
    """Everybody is found once with all parts within a cell and no other part, and nobody else."""
    return len(found) == len(people) and all(
        sum(is_same(truth, person.parts) for person in found) == 1 for truth in people
    )


# Crowds


@pytest.mark.parametrize("twenty", range(10))
def test_200_crowds_are_found(twenty: int) -> None:
    for seed in range(20 * twenty, 20 * twenty + 20):
        people, fields, heatmaps = scene(seed)
        assert recovered(people, parse(fields, heatmaps)), seed


def test_crowds_have_all_that_makes_them_hard() -> None:
    crowds = [scene(seed)[0] for seed in range(40)]
    assert {len(people) for people in crowds} == {1, 2, 3, 4, 5, 6}
    assert any(np.isnan(parts).any() for people in crowds for parts in people)
    boxes = [[(np.nanmin(p, 0), np.nanmax(p, 0)) for p in people] for people in crowds]
    overlapping = sum(
        bool(((a[0] < b[1]) & (b[0] < a[1])).all())
        for people in boxes for i, a in enumerate(people) for b in people[:i]
    )  # fmt: skip
    assert overlapping > 50


def noisy(deviation: float) -> Callable[[Array, Array], tuple[Array, Array]]:
    def disturb(fields: Array, heatmaps: Array) -> tuple[Array, Array]:
        rng = np.random.default_rng(5)
        return tuple(maps + rng.normal(0, deviation, maps.shape) for maps in (fields, heatmaps))  # type: ignore[return-value]

    return disturb


DISTURBANCES: dict[str, Callable[[Array, Array], tuple[Any, Any]]] = {
    "noise of 0.02": noisy(0.02),
    "noise of 0.04": noisy(0.04),
    "weak heatmaps": lambda fields, heatmaps: (fields, 0.4 * heatmaps),
    "weak fields": lambda fields, heatmaps: (0.3 * fields, heatmaps),
    "a raised floor": lambda fields, heatmaps: (fields, heatmaps + 0.05),
    "no background": lambda fields, heatmaps: (fields, heatmaps[:-1]),
    "torch": lambda fields, heatmaps: (torch.tensor(fields, requires_grad=True).float(), torch.tensor(heatmaps).half()),
}


@pytest.mark.parametrize("disturb", DISTURBANCES.values(), ids=DISTURBANCES)
def test_crowds_are_found_in_disturbed_maps(disturb: Callable[[Array, Array], tuple[Any, Any]]) -> None:
    for seed in range(10):
        people, fields, heatmaps = scene(seed)
        assert recovered(people, parse(*disturb(fields, heatmaps))), seed


def by_limb(fields: Array) -> Array:
    return fields.reshape(LIMBS, 2, HEIGHT, WIDTH)


MISTAKES: dict[str, Callable[[Array, Array], tuple[Array, Array]]] = {
    "x and y of the fields": lambda fields, heatmaps: (by_limb(fields)[:, ::-1].reshape(fields.shape), heatmaps),
    "limbs backwards": lambda fields, heatmaps: (-fields, heatmaps),
    "limbs in another order": lambda fields, heatmaps: (np.roll(fields, 2, axis=0), heatmaps),
    "parts in another order": lambda fields, heatmaps: (fields, np.roll(heatmaps, 1, axis=0)),
    "maps shifted by two cells": lambda fields, heatmaps: (np.roll(fields, 2, -1), np.roll(heatmaps, 2, -1)),
    "all x, then all y": lambda fields, heatmaps: (by_limb(fields).swapaxes(0, 1).reshape(fields.shape), heatmaps),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_mistakes_in_the_maps_are_noticed(mistake: Callable[[Array, Array], tuple[Array, Array]]) -> None:
    for seed in range(3):
        people, fields, heatmaps = scene(seed)
        assert not recovered(people, parse(*mistake(fields, heatmaps)))


def test_mirrored_maps_give_mirrored_people() -> None:
    swap = np.arange(JOINTS)
    for one, other in COCO_18.flip_pairs:
        swap[[one, other]] = other, one
    limb = [COCO_18.limb_ends.index((swap[start], swap[end])) for start, end in COCO_18.limb_ends]
    people, fields, heatmaps = scene(3)
    mirrored = by_limb(fields)[limb, :, :, ::-1] * np.reshape([-1, 1], (1, 2, 1, 1))
    found = parse(mirrored.reshape(fields.shape), heatmaps[[*swap, JOINTS], :, ::-1])
    assert recovered([np.stack((WIDTH - 1 - p[swap, 0], p[swap, 1]), 1) for p in people], found)


def test_nothing_comes_from_nothing() -> None:
    empty = np.zeros((38, HEIGHT, WIDTH)), np.zeros((19, HEIGHT, WIDTH))
    assert parse(*empty) == []
    assert parse(*noisy(0.05)(*empty)) == []
    _, fields, heatmaps = scene(1)
    assert parse(0 * fields, heatmaps) == parse(fields, 0 * heatmaps) == []


def test_positions_in_pixels_are_the_middles_of_cells() -> None:
    _, fields, heatmaps = scene(2)
    for cells, pixels in zip(parse(fields, heatmaps), parse(fields, heatmaps, stride=8), strict=True):
        assert np.allclose(pixels.parts[:, :2], 8 * cells.parts[:, :2] + 3.5, equal_nan=True)
        assert np.array_equal(pixels.parts[:, 2], cells.parts[:, 2])


# Scores and thresholds


LEG = ("neck", "right_hip", "right_knee", "right_ankle")


def leg(parts: int) -> Array:
    """A neck and a leg below it, on cells' middles, so that all values are 1."""
    person = np.full((JOINTS, 2), np.nan)
    for step, name in enumerate(LEG[:parts]):
        person[COCO_18.joints.index(name)] = 40, 10 + 6 * step
    return person


def test_score_is_that_of_the_parts_and_the_limbs_for_each_part() -> None:
    (found,) = parse(*render([leg(4)]))
    assert found.score == pytest.approx((4 + 3) / 4)
    (weak,) = parse(*(0.5 * maps for maps in render([leg(4)])))
    assert weak.score == pytest.approx((2 + 1.5) / 4)


def test_people_of_three_parts_are_dropped_and_of_four_kept() -> None:
    assert parse(*render([leg(3)])) == []
    assert len(parse(*render([leg(4)]))) == 1
    assert len(parse(*render([leg(3)]), thresholds=Thresholds(parts=3))) == 1


def test_weak_people_are_dropped() -> None:
    fields, heatmaps = render([leg(4)])
    scale = PUBLISHED.person / (7 / 4)
    assert len(parse(1.01 * scale * fields, 1.01 * scale * heatmaps)) == 1
    assert parse(0.99 * scale * fields, 0.99 * scale * heatmaps) == []


def test_surest_person_comes_first() -> None:
    fields, heatmaps = render([leg(4), leg(4) - (20, 0)])
    fields[:, :, :30] *= 0.7
    first, second = parse(fields, heatmaps)
    assert np.nanmean(first.parts[:, 0]) == pytest.approx(40)
    assert first.score > second.score


def single(value: float, agreeing: int, length: float = 9) -> Limbs:
    """Scores of a neck-hip pair with one sample on each cell; the field has the value at the first `agreeing` cells."""
    fields = np.zeros((2 * LIMBS, 40, 40))
    fields[0, 5, 4 : 4 + agreeing] = value
    ends = np.array([[4.0, 5], [4 + length, 5]])
    parts = np.array([COCO_18.joints.index("neck"), COCO_18.joints.index("right_hip")])
    return score_limbs(fields, Peaks(parts, ends, np.ones(2)))


def test_more_than_eight_of_ten_points_must_agree() -> None:
    assert single(1, 10).score.tolist() == pytest.approx([1])
    assert single(1, 9).score.tolist() == pytest.approx([0.9])
    assert single(1, 8).score.tolist() == []
    assert len(single(0.0501, 10).score) == 1
    assert len(single(0.05, 10).score) == 0


def test_long_limbs_lose() -> None:
    assert single(1, 40, length=20).score.tolist() == pytest.approx([1])
    assert single(1, 40, length=25).score.tolist() == pytest.approx([1 + 20 / 25 - 1])
    assert single(0.19, 40, length=25).score.tolist() == []


# Steps against brute force


def neighbours(maps: Array, part: int, y: int, x: int) -> Iterator[tuple[tuple[int, int], float]]:
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            if (dy, dx) != (0, 0) and 0 <= y + dy < maps.shape[1] and 0 <= x + dx < maps.shape[2]:
                yield (dy, dx), maps[part, y + dy, x + dx]


@pytest.mark.parametrize("levels", [4, 1000])
def test_peaks_are_the_cells_that_no_neighbour_exceeds(levels: int) -> None:
    maps = np.random.default_rng(levels).integers(0, levels, (3, 17, 23)) / levels
    expected = {
        (part, y, x)
        for part, y, x in np.ndindex(maps.shape)
        if maps[part, y, x] > 0.1
        and all(
            v < maps[part, y, x] or (v == maps[part, y, x] and at > (0, 0)) for at, v in neighbours(maps, part, y, x)
        )
    }
    peaks = find_peaks(maps)
    assert (np.diff(peaks.part) >= 0).all()
    assert len(peaks.part) == len(expected)
    for part, y, x in expected:
        near = np.abs(peaks.position - (x, y)).max(axis=1) < 0.5 + 1e-9
        (value,) = peaks.value[near & (peaks.part == part)]
        assert 1 <= value / maps[part, y, x] < 1.8


def test_summits_of_gaussians_are_exact() -> None:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:20, :30]
    for height in (1, 0.3):
        place = rng.uniform((2, 2), (27, 17), (50, 2))
        maps = np.stack([height * np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * SIGMA**2)) for a, b in place])
        peaks = find_peaks(maps)
        assert peaks.part.tolist() == list(range(50))
        assert np.abs(peaks.position - place).max() < 1e-9
        assert np.abs(peaks.value - height).max() < 1e-9


def test_equal_neighbours_are_one_peak_between_them() -> None:
    y, x = np.mgrid[:9, :9]
    for a, b in ((4.5, 4), (4, 4.5), (4.5, 4.5)):
        peaks = find_peaks(np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * SIGMA**2))[None])
        assert peaks.position == pytest.approx(np.array([[a, b]]))


def test_peaks_at_the_edge_stay_in_the_map() -> None:
    maps = np.zeros((1, 6, 8))
    maps[0, 0, 3], maps[0, 5, 7], maps[0, 0, 2] = 1, 0.5, 0.5
    peaks = find_peaks(maps)
    assert peaks.position[1].tolist() == [7, 5]
    assert peaks.position[0, 1] == 0
    assert 2.5 <= peaks.position[0, 0] < 3


def test_the_highest_peaks_of_a_part_are_kept() -> None:
    maps = np.zeros((2, 20, 20))
    maps[:, ::3, ::3] = np.random.default_rng(1).uniform(0.2, 1, (2, 7, 7))
    kept = find_peaks(maps, Thresholds(most=5))
    assert kept.part.tolist() == [0] * 5 + [1] * 5
    for part in (0, 1):
        assert kept.value[kept.part == part].tolist() == sorted(maps[part].ravel(), reverse=True)[:5]


def bilinear(field: Array, x: float, y: float) -> float:
    height, width = field.shape
    total = 0.0
    for row in range(height):
        for column in range(width):
            total += field[row, column] * max(0, 1 - abs(row - y)) * max(0, 1 - abs(column - x))
    return total


def test_scores_equal_a_sum_over_samples() -> None:
    rng = np.random.default_rng(3)
    skeleton = Skeleton(joints=("a", "b", "c"), limbs=(("a", "b"), ("c", "b")))
    fields = rng.normal(0.3, 0.5, (4, 7, 9))
    peaks = Peaks(np.repeat([0, 1, 2], 4), rng.uniform((0, 0), (8, 6), (12, 2)), np.ones(12))
    loose = Thresholds(agreeing=0.5, long_limb=0.6)
    expected = {}
    for kind, (first, second) in enumerate(skeleton.limb_ends):
        for start in np.flatnonzero(peaks.part == first):
            for end in np.flatnonzero(peaks.part == second):
                (x0, y0), (x1, y1) = peaks.position[start], peaks.position[end]
                length = math.dist((x0, y0), (x1, y1))
                values = []
                for t in np.linspace(0, 1, 10):
                    u, v = (bilinear(fields[2 * kind + c], x0 + t * (x1 - x0), y0 + t * (y1 - y0)) for c in (0, 1))
                    values.append((u * (x1 - x0) + v * (y1 - y0)) / length)
                score = sum(values) / 10 + min(0.6 * 7 / length - 1, 0)
                if sum(value > 0.05 for value in values) > 5 and score > 0:
                    expected[kind, int(start), int(end)] = score
    found = score_limbs(fields, peaks, skeleton, loose)
    assert len(expected) > 5
    assert dict(zip(zip(*(c.tolist() for c in found[:3]), strict=True), found.score, strict=True)) == pytest.approx(
        expected
    )


def random_candidates(seed: int) -> tuple[Limbs, Peaks]:
    rng = np.random.default_rng(seed)
    peaks = Peaks(np.repeat(np.arange(3), 6), rng.uniform(0, 9, (18, 2)), rng.uniform(0.1, 1, 18))
    chance = rng.random(18)
    pairs = [(k, s, e) for k, (a, b) in enumerate([(0, 1), (2, 1)]) for s in range(6 * a, 6 * a + 6)
             for e in range(6 * b, 6 * b + 6) if chance[s] * chance[e] > 0.1]  # fmt: skip
    kind, start, end = np.array(pairs).T
    return Limbs(kind, start, end, rng.random(len(pairs))), peaks


@pytest.mark.parametrize("seed", range(20))
def test_matching_is_greedy(seed: int) -> None:
    limbs, peaks = random_candidates(seed)
    chosen = match(limbs, peaks)
    sure = chosen.score + peaks.value[chosen.start] + peaks.value[chosen.end]
    assert (np.diff(sure) <= 0).all()
    for ends in (chosen.start, chosen.end):
        keys = list(zip(chosen.kind.tolist(), ends.tolist(), strict=True))
        assert len(set(keys)) == len(keys)
    for kind, start, end, score in zip(*limbs, strict=True):
        rival = (chosen.kind == kind) & ((chosen.start == start) | (chosen.end == end))
        assert sure[rival].max() >= score + peaks.value[start] + peaks.value[end]


@pytest.mark.parametrize("seed", range(20))
def test_no_part_has_two_owners_and_no_person_two_of_a_part(seed: int) -> None:
    limbs, peaks = random_candidates(seed)
    people = assemble(peaks, match(limbs, peaks), 3)
    positions = [tuple(part[:2]) for person in people for part in person.parts if np.isfinite(part[0])]
    assert people
    assert len(set(positions)) == len(positions)
    for person in people:
        for part, (x, y, value) in enumerate(person.parts):
            if value:
                (peak,) = np.flatnonzero((peaks.position == (x, y)).all(axis=1))
                assert peaks.part[peak] == part
                assert peaks.value[peak] == value


def test_a_limb_that_would_give_a_person_a_second_part_is_refused() -> None:
    """Two people a-b-c are joined by a weaker limb a-c across; each keeps what is theirs."""
    peaks = Peaks(np.array([0, 0, 1, 1, 2, 2]), np.arange(12.0).reshape(6, 2), np.ones(6))
    limbs = Limbs(
        np.array([0, 0, 1, 1, 2]), np.array([0, 1, 2, 3, 0]), np.array([2, 3, 4, 5, 5]), np.array([1, 1, 0.9, 0.9, 0.2])
    )
    people = assemble(peaks, limbs, 3)
    assert [person.parts[:, 0].tolist() for person in people] == [[0, 4, 8], [2, 6, 10]]
    assert [person.score for person in people] == pytest.approx([(3 + 1.9) / 3] * 2)


# Errors


@pytest.mark.parametrize(
    ("fields", "heatmaps"),
    [((38, 9, 9), (17, 9, 9)), ((19, 9, 9), (19, 9, 9)), ((38, 9, 9), (19, 9, 8)), ((1, 38, 9, 9), (1, 19, 9, 9))],
)
def test_maps_that_do_not_fit_are_refused(fields: tuple[int, ...], heatmaps: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"needs \(38, h, w\) and \(18, h, w\), or \(19, h, w\) .* of one image"):
        parse(np.zeros(fields), np.zeros(heatmaps))
