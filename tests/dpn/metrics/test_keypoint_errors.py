"""What each joint is: constructed cases, and a brute-force reference on people who stand close together."""

import contextlib
import io
import json
import math
from typing import Any

import numpy as np
import pytest

from dpn.metrics import coco, coco_scores, resampling
from dpn.metrics.error_report import Report, report
from dpn.metrics.error_scorer import ORDER
from dpn.metrics.keypoint_errors import (
    GOOD,
    INVERSION,
    JITTER,
    KINDS,
    MISS,
    SWAP,
    UNLABELLED,
    Diagnosis,
    corrected,
    diagnose,
    overlaps,
)  # fmt: skip
from dpn.metrics.matching import people_of
from dpn.metrics.resampling import Draws, Interval, intervals
from dpn.skeletons import COCO_17
from tests.dpn.metrics.made_coco import K, annotation, content
from tests.dpn.metrics.test_weighted_precision import written_out
from tests.dpn.samples import COCO, needs_samples

AREA = 10_000.0
NAMES = COCO_17.joints
PARTNER = {one: other for pair in COCO_17.flip_pairs for one, other in (pair, pair[::-1])}
J = {name: number for number, name in enumerate(NAMES)}
Points = np.ndarray[Any, Any]


def silent(done: int, total: int, text: str = "", /) -> None: ...


def away(joint: str, similarity: float, area: float = AREA) -> float:
    """So many pixels from its place, for a person of that area, a joint has that similarity."""
    return math.sqrt(-2 * math.log(similarity) * area) * 2 * COCO_17.oks_sigmas[J[joint]]


def standing(number: int) -> Points:
    """The places of a person whose joints are far from each other and from everybody else's: (K, 2)."""
    return np.column_stack([np.arange(K) * 500.0, np.full(K, 20_000.0 * number)])


def labelled(number: int, points: Points, flags: Points | None = None, **changes: Any) -> dict[str, Any]:
    marks = np.full(K, 2) if flags is None else flags
    flat = np.column_stack([points * (marks > 0)[:, None], marks]).reshape(-1).tolist()
    given = {"image_id": 1, "area": AREA, "keypoints": flat, "num_keypoints": int((marks > 0).sum()), **changes}
    return annotation(number, **given)


def row(points: Points, score: float = 0.9) -> dict[str, Any]:
    flat = np.column_stack([points, np.ones(K)]).reshape(-1).tolist()
    return {"image_id": 1, "category_id": 1, "keypoints": flat, "score": score}


def of(*people: dict[str, Any]) -> dict[str, Any]:
    return {**content(1, 0), "annotations": list(people)}


def diagnosed(truth: dict[str, Any], *rows: dict[str, Any]) -> Diagnosis:
    return diagnose(*people_of(truth, list(rows)))


def kinds_after(joint: str, to: Points, flags: Points | None = None) -> list[str]:
    """What the joints of the first of two people are when one of them is found elsewhere; good ones are left out."""
    found = standing(1)
    found[J[joint]] = to
    truth = of(labelled(1, standing(1), flags), labelled(2, standing(2)))
    diagnosis = diagnosed(truth, row(found), row(standing(2), 0.8))
    assert diagnosis.kind[1].tolist() == [GOOD] * K
    return [f"{name} {KINDS[kind]}" for name, kind in zip(NAMES, diagnosis.kind[0], strict=True) if kind > GOOD]


@pytest.mark.parametrize("joint", ["nose", "left_wrist", "right_hip"])
@pytest.mark.parametrize(
    ("similarity", "kind"),
    [(1.0, None), (0.851, None), (0.849, "jitter"), (0.501, "jitter"), (0.499, "miss"), (1e-9, "miss")],
)
def test_a_shifted_joint(joint: str, similarity: float, kind: str | None) -> None:
    for direction in (np.array([1, 0]), np.array([0, -1]), np.array([0.6, 0.8])):
        to = standing(1)[J[joint]] + direction * away(joint, similarity)
        assert kinds_after(joint, to) == ([f"{joint} {kind}"] if kind else [])


