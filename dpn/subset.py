"""The first images of a data set with the truth about them alone, to try something out on. Imports no torch."""

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
    known = data.people.image_ids.tolist() if data.kind == "mpii" or data.truth is None else _listed(data.truth)
    chosen = list(dict.fromkeys(known))[:count]
    rows = np.flatnonzero(np.isin(data.people.image_ids, chosen))
    return replace(
        data,
        name=f"{data.name}, first {len(chosen)} images",
        people=data.people.take(rows),
        truth=None if data.truth is None else _truth_of(data, set(chosen), rows),
        digest=hashlib.sha256(f"{data.digest} {chosen}".encode()).hexdigest()[:12],
    )


def _listed(truth: dict[str, Any]) -> list[int]:
    return [image["id"] for image in truth["images"]]


def _truth_of(data: DataSet, images: set[int], rows: NDArray[np.intp]) -> Any:
    truth = data.truth
    if data.kind == "mpii":
        columns = ("joints", "missing", "head_sizes")
        return replace(truth, **{name: getattr(truth, name)[rows] for name in columns})
    return truth | {
        "images": [image for image in truth["images"] if image["id"] in images],
        "annotations": [one for one in truth["annotations"] if one["image_id"] in images],
    }
