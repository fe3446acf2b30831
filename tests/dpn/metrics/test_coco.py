"""From keypoints to results files and COCO's numbers, against plain pycocotools and rules written out in loops."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dpn.data.people import People
from dpn.metrics.coco import results, score
from dpn.metrics.coco_results import read_results
from dpn.metrics.coco_scores import NAMES, Scores
from dpn.metrics.oks import nms_by_image, rescore
from dpn.protocols import protocol
from dpn.skeletons import COCO_17, MPII_16
from dpn.training.validation import together
from tests.dpn.metrics.made_coco import annotation, content, people_in, plain, row, rows_of
from tests.dpn.samples import COCO, needs_samples

PROTOCOL = protocol("dpn", "coco")
SOFT = replace(PROTOCOL, soft_nms=True)
K = len(COCO_17.joints)
PERFECT = pytest.approx([1.0] * 10, abs=1e-12)
"""pycocotools divides by a number of people and the smallest float."""


def numbers(scores: Scores) -> list[float | None]:
    return [getattr(scores, name) for name in NAMES]


def shifted(truth: dict[str, Any], px: float) -> list[dict[str, Any]]:
    """The truth as results, moved, with scores that differ."""
    rows = rows_of(truth)
    for number, one in enumerate(rows):
        one["keypoints"] = [
            value + (px * number / 3 if place % 3 < 2 else 0) for place, value in enumerate(one["keypoints"])
        ]
        one["score"] = 1 - number / 100
    return rows


def test_the_truth_scored_as_predictions_is_perfect() -> None:
    assert numbers(score(content(images=6, each=3), rows_of(content(images=6, each=3)))) == PERFECT


def test_numbers_are_those_of_plain_pycocotools() -> None:
    truth = content(images=8, each=4)
    rows = shifted(truth, 2.0)[::2] + shifted(truth, 9.0)[1::3]
    found = numbers(score(truth, rows))
    assert found == plain(truth, rows)
    assert len(set(found)) > 5


def test_annotations_without_info_are_scored(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    """Trap 11.14: some versions of pycocotools copy `info` when they load results. And nothing is printed."""
    from pycocotools import coco

    load = coco.COCO.loadRes
    monkeypatch.setattr(coco.COCO, "loadRes", lambda self, rows: (self.dataset["info"], load(self, rows))[1])
    truth = content(images=2, each=2)
    del truth["info"]
    assert numbers(score(truth, rows_of(truth))) == PERFECT
    assert capfd.readouterr() == ("", "")


def test_what_is_scored_is_not_changed() -> None:
    truth = content(images=2, each=2)
    rows = rows_of(truth)
    before = json.dumps([truth, rows])
    score(truth, rows)
    assert json.dumps([truth, rows]) == before


def test_nobody_to_find_is_none_and_finding_nobody_is_zero() -> None:
    """COCO's -1 is no number to average or to print."""
    medium = content(images=2, each=1, area=2_000.0)
    found = score(medium, rows_of(medium))
    assert (found.ARM, found.APL, found.ARL) == (1.0, None, None)
    assert numbers(score(medium, [])) == [0, 0, 0, 0, None, 0, 0, 0, 0, None]
    nobody = content(images=2, each=0)
    assert numbers(score(nobody, [])) == [None] * 10


def test_crowds_and_people_without_joints_do_not_count() -> None:
    """Trap of section 8: neither finding them nor missing them changes a number."""
    truth = content(images=3, each=2)
    rows = rows_of(truth)
    crowd = annotation(100, 1, iscrowd=1)
    unlabelled = annotation(101, 2, keypoints=[0] * 51, num_keypoints=0)
    more = {**truth, "annotations": [*truth["annotations"], crowd, unlabelled]}
    found = score(more, rows)
    assert numbers(found) == PERFECT
    assert (found.n_images, found.n_people) == (3, 6)
    assert numbers(score(more, [*rows_of({"annotations": [crowd]}), *rows])) == PERFECT


def test_medium_and_large_go_by_the_segment() -> None:
    """Trap of section 8: the annotation's `area`, not the box's, and 32^2 and 96^2 bound the medium."""
    for area, medium, large in ((32.0**2, 1.0, None), (96.0**2, 1.0, 1.0), (96.1**2, None, 1.0), (31.9**2, None, None)):
        truth = content(images=1, each=1, area=area)
        found = score(truth, rows_of(truth))
        for value, expected in ((found.APM, medium), (found.APL, large)):
            assert value == (None if expected is None else pytest.approx(expected, abs=1e-12)), area


def test_twenty_people_of_an_image_are_scored() -> None:
    """Trap of section 8: maxDets is 20, and the right one comes 21st."""
    truth = content(images=1, each=1)
    (right,) = rows_of(truth)
    wrong = [
        {**right, "keypoints": [value + 500.0 for value in right["keypoints"]], "score": 0.9 - n / 100}
        for n in range(20)
    ]
    assert score(truth, [*wrong[:19], {**right, "score": 0.1}]).AR == 1
    assert score(truth, [*wrong, {**right, "score": 0.1}]).AR == 0


