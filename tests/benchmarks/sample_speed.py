"""How long a training sample takes beside reading its image: cropping and augmenting against decoding the JPEG.

Run it from the checkout, on an otherwise idle machine; it takes about ten seconds and is no part of the test suite:

    .venv/bin/python tests/benchmarks/sample_speed.py [--rounds 20]

Both work in one process on one thread, one after the other on each image as in training, so that what disturbs the
machine disturbs both, and a sample is prepared from pixels that were decoded just before. Reading is OpenCV's decoding
of a 640x480 JPEG from a file that the system has in memory, without any check of ours. Preparing is all the rest that
`TrainingSamples` does: draws, mirroring, crop, joints and tensors. Images are made up, as large as COCO's in bytes:
noise of all sizes, at a quality that gives 160 kB. Printed are medians over all images and rounds, each round another
epoch, and their ratio for each protocol and input. The script fails (exit code 1) when the largest ratio is above 0.6.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import torch

from dpn.data.crops import box_to_center_scale
from dpn.data.people import Example, Examples
from dpn.data.samples import TrainingSamples
from dpn.protocols import protocol
from dpn.skeletons import COCO_17, Skeleton

LARGEST_RATIO = 0.6
IMAGES = 16
FILE_BYTES = 160_000
"""Of a mean image of COCO val2017, whose archive has 816 MB for 5,000 of them."""

CASES = (("dpn", (256, 192)), ("dpn", (384, 288)), ("hrnet", (256, 192)), ("sbl", (384, 288)))


class Timed(Examples):
    """A person of two thirds of the height in each file's image; says when reading it began and ended."""

    skeleton: Skeleton = COCO_17

    def __init__(self, files: list[Path]) -> None:
        self._files = files
        self.began = self.ended = 0.0

    def __len__(self) -> int:
        return len(self._files)

    def example(self, index: int) -> Example:
        """See `Examples.example`."""
        rng = np.random.default_rng(index)
        x, y = rng.uniform((20, 20), (380, 140))
        center, scale = box_to_center_scale((x, y, 160, 320), 0.75)
        joints = rng.uniform((x, y), (x + 160, y + 320), (17, 2))
        self.began = time.perf_counter()
        data = np.fromfile(self._files[index], dtype=np.uint8)
        image = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION), dtype=np.uint8)
        self.ended = time.perf_counter()
        return Example(image=image, center=center, scale=scale, joints=joints, visible=np.ones(17))


def jpeg(number: int) -> bytes:
    """A 640x480 JPEG of about `FILE_BYTES`: noise of all sizes, as photographs have."""
    rng = np.random.default_rng(number)
    image = np.zeros((480, 640, 3), dtype=np.float32)
    for octave in range(8):
        size = (640 >> octave, 480 >> octave)
        noise = rng.standard_normal((size[1], size[0], 3)).astype(np.float32)
        image += cv2.resize(noise, (640, 480), interpolation=cv2.INTER_CUBIC) * 1.6**octave
    pixels = np.clip(image / image.std() * 50 + 127, 0, 255).astype(np.uint8)
    files = (cv2.imencode(".jpg", pixels, (cv2.IMWRITE_JPEG_QUALITY, quality))[1] for quality in range(99, 40, -1))
    return next(file.tobytes() for file in files if len(file) <= FILE_BYTES)


def ratio(files: list[Path], name: str, input_hw: tuple[int, int], rounds: int) -> float:
    """Prints the two medians, returns the second by the first."""
    examples = Timed(files)
    samples = TrainingSamples(examples, protocol(name, "coco"), input_hw)
    samples[0]  # the first call is not what is compared
    reading, preparing = [], []
    for epoch in range(rounds):
        samples.set_epoch(epoch)
        for index in range(len(files)):
            samples[index]
            preparing.append(1000 * (time.perf_counter() - examples.ended))
            reading.append(1000 * (examples.ended - examples.began))
    read_ms, prepare_ms = statistics.median(reading), statistics.median(preparing)
    size = f"{input_hw[0]}x{input_hw[1]}"
    print(f"{name:>6} {size}: read {read_ms:.3f} ms, prepare {prepare_ms:.3f} ms, ratio {prepare_ms / read_ms:.3f}")
    return prepare_ms / read_ms


def main() -> int:
    """Prints times and ratios; 0 when preparing is fast enough."""
    parser = argparse.ArgumentParser(description="Time the preparation of training samples against reading images.")
    parser.add_argument("--rounds", type=int, default=20, help="how often each image is read and each sample prepared")
    rounds = parser.parse_args().rounds
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{number}.jpg" for number in range(IMAGES)]
        for number, file in enumerate(files):
            file.write_bytes(jpeg(number))
        mean_kb = statistics.mean(file.stat().st_size for file in files) / 1000
        print(f"{IMAGES} JPEGs of 640x480, {mean_kb:.0f} kB each, medians of {rounds} rounds, 1 thread")
        largest = max(ratio(files, name, input_hw, rounds) for name, input_hw in CASES)
    print(f"largest ratio {largest:.3f} (at most {LARGEST_RATIO})")
    return int(largest > LARGEST_RATIO)


if __name__ == "__main__":
    sys.exit(main())
