"""Every rule of the tracer against the Jacobian of what it describes, unit by unit and channel by channel."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from analysis.receptive_fields.field_rules import RULES
from tests.analysis.jacobians import Operator, assert_is_the_jacobians_support, graph_of

MASK = torch.arange(9) % 2 == 0
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


OPERATORS: dict[str, Operator] = {
    "reflection": lambda x: F.pad(x, (1, 2, 2, 1), mode="reflect"),
    "replication": lambda x: F.pad(x, (1, 2, 2, 1), mode="replicate"),
    "circular": lambda x: x + F.pad(x, (1, 2, 3, 1), mode="circular")[:, :, 1:8, 2:11],
    "circular and crop": lambda x: F.pad(x, (-1, 2, 3, -2), mode="circular"),
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
    "filled": lambda x: x + (2 * x).fill_(3) + (3 * x).zero_(),
    "masked": lambda x: x.masked_fill(MASK.to(x.device), 2.0) * x.clone().masked_fill_(MASK.to(x.device), 3.0) + x,
    "reshaped": lambda x: x.reshape(x.shape).view_as(x).contiguous().clone(),
    "broadcast channel": lambda x: x * torch.sigmoid(x[:, :1]),
    "windows": lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True),
    "linear": lambda x: LINEAR.to(x.device)(F.adaptive_avg_pool2d(x, 1).flatten(1)).unflatten(1, (4, 1, 1)),
}  # fmt: skip


@pytest.mark.parametrize("name", OPERATORS)
def test_a_rule_is_the_jacobians_support(name: str) -> None:
    graph = graph_of(OPERATORS[name])
    assert not any(one.problem for one in graph.maps), [one.problem for one in graph.maps if one.problem]
    assert_is_the_jacobians_support(OPERATORS[name], graph)


def test_the_operators_above_and_random_networks_meet_most_rules() -> None:
    """What no test meets is written down, so that a new rule without a test is noticed."""
    met: set[str] = set()
    for operator in OPERATORS.values():
        graph = graph_of(operator)
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
