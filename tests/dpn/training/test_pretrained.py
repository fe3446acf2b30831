"""A run starts from the backbone in a file once, and is never taken for one that started from something else."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dpn.training import pretrained
from dpn.training.errors import TrainingError
from dpn.training.folder import RunFolder
from dpn.training.recipe import Recipe, by_content
from dpn.weight_files import CheckpointError
from tests.dpn.training.runs import assert_one_line, command, finished, started, wait_for
from tests.dpn.training.tiny_network import build, on_resnet

RECIPE = Recipe(name="tiny", network="tiny_network:on_resnet", data="synthetic:seed=1,images=16")
NAMES = {"conv0.0.": "conv1.", "conv0.1.": "bn1.", "conv1.": "layer1."}


def file_of(path: Path, seed: int) -> Path:
    """A file with a ResNet's names, of random values; and a classifier, which nobody needs."""
    torch.manual_seed(seed)
    state = {"fc.weight": torch.zeros(2, 2)}
    for name, tensor in on_resnet().state_dict().items():
        start = next((start for start in NAMES if name.startswith(start)), None)
        if start:
            state[NAMES[start] + name.removeprefix(start)] = torch.rand_like(tensor.float()).to(tensor.dtype)
    torch.save(state, path)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return file_of(tmp_path / "resnet.pth", 0)


def test_the_backbone_is_loaded_over_the_seed_and_the_rest_is_kept(file: Path) -> None:
    net, wanted = on_resnet(), torch.load(file, weights_only=True)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    recipe, path = pretrained.settled(replace(RECIPE, backbone=str(file)), RunFolder(file.parent / "run"))
    origin = pretrained.into(net, recipe, path)
    after = net.state_dict()
    assert torch.equal(after["conv0.0.weight"], wanted["conv1.weight"])
    values = [name for name in after if not name.endswith("num_batches_tracked")]
    changed = {name for name in values if not torch.equal(after[name], before[name])}
    assert changed == {name for name in values if name.startswith(tuple(NAMES))}
    assert origin == {
        "file": "resnet.pth", "sha256": by_content(str(file)), "tensors": origin["tensors"], "of": len(after)
    }  # fmt: skip
    assert 0 < origin["tensors"] < origin["of"]


def test_what_cannot_be_loaded_is_refused_in_one_line(file: Path, tmp_path: Path) -> None:
    recipe, folder = replace(RECIPE, backbone=str(file)), RunFolder(tmp_path / "run")
    settled, path = pretrained.settled(recipe, folder)
    with pytest.raises(TrainingError, match=r"no backbone is known for a Sequential.*without --backbone"):
        pretrained.into(build(), settled, path)
    with pytest.raises(TrainingError, match="a run starts from a file and not from sha256:"):
        pretrained.into(on_resnet(), *pretrained.settled(settled, folder))
    with pytest.raises(ValueError, match="does not exist or is not a file"):
        pretrained.settled(replace(recipe, backbone=str(tmp_path / "none.pth")), folder)
    other = tmp_path / "other.pth"
    torch.save({"backbone.conv1.weight": torch.zeros(1)}, other)
    settled, path = pretrained.settled(replace(recipe, backbone=str(other)), folder)
    with pytest.raises(CheckpointError, match=r"other\.pth is no backbone of this DPN"):
        pretrained.into(on_resnet(), settled, path)


SHORT = {"network": RECIPE.network, "data": RECIPE.data, "epochs": "2", "drops": "1", "pictures_every": "0"}


@pytest.mark.slow
def test_a_run_begins_with_its_file_and_goes_on_without(file: Path, tmp_path: Path) -> None:
    words = {**SHORT, "backbone": str(file)}
    whole, folder, plain = tmp_path / "whole", tmp_path / "run", tmp_path / "plain"
    done = finished(command(whole, **words, save_every_s="1000"))
    assert done.returncode == 0, done.stderr
    known = by_content(str(file))
    assert_one_line(done, "note: ", code=0)
    assert f"start from resnet.pth ({known}), the others from the seed" in done.stderr
    assert finished(command(plain, **SHORT)).returncode == 0
    with started(command(folder, **words, save_every_s="0")) as process:
        wait_for(process, folder / "last.pt")
    assert not (folder / "result.json").exists()

    done = finished(command(folder, **{**words, "backbone": str(file_of(tmp_path / "other.pth", 1))}))
    assert_one_line(done, f"error: {folder} holds a run with backbone {known!r} there and 'sha256:")
    done = finished(command(folder, **SHORT))
    assert_one_line(done, f"error: {folder} holds a run with backbone {known!r} there and None here")

    file.rename(tmp_path / "elsewhere.pth")
    done = finished(command(folder, **words))
    assert (done.returncode, done.stderr) == (0, "")
    results = [json.loads((one / "result.json").read_text()) for one in (whole, folder, plain)]
    finals = [torch.load(one / "final.pt", weights_only=True)["state_dict"] for one in (whole, folder, plain)]
    assert all(torch.equal(finals[0][name], finals[1][name]) for name in finals[0])
    assert not torch.equal(finals[0]["conv0.0.weight"], finals[2]["conv0.0.weight"])
    assert results[0]["backbone"] == results[1]["backbone"]
    assert results[0]["backbone"]["sha256"] == results[0]["fields"]["backbone"] == known
    assert results[0]["digest"] == results[1]["digest"] != results[2]["digest"]
    assert (results[2]["backbone"], "backbone" in results[2]["fields"]) == (None, False)


@pytest.mark.slow
def test_a_missing_file_is_refused_before_anything_begins(tmp_path: Path) -> None:
    done = finished(command(tmp_path / "run", **SHORT, backbone=str(tmp_path / "none.pth")))
    assert_one_line(done, f"error: --backbone {tmp_path / 'none.pth'} does not exist")
    assert not (tmp_path / "run").exists()
