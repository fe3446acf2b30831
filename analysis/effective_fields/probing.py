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


@dataclass(frozen=True)
class Probed:
    """What of a map some units were seen to read.

    Attributes:
        support: (units, H, W), where any image's gradient was not zero.
        images: how many were tried.
    """

    support: NDArray[np.bool_]
    images: int

    @property
    def at_least_hw(self) -> tuple[tuple[int, int], ...]:
        """For each unit height and width of the rectangle around what it was seen to read; (0, 0) around nothing."""
        return tuple(Field(one).extent_hw for one in self.support)


def probe(
    net: nn.Module, input_hw: tuple[int, int], units: Sequence[tuple[int, int]], *,
    of: str = "output", to: str = "input", images: int = IMAGES, seed: int = 0,
) -> Probed:  # fmt: skip
    """Tries random images and notes where the gradients of some units reach; the network is left as it was.

    Args:
        net: takes images (B, 3, H, W); its weights must not all be zero.
        input_hw: height and width of the images.
        units: row and column of each unit.
        of: module whose map holds the units.
        to: module whose map is looked at, or "input".
        images: how many are tried, each drawn from a normal distribution.
        seed: of the images and of the signs.

    Raises:
        KeyError: no module of that name returns a map.
        ValueError: a unit is not on its map.
    """
    generator = torch.Generator().manual_seed(seed)
    tried = torch.randn((images, 3, *input_hw), generator=generator)
    gradients = squared_gradients(net, tried, units, of=of, to=[to], seed=seed)[to]
    return Probed(np.asarray((gradients > 0).any(axis=1), dtype=np.bool_), images)
