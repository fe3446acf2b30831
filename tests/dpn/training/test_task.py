"""Every stage of a network is trained, and nothing that is no heatmap of the final ones' shape."""

from collections import namedtuple
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dpn.build import build
from dpn.heatmaps import Codec
from dpn.network_output import OutputError
from dpn.training.recipes import Recipe
from dpn.training.task import PoseTask, every_stage, stages_loss
from dpn.zoo import ZOO
from tests.dpn.training.tiny_network import InModule

HW = (64, 64)
Named = namedtuple("Named", ("parsing", "heatmaps"))


def maps(joints: int = 17, side: int = 16) -> Tensor:
    return torch.zeros(2, joints, side, side)


ONE, TWO, FINAL = maps(), maps(), maps()


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (FINAL, [FINAL]),
        ([ONE, TWO, FINAL], [ONE, TWO, FINAL]),
        (([ONE, TWO], FINAL), [ONE, TWO, FINAL]),
        ([maps(12), ONE, maps(19), FINAL], [ONE, FINAL]),
        ([maps(side=8), None, FINAL], [FINAL]),
        ([{"heatmaps": ONE}, FINAL], [ONE, FINAL]),
        ({"heatmaps": [ONE, FINAL]}, [FINAL]),
        (Named(ONE, [TWO, FINAL]), [FINAL]),
    ],
)
def test_stages_are_all_heatmaps_of_the_final_shape(output: Any, expected: list[Tensor]) -> None:
    assert [id(stage) for stage in every_stage(output, 17, HW)] == [id(stage) for stage in expected]


def test_without_final_heatmaps_there_are_no_stages() -> None:
    with pytest.raises(OutputError, match="16 heatmaps and this data 17 joints"):
        every_stage([ONE, maps(16)], 17, HW)


@pytest.mark.parametrize(("name", "stages", "of"), [("mca", 8, 8), ("jada", 8, 8), ("pyranet", 8, 8), ("dlcm", 2, 5)])
def test_stacked_networks_keep_their_stages(name: str, stages: int, of: int) -> None:
    spec = ZOO[name]
    with torch.device("meta"):
        output = build(spec).train()(torch.zeros(1, 3, *spec.input_hw))
    found = every_stage(output, spec.joints, spec.input_hw)
    assert (len(found), len(output)) == (stages, of)
    assert found[-1] is output[-1]


@pytest.mark.usefixtures("one_thread")
def test_gradient_reaches_every_head_of_cpn() -> None:
    """Several processes exchange the gradients of all weights, and would wait for those of a head without any."""
    torch.manual_seed(0)
    net = build(ZOO["cpn_r50_training"]).train()
    loss = stages_loss(net(torch.rand(2, 3, *HW)), torch.rand(2, 17, 16, 16), torch.ones(2, 17), HW)
    loss.backward()  # type: ignore[no-untyped-call]
    heads = [weight for name, weight in net.named_parameters() if name.startswith("global_net.predict.")]
    assert heads
    assert all(weight.grad is not None and bool(weight.grad.any()) for weight in heads)
    assert [name for name, weight in net.named_parameters() if weight.grad is None] == []


class Compiled(nn.Module):
    """As `torch.compile` returns it: its length is that of the network, which may have none."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net, self.calls = net, 0

    def __len__(self) -> int:
        return len(self.net)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        heatmaps: Tensor = self.net(x)
        return heatmaps


def test_a_compiled_network_without_a_length_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[Compiled] = []

    def compile(net: nn.Module) -> Compiled:
        compiled.append(Compiled(net))
        return compiled[-1]

    monkeypatch.setattr(torch, "compile", compile)
    recipe = Recipe(name="tiny", network="tiny_network:InModule", data="synthetic", compile=True)
    task = PoseTask(InModule(), recipe, Codec(name="quarter", input_hw=HW, sigma=2), 1, None)
    batch = {"crop": torch.zeros(2, *HW, 3, dtype=torch.uint8), "joints": torch.ones(2, 17, 2),
             "visible": torch.ones(2, 17, dtype=torch.bool)}  # fmt: skip
    assert torch.isfinite(task.training_step(batch, 0))
    assert [one.calls for one in compiled] == [1]
