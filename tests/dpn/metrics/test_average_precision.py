"""This project's own average precision against pycocotools, to the last bit, and its rules one by one."""

import contextlib
import io
import json
import subprocess
import sys
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpn.metrics import coco, matching
from dpn.metrics.average_precision import AREAS, RECALLS, curves, score
from dpn.metrics.coco_scores import NAMES
from dpn.metrics.matching import MOST, SIGMAS, THRESHOLDS, alike, people_of
from tests.dpn.metrics.made_coco import K, annotation, content, plain, row, rows_of
from tests.dpn.samples import COCO, needs_samples

SIZES = (0.0, 1e-3, 900.0, 32.0**2, 2_000.0, 96.0**2, 96.0**2 + 1e-9, 40_000.0, 1e10, 2e10)
"""Tiny and huge, and what the ranges end with."""


def evaluated(truth: dict[str, Any], rows: list[dict[str, Any]]) -> Any:
    """COCOeval itself, which has evaluated and accumulated."""
    from pycocotools import coco as pycoco
    from pycocotools.cocoeval import COCOeval

    def indexed(annotations: list[dict[str, Any]]) -> Any:
        index = pycoco.COCO()
        index.dataset = {**truth, "annotations": [{**one, "id": n} for n, one in enumerate(annotations, 1)]}
        index.createIndex()
        return index

    with contextlib.redirect_stdout(io.StringIO()), np.errstate(over="ignore"):
        people = indexed(truth["annotations"])
        found = people.loadRes([dict(one) for one in rows]) if rows else indexed([])
        evaluation = COCOeval(people, found, "keypoints")
        evaluation.params.catIds = [1]
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation


