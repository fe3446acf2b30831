"""Intervals cover, exact tests agree with scipy's, and verdicts err as seldom as promised under realistic noise."""

import math
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from bench.statistics import (
    ALPHA,
    Comparison,
    Interval,
    compare_processes,
    compare_rounds,
    median_interval,
    medians,
)

Values = NDArray[np.float64]

TRIALS = 300

times = st.floats(0.001, 10.0)


def contended(generator: np.random.Generator, rows: int, length: int, *, busy: float) -> Values:
    """Relative times of neighbouring samples on a busy machine, (rows, length).

    Jitter of 5 %, a slow drift, and bursts: other work takes a share `busy` of the time, six samples in a row on
    average, and slows each of them by 10 to 60 %.
    """
    ends, begins = 1 / 6, busy / (1 - busy) / 6
    inside = generator.random(rows) < busy
    slowed = np.empty((rows, length), dtype=bool)
    for index in range(length):
        draw = generator.random(rows)
        inside = np.where(inside, draw >= ends, draw < begins)
        slowed[:, index] = inside
    burst = np.where(slowed, generator.uniform(1.1, 1.6, slowed.shape), 1.0)
    drift = np.exp(np.cumsum(generator.normal(0, 0.003, slowed.shape), axis=1))
    return burst * drift * generator.lognormal(0, 0.05, slowed.shape)


def duel(
    generator: np.random.Generator, ratio: float, *, rounds: int = 8, pairs: int = 24, busy: float = 0.3
) -> list[tuple[list[float], list[float]]]:
    """Rounds of A and B in turns (A B, B A, ...), each process off by 1.5 %."""
    seen = contended(generator, rounds, 2 * pairs, busy=busy).reshape(rounds, pairs, 2)
    seen[:, 1::2] = seen[:, 1::2, ::-1]
    seen = seen * generator.lognormal(0, 0.015, (rounds, 1, 2)) * (1, ratio)
    return [(list(one[:, 0]), list(one[:, 1])) for one in seen]


def processes(generator: np.random.Generator, ratio: float, *, number: int = 5) -> list[list[float]]:
    """Fresh processes of 8 samples, off by 1.5 %, on a machine that is seldom busy: disturbed ones are repeated."""
    seen = contended(generator, number, 8, busy=0.02) * generator.lognormal(0, 0.015, (number, 1)) * ratio
    return [list(one) for one in seen]


def verdicts(found: Sequence[Comparison]) -> Counter[str]:
    return Counter(one.verdict for one in found)


def test_rounds_of_a_network_with_itself() -> None:
    generator = np.random.default_rng(1)
    seen = verdicts([compare_rounds(duel(generator, 1.0)) for _ in range(TRIALS)])
    assert seen["faster"] + seen["slower"] <= 0.01 * TRIALS
    assert seen["same"] >= 0.7 * TRIALS


@pytest.mark.parametrize(("ratio", "found"), [(1.1, 0.95), (1.25, 1.0)])
def test_rounds_find_a_slowdown_and_its_inverse(ratio: float, found: float) -> None:
    generator = np.random.default_rng(2)
    slower = verdicts([compare_rounds(duel(generator, ratio)) for _ in range(TRIALS)])
    faster = verdicts([compare_rounds(duel(generator, 1 / ratio)) for _ in range(TRIALS)])
    assert slower["slower"] >= found * TRIALS
    assert faster["faster"] >= found * TRIALS
    assert not slower["faster"] + faster["slower"] + slower["same"] + faster["same"]


def test_a_machine_busy_most_of_the_time_costs_certainty_not_correctness() -> None:
    generator = np.random.default_rng(3)
    same = verdicts([compare_rounds(duel(generator, 1.0, busy=0.6)) for _ in range(TRIALS)])
    slower = verdicts([compare_rounds(duel(generator, 1.1, busy=0.6, rounds=16)) for _ in range(TRIALS)])
    assert same["faster"] + same["slower"] <= 0.01 * TRIALS
    assert slower["slower"] >= 0.95 * TRIALS


