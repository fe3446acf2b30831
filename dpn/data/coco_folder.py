"""Where annotations, images and detected boxes lie below a folder of COCO. Imports no torch.

Known are the layout of COCO's own archives, unpacked or not, that of HRNet's and SimpleBaseline's instructions, and a
flat folder with images and one annotation file:

    annotations/person_keypoints_val2017.json     or in annotations_trainval2017.zip
    annotations/image_info_test-dev2017.json      or in image_info_test2017.zip
    val2017/  images/val2017/  val2017.zip        test2017 for test-dev
    person_detection_results/*val2017*.json       or a single *det*.json beside the images
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dpn.data.images import ENDINGS
from dpn.data.problems import DataError, Problem

SPLITS = {"train": "train2017", "val": "val2017", "test": "test-dev2017", "test-dev": "test-dev2017"}
"""What splits are called for short; others, such as val2014, are given in full."""


@dataclass(frozen=True, kw_only=True)
class Given:
    """Files that lie elsewhere than their layout has them."""

    annotations: Path | None = None
    images: Path | None = None
    detections: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Split:
    """One split below a root.

    Attributes:
        root: the folder.
        name: such as val2017.
        annotations: the file, or its place in an archive.
        is_flat: whether images and annotations lie side by side, without splits.
    """

    root: Path
    name: str
    annotations: Path
    is_flat: bool

    @property
    def has_truth(self) -> bool:
        """Whether people are annotated; in test-dev they are not."""
        return not self.annotations.name.startswith("image_info_")

    def __str__(self) -> str:
        if self.is_flat:
            return f"coco {self.root.resolve().name}"
        is_official = self.annotations.name == _official_name(self.name)
        return f"coco {self.name if is_official else self.annotations.stem}"


def find_split(root: Path, split: str, annotations: Path | None = None) -> Split:
    """Where the annotations of that split are, which may be given.

    Raises:
        DataError: there are none, with the places where they were looked for.
    """
    if root.is_file():
        raise DataError(Problem(str(root), "", "is a file", "give a folder; an archive of tar must be unpacked"))
    if not root.is_dir():
        remedy = "give one in the layout of COCO or MPII, or synthetic"
        raise DataError(Problem(str(root), "", "there is no such folder", remedy))
    name = SPLITS.get(split, split)
    official = annotations or _official_annotations(root, name)
    return Split(root=root, name=name, annotations=official or _flat_annotations(root, name), is_flat=official is None)


def _official_name(split: str) -> str:
    return f"{'image_info' if split.startswith('test') else 'person_keypoints'}_{split}.json"


def _official_annotations(root: Path, split: str) -> Path | None:
    name = _official_name(split)
    for path in (root / "annotations" / name, root / name):
        if path.is_file():
            return path
    year = split[-4:]
    archive = f"image_info_test{year}.zip" if split.startswith("test") else f"annotations_trainval{year}.zip"
    for path in (root / archive, root / "annotations" / archive):
        if path.is_file():
            return path / "annotations" / name
    return None


def _flat_annotations(root: Path, split: str) -> Path:
    """The only file there that holds an object: detections are lists."""
    beside = [] if (root / "annotations").is_dir() else sorted(root.glob("*.json"))
    objects = [path for path in beside if first_byte(path) == b"{"]
    if len(objects) == 1 and (split in SPLITS.values() or split[-4:].isdecimal()):
        return objects[0]
    if len(objects) == 1:
        message = f"has no split {split!r}, nor any other: {objects[0].name} is all of it"
        raise DataError(Problem(str(root), "", message, "leave --split out, or ask for one of train, val and test-dev"))
    if objects:
        names = ", ".join(path.name for path in objects)
        raise DataError(Problem(str(root), "", f"has several annotation files: {names}", "choose by --annotations"))
    message = f"has no annotations/{_official_name(split)}, no archive with it and no single annotation file"
    raise DataError(Problem(str(root), "", message, "give the right folder and --split, or --annotations"))


def first_byte(path: Path) -> bytes:
    """What a file of JSON begins with, "{" or "["; nothing where there is none that can be read."""
    try:
        with path.open("rb") as file:
            return file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    except OSError:
        return b""


def find_images(split: Split) -> Path:
    """The folder or zip archive with the images of a split.

    Raises:
        DataError: there is none.
    """
    root, name = split.root, split.name.replace("-dev", "")
    places = [root / name, root / "images" / name, root / f"{name}.zip", root / "images" / f"{name}.zip"]
    found = next((path for path in places if path.is_dir() or (path.suffix == ".zip" and path.is_file())), None)
    if found:
        return found
    for folder in (root / "images", root):
        if folder.is_dir() and (split.is_flat or any(path.suffix.lower() in ENDINGS for path in folder.iterdir())):
            return folder
    message = f"has no images of {name}: neither {name}/ nor images/{name}/ nor {name}.zip"
    raise DataError(Problem(str(root), "", message, f"unpack or link {name} there, or give --images"))


def find_detections(split: Split) -> Path:
    """The file with detected boxes of a split.

    Raises:
        DataError: there is none, or there are several.
    """
    root, name = split.root, split.name
    found = _one(root, (root / "person_detection_results").glob(f"*{name}*.json"))
    found = found or _one(root, (path for path in _named_det(root) if split.is_flat or name in path.name))
    if found:
        return found
    message = f"has no detections of {name}: neither person_detection_results/*{name}*.json nor *det*{name}*.json"
    raise DataError(Problem(str(root), "", message, "put the file there, or give --detections, or use --boxes truth"))


def _named_det(root: Path) -> Iterator[Path]:
    return (path for path in root.glob("*det*.json") if first_byte(path) == b"[")


def _one(root: Path, paths: Iterable[Path]) -> Path | None:
    found = sorted(paths)
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise DataError(Problem(str(root), "", f"has several files of detections: {names}", "choose by --detections"))
    return found[0] if found else None
