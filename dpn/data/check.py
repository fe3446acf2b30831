"""Everything that is wrong with a data set, found before hours are spent on it. Imports no torch."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

from dpn.data import coco, coco_folder
from dpn.data.coco_problems import BORDER_PX, PERSON, is_name, problems_in, problems_in_detections
from dpn.data.images import AGAIN, open_images
from dpn.data.json_columns import whole_number
from dpn.data.json_files import parse, read_bytes
from dpn.data.opening import Asked, open_data, synthetic_options
from dpn.data.people import DataSet, Images
from dpn.data.problems import DataError, Problem
from dpn.data.workers import check_workers, in_order
from dpn.program.silence import overheard

Size = tuple[int, int]
Found = TypeVar("Found")
_HOLE = re.compile(rb"Corrupt JPEG data: (?!\d+ extraneous bytes).*\n")
"""What libjpeg says of a JPEG that lacks data; bytes too many before a marker do no harm. It says only the
first thing of each image, so that a hole behind another warning is not found."""
_MPII_NAME = re.compile(r"\d{9}\.jpg")
"""How MPII calls its images; folders that others write in its layout may hold other people under the same file name."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a check found.

    Attributes:
        data: what was asked for.
        split: of it.
        people: how many there are to predict or to learn from; None where the files do not say.
        images: how many are listed.
        decoded: how many of them were decoded, or could not be.
        finished: False where somebody stopped the check.
        problems: everything that is wrong.
    """

    data: str
    split: str
    people: int | None = None
    images: int = 0
    decoded: int = 0
    finished: bool = True
    problems: tuple[Problem, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class _Listed:
    """What the files say: the images by name, with (height, width) where annotated; None for what they do not say."""

    people: int | None = None
    images: Images | None = None
    sizes: Mapping[str, Size | None]
    data: DataSet | None = None


def check(asked: Asked, *, decode: bool = True, workers: int | None = None) -> Report:
    """Looks for everything that is wrong at once: files, fields, boxes, joints, counts, and every image.

    Ctrl-C ends the decoding; what was found by then is reported.

    Args:
        asked: which data set. Protocol and input do not matter.
        decode: whether images are decoded and their sizes compared; else only their names are looked for.
        workers: processes that decode; 0 works in this one, None chooses.

    Raises:
        ValueError: the question makes no sense, such as an unknown option of synthetic figures.
    """
    check_workers(workers)
    asked.check()
    problems: list[Problem] = []
    is_folder_of_coco = asked.kind == "coco" and not synthetic_options(asked.data)
    listed = _tried(problems, lambda: _coco(asked, problems) if is_folder_of_coco else _opened(asked, problems))
    listed = listed or _Listed(sizes={})
    report = Report(data=asked.data, split=asked.split, people=listed.people, images=len(listed.sizes))
    if listed.images is None:
        return replace(report, problems=tuple(problems))
    if not decode:
        absent = (name for name in listed.sizes if listed.images.find(name) is None)
        problems += (found for name in absent if isinstance(found := _look(listed.images, name), Problem))
        return replace(report, problems=tuple(problems))
    look = partial(_look, listed.images)
    looks = in_order(look, list(listed.sizes), title="decoding images", workers=workers)
    decoded: dict[str, Size | Problem] = {}
    try:
        decoded.update(zip(listed.sizes, looks, strict=True))
    except KeyboardInterrupt:
        report = replace(report, finished=False)
    problems += _of_images(listed, decoded)
    return replace(report, decoded=len(decoded), problems=tuple(problems))


def _tried(problems: list[Problem], find: Callable[[], Found]) -> Found | None:
    """What is found, or None and its problems among the others."""
    try:
        return find()
    except DataError as error:
        problems += error.problems
        return None


def _coco(asked: Asked, problems: list[Problem]) -> _Listed:
    given = asked.given
    split = coco_folder.find_split(Path(asked.data), asked.split, given.annotations)
    images = _tried(problems, lambda: open_images(given.images or coco_folder.find_images(split)))
    detections = None
    if asked.boxes == "detections":
        detections = _tried(problems, lambda: given.detections or coco_folder.find_detections(split))
    file = str(split.annotations)
    content = parse(read_bytes(split.annotations), file)
    found = list(problems_in(content, file, every=True, people=split.has_truth))
    problems += found
    sizes = _sizes(content)
    if found and any(True for _ in problems_in(content, file, people=split.has_truth)):
        return _Listed(images=images, sizes=sizes)  # nobody can be counted
    assert isinstance(content, dict)
    people = None
    if detections:
        people = _tried(problems, partial(_detected, detections, content, problems))
    elif asked.boxes == "truth" and split.has_truth:
        people = len(coco.people_of_truth(content, asked.known_input_hw))
        problems += _counted(split.annotations, people, coco.OFFICIAL_PEOPLE, content)
        if not people:
            problems.append(coco.nobody_in(split.annotations))
    return _Listed(people=people, images=images, sizes=sizes)


def _detected(file: Path, content: dict[str, Any], problems: list[Problem]) -> int | None:
    rows = parse(read_bytes(file), str(file))
    found = list(problems_in_detections(rows, str(file), content["images"]))
    problems += found
    if found:
        return None
    people = sum(bool(row["category_id"] == PERSON) for row in cast("list[dict[str, Any]]", rows))
    problems += _counted(file, people, coco.OFFICIAL_DETECTIONS, content)
    return people


def _counted(file: Path, people: int, official: Mapping[str, int], content: object = None) -> Iterator[Problem]:
    """A problem where a file has an official name but other people; synthetic figures say what they are."""
    info = content.get("info") if isinstance(content, dict) else None
    description = info.get("description") if isinstance(info, dict) else None
    if people == official.get(file.name, people) or str(description).lower().startswith("synthetic"):
        return
    message = f"holds {people:,} people, the official file of this name {official[file.name]:,}"
    yield Problem(str(file), "", message, "download it again, or give a subset another name and --annotations")


def _sizes(content: object) -> dict[str, Size | None]:
    """Height and width by the image's name, for as many as can be told from content that may be wrong."""
    rows = content.get("images") if isinstance(content, dict) else None
    sizes: dict[str, Size | None] = {}
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, dict) and is_name(row.get("file_name")):
            size = tuple(map(whole_number, (row.get("height"), row.get("width"))))
            sizes[str(row["file_name"])] = None if None in size else cast("Size", size)
    return sizes