def test_left_and_right_exchanged_are_two_inversions() -> None:
    found = standing(1)
    pair = [J["left_wrist"], J["right_wrist"]]
    found[pair] = found[pair[::-1]]
    diagnosis = diagnosed(of(labelled(1, standing(1))), row(found))
    assert np.flatnonzero(diagnosis.kind[0] == INVERSION).tolist() == pair
    assert (diagnosis.kind[0] == GOOD).sum() == K - 2


def test_near_the_partner_is_an_inversion_from_a_half_on() -> None:
    for similarity, kind in ((0.501, "inversion"), (0.499, "miss")):
        to = standing(1)[J["right_knee"]] + np.array([away("left_knee", similarity), 0])
        assert kinds_after("left_knee", to) == [f"left_knee {kind}"]


@pytest.mark.parametrize("place", ["left_elbow", "right_elbow"])
def test_anothers_same_joint_or_its_partner_is_a_swap(place: str) -> None:
    assert kinds_after("left_elbow", standing(2)[J[place]]) == ["left_elbow swap"]
    assert kinds_after("left_elbow", standing(2)[J[place]] + [away("left_elbow", 0.499), 0]) == ["left_elbow miss"]


def test_another_joint_than_these_is_a_miss_whosever_it_is() -> None:
    for person in (1, 2):
        assert kinds_after("left_elbow", standing(person)[J["left_knee"]]) == ["left_elbow miss"]
    assert kinds_after("nose", standing(1)[J["left_eye"]]) == ["nose miss"]
    assert kinds_after("nose", standing(2)[J["nose"]]) == ["nose swap"]


def test_a_partner_whom_nobody_labelled_is_no_place() -> None:
    flags = np.full(K, 2)
    flags[J["right_knee"]] = 0
    assert kinds_after("left_knee", standing(1)[J["right_knee"]], flags) == ["left_knee miss"]
    diagnosis = diagnosed(of(labelled(1, standing(1), flags)), row(standing(1) + 1))
    assert diagnosis.kind[0, J["right_knee"]] == UNLABELLED
    assert diagnosis.similarity[0, J["right_knee"]] == 0


def test_of_two_near_places_the_nearest_decides_unless_its_own_is_near_enough() -> None:
    """Eyes close together: exchanged ones are an inversion and no jitter, and good where either is as good as marks."""
    gap = away("left_eye", 0.7)
    places = standing(1)
    places[J["right_eye"]] = places[J["left_eye"]] + [gap, 0]
    truth = of(labelled(1, places))
    found = places.copy()
    found[J["left_eye"]] = places[J["right_eye"]]
    assert diagnosed(truth, row(found)).kind[0, J["left_eye"]] == INVERSION
    found[J["left_eye"]] = places[J["left_eye"]] + [0.4 * gap, 0]
    assert diagnosed(truth, row(found)).kind[0, J["left_eye"]] == GOOD
    found[J["left_eye"]] = places[J["left_eye"]] - [1.3 * gap, 0]
    assert diagnosed(truth, row(found)).kind[0, J["left_eye"]] == JITTER
    near = away("left_eye", 0.9)
    places[J["right_eye"]] = places[J["left_eye"]] + [near, 0]
    found[J["left_eye"]] = places[J["right_eye"]]
    assert diagnosed(of(labelled(1, places)), row(found)).kind[0, J["left_eye"]] == GOOD


def test_a_large_persons_place_is_near_from_further_away() -> None:
    """The scale is that of the person whose place it is."""
    to = standing(2)[J["left_hip"]] + [away("left_hip", 0.6, 4 * AREA), 0]
    found = standing(1)
    found[J["left_hip"]] = to
    for area, kind in ((AREA, MISS), (4 * AREA, SWAP)):
        truth = of(labelled(1, standing(1)), labelled(2, standing(2), area=area))
        assert diagnosed(truth, row(found)).kind[0, J["left_hip"]] == kind


def test_who_is_nobody_and_who_need_not_be_found_is_not_diagnosed() -> None:
    crowd = labelled(3, standing(3), iscrowd=1)
    diagnosis = diagnosed(of(labelled(1, standing(1)), crowd), row(standing(1)), row(standing(3)), row(standing(7)))
    assert diagnosis.found.tolist() == [0]
    assert diagnosis.unmatched == 1


