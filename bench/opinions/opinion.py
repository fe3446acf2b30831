"""What another tool says of a network's cost, and the copy of the network that it is asked about."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from dpn.evaluation_mode import evaluating


@dataclass(frozen=True, kw_only=True)
class Opinion:
    """What another tool counts for one image.

    Attributes:
        counter: a key of `second_opinions.COUNTERS`.
        version: of the tool; empty when it is not installed.
        total: its count, in MACs as it defines them; FlopCounterMode, which counts FLOPs, halved. None on failure.
        own_macs: our nominal multiply-adds; None when our own count failed.
        extras: reason -> MACs that the tool counts and we do not; negative for what it misses.
        failure: why there is no total, with the remedy.
    """

    counter: str
    version: str
    total: int | None
    own_macs: int | None
    extras: Mapping[str, int] = field(default_factory=dict)
    failure: str = ""

    @property
    def unexplained(self) -> int | None:
        """What the extras leave of the difference from our count: 0 when the two agree, None without a total."""
        if self.total is None or self.own_macs is None:
            return None
        return self.total - self.own_macs - sum(self.extras.values())


Answer = tuple[int, Mapping[str, int]]
"""A tool's total and the extras in it."""


def blank_copy(net: nn.Module, device: str) -> nn.Module:
    """A copy in evaluation mode with zeros for all weights, which are never denormal; the originals are not read."""
    blank: dict[int, Any] = {}
    for tensor in (*net.parameters(), *net.buffers()):
        zeros = torch.zeros(tensor.shape, dtype=tensor.dtype, device=device)
        as_parameter = isinstance(tensor, nn.Parameter)
        blank[id(tensor)] = nn.Parameter(zeros, requires_grad=False) if as_parameter else zeros
    return evaluating(copy.deepcopy(net, blank))
