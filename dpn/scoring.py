"""From the keypoints of a data set's people to its results file and its scores, whichever data set it is.

Imports no torch.
"""

import os
import re
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from dpn.arrays import Floats
from dpn.data.people import DataSet
from dpn.data.problems import DataError, Problem
from dpn.metrics import average_precision, coco, coco_scores, pckh
from dpn.metrics.coco_results import write_results
from dpn.metrics.oks import labelled_oks
from dpn.metrics.resampling import Weighted
from dpn.metrics.uncertainty import Name, Units
from dpn.metrics.weighted_pckh import NAMES, WeightedPCKh
from dpn.metrics.weighted_precision import WeightedPrecision
from dpn.program.whole_files import make_folder, refuse_special, whole
from dpn.protocols import Protocol

SUBMITTED = "person_keypoints_{}_{}_results"
"""Name of the file for COCO's test server, with the split's and the method's."""


def check_before(data: DataSet, results: Path | None) -> None:
    """Finds out before the hours of a prediction, and not behind them, that its results could not be used.

    Raises:
        DataError: there is no truth, and no file for the results either.
        OSError: the results' folder cannot be made, or is not writable, or their file is a device or a pipe.
    """
    if data.truth is None and results is None:
        raise DataError(
            Problem(data.name, "", "has no truth to score against", "give --results FILE to have a file to submit")
        )
    if results is not None:
        refuse_special(results)
        folders = {results.parent, Path(os.path.realpath(results)).parent}  # of what is kept, and of a link's target
        for folder in folders:
            make_folder(folder)
        if results.is_dir() or not all(os.access(folder, os.W_OK) for folder in folders):
            raise OSError(f"{results} cannot be written; give the path of a file in a folder of yours")


def scores_of(
    data: DataSet, keypoints: Floats, protocol: Protocol, *, engine: coco_scores.Engine = "pycocotools"
) -> dict[str, Any] | None:  # fmt: skip
    """The data set's own numbers, or None where others keep the truth.

    Args:
        data: N people.
        keypoints: (N, K, 3): x and y in image pixels, and score; a row for each person.
        protocol: thresholds of rescoring and suppression.
        engine: of COCO's numbers: pycocotools, where it is installed, for what is reported; "own" finds the same many
            times as fast.

    Returns:
        COCO's numbers by the names of `dpn.metrics.coco_scores.Scores`, or PCKh as `dpn.metrics.pckh.Scores.as_dict`.
    """
    if data.truth is None:
        return None
    if data.kind == "coco":
        score = coco.score if engine == "pycocotools" else average_precision.score
        return asdict(score(data.truth, coco.results(data.people, keypoints, protocol)))
    return pckh.score(data.truth, keypoints).as_dict()


def weighted_of(data: DataSet, keypoints: Floats, protocol: Protocol) -> tuple[Weighted, Units]:
    """How `scores_of` counts each image as often as it is drawn, and the images; the data set has its truth."""
    if data.kind == "coco":
        precision = WeightedPrecision.of(data.truth, coco.results(data.people, keypoints, protocol))
        return precision, Units(of="images", count=precision.images)
    people = data.people
    correct = WeightedPCKh(data.truth, keypoints, [people.files[image] for image in people.image_ids.tolist()])
    return correct, Units(of="images", count=correct.units)


def numbers_in(scores: Mapping[str, Any]) -> dict[Name, float]:
    """What a weighted scorer finds, by its place in the scores of `scores_of`; NaN where there is no number.

    Example:
        >>> list(numbers_in(dict.fromkeys(coco_scores.NAMES, 0.5)))[:2]
        [('AP',), ('AP50',)]
    """
    tables = {(): coco_scores.NAMES} if "AP" in scores else {(f"pckh@{at:g}",): NAMES for at in pckh.THRESHOLDS}
    found: dict[Name, float] = {}
    for place, names in tables.items():
        table = scores[place[0]] if place else scores
        found |= {(*place, name): float("nan") if table[name] is None else table[name] for name in names}
    return found


