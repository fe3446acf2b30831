"""The start of the steady state is found in series whose answer is known."""

from collections import Counter

import numpy as np
import pytest

from bench.sampling.steady import steady_start
from tests.bench.synthetic_series import KINDS, Series, series

SEEDS = (100, 101, 102)  # none of them is the seed that the constants were chosen on


@pytest.fixture(scope="module")
def answered() -> list[tuple[Series, int | None]]:
    return [(one, steady_start(one.samples)) for seed in SEEDS for one in series(200, seed)]


def test_at_least_95_percent_are_right(answered: list[tuple[Series, int | None]]) -> None:
    for first in range(0, len(answered), 200):
        assert np.mean([one.right(found) for one, found in answered[first : first + 200]]) >= 0.95


def test_no_kind_and_no_length_is_left_behind(answered: list[tuple[Series, int | None]]) -> None:
    right, of = Counter[tuple[str, bool]](), Counter[tuple[str, bool]]()
    for one, found in answered:
        group = (one.kind, len(one.samples) <= 16)
        of[group] += 1
        right[group] += one.right(found)
    assert {kind for kind, _ in of} == set(KINDS)
    assert {kind for kind, short in of if short} == {"flat", "warm-up", "steps"}
    assert min(right[group] / of[group] for group in of) >= 0.85


def test_judging_is_strict() -> None:
    ones = np.ones(40)
    early = Series(kind="steps", samples=ones, truth=10, earliest=10)
    assert [found for found in range(40) if early.right(found)] == [10, 11, 12, 13, 14]
    assert not early.right(None)
    never = Series(kind="drift", samples=ones, truth=None, earliest=30)
    assert never.right(None)
    assert not never.right(30)


def test_answers_that_never_vary_are_mostly_wrong(answered: list[tuple[Series, int | None]]) -> None:
    for answer in (None, 0):
        assert np.mean([one.right(answer) for one, _ in answered]) < 0.6


def test_the_series_repeat_and_are_as_described() -> None:
    first, second = list(series(50, 3)), list(series(50, 3))
    assert all((a.samples == b.samples).all() for a, b in zip(first, second, strict=True))
    assert Counter(one.kind for one in first) == dict.fromkeys(KINDS, 10)
    assert all((one.samples > 0).all() and 6 <= len(one.samples) <= 3003 for one in first)
    assert all((one.truth is None) == (one.kind in ("drift", "none")) for one in first if one.kind != "steps")


@pytest.mark.parametrize("slow", [(2.5,), (4.0, 1.5), (8.0, 2.0, 1.4)])
@pytest.mark.parametrize("steady", [6, 8, 12])
def test_slow_first_samples_are_left_out(slow: tuple[float, ...], steady: int) -> None:
    generator = np.random.default_rng(steady)
    found = [steady_start([*slow, *generator.lognormal(0, 0.02, steady)]) for _ in range(100)]
    assert found.count(len(slow)) >= 90


def test_four_samples_of_a_slow_network() -> None:
    assert steady_start([3.1, 2.0, 2.02, 1.99]) == 1
    assert steady_start([2.0, 2.01, 2.02, 1.99]) == 0


def test_too_few_samples_have_no_steady_state() -> None:
    assert steady_start([]) is None
    assert steady_start([1.0, 1.0]) is None


def test_equal_samples_are_steady() -> None:
    assert steady_start([0.25] * 9) == 0
    assert steady_start([0.25] * 1000) == 0


def test_the_unit_does_not_matter() -> None:
    for one in series(50, 4):
        assert steady_start(one.samples * 1024) == steady_start(one.samples)  # exact in binary


def test_spikes_do_not_end_a_steady_state() -> None:
    generator = np.random.default_rng(5)
    samples = generator.lognormal(0, 0.03, 300)
    samples[10::25] *= 4
    samples[120:124] *= 2  # a short burst
    assert steady_start(samples) == 0


def test_a_change_of_level_needs_half_the_series_after_it() -> None:
    noise = np.random.default_rng(6).lognormal(0, 0.01, 100)
    for at in (20, 40, 49):
        assert steady_start(noise * np.where(np.arange(100) < at, 1.0, 0.8)) == at
    for at in (55, 80, 95):
        assert steady_start(noise * np.where(np.arange(100) < at, 1.0, 0.8)) is None


def test_a_drift_within_the_tolerance_is_steady_and_a_larger_one_is_not() -> None:
    noise = np.random.default_rng(7).lognormal(0, 0.01, 200)
    assert steady_start(noise * np.linspace(1, 1.03, 200)) == 0
    assert steady_start(noise * np.linspace(1, 1.2, 200)) is None
    assert steady_start(noise * np.linspace(1.2, 1, 200)) is None


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("nan"), float("inf")])
def test_a_time_that_is_none_is_named(wrong: float) -> None:
    with pytest.raises(ValueError, match="positive number"):
        steady_start([1.0, wrong, 1.0])
