"""What a function of one small image reads by autograd, against what the tracer says of it."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from analysis.receptive_fields.field_trace import trace
from analysis.receptive_fields.receptive_field import FieldGraph
from tests.analysis.random_networks import Apply

SHAPE = (1, 4, 7, 9)
Operator = Callable[[Tensor], Tensor]


def graph_of(operator: Operator) -> FieldGraph:
    """The graph of a function, traced with values."""
    return trace(Apply(operator), torch.rand(SHAPE, dtype=torch.float64), device="cpu")


def assert_is_the_jacobians_support(operator: Operator, graph: FieldGraph) -> None:
    """Holds the field of every unit of the output, of all channels and of each, against the Jacobian."""
    torch.manual_seed(1)
    x = torch.rand(SHAPE, dtype=torch.float64) + 0.5
    jacobian = torch.autograd.functional.jacobian(operator, x)[0, ..., 0, :, :, :]  # (C', H', W', C, H, W)
    truth = (jacobian.abs() > 1e-12).any(dim=3).numpy()
    channels, height, width = truth.shape[:3]
    assert graph.maps[graph.index("output")].shape == (channels, height, width)
    units = [(y, x) for y in range(height) for x in range(width)]
    together = graph.backward("output", units)[0].support
    assert np.array_equal(together.reshape(height, width, *SHAPE[2:]), truth.any(axis=0))
    for channel in range(channels):
        alone = graph.backward("output", units, channel=channel)[0].support
        assert np.array_equal(alone.reshape(height, width, *SHAPE[2:]), truth[channel]), channel