def assert_equal(truth: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    """The whole curves and the ten numbers, without any tolerance."""
    found, expected = curves(truth, rows), evaluated(truth, rows).eval
    np.testing.assert_array_equal(found.recall, expected["recall"][:, 0, :, 0].T)
    np.testing.assert_array_equal(found.precision, expected["precision"][:, :, 0, :, 0].transpose(2, 0, 1))
    assert score(truth, rows) == replace(coco.score(truth, rows), engine="own")


def somebody(rng: np.random.Generator, number: int, image_id: int, lattice: bool) -> dict[str, Any]:
    """An annotation: whole numbers on a coarse lattice, where similarities tie, or any; labelled or not, or crowd."""
    step = 8 if lattice else 1
    corner, size = rng.integers(0, 6, 2) * 16, np.array([32, 48])
    places = corner + rng.integers(0, size // step, (K, 2)) * step + (0 if lattice else rng.random((K, 2)))
    flags = np.where(rng.random(K) < rng.choice([0.0, 0.1, 0.6, 1.0]), rng.integers(1, 3, K), 0)
    labelled = int((flags > 0).sum())
    made = annotation(
        number, image_id, area=float(rng.choice(SIZES)) if rng.random() < 0.5 else float(rng.uniform(500, 20_000)),
        iscrowd=int(rng.random() < 0.15), keypoints=np.column_stack([places, flags]).reshape(-1).tolist(),
        num_keypoints=labelled if rng.random() < 0.9 else int(rng.integers(0, 3)),
    )  # fmt: skip
    return {**made, "bbox": [*corner.tolist(), *(size * rng.integers(0, 2)).tolist()], "category_id": 1}


def finds(rng: np.random.Generator, truth: dict[str, Any], image_id: int, tied: bool, lattice: bool) -> dict[str, Any]:
    """A row: somebody of the image with some joints moved, or nobody in particular."""
    people = [one["keypoints"] for one in truth["annotations"] if one["image_id"] == image_id]
    points = np.array(people[rng.integers(len(people))] if people else rng.integers(0, 99, 3 * K).tolist(), float)
    spread = rng.choice([0.0, 2.0, 8.0, 300.0, 1e200], p=[0.3, 0.3, 0.25, 0.1, 0.05])
    moved = rng.choice([-1, 0, 1], points.shape) * spread if lattice else rng.normal(0, spread, points.shape)
    value = float(rng.choice([0.0, 0.25, 0.5])) if tied else float(rng.normal(0.5, 0.3))
    made = {**row(image_id, score=value), "keypoints": (points + moved).tolist()}
    return {**made, "category_id": 2 if rng.random() < 0.03 else 1}


def made_up(
    seed: int, images: int, most_people: int, most_found: int, *, tied: bool, lattice: bool
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    rng = np.random.default_rng(seed)
    truth = content(images, 0)
    numbers = rng.permutation(images).tolist()
    truth["images"] = [{**truth["images"][number], "id": number * 7} for number in numbers]
    truth["annotations"] = [
        somebody(rng, 0, number * 7, lattice)
        for number in numbers
        for _ in range(int(rng.integers(0, most_people + 1)))
    ]
    if truth["annotations"] and rng.random() < 0.2:
        truth["annotations"][0]["category_id"] = 3
    rng.shuffle(truth["annotations"])
    rows = [
        finds(rng, truth, number * 7, tied, lattice)
        for number in numbers
        for _ in range(int(rng.integers(0, most_found + 1)))
    ]
    rng.shuffle(rows)
    return truth, rows


@settings(max_examples=120, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), images=st.integers(1, 4), people=st.integers(0, 8), found=st.integers(0, 26),
    tied=st.booleans(), lattice=st.booleans(),
)  # fmt: skip
def test_curves_are_pycocotools(seed: int, images: int, people: int, found: int, tied: bool, lattice: bool) -> None:
    """Trap 11.12: with equal scores and equal similarities too."""
    assert_equal(*made_up(seed, images, people, found, tied=tied, lattice=lattice))


@pytest.mark.parametrize("lattice", [False, True])
def test_curves_of_some_images_are_pycocotools(lattice: bool) -> None:
    """The same whatever hypothesis chooses: full images, crowds, ties and ignored people are all among them."""
    truth, rows = made_up(3, 60, 9, 26, tied=lattice, lattice=lattice)
    assert sum(one["iscrowd"] for one in truth["annotations"]) > 20
    assert max(np.unique([one["image_id"] for one in rows], return_counts=True)[1]) > MOST
    assert_equal(truth, rows)
    assert 0.1 < score(truth, rows).AP < 0.9


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_curves_of_many_images_are_pycocotools(seed: int) -> None:
    truth, rows = made_up(seed, 500, 12, 30, tied=seed == 1, lattice=seed == 1)
    assert len(rows) > 6_000
    assert_equal(truth, rows)


def test_similarities_are_pycocotools_to_the_last_bit() -> None:
    """On which equal ones depend; those below the first threshold are left out."""
    truth, rows = made_up(2, 100, 6, 15, tied=False, lattice=False)
    people, found, images = people_of(truth, rows)
    pairs = alike(found, people, images)
    expected = evaluated(truth, rows).ious
    grids = [np.array(expected[number, 1]) for number in sorted(one["id"] for one in truth["images"])]
    similar = np.concatenate([grid[grid >= THRESHOLDS[0]] for grid in grids])
    assert len(set(similar.tolist())) > 200
    assert np.array_equal(pairs.similarity, similar)


def test_pairs_may_be_compared_in_any_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    truth, rows = made_up(4, 10, 6, 9, tied=False, lattice=False)
    whole = curves(truth, rows)
    monkeypatch.setattr(matching, "_PAIRS", 3)
    assert np.array_equal(curves(truth, rows).precision, whole.precision)


def test_one_image_of_a_hundred_people_is_pycocotools() -> None:
    """More steps of matching in one image than in all others together."""
    truth, rows = made_up(1, 3, 2, 3, tied=False, lattice=False)
    alike = [annotation(0, 0, area=4_000.0 + number) for number in range(100)]
    moved = [{**one, "score": 1 - n / 50} for n, one in enumerate(rows_of({"annotations": alike[:40]}))]
    assert_equal({**truth, "annotations": truth["annotations"] + alike}, rows + moved)


# Rules, each by numbers that follow from it


def person(number: int, *, px: float = 0.0, joints: int = K, **changes: Any) -> dict[str, Any]:
    """Somebody of image 1 whose first so many joints are labelled and who is moved along x."""
    places = np.random.default_rng(number).integers(0, 100, (K, 2)) * 1.0 + [px, 0]
    flags = 2.0 * (np.arange(K) < joints)
    flat = np.column_stack([places, flags]).reshape(-1).tolist()
    return annotation(number, 1, **{"area": 4_000.0, "keypoints": flat, "num_keypoints": joints, **changes})


def of(*people: dict[str, Any]) -> dict[str, Any]:
    return {**content(1, 0), "annotations": list(people)}


def found(*people: dict[str, Any]) -> list[dict[str, Any]]:
    """As results, the first ones surer."""
    return [{**one, "score": 1 - number / 100} for number, one in enumerate(rows_of({"annotations": people}))]


def ap(truth: dict[str, Any], rows: list[dict[str, Any]], name: str = "AP") -> float | None:
    """One of the ten numbers; COCO adds the smallest float to what it divides by."""
    number = getattr(score(truth, rows), name)
    return None if number is None else round(number, 12)


def test_a_similarity_at_the_threshold_is_enough() -> None:
    """One of two joints right and the other far away is a similarity of exactly 0.5."""
    (half,) = found(person(1))
    half["keypoints"][3] += 1e6
    assert curves(of(person(1, joints=2)), [half]).recall[0].tolist() == [1] + [0] * 9


def test_of_equally_alike_people_the_last_is_matched() -> None:
    """Trap 11.12. The second one found is like the left person alone, who is taken if that is the last."""
    left, right = person(1, px=-8), person(1, px=8)
    rows = found(person(1), person(1, px=-9))
    assert curves(of(left, right), rows).recall[0, 0] == 1
    assert curves(of(right, left), rows).recall[0, 0] == 0.5


def test_people_who_count_are_matched_before_those_who_do_not() -> None:
    """However much more alike a crowd or somebody of another size is."""
    counts, crowd, tiny = person(1, px=5), person(1, iscrowd=1), person(1, area=900.0)
    for other in (crowd, {**crowd, "iscrowd": 0, "num_keypoints": 0}):
        assert curves(of(other, counts), found(person(1))).recall[0, 0] == 1
    assert curves(of(tiny, counts), found(person(1))).recall[:, 0].tolist() == [0.5, 1, -1]


def test_a_crowd_takes_any_number_and_another_ignored_person_one() -> None:
    """Whoever is matched to either is no false positive."""
    right, crowd = person(1), person(2, iscrowd=1)
    rows = [*found(*[person(2)] * 3), {**found(right)[0], "score": 0.1}]
    assert ap(of(right, crowd), rows) == 1
    unlabelled = {**crowd, "iscrowd": 0, "num_keypoints": 0}
    assert ap(of(right, unlabelled), rows) == round(1 / 3, 12)


def test_whoever_is_near_the_box_of_people_without_labelled_joints_is_not_wrong() -> None:
    """A joint is as far away as it lies outside of the box extended by its own width and height to each side."""
    box = [100, 100, 20, 40]
    nobody = person(2, joints=0, bbox=box, iscrowd=1)
    inside = {**found(person(2))[0], "keypoints": [80.0, 180.0, 1.0] * K}
    outside = {**inside, "keypoints": [80.0 - 60, 180.0 + 60, 1.0] * K}
    right = {**found(person(1))[0], "score": 0.1}
    assert ap(of(person(1), nobody), [inside, right]) == 1
    assert ap(of(person(1), nobody), [outside, right]) == 0.5


def test_ranges_of_area_include_both_ends() -> None:
    for area, counts in ((32.0**2, [1, 1, -1]), (96.0**2, [1, 1, 1]), (1023.9, [1, -1, -1]), (1e10 + 4, [-1, -1, -1])):
        right = person(1, area=area)
        assert curves(of(right), found(right)).recall[:, 0].tolist() == counts, area


def test_a_false_positive_of_another_size_does_not_count() -> None:
    """By the box around all its keypoints, labelled in the truth or not: the huge one is wrong for the large alone."""
    medium, large = person(1), person(2, area=10_000.0)
    (huge,) = found(person(3))
    huge["keypoints"] = [1_000 + 5 * value for value in huge["keypoints"]]
    truth, rows = of(medium, large), [huge, *({**one, "score": 0.1} for one in found(medium, large))]
    assert [ap(truth, rows, name) for name in ("APM", "APL")] == [1, 0.5]


def test_twenty_of_an_image_are_looked_at() -> None:
    """Trap of section 8: maxDets is 20; of equal scores the earlier rows."""
    (right,) = found(person(1))
    wrong = {**right, "keypoints": [value + 500 for value in right["keypoints"]]}
    truth = of(person(1))
    assert score(truth, [*[wrong] * 19, right]).AR == 1
    assert score(truth, [*[wrong] * 20, right]).AR == 0
    assert ap(truth, [*[wrong] * 20, {**right, "score": 1.1}]) == 1


def test_nobody_to_find_is_none_and_finding_nobody_is_zero() -> None:
    nobody, no_images = content(2, 0), {**content(0, 0), "annotations": [person(1)]}
    for truth in (nobody, no_images, of(person(1, iscrowd=1))):
        assert {asdict(score(truth, []))[name] for name in NAMES} == {None}
    assert asdict(score(of(person(1)), [])) == {
        **dict.fromkeys(NAMES, 0.0), "APL": None, "ARL": None, "n_images": 1, "n_people": 1, "engine": "own",
    }  # fmt: skip


def test_constants_are_pycocotools_to_the_last_bit() -> None:
    from pycocotools.cocoeval import Params

    params = Params("keypoints")
    assert np.array_equal(SIGMAS, params.kpt_oks_sigmas)
    assert np.array_equal(THRESHOLDS, params.iouThrs)
    assert np.array_equal(RECALLS, params.recThrs)
    assert [list(area) for area in AREAS] == params.areaRng
    assert params.maxDets == [MOST]


# What is given


def test_what_is_scored_is_not_changed_and_may_lack_info() -> None:
    truth, rows = made_up(5, 4, 5, 9, tied=False, lattice=False)
    del truth["info"]
    before = json.dumps([truth, rows])
    score(truth, rows)
    assert json.dumps([truth, rows]) == before


def test_annotation_zero_and_whole_numbers_are_as_any() -> None:
    truth = content(images=3, each=2)
    rows = [{**one, "keypoints": [int(value) for value in one["keypoints"]], "score": 1} for one in rows_of(truth)]
    truth["annotations"][0]["id"] = 0
    assert score(truth, rows).AR == 1
    assert plain(truth, rows)[5] < 1


def test_rows_that_cannot_be_scored_are_refused() -> None:
    truth = content(images=1, each=1)
    with pytest.raises(ValueError, match="results for 1 images that the annotations do not have, such as 99"):
        score(truth, [row(99)])
    with pytest.raises(ValueError, match="keypoints must be 51 numbers"):
        score(truth, [{**row(1), "keypoints": [1.0] * 50}, {**row(1), "keypoints": [1.0] * 52}])


@needs_samples
@pytest.mark.parametrize("spread_px", [0, 2, 6, 20])
def test_real_people_are_scored_as_by_pycocotools(spread_px: float) -> None:
    truth = json.loads((COCO / "test_coco.json").read_text())
    rng = np.random.default_rng(0)
    rows = rows_of(truth) * 3
    for one in rows:
        one["keypoints"] = (np.array(one["keypoints"]) + rng.normal(0, spread_px, 3 * K)).tolist()
        one["score"] = float(rng.random())
    assert_equal(truth, rows)
    assert [number if number >= 0 else None for number in plain(truth, rows)] == [
        getattr(score(truth, rows), name) for name in NAMES
    ]


def test_neither_torch_nor_pycocotools_is_imported() -> None:
    modules = "average_precision", "error_report", "uncertainty", "weighted_pckh", "weighted_precision"
    code = (
        f"import sys, {', '.join(f'dpn.metrics.{name}' for name in modules)}\n"
        "print(*sorted({'torch', 'pycocotools', 'scipy'} & {*sys.modules}))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []
