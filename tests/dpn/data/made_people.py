"""People in images that tests make up: an image tells in its colours which of its pixels one looks at."""

import numpy as np

from dpn.arrays import Floats, Pixels
from dpn.data.people import DataSet, Example, People
from dpn.data.problems import DataError, Problem
from dpn.skeletons import COCO_17, MPII_16, Skeleton


def coordinates_image(height: int = 256, width: int = 256) -> Pixels:
    """Blue is x, green is y, red is 255 everywhere."""
    y, x = np.mgrid[:height, :width]
    return np.stack((x, y, np.full_like(x, 255)), axis=2).astype(np.uint8)


def noise_image(seed: int, height: int = 240, width: int = 320) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def person(
    skeleton: Skeleton = COCO_17, *, seed: int = 0, visible: int | None = None, image: Pixels | None = None
) -> Example:
    """A person of scattered joints, of which the first `visible` are labelled, in the middle of the image."""
    rng = np.random.default_rng(seed)
    image = coordinates_image() if image is None else image
    height, width = image.shape[:2]
    joints = np.round(rng.uniform((0.25, 0.2), (0.75, 0.8), (len(skeleton.joints), 2)) * (width, height), 1)
    seen = np.zeros(len(skeleton.joints))
    seen[: len(seen) if visible is None else visible] = 1
    kind = np.float64 if skeleton is MPII_16 else np.float32
    center = np.array((width / 2 + 3.25, height / 2 - 2.5), dtype=kind)
    scale = np.array((0.75, 1.0), dtype=kind) * kind(height / 200)
    return Example(image=image, center=center, scale=scale, joints=joints * seen[:, None], visible=seen)


class MadeImages:
    """Noise under the names "0.jpg" and so on; counts how often it was read."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.reads = 0

    def read(self, name: str) -> Pixels:
        self.reads += 1
        if self.find(name) is None:
            raise DataError(Problem(f"made/{name}", "", "is missing", "make it"))
        return noise_image(int(name.split(".")[0]))

    def find(self, name: str) -> str | None:
        number = int(name.split(".")[0])
        return f"made/{name}" if number < self.count else None


def made_set(images: int, each: int, skeleton: Skeleton = COCO_17) -> DataSet:
    """A data set of `each` people in each image, one image after another."""
    people = [person(skeleton, seed=row, image=noise_image(row // each)) for row in range(images * each)]

    def column(name: str) -> Floats:
        return np.stack([getattr(one, name) for one in people])

    rows = np.arange(len(people))
    return DataSet(
        name="made", kind="coco", boxes="truth", images=MadeImages(images), truth=None, digest="0" * 12,
        people=People(
            skeleton=skeleton, centers=column("center"), scales=column("scale"),
            boxes=np.zeros((len(rows), 4)), scores=np.ones(len(rows)), joints=column("joints"),
            visible=column("visible"), ids=rows, image_ids=rows // each, files={i: f"{i}.jpg" for i in range(images)},
        ),
    )  # fmt: skip
