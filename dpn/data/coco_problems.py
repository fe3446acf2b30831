"""What is wrong with the content of COCO's annotation files, found column by column. Imports no torch."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from dpn.arrays import Floats
from dpn.data.json_columns import (
    ABSENT,
    FIX,
    Finding,
    Mask,
    Rows,
    as_numbers,
    finite_numbers,
    number_lists,
    rows_of,
    shown,
    where,
    whole_numbers,
)
from dpn.data.problems import Problem
from dpn.skeletons import COCO_17

PERSON = 1
"""The category of people in every file of COCO."""

LARGEST_PX = 1e5
"""No image is as large; coordinates beyond are errors, and would overflow further on."""

SMALLEST_PX = 1e-30
"""Where a detected box is nowhere as large, its scale in float32 could be 0, and nothing can be cropped."""

BORDER_PX = 1.0
"""How far a box or a joint may reach over the border of its image before that is reported."""

AREA = "give the area of the person's segment in square pixels; half the box's is a common stand-in, with other scores"
"""What to do where an area is no number."""

_JOINTS = len(COCO_17.joints)


def problems_in(content: object, file: str, *, every: bool = False, people: bool = True) -> Iterator[Problem]:
    """Everything that is wrong with the content of a COCO annotation file.

    Args:
        content: as parsed from JSON.
        file: its name, for the messages.
        every: also what does no harm to training and scoring here: boxes and joints that reach over the image's border,
            and an annotation with the id 0.
        people: whether there must be annotated people; in image_info_test-dev2017.json there are none.
    """
    if not isinstance(content, dict):
        yield Problem(file, "", f"holds {shown(content)}, no object with images and annotations", FIX)
        return
    images = yield from rows_of(content, "images", file)
    categories = (yield from rows_of(content, "categories", file)) if people else None
    annotations = (yield from rows_of(content, "annotations", file)) if people else None
    if images is None:
        return
    if not images.places:
        yield Problem(file, "images", "is an empty list", FIX)
        return
    sizes = yield from _images(images)
    if categories is None or annotations is None:
        return
    known = yield from _categories(categories)
    yield from _annotations(annotations, sizes, known, every)


def problems_in_detections(content: object, file: str, images: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    """Everything that is wrong with a file of detected boxes, a list of image_id, category_id, bbox and score.

    Boxes may reach over the border, or lie outside: detectors and their later padding do that. Other categories than
    people are not looked at.

    Args:
        content: as parsed from JSON.
        file: its name, for the messages.
        images: those of the annotation file, which the boxes must belong to.
    """
    rows = yield from rows_of({"": content}, "", file)
    if rows is None:
        return
    category = yield from whole_numbers(rows, "category_id")
    people = rows.take([number == PERSON for number in category])
    if not people.places:
        yield Problem(file, "", f"holds no box of a person (category_id {PERSON})", "give a file with boxes of people")
        return
    known = {image["id"] for image in images}
    image_ids = yield from whole_numbers(people, "image_id")
    if known.isdisjoint(image_ids):
        yield Problem(file, "", "is about other images: none is among the annotated ones", "give those of this split")
    else:
        yield from _unknown(people, "image_id", image_ids, known, "give the detections of this split")
    boxes = yield from number_lists(people, "bbox", 4)
    scores = yield from finite_numbers(people, "score")
    for row in where((np.abs(boxes) > LARGEST_PX).any(1)):
        yield people.problem(row, "bbox", f"has {shown(boxes[row].tolist())}, which are no pixels of an image")
    for row in where((boxes[:, 2:] < 0).any(1) | (boxes[:, 2:] < SMALLEST_PX).all(1)):
        yield people.problem(row, "bbox", "has no size, or a negative one")
    for row in where(scores < 0):
        yield people.problem(row, "score", "is negative")


def _images(rows: Rows) -> Generator[Problem, None, dict[int, tuple[float, float]]]:
    """Width and height by the image's id."""
    ids = yield from whole_numbers(rows, "id")
    yield from _twice(rows, ids)
    for row, name in enumerate(rows.column("file_name")):
        if not is_name(name):
            message = "is missing" if name is ABSENT else f"is {shown(name)}, no name of a file below the image folder"
            yield rows.problem(row, "file_name", message)
    width = yield from whole_numbers(rows, "width", 1, int(LARGEST_PX))
    height = yield from whole_numbers(rows, "height", 1, int(LARGEST_PX))
    sizes = zip(ids, as_numbers(width), as_numbers(height), strict=True)
    return {number: (float(w), float(h)) for number, w, h in sizes if number is not None}


