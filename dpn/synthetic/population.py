"""The people from whom the synthetic scenes are cast: builds and outfits, made once in a process. Imports no torch.

What is drawn anew for every scene is who comes, what they do, where they are and the light. All seeds share the people.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from dpn.arrays import Floats
from dpn.synthetic.body import Bodies, draw_bodies
from dpn.synthetic.clothes import DRAWS, Outfits, draw_outfits
from dpn.synthetic.shape import sizes_m

PEOPLE = 2048


@dataclass(frozen=True, kw_only=True, eq=False)
class Population:
    """Everybody, in columns.

    Attributes:
        bodies: their builds.
        outfits: what they wear, in plain light.
        offsets_m: (2048, E + 21, 3), of their flesh and joints in its frames.
        radii_m: (2048, E, 3), of their flesh.
    """

    bodies: Bodies
    outfits: Outfits
    offsets_m: Floats
    radii_m: Floats


@lru_cache(maxsize=1)
def population() -> Population:
    """The same people in every process; takes some 30 ms and 10 MB when first asked for."""
    rng = np.random.default_rng(2_468_024)
    bodies, outfits = draw_bodies(rng, PEOPLE), draw_outfits(rng.random((PEOPLE, DRAWS)))
    offsets, radii = sizes_m(bodies, outfits.loose)
    return Population(bodies=bodies, outfits=outfits, offsets_m=offsets, radii_m=radii)
