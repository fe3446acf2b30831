"""What the paper needs measured, as data. Imports no torch."""

from dpn.spec import DPNLiteSpec
from dpn.zoo import ZOO

SUITES: dict[str, tuple[str, ...]] = {
    "paper": tuple(name for name, spec in ZOO.items() if not isinstance(spec, DPNLiteSpec)),
    "quick": ("dpn4_32", "dpn4_64", "sbl_r50", "hrnet_w32"),
}
"""Names of networks by suite: every network of the paper's tables, and the four that its argument turns on."""


def networks(suite: str) -> tuple[str, ...]:
    """The networks of a suite; a KeyError lists the suites when there is none of that name."""
    if suite not in SUITES:
        raise KeyError(f"no suite named {suite!r}; there are {', '.join(SUITES)}")
    return SUITES[suite]
