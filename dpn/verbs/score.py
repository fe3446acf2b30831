"""The verbs `score coco` and `score mpii` of `python -m dpn`: predictions from anywhere against the truth."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from dpn.cli import Group, Json


def coco(annotations: Path, results: Path, as_json: Json = False) -> None:
    """Scores a COCO results file: average precision and recall, in percent.

    pycocotools does it; where it is not installed, this project's own engine finds the same numbers.

    Args:
        annotations: a COCO annotation file, or one inside an archive.
        results: predictions for its images, in COCO's format for keypoints.
        as_json: print one object: AP, AP50, AP75, APM, APL, AR, AR50, AR75, ARM and ARL, exact and from 0 to 1, null
            where there is nobody to find; n_images and n_people; engine, "pycocotools" or "own".
    """
    from dpn.metrics.coco import NAMES, score_files

    scores = asdict(score_files(annotations, results))
    if as_json:
        print(json.dumps(scores))
        return
    who = f"{scores['n_people']:,} people in {scores['n_images']:,} images"
    engine = "the own engine" if scores["engine"] == "own" else scores["engine"]
    print(f"{who} by {engine}; percent, - where there is nobody to find")
    _show(NAMES, [None if (share := scores[name]) is None else 100 * share for name in NAMES])


def mpii(truth: Path, predictions: Path, as_json: Json = False) -> None:
    """Scores a pred.mat by MPII's PCKh at 0.5, 0.1 and 0.11 of the head's size, in percent.

    Args:
        truth: gt_valid.mat, the test set's truth, or annotations such as valid.json, whose heads are estimated.
        predictions: pred.mat, as SimpleBaseline and HRNet write it: preds, N x 16 x 2, counted from 1.
        as_json: print one object: people, scored, heads and "pckh@0.5", "pckh@0.1" and "pckh@0.11", each with head,
            shoulder, elbow, wrist, hip, knee, ankle, mean, unweighted_mean, head_and_neck and joints, exact and in
            percent. What SimpleBaseline, HRNet and DARK call Mean@0.1 is "pckh@0.11".
    """
    from dpn.metrics.pckh import GROUPS, score_files

    scores = score_files(truth, predictions)
    if as_json:
        print(json.dumps(scores.as_dict()))
        return
    print(f"{scores.scored:,} of {scores.people:,} people scored, heads from {scores.heads}; percent")
    for threshold, at in scores.at.items():
        print(f"PCKh at {threshold:g} of the head's size{', which HRNet prints as 0.1' if threshold == 0.11 else ''}")
        _show((*GROUPS, "mean"), [*(at.groups[group] for group in GROUPS), at.mean])


def _show(names: Sequence[str], percents: Sequence[float | None]) -> None:
    """A row of names above a row of numbers with one decimal."""
    widths = [max(5, len(name)) for name in names]
    numbers = ["-" if percent is None else f"{percent:.1f}" for percent in percents]
    for row in (names, numbers):
        print(" ".join(f"{text:>{width}}" for text, width in zip(row, widths, strict=True)))


SCORE = Group("Scores predictions from anywhere against the truth.", {"coco": coco, "mpii": mpii})
