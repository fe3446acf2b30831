"""The explorer's colours, as indices into palettes: one picture for light and for dark pages. No torch."""

from functools import lru_cache

import matplotlib
import numpy as np
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from analysis.plots.style import DARK, READERS, Theme

Indices = NDArray[np.uint8]

PAGE, ZERO, UNIT, NEIGHBOUR, BOTH = range(5)
INK = 16
"""First of the steps from the page's colour to the ink's, which smooth letters need."""
INK_STEPS = 32
SCALE = 64
"""First of the colours of a share, the smallest; the last index is the largest."""
SCALE_STEPS = 192

LIGHT_ZERO, DARK_ZERO = "#d3d6da", "#353a41"


@lru_cache(maxsize=2)
def palette(theme: Theme) -> Indices:
    """(256, 3) the colours of a theme, by index."""
    dark = theme is DARK
    colours = np.zeros((256, 3))
    looks = [READERS[name] for name in ("u", "next", "both")]
    named = [theme.background, DARK_ZERO if dark else LIGHT_ZERO]
    named += [look.on_dark if dark else look.on_light for look in looks]
    colours[: len(named)] = [to_rgb(name) for name in named]
    page, ink = np.array(to_rgb(theme.background)), np.array(to_rgb(theme.ink))
    colours[INK : INK + INK_STEPS] = page + np.linspace(0, 1, INK_STEPS)[:, None] * (ink - page)
    # The darkest part of viridis is left out: on a dark page a small share would be darker than the grey of a zero.
    colours[SCALE:] = matplotlib.colormaps["viridis"](np.linspace(0.2, 1, SCALE_STEPS))[:, :3]
    return np.rint(colours * 255).astype(np.uint8)
