"""Weights reach the right places, and no wrong or hostile file does anything but raise one line."""

import errno
import math
import pickle
import subprocess
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from dpn.build import build
from dpn.checkpoints import check, compare, load, load_backbone
from dpn.definitions import definition_of
from dpn.identify import identify
from dpn.network_names import network
from dpn.program import cli
from dpn.spec import CPNSpec, DPNOnHRNetSpec, DPNSpec, HRNetSpec, MaskRCNNSpec, ModelSpec, SimpleBaselineSpec, replace
from dpn.training.state import State, read, save
from dpn.verbs import checkpoint as command
from dpn.weight_files import CheckpointError, read_state_dict
from dpn.zoo import ZOO

ROOT = Path(__file__).resolve().parents[2]
HRNET = HRNetSpec(name="hrnet", width=2)
ON_HRNET = DPNOnHRNetSpec(name="on_hrnet", backbone=HRNET, modules=1, width=2, dilations=(2, 1))
DPN = DPNSpec(name="dpn", modules=1, width=2, dilations=(2, 1), conv2_blocks=0)
SBL = SimpleBaselineSpec(name="sbl", depth=50)
NETWORKS = {
    "hrnet": HRNET,
    "hrnet_large": replace(HRNET, input_hw=(384, 288)),
    "hrnet_wide": replace(HRNET, width=3),
    "on_hrnet": ON_HRNET,
    "dpn": DPN,
    "sbl": SBL,
}


def on_meta(spec: ModelSpec) -> nn.Module:
    with torch.device("meta"):
        return build(spec)


@cache
def entries(spec: ModelSpec) -> dict[str, Tensor]:
    return on_meta(spec).state_dict()


def weights(spec: ModelSpec) -> dict[str, Tensor]:
    """The names and shapes of a network with random values."""
    g = torch.Generator().manual_seed(0)
    return {
        name: torch.rand(tensor.shape, generator=g) if tensor.is_floating_point() else torch.tensor(7)
        for name, tensor in entries(spec).items()
    }


def saved(content: object, path: Path, **options: Any) -> Path:
    torch.save(content, path, **options)
    return path


def one_line(error: BaseException) -> str:
    (line,) = str(error).splitlines()
    return line


def unchanged(net: nn.Module, before: dict[str, Tensor]) -> bool:
    return all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


def copied(net: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in net.state_dict().items()}


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


# Whole networks

