"""Synthetic figures on disk: known layouts, the same bytes however they were written, and writes that are killed."""

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import pytest

from dpn.data.check import check
from dpn.data.coco import open_coco
from dpn.data.mpii import open_mpii
from dpn.data.opening import Asked
from dpn.data.pckh_truth import Truth
from dpn.data.problems import DataError
from dpn.data.synthetic_examples import TRAIN_FIRST
from dpn.data.synthetic_files import UNFINISHED, encode, write_coco, write_mpii
from dpn.data.synthetic_set import coco_content, open_synthetic
from dpn.metrics.pckh import write_predictions
from dpn.program.locks import is_locked
from dpn.protocols import protocol
from dpn.synthetic.figures import SyntheticFigures
from tests.dpn import mpii_files

SEED, TRAIN, VAL = 5, 3, 8


def digests(folder: Path) -> dict[str, str]:
    """Every file's content."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def coco(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("coco")
    write_coco(folder, seed=SEED, train=TRAIN, val=VAL, workers=0)
    return folder


@pytest.fixture(scope="module")
def mpii(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mpii")
    write_mpii(folder, seed=SEED, train=TRAIN, val=VAL, workers=0)
    return folder


def test_a_coco_folder_holds_what_is_made_in_memory(coco: Path) -> None:
    names = sorted(str(path.relative_to(coco)) for path in coco.rglob("*") if path.suffix != ".jpg" and path.is_file())
    assert names == [
        "annotations/person_keypoints_train2017.json",
        "annotations/person_keypoints_val2017.json",
        "person_detection_results/synthetic_val2017_detections.json",
        "synthetic.json",
    ]
    for split, first, count in (("val", 0, VAL), ("train", TRAIN_FIRST, TRAIN)):
        text = (coco / "annotations" / f"person_keypoints_{split}2017.json").read_text(encoding="utf-8")
        assert json.loads(text) == coco_content(SyntheticFigures(seed=SEED), count, first)
        assert len(list((coco / f"{split}2017").iterdir())) == count


@pytest.mark.parametrize("boxes", ["truth", "detections"])
def test_a_coco_folder_opens_as_cocos_own_does(coco: Path, boxes: Any) -> None:
    asked: dict[str, Any] = {"input_hw": (256, 192), "protocol": protocol("dpn", "coco")}
    there = open_coco(coco, "val", boxes, **asked)
    made = open_synthetic(SEED, VAL, style="coco", split="val", boxes=boxes, **asked)
    for column in ("centers", "scales", "boxes", "scores", "joints", "visible", "ids", "image_ids"):
        assert getattr(there.people, column).tobytes() == getattr(made.people, column).tobytes(), column
    image, rendered = there.example(0).image, made.example(0).image
    assert (image == cv2.imdecode(np.frombuffer(encode(rendered), np.uint8), cv2.IMREAD_COLOR)).all()
    assert 0 < np.abs(image.astype(int) - rendered).mean() < 16  # of 255, by JPEG


def test_a_mpii_folder_opens_as_mpiis_own_does(mpii: Path) -> None:
    asked: dict[str, Any] = {"input_hw": (256, 256), "protocol": protocol("dpn", "mpii")}
    there = open_mpii(mpii, "val", **asked)
    made = open_synthetic(SEED, VAL, style="mpii", split="val", boxes="truth", **asked)
    for column in ("centers", "scales", "boxes", "joints", "visible"):
        assert getattr(there.people, column).tobytes() == getattr(made.people, column).tobytes(), column
    assert there.truth.head_sizes == pytest.approx(made.truth.head_sizes)
    assert (there.truth.missing == made.truth.missing).all()
    assert len(open_mpii(mpii, "train", **asked)) >= TRAIN


def test_gt_valid_counts_from_one_and_scores_by_head_boxes(mpii: Path, tmp_path: Path) -> None:
    """A prediction of the truth is right everywhere; moved by a quarter of the head's size it is wrong at 0.11."""
    path = mpii / "annot" / "gt_valid.mat"
    truth = Truth.from_mat(path)
    assert truth.heads == "boxes"
    entry = json.loads((mpii / "annot" / "valid.json").read_text(encoding="utf-8"))[0]
    seen = np.array(entry["joints_vis"]) > 0
    assert truth.joints[0][seen] == pytest.approx(np.array(entry["joints"])[seen] - 1)
    write_predictions(tmp_path / "pred.mat", truth.joints)
    assert mpii_files.scored(path, tmp_path / "pred.mat").at[0.1].mean == pytest.approx(100)
    moved = truth.joints + 0.25 * truth.head_sizes[:, None, None] * (1, 0)
    write_predictions(tmp_path / "pred.mat", moved)
    at = mpii_files.scored(path, tmp_path / "pred.mat").at
    assert at[0.11].mean == 0
    assert at[0.5].mean == pytest.approx(100)