def test_adjacent_pairs_cancel_bursts_that_medians_do_not() -> None:
    generator = np.random.default_rng(4)
    rounds = [(np.array(a), np.array(b)) for a, b in duel(generator, 1.0, rounds=400)]
    by_pairs = np.std([np.median(np.log(b / a)) for a, b in rounds])
    by_medians = np.std([np.log(np.median(b) / np.median(a)) for a, b in rounds])
    assert by_pairs < 0.9 * by_medians


def test_processes_measured_in_turns() -> None:
    generator = np.random.default_rng(5)
    same = verdicts([compare_processes(processes(generator, 1), processes(generator, 1)) for _ in range(TRIALS)])
    assert same["faster"] + same["slower"] <= 0.01 * TRIALS
    for ratio, found in ((1.1, 0.85), (1.25, 0.95)):
        pairs = [(processes(generator, 1), processes(generator, ratio)) for _ in range(TRIALS)]
        assert verdicts([compare_processes(*pair) for pair in pairs])["slower"] >= found * TRIALS


def test_processes_measured_apart_need_room_for_the_hour() -> None:
    """All processes of a side share an hour that is off by 8 %, as on shared machines."""
    generator = np.random.default_rng(17)

    def pair(ratio: float) -> tuple[list[list[float]], list[list[float]]]:
        hours = generator.lognormal(0, 0.08, 2) * (1, ratio)
        base, head = (processes(generator, float(hour)) for hour in hours)
        return base, head

    equals = [pair(1) for _ in range(TRIALS)]
    without = verdicts([compare_processes(*one) for one in equals])
    assert without["faster"] + without["slower"] >= 0.3 * TRIALS  # what the hour does where it is forgotten
    same = verdicts([compare_processes(*one, apart=0.25) for one in equals])
    assert same["faster"] + same["slower"] <= 0.01 * TRIALS
    assert verdicts([compare_processes(*pair(2), apart=0.25) for _ in range(TRIALS)])["slower"] >= 0.95 * TRIALS


def test_the_interval_of_rounds_covers_the_true_ratio() -> None:
    generator = np.random.default_rng(6)
    found = [compare_rounds(duel(generator, 1.1)) for _ in range(TRIALS)]
    assert np.mean([one.interval.low <= 1.1 <= one.interval.high for one in found]) >= 0.93
    assert all(one.interval.low <= one.ratio <= one.interval.high for one in found)


def test_the_interval_of_processes_covers_the_true_ratio() -> None:
    generator = np.random.default_rng(7)
    found = [compare_processes(processes(generator, 1), processes(generator, 1.1)) for _ in range(TRIALS)]
    assert np.mean([one.interval.low <= 1.1 <= one.interval.high for one in found]) >= 0.93
    assert all(one.interval.low <= one.ratio <= one.interval.high for one in found)


def test_the_interval_of_rounds_inverts_scipys_signed_rank_test() -> None:
    generator = np.random.default_rng(8)
    for rounds in (6, 8, 11, 16):
        logs = generator.normal(0.05, 0.03, rounds)
        found = compare_rounds([([1.0], [math.exp(one)]) for one in logs])
        assert found.p == pytest.approx(stats.wilcoxon(logs, method="exact").pvalue)
        for end, outwards in ((found.interval.low, -1e-9), (found.interval.high, 1e-9)):
            assert stats.wilcoxon(logs - math.log(end) - outwards, method="exact").pvalue <= 0.05
            assert stats.wilcoxon(logs - math.log(end) + outwards, method="exact").pvalue > 0.05


