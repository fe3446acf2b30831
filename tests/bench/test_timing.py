"""How many calls a sample needs and what a sample divides by, on a clock that only the calls move."""

import pytest

from bench.sampling import timing


class Clock:
    """A runner whose calls and waits move the clock by fixed nanoseconds."""

    def __init__(self, *costs_ns, wait_ns=0):
        self.now = 0
        self.costs = list(costs_ns)
        self.wait_ns = wait_ns
        self.calls = self.waits = 0

    def call(self):
        self.now += self.costs.pop(0) if len(self.costs) > 1 else self.costs[0]
        self.calls += 1

    def synchronise(self):
        self.now += self.wait_ns
        self.waits += 1


@pytest.fixture
def clock(monkeypatch):
    def make(*costs_ns, wait_ns=0):
        made = Clock(*costs_ns, wait_ns=wait_ns)
        monkeypatch.setattr(timing, "perf_counter_ns", lambda: made.now)
        return made

    return make


@pytest.mark.parametrize(("cost_ns", "calls"), [(50_000_000, 1), (10_000_000, 1), (1_000_000, 10), (3_000_000, 4)])
def test_a_sample_lasts_at_least_the_target(clock, cost_ns, calls):
    assert timing.calls_for(clock(cost_ns)) == calls


def test_a_slow_first_call_does_not_make_samples_short(clock):
    assert timing.calls_for(clock(9_000_000, 1_000_000)) == 10


def test_a_call_that_takes_no_time_ends_the_search(clock):
    assert timing.calls_for(clock(0)) == timing.MOST_CALLS


def test_a_sample_is_seconds_per_call_with_one_wait_for_all(clock):
    runner = clock(2_000_000, wait_ns=4_000_000)
    assert timing.sample(runner, 4) == pytest.approx((4 * 2e-3 + 4e-3) / 4)
    assert (runner.calls, runner.waits) == (4, 1)


def test_throughput_counts_images_and_waits_rarely(clock):
    runner = clock(1_000_000, wait_ns=1_000_000)
    rate = timing.throughput_sample(runner, 1.0, batch=8)
    waited = (runner.waits - 1) * 1e-3  # the first wait is before the clock starts
    assert rate == pytest.approx(8 * runner.calls / (runner.calls * 1e-3 + waited))
    assert runner.waits < 30
    assert runner.calls >= 950


def test_one_call_longer_than_the_window_is_one_call(clock):
    runner = clock(3_000_000_000)
    assert timing.throughput_sample(runner, 1.0, batch=2) == pytest.approx(2 / 3)
    assert runner.calls == 1


@pytest.mark.parametrize("wrong", [0, -1])
def test_senseless_requests_are_refused(clock, wrong):
    with pytest.raises(ValueError, match="at least one call"):
        timing.sample(clock(1), wrong)
    with pytest.raises(ValueError, match="longer than 0 s"):
        timing.calls_for(clock(1), wrong)
    with pytest.raises(ValueError, match="longer than 0 s"):
        timing.throughput_sample(clock(1), wrong, 1)
