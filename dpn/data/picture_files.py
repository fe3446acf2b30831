"""Images named on a command line: their ids, boxes for them from a file, where drawings go. Imports no torch."""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import count, takewhile
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from dpn.arrays import Floats
from dpn.data.coco_problems import PERSON, problems_in_detections
from dpn.data.json_columns import whole_number
from dpn.data.json_files import parse, read_bytes
from dpn.data.problems import DataError, Problem
from dpn.program.quantities import some

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

    A row is of the image that its `file_name` names, or without one of that with its `image_id` at the end of its name.
    Folders may differ; where several have the file's name, the most of its path decides. Rows of other images and of
    other categories than people are left out.

    Args:
        path: a .json file: a list of objects with image_id, category_id, bbox and score.
        images: their paths.

    Returns:
        Only of the images that have a box.

    Raises:
        DataError: with everything that is wrong with the file, none of the images is in it, or a row could be of
            several of them.
    """
    content = parse(read_bytes(path), str(path))
    rows = content if isinstance(content, list) else []
    numbers = (whole_number(row.get("image_id")) for row in rows if isinstance(row, dict))
    ids = [{"id": number} for number in numbers if number is not None]
    problems = list(problems_in_detections(content, str(path), ids))
    if problems:
        raise DataError(problems)
    people = [row for row in rows if row["category_id"] == PERSON]
    named = _named(list(dict.fromkeys(map(_image_of, people))), images, str(path))
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


def file_names(images: Sequence[Path]) -> list[str]:
    """The name of each image, or its path where another has that name.

    Example:
        >>> file_names([Path("a/x.jpg"), Path("b/x.jpg"), Path("b/y.jpg")])
        ['a/x.jpg', 'b/x.jpg', 'y.jpg']
    """
    known = Counter(image.name for image in images)
    return [image.name if known[image.name] == 1 else image.as_posix() for image in images]


def _image_of(row: Mapping[str, Any]) -> PurePosixPath | int:
    """What a row calls its image: by its path, or else by the number at the end of its name."""
    name = row.get("file_name")
    return PurePosixPath(name) if isinstance(name, str) else int(row["image_id"])


def _named(
    names: Sequence[PurePosixPath | int], images: Sequence[Path], file: str
) -> dict[PurePosixPath | int, list[Path]]:  # fmt: skip
    """The image of each of these names that has one; as a list, since it may have been given more than once.

    Of all names and images that end alike, those belong together that have most of their paths in common.

    Raises:
        DataError: a name fits several images equally well, or an image several names.
    """
    given: dict[Path, list[Path]] = defaultdict(list)
    for image in dict.fromkeys(images):
        given[Path(os.path.abspath(image))].append(image)  # noqa: PTH100 - links keep their names
    ends: dict[str | int, list[Path]] = defaultdict(list)
    for image in given:
        ends[image.name].append(image)
        if (number := number_in(image)) is not None:
            ends[number].append(image)
    common = {
        (name, image): 0 if isinstance(name, int) else _common_parts(name, image)
        for name in names
        for image in ends.get(name if isinstance(name, int) else name.name, ())
    }
    most: dict[PurePosixPath | int | Path, int] = defaultdict(int)
    for pair, parts in common.items():
        for one in pair:
            most[one] = max(most[one], parts)
    named: dict[PurePosixPath | int, list[Path]] = defaultdict(list)
    names_of: dict[Path, list[PurePosixPath | int]] = defaultdict(list)
    for (name, image), parts in common.items():
        if parts == most[name] and (isinstance(name, int) or parts == most[image]):
            named[name].append(image)
            names_of[image] += [] if isinstance(name, int) else [name]
    for name, own in named.items():
        if len(own) > 1:
            which = "image_id" if isinstance(name, int) else "file_name"
            _refuse(file, f"rows of {which} {name}", [str(given[image][0]) for image in own])
    for image, known in names_of.items():
        if len(known) > 1:
            _refuse(file, f"the image {given[image][0]}", [f"file_name {name}" for name in sorted(map(str, known))])
    return {name: given[image] for name, (image,) in named.items()}


def _common_parts(name: PurePosixPath, image: Path) -> int:
    """How many parts two paths have in common, counted from the end."""
    pairs = zip(reversed(name.parts), reversed(image.parts), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _refuse(file: str, what: str, fitting: Sequence[str]) -> None:
    raise DataError(
        Problem(
            file, "", f"{what} could be {some(fitting, 3)}",
            "give rows a file_name with the folders that tell images apart, or take one folder's images at a time",
        )
    )  # fmt: skip
