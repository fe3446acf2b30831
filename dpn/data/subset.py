"""The first images or people of a data set with the truth about them alone. Imports no torch."""

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpn.data.people import DataSet


def first_images(data: DataSet, count: int) -> DataSet:
    """The data set as if it had only its first images; its name and digest say so.

    Args:
        data: any.
        count: how many images to keep, counting those without anybody where the truth names them.

    Raises:
        ValueError: less than one image.
    """
    if count < 1:
        raise ValueError(f"at least one image is needed, not {count}")
    has_list = data.kind == "coco" and data.truth is not None
    known = [image["id"] for image in data.truth["images"]] if has_list else data.people.image_ids.tolist()
    chosen = list(dict.fromkeys(known))[:count]
    images = set(chosen)
    rows = np.flatnonzero(np.isin(data.people.image_ids, chosen))
    people = {one["id"] for one in data.truth["annotations"] if one["image_id"] in images} if has_list else set()
    part = replace(data, people=data.people.take(rows), truth=_truth_about(data, rows, images, people))
    return _named(part, f"first {len(chosen)} images", str(chosen))


def first_people(data: DataSet, count: int) -> DataSet:
    """The data set as if it had, with true boxes, only its first people; its name and digest say so.

    Others who are in the same images are no part of its truth, or they would count as missed.

    Args:
        data: any.
        count: how many people to keep; the data set itself where there are no more.
    """
    if count >= len(data):
        return data
    rows = np.arange(count)
    people = data.people.take(rows)
    truth = _truth_about(data, rows, set(people.image_ids.tolist()), set(people.ids.tolist()))
    said = f"first {count} people"
    return _named(replace(data, people=people, truth=truth), said, said)


def _named(data: DataSet, said: str, part: str) -> DataSet:
    digest = hashlib.sha256(f"{data.digest} {part}".encode()).hexdigest()[:12]
    return replace(data, name=f"{data.name}, {said}", digest=digest)


def _truth_about(data: DataSet, rows: NDArray[np.intp], images: set[int], people: set[int]) -> Any:
    """The truth about rows of MPII, or about images and people of COCO, by their numbers; None where there is none."""
    truth = data.truth
    if truth is None:
        return None
    if data.kind == "mpii":
        columns = ("joints", "missing", "head_sizes")
        return replace(truth, **{name: getattr(truth, name)[rows] for name in columns})
    kept = {"images": images, "annotations": people}
    return truth | {part: [one for one in truth[part] if one["id"] in ids] for part, ids in kept.items()}