def test_the_interval_of_processes_inverts_scipys_rank_sum_test() -> None:
    generator = np.random.default_rng(9)
    for base, head in ((4, 4), (5, 5), (5, 8), (20, 7)):
        a, b = generator.normal(0, 0.03, base), generator.normal(0.05, 0.03, head)
        found = compare_processes(*([[math.exp(one)] for one in side] for side in (a, b)))
        assert found.p == pytest.approx(stats.mannwhitneyu(b, a, method="exact").pvalue)
        for end, outwards in ((found.interval.low, -1e-9), (found.interval.high, 1e-9)):
            outside, inside = (b - math.log(end) - away for away in (outwards, -outwards))
            assert stats.mannwhitneyu(outside, a, method="exact").pvalue <= 0.05
            assert stats.mannwhitneyu(inside, a, method="exact").pvalue > 0.05


def test_p_is_scipys_for_equal_times_too() -> None:
    generator = np.random.default_rng(10)
    for _ in range(50):
        a, b = (generator.integers(1, 6, size).astype(float) for size in generator.integers(1, 8, 2))
        found = compare_processes([[one] for one in a], [[one] for one in b])
        assert found.p == pytest.approx(stats.mannwhitneyu(b, a, method="exact").pvalue)
    assert compare_rounds([([1.0], [1.0])] * 8).p == 1.0


def test_confidence_of_the_interval_is_that_of_the_tables() -> None:
    rounds = [([1.0], [1.0 + index / 1000]) for index in range(8)]
    assert compare_rounds(rounds).interval.confidence == pytest.approx(1 - 2 * 5 / 2**8)  # W <= 3 in five of 256 ways
    five = [[1.0 + index / 1000] for index in range(5)]
    assert compare_processes(five, five).interval.confidence == pytest.approx(1 - 2 * 4 / 252)  # U <= 2 in four of 252


def test_too_few_processes_are_ambiguous_and_say_so() -> None:
    for number in (1, 3):
        found = compare_processes([[1.0, 1.01]] * number, [[2.0, 2.02]] * number)
        assert found.verdict == "ambiguous"
        assert f"too few for a 95 % interval: {number} against {number} processes" in found.reason
    four = compare_processes([[1.0 + i / 99] for i in range(4)], [[2.0 + i / 99] for i in range(4)])
    assert four.verdict == "ambiguous"
    assert "too few for p" in four.reason


def test_how_many_rounds_a_verdict_takes() -> None:
    by_number = {
        number: compare_rounds([([1.0], [1.2 + index / 1000]) for index in range(number)]) for number in range(1, 10)
    }
    assert {number for number, found in by_number.items() if found.verdict == "slower"} == {7, 8, 9}
    assert all("too few" in by_number[number].reason for number in range(1, 7))
    assert by_number[7].p <= ALPHA < by_number[6].p


def test_what_is_slower_is_so_by_the_estimate_and_unequal_by_the_interval() -> None:
    found = compare_rounds([([1.0], [1.08 + index * 0.05]) for index in range(8)], effect=0.25)
    assert found.verdict == "slower"
    assert found.interval.low < 1.2 < 1.25 < found.ratio
    assert found.reason.startswith("surely not equal, and 25 % or more by estimate; ")


def test_a_certain_difference_below_the_effect_is_no_alarm() -> None:
    rounds = [([1.0], [1.02 + index / 1e5]) for index in range(8)]
    assert compare_rounds(rounds).verdict == "same"
    assert compare_rounds(rounds).p < ALPHA
    assert compare_rounds(rounds, effect=0.01).verdict == "slower"
    wide = [([1.0], [1.005 + index / 80]) for index in range(8)]
    assert compare_rounds(wide).verdict == "ambiguous"
    assert "less than 5 %" in compare_rounds(wide, effect=0.05).reason


def test_identical_sides_are_the_same() -> None:
    rounds = [([1.0, 2.0], [1.0, 2.0])] * 8
    assert compare_rounds(rounds).verdict == "same"
    assert compare_rounds(rounds).p == 1
    assert compare_processes([[1.0]] * 5, [[1.0]] * 5).verdict == "same"


