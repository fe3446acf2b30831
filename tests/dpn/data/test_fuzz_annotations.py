"""Annotation files that went wrong in every way that comes to a random mind raise a DataError, or can be used."""

import copy
import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dpn.data.check import check
from dpn.data.coco import people_of_detections, people_of_truth, truth_of
from dpn.data.coco_file import coco_in, detections_in
from dpn.data.opening import Asked, open_data
from dpn.data.people import People
from dpn.data.problems import DataError
from tests.dpn.data.made_coco_folder import content, detections, put, write_images

QUICK, ALL = 300, 10_000

VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 7, 101, 0.5, -0.0, 1e-320, 1e9, -1e30, 1e308, 10**18, 2**63, -(2**63), 10**40,
    10**400, float("nan"), float("inf"), -float("inf"), "", "1", "person", "nose", "a\nb", "\0", "\ud800", "é" * 300,
    "../x", "/etc", [], [[]], [None], [1, 2, 3], [1, 2, 3, 4], [1, "2", 3, 4], [1, 2, 3, [4]], [float("nan")] * 4,
    [0] * 51, [1] * 51, [1e308] * 51, [True] * 51, {}, {"id": 1}, {"a": {"b": [None, {"c": None}]}},
    [[[[[[[[None]]]]]]]],
)  # fmt: skip

NAMES = ("images", "annotations", "categories", "id", "image_id", "category_id", "bbox", "keypoints", "score", "x")