def test_a_person_is_located_from_a_tenth_on() -> None:
    """Two of 17 joints right are an OKS of 0.118, one of 0.059."""
    for right, located in ((2, 1), (1, 0)):
        found = standing(1) + np.array([0, 5_000])
        found[:right] = standing(1)[:right]
        diagnosis = diagnosed(of(labelled(1, standing(1))), row(found))
        assert len(diagnosis.found) == located
        assert diagnosis.unmatched == 1 - located


@pytest.mark.parametrize(
    ("kind", "joint", "place", "expected"),
    [
        (JITTER, "left_knee", standing(1)[J["left_knee"]] + [away("left_knee", 0.6), 0], 0.85),
        (MISS, "left_knee", standing(1)[J["left_knee"]] + [3_000, 3_000], 0.5),
        (INVERSION, "left_knee", standing(1)[J["right_knee"]] + [0, away("left_knee", 0.7)], 0.7),
        (SWAP, "left_knee", standing(2)[J["left_knee"]] + [0, away("left_knee", 0.9)], 0.9),
    ],
)
def test_a_correction_takes_away_its_own_error_and_no_other(
    kind: int, joint: str, place: Points, expected: float
) -> None:  # fmt: skip
    found = standing(1)
    found[J[joint]] = place
    truth = of(labelled(1, standing(1)), labelled(2, standing(2)))
    people, some, images = people_of(truth, [row(found)])
    diagnosis = diagnose(people, some, images)
    assert diagnosis.kind[0, J[joint]] == kind
    for exactly in (False, True):
        after = corrected(people, some, diagnosis, [kind], exactly=exactly)
        similarity = diagnose(people, after, images).similarity[0]
        assert similarity[J[joint]] == pytest.approx(1 if exactly else expected, abs=1e-7)
        assert similarity[J[joint]] >= (1 if exactly else expected)
        others = np.arange(K) != J[joint]
        assert np.array_equal(after.points[0, others], some.points[0, others])
    unchanged = corrected(people, some, diagnosis, [one for one in ORDER if one != kind], exactly=True)
    assert np.array_equal(unchanged.points, some.points)


def test_overlapping_boxes_are_counted() -> None:
    boxes = [[0, 0, 10, 10], [5, 0, 10, 10], [9, 0, 10, 10], [100, 0, 10, 10]]  # shares of 1/3, 1/19 and 3/7
    people = people_of(of(*(labelled(n, standing(n), bbox=box) for n, box in enumerate(boxes, 1))), [])[0]
    assert overlaps(people, 1).tolist() == [1, 2, 1, 0]


# The report, and a reference that is as slow as it is plain


def crowded(seed: int, images: int = 12) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """People who stand close together, found with every kind of error."""
    rng = np.random.default_rng(seed)
    truth, rows = content(images, 0), []
    for image in range(1, images + 1):
        corners = rng.uniform(0, 60, (int(rng.integers(1, 5)), 2))
        people = [corner + rng.uniform(0, [60, 120], (K, 2)) for corner in corners]
        for points in people:
            flags = rng.choice([0, 1, 2], K, p=[0.2, 0.2, 0.6])
            made = labelled(
                len(truth["annotations"]) + 1, points.round(1), flags, image_id=image,
                area=float(rng.uniform(500, 20_000)), bbox=[*points.min(0).tolist(), 60.0, 120.0],
                iscrowd=int(rng.random() < 0.05),
            )  # fmt: skip
            truth["annotations"].append(made)
            for _ in range(int(rng.integers(0, 3))):
                found = points + rng.normal(0, rng.choice([1, 4, 12]), (K, 2))
                for one, other in PARTNER.items():
                    if rng.random() < 0.1:
                        found[one] = points[other] + rng.normal(0, 2, 2)
                    if rng.random() < 0.1:
                        found[one] = people[rng.integers(len(people))][one] + rng.normal(0, 2, 2)
                rows.append({**row(found, float(rng.random())), "image_id": image})
    return truth, rows