@pytest.mark.parametrize("style", ["coco", "mpii"])
def test_written_folders_pass_the_check(style: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(style)
    for split in ("train", "val"):
        assert list(check(Asked(data=str(folder), split=split)).problems) == []


def test_two_processes_write_the_same_bytes(tmp_path: Path, coco: Path) -> None:
    write_coco(tmp_path, seed=SEED, train=TRAIN, val=VAL, workers=2)
    assert digests(tmp_path) == digests(coco)


def test_another_write_of_mpii_has_the_same_bytes(tmp_path: Path, mpii: Path) -> None:
    """MATLAB's own files hold the time at which they were written."""
    write_mpii(tmp_path, seed=SEED, train=TRAIN, val=VAL, workers=0)
    assert digests(tmp_path) == digests(mpii)


def test_another_write_changes_nothing(coco: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in coco.rglob("*.jp*g")}
    write_coco(coco, seed=SEED, train=TRAIN, val=VAL)
    assert {path: path.stat().st_mtime_ns for path in coco.rglob("*.jp*g")} == before
    assert not (coco / UNFINISHED).exists()


MANY = 100
WRITE = f"""
from pathlib import Path
from dpn.data.synthetic_files import write_coco
write_coco(Path({{!r}}), val={MANY}, workers=2)
"""


def test_a_write_that_is_killed_goes_on_and_repeats_no_image(tmp_path: Path) -> None:
    folder, whole = tmp_path / "killed", tmp_path / "whole"
    writer = subprocess.Popen([sys.executable, "-c", WRITE.format(str(folder))])
    while len(finished := list(folder.glob("val2017/*.jpg"))) < 10:
        assert writer.poll() is None
        time.sleep(0.001)
    workers = psutil.Process(writer.pid).children(recursive=True)
    writer.kill()
    writer.wait()
    psutil.wait_procs(workers, timeout=60)
    assert not any(worker.is_running() for worker in workers)  # nobody goes on writing alone
    assert not (folder / "annotations").exists()
    finished = list(folder.glob("val2017/*.jpg"))
    assert 10 <= len(finished) < MANY
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in finished}
    write_coco(folder, val=MANY, workers=0)
    assert {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in finished} == before
    write_coco(whole, val=MANY, workers=0)
    assert digests(folder) == digests(whole)


def test_a_note_that_was_cut_off_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed while it noted a scene: half a line is left, and no image."""
    make = SyntheticFigures.scene

    def stop(figures: SyntheticFigures, index: int) -> Any:
        if index == 3:
            raise KeyboardInterrupt
        return make(figures, index)

    monkeypatch.setattr(SyntheticFigures, "scene", stop)
    with pytest.raises(KeyboardInterrupt):
        write_coco(tmp_path, seed=SEED, val=VAL, workers=0)
    monkeypatch.undo()
    journal = tmp_path / UNFINISHED / "val.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    assert len(list((tmp_path / "val2017").iterdir())) == 3
    journal.write_bytes(b"".join(lines) + lines[-1].replace(b"[3,", b"[4,")[:50])
    write_coco(tmp_path, seed=SEED, val=VAL, workers=0)
    text = (tmp_path / "annotations" / "person_keypoints_val2017.json").read_text(encoding="utf-8")
    assert json.loads(text) == coco_content(SyntheticFigures(seed=SEED), VAL)


def test_files_are_on_disk_before_they_get_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else an image that had its name when power failed is empty, and counts as finished."""
    on_disk: set[tuple[int, int]] = set()

    def note(descriptor: int) -> None:
        file = os.fstat(descriptor)
        on_disk.add((file.st_ino, file.st_size))

    monkeypatch.setattr(os, "fsync", note)
    write_coco(tmp_path, seed=SEED, val=2, workers=0)
    files = [path.stat() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 5
    assert {(file.st_ino, file.st_size) for file in files} <= on_disk


def test_notes_that_the_system_takes_in_parts_are_whole(
    tmp_path: Path, coco: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:50]))
    write_coco(tmp_path, seed=SEED, train=TRAIN, val=VAL, workers=0)
    assert digests(tmp_path) == digests(coco)


def test_two_writes_do_not_share_a_folder(tmp_path: Path, coco: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_again(*_: object) -> None:
        monkeypatch.undo()
        with pytest.raises(DataError, match="another process is writing it; wait for it, or give another folder"):
            write_coco(tmp_path, seed=SEED, train=TRAIN, val=VAL, workers=0)
        raise KeyboardInterrupt

    monkeypatch.setattr(SyntheticFigures, "scene", write_again)
    with pytest.raises(KeyboardInterrupt):
        write_coco(tmp_path, seed=SEED, train=TRAIN, val=VAL, workers=0)
    write_coco(tmp_path, seed=SEED, train=TRAIN, val=VAL, workers=0)
    assert digests(tmp_path) == digests(coco)


def test_the_lock_has_ended_when_its_file_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NFS keeps a file that is open under another name, and a folder that is not empty does not go."""
    remove, found = shutil.rmtree, list[tuple[bool, bool]]()

    def rmtree(folder: Path) -> None:
        found.append(((folder / "lock").is_file(), is_locked(folder / "lock")))
        remove(folder)

    monkeypatch.setattr("dpn.data.synthetic_files.shutil.rmtree", rmtree)
    write_coco(tmp_path, val=1, workers=0)
    assert found == [(True, False)]
    assert not (tmp_path / UNFINISHED).exists()


def test_where_there_are_no_locks_it_is_written_all_the_same(
    tmp_path: Path, coco: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("dpn.program.locks.fcntl.flock", refuse)
    write_coco(tmp_path, seed=SEED, train=TRAIN, val=VAL, workers=0)
    assert digests(tmp_path) == digests(coco)


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path, coco: Path) -> None:
    before = digests(coco)
    with pytest.raises(DataError, match=r"synthetic.json: is of another set: .*give another folder"):
        write_coco(coco, seed=SEED + 1, train=TRAIN, val=VAL)
    with pytest.raises(DataError, match="is of another set"):
        write_mpii(coco, seed=SEED, train=TRAIN, val=VAL)
    assert digests(coco) == before
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(DataError, match="holds other files; give a new or an empty folder"):
        write_coco(tmp_path, val=1)
    assert digests(tmp_path).keys() == {"thesis.txt"}


def test_nothing_to_write_is_an_error(tmp_path: Path) -> None:
    for arguments in ({"val": 0}, {"val": 2, "seed": -1}, {"val": -1}, {"val": TRAIN_FIRST + 1}):
        with pytest.raises(DataError):
            write_coco(tmp_path / "new", **arguments)
        assert not (tmp_path / "new").exists()
