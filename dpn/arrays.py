"""The types of arrays that the modules of this package hand to each other."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Flags = NDArray[np.bool_]
Pixels = NDArray[np.uint8]
"""(H, W, 3), blue, green, red, as OpenCV reads it."""
