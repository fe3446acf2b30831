"""Eight real people learnt by heart: whatever is wrong between an image and its score shows here."""

import json
from pathlib import Path

import pytest
import torch

from dpn.training.options import RunOptions
from dpn.training.recipes import Recipe
from dpn.training.run import train
from tests.dpn.samples import COCO, needs_samples

PEOPLE = 8
STEPS = 800


def folder_of_eight(folder: Path) -> Path:
    """A COCO folder whose two splits are the same eight people of the samples, those with the most joints."""
    content = json.loads((COCO / "test_coco.json").read_text())
    people = sorted(content["annotations"], key=lambda person: -person["num_keypoints"])[:PEOPLE]
    content["annotations"] = people
    (folder / "annotations").mkdir()
    for split in ("train2017", "val2017"):
        (folder / "annotations" / f"person_keypoints_{split}.json").write_text(json.dumps(content))
        (folder / split).mkdir()
        for image in content["images"]:
            (folder / split / image["file_name"]).symlink_to(COCO / image["file_name"])
    return folder


@needs_samples
@pytest.mark.slow
def test_eight_real_people_are_learnt_by_heart(tmp_path: Path) -> None:
    data = str(folder_of_eight(tmp_path))
    recipe = Recipe(
        name="eight", network="dpn1_32_lite", data=data, val_data=data, augment=False,
        epochs=STEPS, drops=(550, 700), batch=PEOPLE, lr=2e-3, channels_last=True, val_every=STEPS,
    )  # fmt: skip
    threads = torch.get_num_threads()
    try:
        result = train(
            recipe, RunOptions(folder=tmp_path / "run", workers=0, threads=1, pictures_every=0, sanity=False)
        )
    finally:
        torch.set_num_threads(threads)
    assert result["steps"] == STEPS
    assert result["people"] == PEOPLE
    assert result["scores"]["AP"] > 0.95