def test_annotation_zero_is_found() -> None:
    """pycocotools alone takes a match with annotation 0 for none."""
    truth = content(images=1, each=2)
    truth["annotations"][0]["id"] = 0
    assert plain(truth, rows_of(truth))[5] == 0.5
    assert numbers(score(truth, rows_of(truth))) == PERFECT


def test_a_box_beside_the_keypoints_changes_nothing(tmp_path: Path) -> None:
    truth = content(images=8, each=4)
    rows = [{**one, "score": 1 - one["score"]} for one in shifted(truth, 9.0)]  # the wrong ones first
    boxed = [{**one, "bbox": [0, 0, 50, 50]} for one in rows]
    (path := tmp_path / "results.json").write_text(json.dumps(boxed))
    assert read_results(path, truth) == rows
    assert score(truth, boxed) == score(truth, rows)
    assert plain(truth, boxed) != plain(truth, rows)


def test_results_of_other_images_are_refused() -> None:
    truth = content(images=1, each=1)
    with pytest.raises(ValueError, match="results for 1 images that the annotations do not have, such as 99"):
        score(truth, [row(99)])


def test_without_pycocotools_the_own_engine_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    truth = content(images=8, each=4)
    rows = shifted(truth, 9.0)
    found = score(truth, rows)
    assert found.engine == "pycocotools"
    monkeypatch.setitem(sys.modules, "pycocotools.cocoeval", None)
    assert score(truth, rows) == replace(found, engine="own")
    with pytest.raises(ValueError, match="results for 1 images that the annotations do not have, such as 99"):
        score(truth, [row(99)])


