"""The nouns of a data set: people, the images they are in, and what the two are together. Imports no torch."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from dpn.arrays import Floats, Pixels
from dpn.protocols import Kind
from dpn.skeletons import Skeleton

Boxes = Literal["truth", "detections"]
"""Where boxes come from: the annotations themselves, or a person detector."""


class Images(Protocol):
    """Where the images of a data set are, whatever keeps them: a folder, an archive, a generator."""

    def read(self, name: str) -> Pixels:
        """The image of that name, decoded, turned as it was stored (EXIF orientation is ignored).

        Raises:
            DataError: there is no such image, or it cannot be decoded.
        """

    def find(self, name: str) -> str | None:
        """The path of the image, for messages, or None where there is no such image; nothing is decoded."""


@runtime_checkable
class ImageFiles(Images, Protocol):
    """Images in files, of which there may be others by the same names."""

    def digest(self, names: Iterable[str]) -> str:
        """Twelve hexadecimal digits of these images' names and of the CRC-32 of their bytes.

        Neither where they lie nor their order counts, and a folder has the same as its archive. One that is gone counts
        as gone.
        """


@dataclass(frozen=True, kw_only=True, eq=False)
class People:
    """Everyone whom a network is asked about, one row each, in columns that worker processes share without copying.

    N people, K joints; a length in `scales` is in units of 200 px, as in the published code.

    Attributes:
        skeleton: whose joints these are.
        centers: (N, 2), x and y of the box's centre in image pixels; float32 for COCO, float64 for MPII.
        scales: (N, 2), width and height of the padded box of the network's aspect; of the same type as `centers`.
        boxes: (N, 4) float64, x, y, width and height in image pixels, before aspect and padding.
        scores: (N,) float64, of the detector; 1 for true boxes.
        joints: (N, K, 2) float64, x and y in image pixels counted from 0; zeros where nothing is known.
        visible: (N, K) float64, 1 for a labelled joint (occluded ones among them), else 0.
        ids: (N,) int64: the annotation's id, or the row in the file of detections.
        image_ids: (N,) int64.
        files: the name of the image for each image id.
    """

    skeleton: Skeleton
    centers: Floats
    scales: Floats
    boxes: Floats
    scores: Floats
    joints: Floats
    visible: Floats
    ids: NDArray[np.int64]
    image_ids: NDArray[np.int64]
    files: Mapping[int, str]

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: Sequence[int] | NDArray[np.int64] | slice) -> "People":
        """These rows alone, in this order."""
        columns = ("centers", "scales", "boxes", "scores", "joints", "visible", "ids", "image_ids")
        return replace(self, **{name: getattr(self, name)[rows] for name in columns})


@dataclass(frozen=True, kw_only=True, eq=False)
class Example:
    """One person in one image, as augmentation and cropping take it.

    Attributes:
        image: the whole image.
        center: (2,), see `People`.
        scale: (2,), see `People`.
        joints: (K, 2) float64, image pixels.
        visible: (K,) float64.
    """

    image: Pixels
    center: Floats
    scale: Floats
    joints: Floats
    visible: Floats


class Examples(Protocol):
    """People to learn from, by number; the same number gives the same person in every process."""

    @property
    def skeleton(self) -> Skeleton:
        """Whose joints these are."""

    def __len__(self) -> int:
        """How many there are."""

    def example(self, index: int) -> Example:
        """The person of that number, and the image.

        Raises:
            DataError: the image is missing or cannot be decoded.
        """


@dataclass(frozen=True, kw_only=True, eq=False)
class DataSet:
    """People, their images, and the truth to score against.

    Attributes:
        name: for people and records, such as "coco val2017".
        kind: how it is scored: by COCO's average precision, or by MPII's PCKh.
        boxes: where the boxes come from.
        people: everyone to predict, one row each.
        images: their images.
        truth: what predictions are scored against: the content of a COCO annotation file, or a
            `dpn.data.pckh_truth.Truth`; None where others keep it (COCO test-dev).
        digest: 12 hexadecimal digits of annotations and detections, and of synthetic images.
        images_given: whether the images were named apart from the annotations, and do not lie where their layout has
            them.
    """

    name: str
    kind: Kind
    boxes: Boxes
    people: People
    images: Images
    truth: Any
    digest: str
    images_given: bool = False

    @property
    def skeleton(self) -> Skeleton:
        """Whose joints these are."""
        return self.people.skeleton

    @cached_property
    def images_digest(self) -> str | None:
        """`ImageFiles.digest` of the images that its people are in, all of which this reads, once; None without files.

        Two data sets that have this and `digest` alike ask the same.
        """
        if not isinstance(self.images, ImageFiles):
            return None
        return self.images.digest(self.people.files[image_id] for image_id in set(self.people.image_ids.tolist()))

    def __len__(self) -> int:
        return len(self.people)

    def example(self, index: int) -> Example:
        """See `Examples.example`."""
        people = self.people
        return Example(
            image=self.images.read(people.files[int(people.image_ids[index])]),
            center=people.centers[index],
            scale=people.scales[index],
            joints=people.joints[index],
            visible=people.visible[index],
        )