def matched(truth: dict[str, Any], rows: list[dict[str, Any]]) -> list[tuple[int, int]]:
    """Rows and annotations that pycocotools matches at an OKS of 0.1, whoever need not be found left out."""
    from pycocotools import coco as pycoco
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        index = pycoco.COCO()
        index.dataset = json.loads(json.dumps(truth))
        index.createIndex()
        evaluation = COCOeval(index, index.loadRes(json.loads(json.dumps(rows))), "keypoints")
        evaluation.params.iouThrs = np.array([0.1])
        evaluation.params.areaRng = [[0, 1e10]]
        evaluation.evaluate()
    return [
        (int(row_id) - 1, int(number) - 1)
        for one in evaluation.evalImgs
        if one
        for row_id, number, ignored in zip(one["dtIds"], one["dtMatches"][0], one["dtIgnore"][0], strict=True)
        if number and not ignored
    ]


def similarity(xy: tuple[float, float], one: dict[str, Any], place: int, joint: int) -> float:
    x, y, flag = one["keypoints"][3 * place : 3 * place + 3]
    if not flag:
        return 0.0
    square = (xy[0] - x) ** 2 + (xy[1] - y) ** 2
    return math.exp(-square / (2 * (2 * COCO_17.oks_sigmas[joint]) ** 2 * one["area"]))


def judged(found: dict[str, Any], who: dict[str, Any], image: list[dict[str, Any]], joint: int) -> tuple[str, float]:
    """The kind of one joint, and its similarity to the nearest place, by the definitions, word for word."""
    xy = found["keypoints"][3 * joint], found["keypoints"][3 * joint + 1]
    own = similarity(xy, who, joint, joint)
    partner = similarity(xy, who, PARTNER[joint], joint) if joint in PARTNER else 0.0
    places = (joint, PARTNER.get(joint, joint))
    other = max((similarity(xy, one, place, joint) for one in image if one is not who for place in places), default=0.0)
    if own >= 0.85:
        return "good", max(own, partner, other)
    if max(own, partner, other) < 0.5:
        return "miss", max(own, partner, other)
    if own >= max(partner, other):
        return "jitter", own
    return ("inversion", partner) if partner >= other else ("swap", other)


def reference(
    truth: dict[str, Any], rows: list[dict[str, Any]], kinds: tuple[str, ...], exactly: bool
) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """How many joints are of each kind, and the rows with some kinds corrected."""
    counts = dict.fromkeys(KINDS, 0)
    changed: list[dict[str, Any]] = json.loads(json.dumps(rows))
    for number, person in matched(truth, rows):
        who = truth["annotations"][person]
        image = [one for one in truth["annotations"] if one["image_id"] == who["image_id"]]
        for joint in range(K):
            x, y, flag = who["keypoints"][3 * joint : 3 * joint + 3]
            if not flag:
                continue
            kind, nearest = judged(rows[number], who, image, joint)
            counts[kind] += 1
            if kind in kinds:
                target = {"jitter": 0.85, "miss": 0.5}.get(kind, nearest)
                moved = 0.0 if exactly else away(NAMES[joint], target, who["area"]) * (1 - 1e-9)
                changed[number]["keypoints"][3 * joint : 3 * joint + 2] = [x + moved, y]
    return counts, changed


def assert_as_reference(truth: dict[str, Any], rows: list[dict[str, Any]]) -> Report:
    found = report(truth, rows, silent)
    assert reference(truth, rows, (), False)[0] == {kind: getattr(found.total, kind) for kind in KINDS}
    in_order: tuple[str, ...] = ()
    for number in ORDER:
        kind = KINDS[number]
        in_order += (kind,)
        made = found.corrected[kind]
        for numbers, kinds, exactly in (
            (made.alone, (kind,), False), (made.in_order, in_order, False),
            (made.alone_exactly, (kind,), True), (made.in_order_exactly, in_order, True),
        ):  # fmt: skip
            expected = coco.score(truth, reference(truth, rows, kinds, exactly)[1])
            assert numbers == {name: pytest.approx(getattr(expected, name), abs=1e-12) for name in coco_scores.NAMES}
    return found