Form = Callable[[dict[str, Tensor]], object]
FORMS: dict[str, Form] = {
    "bare": lambda state: state,
    "ordered": OrderedDict,
    "state_dict": lambda state: {"state_dict": state, "epoch": 3},
    "module.": lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
    "best of a run": lambda state: {
        "epoch": 210,
        "model": "pose_hrnet",
        "state_dict": {f"module.{name}": tensor + 1 for name, tensor in state.items()},
        "best_state_dict": state,
        "perf": np.float64(0.74),
        "optimizer": {"state": {0: {"step": 5, "exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 1e-3}]},
    },
    "_orig_mod.": lambda state: {f"_orig_mod.{name}": tensor for name, tensor in state.items()},
    "wrapped twice": lambda state: {f"module._orig_mod.{name}": tensor for name, tensor in state.items()},
    "of another trainer": lambda state: {"model": state, "epoch": 3, "optimizer": {"state": {}}},
    "of a trainer's module": lambda state: {"state_dict": {f"net.{name}": value for name, value in state.items()}},
    "of its compiled module": lambda state: {f"model._orig_mod.{name}": value for name, value in state.items()},
    "under a name of its own": lambda state: {"epoch": 3, "net": state, "optimizer": {"state": {}}, "hooks": {}},
    "an average": lambda state: {"n_averaged": torch.tensor(9)} | {f"module.{k}": value for k, value in state.items()},
    "parameters": lambda state: {
        name: nn.Parameter(tensor) if tensor.is_floating_point() else tensor for name, tensor in state.items()
    },
}


@pytest.mark.parametrize("new_format", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_form_of_a_file_loads(form: Form, new_format: bool, tmp_path: Path) -> None:
    state = weights(DPN)
    path = saved(form(state), tmp_path / "net.pth", _use_new_zipfile_serialization=new_format)
    net = build(DPN)
    load(net, path)
    assert unchanged(net, state)


@pytest.mark.parametrize(("spec", "head"), [(HRNET, "keypoint_head."), (SBL, "head."), (SBL, "keypoint_head.")])
def test_files_of_mmpose_load(spec: ModelSpec, head: str, tmp_path: Path) -> None:
    state = weights(spec)
    heads = ("deconv_layers.", "final_layer.")
    named = {(head if name.startswith(heads) else "backbone.") + name: value for name, value in state.items()}
    path = saved({"meta": {"epoch": 210}, "state_dict": named}, tmp_path / "mmpose.pth")
    net = on_meta(spec)
    assert all(torch.equal(value, state[name]) for name, value in check(net, path)[0].items())
    assert not compare(net, named | {"head.loss.weight": torch.zeros(1)}).fits
    assert not compare(net, named | {"head.conv1.weight": torch.zeros(1)}).fits  # two of one name
    wrong = named | {f"{head}final_layer.weight": torch.zeros(16, 2, 1, 1)}
    assert tuple(compare(net, wrong).misshapen) == ("final_layer.weight",)


def test_a_network_that_is_an_average_takes_its_own_file_with_its_count(tmp_path: Path) -> None:
    net, other = (AveragedModel(nn.Linear(2, 1)) for _ in range(2))  # type: ignore[no-untyped-call]
    net.update_parameters(nn.Linear(2, 1))  # type: ignore[no-untyped-call]
    path = saved(net.state_dict(), tmp_path / "average.pth")
    load(other, path)
    assert unchanged(other, net.state_dict())
    load(linear := nn.Linear(2, 1), path)
    assert torch.equal(linear.weight, net.module.weight)


def test_of_our_own_run_that_goes_on_the_average_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is what the run validates and what its finished file holds."""
    net = nn.Linear(2, 1)
    average = AveragedModel(nn.Linear(2, 1))  # type: ignore[no-untyped-call]
    for own, expected in ((average.state_dict(), average.module), (None, net), ({}, net)):
        save(path := tmp_path / "last.pt", State(step=3, weights=net.state_dict(), average=own))
        load(found := nn.Linear(2, 1), path)
        assert unchanged(found, expected.state_dict())
        assert torch.equal(read(path).weights["weight"], net.weight)  # a run goes on from what it has trained
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["ema", "ema_state_dict", "model_ema", "state_dict_ema"])
def test_an_average_beside_the_weights_is_named(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    linear = nn.Linear(2, 1)
    content = {"model": linear.state_dict(), name: nn.Linear(2, 1).state_dict()}
    path = saved(content, tmp_path / "both.pth")
    assert torch.equal(read_state_dict(path)["weight"], linear.weight)
    (line,) = capsys.readouterr().err.splitlines()
    assert (
        line == f"note: of {path} the weights under model are taken; it also holds {name}, to be saved alone if meant"
    )
    assert torch.equal(read_state_dict(saved({name: content[name]}, path))["weight"], content[name]["weight"])
    assert capsys.readouterr().err == ""


def test_a_number_that_numpy_1_wrote(tmp_path: Path) -> None:
    state = weights(DPN)
    content = {"state_dict": state, "perf": np.float64(0.74)}
    path = saved(content, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n"))
    assert b"cnumpy.core.multiarray\n" in path.read_bytes()
    assert read_state_dict(path).keys() == state.keys()


def test_counts_of_batches_may_be_missing(tmp_path: Path) -> None:
    state = weights(DPN)
    old = {name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")}
    assert len(old) < len(state)
    net = build(DPN)
    load(net, saved(old, tmp_path / "old.pth"))
    assert unchanged(net, old | {name: torch.tensor(0) for name in state if name not in old})


@pytest.mark.parametrize("spec", [HRNET, ON_HRNET, DPN, SBL], ids=lambda spec: spec.name)
def test_another_number_of_joints_is_called_that(spec: ModelSpec, tmp_path: Path) -> None:
    path = saved(weights(replace(spec, joints=16)), tmp_path / "mpii.pth")
    net = on_meta(spec)
    with pytest.raises(
        CheckpointError, match=r"mpii\.pth does not fit this \w+: .*16 joints, the network has 17; build"
    ):
        check(net, path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda state: state | {"extra.weight": torch.zeros(1)}, r"1 unexpected \(extra\.weight\)"),
        (lambda state: {k: v for k, v in state.items() if "conv2" not in k}, r"\d+ missing \(conv2\.weight, .* more\)"),
        (
            lambda state: state | {"conv1.weight": torch.zeros(64, 1, 3, 3)},
            r"1 of another shape \(conv1\.weight \(64, 1,",
        ),
        (lambda _: weights(replace(HRNET, width=3)), r"of another shape \(.* and \d+ more\); python -m dpn checkpoint"),
        (lambda _: weights(DPN), r"missing .* unexpected"),
    ],
)
def test_the_wrong_network_changes_nothing(change: Form, said: str, tmp_path: Path) -> None:
    path = saved(change(weights(HRNET)), tmp_path / "other.pth")
    net = build(HRNET)
    before = copied(net)
    with pytest.raises(CheckpointError, match=said) as caught:
        load(net, path)
    assert one_line(caught.value).startswith(f"{path} does not fit this HRNet: ")
    assert "joints" not in str(caught.value)
    assert unchanged(net, before)


class Renaming(nn.Module):
    """Accepts other names than its own when it is loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(2, 1)
        self.register_load_state_dict_pre_hook(self.rename)

    @staticmethod
    def rename(_module: nn.Module, state: dict[str, Tensor], prefix: str, *_: object) -> None:
        for name in [name for name in state if name.startswith(f"{prefix}old.")]:
            state[name.replace("old.", "inner.")] = state.pop(name)


def test_names_that_a_network_translates(tmp_path: Path) -> None:
    state = {"part.old.weight": torch.ones(1, 2), "part.old.bias": torch.ones(1)}
    net = nn.Module()
    net.part = Renaming()
    load(net, saved(state, tmp_path / "old.pth"))
    assert net.part.inner.bias == 1
    assert set(state) == {"part.old.weight", "part.old.bias"}
    assert compare(net, {"part.new.weight": torch.ones(1, 2)}).unexpected == ("part.new.weight",)


@pytest.mark.parametrize("parts", [("module",), ("_orig_mod",), ("module", "head")])
def test_a_network_with_a_wrapper_around_it_takes_its_own_file(parts: tuple[str, ...], tmp_path: Path) -> None:
    net, other = (nn.ModuleDict({part: nn.Linear(2, 1) for part in parts}) for _ in range(2))
    load(other, saved(net.state_dict(), tmp_path / "net.pth"))
    assert unchanged(other, net.state_dict())
    assert compare(net, net.state_dict()).fits


@pytest.mark.parametrize(
    "names", [("net.weight", "net.bias", "net.extra"), ("net.weight", "bias"), ("a.weight", "b.bias"), ("net.weight",)]
)
def test_a_prefix_is_no_wrapper_where_names_do_not_fit_without_it(names: tuple[str, ...], tmp_path: Path) -> None:
    net = nn.Linear(1, 1)
    before = copied(net)
    with pytest.raises(CheckpointError, match="does not fit this Linear"):
        load(net, saved({name: torch.ones(1, 1) for name in names}, tmp_path / "other.pth"))
    assert unchanged(net, before)


# Backbones


def test_every_backbone_weight_arrives_in_its_place(imagenet: tuple[Path, dict[str, Tensor]]) -> None:
    path, state = imagenet
    net = build(ZOO["dpn1_64"])
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    loaded = load_backbone(net, path)
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
    loaded = load_backbone(build(ZOO["dpn1_32"]), imagenet[0])
    assert len(loaded) == 5 + 50
    assert {name.split(".")[0] for name in loaded} == {"conv0", "conv1"}


def test_a_resnet_goes_into_simple_baseline_without_its_classifier(imagenet: tuple[Path, dict[str, Tensor]]) -> None:
    path, state = imagenet
    net = build(SBL)
    before = copied(net)
    loaded = load_backbone(net, path)
    after = net.state_dict()
    assert set(loaded) == {name for name in state if not name.startswith("fc.")}
    assert all(torch.equal(after[name], state[name]) for name in loaded)
    untouched = [name for name in after if name not in loaded and not name.endswith("num_batches_tracked")]
    assert {name.split(".")[0] for name in untouched} == {"deconv_layers", "final_layer"}
    assert all(torch.equal(after[name], before[name]) for name in untouched)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spec", "prefix"),
    [(CPNSpec(name="cpn"), "resnet."), (MaskRCNNSpec(name="mask_rcnn"), "backbone.body.")],
    ids=["cpn", "mask_rcnn"],
)
def test_other_networks_on_a_resnet(spec: ModelSpec, prefix: str, imagenet: tuple[Path, dict[str, Tensor]]) -> None:
    path, state = imagenet
    net = build(spec)
    loaded = load_backbone(net, path)
    after = net.state_dict()
    assert {name.removeprefix(prefix) for name in loaded} == {name for name in state if not name.startswith("fc.")}
    assert all(torch.equal(after[name], state[name.removeprefix(prefix)]) for name in loaded)
    counts = {name for name in after if name.startswith(prefix)} - set(loaded)
    assert all(name.endswith("num_batches_tracked") for name in counts)


def hrnet_classifier(spec: HRNetSpec) -> dict[str, Tensor]:
    """An ImageNet HRNet's file: the pose network's, all fusions of the last module, and heads of other names."""
    c = spec.width
    state = {name: tensor for name, tensor in weights(spec).items() if not name.startswith("final_layer")}
    return state | {
        "stage4.2.fuse_layers.1.0.0.0.weight": torch.rand(2 * c, c, 3, 3),
        "stage4.2.fuse_layers.3.2.0.1.running_var": torch.rand(8 * c),
        "incre_modules.0.0.conv1.weight": torch.rand(32, c, 1, 1),
        "downsamp_modules.0.0.weight": torch.rand(256, 128, 3, 3),
        "final_layer.0.weight": torch.rand(2048, 1024, 1, 1),
        "classifier.weight": torch.rand(10, 2048),
    }


def test_hrnets_imagenet_file(tmp_path: Path) -> None:
    state = hrnet_classifier(HRNET)
    path = saved(state, tmp_path / "hrnet.pth")
    for spec, prefix, head in ((HRNET, "", "final_layer"), (ON_HRNET, "backbone.", "heatmap")):
        net = build(spec)
        before = copied(net)
        loaded = load_backbone(net, path)
        after = net.state_dict()
        assert all(torch.equal(after[name], state[name.removeprefix(prefix)]) for name in loaded)
        rest = {name.split(".")[0] for name in after if name not in loaded}
        assert rest == ({head} if spec is HRNET else {head, "transition", "dpm", "fuse"})
        assert torch.equal(after[f"{head}.weight"], before[f"{head}.weight"])


def test_a_pose_file_for_other_joints_gives_its_backbone(tmp_path: Path) -> None:
    state = weights(replace(HRNET, joints=16))
    net = build(HRNET)
    loaded = load_backbone(net, saved(state, tmp_path / "mpii.pth"))
    assert set(state) - set(loaded) == {"final_layer.weight", "final_layer.bias"}


def without(state: dict[str, Tensor], part: str) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in state.items() if not name.startswith(part)}


@pytest.mark.parametrize(
    ("spec", "content", "message"),
    [
        (DPN, lambda: {"backbone.conv1.weight": torch.zeros(1)}, r"missing \(conv0\.0\.weight"),
        (
            DPN,
            lambda: resnet50_by_hand() | {"conv1.weight": torch.zeros(64, 3, 3, 3)},
            r"conv0\.0\.weight \(64, 3, 3, 3\)",
        ),
        (SBL, lambda: without(resnet50_by_hand(), "layer4.2.bn3"), r"4 missing \(layer4\.2\.bn3.*resnet50-19c8e357"),
        (SBL, lambda: resnet50_by_hand() | {"layer3.6.conv1.weight": torch.zeros(1)}, r"1 unexpected \(layer3\.6"),
        (
            HRNET,
            lambda: without(hrnet_classifier(HRNET), "transition2"),
            r"missing \(transition2\.2\.0.*hrnet_w32-36af842e",
        ),
        (ON_HRNET, lambda: hrnet_classifier(replace(HRNET, width=3)), r"of another shape .* instead of"),
        (HRNET, lambda: {"state_dict": {"fc.weight": torch.zeros(1)}}, r"missing"),
    ],
    ids=["DPN names", "DPN shape", "SBL missing", "SBL deeper", "HRNet missing", "HRNet wider", "HRNet nothing"],
)
def test_other_backbones_change_nothing(
    spec: ModelSpec, content: Callable[[], object], message: str, tmp_path: Path
) -> None:
    path = saved(content(), tmp_path / "other.pth")
    net = build(spec)
    before = copied(net)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_backbone(net, path)
    assert one_line(caught.value).startswith(f"{path} is no backbone of this ")
    assert unchanged(net, before)


def test_a_network_without_known_backbone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"no backbone is known for a Linear, only for DPN, .*HRNet"):
        load_backbone(nn.Linear(1, 1), tmp_path / "none.pth")


# Bad files


class Hostile:
    """Pickled, this would create a file when loaded."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.target,)


def pickled(content: object, path: Path) -> None:
    with path.open("wb") as file:
        pickle.dump(content, file)


WRITERS: dict[str, Callable[[object, Path], object]] = {
    "pickle": pickled,
    "zip": saved,
    "legacy": lambda content, path: saved(content, path, _use_new_zipfile_serialization=False),
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_code_in_a_file_is_not_executed(write: Callable[[object, Path], object], tmp_path: Path) -> None:
    trap, path = tmp_path / "executed", tmp_path / "hostile.pth"
    write({"state_dict": weights(DPN), "optimizer": Hostile(trap)}, path)
    for use in (read_state_dict, lambda file: load(build(DPN), file), lambda file: identify(file, NETWORKS)):
        with pytest.raises(CheckpointError, match=r"hostile\.pth.*never loaded") as caught:
            use(path)
        assert one_line(caught.value)
    assert not trap.exists()


@pytest.mark.parametrize("length", [60, 600, 6000])
def test_a_file_of_zeros_is_refused_without_advice_to_load_code(length: int, tmp_path: Path) -> None:
    """As a loss of power leaves one; torch takes a long one for a tar archive, and says to load it with pickle."""
    (tmp_path / "zeros.pth").write_bytes(bytes(length))
    with pytest.raises(CheckpointError, match=r"zeros\.pth is no file of plain tensors: it is damaged") as caught:
        read_state_dict(tmp_path / "zeros.pth")
    assert "weights_only" not in one_line(caught.value)


def test_the_trap_works(tmp_path: Path) -> None:
    trap, path = tmp_path / "executed", tmp_path / "hostile.pth"
    pickled(Hostile(trap), path)
    pickle.loads(path.read_bytes())
    assert trap.exists()


@pytest.mark.parametrize("new_format", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("keep", [0, 10, 2_000, -1])
def test_a_truncated_file_is_named(keep: int, new_format: bool, tmp_path: Path) -> None:
    path = saved(weights(DPN), tmp_path / "short.pth", _use_new_zipfile_serialization=new_format)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"short\.pth .*fetch it again") as caught:
        read_state_dict(path)
    assert one_line(caught.value)


@pytest.mark.parametrize("place", [0, -1])
def test_a_number_that_was_damaged_is_noticed(place: int, tmp_path: Path) -> None:
    """Torch writes check sums and reads none. Training states are read in the same way."""
    values = torch.arange(1000.0) + 0.25
    path = saved({"a": values, "b": torch.zeros(3)}, tmp_path / "bits.pth")
    content, kept = bytearray(path.read_bytes()), values.numpy().tobytes()
    content[content.index(kept) + place % len(kept)] ^= 1
    path.write_bytes(content)
    assert len(torch.load(path, weights_only=True)) == 2
    with pytest.raises(
        CheckpointError, match=r"bits\.pth is no file of plain tensors: it is damaged .*fetch it"
    ) as caught:
        read_state_dict(path)
    assert one_line(caught.value)


def test_an_archive_of_an_unknown_version_is_one_line(tmp_path: Path) -> None:
    path = saved({"a": torch.zeros(3)}, tmp_path / "version.pth")
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 6] = 64
    path.write_bytes(content)
    with pytest.raises(
        CheckpointError, match=r"version\.pth cannot be read, .*; fetch it again \(zip file version 6\.4"
    ):
        read_state_dict(path)


def test_files_without_check_sums_load(tmp_path: Path) -> None:
    torch.serialization.set_crc32_options(False)
    try:
        path = saved({"a": torch.ones(3)}, tmp_path / "quick.pth")
    finally:
        torch.serialization.set_crc32_options(True)
    assert read_state_dict(path)["a"].sum() == 3


def test_no_archive_takes_longer_than_to_read_it_once(tmp_path: Path) -> None:
    """Many members may have the same bytes, and compressed ones any number."""
    path = tmp_path / "wide.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", bytes(10**4) + b"1")
        archive.filelist += archive.filelist * 10**3
    with pytest.raises(CheckpointError, match="damaged") as caught:
        read_state_dict(path)
    assert "overlap" in str(caught.value.__cause__)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", bytes(10**6) + b"1")
        archive.filelist += archive.filelist * 10**3
    with pytest.raises(CheckpointError):
        read_state_dict(path)


@pytest.fixture(scope="module")
def small_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[bytes]]:
    path = tmp_path_factory.mktemp("bytes") / "file.pth"
    content = {"state_dict": {"a.weight": torch.rand(2, 3), "a.bias": torch.rand(2)}, "perf": np.float64(1)}
    return path, [saved(content, path, _use_new_zipfile_serialization=new).read_bytes() for new in (True, False)]


@given(data=st.data())
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_bytes_are_read_or_refused(small_files: tuple[Path, list[bytes]], data: st.DataObject) -> None:
    path, files = small_files
    content = bytearray(data.draw(st.sampled_from(files)))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        state = read_state_dict(path)
    except CheckpointError as error:
        said, state = one_line(error), {}
    else:
        said = str(path)
    assert said.startswith(str(path))
    assert all(isinstance(tensor, Tensor) for tensor in state.values())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"weight": 3}, "no tensors: weight"),
        ({}, "no state dict"),
        ({"a": {"weight": torch.zeros(1)}, "b": {"weight": torch.ones(1)}}, "no tensors: a, b; save net"),
        ({"state_dict": {}}, "no state dict but a dict"),
        ([torch.zeros(1)], "no state dict but a list"),
        (torch.zeros(1), "no state dict but a Tensor"),
    ],
)
def test_files_of_something_else(content: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=message) as caught:
        read_state_dict(saved(content, tmp_path / "other.pth"))
    assert str(tmp_path / "other.pth") in one_line(caught.value)


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (torch.eye(3).to_sparse(), "conv.weight is sparse, quantised or empty of numbers"),
        (torch.empty(3, device="meta"), "conv.weight is sparse, quantised or empty of numbers"),
        (torch.zeros(3, dtype=torch.complex64), "conv.weight holds complex numbers"),
        (torch.tensor([1.0, math.nan]), "conv.weight holds values that are no numbers, as after a training"),
    ],
)
def test_tensors_that_are_no_weights_are_named(tensor: Tensor, message: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save({"conv.weight": tensor, "conv.bias": torch.zeros(3)}, path)
    with pytest.raises(CheckpointError, match=message):
        read_state_dict(path)


def test_one_weight_under_two_names_is_refused(tmp_path: Path) -> None:
    path = saved({"module.weight": torch.zeros(1), "weight": torch.ones(1)}, tmp_path / "both.pth")
    with pytest.raises(CheckpointError, match=r"both\.pth holds module\.weight and weight, .*; save net\.state_dict"):
        read_state_dict(path)


@pytest.mark.parametrize("dtype", [torch.int8, torch.bool])
def test_whole_numbers_are_no_weights_of_a_network_of_floats(dtype: torch.dtype, tmp_path: Path) -> None:
    path = saved({"weight": torch.ones(1, 2, dtype=dtype), "bias": torch.zeros(1)}, tmp_path / "int8.pth")
    net = nn.Linear(2, 1)
    before = copied(net)
    with pytest.raises(
        CheckpointError, match=r"int8\.pth .* 1 of whole numbers, .* quantised .* \(weight\); save the float weights$"
    ):
        load(net, path)
    assert unchanged(net, before)


def test_a_tensor_that_names_a_number_many_times_takes_no_room(tmp_path: Path) -> None:
    path = saved({"weight": torch.zeros(1).expand(10**7, 10**6), "bias": torch.zeros(1)}, tmp_path / "wide.pth")
    with pytest.raises(CheckpointError, match=r"wide\.pth .*\(weight \(10000000, 1000000\) instead of \(1, 2\)"):
        load(nn.Linear(2, 1), path)
    with pytest.raises(CheckpointError, match="weight holds values that are no numbers"):
        read_state_dict(saved({"weight": torch.tensor([math.nan]).expand(4, 4)}, path))


def test_files_of_other_kinds_are_called_what_they_are(tmp_path: Path) -> None:
    header = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    (tmp_path / "a.pth").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with zipfile.ZipFile(tmp_path / "b.pth", "w") as archive:  # what tells such an archive from one of tensors
        archive.writestr("b/constants.pkl", b"")
        archive.writestr("b/data.pkl", b"")
    for name, said in (("a", r"safetensors file; convert it"), ("b", r"TorchScript archive; save its state dict")):
        with pytest.raises(CheckpointError, match=rf"{name}\.pth is a {said}: torch\.save\(") as caught:
            read_state_dict(tmp_path / f"{name}.pth")
        assert one_line(caught.value)


def test_a_file_that_the_system_does_not_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    (tmp_path / "a.pth").write_bytes(b"1")
    for where, name in ((torch, "load"), (Path, "open")):
        monkeypatch.setattr(where, name, refuse)
    with pytest.raises(CheckpointError, match=r"a\.pth cannot be read, .*Input/output error"):
        read_state_dict(tmp_path / "a.pth")


def test_files_that_are_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "none.pth", tmp_path):
        with pytest.raises(CheckpointError, match="does not exist"):
            read_state_dict(path)


# What were they trained as?


def trained(spec: ModelSpec, network: str, path: Path, definition: str) -> Path:
    """What a run leaves; of no definition where that is empty, as runs of an older version did and releases do."""
    content = {"state_dict": weights(spec), "recipe": {"network": network}}
    return saved(content | ({"definition": definition} if definition else {}), path)


LIGHT, REVERSED = ZOO["dpn1_32_lite"], ZOO["dpn1_32_reversed_lite"]


@pytest.mark.parametrize("definition", [LIGHT.digest(), ""])
def test_weights_of_a_network_of_the_zoo_go_into_that_one_without_a_word(definition: str, tmp_path: Path) -> None:
    path = trained(LIGHT, LIGHT.name, tmp_path / "final.pt", definition)
    assert load(build(LIGHT), path) == ""
    assert load(build(replace(LIGHT, name="a_copy", input_hw=(384, 288))), path) == ""
    note = load(build(REVERSED), path)
    assert note.startswith(
        f"{path} was trained as dpn1_32_lite, whose layers then differed from this network's in what"
    )
    assert len(note.splitlines()) == 1
    assert network(REVERSED.name, path).note == note
    assert network(LIGHT.name, str(path)).note == ""


def test_weights_of_a_network_of_ones_own_are_told_from_its_layers(tmp_path: Path) -> None:
    path = trained(LIGHT, "mine:wide_lite", tmp_path / "final.pt", definition_of(build(LIGHT), None))
    assert load(build(LIGHT), path) == ""
    assert f"{path} was trained as mine:wide_lite, whose" in load(build(REVERSED), path)
    unknown = trained(LIGHT, "mine:wide_lite", tmp_path / "old.pt", "")
    assert load(build(REVERSED), unknown) == ""


def test_the_definition_that_a_network_of_the_zoo_had_then_is_told(tmp_path: Path) -> None:
    assert "dpn1_32_lite, whose layers then" in load(build(LIGHT), trained(LIGHT, LIGHT.name, tmp_path / "a.pt", "0"))


@pytest.mark.parametrize("recipe", ["a", {}, {"network": 3}, {"network": "two\nlines"}, {"network": "mine:net"}])
def test_what_others_call_a_recipe_says_nothing(recipe: object, tmp_path: Path) -> None:
    content = {"state_dict": weights(DPN), "recipe": recipe, "definition": torch.zeros(2)}
    assert load(build(DPN), saved(content, tmp_path / "net.pth")) == ""


def test_identify_begins_with_what_a_file_was_trained_as(tmp_path: Path) -> None:
    path = trained(DPN, "mine:wide_lite", tmp_path / "final.pt", "")
    assert str(identify(path, NETWORKS)).startswith(f"{path}: trained as mine:wide_lite, ")


# What is this file?


def test_identify_a_whole_network(tmp_path: Path) -> None:
    state = weights(HRNET)
    found = identify(saved(state, tmp_path / "net.pth"), NETWORKS)
    assert found.exactly == ("hrnet", "hrnet_large")
    assert found.as_backbone == ("on_hrnet",)
    assert found.nearly == {}
    assert found.tensors == len(state)
    assert found.values == sum(tensor.numel() for tensor in state.values())
    assert "fits exactly: hrnet, hrnet_large\nfits as a backbone: on_hrnet" in str(found)


@pytest.mark.parametrize("prefix", ["_orig_mod.", "net."])
def test_identify_sees_through_wrappers(prefix: str, tmp_path: Path) -> None:
    state = {f"{prefix}{name}": tensor for name, tensor in weights(DPN).items()}
    assert identify(saved({"model": state}, tmp_path / "net.pth"), {"dpn": DPN}).exactly == ("dpn",)


def test_identify_another_number_of_joints(tmp_path: Path) -> None:
    found = identify(saved(weights(replace(HRNET, joints=16)), tmp_path / "net.pth"), NETWORKS)
    assert found.exactly == ()
    assert found.as_backbone == ("hrnet", "hrnet_large", "on_hrnet")
    nearest, *_ = found.nearly.items()
    assert nearest == ("hrnet, hrnet_large", "it was made for 16 joints, the network has 17")


def test_identify_an_imagenet_file(imagenet: tuple[Path, dict[str, Tensor]]) -> None:
    found = identify(imagenet[0], NETWORKS)
    assert (found.exactly, found.as_backbone) == ((), ("dpn", "sbl"))
    assert found.nearly["sbl"].startswith("17 missing (deconv_layers.0.weight, ")
    assert found.nearly["sbl"].endswith(", 2 unexpected (fc.weight, fc.bias)")
    assert "on_hrnet" not in found.nearly


def test_identify_says_what_is_missing(tmp_path: Path) -> None:
    state = without(weights(DPN), "fuse.1.") | {"extra.weight": torch.zeros(1)}
    found = identify(saved(state, tmp_path / "net.pth"), NETWORKS)
    assert (found.exactly, found.as_backbone) == ((), ())
    assert found.nearly == {"dpn": "4 missing (fuse.1.weight, fuse.1.bias, fuse.1.running_mean and 1 more), "
                            "1 unexpected (extra.weight)"}  # fmt: skip


def test_identify_a_stranger(tmp_path: Path) -> None:
    found = identify(saved({"weight": torch.zeros(1)}, tmp_path / "net.pth"), NETWORKS)
    assert (found.exactly, found.as_backbone, dict(found.nearly)) == ((), (), {})
    assert "fits no network" in str(found)


# The command line


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(command, "ZOO", NETWORKS | {"dpn1_32": ZOO["dpn1_32"]})
    monkeypatch.setattr(sys, "argv", ["python -m dpn", "checkpoint", *arguments])
    with pytest.raises(SystemExit) as done:
        cli.run("python -m dpn", "", {"checkpoint": command.checkpoint})
    return int(str(done.value.code))


def test_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    hrnet, dpn, stranger = (
        str(saved(content, tmp_path / f"{name}.pth"))
        for name, content in (
            ("hrnet", weights(HRNET)), ("dpn", weights(ZOO["dpn1_32"])), ("stranger", {"x": torch.zeros(1)})
        )
    )  # fmt: skip
    assert run(monkeypatch, hrnet) == 0
    assert "fits exactly: hrnet, hrnet_large" in capsys.readouterr().out
    assert run(monkeypatch, dpn, "--network", "dpn1_32") == 0
    assert capsys.readouterr().out == f"{dpn} fits dpn1_32 exactly\n"
    for arguments, part in (
        ((dpn, "--network", "dpn4_32_mpii"), "does not fit this DPN"),
        ((dpn, "--network", "dpn1_33"), "the nearest names are"),
        ((stranger,), "fits no network"),
    ):
        assert run(monkeypatch, *arguments) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: ")
        assert part in line


def own() -> nn.Module:
    return build(DPN)


def test_the_command_line_takes_a_network_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"{__name__}:own"
    path = trained(DPN, "mine:wide_lite", tmp_path / "final.pt", definition_of(on_meta(DPN), None))
    assert run(monkeypatch, str(path), "--network", name) == 0
    assert tuple(capsys.readouterr()) == (f"{path} fits {name} exactly\n", "")
    other = trained(DPN, "mine:wide_lite", tmp_path / "other.pt", "layers-0")
    assert run(monkeypatch, str(other), "--network", name) == 0
    assert capsys.readouterr().err.startswith(f"note: {other} was trained as mine:wide_lite, whose layers")
    content = {"state_dict": {"x": torch.zeros(1)}, "recipe": {"network": name}}
    stranger = saved(content, tmp_path / "stranger.pt")
    monkeypatch.setattr(command, "ZOO", {"dpn": DPN})
    with pytest.raises(CheckpointError, match=f"fits no network; --network {name} holds it against that one$"):
        command.checkpoint(stranger)


def test_a_hostile_file_at_the_command_line(tmp_path: Path) -> None:
    trap, path = tmp_path / "executed", tmp_path / "hostile.pth"
    pickled({"weight": Hostile(trap)}, path)
    done = subprocess.run(
        [sys.executable, "-m", "dpn", "checkpoint", str(path)], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {path} is no file of plain tensors")
    assert not trap.exists()
