"""Boxes as a person detector would find them, made from the true ones. Imports no torch.

The errors are those that reports on detectors name (Hoiem et al., ECCV 2012; Bolya et al., TIDE, ECCV 2020):

* misses: more of people who are small, hidden or cut off by the image's border, see `_hardness`;
* position: each side of a box moves by a share of its length with heavy tails (Student's t with 3 degrees of freedom),
  farther for harder people; of every ninth box a piece of the person is lost at one side, most often the legs;
* repetitions: further, worse boxes of the same person, as far apart as non-maximum suppression at an IoU of 0.6 leaves;
* mergers: one box around two people who overlap;
* nothing: boxes of the proportions of people where nobody is.

Scores follow a box's overlap with the truth and the person's hardness, with noise, so that they rank boxes well but not
perfectly. Everything follows from (seed, id of the image). `COCO_BOX_AP` says how good this detector is by COCO's own
measure; that of the file with which SimpleBaseline, HRNet and the DPN paper report their results has 0.564.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from dpn.arrays import Floats
from dpn.data.coco_problems import PERSON

DETECTOR_VERSION = 1
"""Raised whenever the same content and seed give other boxes."""

COCO_BOX_AP = 0.562
"""Box AP of people (IoU 0.50 to 0.95, at most 100 boxes an image) on the first 5,000 scenes of seed 0, where there are
5.5 boxes an image and 2.7 a person."""

SPREAD = 0.025, 0.05
"""Standard share of its length by which a side of a box moves: of an easy person, and what a hard one adds."""

MISSED = 0.02, 0.4
"""Share of people who are missed: of easy ones, and what hard ones add."""

LOST_PIECE = 1 / 9
"""Share of boxes that miss a piece of the person."""

REPEATED = 0.8
"""Further boxes of a person, in the mean."""

SUPPRESSED = 0.6
"""No two boxes of one person overlap more."""

MERGED = 0.3
"""Share of pairs of overlapping people who also get a box together."""

NOTHING = 2.5
"""Boxes of an image where nobody is, in the mean."""

LEAST_SCORE = 0.001
"""Of boxes where nobody is; worse ones a detector does not keep."""

EASY_PX, HARD_PX = 96.0, 16.0
"""Square roots of segment areas between which people become hard to find."""

_STREAM = 0xDE7EC7
"""Keeps these draws apart from those of the figures."""


def detections(content: Mapping[str, Any], seed: int) -> list[dict[str, Any]]:
    """Rows of a COCO file of detected boxes, image by image, the surest first.

    Args:
        content: of a COCO annotation file; polygons are not needed.
        seed: of the detector.

    Returns:
        Dictionaries of image_id, category_id (1), bbox (x, y, width and height in pixels, inside the image) and score
        (between 0 and 1).
    """
    people = defaultdict(list)
    for row in content["annotations"]:
        people[row["image_id"]].append(row)
    return [row for image in content["images"] for row in _rows(image, people[image["id"]], seed)]


def _rows(image: Mapping[str, Any], people: Sequence[Mapping[str, Any]], seed: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng((seed, _STREAM, image["id"]))
    size = np.array((image["width"], image["height"]), dtype=np.float64)
    truth = np.array([row["bbox"] for row in people], dtype=np.float64).reshape(-1, 4)
    truth[:, 2:] += truth[:, :2]  # corners from here on
    boxes = [
        *(found for row, box in zip(people, truth, strict=True) for found in _of_person(box, _hardness(row), rng)),
        *_mergers(truth, rng),
        *_nothing(size, rng),
    ]
    inside = [(np.clip(box, 0, np.tile(size, 2)), score) for box, score in boxes]
    kept = [(box, score) for box, score in inside if (box[2:] - box[:2] >= 2).all()]
    return [
        {
            "image_id": image["id"],
            "category_id": PERSON,
            "bbox": [*box[:2].round(2).tolist(), *(box[2:] - box[:2]).round(2).tolist()],
            "score": round(float(score), 6),
        }
        for box, score in sorted(kept, key=lambda pair: -pair[1])
    ]


def _hardness(person: Mapping[str, Any]) -> float:
    """From 0 to 1: how small a person is, and how many of the joints are hidden or outside the image."""
    side = max(float(person["area"]), 1.0) ** 0.5
    small = np.log(EASY_PX / side) / np.log(EASY_PX / HARD_PX)
    flags = np.array(person["keypoints"][2::3])
    hidden = 1 - (flags == 2).mean()
    return float(np.clip(0.5 * np.clip(small, 0, 1) + 0.7 * hidden, 0, 1))


def _of_person(box: Floats, hardness: float, rng: np.random.Generator) -> Iterator[tuple[Floats, float]]:
    """Boxes and scores for one person: none, one, or one and its repetitions."""
    if rng.random() < MISSED[0] + MISSED[1] * hardness**2:
        return
    best = _moved(box, SPREAD[0] + SPREAD[1] * hardness, rng)
    if rng.random() < LOST_PIECE:
        side = rng.choice(4, p=(0.15, 0.15, 0.15, 0.55))
        length = best[2 + side % 2] - best[side % 2]
        best[side] += rng.uniform(0.1, 0.4) * length * (1 if side < 2 else -1)
    score = _squashed(2.5 + 6 * (_iou(best, box) - 0.75) - 2.5 * hardness + 0.9 * rng.standard_normal())
    kept = [best]
    yield best, score
    for _ in range(rng.poisson(REPEATED)):
        again = _moved(box, 0.2, rng)
        if max(_iou(again, other) for other in kept) < SUPPRESSED:
            kept.append(again)
            yield again, score * rng.uniform(0.02, 0.5)


def _moved(box: Floats, spread: float, rng: np.random.Generator) -> Floats:
    lengths = np.tile(box[2:] - box[:2], 2)
    return box + lengths * spread * np.clip(rng.standard_t(3, 4), -4, 4)


def _mergers(truth: Floats, rng: np.random.Generator) -> Iterator[tuple[Floats, float]]:
    for number, one in enumerate(truth):
        for other in truth[:number]:
            if _iou(one, other) > 0.1 and rng.random() < MERGED:
                yield np.concatenate([np.minimum(one, other)[:2], np.maximum(one, other)[2:]]), rng.uniform(0.02, 0.6)


def _nothing(size: Floats, rng: np.random.Generator) -> Iterator[tuple[Floats, float]]:
    for _ in range(rng.poisson(NOTHING)):
        height = size[1] * np.exp(rng.uniform(np.log(0.06), np.log(0.9)))
        lengths = np.array((height * 0.41 * np.exp(0.35 * rng.standard_normal()), height))
        corner = rng.uniform(-0.2 * lengths, size - 0.8 * lengths)
        yield np.concatenate([corner, corner + lengths]), max(rng.beta(0.6, 6), LEAST_SCORE)


def _iou(one: Floats, other: Floats) -> float:
    """Of two boxes by their corners."""
    shared = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    overlap = float(np.maximum(shared, 0).prod())
    return overlap / max(float((one[2:] - one[:2]).prod() + (other[2:] - other[:2]).prod()) - overlap, 1e-9)


def _squashed(value: float) -> float:
    return float(1 / (1 + np.exp(-value)))