@given(st.lists(st.tuples(times, times), min_size=7, max_size=12))
@settings(deadline=None, max_examples=50)
def test_exchanging_the_sides_inverts_the_answer(pairs: list[tuple[float, float]]) -> None:
    other = {"faster": "slower", "slower": "faster"}
    there = compare_rounds([([a], [b]) for a, b in pairs])
    back = compare_rounds([([b], [a]) for a, b in pairs])
    assert back.ratio == pytest.approx(1 / there.ratio)
    assert (back.interval.low, back.interval.high) == pytest.approx((1 / there.interval.high, 1 / there.interval.low))
    assert back.p == pytest.approx(there.p)
    assert back.verdict == other.get(there.verdict, there.verdict)


def test_what_cannot_be_compared_is_named() -> None:
    with pytest.raises(ValueError, match="no round"):
        compare_rounds([])
    with pytest.raises(ValueError, match="round 1: 2 samples of A and 1 of B"):
        compare_rounds([([1.0], [1.0]), ([1.0, 1.0], [1.0])])
    with pytest.raises(ValueError, match=r"round 0, B: a time must be a positive number, not 0\.0"):
        compare_rounds([([1.0], [0.0])])
    with pytest.raises(ValueError, match="measure both"):
        compare_processes([[1.0]], [])
    with pytest.raises(ValueError, match="process 1 of head: no samples"):
        compare_processes([[1.0]], [[1.0], []])


@pytest.mark.parametrize("n", [1, 2, 5, 6, 9, 30, 101])
def test_the_median_interval_has_the_confidence_that_it_names(n: int) -> None:
    interval = median_interval([float(index) for index in range(1, n + 1)])
    left_out = int(interval.low) - 1
    assert interval.high == n - left_out  # symmetric
    below = [math.comb(n, k) / 2**n for k in range(n + 1)]
    assert interval.confidence == pytest.approx(max(1 - 2 * sum(below[: left_out + 1]), 0))
    if n >= 6:
        assert interval.confidence >= 0.95 > 1 - 2 * sum(below[: left_out + 2])  # one order statistic less would not
    else:
        assert left_out == 0
        assert interval.confidence < 0.95


def test_the_median_interval_covers() -> None:
    generator = np.random.default_rng(10)
    found = [median_interval(list(generator.lognormal(0, 0.3, 40))) for _ in range(1000)]
    covered = np.mean([one.low <= 1 <= one.high for one in found])
    assert covered == pytest.approx(found[0].confidence, abs=3 * math.sqrt(0.05 * 0.95 / 1000))


def test_a_process_counts_once_however_many_samples_it_delivered() -> None:
    assert medians([[1.0, 1.2, 1.1], [2.0] * 100]) == [1.1, 2.0]
    with pytest.raises(ValueError, match="no process"):
        medians([])
    with pytest.raises(ValueError, match="no samples"):
        medians([[1.0], []])


def test_the_interval_over_processes_covers_where_that_of_pooled_samples_does_not() -> None:
    """Six processes, each off by 5 %, of 20 samples that scatter by 1 % around its own time."""
    generator = np.random.default_rng(11)
    covered = {"processes": 0, "samples": 0}
    for _ in range(400):
        own = generator.lognormal(0, 0.05, (6, 1))
        drawn = own * generator.lognormal(0, 0.01, (6, 20))
        for name, values in (("processes", medians(drawn.tolist())), ("samples", drawn.ravel().tolist())):
            interval = median_interval(values)
            covered[name] += interval.low <= 1 <= interval.high
    assert covered["processes"] / 400 >= 0.94
    assert covered["samples"] / 400 < 0.75


def test_relative_width() -> None:
    assert Interval(0.98, 1.02, 0.95).relative_width(0.5) == pytest.approx(0.04)


def test_no_torch_and_no_scipy_until_needed() -> None:
    modules = "bench.statistics, bench.sampling.steady, bench.verdicts.yardsticks"
    code = f"import sys, {modules}; print({{'torch', 'scipy'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
