"""Intervals of few draws: what a bootstrap's percentiles lack, added where they are shown. Imports no torch.

Records hold the percentiles as they came, so that one rule holds for all of them.
"""

import math
from collections.abc import Sequence

from analysis.trained.seeds import student
from bench.statistics import CONFIDENCE, Interval

FEW_IMAGES = 64
"""Images of one network below which an interval of its cosines covers less than it should, whatever its width.

What is left is the skewness of a ratio: in simulations it covers some 85 % with 2 to 16 images and some 90 % with 32.
"""


def widened(ends: Sequence[float], draws: int, most: float = math.inf) -> Interval:
    """A bootstrap's 95 % percentiles, made as much wider about their middle as Student's t interval of a mean is.

    Resampled means of n draws scatter less than means of n draws do, by the root of (n - 1) / n, and their percentiles
    take the scatter for known: their interval of a mean covers half the time with two draws, and 89 % with eight.

    Args:
        ends: the percentiles, of what is never negative.
        draws: how many independent ones, at least two.
        most: what the value can be; the interval ends there, and at 0.

    Example:
        >>> found = widened((0.24, 0.26), 8)
        >>> round(found.low, 4), round(found.high, 4)
        (0.2371, 0.2629)
    """
    factor = math.sqrt(draws / (draws - 1)) * student(draws) / student(math.inf)
    middle, half = (ends[0] + ends[1]) / 2, factor * (ends[1] - ends[0]) / 2
    return Interval(max(middle - half, 0.0), min(middle + half, most), CONFIDENCE)


def over_draws(ends: Sequence[float], images: int, networks: int) -> Interval:
    """`widened` for shares and cosines: networks are the draws, where there are several, and else the images."""
    return widened(ends, networks if networks > 1 else images, 1.0)