def _opened(asked: Asked, problems: list[Problem]) -> _Listed:
    data = open_data(asked)
    people = data.people
    if asked.kind == "mpii" and not synthetic_options(asked.data):
        from dpn.data.mpii import OFFICIAL_PEOPLE, find_annotations

        file = find_annotations(Path(asked.data), asked.split)
        official = {f"{split}.json": count for split, count in OFFICIAL_PEOPLE.items()}
        if file.parent.name == "annot" and all(map(_MPII_NAME.fullmatch, people.files.values())):
            problems += _counted(file, len(people), official)
    names = [people.files[int(image)] for image in np.unique(people.image_ids)]
    return _Listed(people=len(people), images=data.images, sizes=dict.fromkeys(names), data=data)


def _look(images: Images, name: str) -> Size | Problem:
    """Height and width of an image, or what is wrong with it.

    OpenCV fills a hole in a JPEG with grey, and its library says so on standard error alone.
    """
    try:
        pixels, said = overheard(partial(images.read, name), _HOLE)
    except DataError as error:
        return error.problems[0]
    if said:
        return Problem(images.find(name) or name, "", f"the image is damaged ({said})", AGAIN)
    return pixels.shape[0], pixels.shape[1]


def _of_images(listed: _Listed, decoded: Mapping[str, Size | Problem]) -> Iterator[Problem]:
    assert listed.images is not None
    for name, found in decoded.items():
        stated = listed.sizes[name]
        if isinstance(found, Problem):
            yield found
        elif stated is not None and found != stated:
            message = f"has {found[1]}x{found[0]} pixels, but is annotated with {stated[1]}x{stated[0]}"
            file = listed.images.find(name) or name
            yield Problem(file, "", message, "put back the image as it was annotated, neither scaled nor turned")
    if listed.data is not None and listed.data.kind == "mpii":
        yield from _outside(listed.data, decoded)


def _outside(data: DataSet, decoded: Mapping[str, Size | Problem]) -> Iterator[Problem]:
    """Joints and boxes that lie outside their images, where annotations do not state the sizes of these."""
    people = data.people
    for row in range(len(people)):
        name = people.files[int(people.image_ids[row])]
        size = decoded.get(name)
        if size is None or isinstance(size, Problem):
            continue
        width_height = np.array(size[::-1])
        where = f"person {int(people.ids[row])}"
        file = data.images.find(name) or name
        joints = people.joints[row][people.visible[row] > 0]
        if ((joints < -BORDER_PX) | (joints > width_height - 1 + BORDER_PX)).any():
            yield Problem(file, where, f"has a joint outside the image of {size[1]}x{size[0]}", "correct the joint")
        start, extent = people.boxes[row, :2], people.boxes[row, 2:]
        if ((start > width_height) | (start + extent < 0)).any():
            yield Problem(file, where, f"has a box outside the image of {size[1]}x{size[0]}", "correct the box")
