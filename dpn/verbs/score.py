"""The verbs `score coco` and `score mpii` of `python -m dpn`: predictions from anywhere against the truth."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import tyro

from dpn.metrics.resampling import Draws, Interval
from dpn.metrics.uncertainty import Name, Uncertainty, Units, differences, uncertainty
from dpn.program.cli import Group, Json, note
from dpn.program.progress import progress
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
    from dpn.metrics.coco import score
    from dpn.metrics.coco_results import lacking, read_results
    from dpn.metrics.weighted_precision import WeightedPrecision

    truth = read_coco(annotations)
    paths = [path for path in (results, against) if path]
    files = [read_results(path, truth) for path in paths]
    for path, rows in zip(paths, files, strict=True):
        note(lacking(path, truth, rows))
    found = [asdict(score(truth, rows)) for rows in files]
    weighted = [WeightedPrecision.of(truth, rows) for rows in files] if draws.resamples else []
    drawn = drawn_of(weighted, Units(of="images", count=len(truth["images"])), draws)
    if as_json:
        _print_json(found, drawn)
    else:
        show_scores(found, drawn, paths)


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
    from dpn.metrics.pckh import read_answers, read_truth, score
    from dpn.metrics.weighted_pckh import WeightedPCKh

    known, images = read_truth(truth)
    paths = [path for path in (predictions, against) if path]
    files = [read_answers(path, truth, len(known)) for path in paths]
    found = [score(known, keypoints).as_dict() for keypoints in files]
    weighted = [WeightedPCKh(known, keypoints, images) for keypoints in files]
    drawn = drawn_of(weighted, Units(of="images" if images else "people", count=weighted[0].units), draws)
    if as_json:
        _print_json(found, drawn)
    else:
        show_scores(found, drawn, paths)


def drawn_of(weighted: Sequence["Weighted"], units: Units, draws: Draws) -> Uncertainty | None:
    """`uncertainty`, with a bar on a terminal where it takes long."""
    with progress("resamples", after_s=1.0) as told:
        return uncertainty(weighted, units, draws, told)


def _print_json(found: Sequence[dict[str, Any]], drawn: Uncertainty | None) -> None:
    from dpn.scoring import numbers_in

    numbers = [numbers_in(one) for one in found]
    names, values = [*numbers[0]], [np.array([*one.values()]) for one in numbers]
    first, *others = [
        one | ({"intervals": drawn.as_dict(names, number)} if drawn else {}) for number, one in enumerate(found)
    ]
    if others:
        first |= {"against": others[0], "differences": differences(names, (values[0], values[1]), drawn)}
    print(json.dumps(first))


def show_scores(
    found: Sequence[Mapping[str, Any]], drawn: Uncertainty | None, files: Sequence[Path] = (), data: str = ""
) -> None:  # fmt: skip
    """Prints COCO's scores or MPII's in percent with their intervals, or those of two files and of the differences.

    Args:
        found: of one file or two, as `dpn.scoring.scores_of` finds them.
        drawn: the intervals, if any.
        files: with two, what the verdict calls them.
        data: name of the data set, for `dpn.scoring.whom`.
    """
    from dpn.metrics.coco_scores import NAMES
    from dpn.metrics.pckh import GROUPS
    from dpn.scoring import numbers_in, whom

    is_coco = "AP" in found[0]
    print(f"{whom(found[0], data)}; percent{', - where there is nobody to find' if is_coco else ''}")
    numbers = [numbers_in(one) for one in found]
    nothing: list[Interval | None] = [None] * len(numbers[0])
    intervals = (drawn.difference or drawn.each[0]) if drawn else nothing
    tables: dict[Name, list[Column]] = {}
    for name, interval in zip(numbers[0], intervals, strict=True):
        if name[-1] in (*NAMES, *GROUPS, "mean"):
            column = _column(name[-1], [one[name] for one in numbers], interval, 100 if is_coco else 1)
            tables.setdefault(name[:-1], []).append(column)
    for place, columns in tables.items():
        for at in place:
            share = at.removeprefix("pckh@")
            print(f"PCKh at {share} of the head's size{', which HRNet prints as 0.1' if share == '0.11' else ''}")
        show(columns)
        if len(files) > 1:
            show_verdict(columns, files[0], files[1])
    say_drawn(drawn)


def _column(name: str, values: Sequence[float], interval: Interval | None, scale: float) -> Column:
    ends = interval and Interval(low=scale * interval.low, high=scale * interval.high)
    return Column(name, [scale * value for value in values], ends)


def say_drawn(drawn: Uncertainty | None) -> None:
    """Prints what intervals are of; nothing where there are none."""
    if drawn:
        units = f"{drawn.units.count:,} {drawn.units.of}"
        few = f"; of fewer than {FEW} they are too narrow" if drawn.units.count < FEW else ""
        print(
            f"intervals of 95 % from {drawn.draws.resamples:,} resamples of the {units}, seed {drawn.draws.seed}{few}"
        )


SCORE = Group("Scores predictions from anywhere against the truth.", {"coco": coco, "mpii": mpii})
