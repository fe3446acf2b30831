"""Results files: what is written is read again, and what cannot be scored is said, all of it, in one kind of error."""

import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dpn.data.problems import DataError
from dpn.metrics.coco import results, score
from dpn.metrics.coco_results import read_results, write_results
from dpn.protocols import protocol
from tests.dpn.metrics.made_coco import content, people_in, row, rows_of

TRUTH = content(images=3, each=1)
PROTOCOL = protocol("dpn", "coco")


def written(folder: Path, rows: Any) -> Path:
    (path := folder / "results.json").write_text(json.dumps(rows))
    return path


def complaints(path: Path) -> list[tuple[str, str]]:
    """Field and message of every problem."""
    with pytest.raises(DataError) as caught:
        read_results(path, TRUTH)
    assert {problem.file for problem in caught.value.problems} == {str(path)}
    assert "\n" not in str(caught.value)
    return [(problem.field, problem.message) for problem in caught.value.problems]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    rows = [row(1 + seed % 3, score=float(np.float32(0.1 * seed)) / 3, seed=seed) for seed in range(9)]
    write_results(path := tmp_path / "new" / "results.json", rows)
    assert read_results(path, TRUTH) == rows == json.loads(path.read_text())
    write_results(path, [])
    assert read_results(path, TRUTH) == []
    assert [file.name for file in path.parent.iterdir()] == ["results.json"]


def test_results_are_read_from_the_archive_that_is_submitted(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "results.zip", "w") as archive:
        archive.writestr("person_keypoints.json", json.dumps([row(2)]))
    assert read_results(tmp_path / "results.zip" / "person_keypoints.json", TRUTH) == [row(2)]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, ValueError])
def test_stopped_in_the_middle_the_old_file_stays(tmp_path: Path, stop: type[BaseException]) -> None:
    def rows() -> Iterator[dict[str, Any]]:
        yield row(1)
        raise stop

    write_results(path := tmp_path / "results.json", [row(2)])
    with pytest.raises(stop):
        write_results(path, rows())
    assert read_results(path, TRUTH) == [row(2)]
    assert list(tmp_path.iterdir()) == [path]


def test_no_file_holds_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_results(tmp_path / "results.json", [row(1), row(2, score=float("nan"))])
    assert list(tmp_path.iterdir()) == []


def test_numbers_come_as_floats(tmp_path: Path) -> None:
    whole = {"image_id": 1, "category_id": 1, "keypoints": [3] * 51, "score": 1}
    (read,) = read_results(written(tmp_path, [whole]), TRUTH)
    assert {type(value) for value in (*read["keypoints"], read["score"])} == {float}


BAD: dict[str, tuple[dict[str, Any], str, str]] = {
    "other image": ({"image_id": 99}, "image_id", "is 99, which is no image of the annotations"),
    "image in words": ({"image_id": "1"}, "image_id", "is '1', not a whole number"),
    "image by truth": ({"image_id": True}, "image_id", "is True, not a whole number"),
    "unknown category": ({"category_id": 18}, "category_id", "is 18, not 1"),
    "category in words": ({"category_id": "person"}, "category_id", "is 'person', not a whole number"),
    "too few": ({"keypoints": [1.0] * 34}, "keypoints", "is a list of 34, not a list of 51 numbers"),
    "too many": ({"keypoints": [1.0] * 54}, "keypoints", "is a list of 54, not a list of 51 numbers"),
    "triples": ({"keypoints": [[1.0, 2.0, 3.0]] * 17}, "keypoints", "is a list of 17, not a list of 51 numbers"),
    "NaN": ({"keypoints": [float("nan")] * 51}, "keypoints", "holds nan at place 0, not a finite number"),
    "infinite": ({"keypoints": [1.0] * 50 + [float("inf")]}, "keypoints", "holds inf at place 50, not a finite number"),
    "null": ({"keypoints": [None] * 51}, "keypoints", "holds null at place 0, not a finite number"),
    "score null": ({"score": None}, "score", "is null, not a finite number"),
    "score NaN": ({"score": float("nan")}, "score", "is nan, not a finite number"),
    "score beyond": ({"score": 10**400}, "score", "not a finite number"),
    "score true": ({"score": True}, "score", "is True, not a finite number"),
}


@pytest.mark.parametrize(("change", "field", "message"), BAD.values(), ids=BAD)
def test_a_bad_row_is_named(tmp_path: Path, change: dict[str, Any], field: str, message: str) -> None:
    ((found, said),) = complaints(written(tmp_path, [row(1), {**row(2), **change}]))
    assert found == f"[1].{field}"
    assert message in said


