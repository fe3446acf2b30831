"""Energy: counters that start again, zones that count and zones that do not, and joules per image on a known load."""

from types import SimpleNamespace

import pytest

from bench.machine import gpu
from bench.sampling import energy


def zone(folder, name, kind, joules, span=1000.0):
    made = folder / name
    made.mkdir(parents=True)
    (made / "name").write_text(f"{kind}\n")
    (made / "energy_uj").write_text(f"{round(joules * 1e6)}\n")
    (made / "max_energy_range_uj").write_text(f"{round(span * 1e6)}\n")
    return made


def set_joules(made, joules):
    (made / "energy_uj").write_text(f"{round(joules * 1e6)}\n")


def test_packages_count_and_their_parts_do_not(tmp_path):
    first, second = zone(tmp_path, "intel-rapl:0", "package-0", 5), zone(tmp_path, "intel-rapl:1", "package-1", 7)
    parts = [
        zone(tmp_path, "intel-rapl:0:0", "core", 0),
        zone(tmp_path, "intel-rapl:2", "psys", 0),
        zone(tmp_path, "intel-rapl-mmio:0", "package-0", 0),
    ]
    meter = energy.meter_for("cpu", tmp_path)()
    with meter:
        set_joules(first, 25)
        set_joules(second, 17)
        for part in parts:
            set_joules(part, 900)
    assert meter.joules == pytest.approx(30)


def test_counters_that_start_again_lose_nothing_when_polled(tmp_path):
    made = zone(tmp_path, "intel-rapl:0", "package-0", 990, span=1000)
    meter = energy.meter_for("cpu", tmp_path)()
    with meter:
        for joules in (10, 500, 995, 5):
            set_joules(made, joules)
            meter.poll()
    assert meter.joules == pytest.approx(1015)


def test_a_meter_starts_at_zero_each_time(tmp_path):
    made = zone(tmp_path, "intel-rapl:0", "package-0", 1)
    make = energy.meter_for("cpu", tmp_path)
    for _ in range(2):
        meter = make()
        set_joules(made, 1)
        with meter:
            set_joules(made, 3)
        assert meter.joules == pytest.approx(2)


def test_a_system_without_counters_says_so(tmp_path):
    with pytest.raises(RuntimeError, match="not available: this system has no RAPL"):
        energy.meter_for("cpu", tmp_path)


def test_counters_that_may_not_be_read_are_named(tmp_path):
    made = zone(tmp_path, "intel-rapl:0", "package-0", 1)
    (made / "energy_uj").unlink()
    with pytest.raises(RuntimeError, match=r"energy_uj cannot be read"):
        energy.meter_for("cpu", tmp_path)


@pytest.fixture
def world(monkeypatch, tmp_path):
    """A machine that draws 20 W when idle and 100 W under load, on which a call takes 0.25 s."""
    made = zone(tmp_path, "intel-rapl:0", "package-0", 0, span=300)
    state = SimpleNamespace(now=0.0, used=0.0)

    def advance(seconds, watts):
        state.now += seconds
        state.used += seconds * watts
        set_joules(made, state.used % 300)

    monkeypatch.setattr(energy.time, "perf_counter", lambda: state.now)
    monkeypatch.setattr(energy.time, "sleep", lambda seconds: advance(seconds, 20))
    original = energy.meter_for
    monkeypatch.setattr(energy, "meter_for", lambda device: original(device, tmp_path))
    return SimpleNamespace(call=lambda: advance(0.25, 100), synchronise=lambda: None)


def test_joules_per_image_include_the_idle_power_which_is_stated_too(world):
    found = energy.measure(world, 8, "cpu")
    assert found["value"] == pytest.approx(0.25 * 100 / 8)
    assert found["idle_power_w"] == pytest.approx(20)
    assert found["power_w"] == pytest.approx(100)
    assert found["seconds"] >= energy.LEAST_S
    assert found["images"] == 8 * found["calls"]
    assert found["disturbance"]["wall_s"] == pytest.approx(found["seconds"])


def test_a_counter_that_stands_still_is_no_energy(world, monkeypatch):
    still = energy.Counters("a counter", lambda: [5.0], [300.0])
    monkeypatch.setattr(energy, "meter_for", lambda _device: lambda: still)
    with pytest.raises(RuntimeError, match="energy is not available: a counter counted nothing in 10 s of load"):
        energy.measure(world, 8, "cpu")


def test_a_gpu_that_is_slowed_down_under_load_is_a_reason(world, monkeypatch):
    assert energy.measure(world, 8, "cpu")["reasons"] == []
    make = energy.meter_for("cpu")
    monkeypatch.setattr(energy, "meter_for", lambda _device: make)
    monkeypatch.setattr(energy, "_current_gpu", lambda: 3)
    states = {3: iter([gpu.GpuState(), gpu.GpuState(throttle_reasons=("power cap",))])}
    monkeypatch.setattr(gpu, "state", lambda index: next(states[index]))
    assert energy.measure(world, 8, "cuda")["reasons"] == ["GPU throttled: power cap"]


def test_a_gpu_is_read_by_its_counter_then_by_its_power_then_not_at_all(monkeypatch):
    monkeypatch.setattr(energy, "_current_gpu", lambda: 0)
    monkeypatch.setattr(gpu, "energy_joules", lambda _index: 5.0)
    assert energy.meter_for("cuda")().source == "NVML energy counter"
    monkeypatch.setattr(gpu, "energy_joules", lambda _index: None)
    monkeypatch.setattr(gpu, "state", lambda _index: gpu.GpuState(power_w=80.0))
    assert energy.meter_for("cuda")().source == "NVML power samples"
    monkeypatch.setattr(gpu, "state", lambda _index: None)
    with pytest.raises(RuntimeError, match="energy is not available"):
        energy.meter_for("cuda")


@pytest.mark.cuda
@pytest.mark.slow
def test_a_real_gpu_draws_more_under_load_than_idle():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available() or gpu.state() is None:
        pytest.skip("no CUDA device with NVML")
    matrix = torch.rand(8192, 8192, device="cuda")
    runner = SimpleNamespace(call=lambda: torch.mm(matrix, matrix), synchronise=torch.cuda.synchronize)
    found = energy.measure(runner, 1, "cuda")
    assert found["power_w"] > found["idle_power_w"] > 0
