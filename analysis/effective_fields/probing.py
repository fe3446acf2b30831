"""Receptive fields of networks that no rule can follow: which positions a gradient ever reached, as a lower bound.

A gradient of zero proves nothing, because a ReLU may be shut or a maximum lie elsewhere; so many random images are
tried, what is found is marked as probed, and it is never mixed with exact fields.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from analysis.effective_fields.effective import squared_gradients
from analysis.receptive_fields.field_graph import Field

IMAGES = 8
"""That are tried, each drawn from a normal distribution."""


@dataclass(frozen=True)
class Probed:
    """What of a map some units were seen to read.

    Attributes:
        support: (units, H, W), where any image's gradient was not zero.
    """

    support: NDArray[np.bool_]

    @property
    def at_least_hw(self) -> tuple[tuple[int, int], ...]:
        """For each unit height and width of the rectangle around what it was seen to read; (0, 0) around nothing."""
        return tuple(Field(one).extent_hw for one in self.support)


def probe(net: nn.Module, input_hw: tuple[int, int], units: Sequence[tuple[int, int]], *, to: str = "input") -> Probed:
    """Tries random images and notes where the gradients of some outputs reach; the network is left as it was.

    Args:
        net: takes images (B, 3, H, W); its weights must not all be zero.
        input_hw: height and width of the images.
        units: row and column of each, in the network's output.
        to: module whose map is looked at, or "input".

    Raises:
        KeyError: no module of that name returns a map.
        ValueError: a unit is not on its map.
    """
    tried = torch.randn((IMAGES, 3, *input_hw), generator=torch.Generator().manual_seed(0))
    gradients = squared_gradients(net, tried, units, to=[to])[to]
    return Probed(np.asarray((gradients > 0).any(axis=1), dtype=np.bool_))
