"""The two rules decide as their tools do."""

import numpy as np
import pytest

from bench.verdicts.yardsticks import asv_rule, pytest_benchmark_rule


def test_the_fastest_sample_alone_decides_for_pytest_benchmark() -> None:
    assert pytest_benchmark_rule([1.0, 1.0], [1.051, 1.06]) == "slower"
    assert pytest_benchmark_rule([1.0, 9.0], [1.049, 90.0]) == "same"
    assert pytest_benchmark_rule([1.051, 1.06], [1.0, 9.0]) == "faster"
    assert pytest_benchmark_rule([1.0], [1.3], tolerance=0.5) == "same"


def test_asv_needs_rank_and_factor() -> None:
    base = [1 + index / 1000 for index in range(20)]
    assert asv_rule(base, [1.2 * one for one in base]) == "slower"
    assert asv_rule([1.2 * one for one in base], base) == "faster"
    assert asv_rule(base, [1.09 * one for one in base]) == "same"  # certain, yet below the factor
    assert asv_rule(base[:3], [2 * one for one in base[:3]]) == "same"  # far apart, yet three samples prove nothing


def test_both_are_fooled_by_a_process_that_is_off() -> None:
    """Pooled samples of one process each: the reason why the harness starts fresh processes."""
    noise = np.random.default_rng(0).lognormal(0, 0.02, (2, 30))
    base, same_network = noise[0], noise[1] * 1.12
    assert pytest_benchmark_rule(list(base), list(same_network)) == "slower"
    assert asv_rule(list(base), list(same_network)) == "slower"


def test_equal_samples() -> None:
    assert asv_rule([1.0] * 9, [1.0] * 9) == "same"
    with pytest.raises(ValueError, match="empty"):
        pytest_benchmark_rule([], [1.0])
