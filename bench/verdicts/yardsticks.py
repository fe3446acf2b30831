"""The rules by which two widely used tools call a time slower, to be applied to the same samples. Imports no torch."""

from collections.abc import Sequence

import numpy as np

from bench.statistics import Verdict

ASV_ALPHA = 0.002
"""`asv compare` calls two results different only below this p of the Mann-Whitney test."""

ASV_FACTOR = 1.1
"""The default of `asv compare --factor`: a ratio of medians beyond it is reported."""


def pytest_benchmark_rule(a: Sequence[float], b: Sequence[float], tolerance: float = 0.05) -> Verdict:
    """The verdict of pytest-benchmark's `--benchmark-compare-fail=min:5%`, and the same the other way round.

    Args:
        a: pooled times of the base.
        b: pooled times to judge, same unit.
        tolerance: relative difference of the two fastest samples that is let pass.

    Example:
        >>> pytest_benchmark_rule([1.0, 1.4], [1.06, 1.07])
        'slower'
    """
    return _beyond(min(a), min(b), 1 + tolerance)


def asv_rule(a: Sequence[float], b: Sequence[float]) -> Verdict:
    """The verdict of `asv compare` on samples: p of the two-sided Mann-Whitney test and ratio of the medians.

    Args:
        a: pooled times of the base; at least one.
        b: pooled times to judge, same unit.

    Example:
        >>> asv_rule([1.0, 1.01, 1.02, 1.03, 1.04, 1.05], [1.2, 1.21, 1.22, 1.23, 1.24, 1.25])
        'same'
        >>> asv_rule([1.0, 1.01, 1.02, 1.03, 1.04, 1.05, 1.06], [1.2, 1.21, 1.22, 1.23, 1.24, 1.25, 1.26])
        'slower'
    """
    from scipy.stats import mannwhitneyu

    if mannwhitneyu(a, b).pvalue >= ASV_ALPHA:
        return "same"
    return _beyond(float(np.median(a)), float(np.median(b)), ASV_FACTOR)


def _beyond(base: float, head: float, factor: float) -> Verdict:
    if head > base * factor:
        return "slower"
    return "faster" if base > head * factor else "same"
