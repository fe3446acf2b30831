"""Images named on a command line: their ids, boxes for them from a file, where drawings go. Imports no torch."""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from dpn.data.coco_problems import PERSON, problems_in_detections
from dpn.data.json_files import parse, read_bytes
from dpn.data.people import Floats
from dpn.data.problems import DataError, Problem

Boxes = Mapping[Path, tuple[Floats, Floats]]
"""For each image: boxes (N, 4), x, y, width and height in pixels, and their scores (N,)."""


def number_in(path: Path) -> int | None:
    """The number at the end of an image's name, which COCO's images have for an id.

    Example:
        >>> number_in(Path("COCO_val2014_000000000785.jpg")), number_in(Path("beach.jpg"))
        (785, None)
    """
    found = re.search(r"[0-9]{1,18}$", path.stem)
    return int(found[0]) if found else None


def image_ids(images: Sequence[Path]) -> list[int]:
    """The number in each name; where it has none, or one that an earlier image has, the least that nobody has.

    Example:
        >>> image_ids([Path("a/000000000785.jpg"), Path("beach.jpg"), Path("b/000000000785.jpg")])
        [785, 1, 2]
    """
    numbers = [number_in(path) for path in images]
    given = set(numbers)
    free = (number for number in count(1) if number not in given)
    seen: set[int] = set()
    ids = []
    for number in numbers:
        ids.append(next(free) if number is None or number in seen else number)
        seen.add(ids[-1])
    return ids


def read_boxes(path: Path, images: Sequence[Path]) -> Boxes:
    """The boxes of these images in a file of detections in COCO's form.

    A row is of the image that its `file_name` names, or else of the one with its `image_id` at the end of its name.
    Rows of other images and of other categories than people are left out.

    Args:
        path: a .json file: a list of objects with image_id, category_id, bbox and score.
        images: their paths.

    Returns:
        Only of the images that have a box.

    Raises:
        DataError: with everything that is wrong with the file, or none of the images is in it.
    """
    content = parse(read_bytes(path), str(path))
    rows = content if isinstance(content, list) else []
    ids = [{"id": row["image_id"]} for row in rows if isinstance(row, dict) and type(row.get("image_id")) is int]
    problems = list(problems_in_detections(content, str(path), ids))
    if problems:
        raise DataError(problems)
    people = [row for row in rows if row["category_id"] == PERSON]
    named: dict[str | int, list[Path]] = defaultdict(list)
    for image in dict.fromkeys(images):
        named[image.name].append(image)
        if (number := number_in(image)) is not None:
            named[number].append(image)
    found: dict[Path, list[Mapping[str, Any]]] = defaultdict(list)
    for row in people:
        for image in named.get(_image_of(row), ()):
            found[image].append(row)
    if not found:
        raise DataError(
            Problem(
                str(path), "", "has boxes for none of these images",
                "give its rows the images' file_name, or name images by their image_id, such as 000000000785.jpg",
            )
        )  # fmt: skip
    return {
        image: (np.array([row["bbox"] for row in own], np.float64), np.array([row["score"] for row in own], np.float64))
        for image, own in found.items()
    }


def output_paths(images: Sequence[Path], folder: Path) -> list[Path]:
    """A PNG file in the folder for each image, by its name; equal names get numbers.

    Example:
        >>> [path.name for path in output_paths([Path("a/x.jpg"), Path("b/x.png"), Path("y.jpg")], Path("out"))]
        ['x.png', 'x_2.png', 'y.png']

    Raises:
        ValueError: one of them is one of the images.
    """
    taken: Counter[str] = Counter()
    paths = []
    for image in images:
        name, number = image.stem, 1
        while taken[name]:
            number += 1
            name = f"{image.stem}_{number}"
        taken[name] += 1
        paths.append(folder / f"{name}.png")
    sources = {os.path.realpath(image) for image in images}  # Path.resolve raises at a loop of links
    for path in paths:
        if os.path.realpath(path) in sources:
            raise ValueError(
                f"the drawing {path} would take the place of that image; give another folder with --output"
            )
    return paths


def _image_of(row: Mapping[str, Any]) -> str | int:
    """The name of a row's image, or else the number at the end of its name."""
    name = row.get("file_name")
    return Path(name).name if isinstance(name, str) else int(row["image_id"])
