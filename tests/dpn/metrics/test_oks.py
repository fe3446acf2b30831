"""Similarity, scores and suppression against plain loops written from the published rules."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpn.metrics import oks as module
from dpn.metrics.oks import labelled_oks, nms_by_image, oks, rescore, soft_nms
from dpn.skeletons import COCO_17

SIGMAS = COCO_17.oks_sigmas
K = len(SIGMAS)


def one_oks(person: Any, other: Any, area: float, other_area: float, sigmas: tuple[float, ...] = SIGMAS) -> float:
    total = 0.0
    for joint, sigma in enumerate(sigmas):
        d2 = (person[joint][0] - other[joint][0]) ** 2 + (person[joint][1] - other[joint][1]) ** 2
        total += math.exp(-d2 / (2 * (2 * sigma) ** 2 * ((area + other_area) / 2 + 2**-52)))
    return total / len(sigmas)


def plain_nms(people: Any, scores: Any, areas: Any, threshold: float) -> list[int]:
    """Greedy, of equal scores the later row first."""
    order = sorted(range(len(scores)), key=lambda row: (-scores[row], -row))
    kept: list[int] = []
    for row in order:
        if all(one_oks(people[row], people[better], areas[row], areas[better]) <= threshold for better in kept):
            kept.append(row)
    return kept


def plain_soft_nms(people: Any, scores: Any, areas: Any, threshold: float, most: int) -> list[int]:
    left = sorted(enumerate(scores), key=lambda pair: pair[1])[::-1]
    kept: list[int] = []
    while left and len(kept) < most:
        best, _ = left.pop(0)
        kept.append(best)
        lowered = [
            (row, score * math.exp(-(one_oks(people[best], people[row], areas[best], areas[row]) ** 2) / threshold))
            for row, score in left
        ]
        left = sorted(lowered, key=lambda pair: pair[1])[::-1]
    return kept


def crowd(seed: int, count: int) -> tuple[Any, Any, Any]:
    """People of whom many are nearly the same: keypoints (N, 17, 2), distinct scores, areas."""
    rng = np.random.default_rng(seed)
    bodies = rng.uniform(0, 100, (max(1, count // 4), K, 2))
    whose = rng.integers(0, len(bodies), count)
    people = bodies[whose] + rng.normal(0, 1, (count, K, 2)) * rng.uniform(0, 2, (count, 1, 1))
    return people, rng.permutation(count) / count, rng.uniform(2_000, 9_000, count)


def nms(people: Any, scores: Any, areas: Any, sigmas: Any, threshold: float = 0.9) -> Any:
    """Of one image."""
    return nms_by_image(np.zeros(len(scores), np.int64), people, scores, areas, sigmas, threshold)


def test_similarity_is_the_formula() -> None:
    people, _, areas = crowd(0, 12)
    found = oks(people[:5], people[5:], areas[:5], areas[5:], SIGMAS)
    expected = [[one_oks(people[i], people[j], areas[i], areas[j]) for j in range(5, 12)] for i in range(5)]
    assert found == pytest.approx(np.array(expected), abs=1e-14)
    assert found.shape == (5, 7)
    assert np.ptp(found) > 0.05


def test_similarity_of_labelled_joints_is_cocos_formula() -> None:
    rng = np.random.default_rng(0)
    found, truth = rng.uniform(0, 100, (2, 5, 17, 2))
    truth[:3] = found[:3] + rng.normal(0, 2, (3, 17, 2))
    labelled, areas = rng.uniform(size=(5, 17)) < 0.6, rng.uniform(100, 5000, 5)
    squared = np.square(found - truth).sum(2)
    variances = (2 * np.array(COCO_17.oks_sigmas)) ** 2
    similar = np.exp(-squared / (2 * variances * (areas[:, None] + np.spacing(1))))
    expected = [similar[person][labelled[person]].mean() for person in range(5)]
    assert np.allclose(
        labelled_oks(found, truth, labelled, areas, COCO_17.oks_sigmas), expected, rtol=0, atol=1e-12
    )  # fmt: skip


def test_a_score_beside_x_and_y_plays_no_part() -> None:
    """Trap of section 8: every joint counts in suppression, however sure it is."""
    people, scores, areas = crowd(1, 20)
    unsure = np.dstack([people, np.zeros((20, K))])
    assert np.array_equal(oks(unsure, unsure, areas, areas, SIGMAS), oks(people, people, areas, areas, SIGMAS))
    assert nms(unsure, scores, areas, SIGMAS).tolist() == plain_nms(people, scores, areas, 0.9)


def test_the_same_place_is_alike_even_without_area() -> None:
    person, nothing = np.zeros((1, K, 2)), np.zeros(1)
    assert oks(person, person, nothing, nothing, SIGMAS)[0, 0] == 1
    assert oks(person, person + 1, nothing, nothing, SIGMAS)[0, 0] == 0


def test_keypoints_of_another_skeleton_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(people, 17, 2 or 3\), not \(1, 16, 2\)"):
        oks(np.zeros((1, 16, 2)), np.zeros((1, 16, 2)), np.ones(1), np.ones(1), SIGMAS)


@given(st.integers(0, 10_000), st.integers(0, 24), st.sampled_from([0.5, 0.8, 0.9, 0.99]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_suppression_is_the_plain_loop(seed: int, count: int, threshold: float, ties: bool) -> None:
    people, scores, areas = crowd(seed, count)
    if ties:
        scores = np.round(scores * 3) / 3
    assert nms(people, scores, areas, SIGMAS, threshold).tolist() == plain_nms(people, scores, areas, threshold)


@given(st.integers(0, 10_000), st.integers(0, 24), st.sampled_from([3, 20]))
@settings(max_examples=30, deadline=None)
def test_soft_suppression_is_the_plain_loop(seed: int, count: int, most: int) -> None:
    people, scores, areas = crowd(seed, count)
    found = soft_nms(people, scores, areas, SIGMAS, most=most)
    assert found.tolist() == plain_soft_nms(people, scores, areas, 0.9, most)


def test_soft_suppression_keeps_twenty_and_the_hard_one_all() -> None:
    """Section 8: SOFT_NMS keeps at most 20 people of an image."""
    far_apart = np.arange(25)[:, None, None] * 1e4 + np.zeros((25, K, 2))
    scores, areas = np.linspace(1, 0.5, 25), np.full(25, 100.0)
    assert soft_nms(far_apart, scores, areas, SIGMAS).tolist() == list(range(20))
    assert nms(far_apart, scores, areas, SIGMAS).tolist() == list(range(25))


def test_soft_suppression_changes_the_order() -> None:
    """The second best is the best one's twin and falls behind the third."""
    people = np.zeros((3, K, 2)) + np.array([0, 0, 1e4])[:, None, None]
    assert soft_nms(people, np.array([0.9, 0.8, 0.5]), np.full(3, 100.0), SIGMAS).tolist() == [0, 2, 1]


