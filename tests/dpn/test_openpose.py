"""OpenPose: published costs, the port's names, and parity with a computation written without its modules."""

import re
from collections.abc import Iterator
from functools import cache

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.counts.macs import count
from dpn.build import build
from dpn.networks.openpose import OpenPose, with_module_names
from dpn.spec import OpenPoseSpec
from tests.dpn.parity import relative_error

SPEC = OpenPoseSpec(name="openpose", input_hw=(368, 368), joints=18)


@cache
def on_meta() -> nn.Module:
    with torch.device("meta"):
        return build(SPEC)


@pytest.mark.parametrize(
    ("height", "width", "macs"),
    [(368, 368, 135_934_006_784), (256, 256, 65_782_808_576), (256, 192, 49_337_106_432)],
)
def test_costs(height: int, width: int, macs: int) -> None:
    counted = count(on_meta(), (1, 3, height, width))
    assert counted.macs == macs
    assert counted.complete
    assert counted.params == 52_311_446
    assert sum(parameter.numel() for parameter in on_meta().model0.parameters()) == 7_340_480


# Names


def expected_shapes() -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes of the PyTorch port's 92 convolutions, from the authors' table of layers, not from ours."""
    front = {
        "conv1_1": (3, 64), "conv1_2": (64, 64), "conv2_1": (64, 128), "conv2_2": (128, 128),
        "conv3_1": (128, 256), "conv3_2": (256, 256), "conv3_3": (256, 256), "conv3_4": (256, 256),
        "conv4_1": (256, 512), "conv4_2": (512, 512), "conv4_3_CPM": (512, 256), "conv4_4_CPM": (256, 128),
    }  # fmt: skip
    layers = [(f"model0.{name}", *channels, 3) for name, channels in front.items()]
    for branch, out in (1, 38), (2, 19):
        layers += [(f"model1_{branch}.conv5_{n}_CPM_L{branch}", 128, 128, 3) for n in (1, 2, 3)]
        layers += [(f"model1_{branch}.conv5_4_CPM_L{branch}", 128, 512, 1)]
        layers += [(f"model1_{branch}.conv5_5_CPM_L{branch}", 512, out, 1)]
        for stage in range(2, 7):
            path = f"model{stage}_{branch}.Mconv%d_stage{stage}_L{branch}"
            layers += [(path % 1, 185, 128, 7)]
            layers += [(path % n, 128, 128, 7) for n in (2, 3, 4, 5)]
            layers += [(path % 6, 128, 128, 1), (path % 7, 128, out, 1)]
    for name, before, after, kernel in layers:
        yield f"{name}.weight", (after, before, kernel, kernel)
        yield f"{name}.bias", (after,)


def test_state_dict_is_the_ports() -> None:
    expected = dict(expected_shapes())
    assert len(expected) == 184
    assert {name: tuple(tensor.shape) for name, tensor in on_meta().state_dict().items()} == expected


def caffe_names(state: dict[str, Tensor], prefix: str = "") -> dict[str, Tensor]:
    """As the released file has them: the layer without its module."""
    return {prefix + name.split(".", 1)[1]: tensor for name, tensor in state.items()}


def test_released_names_load_strictly_also_inside_another_network() -> None:
    with torch.device("meta"):
        net, holder = build(SPEC), nn.ModuleDict({"pose": build(SPEC), "other": nn.Linear(1, 1)})
    released = caffe_names(net.state_dict())
    assert len(released) == 184
    assert all(name.count(".") == 1 for name in released)
    assert with_module_names(released, net.state_dict()).keys() == net.state_dict().keys()
    net.load_state_dict(released, strict=True, assign=True)
    net.load_state_dict(on_meta().state_dict(), strict=True, assign=True)
    other = {f"other.{name}": tensor for name, tensor in holder["other"].state_dict().items()}
    holder.load_state_dict(caffe_names(net.state_dict(), "pose.") | other, strict=True, assign=True)


def test_a_strange_or_missing_name_is_still_an_error() -> None:
    with torch.device("meta"):
        net = build(SPEC)
    released = caffe_names(net.state_dict())
    with pytest.raises(RuntimeError, match="conv9_9"):
        net.load_state_dict(released | {"conv9_9.weight": released["conv1_1.weight"]}, assign=True)
    del released["Mconv7_stage6_L2.bias"]
    with pytest.raises(RuntimeError, match=r"model6_2\.Mconv7_stage6_L2\.bias"):
        net.load_state_dict(released, assign=True)


# Parity


class Independent:
    """The network, computed from a state dict with functions and loops alone; `mistakes` are made on purpose."""

    def __init__(self, state: dict[str, Tensor], *mistakes: str) -> None:
        self.state = state
        self.mistakes = mistakes

    def branch(self, x: Tensor, module: str) -> Tensor:
        names = [key.removesuffix(".weight") for key in self.state if re.fullmatch(rf"{module}\..*weight", key)]
        for name in names:
            weight = self.state[f"{name}.weight"]
            x = F.conv2d(x, weight, self.state[f"{name}.bias"], padding=weight.shape[-1] // 2)
            if name != names[-1] or module == "model0":
                x = F.relu(x)
            if name in ("model0.conv1_2", "model0.conv2_2", "model0.conv3_4"):
                x = F.max_pool2d(x, 2)
        return x

    def stages(self, image: Tensor) -> list[tuple[Tensor, Tensor]]:
        features = x = self.branch(image, "model0")
        outputs = []
        for stage in range(1, 7):
            fields, heatmaps = self.branch(x, f"model{stage}_1"), self.branch(x, f"model{stage}_2")
            outputs.append((fields, heatmaps))
            parts = [fields, heatmaps, features]
            if "heatmaps before fields" in self.mistakes:
                parts = [heatmaps, fields, features]
            if "features first" in self.mistakes:
                parts = [features, fields, heatmaps]
            x = torch.cat(parts, 1)
        return outputs


@cache
def scrambled() -> nn.Module:
    """Weights that keep signals alive to the last stage, and biases that leave no two channels alike."""
    torch.manual_seed(0)
    net = build(SPEC).eval()
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            fan_in = module.weight[0].numel()
            module.weight.data.mul_((2 / fan_in) ** 0.5 / 0.01)
            nn.init.uniform_(module.bias, -0.2, 0.2)
    return net


def image() -> Tensor:
    return torch.randn(1, 3, 24, 32, generator=torch.Generator().manual_seed(1))


@cache
@torch.no_grad()
def in_training() -> tuple[tuple[Tensor, Tensor], ...]:
    stages = scrambled().train()(image())
    scrambled().eval()
    return tuple(stages)


@cache
@torch.no_grad()
def expected_stages() -> list[tuple[Tensor, Tensor]]:
    return Independent(scrambled().state_dict()).stages(image())


@torch.no_grad()
def test_all_stages_equal_a_computation_without_modules() -> None:
    evaluated = scrambled()(image())
    assert evaluated[0].shape == (1, 38, 3, 4)
    assert evaluated[1].shape == (1, 19, 3, 4)
    assert len(in_training()) == 6
    expected = expected_stages()
    for found, wanted in zip([*in_training(), evaluated], [*expected, expected[-1]], strict=True):
        assert relative_error(found[0], wanted[0]) < 1e-5
        assert relative_error(found[1], wanted[1]) < 1e-5


@pytest.mark.parametrize("mistake", ["heatmaps before fields", "features first"])
@torch.no_grad()
def test_parity_notices_another_order_of_inputs(mistake: str) -> None:
    wrong = Independent(scrambled().state_dict(), mistake).stages(image())
    for found, other in zip(in_training()[-1], wrong[-1], strict=True):
        assert relative_error(found, other) > 1e-2


def test_parity_notices_a_relu_on_any_output() -> None:
    for fields, heatmaps in expected_stages():
        assert relative_error(fields.relu(), fields) > 1e-2
        assert relative_error(heatmaps.relu(), heatmaps) > 1e-2


# Structure


def test_only_the_front_end_ends_in_a_relu() -> None:
    """The slip of the PyTorch port is a ReLU behind model6_2."""
    for path, module in on_meta().named_children():
        layers = [layer for layer in module if not isinstance(layer, nn.MaxPool2d)]
        assert all(isinstance(layer, (nn.Conv2d, nn.ReLU)[n % 2]) for n, layer in enumerate(layers)), path
        assert isinstance(layers[-1], nn.ReLU) == (path == "model0"), path
    assert float(in_training()[-1][1].min()) < 0


@pytest.mark.slow
def test_gradient_reaches_everything_from_the_sum_of_the_stages() -> None:
    net = scrambled().train()
    sum(output.square().mean() for stage in net(image()) for output in stage).backward()
    silent = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    net.zero_grad()
    net.eval()
    assert silent == []


@torch.no_grad()
def test_initialisation_is_caffes() -> None:
    torch.manual_seed(0)
    net = build(SPEC)
    assert isinstance(net, OpenPose)
    assert net.training
    for name, parameter in net.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any(), name
        else:
            assert abs(float(parameter.std()) / 0.01 - 1) < 5 / (2 * parameter.numel()) ** 0.5, name
            assert abs(float(parameter.mean())) < 5 * 0.01 / parameter.numel() ** 0.5, name