@pytest.mark.parametrize("field", ["image_id", "category_id", "keypoints", "score"])
def test_a_missing_field_is_named(tmp_path: Path, field: str) -> None:
    rows = [row(1), {key: value for key, value in row(2).items() if key != field}]
    assert complaints(written(tmp_path, rows)) == [(f"[1].{field}", "is missing")]


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    rows = [{**row(1), "image_id": 4}, 7, row(2), {**row(3), "score": "high", "keypoints": None}]
    assert [field for field, _ in complaints(written(tmp_path, rows))] == [
        "[1]", "[0].image_id", "[3].keypoints", "[3].score",
    ]  # fmt: skip


def test_the_same_row_again_is_named(tmp_path: Path) -> None:
    """Trap 11.11: a padded last batch repeats people, and each repeat is a false positive."""
    rows = [row(1), row(2), row(1, score=0.4), row(2, seed=5), row(1), row(2)]
    assert complaints(written(tmp_path, rows)) == [
        ("[4].keypoints", "is the same person with the same score as in [0]"),
        ("[5].keypoints", "is the same person with the same score as in [1]"),
    ]


def test_the_remedy_for_a_repeat_names_detections_that_soft_suppression_keeps_twice(tmp_path: Path) -> None:
    people = people_in(TRUTH, 1)
    twice = people.take(np.array([0, 0, 1]))
    points = np.concatenate([twice.joints, np.ones((3, 17, 1))], axis=2)
    write_results(path := tmp_path / "results.json", results(twice, points, replace(PROTOCOL, soft_nms=True)))
    with pytest.raises(DataError, match=r"\[1\]\.keypoints: is the same person .* or a box twice in the detections$"):
        read_results(path, TRUTH)
    write_results(path, results(twice, points, PROTOCOL))
    assert len(read_results(path, TRUTH)) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("{}", "is an object, not a list"),
        ('[{"image_id": 1, "category_id": 1, "keyp', "cut short"),
        ("[" * 100_000, "is nested too deeply"),
        ("[" + "9" * 5_000 + "]", "thousands of digits"),
        ('["\\ud8', "cut short"),
    ],
)
def test_a_file_that_is_no_list_is_named(tmp_path: Path, text: str, said: str) -> None:
    (path := tmp_path / "results.json").write_text(text)
    ((_, message),) = complaints(path)
    assert said in message


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    assert complaints(tmp_path / "none.json") == [("", "there is no such file")]
    assert complaints(tmp_path) == [("", "is a folder")]
    (path := tmp_path / "bytes.json").write_bytes(b'["\xff\xfe"]')
    assert complaints(path) == [("byte 2", "is no UTF-8")]


STRANGE = [None, True, -1, 0, 2**70, 10**400, 1e308, float("nan"), float("inf"), "x", [], {}, [1] * 51, 4]


def mutated(rng: np.random.Generator) -> bytes:
    """A good file of results, with a few values, fields, rows or bytes changed."""
    rows: list[Any] = rows_of(TRUTH)
    for _ in range(rng.integers(1, 4)):
        number = int(rng.integers(len(rows)))
        one = rows[number] if isinstance(rows[number], dict) else {}
        value = rng.uniform(-1e3, 1e3) if rng.random() < 0.6 else STRANGE[rng.integers(len(STRANGE))]
        kind = rng.random()
        if kind < 0.6 and isinstance(one.get("keypoints"), list) and one["keypoints"]:
            one["keypoints"][rng.integers(len(one["keypoints"]))] = value
        elif kind < 0.9 and one:
            one[rng.permutation([*one])[0]] = value
        elif kind < 0.95 and one:
            del one[rng.permutation([*one])[0]]
        else:
            rows[number] = value
    data = bytearray(json.dumps(rows if rng.random() < 0.98 else rows[0]).encode())
    for _ in range(rng.integers(1, 4) if rng.random() < 0.2 else 0):
        data[rng.integers(len(data))] = rng.integers(256)
    return bytes(data if rng.random() < 0.9 else data[: rng.integers(len(data))])


@pytest.mark.parametrize("seeds", [range(300), pytest.param(range(300, 1000), marks=pytest.mark.slow)])
def test_mutated_files_raise_nothing_else(tmp_path: Path, seeds: range) -> None:
    path, told, scored = tmp_path / "results.json", [], 0
    for seed in seeds:
        path.write_bytes(mutated(np.random.default_rng(seed)))
        try:
            rows = read_results(path, TRUTH)
        except DataError as error:
            told += error.problems
            continue
        score(TRUTH, rows)  # whatever is let through can be scored
        scored += 1
    assert {problem.file for problem in told} == {str(path)}
    assert len(seeds) / 10 < scored < len(seeds) / 2