def test_at_the_threshold_both_stay() -> None:
    """Trap of section 8: dropped is who is more alike than the threshold, not who is as alike."""
    people, scores, areas = crowd(3, 2)
    likeness = float(oks(people[:1], people[1:], areas[:1], areas[1:], SIGMAS)[0, 0])
    assert 0.1 < likeness < 1
    assert len(nms(people, scores, areas, SIGMAS, likeness)) == 2
    assert len(nms(people, scores, areas, SIGMAS, np.nextafter(likeness, 0))) == 1


def test_who_is_dropped_drops_nobody() -> None:
    step = np.sqrt(2 * (2 * np.array(SIGMAS)) ** 2 * 1_000 * 0.08)  # similarity exp(-0.08) to a neighbour
    people = np.stack([np.column_stack([step * n, np.zeros(K)]) for n in range(3)])
    areas = np.full(3, 1_000.0)
    assert oks(people, people, areas, areas, SIGMAS)[0] == pytest.approx([1, math.exp(-0.08), math.exp(-0.32)])
    assert nms(people, np.array([0.9, 0.8, 0.7]), areas, SIGMAS).tolist() == [0, 2]


def test_of_equal_scores_the_later_row_is_better() -> None:
    """Trap 11.12: an unstable sort orders more than 16 equal scores as the processor likes.

    Soft suppression sorts again after each choice, and turns equal scores round each time.
    """
    count = 40
    far_apart = np.arange(count)[:, None, None] * 1e4 + np.zeros((count, K, 2))
    scores, areas = np.full(count, 0.5), np.full(count, 100.0)
    assert nms(far_apart, scores, areas, SIGMAS).tolist() == list(range(count))[::-1]
    assert soft_nms(far_apart, scores, areas, SIGMAS, most=5).tolist() == [39, 0, 38, 1, 37]
    twins = np.zeros((count, K, 2))
    assert nms(twins, scores, areas, SIGMAS).tolist() == [count - 1]


