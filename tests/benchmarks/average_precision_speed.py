"""How long average precision takes: this project's own engine against pycocotools on the same results.

Run it from the checkout, on an otherwise idle machine; it takes about a minute and is no part of the test suite:

    .venv/bin/python tests/benchmarks/average_precision_speed.py [--rounds 2]

The people and the 104,125 that are found in 5,000 images are those of `postprocess_speed.py`, without suppression.
Both engines get the same lists in one process on one thread and take turns, the order changing with every round. Timed
is all from these lists to the ten numbers: pycocotools' with its index, as `dpn.metrics.coco.score` calls it, and,
more strictly, its `evaluate` and `accumulate` alone, against the whole of ours. Printed are the fastest round of each
and the ratios. The script fails (exit code 1) when the stricter ratio is below 10, or when the numbers are not equal
to the last bit.
"""

import argparse
import os
import sys
import time
from dataclasses import replace
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # numpy reads this when it is imported

import numpy as np  # noqa: E402 - see above

from dpn.metrics import average_precision, coco  # noqa: E402
from dpn.metrics.coco_scores import Scores  # noqa: E402
from tests.benchmarks import postprocess_speed  # noqa: E402

LEAST_RATIO = 10


def made_up() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """An annotation file's content and rows of results."""
    rng = np.random.default_rng(0)
    truth, keypoints, images = postprocess_speed.truth_of(rng)
    people, found = postprocess_speed.people_of(rng, keypoints, images)
    columns = people.image_ids.tolist(), found.reshape(len(found), -1).tolist(), people.scores.tolist()
    return truth, [
        {"image_id": image_id, "category_id": 1, "keypoints": numbers, "score": score}
        for image_id, numbers, score in zip(*columns, strict=True)
    ]


def main() -> int:
    """Prints all times and their ratios; 0 when ours is fast enough and finds the same."""
    parser = argparse.ArgumentParser(description="Time this project's average precision against pycocotools.")
    parser.add_argument("--rounds", type=int, default=2, help="how often each is timed")
    rounds = parser.parse_args().rounds
    truth, rows = made_up()
    for engine in (average_precision.score, coco.score):  # imports and first calls are not what is compared
        engine({**truth, "annotations": truth["annotations"][:9]}, rows[:9])
    fastest: dict[str, float] = {}
    found: dict[str, Scores] = {}

    def timed(name: str) -> float:
        begin = time.perf_counter()
        if name == "evaluate":
            return postprocess_speed.pycocotools(truth, rows)
        found[name] = (average_precision.score if name == "ours" else coco.score)(truth, rows)
        return time.perf_counter() - begin

    names = ["ours", "pycocotools", "evaluate"]
    for turn in range(rounds):
        for name in names if turn % 2 == 0 else reversed(names):
            seconds = timed(name)
            fastest[name] = min(seconds, fastest.get(name, seconds))
    print(f"{len(rows):,} people found in {len(truth['images']):,} images, fastest of {rounds} rounds, 1 thread")
    for name in names:
        print(f"{name:>12} {fastest[name]:8.2f} s")
    ratios = {name: fastest[name] / fastest["ours"] for name in names[1:]}
    print(f"       ratio {ratios['pycocotools']:8.1f} of the whole call")
    print(f"       ratio {ratios['evaluate']:8.1f} of evaluate and accumulate alone (at least {LEAST_RATIO})")
    equal = found["ours"] == replace(found["pycocotools"], engine="own")
    print(f"AP {found['ours'].AP}, {'all ten numbers equal' if equal else 'numbers DIFFER'}")
    return int(ratios["evaluate"] < LEAST_RATIO or not equal)


if __name__ == "__main__":
    sys.exit(main())
