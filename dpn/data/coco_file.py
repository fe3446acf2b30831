"""COCO's files of annotations and of detected boxes, read and validated whole. Imports no torch."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dpn.data.coco_problems import problems_in, problems_in_detections
from dpn.data.json_files import parse, read_bytes
from dpn.data.problems import DataError, Problem

__all__ = ["coco_in", "detections_in", "problems_in", "problems_in_detections", "read_coco"]


def read_coco(path: Path) -> dict[str, Any]:
    """The content of an annotation file, validated.

    Args:
        path: a .json file, which may lie in an archive: annotations_trainval2017.zip/annotations/FILE.json.

    Raises:
        DataError: with everything that is wrong with it.
    """
    return coco_in(read_bytes(path), str(path))


def coco_in(data: bytes, file: str, *, people: bool = True) -> dict[str, Any]:
    """Like `read_coco`, from the file's bytes.

    Args:
        data: the bytes.
        file: its name for messages.
        people: whether there must be annotated people; in image_info_test-dev2017.json there are none.
    """
    content = parse(data, file)
    _refuse(problems_in(content, file, people=people))
    assert isinstance(content, dict)
    return content


def detections_in(data: bytes, file: str, images: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows of a file of detected boxes, all categories, validated.

    Args:
        data: the bytes of a list of objects with image_id, category_id, bbox and score.
        file: its name for messages.
        images: those of the annotation file.

    Raises:
        DataError: with everything that is wrong with it.
    """
    content = parse(data, file)
    _refuse(problems_in_detections(content, file, images))
    assert isinstance(content, list)
    return content


def _refuse(problems: Iterator[Problem]) -> None:
    found = list(problems)
    if found:
        raise DataError(found)
