"""The exact expectation of squared gradients in a random stack of convolutions, with and without shortcuts. No torch.

In a stack with independent weights of mean 0 the expected squared gradient follows the paths, each layer spreading what
it gets evenly over its taps; a ReLU halves all of it alike. A residual block keeps part of it in place.
"""

from collections.abc import Sequence

import numpy as np

from analysis.effective_fields.erf_metrics import Values
from analysis.receptive_fields.axes import Window, connect


def expected_field(
    dilations: Sequence[int], size: Sequence[int], at: Sequence[int], *,
    ratios: float | Sequence[float] | None = None,
) -> Values:  # fmt: skip
    """What each position of the input is expected to contribute to one unit of the output; the shares of each block.

    A block with branch/identity variance ratio v gives the part 1 / (1 + v) to the position itself and v / (1 + v) to
    the branch's taps in equal parts; without shortcuts all goes to the taps. What falls beyond the map is lost, as in
    zero padding. One axis alone has its own shares: in two dimensions a block with a shortcut is no product of axes.

    Args:
        dilations: of the 3x3 layers, input to output.
        size: positions along each axis: (H, W), or (N,) for one axis alone.
        at: the unit, one number for each axis.
        ratios: v of each block, input to output, or of all; None for a plain stack without shortcuts.

    Returns:
        A field of that size; its sum is 1 where nothing is lost.

    Example:
        >>> expected_field((2, 1), (7,), (3,), ratios=1.0).round(3)
        array([0.028, 0.111, 0.139, 0.444, 0.139, 0.111, 0.028])

    Raises:
        ValueError: sizes, unit or ratios do not fit.
    """
    given = [ratios] * len(dilations) if ratios is None or isinstance(ratios, int | float) else list(ratios)
    if len(given) != len(dilations):
        raise ValueError(f"{len(given)} ratios for {len(dilations)} dilations; give one for each, or a single number")
    if any(v is not None and not v >= 0 for v in given):
        raise ValueError(f"ratios {given}: variances have no negative ratio")
    if len(size) != len(at) or any(not 0 <= one < n for one, n in zip(at, size, strict=False)):
        raise ValueError(f"unit {tuple(at)} is not on a map of size {tuple(size)}")
    field = np.zeros(tuple(size))
    field[tuple(at)] = 1
    for dilation, ratio in zip(reversed(dilations), reversed(given), strict=True):
        rule = Window(3, 1, dilation, dilation)
        field = through_block(field, [rule] * field.ndim, ratio)
    return field


def through_block(field: Values, rules: Sequence[Window], ratio: float | None) -> Values:
    """What a block makes of a field; backward and forward alike, for its taps lie evenly around each position.

    Args:
        field: (..., H, W), or (..., N) for one axis alone.
        rules: of the branch's convolution, which keeps the map's size; one for each axis, the last of `field`.
        ratio: branch/identity variance ratio, or None for a block without shortcut.
    """
    branch = field
    for axis, rule in zip(range(-len(rules), 0), rules, strict=True):
        frame = (0, field.shape[axis] - 1)
        branch = connect(rule, frame, frame, clamp=False).backward(branch, axis) / rule.kernel
    return branch if ratio is None else (field + ratio * branch) / (1 + ratio)
