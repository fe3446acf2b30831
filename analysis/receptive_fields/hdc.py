"""The hybrid dilated convolution rule (Wang et al., WACV 2018), exactly as printed there, with its known failures."""

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.receptive_fields.path_matrices import KERNEL

HDC_FAILURES = (
    "the rule of Wang et al. 2018 as printed; it passes six layers of dilation 2, which read 27 % of their field, "
    "fails the pyramid 32,16,8,4,2,1, which reads all of it, and passes the reversed pyramid, "
    "whose neighbouring outputs share nothing inside"
)


@dataclass(frozen=True, kw_only=True)
class Hdc:
    """The verdict of the hybrid dilated convolution rule on one module.

    Attributes:
        m2: M_2, the largest distance between non-zero positions that the rule allows for; None for a single layer.
        passes: whether M_2 is at most the kernel, 3.
        failures: where the rule is known to be wrong.
    """

    m2: int | None
    passes: bool | None
    failures: str = HDC_FAILURES


def hdc(dilations: Sequence[int]) -> Hdc:
    """M_i = max(M_{i+1} - 2 r_i, M_{i+1} - 2 (M_{i+1} - r_i), r_i) with M_n = r_n; a module passes if M_2 <= 3.

    Args:
        dilations: r_1 .. r_n of one module, input to output.

    Example:
        >>> hdc((32, 16, 8, 4, 2, 1)).m2, hdc((1, 2, 4, 8, 16, 32)).m2
        (21, 2)
    """
    if len(dilations) < 2:
        return Hdc(m2=None, passes=None)
    m = dilations[-1]
    for r in reversed(dilations[1:-1]):
        m = max(m - 2 * r, m - 2 * (m - r), r)
    return Hdc(m2=m, passes=m <= KERNEL)
