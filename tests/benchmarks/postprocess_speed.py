"""How long post-processing takes: decoding, rescoring, NMS and results against pycocotools' evaluation of the same.

Run it from the checkout, on an otherwise idle machine; it takes about half a minute and is no part of the test suite:

    .venv/bin/python tests/benchmarks/postprocess_speed.py [--rounds 2]

104,125 boxes are made up as SimpleBaseline's detections of COCO val2017 are spread: 5,000 images, 2,693 of them with
11,004 people, 6,352 of those with joints; several boxes on each, and the rest beside them and in the other images.
Heatmaps of 256x192 inputs come in batches of 64 from a small pool, because all of them would take 20 GB. Both
contestants run in one process on one thread and take turns, the order changing with every round. pycocotools' time is
that of `evaluate` and `accumulate`, without loading. Printed are the fastest round of each and their ratio. The script
fails (exit code 1) when ours takes more than pycocotools' time.
"""

import argparse
import contextlib
import io
import sys
import time
from typing import Any

import numpy as np
import torch

from dpn.arrays import Floats
from dpn.data.crops import PIXEL_STD
from dpn.data.people import People
from dpn.heatmaps import Codec, decode
from dpn.metrics.coco import results
from dpn.protocols import protocol
from dpn.skeletons import COCO_17

MOST_RATIO = 1.0
IMAGES, WITH_PEOPLE, PEOPLE, LABELLED, BOXES = 5_000, 2_693, 11_004, 6_352, 104_125
INPUT_HW, BATCH, POOL = (256, 192), 64, 8
JOINTS = len(COCO_17.joints)


def spread(rng: np.random.Generator, count: int, bins: int, least: int) -> Any:
    """So many things over so many bins, at least so many in each, the rest unevenly: their bins, in order."""
    weights = rng.gamma(1.0, size=bins)
    more = rng.multinomial(count - least * bins, weights / weights.sum())
    return np.repeat(np.arange(bins), least + more)


def truth_of(rng: np.random.Generator) -> tuple[dict[str, Any], Floats, Any]:
    """An annotation file's content, the people's keypoints (P, K, 2) and their images."""
    images = spread(rng, PEOPLE, WITH_PEOPLE, 1)
    heights = np.exp(rng.normal(4.6, 0.8, PEOPLE)).clip(10, 470)
    shape = rng.random((PEOPLE, JOINTS, 2)) * [0.4, 1.0]
    corner = rng.random((PEOPLE, 2)) * ([640, 480] - np.minimum(heights[:, None] * [0.4, 1], [630, 470]))
    keypoints = corner[:, None] + shape * heights[:, None, None]
    labelled = np.zeros(PEOPLE, bool)
    labelled[rng.choice(PEOPLE, LABELLED, replace=False)] = True
    visible = (rng.random((PEOPLE, JOINTS)) < 0.65) & labelled[:, None]
    visible[labelled, rng.integers(0, JOINTS, LABELLED)] = True
    annotations = [
        {
            "id": number + 1, "image_id": int(images[number]), "category_id": 1, "iscrowd": 0,
            "area": float(0.2 * heights[number] ** 2), "num_keypoints": int(visible[number].sum()),
            "bbox": [*corner[number].tolist(), 0.4 * heights[number], float(heights[number])],
            "keypoints": np.column_stack([keypoints[number], 2.0 * visible[number]]).reshape(-1).tolist(),
        }
        for number in range(PEOPLE)
    ]  # fmt: skip
    content = {
        "info": {}, "annotations": annotations, "categories": [{"id": 1, "name": "person"}],
        "images": [{"id": number} for number in range(IMAGES)],
    }  # fmt: skip
    return content, keypoints, images


