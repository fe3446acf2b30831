"""Every rule of the tracer against the Jacobian of what it describes, unit by unit and channel by channel."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from analysis.receptive_fields.field_rules import RULES
from analysis.receptive_fields.field_trace import trace

SHAPE = (1, 4, 7, 9)
LINEAR = nn.Linear(4, 4, dtype=torch.float64)


def squeeze_excite(x: Tensor) -> Tensor:
    return x * torch.sigmoid(LINEAR.to(x.device)(F.adaptive_avg_pool2d(x, 1).flatten(1))).view(1, 4, 1, 1)


def squeeze_excite_by_index(x: Tensor) -> Tensor:
    return x * x.mean((2, 3), keepdim=True).squeeze(3).squeeze(2)[:, :, None, None]


def copied(x: Tensor) -> Tensor:
    y = torch.zeros_like(x)
    y.copy_(2 * x)
    return y * x


def swapped(x: Tensor) -> Tensor:
    one, other = x.chunk(2, dim=1)
    return torch.cat([3 * other, one], dim=1)


def pieces(x: Tensor) -> Tensor:
    top, bottom = x.split([3, 4], dim=2)
    return top + bottom[:, :, :3]


OPERATORS: dict[str, Callable[[Tensor], Tensor]] = {
    "reflection": lambda x: F.pad(x, (1, 2, 2, 1), mode="reflect"),
    "replication": lambda x: F.pad(x, (1, 2, 2, 1), mode="replicate"),
    "zeros and crop": lambda x: F.pad(x, (-1, 2, 3, -2)),
    "zero channels": lambda x: F.pad(x, (0, 0, 0, 0, 1, 2)),
    "crop": lambda x: x[:, :, 2:, 1:-1],
    "every second": lambda x: x[:, :, ::2, 1::3],
    "some channels": lambda x: x[:, 1:3],
    "pieces": pieces,
    "swapped channels": swapped,
    "flip": lambda x: x.flip(2) + x.flip((2, 3)),
    "mean": lambda x: x * x.mean((2, 3), keepdim=True),
    "mean of rows": lambda x: x - x.mean(2, keepdim=True),
    "sum of channels": lambda x: x.sum(1, keepdim=True) * x,
    "softmax of rows": lambda x: x.softmax(2),
    "softmax of channels": lambda x: x.softmax(1),
    "logarithm of softmax": lambda x: x.log_softmax(3),
    "adaptive": lambda x: F.adaptive_avg_pool2d(x, (3, 4)),
    "attention": squeeze_excite,
    "attention by index": squeeze_excite_by_index,
    "expanded": lambda x: x.mean((2, 3), keepdim=True).expand(-1, -1, 3, 2),
    "copied": copied,
    "reshaped": lambda x: x.reshape(x.shape).view_as(x).contiguous().clone(),
    "broadcast channel": lambda x: x * torch.sigmoid(x[:, :1]),
    "windows": lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True),
    "linear": lambda x: LINEAR.to(x.device)(F.adaptive_avg_pool2d(x, 1).flatten(1)).unflatten(1, (4, 1, 1)),
}  # fmt: skip


class Apply(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


@pytest.mark.parametrize("name", OPERATORS)
def test_a_rule_is_the_jacobians_support(name: str) -> None:
    torch.manual_seed(1)
    operator = OPERATORS[name]
    x = torch.rand(SHAPE, dtype=torch.float64) + 0.5
    jacobian = torch.autograd.functional.jacobian(operator, x)[0, ..., 0, :, :, :]  # (C', H', W', C, H, W)
    truth = (jacobian.abs() > 1e-12).any(dim=3).numpy()
    graph = trace(Apply(operator), torch.rand(SHAPE, dtype=torch.float64), device="cpu")
    assert not any(one.problem for one in graph.maps), [one.problem for one in graph.maps if one.problem]
    channels, height, width = truth.shape[:3]
    assert graph.maps[graph.index("output")].shape == (channels, height, width)
    units = [(y, x) for y in range(height) for x in range(width)]
    together = graph.backward("output", units)[0].support
    assert np.array_equal(together.reshape(height, width, *SHAPE[2:]), truth.any(axis=0))
    for channel in range(channels):
        alone = graph.backward("output", units, channel=channel)[0].support
        assert np.array_equal(alone.reshape(height, width, *SHAPE[2:]), truth[channel]), channel


def test_the_operators_above_and_random_networks_meet_most_rules() -> None:
    """What no test meets is written down, so that a new rule without a test is noticed."""
    met: set[str] = set()
    for operator in OPERATORS.values():
        graph = trace(Apply(operator), torch.rand(SHAPE, dtype=torch.float64), device="cpu")
        met |= {one.op.removesuffix("_") for one in graph.maps}
    random = {"convolution", "max_pool2d", "upsample_nearest2d", "_upsample_nearest_exact2d", "upsample_bilinear2d",
              "upsample_bicubic2d", "batch_norm"}  # fmt: skip
    aliases = {"max_pool2d_with_indices", "_adaptive_avg_pool2d", "_softmax", "_log_softmax", "_unsafe_view",
               "_reshape_alias", "native_batch_norm", "cudnn_batch_norm", "_native_batch_norm_legit_no_training",
               "_batch_norm_with_update", "_batch_norm_no_update", "_to_copy", "split"}  # fmt: skip
    same = {"detach", "alias", "to", "dropout", "lift_fresh", "type_as", "feature_dropout", "alpha_dropout",
            "native_dropout", "clone", "contiguous"}  # fmt: skip
    extremes = {"amax", "amin", "adaptive_max_pool2d"}
    assert set(RULES) - met - random - aliases - same - extremes == set()