def is_name(name: object) -> bool:
    """Whether it may be the name of a file below a folder, of whichever folder inside."""
    if not isinstance(name, str) or any(sign < " " or sign in "\\\x7f" or "\ud800" <= sign < "\ue000" for sign in name):
        return False
    return all(part not in ("", ".", "..") and len(part.encode()) <= 255 for part in name.split("/"))


def _categories(rows: Rows) -> Generator[Problem, None, set[int]]:
    """The ids of the categories."""
    ids = yield from whole_numbers(rows, "id")
    yield from _twice(rows, ids)
    joints = {row for row, names in enumerate(rows.column("keypoints")) if names is not ABSENT}
    people = [row for row, name in enumerate(rows.column("name")) if name == "person"]
    remedy = "give person_keypoints_*.json, not instances_*.json"
    if not joints & set(people):
        yield Problem(rows.file, "categories", "are not person keypoints: there is no person with keypoints", remedy)
    for row in joints & set(people):
        if rows.rows[row]["keypoints"] != list(COCO_17.joints):
            yield rows.problem(row, "keypoints", f"are not COCO's {_JOINTS} joints in their order", remedy)
        if ids[row] not in (PERSON, None):
            yield rows.problem(row, "id", f"is {ids[row]}, but in COCO's files people are category {PERSON}")
    return set(ids) - {None}


def _annotations(rows: Rows, sizes: Mapping[int, tuple[float, float]], known: set[int], every: bool) -> Finding:
    ids = yield from whole_numbers(rows, "id")
    yield from _twice(rows, ids)
    for row in [row for row, number in enumerate(ids) if number == 0] if every else ():
        message = "is 0, and other programs that score with pycocotools never find that person; this one numbers anew"
        yield rows.problem(row, "id", message, "number annotations from 1")
    image_ids = yield from whole_numbers(rows, "image_id")
    yield from _unknown(rows, "image_id", image_ids, sizes, "add the image or leave the annotation out")
    category = yield from whole_numbers(rows, "category_id")
    yield from _unknown(rows, "category_id", category, known, "add the category or correct the number")
    are_people = [number == PERSON or number not in known for number in category]
    people = rows.take(are_people)
    nowhere = (np.nan, np.nan)
    size = np.array(
        [sizes.get(image, nowhere) for image, kept in zip(image_ids, are_people, strict=True) if kept], np.float64
    ).reshape(-1, 2)
    area = yield from finite_numbers(people, "area", AREA)
    for row in where(area < 0):
        yield people.problem(row, "area", "is negative")
    for row, crowd in enumerate(people.column("iscrowd")):
        if crowd is not ABSENT and crowd not in (0, 1):
            yield people.problem(row, "iscrowd", f"is {shown(crowd)}, neither 0 nor 1")
    marked = yield from _joints(people, size, every)
    single = np.array([not row.get("iscrowd") for row in people.rows], bool)
    yield from _boxes(people, size, marked & single, every)


