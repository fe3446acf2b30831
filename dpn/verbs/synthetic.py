"""The verb `synthetic` of `python -m dpn data`. Imports no torch."""

import shlex
from pathlib import Path

import tyro

from dpn.data.synthetic_files import JPEG_QUALITY, write_coco, write_mpii
from dpn.protocols import Kind


def synthetic(
    output: tyro.conf.Positional[Path],
    style: Kind = "coco",
    train: int = 5_000,
    val: int = 500,
    seed: int = 0,
    workers: int | None = None,
) -> None:
    """Writes synthetic figures as a normal COCO or MPII folder; a write that was stopped goes on where it was.

    Nothing has to be written to learn from or to evaluate on such figures: --data synthetic:seed=0,images=500 makes
    them as they are needed, without JPEG compression.

    Args:
        output: a new or an empty folder, or one that was begun with the same options.
        style: COCO's 17 joints, outlines and detected boxes, or MPII's 16 joints and head boxes.
        train: images to learn from.
        val: images to validate with; none of them is among those to learn from.
        seed: of figures and detections.
        workers: processes; by default one for each core, where that is worth it.
    """
    write = write_coco if style == "coco" else write_mpii
    write(output, seed=seed, train=train, val=val, workers=workers)
    split = "train" if train else "val"
    look = f"python -m dpn data show {shlex.quote(str(output))} --split {split} --output sheet.png"
    print(f"{output}: {train:,} images to learn from and {val:,} to validate with (JPEG, quality {JPEG_QUALITY}), "
          f"style {style}, seed {seed}; look at it: {look}")  # fmt: skip
