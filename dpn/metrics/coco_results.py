"""COCO's results files: written whole or not at all, and read only where every row can be scored. Imports no torch."""

import json
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dpn.arrays import Floats
from dpn.data.coco_problems import PERSON
from dpn.data.json_columns import Rows, finite_numbers, number_lists, rows_of, where, whole_numbers
from dpn.data.json_files import parse, read_bytes
from dpn.data.problems import DataError, Problem
from dpn.metrics.coco_scores import to_find
from dpn.program.whole_files import write_whole
from dpn.skeletons import COCO_17

NUMBERS = 3 * len(COCO_17.joints)
"""In a row's `keypoints`: x, y and score of each joint."""


def write_results(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Writes a results file, one person a line; it appears whole or not at all.

    Args:
        path: of the file; its folder is made if it is missing.
        rows: see `dpn.metrics.coco.results`.

    Raises:
        ValueError: a number is NaN or infinite; nothing is written.
        OSError: the file cannot be written.
    """
    lines = ",\n".join(json.dumps(row, allow_nan=False) for row in rows)
    write_whole(path, f"[\n{lines}\n]\n".encode())


def read_results(path: Path, truth: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of a results file, with the four fields that are scored and no others.

    Another field is left out because pycocotools would take a person's area from a `bbox` beside the keypoints, and
    the four numbers of medium and large people would depend on it.

    Args:
        path: of a JSON file in COCO's format for keypoints; it may lie in an archive, results.zip/FILE.json.
        truth: content of the annotation file that it answers.

    Raises:
        DataError: the file is missing, cut short or no list, or rows lack a field, have NaN or another number of
            keypoints, are of other images or another category, or stand there twice: all of them at once.
    """
    content = parse(read_bytes(path), str(path))
    problems = list(problems_in_results(content, str(path), {image["id"] for image in truth["images"]}))
    if problems:
        raise DataError(problems)
    assert isinstance(content, list)
    return [
        {
            "image_id": row["image_id"],
            "category_id": row["category_id"],
            "keypoints": [float(number) for number in row["keypoints"]],
            "score": float(row["score"]),
        }
        for row in content
    ]


def lacking(path: Path, truth: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    """What a user should know of results in which images with people to find are missing; empty where none is.

    Args:
        path: of the results file.
        truth: content of the annotation file that it answers.
        rows: as `read_results` gives them.
    """
    if not rows:
        return f"{path} holds no predictions"
    images = {one["image_id"] for one in to_find(truth)}
    answered = images & {row["image_id"] for row in rows}
    if answered == images:
        return ""
    said = f"{path} has predictions in {len(answered):,} of the {len(images):,} images with people"
    return f"{said}; everybody in the others counts as missed"


def problems_in_results(content: object, file: str, image_ids: Collection[int]) -> Iterator[Problem]:
    """Everything for which this is no results file for these images.

    Args:
        content: as parsed from JSON.
        file: its name, for the messages.
        image_ids: of the annotation file.
    """
    rows = yield from rows_of({"": content}, "", file)
    if rows is None:
        return
    images = yield from whole_numbers(rows, "image_id")
    known = set(image_ids)
    for row, image_id in enumerate(images):
        if image_id is not None and image_id not in known:
            message = f"is {image_id}, which is no image of the annotations"
            yield rows.problem(row, "image_id", message, "score it against the annotations of its own images")
    for row, category in enumerate((yield from whole_numbers(rows, "category_id"))):
        if category not in (PERSON, None):
            yield rows.problem(row, "category_id", f"is {category}, not {PERSON}", "keep people alone")
    keypoints = yield from number_lists(rows, "keypoints", NUMBERS)
    scores = yield from finite_numbers(rows, "score")
    yield from _repeats(rows, images, keypoints, scores)


def _repeats(rows: Rows, images: list[int | None], keypoints: Floats, scores: Floats) -> Iterator[Problem]:
    seen: dict[tuple[int | None, float, bytes], int] = {}
    sound = np.isfinite(keypoints).all(axis=1) & np.isfinite(scores)
    for row in where(sound):
        first = seen.setdefault((images[row], float(scores[row]), keypoints[row].tobytes()), row)
        if first != row and images[row] is not None:
            message = f"is the same person with the same score as in [{rows.places[first]}]"
            remedy = "leave out repeats, as a sampler makes that fills its last batch, or a box twice in the detections"
            yield rows.problem(row, "keypoints", message, remedy)
