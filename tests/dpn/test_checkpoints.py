"""ImageNet weights reach the right places, and no wrong or hostile file does anything but raise one error."""

import pickle
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from dpn.build import build
from dpn.checkpoints import CheckpointError, load_imagenet, read_state_dict
from dpn.zoo import ZOO


def batch_norm(name: str, channels: int, generator: torch.Generator) -> dict[str, Tensor]:
    entries = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{entry}": torch.rand(channels, generator=generator) for entry in entries}


def resnet50_by_hand(seed: int = 0) -> dict[str, Tensor]:
    """Names and shapes of torchvision's first ResNet-50 file, written from its architecture, with random values."""
    g = torch.Generator().manual_seed(seed)
    state = {"conv1.weight": torch.rand(64, 3, 7, 7, generator=g)} | batch_norm("bn1", 64, g)
    channels = 64
    for stage, (blocks, width) in enumerate(((3, 64), (4, 128), (6, 256), (3, 512)), start=1):
        for block in range(blocks):
            name = f"layer{stage}.{block}"
            shapes = ((width, channels, 1, 1), (width, width, 3, 3), (4 * width, width, 1, 1))
            for i, shape in enumerate(shapes, start=1):
                state[f"{name}.conv{i}.weight"] = torch.rand(shape, generator=g)
                state |= batch_norm(f"{name}.bn{i}", shape[0], g)
            if block == 0:
                state[f"{name}.downsample.0.weight"] = torch.rand(4 * width, channels, 1, 1, generator=g)
                state |= batch_norm(f"{name}.downsample.1", 4 * width, g)
            channels = 4 * width
    return state | {"fc.weight": torch.rand(10, 2048, generator=g), "fc.bias": torch.rand(10, generator=g)}


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Tensor]]:
    path = tmp_path_factory.mktemp("weights") / "resnet50.pth"
    state = resnet50_by_hand()
    torch.save(state, path)
    return path, state


def test_every_backbone_weight_arrives_in_its_place(imagenet: tuple[Path, dict[str, Tensor]]) -> None:
    path, state = imagenet
    net = build(ZOO["dpn1_64"])
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    loaded = load_imagenet(net, path)
    after = net.state_dict()
    expected = {
        "conv0.0.weight": "conv1.weight",
        "conv0.1.running_var": "bn1.running_var",
        "conv1.2.conv2.weight": "layer1.2.conv2.weight",
        "conv1.0.downsample.1.bias": "layer1.0.downsample.1.bias",
        "conv2.blocks.3.conv3.weight": "layer2.3.conv3.weight",
    }
    for ours, theirs in expected.items():
        assert torch.equal(after[ours], state[theirs]), ours
    # stem 5; a bottleneck 15, a projection 5: 5 + (3 * 15 + 5) + (4 * 15 + 5)
    assert len(loaded) == 5 + 50 + 65
    untouched = [name for name in after if name not in loaded]
    assert {name.split(".")[0] for name in untouched} >= {"dpm", "fuse", "heatmap", "conv2"}
    assert all(torch.equal(after[name], before[name]) for name in untouched)


def test_width_32_takes_the_stem_and_conv1(imagenet: tuple[Path, dict[str, Tensor]]) -> None:
    loaded = load_imagenet(build(ZOO["dpn1_32"]), imagenet[0])
    assert len(loaded) == 5 + 50
    assert {name.split(".")[0] for name in loaded} == {"conv0", "conv1"}


def test_wrapped_files_load_too(imagenet: tuple[Path, dict[str, Tensor]], tmp_path: Path) -> None:
    path, state = imagenet
    wrapped = tmp_path / "checkpoint.pth"
    torch.save({"state_dict": {f"module.{name}": tensor for name, tensor in state.items()}, "epoch": 3}, wrapped)
    plain, unwrapped = read_state_dict(path), read_state_dict(wrapped)
    assert plain.keys() == unwrapped.keys()
    assert all(torch.equal(plain[name], unwrapped[name]) for name in plain)


class Hostile:
    """Pickled, this would create a file when loaded."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.target,)


def test_code_in_a_file_is_not_executed(tmp_path: Path) -> None:
    trap, path = tmp_path / "executed", tmp_path / "hostile.pth"
    with path.open("wb") as file:
        pickle.dump({"weight": Hostile(trap)}, file)
    with pytest.raises(CheckpointError, match=r"hostile\.pth.*never loaded"):
        read_state_dict(path)
    assert not trap.exists()


@pytest.mark.parametrize("keep", [0, 10, 2_000, 50_000])
def test_a_truncated_file_is_named(keep: int, imagenet: tuple[Path, dict[str, Tensor]], tmp_path: Path) -> None:
    short = tmp_path / "short.pth"
    short.write_bytes(imagenet[0].read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"short\.pth"):
        read_state_dict(short)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"weight": 3}, "no tensors: weight"),
        ({}, "no state dict"),
        ([torch.zeros(1)], "no state dict but a list"),
        ({"backbone.conv1.weight": torch.zeros(1)}, "nothing in it for conv0.0.weight"),
        (resnet50_by_hand() | {"conv1.weight": torch.zeros(64, 3, 3, 3)}, r"conv0\.0\.weight has the shape"),
    ],
)
def test_other_files_change_nothing(content: object, message: str, tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save(content, path)
    net = build(ZOO["dpn1_32"])
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    with pytest.raises(CheckpointError, match=message) as caught:
        load_imagenet(net, path)
    assert str(path) in str(caught.value)
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


def test_a_missing_file_and_another_network(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        read_state_dict(tmp_path / "none.pth")
    with pytest.raises(TypeError, match="not into a Linear"):
        load_imagenet(nn.Linear(1, 1), tmp_path / "none.pth")
