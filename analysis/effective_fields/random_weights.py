"""Random weights with which an effective receptive field means something: maps neither vanish nor explode with depth.

With the recipe's own initialisation, N(0, 0.001), branches vanish beside their shortcuts in evaluation mode, so that
nothing of a residual network but its shortcuts would be seen. In a training step batch norm undoes that; `calibrated`
does the same without training.
"""

from collections.abc import Callable
from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from analysis.effective_fields.field_pass import as_it_was, forward
from analysis.effective_fields.image_batches import like
from bench.running.torch_networks import norms
from dpn.program.error_words import in_words

_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear, *_TRANSPOSED)

POWER_ITERATIONS = 15
"""As many as `torch.nn.utils.parametrizations.spectral_norm` begins with."""


def draw_he(net: nn.Module, seed: int) -> None:
    """He et al.'s initialisation, ICCV 2015: weights N(0, 2 / fan-in), biases 0, batch norm 1 and 0 throughout.

    Fan-in is the number of products behind one output: of a transposed convolution those that do not meet a hole.
    A parametrized weight, such as one under weight or spectral norm, is what the parametrization makes of the draw.

    Args:
        net: whose convolutions, linear layers and batch norms get new weights, in the order of its modules.
        seed: the same network gets the same weights for the same seed.

    Raises:
        ValueError: a weight is computed from others in a way that does not let it be set; names the layer.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, module in net.named_modules():
        if isinstance(module, _LAYERS):
            weight = module.weight
            fan_in = weight[0].numel()
            if isinstance(module, _TRANSPOSED):
                stride = torch.tensor(module.stride).prod().item()
                fan_in = max(1, round(weight[:, 0].numel() / module.groups / stride))
            with torch.no_grad():
                _set(name, module, "weight", torch.randn(weight.shape, generator=generator) * sqrt(2 / fan_in))
                if module.bias is not None:
                    _set(name, module, "bias", torch.zeros_like(module.bias))
    for _, module in norms(net):
        with torch.no_grad():
            module.running_mean.zero_()
            module.running_var.fill_(1)
            for name, value in (("weight", 1.0), ("bias", 0.0)):
                if getattr(module, name, None) is not None:
                    getattr(module, name).fill_(value)


def _set(path: str, module: nn.Module, name: str, value: Tensor) -> None:
    """Gives a layer a weight or bias, through its parametrizations where it has some."""
    what, remedy = f"{path}.{name}".lstrip("."), "take the network with its own weights, --initial given"
    if name in vars(module):  # no parameter and no buffer, and so written anew in every forward pass
        raise ValueError(
            f"{what} is computed by a hook, such as that of the old weight_norm or of pruning, and cannot be drawn; "
            f"{remedy}, or use torch.nn.utils.parametrizations"
        )
    if not is_parametrized(module, name):
        getattr(module, name).copy_(value)
        return
    try:
        setattr(module, name, value.to(getattr(module, name)))
    except Exception as error:  # a parametrization is anybody's
        raise ValueError(f"{what} is parametrized and cannot be drawn: {in_words(error)}; {remedy}") from error
    rule = module.get_submodule(f"parametrizations.{name}")
    training = rule.training
    rule.train()
    for _ in range(POWER_ITERATIONS):  # spectral norm goes on with its estimate where it is asked in training mode
        getattr(module, name)
    rule.train(training)


def calibrate_norms(net: nn.Module, images: Tensor) -> None:
    """Gives every batch norm the mean and variance, channel by channel, of what reaches it from a batch of images.

    In evaluation mode the network then does to these images what it does in training mode, dropout apart. (Where only
    the size of maps matters, `bench.running.torch_networks.calibrate` leaves the network more linear.)

    Args:
        net: in evaluation mode.
        images: (B, C, H, W).
    """
    seen: set[nn.Module] = set()

    def fit(module: Any, inputs: tuple[Tensor, ...]) -> None:
        if module not in seen:  # one that is called again keeps what it got at first
            seen.add(module)
            dims = [d for d in range(inputs[0].dim()) if d != 1]
            module.running_mean.copy_(inputs[0].mean(dims))
            module.running_var.copy_(inputs[0].var(dims, correction=0))

    hooks = [module.register_forward_pre_hook(fit) for _, module in norms(net)]
    try:
        with torch.no_grad():
            forward(net, images)
    finally:
        for hook in hooks:
            hook.remove()


def _calibrated(net: nn.Module, seed: int, images: Tensor) -> None:
    draw_he(net, seed)
    calibrate_norms(net, images)


WEIGHTS: dict[str, Callable[[nn.Module, int, Tensor], None]] = {
    "calibrated": _calibrated,
    "he": lambda net, seed, _: draw_he(net, seed),
    "given": lambda _net, _seed, _images: None,
}
"""Ways to initialise a network for a seed and some images: `given` leaves it as it was built."""


def drawn(build: Callable[[], nn.Module], seed: int, images: Tensor, weights: str = "calibrated") -> nn.Module:
    """A network with random weights; torch's own generator is left as it was.

    Args:
        build: makes it; called with torch's generator seeded.
        seed: of its weights.
        images: (B, C, H, W), for weights that are fitted to images.
        weights: a key of `WEIGHTS`.

    Raises:
        KeyError: no way to initialise has that name.
    """
    if weights not in WEIGHTS:
        raise KeyError(f"no weights named {weights!r}, only {', '.join(WEIGHTS)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = build()
    with as_it_was(net, training=False):
        WEIGHTS[weights](net, seed, like(net, images))
    return net
