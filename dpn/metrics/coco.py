"""From a network's keypoints to COCO's results, and from results to average precision and recall. Imports no torch."""

import contextlib
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpn.arrays import Floats
from dpn.data.coco_problems import PERSON
from dpn.data.crops import PIXEL_STD
from dpn.data.people import People
from dpn.metrics import average_precision
from dpn.metrics.coco_scores import Scores, as_scores, refuse_other_images
from dpn.metrics.oks import Rows, nms_by_image, rescore, soft_nms
from dpn.protocols import Protocol

FIELDS = ("image_id", "category_id", "keypoints", "score")
"""Of a row of results: what is scored."""


def results(people: People, keypoints: Floats, protocol: Protocol) -> list[dict[str, Any]]:
    """Rows of a COCO results file: people with their scores, without those too alike to a better one in their image.

    As HRNet does it: a person's score is the box's times the mean of the sure joints' (`dpn.metrics.oks.rescore`), and
    the area in the similarity is that of the padded box of the network's aspect, in the type of `people.scales`.

    Args:
        people: N of them.
        keypoints: (N, K, 3): x and y in image pixels and score, row for row.
        protocol: its thresholds, and whether suppression is soft (`dpn.metrics.oks.soft_nms`).

    Returns:
        Images in the order of their first person, within each as suppression chose them, the best first: `image_id`,
        `category_id`, `keypoints` (3 K floats) and `score`.

    Raises:
        ValueError: keypoints of another shape or not finite, or a skeleton without sigmas.
    """
    points = _checked(people, keypoints)
    scores = rescore(people.scores, points[:, :, 2], protocol.joint_threshold)
    areas = (people.scales * people.scales.dtype.type(PIXEL_STD)).prod(axis=1).astype(np.float64)
    sigmas = people.skeleton.oks_sigmas
    if protocol.soft_nms:
        groups = list(_by_image(people.image_ids))
        chosen = [rows[soft_nms(points[rows], scores[rows], areas[rows], sigmas, protocol.nms_oks)] for rows in groups]
        kept = np.concatenate([np.empty(0, np.intp), *chosen])
    else:
        kept = nms_by_image(people.image_ids, points, scores, areas, sigmas, protocol.nms_oks)
    columns = (
        people.image_ids[kept].tolist(),
        points[kept].reshape(len(kept), 3 * len(sigmas)).tolist(),
        scores[kept].tolist(),
    )
    return [
        {"image_id": image_id, "category_id": PERSON, "keypoints": numbers, "score": score_}
        for image_id, numbers, score_ in zip(*columns, strict=True)
    ]


def score(truth: dict[str, Any], rows: list[dict[str, Any]]) -> Scores:
    """COCO's ten numbers by pycocotools, which prints nothing; neither argument is changed.

    Where pycocotools is not installed, `dpn.metrics.average_precision` finds the same numbers; `Scores.engine` says so.

    Args:
        truth: the content of an annotation file; it may lack `info`.
        rows: of a results file for its images; none at all score 0. Fields beside the four of `results` are not read,
            see `dpn.metrics.coco_results.read_results`.

    Raises:
        ValueError: rows of other images.
    """
    try:
        from pycocotools.cocoeval import COCOeval
    except ImportError:
        return average_precision.score(truth, rows)
    refuse_other_images(truth, rows)
    with contextlib.redirect_stdout(io.StringIO()), np.errstate(over="ignore", invalid="ignore"):
        people = _indexed(truth, truth["annotations"])
        found = people.loadRes([{name: row[name] for name in FIELDS} for row in rows]) if rows else _indexed(truth, [])
        evaluation = COCOeval(people, found, "keypoints")
        evaluation.params.catIds = [PERSON]
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return as_scores(truth, evaluation.stats, "pycocotools")


def _checked(people: People, keypoints: Floats) -> Floats:
    points = np.asarray(keypoints, np.float64)
    if not people.skeleton.oks_sigmas:
        raise ValueError("this skeleton has no sigmas for COCO's similarity; score it with dpn.metrics.pckh")
    expected = (len(people), len(people.skeleton.joints), 3)
    if points.shape != expected:
        raise ValueError(f"keypoints are {expected}, one row for each person, not {points.shape}")
    unsound = ~np.isfinite(points).all(axis=(1, 2))
    if unsound.any():
        raise ValueError(f"keypoints of person {int(unsound.argmax())} are not finite; look at the network's output")
    return points


def _by_image(image_ids: NDArray[np.int64]) -> Iterator[Rows]:
    """The rows of each image, images in the order of their first rows."""
    _, firsts, image = np.unique(image_ids, return_index=True, return_inverse=True)
    by_image = np.argsort(image.reshape(-1), kind="stable")
    groups = np.split(by_image, np.cumsum(np.bincount(image.reshape(-1)))[:-1]) if len(by_image) else []
    for place in np.argsort(firsts, kind="stable"):
        yield groups[place]


def _indexed(truth: dict[str, Any], annotations: list[dict[str, Any]]) -> Any:
    """The annotations as pycocotools wants them.

    Some versions of it need `info`, and its evaluation takes a match with annotation 0 for none: they are numbered
    from 1. They are copies, because it writes into them.
    """
    from pycocotools.coco import COCO

    indexed = COCO()
    numbered = [{**annotation, "id": number} for number, annotation in enumerate(annotations, 1)]
    indexed.dataset = {"info": {}, **truth, "annotations": numbered}
    indexed.createIndex()
    return indexed