@pytest.mark.parametrize("pairs", [1, 7, 1 << 19])
def test_images_are_apart_from_each_other(pairs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the number of pairs compared at once, each image is as if it were alone."""
    monkeypatch.setattr(module, "PAIRS", pairs)
    people, scores, areas = crowd(4, 80)
    image_ids = np.random.default_rng(5).permutation(np.repeat([70, 3, 900, 15, 2], [1, 30, 20, 28, 1]))
    expected: list[int] = []
    for image_id in dict.fromkeys(image_ids.tolist()):
        rows = np.flatnonzero(image_ids == image_id)
        expected += rows[nms(people[rows], scores[rows], areas[rows], SIGMAS)].tolist()
    assert nms_by_image(image_ids, people, scores, areas, SIGMAS).tolist() == expected
    assert 5 < len(expected) < 60


def test_nobody_is_nobody() -> None:
    nothing, none = np.zeros((0, K, 2)), np.zeros(0)
    assert nms(nothing, none, none, SIGMAS).tolist() == []
    assert soft_nms(nothing, none, none, SIGMAS).tolist() == []
    assert rescore(none, np.zeros((0, K))).tolist() == []


def test_a_score_is_the_box_times_the_mean_of_the_sure_joints() -> None:
    rng = np.random.default_rng(6)
    boxes, joints = rng.uniform(0, 1, 50), rng.uniform(-0.2, 0.9, (50, K)).astype(np.float32)
    joints[7] = 0.1  # nobody sure
    expected = []
    for box, row in zip(boxes, joints, strict=True):
        sure = [float(value) for value in row if float(value) > 0.2]
        expected.append(float(box) * (sum(sure) / len(sure)) if sure else 0.0)
    assert rescore(boxes, joints).tolist() == pytest.approx(expected, rel=1e-14)
    assert expected[7] == 0


def test_joints_at_the_threshold_are_not_sure() -> None:
    """Trap of section 8: strictly above 0.2, compared in float64, where a float32 0.2 is above."""
    assert rescore(np.ones(1), np.array([[0.2, 0.6]])).tolist() == [0.6]
    assert rescore(np.ones(1), np.array([[0.2, 0.6]], np.float32))[0] == pytest.approx(0.4)


def test_scores_above_one_stay() -> None:
    """Trap of section 7: a joint's score is the heatmap's maximum, not clipped."""
    assert rescore(np.ones(1), np.array([[1.5, 1.25]])).tolist() == [1.375]


def test_no_order_of_joints_changes_a_score() -> None:
    """Trap 11.12: summed in float32, the order of the joints makes and breaks ties."""
    rng = np.random.default_rng(7)
    joints = rng.uniform(0.2, 1.2, (200, K)).astype(np.float32)
    shuffled = rng.permuted(joints, axis=1)
    boxes = rng.uniform(0, 1, 200)
    assert np.array_equal(rescore(boxes, joints), rescore(boxes, shuffled))
    in_float32 = [np.add.accumulate(rows, axis=1, dtype=np.float32)[:, -1] for rows in (joints, shuffled)]
    assert not np.array_equal(*in_float32)