@pytest.mark.parametrize("seed", range(3))
def test_a_crowd_is_diagnosed_and_corrected_as_by_brute_force(seed: int) -> None:
    truth, rows = crowded(seed)
    found = assert_as_reference(truth, rows)
    assert min(getattr(found.total, kind) for kind in KINDS) >= 8
    numbers = [found.scores["AP"], *(found.corrected[KINDS[kind]].in_order_exactly["AP"] for kind in ORDER)]
    assert all(value is not None for value in numbers)
    assert numbers[0] < numbers[-1]


@needs_samples
@pytest.mark.parametrize("spread_px", [2, 15])
def test_real_people_are_diagnosed_and_corrected_as_by_brute_force(spread_px: float) -> None:
    truth = json.loads((COCO / "test_coco.json").read_text())
    truth["annotations"] = [{**one, "id": number} for number, one in enumerate(truth["annotations"], 1)]
    rng = np.random.default_rng(0)
    rows = [
        {
            "image_id": one["image_id"], "category_id": 1, "score": float(rng.random()),
            "keypoints": (np.array(one["keypoints"]) + rng.normal(0, spread_px, 3 * K)).tolist(),
        }
        for one in truth["annotations"]
        if one["num_keypoints"]
    ]  # fmt: skip
    found = assert_as_reference(truth, rows)
    assert found.total.good
    assert found.total.jitter


def test_counts_add_up_however_people_are_grouped() -> None:
    truth, rows = crowded(5, images=30)
    found = report(truth, rows, silent)
    for kind in ("joints", *KINDS):
        total = getattr(found.total, kind)
        assert sum(getattr(one, kind) for one in found.joints.values()) == total
        assert sum(getattr(one, kind) for one in found.visibility.values()) == total
        for groups in (found.labelled, found.size, found.overlaps):
            assert sum(getattr(one.kinds, kind) for one in groups.values()) == total
    for groups in (found.labelled, found.size, found.overlaps):
        assert sum(one.people for one in groups.values()) == found.people
        assert sum(one.located for one in groups.values()) == found.located
        assert sum(one.people > 0 for one in groups.values()) > 1
    assert found.scores["ARM"] == found.size["medium"].AR
    assert found.scores["ARL"] == found.size["large"].AR
    assert 0 < found.visibility["occluded"].joints < found.visibility["visible"].joints


def test_after_all_corrections_only_nobody_and_those_not_located_are_left() -> None:
    """Whoever is located is found exactly, so that nothing but the order of scores and nobody is wrong."""
    people = [labelled(number, standing(number)) for number in range(1, 4)]
    found = [standing(1), standing(2)]
    found[1][: K - 3] += [0, 3_000]  # three of 17 joints right
    made = report(of(*people), [row(found[0]), row(found[1])], silent)
    assert made.scores["AR"] == pytest.approx(1 / 3)
    assert made.corrected["jitter"].in_order_exactly["AR"] == pytest.approx(2 / 3)
    assert (made.total.good, made.total.miss, made.located, made.nobody) == (K + 3, K - 3, 2, 0)
    assert made.corrected["miss"].alone["AP50"] == pytest.approx(67 / 101)
    assert made.corrected["miss"].alone["AR75"] == pytest.approx(1 / 3)


def test_nobody_found_and_nobody_to_find() -> None:
    for truth, rows in ((of(labelled(1, standing(1))), []), (of(), [row(standing(1))])):
        made = report(truth, rows, silent)
        assert (made.located, made.total.joints, made.total.similarity) == (0, 0, None)
        assert made.nobody == len(rows)


def test_rows_of_other_images_are_refused_and_nothing_given_is_changed() -> None:
    truth, rows = crowded(1, images=2)
    before = json.dumps([truth, rows])
    report(truth, rows, silent)
    assert json.dumps([truth, rows]) == before
    with pytest.raises(ValueError, match="results for 1 images that the annotations do not have, such as 99"):
        report(truth, [{**rows[0], "image_id": 99}], silent)


def test_progress_ends_at_its_total() -> None:
    said: list[tuple[int, int]] = []
    report(*crowded(1, images=2), lambda done, total, _="": said.append((done, total)))
    assert said[-1][0] == said[-1][1] == len(said)


# Intervals


