"""COCO's files of annotations and of detected boxes, read and validated whole. Imports no torch."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dpn.data.coco_problems import problems_in, problems_in_detections
from dpn.data.images import open_zip, read_member
from dpn.data.json_columns import FIX
from dpn.data.problems import DataError, Problem

__all__ = [
    "coco_in", "detections_in", "parse", "problems_in", "problems_in_detections", "read_bytes", "read_coco",
    "read_detections",
]  # fmt: skip


def read_coco(path: Path, *, every: bool = False, people: bool = True) -> dict[str, Any]:
    """The content of an annotation file, validated.

    Args:
        path: a .json file, which may lie in an archive: annotations_trainval2017.zip/annotations/FILE.json.
        every: refuse also what does no harm, see `dpn.data.coco_problems.problems_in`.
        people: whether there must be annotated people; in image_info_test-dev2017.json there are none.

    Raises:
        DataError: with everything that is wrong with it.
    """
    return coco_in(read_bytes(path), str(path), every=every, people=people)


def coco_in(data: bytes, file: str, *, every: bool = False, people: bool = True) -> dict[str, Any]:
    """Like `read_coco`, from the file's bytes; `file` is its name for messages."""
    content = parse(data, file)
    _refuse(problems_in(content, file, every=every, people=people))
    assert isinstance(content, dict)
    return content


def read_detections(path: Path, images: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows of a file of detected boxes, all categories, validated.

    Args:
        path: a .json file with a list of objects with image_id, category_id, bbox and score.
        images: those of the annotation file.

    Raises:
        DataError: with everything that is wrong with it.
    """
    return detections_in(read_bytes(path), str(path), images)


def detections_in(data: bytes, file: str, images: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Like `read_detections`, from the file's bytes; `file` is its name for messages."""
    content = parse(data, file)
    _refuse(problems_in_detections(content, file, images))
    assert isinstance(content, list)
    return content


def read_bytes(path: Path) -> bytes:
    """What is in the file, or in the member of an archive.

    Raises:
        DataError: there is no such file, or it cannot be read.
    """
    for parent in path.parents:
        if parent.suffix.lower() == ".zip" and parent.is_file():
            with open_zip(parent) as archive:
                return read_member(archive, path.relative_to(parent).as_posix())
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DataError(Problem(str(path), "", "there is no such file", "give the path of one")) from None
    except IsADirectoryError:
        raise DataError(Problem(str(path), "", "is a folder", "give the path of the file in it")) from None
    except OSError as error:
        raise DataError(Problem(str(path), "", f"cannot be read ({error.strerror})", "make it readable")) from None


def parse(data: bytes, file: str) -> object:
    """What the bytes say in JSON; NaN and infinities are let through, for `problems_in` to say where they stand.

    Raises:
        DataError: they are no JSON.
    """
    if not data.strip():
        raise DataError(Problem(file, "", "is empty", FIX))
    try:
        return json.loads(data)
    except RecursionError:
        raise DataError(Problem(file, "", "is nested too deeply", FIX)) from None
    except UnicodeDecodeError as error:
        raise DataError(Problem(file, f"byte {error.start}", "is no UTF-8", FIX)) from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise DataError(Problem(file, place, f"is no JSON or cut short ({error.msg})", FIX)) from None
    except ValueError:  # Python reads no whole number of more than 4,300 digits
        raise DataError(Problem(file, "", "holds a number of thousands of digits", FIX)) from None


def _refuse(problems: Iterator[Problem]) -> None:
    found = list(problems)
    if found:
        raise DataError(found)
