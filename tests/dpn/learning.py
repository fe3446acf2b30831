"""What tests need to see that a network learns: some steps, and a gradient at every weight."""

from collections.abc import Callable, Collection

from torch import Tensor, nn
from torch.optim import Optimizer

STEPS = 10


def losses_of_ten_steps(
    net: nn.Module, optimiser: Optimizer, loss: Callable[[], Tensor], unreached: Collection[str] = ()
) -> list[float]:
    """The loss before each step and behind the last one.

    Args:
        net: whose every gradient must be there and finite.
        optimiser: of its weights.
        loss: looks at the network afresh.
        unreached: names of the weights that no gradient reaches, nor may.
    """
    losses = []
    for step in range(STEPS + 1):
        optimiser.zero_grad()
        value = loss()
        value.backward()
        losses.append(value.item())
        assert {path for path, weight in net.named_parameters() if weight.grad is None} == set(unreached)
        for path, weight in net.named_parameters():
            assert weight.grad is None or bool(weight.grad.isfinite().all()), path
        if step < STEPS:
            optimiser.step()
    return losses