def _joints(people: Rows, size: Floats, every: bool) -> Generator[Problem, None, Mask]:
    """(N,), whose keypoints hold anything but zeros, labelled or not; nobody's whose are not known."""
    joints = (yield from number_lists(people, "keypoints", 3 * _JOINTS)).reshape(-1, _JOINTS, 3)
    known = ~np.isnan(joints[:, 0, 0])
    flags = joints[..., 2]
    right = ((flags == 0) | (flags == 1) | (flags == 2)).all(1)
    for row in where(known & ~right):
        yield people.problem(row, "keypoints", "has visibilities other than 0, 1 and 2")
    visible = np.where(known[:, None], flags > 0, False)
    count: Floats = visible.sum(1).astype(np.float64)
    stated = as_numbers((yield from whole_numbers(people, "num_keypoints", 0, optional=True)))
    for row in where(known & right & ~np.isnan(stated) & (stated != count)):
        yield people.problem(row, "num_keypoints", f"is {stated[row]:.0f}, but {count[row]:.0f} keypoints are labelled")
    place = joints[..., :2]
    far = (np.abs(place) > LARGEST_PX).any((1, 2))
    for row in where(far):
        yield people.problem(row, "keypoints", "has coordinates that are no pixels of an image")
    over = (place < -BORDER_PX).any(2) | (place > size[:, None] - 1 + BORDER_PX).any(2)
    for row in where((over & visible).any(1) & ~far) if every else ():
        name = COCO_17.joints[int((over & visible)[row].argmax())]
        yield people.problem(row, "keypoints", f"has its {name} outside the image of {_times(size[row])}")
    marked: Mask = known & (joints != 0).any((1, 2))
    return marked


def _boxes(people: Rows, size: Floats, used: Mask, every: bool) -> Finding:
    """Of those who are used, also whether `dpn.data.coco.people_of_truth` can take their boxes, as it clips them."""
    boxes = yield from number_lists(people, "bbox", 4)
    start, extent = boxes[:, :2], boxes[:, 2:]
    with np.errstate(over="ignore"):
        end = start + extent
    negative = (extent < 0).any(1)
    for row in where(negative):
        yield people.problem(row, "bbox", f"has a negative width or height, {shown(boxes[row].tolist())}")
    outside = ~negative & ((start > size) | (end < 0)).any(1)
    for row in where(outside):
        message = f"lies outside its image of {_times(size[row])}: {shown(boxes[row].tolist())}"
        yield people.problem(row, "bbox", message)
    low = np.maximum(start, 0)
    high = np.minimum(size - 1, low + np.maximum(extent - 1, 0))
    for row in where(used & ~negative & ~outside & (high == low).all(1)):
        yield people.problem(row, "bbox", "is no larger than a pixel")
    dropped = used & ~negative & ~outside & (high < low).any(1)
    for row in where(dropped) if every else ():
        place = f"begins behind the last pixel of its image of {_times(size[row])}: {shown(boxes[row].tolist())}"
        yield people.problem(row, "bbox", f"{place}, so that the published clipping drops the person")
    over = ~negative & ~outside & ~dropped & ((start < -BORDER_PX) | (end > size + BORDER_PX)).any(1)
    for row in where(over) if every else ():
        message = f"reaches over the border of its image of {_times(size[row])}: {shown(boxes[row].tolist())}"
        yield people.problem(row, "bbox", message)


def _times(size: Floats) -> str:
    return f"{size[0]:.0f}x{size[1]:.0f}"


def _twice(rows: Rows, ids: Sequence[int | None]) -> Finding:
    numbers = [number for number in ids if number is not None]
    if len(set(numbers)) == len(numbers):
        return
    first: dict[int, int] = {}
    for row, number in enumerate(ids):
        if number is not None and first.setdefault(number, row) != row:
            yield rows.problem(row, "id", f"is {number}, as is that of {rows.name}[{rows.places[first[number]]}]")


def _unknown(rows: Rows, field: str, numbers: Sequence[int | None], known: Any, remedy: str) -> Finding:
    if set(numbers) <= set(known):
        return
    what = "image" if field == "image_id" else "category"
    for row, number in enumerate(numbers):
        if number is not None and number not in known:
            yield rows.problem(row, field, f"is {number}, which is no {what} of the annotations", remedy)
