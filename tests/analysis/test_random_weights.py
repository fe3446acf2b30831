"""Initialisations that keep maps alive, and batch norm that does in evaluation what it does in training."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

from analysis.effective_fields.random_weights import calibrate_norms, draw_he, drawn
from dpn.networks.dpn import DilationPyramidModule


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    "layer",
    [nn.Conv2d(64, 64, 3), nn.Conv2d(64, 64, 5, dilation=2, groups=4), nn.Linear(256, 256),
     nn.ConvTranspose2d(64, 64, 4, stride=2, padding=1), nn.ConvTranspose2d(64, 64, 3, groups=2)],
)  # fmt: skip
def test_he_keeps_the_mean_square(layer: nn.Module) -> None:
    """Behind a ReLU half of a unit mean square is left, and a layer with fan-in doubles it again."""
    draw_he(layer, 0)
    x = noise(64, 256, seed=1) if isinstance(layer, nn.Linear) else noise(2, 64, 40, 40, seed=1)
    y = layer(x.relu())
    inside = y if isinstance(layer, nn.Linear) else y[:, :, 4:-4, 4:-4]
    assert inside.square().mean().item() == pytest.approx(1, rel=0.1)


def test_he_follows_its_seed_alone() -> None:
    nets = [nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)) for _ in range(3)]
    for net, seed in zip(nets, (0, 0, 1), strict=True):
        nn.init.constant_(net[1].weight, 7)  # type: ignore[arg-type]
        draw_he(net, seed)
    first, again, other = ([p.detach().flatten().tolist() for p in net.parameters()] for net in nets)
    assert first == again
    assert first != other
    assert first[1:] == [[0] * 3, [1] * 3, [0] * 3]


def test_weights_under_weight_and_spectral_norm_are_drawn() -> None:
    plain = drawn(lambda: nn.Conv2d(3, 8, 3), 0, noise(1, 3, 8, 8)).get_parameter("weight")
    normed = drawn(lambda: parametrizations.weight_norm(nn.Conv2d(3, 8, 3)), 0, noise(1, 3, 8, 8))
    assert isinstance(normed, nn.Conv2d)
    assert torch.allclose(normed.weight, plain, atol=1e-6)
    assert normed.bias is not None
    assert not normed.bias.any()
    spectral = drawn(lambda: parametrizations.spectral_norm(nn.Conv2d(3, 8, 3)), 0, noise(1, 3, 8, 8))
    assert isinstance(spectral, nn.Conv2d)
    expected = plain / torch.linalg.matrix_norm(plain.flatten(1), 2)
    assert torch.allclose(spectral.eval().weight, expected, rtol=0.05, atol=1e-3)


class _OneWay(nn.Module):
    """A parametrization without a way back."""

    def forward(self, weight: Tensor) -> Tensor:
        return weight.abs()


def one_way(layer: nn.Module) -> nn.Module:
    return nn.utils.parametrize.register_parametrization(layer, "weight", _OneWay())


def pruned(layer: nn.Module) -> nn.Module:
    prune.random_unstructured(layer, "weight", 0.5)  # type: ignore[no-untyped-call]  # torch has it without
    return layer


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (one_way, "1.weight is parametrized and cannot be drawn: RuntimeError: .* not implement right_inverse"),
        (pruned, "1.weight is computed by a hook"),
        (nn.utils.spectral_norm, "1.weight is computed by a hook"),
    ],
)
def test_weights_that_cannot_be_drawn_are_refused_by_name(change: Callable[[nn.Module], nn.Module], said: str) -> None:
    net = nn.Sequential(nn.ReLU(), change(nn.Conv2d(3, 8, 3)))
    with pytest.raises(ValueError, match=rf"{said}.*--initial given"):
        draw_he(net, 0)
    assert drawn(lambda: net, 0, noise(1, 3, 8, 8), "given") is net


def test_calibrated_norms_do_in_evaluation_what_they_do_in_training() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), DilationPyramidModule(4, (2, 1)))
    images = noise(4, 3, 20, 16)
    draw_he(net, 3)
    with torch.no_grad():
        trained = net.train()(images)
        draw_he(net, 3)  # puts the statistics back
        net.eval()
        assert not torch.allclose(net(images), trained, rtol=1e-2)
        calibrate_norms(net, images)
        assert torch.allclose(net(images), trained, rtol=1e-4, atol=1e-4)
    assert all(not module._forward_pre_hooks for module in net.modules())