def whom(scores: Mapping[str, Any], data: str = "") -> str:
    """Who was scored, and by what; of MPII's validation set, by its name, also how its own heads would be taken.

    Example:
        >>> whom({"people": 2958, "scored": 2950, "heads": "points"}, "mpii valid")
        '2,950 of 2,958 people scored, heads from points (put gt_valid.mat beside valid.json)'
    """
    if "AP" in scores:
        engine = "the own engine" if scores["engine"] == "own" else scores["engine"]
        return f"{scores['n_people']:,} people in {scores['n_images']:,} images by {engine}"
    estimated = scores["heads"] == "points" and data.startswith("mpii valid")
    remedy = " (put gt_valid.mat beside valid.json)" if estimated else ""
    return f"{scores['scored']:,} of {scores['people']:,} people scored, heads from {scores['heads']}{remedy}"


def similarities(data: DataSet, keypoints: Floats) -> Floats | None:
    """How near each person's keypoints are to the true ones, where it is known whose they are: in true boxes of COCO.

    Args:
        data: N people with their truth.
        keypoints: (N, K, 2 or more) in the order of `data.people`.

    Returns:
        (N,) OKS from 0 to 1, not a number of people without a labelled joint. None for MPII, which has no areas, and
        for detected boxes.
    """
    if data.kind != "coco" or data.boxes != "truth":
        return None
    people = data.people
    areas = {annotation["id"]: annotation["area"] for annotation in data.truth["annotations"]}
    labelled = people.visible > 0
    known = labelled.any(1)
    found = np.full(len(people), np.nan)
    found[known] = labelled_oks(
        keypoints[known], people.joints[known], labelled[known],
        np.array([areas[number] for number in people.ids[known].tolist()]), data.skeleton.oks_sigmas,
    )  # fmt: skip
    return found


def headline(scores: Mapping[str, Any]) -> tuple[str, float | None]:
    """The one number that publications compare, and its name: COCO's AP from 0 to 1, or MPII's PCKh@0.5 in percent.

    Example:
        >>> headline({"AP": 0.5})
        ('AP', 0.5)
    """
    return ("AP", scores["AP"]) if "AP" in scores else ("PCKh@0.5", scores["pckh@0.5"]["mean"])


def share(scores: Mapping[str, Any]) -> float | None:
    """The number of `headline` from 0 to 1, whatever its unit; None where nobody could be scored.

    Example:
        >>> share({"AP": 0.699}), share({"pckh@0.5": {"mean": 87.5}}), share({})
        (0.699, 0.875, None)
    """
    if not scores:
        return None
    name, number = headline(scores)
    return None if number is None else number if name == "AP" else number / 100


def write_predictions(path: Path, data: DataSet, keypoints: Floats, protocol: Protocol) -> None:
    """Writes what the data set's scoring reads: COCO's results in JSON, or MPII's pred.mat; whole or not at all.

    Raises:
        OSError: the file cannot be written.
    """
    if data.kind == "coco":
        write_results(path, coco.results(data.people, keypoints, protocol))
    else:
        pckh.write_predictions(path, keypoints)


def write_submission(results: Path, method: str, data: str) -> Path:
    """Packs a COCO results file as the test server wants it, into an archive beside it, whole or not at all.

    Args:
        results: what `write_predictions` wrote.
        method: name of the network; what is neither letter nor digit becomes a hyphen.
        data: name of the data set, which has the split's; a folder that names none is of test-dev2017.

    Returns:
        The archive's path.
    """
    split = re.search(r"\btest(-[a-z]+)?\d{4}\b", data)
    name = SUBMITTED.format(split[0] if split else "test-dev2017", re.sub(r"[^A-Za-z0-9]+", "-", method).strip("-"))
    archive = results.with_name(f"{name}.zip")
    with whole(archive) as beside, zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED) as file:
        file.write(results, f"{name}.json")
    return archive
