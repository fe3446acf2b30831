"""What is read of a GPU, against a made-up NVML; without NVML every answer is None."""

import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from bench.__main__ import main
from bench.machine import gpu
from bench.machine import nvml as asking
from bench.machine.gpu import GpuState, PowerSampler, integral, reasons

GIB = 2**30
GOOD = GpuState(
    sm_clock_mhz=1500, default_sm_clock_mhz=1500, max_sm_clock_mhz=1980, throttle_reasons=(), other_processes=0
)


class NVMLError(Exception):
    """The made-up library's error."""


def refused(*_: Any) -> Any:
    raise NVMLError


def process(pid: int, used: int = GIB) -> SimpleNamespace:
    return SimpleNamespace(pid=pid, usedGpuMemory=used)


ANSWERS: dict[str, Any] = {
    "nvmlSystemGetDriverVersion": b"575.57.08", "nvmlSystemGetCudaDriverVersion": 12090, "nvmlDeviceGetCount": 2,
    "nvmlDeviceGetName": "NVIDIA H200", "nvmlDeviceGetCudaComputeCapability": (9, 0), "nvmlDeviceGetNumGpuCores": 16896,
    "nvmlDeviceGetMemoryInfo": SimpleNamespace(total=140 * GIB), "nvmlDeviceGetMemoryBusWidth": 6144,
    "nvmlDeviceGetDefaultApplicationsClock": 1500, "nvmlDeviceGetEnforcedPowerLimit": 700_000,
    "nvmlDeviceGetPersistenceMode": 1, "nvmlDeviceGetMigMode": (0, 0), "nvmlDeviceGetEccMode": (1, 1),
    "nvmlDeviceGetPowerUsage": 100_000, "nvmlDeviceGetTemperature": 61,
    "nvmlDeviceGetCurrentClocksEventReasons": 0b100100, "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=75),
    "nvmlDeviceGetTotalEnergyConsumption": 123_500,
}  # fmt: skip


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A library with one GPU, whose handle is its index or name; every answer can be replaced."""
    module = ModuleType("pynvml")
    library: Any = module
    library.NVMLError = NVMLError
    library.nvmlInit = lambda: None
    library.nvmlDeviceGetHandleByIndex = lambda index: index if index < 2 else refused()
    library.nvmlDeviceGetHandleByUUID = lambda name: name if name == "GPU-7" else refused()
    for name, answer in ANSWERS.items():
        setattr(module, name, lambda *_, answer=answer: answer)
    library.nvmlDeviceGetClockInfo = lambda _handle, kind: {1: 1410}[kind]
    library.nvmlDeviceGetMaxClockInfo = lambda _handle, kind: {1: 1980, 2: 3201}[kind]
    library.nvmlDeviceGetComputeRunningProcesses = lambda _: [process(os.getpid(), 3 * GIB), process(1)]
    monkeypatch.setitem(sys.modules, "pynvml", module)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    asking.library.cache_clear()
    yield module
    asking.library.cache_clear()


def test_state(nvml: ModuleType) -> None:
    assert nvml
    assert gpu.state() == GpuState(
        sm_clock_mhz=1410, default_sm_clock_mhz=1500, max_sm_clock_mhz=1980, power_w=100.0, temperature_c=61,
        throttle_reasons=("power cap", "temperature, by software"), utilisation=0.75, own_memory_bytes=3 * GIB,
        other_processes=1,
    )  # fmt: skip


def test_description(nvml: ModuleType) -> None:
    assert nvml
    assert gpu.describe() == {
        "gpu": "NVIDIA H200", "gpu_driver": "575.57.08", "gpu_driver_cuda": "12.9", "gpu_count": 2,
        "gpu_compute_capability": "9.0", "gpu_cores": 16896, "gpu_memory_bytes": 140 * GIB,
        "gpu_memory_bus_bits": 6144, "gpu_default_sm_clock_mhz": 1500, "gpu_max_sm_clock_mhz": 1980,
        "gpu_max_memory_clock_mhz": 3201, "gpu_power_limit_w": 700.0, "gpu_persistence": True, "gpu_mig": False,
        "gpu_ecc": True,
    }  # fmt: skip


def test_a_question_that_is_refused_or_unknown_has_no_answer(nvml: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in dir(nvml):
        if name.startswith("nvmlDeviceGet") and "Handle" not in name:
            monkeypatch.setattr(nvml, name, refused)
    assert gpu.state() == GpuState()
    assert gpu.energy_joules() is None
    for name in ANSWERS:
        monkeypatch.delattr(nvml, name)
    assert gpu.state() == GpuState()
    assert gpu.describe() == {}


def test_older_drivers_name_the_reasons_otherwise(nvml: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvml, "nvmlDeviceGetCurrentClocksEventReasons", refused)
    monkeypatch.setattr(nvml, "nvmlDeviceGetCurrentClocksThrottleReasons", lambda _: 1, raising=False)
    state = gpu.state()
    assert state is not None
    assert state.throttle_reasons == ("idle",)


def test_default_clock_of_drivers_without_application_clocks(nvml: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvml, "nvmlDeviceGetDefaultApplicationsClock", refused)
    monkeypatch.setattr(nvml, "nvmlDeviceGetMaxCustomerBoostClock", lambda *_: 1800, raising=False)
    state = gpu.state()
    assert state is not None
    assert state.default_sm_clock_mhz == 1800


@pytest.mark.parametrize(
    ("listed", "own", "others"),
    [
        ([], None, 0),
        ([process(999_999_999)], GIB, 0),  # in a container this process has another id
        ([process(999_999_999), process(999_999_998)], None, 1),
        ([process(os.getpid(), 5), process(1), process(2)], 5, 2),
    ],
)
def test_own_and_other_processes(
    nvml: ModuleType, monkeypatch: pytest.MonkeyPatch, listed: list[Any], own: int | None, others: int
) -> None:
    monkeypatch.setattr(nvml, "nvmlDeviceGetComputeRunningProcesses", lambda _: listed)
    state = gpu.state()
    assert state is not None
    assert (state.own_memory_bytes, state.other_processes) == (own, others)


@pytest.mark.parametrize(
    ("visible", "index", "handle"),
    [
        (None, 0, 0), (None, 1, 1), (None, 2, None), ("1", 0, 1), ("1", 1, None), ("1, 0", 1, 0), ("", 0, None),
        ("GPU-7", 0, "GPU-7"), ("GPU-8", 0, None), ("-1", 0, None),
    ],
)  # fmt: skip
def test_gpus_are_counted_as_cuda_does(
    nvml: ModuleType, monkeypatch: pytest.MonkeyPatch, visible: str | None, index: int, handle: int | str | None
) -> None:
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    asked = []
    monkeypatch.setattr(nvml, "nvmlDeviceGetName", lambda handle: asked.append(handle) or "a GPU")
    assert (gpu.describe(index) is None) == (handle is None)
    assert asked == ([] if handle is None else [handle])


def test_cuda_counts_gpus_as_nvml_does_unless_somebody_chose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "FASTEST_FIRST")
    asking.number_alike()
    assert os.environ["CUDA_DEVICE_ORDER"] == "FASTEST_FIRST"
    monkeypatch.delenv("CUDA_DEVICE_ORDER")
    with pytest.raises(SystemExit):
        main(["--help"])
    assert os.environ["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"


@pytest.mark.parametrize("missing", ["package", "driver"])
def test_without_nvml_every_answer_is_none(nvml: ModuleType, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    if missing == "package":
        monkeypatch.setitem(sys.modules, "pynvml", None)
    else:
        monkeypatch.setattr(nvml, "nvmlInit", refused)
    assert (gpu.state(), gpu.describe(), gpu.energy_joules()) == (None, None, None)
    with PowerSampler() as sampler:
        pass
    assert sampler.joules is None
    assert reasons(gpu.state(), gpu.state()) == []


def test_nothing_is_ever_set(nvml: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: set[str] = set()
    for name in dir(nvml):
        if name.startswith("nvml"):
            function = getattr(nvml, name)
            monkeypatch.setattr(nvml, name, lambda *a, _n=name, _f=function: asked.add(_n) or _f(*a))
    gpu.state(), gpu.describe(), gpu.energy_joules()
    assert {name for name in asked if "Get" not in name} == {"nvmlInit"}


@pytest.mark.parametrize(
    ("state", "found"),
    [
        (GOOD, []),
        (GpuState(), []),
        (GpuState(sm_clock_mhz=1125, default_sm_clock_mhz=1500), []),
        (GpuState(sm_clock_mhz=1124, default_sm_clock_mhz=1500), ["SM clock at 75 % of its default"]),
        (GpuState(sm_clock_mhz=990, max_sm_clock_mhz=1980), ["SM clock at 50 % of its default"]),
        (GpuState(sm_clock_mhz=345, default_sm_clock_mhz=1500, throttle_reasons=("idle",)), []),
        (GpuState(throttle_reasons=("clocks set by a user", "display clocks")), []),
        (replace(GOOD, throttle_reasons=("power cap",)), []),
        (replace(GOOD, throttle_reasons=("power cap", "power brake")), ["GPU throttled: power brake"]),
        (GpuState(other_processes=1), ["1 other process on the GPU"]),
        (GpuState(other_processes=2), ["2 other processes on the GPU"]),
    ],
)
def test_reasons_of_either_end(state: GpuState, found: list[str]) -> None:
    assert reasons(state, GOOD) == reasons(GOOD, state) == reasons(None, state) == reasons(GOOD, state, None) == found


def test_a_power_cap_counts_where_the_clock_suffers_or_is_not_told() -> None:
    capped = GpuState(sm_clock_mhz=1000, default_sm_clock_mhz=1500, throttle_reasons=("power cap",))
    assert reasons(GOOD, capped) == ["SM clock at 67 % of its default", "GPU throttled: power cap"]
    assert reasons(GpuState(throttle_reasons=("power cap",))) == ["GPU throttled: power cap"]


def test_energy_counter(nvml: ModuleType) -> None:
    assert nvml
    assert gpu.energy_joules() == 123.5


def test_sampler_integrates_power(nvml: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    times, readings = count(), count()
    monkeypatch.setattr(gpu.time, "perf_counter", lambda: 0.5 * next(times))
    monkeypatch.setattr(nvml, "nvmlDeviceGetPowerUsage", lambda _: 1000 * next(readings))
    with PowerSampler(period_s=0.001) as sampler:
        deadline = time.monotonic() + 30
        while len(sampler._readings) < 5 and time.monotonic() < deadline:
            time.sleep(0.001)
    # Power rises by 1 W every half second from 0, so the energy of t seconds is t squared.
    seconds = sampler._readings[-1][0] - sampler._readings[0][0]
    assert seconds >= 2.5
    assert sampler.joules == seconds**2


def test_integral_of_nothing_is_nothing() -> None:
    assert integral([]) == integral([(0.0, 5.0)]) == 0
