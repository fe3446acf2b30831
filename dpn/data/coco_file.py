"""COCO's files of annotations and of detected boxes, read and validated whole. Imports no torch."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dpn.data.coco_problems import PERSON, problems_in, problems_in_detections
from dpn.data.json_files import parse, read_bytes
from dpn.data.problems import DataError, Problem


def read_coco(path: Path) -> dict[str, Any]:
    """The content of an annotation file, validated, with what its people may lack (`_complete`).

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
    _complete(content, people)
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


def _complete(content: dict[str, Any], people: bool) -> None:
    """Gives validated content what both engines of scoring read.

    Ids become whole numbers where the file has 785.0, and `iscrowd` where it has false. Where people lack it, it is 0;
    where they lack `num_keypoints`, their labels are counted.
    """
    for row in content["images"]:
        _as_whole(row, "id", "width", "height")
    for row in content["categories"] if people else ():
        _as_whole(row, "id")
    for row in content["annotations"] if people else ():
        _as_whole(row, "id", "image_id", "category_id")
        if row["category_id"] == PERSON:
            row.setdefault("iscrowd", 0)
            if "num_keypoints" not in row:
                row["num_keypoints"] = sum(label > 0 for label in row["keypoints"][2::3])
            _as_whole(row, "iscrowd", "num_keypoints")


def _as_whole(row: dict[str, Any], *fields: str) -> None:
    for field in fields:
        row[field] = int(row[field])


def _refuse(problems: Iterator[Problem]) -> None:
    found = list(problems)
    if found:
        raise DataError(found)
