"""Probed fields: never more than the exact ones, all of them where nothing shuts, and a way through the unknown."""

import numpy as np
import pytest
import torch
from torch import nn

from analysis.effective_fields import probing
from analysis.effective_fields.probing import Probed, probe
from analysis.receptive_fields.field_trace import trace


def test_without_gates_probing_finds_the_exact_support() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=2, dilation=2), nn.Conv2d(4, 4, 3, stride=2, padding=1))
    exact = trace(net, (1, 3, 20, 16)).backward("output", [(4, 4), (0, 7)])[0].support
    found = probe(net, (20, 16), [(4, 4), (0, 7)])
    assert np.array_equal(found.support, exact)
    assert found.at_least_hw == ((7, 7), (4, 5))


def test_gates_only_ever_hide(monkeypatch: pytest.MonkeyPatch) -> None:
    def probed(images: int) -> Probed:
        monkeypatch.setattr(probing, "IMAGES", images)
        return probe(net, (24, 24), [(6, 6)])

    torch.manual_seed(0)
    net = nn.Sequential(
        *(layer for _ in range(3) for layer in (nn.Conv2d(3, 3, 3, padding=1), nn.ReLU())), nn.MaxPool2d(2)
    )
    exact = trace(net, (1, 3, 24, 24)).backward("output", [(6, 6)])[0].support
    few, many = (probed(images).support for images in (1, 12))
    assert not (few & ~exact).any()
    assert not (many & ~exact).any()
    assert few.sum() <= many.sum()
    assert many.sum() > 0


class Rolled(nn.Module):
    """An operator that no rule follows, between two that are known."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.after = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 2, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        before = self.before(x)
        rows = torch.arange(before.shape[2]).roll(3)[:, None].expand_as(before)
        return self.after(before.gather(2, rows))


def test_probing_goes_where_no_rule_leads() -> None:
    torch.manual_seed(0)
    net = Rolled()
    assert trace(net, (1, 3, 16, 16)).problems("output")
    support = probe(net, (16, 16), [(8, 8)]).support[0]
    rows, columns = np.nonzero(support)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (3, 7, 6, 10)
    assert support.sum() == 25


def test_what_cannot_be_asked_is_one_line() -> None:
    with pytest.raises(KeyError, match="bfore"):
        probe(Rolled(), (16, 16), [(8, 8)], to="bfore")
    with pytest.raises(ValueError, match="not on the map"):
        probe(Rolled(), (16, 16), [(16, 0)])