def numbers_of(made: Report) -> dict[tuple[str, ...], float | None]:
    """What has an interval, from a report's counts and scores."""

    def share(part: int, whole: int) -> float | None:
        return part / whole if whole else None

    found: dict[tuple[str, ...], float | None] = {("scores", "AP"): made.scores["AP"]}
    kinds = {("total",): made.total}
    kinds |= {("joints", name): one for name, one in made.joints.items()}
    kinds |= {("visibility", name): one for name, one in made.visibility.items()}
    for title in ("labelled", "size", "overlaps"):
        for name, group in getattr(made, title).items():
            kinds[title, name, "kinds"] = group.kinds
            found[title, name, "located"] = share(group.located, group.people)
            found[title, name, "AR"] = group.AR
    found |= {(*name, kind): share(getattr(one, kind), one.joints) for name, one in kinds.items() for kind in KINDS}
    before = made.scores["AP"]
    for error, correction in made.corrected.items():
        for way, after in vars(correction).items():
            found["corrected", error, way, "AP"] = after["AP"]
            found["gains", error, way] = None if after["AP"] is None or before is None else after["AP"] - before
    return found


@pytest.mark.parametrize("tied", [False, True])
def test_intervals_are_those_of_the_data_sets_with_images_written_out(
    tied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each number of each resample, to the last bit, and so the ends; a gain's are of the same draws' gains."""
    monkeypatch.setattr(resampling, "LEAST", 1)
    truth, rows = crowded(4, images=9)
    if tied:
        rows = [{**one, "score": round(one["score"], 1)} for one in rows]
    draws = Draws(resamples=6, seed=1)
    made = report(truth, rows, silent, draws)
    drawn = [draws.weights(number, 9) for number in range(draws.resamples)]
    assert max(int(weights.max()) for weights in drawn) > 2
    samples = [numbers_of(report(*written_out(truth, rows, weights), silent)) for weights in drawn]
    assert set(made.intervals) == set(samples[0])
    for name, interval in made.intervals.items():
        column = np.array([[sample[name]] for sample in samples], np.float64)
        assert intervals(column) == [interval], name
    assert sum(interval is not None for interval in made.intervals.values()) > 140
    assert made.drawn
    assert made.as_dict()["intervals"] == made.drawn.as_dict([*made.intervals])


def test_a_gain_is_surer_than_what_it_is_the_difference_of() -> None:
    """Hard images lower AP before and after: with draws of their own the gain's interval would be wider than both."""
    truth, rows = crowded(6, images=60)
    made = report(truth, rows, silent, Draws(resamples=100))

    def width(*name: str) -> float:
        interval = made.intervals[name]
        assert interval
        return interval.high - interval.low

    for kind in ("jitter", "inversion"):
        ends = width("scores", "AP"), width("corrected", kind, "alone", "AP")
        assert width("gains", kind, "alone") < min(ends) / 1.5


def test_nothing_to_correct_gains_exactly_nothing() -> None:
    truth = of(*(labelled(number, standing(number), image_id=number) for number in (1, 2)))
    truth["images"] = content(2, 0)["images"]
    made = report(truth, [row(standing(1))], silent, Draws(resamples=100))
    for name, interval in made.intervals.items():
        if name[0] == "gains":
            assert interval == Interval(low=0, high=0)
    assert made.intervals["size", "small", "AR"] is None
    assert made.intervals["total", "good"] == Interval(low=1, high=1)


def test_resamples_are_among_the_scores_that_are_told_of() -> None:
    said: list[tuple[int, int]] = []
    report(*crowded(1, images=2), lambda done, total, _="": said.append((done, total)), Draws(resamples=100))
    assert [done for done, _ in said] == [*range(1, len(said) + 1)]
    assert {total for _, total in said} == {len(said)}


def test_without_images_or_resamples_there_are_no_intervals() -> None:
    empty = {**content(1, 0), "images": []}
    for truth, draws in ((empty, Draws()), (of(), Draws(resamples=0))):
        made = report(truth, [], silent, draws)
        assert (made.drawn, made.intervals) == (None, {})
        assert made.gains["miss"]["alone"] is None
        assert "intervals" not in made.as_dict()
