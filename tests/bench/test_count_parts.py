"""The parts of a network add up to its count, and each is what its modules cost."""

import pytest
import torch.nn.functional as F
from torch import Tensor, nn

from bench.counts.macs import count
from bench.counts.parts import Part, parts


class Made(nn.Module):
    """Two parts, one of which is called first though it stands last, a shared layer, and a product of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.Conv2d(4, 2, 1, bias=False), nn.BatchNorm2d(2))
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4))
        self.again = self.stem[1]
        self.scale = nn.Parameter(nn.init.ones_(nn.Linear(2, 2).weight.detach()))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(self.head(self.again(self.stem(x))).mean((2, 3)), self.scale)


def test_a_part_has_all_that_its_modules_hold_and_do_in_the_order_of_first_calls() -> None:
    assert parts(count(Made(), (1, 3, 5, 5)), 1) == [
        Part(module="stem", params=12 + 8, macs=300, live_macs=300),
        Part(module="head", params=8 + 4, macs=200, live_macs=200),
        Part(module="", params=4, macs=4, live_macs=4),
    ]


def test_what_is_never_counted_stands_behind_its_neighbour() -> None:
    named = [(part.module, part.params) for part in parts(count(Made(), (1, 3, 5, 5)), 2)]
    assert named == [("stem.0", 12), ("stem.1", 8), ("head.0", 8), ("head.1", 4), ("", 4)]


@pytest.mark.parametrize("depth", [1, 2, 9])
def test_parts_add_up_to_the_count(depth: int) -> None:
    counted = count(Made(), (1, 3, 5, 5))
    found = parts(counted, depth)
    assert len({part.module for part in found}) == len(found)
    for quantity in ("params", "macs", "live_macs"):
        assert sum(getattr(part, quantity) for part in found) == getattr(counted, quantity)
