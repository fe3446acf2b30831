"""The verbs `data info` and `data check` of `python -m dpn`. Imports no torch."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from dpn.data.check import check as check_data
from dpn.data.opening import Asked, open_data
from dpn.data.people import Boxes, DataSet
from dpn.program.cli import Flag, Json
from dpn.program.quantities import so_many


@dataclass(frozen=True, kw_only=True)
class Where:
    """A data set on the command line.

    Attributes:
        data: a folder in the layout of COCO or MPII; or synthetic or synthetic-mpii, as in synthetic:seed=1,images=50.
        split: train, val or test-dev of COCO; train, val, trainval or test of MPII.
        boxes: ground-truth or detected boxes.
        annotations: a COCO annotation file that lies elsewhere, or in an archive.
        images: a folder or zip archive of images that lies elsewhere.
        detections: a file of detected boxes that lies elsewhere.
    """

    data: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")]
    split: str = "val"
    boxes: Boxes = "truth"
    annotations: Path | None = None
    images: Path | None = None
    detections: Path | None = None

    def asked(self) -> Asked:
        """The same for `dpn.data.opening`."""
        return Asked(**vars(self))


Data = Annotated[Where, tyro.conf.arg(name="")]


def info(where: Data, as_json: Json = False) -> None:
    """Says what a data set holds.

    Args:
        where: which.
        as_json: print one object: name, kind, split, boxes, digest, people, images (those with people), has_truth,
            joints (people by their number of labelled joints), labelled (share of people by joint) and box_height_px
            (percentiles 5, 25, 50, 75 and 95).
    """
    found = {"split": where.split, **described(open_data(where.asked()))}
    if as_json:
        print(json.dumps(found))
        return
    print(f"{found['name']}: {found['people']:,} people in {found['images']:,} images, boxes from {found['boxes']}")
    print(f"scored as {found['kind']}{'' if found['has_truth'] else ' by others: there is no ground truth'}")
    print(f"height of boxes in px, percentiles 5 25 50 75 95: {' '.join(map(str, found['box_height_px']))}")
    for joint, share in found["labelled"].items():
        print(f"  {joint:<15} {share:6.1%} labelled")
    print(f"digest {found['digest']}")


def described(data: DataSet) -> dict[str, Any]:
    """What `info` prints of a data set."""
    people = data.people
    known = people.visible > 0
    return {
        "name": data.name,
        "kind": data.kind,
        "boxes": data.boxes,
        "digest": data.digest,
        "people": len(people),
        "images": len(np.unique(people.image_ids)),
        "has_truth": data.truth is not None,
        "joints": {str(joints): count for joints, count in sorted(Counter(known.sum(1).tolist()).items())},
        "labelled": dict(zip(people.skeleton.joints, known.mean(0).tolist(), strict=True)) if known.any() else {},
        "box_height_px": np.percentile(people.boxes[:, 3], (5, 25, 50, 75, 95)).round(1).tolist(),
    }


def check(where: Data, fast: Flag = False, workers: int | None = None, as_json: Json = False) -> int:
    """Lists everything that is wrong with a data set, a line each, and fails if that is anything.

    Args:
        where: which.
        fast: only look for images, without decoding them.
        workers: processes that decode images; 0 decodes in this one.
        as_json: print one object: data, split, people, images, decoded, finished, and problems, each with file, field,
            message and remedy.
    """
    report = check_data(where.asked(), decode=not fast, workers=workers)
    if as_json:
        print(json.dumps(report.as_dict()))
    else:
        for problem in report.problems:
            print(problem)
        people = "" if report.people is None else f"{report.people:,} people, "
        looked = f"{report.decoded:,} decoded" if not fast else "none decoded"
        verdict = so_many(len(report.problems), "problem") if report.problems else "nothing wrong"
        stopped, so_far = ("", "") if report.finished else (", stopped early", " so far")
        print(f"{report.data} {report.split}: {people}{report.images:,} images ({looked}{stopped}): {verdict}{so_far}")
    if not report.finished:
        return 130
    return int(bool(report.problems))