def people_of(rng: np.random.Generator, keypoints: Floats, images: Any) -> tuple[People, Floats]:
    """Boxes as a detector gives them, with the keypoints (N, K, 3) that a network finds in each."""
    whom = spread(rng, 3 * PEOPLE, PEOPLE, 1)  # three boxes for each person, the rest on nobody
    strays = BOXES - len(whom)
    found = keypoints[np.concatenate([whom, rng.integers(0, PEOPLE, strays)])]
    found[len(whom) :] += rng.normal(0, 80, (strays, 1, 2))
    height = np.ptp(found[:, :, 1], axis=1)
    found += rng.normal(0, 0.02, found.shape) * height[:, None, None]
    sure = np.concatenate([rng.beta(4, 2, len(whom)), rng.beta(1, 6, strays)])
    joint_scores = (sure[:, None] * rng.uniform(0.4, 1.2, (BOXES, JOINTS))).astype(np.float32)
    image_ids = np.concatenate([images[whom], spread(rng, strays, IMAGES, 0)])
    order = rng.permutation(BOXES)
    scales = (height[:, None] * [0.75, 1.0] * 1.25 / PIXEL_STD).astype(np.float32)
    middle = found.mean(axis=1)
    people = People(
        skeleton=COCO_17, centers=middle.astype(np.float32), scales=scales,
        boxes=np.column_stack([middle - height[:, None] / 2, height, height]), scores=sure,
        joints=np.zeros((BOXES, JOINTS, 2)), visible=np.ones((BOXES, JOINTS)),
        ids=np.arange(BOXES), image_ids=image_ids, files={},
    )  # fmt: skip
    return people.take(order), np.dstack([found, joint_scores])[order]


def ours(people: People, keypoints: Floats, pool: list[torch.Tensor], codec: Codec) -> float:
    """Seconds for everything between heatmaps and results."""
    begin = time.perf_counter()
    for number, start in enumerate(range(0, BOXES, BATCH)):
        decode(pool[number % POOL][: BOXES - start], codec)
    decoded = time.perf_counter()
    rows = results(people, keypoints, protocol("dpn", "coco"))
    print(
        f"  decode {decoded - begin:6.2f} s, results {time.perf_counter() - decoded:6.2f} s, {len(rows):,} people kept"
    )
    return time.perf_counter() - begin


def pycocotools(content: dict[str, Any], rows: list[Any]) -> float:
    """Seconds for its evaluation of the results."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = content
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes([dict(row) for row in rows]), "keypoints")
        begin = time.perf_counter()
        evaluation.evaluate()
        evaluation.accumulate()
    return time.perf_counter() - begin


def main() -> int:
    """Prints both times and their ratio; 0 when ours is fast enough."""
    parser = argparse.ArgumentParser(description="Time post-processing against pycocotools' evaluation.")
    parser.add_argument("--rounds", type=int, default=2, help="how often each is timed")
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    content, keypoints, images = truth_of(rng)
    people, found = people_of(rng, keypoints, images)
    codec = Codec.of_protocol(protocol("dpn", "coco"), INPUT_HW)
    pool = [torch.rand(BATCH, JOINTS, *codec.heatmap_hw) for _ in range(POOL)]
    rows = results(people, found, protocol("dpn", "coco"))
    fastest = {"ours": float("inf"), "pycocotools": float("inf")}
    for turn in range(rounds):
        for name in fastest if turn % 2 == 0 else reversed(list(fastest)):
            seconds = ours(people, found, pool, codec) if name == "ours" else pycocotools(content, rows)
            fastest[name] = min(seconds, fastest[name])
    print(f"{BOXES:,} boxes in {IMAGES:,} images, fastest of {rounds} rounds, 1 thread")
    for name, seconds in fastest.items():
        print(f"{name:>12} {seconds:8.2f} s")
    ratio = fastest["ours"] / fastest["pycocotools"]
    print(f"       ratio {ratio:8.2f} (at most {MOST_RATIO})")
    return int(ratio > MOST_RATIO)


if __name__ == "__main__":
    sys.exit(main())