RAW = (
    b"NaN", b"-Infinity", b"1e999", b"9" * 5000, b"[" * 20_000 + b"]" * 20_000, b'{"a":' * 5000 + b"1" + b"}" * 5000,
    b"nul", b"\xff\xfe", b"\xc3", b"\xed\xa0\x80", b"\x00", b"\xef\xbb\xbf", b'"\\ud800"', b"//", b"'", b",", b"]",
    b"}",
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths to everything inside."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] * bool(path) + [inner for step, item in steps for inner in places(item, (*path, step))]


def mutated_value(value: Any, rng: random.Random) -> Any:
    """One thing somewhere inside replaced, removed, repeated, renamed, wrapped or exchanged for another."""
    paths = places(value)
    depth = rng.choice(sorted({len(path) for path in paths}))  # else nearly all would be single coordinates
    *path, step = rng.choice([path for path in paths if len(path) == depth])
    parent = value
    for inner in path:
        parent = parent[inner]
    item, kind = parent[step], rng.randrange(8)
    if kind == 0:
        del parent[step]
    elif kind == 1 and isinstance(parent, list):
        parent.insert(rng.randrange(len(parent) + 1), copy.deepcopy(item))
    elif kind == 2 and isinstance(parent, dict):
        parent[rng.choice(NAMES)] = parent.pop(step)
    elif kind == 3:
        parent[step] = rng.choice(([item], {"a": item}, [item] * 3, str(item)))
    elif kind == 4 and isinstance(item, int | float) and abs(item) < 1e9:
        parent[step] = item * rng.choice((-1, 0, 10, 1e6, 1e300, 1.5))
    elif kind == 5:
        other = value
        for inner in rng.choice(paths):
            other = other[inner]
        parent[step] = copy.deepcopy(other)
    else:
        parent[step] = copy.deepcopy(rng.choice(VALUES))
    return value


def mutated_bytes(data: bytes, rng: random.Random) -> bytes:
    """Cut, flipped, doubled or with something foreign inside."""
    start = rng.randrange(len(data))
    if rng.random() < 0.5:  # where a value stands
        start = max(data.find(b" ", start), 0) + 1
    end = min(len(data), start + rng.choice((0, 1, 1, 2, 4, 60)))
    kind = rng.randrange(5)
    if kind == 0:
        return data[:start]
    if kind == 1 and start < len(data):
        return data[:start] + bytes((data[start] ^ 1 << rng.randrange(8),)) + data[start + 1 :]
    if kind == 2:
        return data[:start] + data[start:end] + data[start:]
    return data[:start] + rng.choice(RAW) + data[end:]


def mutated(value: Any, seed: int) -> bytes:
    rng = random.Random(seed)
    value = copy.deepcopy(value)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        value = mutated_value(value, rng) if value else value
    data = json.dumps(value).encode()
    return mutated_bytes(data, rng) if rng.random() < 0.3 else data


def usable(people: People) -> None:
    """Whoever is let through has a place and a size that crops and heatmaps can be computed with."""
    assert people.centers.dtype == people.scales.dtype == np.float32
    for column in (people.centers, people.scales, people.boxes, people.joints, people.scores):
        assert np.isfinite(column).all()
    assert (people.scales > 0).all()
    assert set(np.unique(people.visible)) <= {0, 1}
    assert len(people.take(slice(0, 1))) <= 1
    assert all(isinstance(people.files[image], str) for image in people.image_ids.tolist())


def as_truth(data: bytes) -> None:
    from pycocotools.coco import COCO

    value = coco_in(data, "file.json")
    usable(people_of_truth(value, (256, 192)))
    coco = COCO()
    coco.dataset = truth_of(value)
    coco.createIndex()


def as_detections(data: bytes) -> None:
    usable(people_of_detections(detections_in(data, "file.json", content()["images"]), content(), (256, 192)))


def refused(use: Callable[[Any], object], data: Any) -> DataError | None:
    try:
        use(data)
    except DataError as error:
        return error
    return None


def outcomes(use: Callable[[bytes], None], value: Any, seeds: range) -> Counter[str]:
    """How often mutations were refused and accepted; any other exception or warning passes through, with its seed."""
    seen: Counter[str] = Counter()
    for seed in seeds:
        try:
            refusal = refused(use, mutated(value, seed))
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
        if refusal:
            assert str(refusal).startswith("file.json")
            assert "\n" not in str(refusal)
            assert all(problem.remedy for problem in refusal.problems)
        seen["refused" if refusal else "accepted"] += 1
    return seen


@pytest.mark.parametrize(
    "seeds", [range(QUICK), pytest.param(range(QUICK, ALL), marks=pytest.mark.slow)], ids=["quick", "all"]
)
@pytest.mark.parametrize(("use", "value"), [(as_truth, content()), (as_detections, detections())])
def test_mutated_files_raise_nothing_but_their_error(use: Callable[[bytes], None], value: Any, seeds: range) -> None:
    seen = outcomes(use, value, seeds)
    assert sum(seen.values()) == len(seeds)
    assert min(seen.values()) > len(seeds) / 20  # both ways are taken
    assert len(seen) == 2


@pytest.mark.parametrize("seeds", [range(40), pytest.param(range(40, 1000), marks=pytest.mark.slow)])
def test_checking_and_opening_mutated_folders(tmp_path: Path, seeds: range) -> None:
    write_images(tmp_path)
    boxes = put(tmp_path / "boxes_det.json", 0)
    annotations = put(tmp_path / "people.json", 0)
    for seed in seeds:
        annotations.write_bytes(mutated(content(), seed) if seed % 2 else json.dumps(content()).encode())
        boxes.write_bytes(mutated(detections(), seed))
        asked = Asked(data=str(tmp_path), boxes="detections", annotations=annotations, detections=boxes)
        report = check(asked, workers=0)
        refusal = refused(open_data, asked)
        assert set(refusal.problems if refusal else ()) <= set(report.problems), seed
        json.dumps(report.as_dict())


def test_a_folder_an_empty_file_and_nothing_in_place_of_annotations(tmp_path: Path) -> None:
    write_images(tmp_path)
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "empty.json").touch()
    for name, message in (("folder", "is a folder"), ("empty", "is empty"), ("gone", "there is no such file")):
        asked = Asked(data=str(tmp_path), annotations=tmp_path / f"{name}.json")
        (problem,) = check(asked).problems
        assert problem.message == message
        with pytest.raises(DataError, match=f"{name}.json: {message}"):
            open_data(asked)


def test_the_mutations_are_what_they_are_meant_to_be() -> None:
    """Wrong types, huge numbers, NaN, cut bytes and wrong UTF-8 occur among them, and no two are alike."""
    all_of_them = [mutated(content(), seed) for seed in range(QUICK)]
    assert len(set(all_of_them)) > 0.9 * QUICK
    found: Counter[str] = Counter()
    for data in all_of_them:
        found["NaN"] += b"NaN" in data
        found["infinite"] += b"Infinity" in data or b"1e999" in data
        found["huge"] += b"e+30" in data or b"0" * 40 in data
        try:
            data.decode()
        except UnicodeDecodeError:
            found["no UTF-8"] += 1
        try:
            json.loads(data)
        except RecursionError:
            found["deep"] += 1
        except ValueError:
            found["no JSON"] += 1
    assert min(found[name] for name in ("NaN", "infinite", "huge", "no UTF-8", "deep", "no JSON")) > 0
