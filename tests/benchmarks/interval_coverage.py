"""How often the intervals of 95 % hold the number that they are of, and how long a resample takes.

Run it from the checkout; it takes some minutes and is no part of the test suite:

    .venv/bin/python tests/benchmarks/interval_coverage.py [--images 50 200 500] [--trials 150]

The 5,000 images and the people found in them of `average_precision_speed.py` are taken for all that there are, so that
COCO's ten numbers are known. Again and again some of the images are drawn without repeats, as a data set, and its
intervals are found. Printed are the shares of intervals that hold the true number, lie wholly above it, or below.
"""

import argparse
import os
import time
from collections import defaultdict
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # numpy reads this when it is imported

import numpy as np  # noqa: E402 - see above

from dpn.metrics import average_precision  # noqa: E402
from dpn.metrics.coco_scores import NAMES  # noqa: E402
from dpn.metrics.resampling import Draws, intervals, resampled  # noqa: E402
from dpn.metrics.weighted_precision import WeightedPrecision  # noqa: E402
from tests.benchmarks.average_precision_speed import made_up  # noqa: E402


def silent(done: int, total: int, text: str = "", /) -> None: ...


def by_image(rows: list[dict[str, Any]]) -> dict[int, list[dict[str, Any]]]:
    found = defaultdict(list)
    for one in rows:
        found[one["image_id"]].append(one)
    return found


def main() -> None:
    """Prints the time of a resample, then the shares for each number of images."""
    parser = argparse.ArgumentParser(description="Count how often intervals hold the true number.")
    parser.add_argument("--images", type=int, nargs="+", default=[50, 200, 500], help="in a data set")
    parser.add_argument("--trials", type=int, default=150, help="data sets of each size")
    asked = parser.parse_args()
    truth, rows = made_up()
    everything = WeightedPrecision.of(truth, rows)
    images = everything.images
    true = everything(np.ones(images, np.intp))
    begin = time.process_time()
    average_precision.score(truth, rows)
    whole = time.process_time() - begin
    begin = time.process_time()
    resampled([everything], images, Draws(resamples=100), silent)
    print(f"a resample takes {(time.process_time() - begin) / 100 / whole:.4f} of the own engine's whole score")
    people, found = by_image(truth["annotations"]), by_image(rows)
    rng = np.random.default_rng(0)
    print(f"{'images':>6} {'':>6} {' '.join(f'{name:>5}' for name in NAMES)}")
    for count in asked.images:
        held, above = np.zeros(len(NAMES)), np.zeros(len(NAMES))
        for trial in range(asked.trials):
            drawn = sorted(rng.choice([image["id"] for image in truth["images"]], count, replace=False).tolist())
            some = {
                "images": [{"id": number} for number in drawn],
                "annotations": [one for number in drawn for one in people[number]],
            }
            weighted = WeightedPrecision.of(some, [one for number in drawn for one in found[number]])
            (samples,) = resampled([weighted], count, Draws(resamples=300, seed=trial), silent)
            for number, one in enumerate(intervals(samples)):
                held[number] += bool(one and one.low <= true[number] <= one.high)
                above[number] += bool(one and one.low > true[number])
        for name, shares in (("hold", held), ("above", above), ("below", asked.trials - held - above)):
            print(f"{count:>6} {name:>6} {' '.join(f'{share:5.2f}' for share in shares / asked.trials)}", flush=True)


if __name__ == "__main__":
    main()
