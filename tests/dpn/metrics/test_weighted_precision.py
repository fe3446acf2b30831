"""Scores of weighted images against the data set with its images written out, to the last bit."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpn.metrics import average_precision, coco
from dpn.metrics.average_precision import ranked
from dpn.metrics.coco_scores import NAMES
from dpn.metrics.matching import Rows, people_of
from dpn.metrics.weighted_precision import WeightedPrecision
from tests.dpn.metrics.made_coco import annotation, content, plain, rows_of
from tests.dpn.metrics.test_average_precision import made_up


def written_out(
    truth: dict[str, Any], rows: list[dict[str, Any]], weights: Rows
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Each image so many times, under new numbers that come behind each other in the order of the old ones."""
    images = sorted(truth["images"], key=lambda one: int(one["id"]))
    copies = [(one, repeat) for one, count in zip(images, weights.tolist(), strict=True) for repeat in range(count)]
    made: dict[str, Any] = {**truth, "images": [], "annotations": []}
    found = []
    for number, (image, _) in enumerate(copies, 1):
        made["images"].append({**image, "id": number})
        for one in truth["annotations"]:
            if one["image_id"] == image["id"]:
                place = len(made["annotations"]) + 1
                made["annotations"].append({**one, "image_id": number, "id": place})
        found += [{**one, "image_id": number} for one in rows if one["image_id"] == image["id"]]
    return made, found


def assert_as_written_out(truth: dict[str, Any], rows: list[dict[str, Any]], weights: Rows) -> None:
    found = WeightedPrecision.of(truth, rows).curves(weights)
    expected = average_precision.curves(*written_out(truth, rows, weights))
    np.testing.assert_array_equal(found.precision, expected.precision)
    np.testing.assert_array_equal(found.recall, expected.recall)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), images=st.integers(1, 5), people=st.integers(0, 6), found=st.integers(0, 24),
    tied=st.booleans(), lattice=st.booleans(), most=st.integers(1, 6),
)  # fmt: skip
def test_weights_are_repeated_images(
    seed: int, images: int, people: int, found: int, tied: bool, lattice: bool, most: int
) -> None:
    """With equal scores within an image and between images too, where the order of repeats decides."""
    truth, rows = made_up(seed, images, people, found, tied=tied, lattice=lattice)
    weights = np.random.default_rng(seed).integers(0, most + 1, images)
    assert_as_written_out(truth, rows, weights)


@pytest.mark.parametrize("tied", [False, True])
def test_weights_of_many_images_are_repeated_images_and_pycocotools_agrees(tied: bool) -> None:
    truth, rows = made_up(7, 60, 6, 22, tied=tied, lattice=tied)
    rows = [one for one in rows if one["category_id"] == 1]
    weights = np.bincount(np.random.default_rng(0).integers(60, size=60), minlength=60)
    assert weights.max() > 2
    assert_as_written_out(truth, rows, weights)
    numbers = WeightedPrecision.of(truth, rows)(weights)
    expected = coco.score(*written_out(truth, rows, weights))
    assert numbers.tolist() == [getattr(expected, name) for name in NAMES]


def test_one_of_each_is_the_score_itself() -> None:
    truth, rows = made_up(3, 40, 5, 20, tied=True, lattice=True)
    expected = average_precision.curves(truth, rows)
    found = WeightedPrecision.of(truth, rows).curves(np.ones(40, np.intp))
    np.testing.assert_array_equal(found.precision, expected.precision)


def test_the_repeats_of_tied_people_take_turns() -> None:
    """Somebody wrong and somebody right with one score: of two repeats the first's right one precedes the second's
    wrong one, which people behind each other would hide."""
    truth = {**content(1, 0), "annotations": [annotation(1, 1)]}
    (right,) = rows_of(truth)
    wrong = {**right, "keypoints": [value + 300 for value in right["keypoints"]]}
    rows = [right, wrong]  # repeats: right, wrong, right, wrong
    twice, found = np.array([2]), WeightedPrecision(ranked(*people_of(truth, rows)))
    precision = found.curves(twice).precision[0, 0]
    assert precision[[0, 50]].round(9).tolist() == [1, 1]
    assert precision[[51, 100]].round(9).tolist() == [round(2 / 3, 9)] * 2
    assert precision.mean() == pytest.approx(plain(*written_out(truth, rows, twice))[1])


def test_more_repeats_than_before_may_come() -> None:
    """Slots of tied people are made for as many repeats as have been seen, and for more when they come."""
    truth, rows = made_up(11, 12, 4, 18, tied=True, lattice=True)
    weighted = WeightedPrecision.of(truth, rows)
    for most in (1, 7, 2, 9):
        weights = np.random.default_rng(most).integers(0, most + 1, 12)
        expected = average_precision.curves(*written_out(truth, rows, weights))
        np.testing.assert_array_equal(weighted.curves(weights).precision, expected.precision)


def test_numbers_are_missing_where_nobody_is_to_be_found() -> None:
    truth = content(images=2, each=1)
    truth["annotations"][0]["area"], truth["annotations"][1]["area"] = 5_000.0, 20_000.0
    weighted = WeightedPrecision.of(truth, rows_of(truth))
    assert weighted.images == 2
    for weights, absent in (([1, 0], [4, 9]), ([0, 1], [3, 8]), ([0, 0], range(10))):
        assert np.flatnonzero(np.isnan(weighted(np.array(weights)))).tolist() == list(absent)
