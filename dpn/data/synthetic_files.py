"""Synthetic figures written to disk as a normal COCO or MPII folder, by a write that can be killed. Imports no torch.

COCO's layout: annotations/person_keypoints_{train,val}2017.json, {train,val}2017/000000000001.jpg, and
person_detection_results/synthetic_val2017_detections.json. MPII's: annot/{train,valid}.json, annot/gt_valid.mat,
images/000000000001.jpg. Images are JPEG files of quality 95. `synthetic.json` says what the folder holds.

A scene's rows are noted in .unfinished/ before its image, which is on disk by then, gets its name, so that an image
that is there is finished: a write that was killed goes on behind it. Annotation files come last. One seed gives the
same bytes, by however many processes they are written and however often the write was killed. Only one write at a time
has the folder.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dpn.arrays import Pixels
from dpn.data.mat_format import written
from dpn.data.pckh_truth import JOINT_NAMES
from dpn.data.problems import DataError, Problem
from dpn.data.synthetic_annotations import (
    CocoScene,
    MpiiScene,
    coco_scene,
    content_of,
    file_name,
    mpii_scene,
)
from dpn.data.synthetic_detections import detections
from dpn.data.synthetic_set import first_of
from dpn.data.workers import check_workers, in_order
from dpn.program.locks import LockError, taken
from dpn.program.whole_files import write_all
from dpn.protocols import Kind
from dpn.synthetic.figures import GENERATOR_VERSION, SyntheticFigures

JPEG_QUALITY = 95

UNFINISHED = ".unfinished"
CLAIM = "synthetic.json"

Scenes = Callable[[], Iterator[list[Any]]]
"""The rows of all scenes of a split, in order of their ids, read anew at each call."""


def write_coco(folder: Path, *, seed: int = 0, train: int = 0, val: int = 0, workers: int | None = None) -> None:
    """Writes a COCO folder, or goes on with one; see the module's description.

    Args:
        folder: new, empty, or begun with the same arguments.
        seed: of the generator, and of the detector.
        train: images to learn from.
        val: images to validate with.
        workers: processes; 0 writes in this one, None chooses.

    Raises:
        DataError: the folder holds something else, or another write has it, or there cannot be so many images.
        OSError: there is no room, or no permission.
    """
    check_workers(workers)
    with _begun(folder, "coco", seed, {"train": train, "val": val}) as work:
        for split, count in (("train", train), ("val", val)):
            path = folder / "annotations" / f"person_keypoints_{split}2017.json"
            if not count or path.exists():
                continue
            scenes = _write_images(work, split, count, folder / f"{split}2017", workers)
            if split == "val":
                boxes = folder / "person_detection_results" / "synthetic_val2017_detections.json"
                rows = detections(_content(scenes, seed), seed)
                _write(work, boxes, [json.dumps(rows).encode()])
            _write(work, path, _coco_text(scenes, seed))


def write_mpii(folder: Path, *, seed: int = 0, train: int = 0, val: int = 0, workers: int | None = None) -> None:
    """Writes an MPII folder, or goes on with one; see `write_coco`.

    Raises:
        DataError: the folder holds something else, or another write has it, or there cannot be so many images.
        OSError: there is no room, or no permission.
    """
    check_workers(workers)
    with _begun(folder, "mpii", seed, {"train": train, "val": val}) as work:
        for split, count in (("train", train), ("valid", val)):
            path = folder / "annot" / f"{split}.json"
            if not count or path.exists():
                continue
            rows = [MpiiScene(*scene) for scene in _write_images(work, split, count, folder / "images", workers)()]
            entries = [entry for row in rows for entry in row.entries]
            if split == "valid":
                heads = [head for row in rows for head in row.heads]
                _write(work, folder / "annot" / "gt_valid.mat", [_ground_truth(entries, heads, seed)])
            _write(work, path, [json.dumps(entries).encode()])


@contextmanager
def _begun(folder: Path, style: Kind, seed: int, counts: dict[str, int]) -> Iterator[Path]:
    """Claims the folder for these figures, or finds it claimed for them, and has it for this write alone.

    Yields:
        The folder of what is unfinished, which goes when all is written.
    """
    for split, count in counts.items():
        if count:
            first_of(split, count)
    if not any(counts.values()):
        raise DataError(Problem(str(folder), "", "nothing to write", "give --train or --val"))
    if seed < 0:
        raise DataError(Problem(str(folder), "", f"no figures have the seed {seed}", "give --seed at least 0"))
    claim = {"generator": "dpn synthetic figures", "version": GENERATOR_VERSION, "seed": seed, "style": style}
    text = json.dumps(claim | counts | {"jpeg_quality": JPEG_QUALITY})
    known = folder / CLAIM
    if known.exists() and known.read_text(encoding="utf-8") != text:
        message = f"is of another set: {known.read_text(encoding='utf-8')}"
        raise DataError(Problem(str(known), "", message, "give another folder, or the same arguments to go on"))
    work = folder / UNFINISHED
    if not known.exists() and folder.exists() and any(path != work for path in folder.iterdir()):
        raise DataError(Problem(str(folder), "", "holds other files", "give a new or an empty folder"))
    work.mkdir(parents=True, exist_ok=True)
    lock = work / "lock"
    with lock.open("wb") as file:
        with suppress(LockError):  # some file systems have no locks
            if not taken(file.fileno(), lock):
                remedy = "wait for it, or give another folder"
                raise DataError(Problem(str(folder), "", "another process is writing it", remedy))
        _write(work, known, [text.encode()])
        yield work
    shutil.rmtree(work)  # behind the lock's end: NFS keeps a file that is open


@dataclass(frozen=True)
class _Job:
    """What a process needs to know to write an image of a split."""

    figures: SyntheticFigures
    style: Kind
    images: Path
    work: Path
    journal: Path


def _write_images(work: Path, split: str, count: int, images: Path, workers: int | None) -> Scenes:
    """Writes the images that are missing; returns what their scenes are read with."""
    claim = json.loads((work.parent / CLAIM).read_text(encoding="utf-8"))
    images.mkdir(exist_ok=True)
    job = _Job(SyntheticFigures(seed=claim["seed"]), claim["style"], images, work, work / f"{split}.jsonl")
    with job.journal.open("ab") as journal:
        journal.write(b"\n")  # ends a line that a kill may have cut off
    first = first_of(split, count)
    there = {path.name for path in images.iterdir()} & {file_name(number) for number in _places(job.journal)}
    missing = [index for index in range(first, first + count) if file_name(index + 1) not in there]
    for _ in in_order(partial(_write_image, job), missing, title=f"writing {split}", workers=workers):
        pass
    return partial(_scenes, job.journal, _places(job.journal), range(first + 1, first + count + 1))


def _write_image(job: _Job, index: int) -> None:
    """Notes a scene's rows, then gives its image its name."""
    scene = job.figures.scene(index)
    describe = coco_scene if job.style == "coco" else mpii_scene
    line = json.dumps([index + 1, *describe(scene, index)]).encode() + b"\n"
    journal = os.open(job.journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        write_all(journal, line)  # in one piece where the disk takes it, since others append too
    finally:
        os.close(journal)
    _write(job.work, job.images / file_name(index + 1), [encode(scene.image)])


def encode(image: Pixels) -> bytes:
    """The image as a JPEG file."""
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return data.tobytes()


def _write(work: Path, path: Path, pieces: Iterable[bytes]) -> None:
    """Writes a file that is whole or not there, even if power fails: in the folder of what is unfinished first."""
    unfinished = work / f"{path.name}.{os.getpid()}"
    with unfinished.open("wb") as file:
        file.writelines(pieces)
        file.flush()
        os.fsync(file.fileno())
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished.replace(path)


def _places(journal: Path) -> dict[int, int]:
    """Where in the journal the rows of an image start, by its id; lines that a kill cut off are passed over."""
    places, place = {}, 0
    with journal.open("rb") as lines:
        for line in lines:
            if line.startswith(b"[") and line.endswith(b"]\n"):
                places[int(line[1 : line.index(b",")])] = place
            place += len(line)
    return places


def _scenes(journal: Path, places: dict[int, int], image_ids: range) -> Iterator[list[Any]]:
    """What `CocoScene` or `MpiiScene` hold, image by image."""
    with journal.open("rb") as lines:
        for image_id in image_ids:
            lines.seek(places[image_id])
            yield json.loads(lines.readline())[1:]


def _content(scenes: Scenes, seed: int) -> dict[str, Any]:
    """A COCO file's content without polygons, which are most of it."""
    rows = [CocoScene(*scene) for scene in scenes()]
    people = [{k: v for k, v in row.items() if k != "segmentation"} for scene in rows for row in scene.annotations]
    return content_of([row.image for row in rows], people, seed)


def _coco_text(scenes: Scenes, seed: int) -> Iterator[bytes]:
    """A COCO annotation file piece by piece, since that of a large set would not fit into memory."""
    head = content_of([], [], seed)
    yield b"{"
    for name in ("info", "licenses", "categories"):
        yield f"{json.dumps(name)}: {json.dumps(head[name])},\n".encode()
    images = (json.dumps(CocoScene(*scene).image) for scene in scenes())
    annotations = (json.dumps(row) for scene in scenes() for row in CocoScene(*scene).annotations)
    yield from _listed("images", images)
    yield b",\n"
    yield from _listed("annotations", annotations)
    yield b"}\n"


def _listed(name: str, rows: Iterator[str]) -> Iterator[bytes]:
    yield f"{json.dumps(name)}: [\n".encode()
    for number, row in enumerate(rows):
        yield f"{',' if number else ''}{row}\n".encode()
    yield b"]"


def _ground_truth(entries: list[dict[str, Any]], heads: list[list[float]], seed: int) -> bytes:
    """gt_valid.mat: people in the order of valid.json, everything counted from 1."""
    content: dict[str, NDArray[Any] | Sequence[str]] = {
        "dataset_joints": JOINT_NAMES,
        "jnt_missing": 1.0 - np.array([entry["joints_vis"] for entry in entries], dtype=np.float64).T,
        "pos_gt_src": np.array([entry["joints"] for entry in entries], dtype=np.float64).transpose(1, 2, 0),
        "headboxes_src": np.array(heads, dtype=np.float64).reshape(-1, 2, 2).transpose(1, 2, 0) + 1,
    }
    return written(content, f"synthetic figures of dpn, generator version {GENERATOR_VERSION}, seed {seed}")
