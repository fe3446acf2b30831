"""The doubt before a run lets what can learn pass, and says what cannot."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from dpn.training import sanity
from dpn.training.errors import TrainingError
from dpn.training.prepare import Prepared, prepare
from dpn.training.recipes import Recipe
from tests.dpn.training.tiny_network import with_idle_weights

RECIPE = Recipe(
    name="tiny", network="dpn1_32_lite", data="synthetic:seed=1,images=16", val_data="synthetic:seed=2,images=6"
)


class Frozen(nn.Module):
    """Heatmaps that nothing changes."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scale * torch.zeros(len(x), 17, 64, 48)


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return prepare(RECIPE)


@pytest.mark.usefixtures("one_thread")
def test_a_network_that_learns_passes_and_keeps_its_weights(prepared: Prepared) -> None:
    before = {name: tensor.clone() for name, tensor in prepared.net.state_dict().items()}
    sanity.check(prepared, RECIPE, "cpu")
    assert all(torch.equal(before[name], tensor) for name, tensor in prepared.net.state_dict().items())


def test_a_network_that_cannot_learn_is_named(prepared: Prepared) -> None:
    with pytest.raises(TrainingError, match="learns nothing from its own targets"):
        sanity.check(replace(prepared, net=Frozen()), RECIPE, "cpu")


@pytest.mark.usefixtures("one_thread")
def test_weights_that_the_loss_does_not_reach_are_found(prepared: Prepared) -> None:
    before = {name: tensor.clone() for name, tensor in prepared.net.state_dict().items()}
    assert sanity.idle(prepared) == []
    assert all(torch.equal(before[name], tensor) for name, tensor in prepared.net.state_dict().items())
    assert sanity.idle(replace(prepared, net=with_idle_weights())) == ["shortcut.weight", "shortcut.bias"]


def test_targets_that_are_decoded_elsewhere_are_named(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    """Boxes that are not the people's: perfect heatmaps land beside the joints."""
    real = sanity.oracle

    def beside(*asked: object) -> object:
        return replace(real(*asked), mean_error_px=20.0)  # type: ignore[arg-type]

    monkeypatch.setattr(sanity, "oracle", beside)
    with pytest.raises(TrainingError, match=r"20\.0 px beside the true joints"):
        sanity.check(prepared, RECIPE, "cpu")
