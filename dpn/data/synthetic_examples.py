"""Synthetic images by name, and their subjects one by one to learn from. Imports no torch."""

from dataclasses import dataclass
from functools import lru_cache

from dpn.arrays import Pixels
from dpn.data.coco import people_of_truth
from dpn.data.mpii import people_of
from dpn.data.people import Example, People
from dpn.data.problems import DataError, Problem
from dpn.data.synthetic_annotations import coco_row, content_of, file_name, image_row, mpii_entry, mpii_people
from dpn.skeletons import MPII_16, Skeleton
from dpn.synthetic.figures import Scene, SyntheticFigures

TRAIN_FIRST = 1_000_000
"""The first scene to learn from; those before it are for validation."""

SPARE = 10**12
"""Beyond the scenes that anybody asks for."""

KEPT_IMAGES = 16
"""Images that a process keeps: people of one image follow each other."""


@lru_cache(maxsize=KEPT_IMAGES)
def _image(figures: SyntheticFigures, index: int) -> Pixels:
    return figures.scene(index).image


@dataclass(frozen=True)
class SyntheticImages:
    """Images that are made when they are read; a few are kept.

    Attributes:
        figures: what makes them.

    Example:
        >>> SyntheticImages(SyntheticFigures(seed=0)).find("000000000001.jpg")
        'synthetic:seed=0/000000000001.jpg'
    """

    figures: SyntheticFigures

    def read(self, name: str) -> Pixels:
        """See `dpn.data.people.Images.read`."""
        path = self.find(name)
        if path is None:
            file = f"synthetic:seed={self.figures.seed}/{name}"
            raise DataError(
                Problem(file, "", "is not made by this generator", "names are ids, such as 000000000001.jpg")
            )
        return _image(self.figures, int(name[:-4]) - 1).copy()

    def find(self, name: str) -> str | None:
        """See `dpn.data.people.Images.find`."""
        number = name.removesuffix(".jpg")
        known = number.isdecimal() and number.isascii() and int(number) > 0 and file_name(int(number)) == name
        return f"synthetic:seed={self.figures.seed}/{name}" if known else None


@dataclass(frozen=True)
class SyntheticExamples:
    """The subjects of scenes with their true boxes, to learn from; nothing is stored.

    Attributes:
        figures: what makes them.
        count: how many there are.
        skeleton: `COCO_17` or `MPII_16`, whose joints and whose recipe for boxes.
        input_hw: height and width of the network's input.
        padding: factor on the box.
        first: the first scene.

    Example:
        >>> from dpn.skeletons import COCO_17
        >>> SyntheticExamples(SyntheticFigures(seed=0), 10**9, COCO_17).example(123_456_789).joints.shape
        (17, 2)
    """

    figures: SyntheticFigures
    count: int
    skeleton: Skeleton
    input_hw: tuple[int, int] = (256, 192)
    padding: float = 1.25
    first: int = TRAIN_FIRST

    def __len__(self) -> int:
        return self.count

    def example(self, index: int) -> Example:
        """See `dpn.data.people.Examples.example`.

        Raises:
            IndexError: there are fewer.
        """
        if not 0 <= index < self.count:
            raise IndexError(f"no example {index} among {self.count}")
        scene, people = self._subject(self.first + index)
        return Example(
            image=scene.image,
            center=people.centers[0],
            scale=people.scales[0],
            joints=people.joints[0],
            visible=people.visible[0],
        )

    def _subject(self, number: int) -> tuple[Scene, People]:
        """The scene of that number, or, should nobody there be labelled, of the next that is as many numbers on."""
        scene = self.figures.scene(number)
        people = self._people(scene, number + 1)
        return (scene, people) if len(people) else self._subject(number + SPARE)

    def _people(self, scene: Scene, image_id: int) -> People:
        """The subject alone, or nobody."""
        if self.skeleton == MPII_16:
            entries = [mpii_entry(figure, file_name(image_id)) for figure in mpii_people(scene)[:1]]
            return people_of(entries, self.input_hw, self.padding)
        rows = [coco_row(figure, image_id, 1) for figure in scene.figures[:1]]
        content = content_of([image_row(scene, image_id)], rows, self.figures.seed)
        return people_of_truth(content, self.input_hw, self.padding)
