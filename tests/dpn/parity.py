"""What tests need to hold a network to its cost, and against a second computation from its state dict alone."""

from collections.abc import Mapping
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.counts.macs import Count, count
from dpn.build import build
from dpn.spec import ModelSpec


@cache
def counted(spec: ModelSpec) -> Count:
    """Built and counted on the meta device, completely."""
    with torch.device("meta"):
        net = build(spec)
    assert all(parameter.is_meta for parameter in net.parameters())
    result = count(net, (1, 3, *spec.input_hw))
    assert result.complete
    return result


def scramble(net: nn.Module, seed: int = 0) -> nn.Module:
    """The network in double precision and evaluation mode, with weights that leave no two layers alike."""
    generator = torch.Generator().manual_seed(seed)
    net.double().eval()
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.Conv2d):
                spread = module.weight[0].numel() ** -0.5
                module.weight.normal_(0, spread, generator=generator)
                if module.bias is not None:
                    module.bias.uniform_(-0.5, 0.5, generator=generator)
            elif isinstance(module, nn.BatchNorm2d):
                for tensor, low, high in (
                    (module.weight, 0.5, 1.5),
                    (module.bias, -0.5, 0.5),
                    (module.running_mean, -0.5, 0.5),
                    (module.running_var, 0.5, 1.5),
                ):
                    assert tensor is not None
                    tensor.uniform_(low, high, generator=generator)
    return net


def relative_error(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


class Layers:
    """Convolutions and batch norms by their names in a state dict; `mistake` is one that is made on purpose."""

    def __init__(self, state: Mapping[str, Tensor], mistake: str = "") -> None:
        self.state = state
        self.mistake = mistake

    def conv(self, x: Tensor, name: str, stride: int = 1, dilation: int = 1) -> Tensor:
        weight = self.state[f"{name}.weight"]
        padding = dilation * (weight.shape[-1] // 2)
        return F.conv2d(x, weight, self.state.get(f"{name}.bias"), stride, padding, dilation)

    def norm(self, x: Tensor, name: str) -> Tensor:
        mean, var, weight, bias = (
            self.state[f"{name}.{key}"] for key in ("running_mean", "running_var", "weight", "bias")
        )
        return F.batch_norm(x, mean, var, weight, bias, eps=1e-5)
