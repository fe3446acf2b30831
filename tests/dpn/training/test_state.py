"""A state survives its way through a file, and a file survives whatever happens to its writer."""

import errno
import os
from pathlib import Path

import pytest
import torch
from torch import nn

from dpn.checkpoints import load
from dpn.program import whole_files
from dpn.training.errors import TrainingError
from dpn.training.state import State, read, save


def a_state(step: int = 3) -> tuple[nn.Module, State]:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    adam = torch.optim.Adam(net.parameters())
    net(torch.randn(2, 3, 8, 8)).square().mean().backward()
    adam.step()
    return net, State(
        step=step, weights=net.state_dict(), optimizer=adam.state_dict(), best={"step": 2.0, "score": 0.5},
        recipe={"drops": [1, 2], "lr": 1e-3}, digest="abc", data={"train": "x"}, versions={"torch": "1"}, seconds=1.5,
        legs=[{"first_step": 0, "versions": {"torch": "1"}, "processes": 1}],
        backbone={"file": "a.pth", "sha256": "sha256:0", "tensors": 1, "of": 2}, definition="layers-0", due=True,
    )  # fmt: skip


def test_a_state_comes_back_as_it_was(tmp_path: Path) -> None:
    _, state = a_state()
    save(tmp_path / "last.pt", state)
    found = read(tmp_path / "last.pt")
    for name, value in vars(state).items():
        if name == "weights":
            assert all(torch.equal(value[key], found.weights[key]) for key in value)
        elif name == "optimizer":
            for index, moments in value["state"].items():
                assert all(torch.equal(moments[key], found.optimizer["state"][index][key]) for key in moments)
        else:
            assert getattr(found, name) == value


def test_weights_for_use_load_like_any_other_file(tmp_path: Path) -> None:
    net, state = a_state()
    save(tmp_path / "final.pt", state, resumable=False)
    other = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    load(other, tmp_path / "final.pt")
    assert not {"optimizer", "due"} & torch.load(tmp_path / "final.pt", weights_only=True).keys()
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(net.parameters(), other.parameters(), strict=True))
    with pytest.raises(TrainingError, match="no state of a run"):
        read(tmp_path / "final.pt")


def test_a_full_disk_leaves_the_last_good_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "last.pt"
    save(path, a_state(1)[1])

    def no_room(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(whole_files.os, "fsync", no_room)
    with pytest.raises(TrainingError, match=r"No space left.*last good checkpoint is whole") as caught:
        save(path, a_state(2)[1])
    assert "\n" not in str(caught.value)
    assert read(path).step == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["last.pt"]


@pytest.mark.parametrize(("version", "without"), [
    (1, ("legs", "backbone", "definition", "due")), (2, ("definition", "due")), (3, ("due",)),
])  # fmt: skip
def test_a_state_of_an_older_format_is_read(tmp_path: Path, version: int, without: tuple[str, ...]) -> None:
    path, expected = tmp_path / "last.pt", a_state(7)[1]
    save(path, expected)
    content = torch.load(path, weights_only=True)
    for name in without:
        del content[name]
    torch.save(content | {"format": version}, path)
    found = read(path)
    assert (found.step, found.due) == (7, False)
    assert found.definition == ("" if version < 3 else expected.definition)
    assert (found.legs, found.backbone) == (([], None) if version == 1 else (expected.legs, expected.backbone))
    torch.save(content | {"format": 99}, path)
    with pytest.raises(TrainingError, match="no state of a run of this version"):
        read(path)


@pytest.mark.parametrize(
    ("change", "without"),
    [
        ({"stranger": 1}, ""), ({7: 1}, ""), ({}, "step"), ({}, "state_dict"), ({"state_dict": 5}, ""),
        ({"step": "7"}, ""), ({"recipe": [1]}, ""), ({"data": "x"}, ""), ({"legs": {}}, ""), ({"legs": [3]}, ""),
    ],
)  # fmt: skip
def test_a_damaged_or_foreign_state_is_named_with_what_to_do(
    tmp_path: Path, change: dict[object, object], without: str
) -> None:
    path = tmp_path / "last.pt"
    save(path, a_state()[1])
    content = torch.load(path, weights_only=True) | change
    content.pop(without, None)
    torch.save(content, path)
    with pytest.raises(TrainingError) as caught:
        read(path)
    assert str(caught.value) == f"{path} is no state of a run of this version; remove the run's folder to start afresh"


@pytest.mark.parametrize("keep", [0, 10, 1000])
def test_a_file_cut_short_is_named(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "last.pt"
    save(path, a_state()[1])
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(TrainingError, match=r"last\.pt.*start afresh"):
        read(path)
