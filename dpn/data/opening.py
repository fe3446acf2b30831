"""From what a user calls a data set to its people and images: a folder, or synthetic figures. Imports no torch."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dpn.data.coco import open_coco
from dpn.data.coco_folder import Given, first_byte
from dpn.data.people import Boxes, DataSet, Example, Examples
from dpn.data.problems import DataError, Problem
from dpn.protocols import Kind, Protocol
from dpn.protocols import protocol as protocol_of
from dpn.skeletons import COCO_17, MPII_16, Skeleton

SYNTHETIC: dict[str, Kind] = {"synthetic": "coco", "synthetic-mpii": "mpii"}
"""Words for data that no folder holds, and how they are scored."""

SYNTHETIC_DEFAULTS = {"seed": 0, "images": 500}

INPUT_HW = {"coco": (256, 192), "mpii": (256, 256)}
"""Of the publications, where none is asked for."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a user asks for.

    Attributes:
        data: a folder in the layout of COCO or of MPII; or synthetic, or synthetic-mpii, with options behind a colon:
            synthetic:seed=1,images=500.
        split: train, val, or test-dev for COCO; trainval and test for MPII.
        boxes: where boxes come from.
        protocol: dpn, hrnet or sbl.
        input_hw: height and width of the network's input; None for the publications' 256x192 and 256x256.
        annotations: a file that lies elsewhere than COCO's layout has it.
        images: a folder or zip archive, likewise.
        detections: a file of boxes, likewise.
    """

    data: str
    split: str = "val"
    boxes: Boxes = "truth"
    protocol: str = "dpn"
    input_hw: tuple[int, int] | None = None
    annotations: Path | None = None
    images: Path | None = None
    detections: Path | None = None

    @property
    def kind(self) -> Kind:
        """How the data is scored, from its name or its folder's layout."""
        word = self.data.partition(":")[0]
        if word in SYNTHETIC:
            return SYNTHETIC[word]
        return "mpii" if not self.annotations and is_mpii(Path(self.data)) else "coco"

    @property
    def known_protocol(self) -> Protocol:
        """The protocol of that name for this kind of data.

        Raises:
            KeyError: there is none; names those that there are.
        """
        return protocol_of(self.protocol, self.kind)

    @property
    def known_input_hw(self) -> tuple[int, int]:
        """What was asked for, or the publications'."""
        return self.input_hw or INPUT_HW[self.kind]

    def check(self) -> None:
        """Raises ValueError where a file of detections would be passed over: true boxes make results look better."""
        if self.detections is not None and self.boxes != "detections":
            raise ValueError(f"{self.detections} has no use with true boxes; ask for --boxes detections")

    @property
    def given(self) -> Given:
        """Files that lie elsewhere."""
        return Given(annotations=self.annotations, images=self.images, detections=self.detections)


class LabelledPeople(Examples):
    """The people of a data set who have at least one labelled joint, to learn from, without the truth to score."""

    def __init__(self, data: DataSet) -> None:
        self.data = replace(data, truth=None)  # of COCO's training split it takes 1 GB
        self.rows = np.flatnonzero(data.people.visible.any(1))

    @property
    def skeleton(self) -> Skeleton:
        """See `Examples.skeleton`."""
        return self.data.skeleton

    def __len__(self) -> int:
        return len(self.rows)

    def example(self, index: int) -> Example:
        """See `Examples.example`."""
        return self.data.example(int(self.rows[index]))


def open_data(asked: Asked) -> DataSet:
    """The data set, with everyone to be predicted.

    Raises:
        DataError: a file is missing, or with everything that is wrong with one.
        KeyError: there is no such protocol.
        ValueError: the question makes no sense, see `Asked.check`.
    """
    protocol, input_hw = asked.known_protocol, asked.known_input_hw
    asked.check()
    if synthetic_options(asked.data):
        return _synthetic(asked)
    if asked.kind == "mpii":
        from dpn.data.mpii import open_mpii

        _refuse_given(asked)
        if asked.boxes == "detections":
            raise DataError(Problem(asked.data, "boxes", "MPII has no detections", "use --boxes truth"))
        return open_mpii(Path(asked.data), asked.split, input_hw=input_hw, protocol=protocol)
    return open_coco(
        Path(asked.data), asked.split, asked.boxes, input_hw=input_hw, protocol=protocol, given=asked.given
    )


def open_examples(asked: Asked) -> Examples:
    """The people to learn from: those of the data set who have a labelled joint, or synthetic ones without end.

    Raises:
        DataError: a file is missing, or with everything that is wrong with one, or nobody has a labelled joint.
        KeyError: there is no such protocol.
        ValueError: detected boxes, for which no joints are known.
    """
    if asked.boxes != "truth":
        raise ValueError("networks learn from true boxes, since no joints are known for detected ones: --boxes truth")
    options = synthetic_options(asked.data)
    if options:
        from dpn.data.synthetic_examples import SyntheticExamples
        from dpn.data.synthetic_set import first_of
        from dpn.synthetic.figures import SyntheticFigures

        return SyntheticExamples(
            SyntheticFigures(seed=options["seed"]),
            options["images"],
            COCO_17 if asked.kind == "coco" else MPII_16,
            input_hw=asked.known_input_hw,
            padding=asked.known_protocol.box_padding,
            first=first_of(asked.split, options["images"]),
        )
    examples = LabelledPeople(open_data(asked))
    if not len(examples):
        raise DataError(Problem(asked.data, asked.split, "nobody has a labelled joint", "learn from another split"))
    return examples


def synthetic_options(data: str) -> dict[str, int]:
    """Seed and number of images of synthetic data; empty for a folder.

    Raises:
        ValueError: an option is unknown or no number.

    Example:
        >>> synthetic_options("synthetic:images=20")
        {'seed': 0, 'images': 20}
    """
    word, _, rest = data.partition(":")
    if word not in SYNTHETIC:
        return {}
    options = dict(SYNTHETIC_DEFAULTS)
    for option in filter(None, rest.split(",")):
        name, _, value = option.partition("=")
        if name not in options or not (value.isascii() and value.isdecimal() and len(value) < 16):
            raise ValueError(f"{option!r} is no option of {word}: write {word}:seed=1,images=500")
        options[name] = int(value)
    return options


def is_mpii(root: Path) -> bool:
    """Whether the folder is laid out as MPII is distributed: annot/*.json, or those files beside the images.

    Files of these names that hold an object, as COCO's do, are none of MPII's, which hold lists.
    """
    names = ("train.json", "valid.json", "trainval.json", "test.json")
    places = (root / "annot", root)
    files = [place / name for place in places for name in names]
    return any(file.is_file() and first_byte(file) != b"{" for file in files)


def _synthetic(asked: Asked) -> DataSet:
    from dpn.data.synthetic_set import open_synthetic

    _refuse_given(asked)
    options = synthetic_options(asked.data)
    return open_synthetic(
        options["seed"],
        options["images"],
        style=asked.kind,
        split=asked.split,
        boxes=asked.boxes,
        input_hw=asked.known_input_hw,
        protocol=asked.known_protocol,
    )


def _refuse_given(asked: Asked) -> None:
    if asked.given != Given():
        raise ValueError(f"--annotations, --images and --detections are for COCO's layout alone, not for {asked.data}")
