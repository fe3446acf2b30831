"""How fast synthetic figures are made, against reading and cropping COCO's JPEGs.

Run it from the checkout, on an otherwise idle machine; it takes some twenty seconds and is no part of the test suite:

    .venv/bin/python tests/benchmarks/synthetic_speed.py [--crops 400] [--rounds 10]

Both make crops of 256x192 around one person, in one process on one thread, and take turns block by block. One reads
JPEGs of 640x480 from a folder, as COCO's are; they are the samples beside the checkout, resized, or pieces of the
generator's own textures where there are none. The other makes a scene for each crop. Counted is the
thread's own time, and of each block the fastest round, so that what else runs on the machine disturbs little. The
script prints milliseconds a crop and their ratio, and fails (exit code 1) when the generator is slower.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from dpn.data.crops import affine, box_to_center_scale, crop
from dpn.data.images import FolderImages
from dpn.synthetic.backdrop import bank
from dpn.synthetic.figures import SyntheticFigures

SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "samples" / "coco"
LEAST_RATIO = 1.0
INPUT_WH = (192, 256)
BLOCK = 5
COCO_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 96, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
"""As COCO's own files are: quantisation tables that begin with ones and twos, chroma at full resolution."""


def jpegs() -> tuple[list[bytes], str]:
    """Images of 640x480 as JPEG, and where they are from."""
    images = [cv2.imread(str(path)) for path in sorted(SAMPLES.glob("*.jpg"))]
    origin = f"{len(images)} COCO images"
    if not images:
        images, origin = [texture[..., :3] for texture in bank().textures], "textures"
    encoded = []
    for image in images:
        assert image is not None
        wide = image if image.shape[1] >= image.shape[0] else cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE)
        full = cv2.resize(wide, (640, 480), interpolation=cv2.INTER_AREA)
        encoded.append(cv2.imencode(".jpg", full, COCO_JPEG)[1].tobytes())
    return encoded, origin


def cropped(image: np.ndarray, box_xywh: np.ndarray) -> np.ndarray:
    """The crop around a box, as for a network."""
    center, scale = box_to_center_scale(box_xywh, INPUT_WH[0] / INPUT_WH[1])
    return crop(image, affine(center, scale, 0.0, INPUT_WH), INPUT_WH)


def main() -> int:
    """Prints both times and their ratio; 0 when the generator keeps up."""
    parser = argparse.ArgumentParser(description="Time synthetic figures against reading JPEGs.")
    parser.add_argument("--crops", type=int, default=400, help="crops a round")
    parser.add_argument("--rounds", type=int, default=10)
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    files, origin = jpegs()
    with tempfile.TemporaryDirectory() as folder:
        for number, data in enumerate(files):
            Path(folder, f"{number}.jpg").write_bytes(data)
        fastest = race(FolderImages(Path(folder)), len(files), asked)
    best = {name: sum(seconds for (other, _), seconds in fastest.items() if other == name) for name in ("read", "make")}
    ratio = best["read"] / best["make"]
    size = sum(map(len, files)) / len(files) / 1000
    print(
        f"{asked.crops} crops of 256x192, fastest of {asked.rounds} rounds, 1 thread; {size:.0f} kB JPEGs of {origin}"
    )
    for name, seconds in best.items():
        print(f"{name:>6} {1000 * seconds / asked.crops:8.2f} ms a crop")
    print(f" ratio {ratio:8.2f} (at least {LEAST_RATIO})")
    return int(ratio < LEAST_RATIO)


def race(images: FolderImages, count: int, asked: argparse.Namespace) -> dict[tuple[str, int], float]:
    """Seconds of each contestant's fastest round in each block."""
    figures = SyntheticFigures(seed=1)
    box = np.array([200.0, 100.0, 120.0, 300.0])

    def read(index: int) -> None:
        cropped(images.read(f"{index % count}.jpg"), box)

    def make(index: int) -> None:
        scene = figures.scene(index)
        cropped(scene.image, scene.figures[0].box_xywh)

    contestants: list[tuple[str, Callable[[int], None]]] = [("read", read), ("make", make)]
    for _, work in contestants:
        work(0)
    fastest: dict[tuple[str, int], float] = {}
    for turn in range(asked.rounds):
        for first in range(0, asked.crops, BLOCK):
            for name, work in contestants if (turn + first // BLOCK) % 2 == 0 else contestants[::-1]:
                begin = time.thread_time()
                for index in range(first, first + BLOCK):
                    work(index)
                spent = time.thread_time() - begin
                fastest[name, first] = min(spent, fastest.get((name, first), spent))
    return fastest


if __name__ == "__main__":
    sys.exit(main())