def found_by_network(people: People, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    points = people.joints + rng.normal(0, 1.5, people.joints.shape)
    return np.dstack([points, rng.uniform(0.1, 1.1, people.joints.shape[:2]).astype(np.float32)])


def test_results_are_rescored_and_suppressed_as_published() -> None:
    people = people_in(content(images=5, each=3), repeats=4)
    keypoints = found_by_network(people)
    rows = results(people, keypoints, PROTOCOL)
    scores = rescore(people.scores, keypoints[:, :, 2], 0.2)
    areas = (people.scales.astype(np.float64) * 200).prod(axis=1)
    expected = []
    for image_id in dict.fromkeys(people.image_ids.tolist()):
        mine = np.flatnonzero(people.image_ids == image_id)
        kept = nms_by_image(people.image_ids[mine], keypoints[mine], scores[mine], areas[mine], COCO_17.oks_sigmas, 0.9)
        for person in mine[kept]:
            flat = keypoints[person].reshape(-1).tolist()
            expected.append({"image_id": image_id, "category_id": 1, "keypoints": flat, "score": float(scores[person])})
    assert rows == expected
    assert 15 <= len(rows) < 40
    assert json.loads(json.dumps(rows)) == rows


def test_suppression_goes_by_the_padded_box() -> None:
    """Trap of section 8: with the area of the box itself, fewer people look alike."""
    people = people_in(content(images=1, each=1), repeats=2)
    keypoints = np.dstack([people.joints, np.ones((2, K))])
    area = float((people.scales[0].astype(np.float64) * 200).prod())
    move = np.sqrt(0.08 * 8 * area) * np.array(COCO_17.oks_sigmas)  # similarity exp(-0.08), just above 0.9
    keypoints[1, :, 0] += move
    assert len(results(people, keypoints, PROTOCOL)) == 1
    unpadded = float(people.boxes[0, 2] * people.boxes[0, 3])
    areas = np.full(2, unpadded)
    assert len(nms_by_image(people.image_ids, keypoints, np.array([0.9, 0.8]), areas, COCO_17.oks_sigmas)) == 2


def test_soft_suppression_keeps_twenty_in_each_image() -> None:
    people = people_in(content(images=2, each=2), repeats=15)
    keypoints = found_by_network(people)
    keypoints[:, :, :2] += np.arange(len(people))[:, None, None] * 300.0
    assert len(results(people, keypoints, PROTOCOL)) == 60
    rows = results(people, keypoints, SOFT)
    assert [one["image_id"] for one in rows] == [1] * 20 + [2] * 20
    hard = {one["score"] for one in results(people, keypoints, PROTOCOL)}
    assert {one["score"] for one in rows} <= hard


def test_nobody_gives_no_results() -> None:
    people = people_in(content(images=1, each=1), repeats=1).take(slice(0, 0))
    assert results(people, np.zeros((0, K, 3)), PROTOCOL) == []
    assert results(people, np.zeros((0, K, 3)), SOFT) == []


def test_keypoints_that_cannot_be_results_are_refused() -> None:
    people = people_in(content(images=1, each=2), repeats=1)
    keypoints = found_by_network(people)
    with pytest.raises(ValueError, match=r"keypoints are \(2, 17, 3\), one row for each person, not \(1, 17, 3\)"):
        results(people, keypoints[:1], PROTOCOL)
    keypoints[1, 3, 0] = np.nan
    with pytest.raises(ValueError, match="keypoints of person 1 are not finite"):
        results(people, keypoints, PROTOCOL)
    with pytest.raises(ValueError, match=r"no sigmas .* dpn\.metrics\.pckh"):
        results(replace(people, skeleton=MPII_16), keypoints, PROTOCOL)


def test_shares_of_people_are_scored_together_and_each_person_once() -> None:
    """Trap 11.11: repeats are false positives, and half of the people scored alone give another number."""
    truth = content(images=6, each=2)
    people = people_in(truth, repeats=1)
    keypoints = found_by_network(people)
    shares = [np.arange(len(people))[rank::5] for rank in range(5)]
    gathered = together(len(people), [(rows, keypoints[rows]) for rows in shares])
    assert np.array_equal(gathered, keypoints)
    twice = [row for row in results(people, keypoints, PROTOCOL) for _ in range(2)]
    whole = score(truth, results(people, gathered, PROTOCOL))
    assert score(truth, twice).AP != whole.AP
    half = slice(0, len(people) // 2)
    assert score(truth, results(people.take(half), keypoints[half], PROTOCOL)).AP != whole.AP


def test_somebody_missing_or_unknown_is_refused() -> None:
    keypoints = np.zeros((3, K, 3))
    for rows, count in (([0, 2, 3], 4), ([0, 1, 2], 2)):
        with pytest.raises(RuntimeError, match=f"3 predictions of {count} people"):
            together(count, [(np.array(rows), keypoints)])


@needs_samples
def test_the_truth_of_real_images_is_perfect() -> None:
    truth = json.loads((COCO / "test_coco.json").read_text())
    labelled = {**truth, "annotations": [one for one in truth["annotations"] if one["num_keypoints"]]}
    found = score(truth, rows_of(labelled))
    assert numbers(found) == PERFECT
    assert numbers(found) == plain(truth, rows_of(labelled))
    assert (found.n_images, found.n_people) == (4, 12)


def moved(factors: Any, box_scores: Any) -> tuple[dict[str, Any], People, Any]:
    """The truth of the real images, and its 14 people with x, y and score times factors (F, 14, 3), F for each."""
    truth = json.loads((COCO / "test_coco.json").read_text())
    annotations = truth["annotations"]
    points = np.array([one["keypoints"] for one in annotations], np.float32).reshape(-1, 1, K, 3)
    points = points * np.asarray(factors, np.float32).transpose(1, 0, 2)[:, :, None]
    repeats = points.shape[1]
    points, boxes = points.reshape(-1, K, 3), np.array([one["bbox"] for one in annotations]).repeat(repeats, axis=0)
    people = People(
        skeleton=COCO_17, centers=boxes[:, :2], scales=boxes[:, 2:] * 1.25 / 200, boxes=boxes,
        scores=np.asarray(box_scores, np.float32).T.reshape(-1).astype(np.float64), joints=points[:, :, :2],
        visible=points[:, :, 2], ids=np.arange(len(points)),
        image_ids=np.array([one["image_id"] for one in annotations]).repeat(repeats), files={},
    )  # fmt: skip
    return truth, people, points


@needs_samples
def test_mmposes_numbers_for_moved_truth() -> None:
    """Trap 11.12: its people all score the same but for rounding; means by numpy in float32 give AP 0.53039.

    mmpose's tests move the truth of these four images, and give these ten numbers.
    """
    truth, people, points = moved(np.tile([0.98, 1.02, 0.8], (1, 14, 1)), np.full((1, 14), 0.98))
    rows = results(people, points, PROTOCOL)
    assert numbers(score(truth, rows)) == pytest.approx(
        [
            0.5287458745874587, 0.9042904290429042, 0.5009900990099009, 0.42475247524752474, 0.6219554455445544,
            0.5833333333333333, 0.9166666666666666, 0.5833333333333334, 0.44000000000000006, 0.6857142857142857,
        ],
        abs=1e-12,
    )  # fmt: skip
    for one in rows:
        sure = np.array(one["keypoints"], np.float32)[2::3]
        one["score"] = float(np.mean(sure[sure > 0.2])) * 0.98 if (sure > 0.2).any() else 0.0
    by_numpy = score(truth, rows).AP
    assert by_numpy == pytest.approx(0.53039, abs=5e-6)


@needs_samples
def test_mmposes_numbers_for_soft_suppression() -> None:
    """Everyone twice, moved apart the more, the later in the file."""
    i = np.arange(14) / 100
    factors = [np.stack([1 - i, 1 + i, 1 - i], 1), np.stack([1 + i, 1 - i, 1 - 2 * i], 1)]
    truth, people, points = moved(factors, [np.ones(14), 1 - 2 * i])
    assert numbers(score(truth, results(people, points, SOFT))) == pytest.approx(
        [
            0.17073707370737073, 0.25055005500550054, 0.10671067106710669, 0.0, 0.29315181518151806,
            0.2416666666666666, 0.3333333333333333, 0.16666666666666666, 0.0, 0.41428571428571426,
        ],
        abs=1e-12,
    )  # fmt: skip
