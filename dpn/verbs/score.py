"""The verbs `score coco` and `score mpii` of `python -m dpn`: predictions from anywhere against the truth."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import tyro

from dpn.cli import Group, Json, note
from dpn.metrics.resampling import Draws, Interval
from dpn.metrics.uncertainty import Uncertainty, Units, differences, uncertainty
from dpn.progress import progress
from dpn.verbs.score_table import Column, show, show_verdict

if TYPE_CHECKING:
    from dpn.metrics.resampling import Weighted

FEW = 200
"""Of fewer images or people intervals by resampling are too narrow, see `dpn.metrics.resampling`."""

Drawn = Annotated[Draws, tyro.conf.arg(name="")]


def coco(
    annotations: Path, results: Path, against: Path | None = None, draws: Drawn = Draws(),  # noqa: B008 - frozen
    as_json: Json = False,
) -> None:  # fmt: skip
    """Scores a COCO results file: average precision and recall, in percent, with intervals of 95 %.

    pycocotools does it; where it is not installed, this project's own engine finds the same numbers. The intervals are
    from resamples of the images, by the own engine.

    Args:
        annotations: a COCO annotation file, or one inside an archive.
        results: predictions for its images, in COCO's format for keypoints.
        against: other predictions for the same images: the differences, and whether their intervals exclude 0.
        draws: the resamples.
        as_json: print one object: AP, AP50, AP75, APM, APL, AR, AR50, AR75, ARM and ARL, exact and from 0 to 1, null
            where there is nobody to find; n_images and n_people; engine, "pycocotools" or "own"; with resamples
            intervals, with level, resamples, seed, over, units and of, which has [low, high] by name; with --against
            also against, the same of the other file, and differences, by name difference, low, high and excludes_0.
    """
    from dpn.data.coco_file import read_coco
    from dpn.metrics.coco import NAMES, read_results, score
    from dpn.metrics.weighted_precision import WeightedPrecision

    truth = read_coco(annotations)
    files = [read_results(path, truth) for path in (results, against) if path]
    for path, rows in zip((results, against), files, strict=False):
        note("" if rows else f"{path} holds no predictions")
    found = [asdict(score(truth, rows)) for rows in files]
    weighted = [WeightedPrecision.of(truth, rows) for rows in files] if draws.resamples else []
    drawn = _drawn(weighted, Units(of="images", count=len(truth["images"])), draws)
    names = [(name,) for name in NAMES]
    values = [np.array([one[name] for name in NAMES], np.float64) for one in found]
    if as_json:
        _print_json(names, found, values, drawn)
        return
    who = f"{found[0]['n_people']:,} people in {found[0]['n_images']:,} images"
    engine = "the own engine" if found[0]["engine"] == "own" else found[0]["engine"]
    print(f"{who} by {engine}; percent, - where there is nobody to find")
    columns = _columns(NAMES, values, drawn, slice(None), 100)
    show(columns)
    if against:
        show_verdict(columns, results, against)
    say_drawn(drawn)


def mpii(
    truth: Path, predictions: Path, against: Path | None = None, draws: Drawn = Draws(),  # noqa: B008 - frozen
    as_json: Json = False,
) -> None:  # fmt: skip
    """Scores a pred.mat by MPII's PCKh at 0.5, 0.1 and 0.11 of the head's size, in percent, with intervals of 95 %.

    The intervals are from resamples of the images where the truth says which person is in which (annotations such as
    valid.json), else of the people.

    Args:
        truth: gt_valid.mat, the test set's truth, or annotations such as valid.json, whose heads are estimated.
        predictions: pred.mat, as SimpleBaseline and HRNet write it: preds, N x 16 x 2, counted from 1.
        against: another pred.mat of the same people: the differences, and whether their intervals exclude 0.
        draws: the resamples.
        as_json: print one object: people, scored, heads and "pckh@0.5", "pckh@0.1" and "pckh@0.11", each with head,
            shoulder, elbow, wrist, hip, knee, ankle, mean, unweighted_mean, head_and_neck and joints, exact and in
            percent. What SimpleBaseline, HRNet and DARK call Mean@0.1 is "pckh@0.11". Intervals, against and
            differences as score coco prints them.
    """
    from dpn.metrics.pckh import GROUPS, THRESHOLDS, read_answers, read_truth, score
    from dpn.metrics.weighted_pckh import NAMES, WeightedPCKh, numbers_of

    known, images = read_truth(truth)
    files = [read_answers(path, truth, len(known)) for path in (predictions, against) if path]
    found = [score(known, keypoints) for keypoints in files]
    weighted = [WeightedPCKh(known, keypoints, images) for keypoints in files]
    drawn = _drawn(weighted, Units(of="images" if images else "people", count=weighted[0].units), draws)
    names = [(f"pckh@{at:g}", name) for at in THRESHOLDS for name in NAMES]
    values = [np.array([number for at in one.at.values() for number in numbers_of(at)], np.float64) for one in found]
    if as_json:
        _print_json(names, [one.as_dict() for one in found], values, drawn)
        return
    print(f"{found[0].scored:,} of {found[0].people:,} people scored, heads from {found[0].heads}; percent")
    for number, at in enumerate(THRESHOLDS):
        print(f"PCKh at {at:g} of the head's size{', which HRNet prints as 0.1' if at == 0.11 else ''}")
        start = number * len(NAMES)
        columns = _columns((*GROUPS, "mean"), values, drawn, slice(start, start + len(GROUPS) + 1), 1)
        show(columns)
        if against:
            show_verdict(columns, predictions, against)
    say_drawn(drawn)


def _drawn(weighted: Sequence["Weighted"], units: Units, draws: Draws) -> Uncertainty | None:
    with progress("resamples", after_s=1.0) as told:
        return uncertainty(weighted, units, draws, told)


def _print_json(
    names: Sequence[tuple[str, ...]], found: Sequence[dict[str, object]], values: Sequence[np.ndarray],
    drawn: Uncertainty | None,
) -> None:  # fmt: skip
    first, *others = [
        one | ({"intervals": drawn.as_dict(names, number)} if drawn else {}) for number, one in enumerate(found)
    ]
    if others:
        first |= {"against": others[0], "differences": differences(names, (values[0], values[1]), drawn)}
    print(json.dumps(first))


def _columns(
    names: Sequence[str], values: Sequence[np.ndarray], drawn: Uncertainty | None, part: slice, scale: float
) -> list[Column]:  # fmt: skip
    """One for each of the numbers in that part of all, in percent."""
    nothing: list[Interval | None] = [None] * len(values[0])
    shown = ((drawn.difference or drawn.each[0]) if drawn else nothing)[part]
    return [
        Column(name, [scale * value for value in found], one and Interval(low=scale * one.low, high=scale * one.high))
        for name, one, *found in zip(names, shown, *(one[part].tolist() for one in values), strict=True)
    ]


def say_drawn(drawn: Uncertainty | None) -> None:
    """Prints what intervals are of; nothing where there are none."""
    if drawn:
        units = f"{drawn.units.count:,} {drawn.units.of}"
        few = f"; of fewer than {FEW} they are too narrow" if drawn.units.count < FEW else ""
        print(
            f"intervals of 95 % from {drawn.draws.resamples:,} resamples of the {units}, seed {drawn.draws.seed}{few}"
        )


SCORE = Group("Scores predictions from anywhere against the truth.", {"coco": coco, "mpii": mpii})
