"""What an NVIDIA GPU is and what it was doing, read through NVML; nothing is ever set. Imports no torch.

Without a GPU, its driver or the package nvidia-ml-py every question is answered with None, and so is a question that a
GPU does not support.
"""

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from bench.machine import nvml
from dpn.program.quantities import so_many

LEAST_CLOCK_SHARE = 0.75
"""A block whose SM clock is below this share of the default clock does not count: the rule of NVIDIA's nvbench."""

IDLE = "idle"

CLOCK_REASONS = {
    1 << 0: IDLE,
    1 << 1: "clocks set by a user",
    1 << 2: "power cap",
    1 << 3: "hardware slowdown",
    1 << 4: "synchronised with other GPUs",
    1 << 5: "temperature, by software",
    1 << 6: "temperature, by hardware",
    1 << 7: "power brake",
    1 << 8: "display clocks",
}
"""Why clocks are lower than they could be, by bit of `nvmlClocksEventReasons` (nvml.h)."""

POWER_CAP = CLOCK_REASONS[1 << 2]
"""Holds under any long load on many GPUs: it counts where the clock suffers, or is not told."""

THROTTLING = frozenset(CLOCK_REASONS[1 << bit] for bit in (2, 3, 5, 6, 7))
"""Those that power and heat cause, so that the same work takes longer than on the same GPU when cool."""


@dataclass(frozen=True, kw_only=True)
class GpuState:
    """A GPU at one moment. None: this GPU or its driver does not say.

    Attributes:
        sm_clock_mhz: clock of the multiprocessors now.
        default_sm_clock_mhz: the clock that they have under load unless somebody sets another.
        max_sm_clock_mhz: the highest clock.
        power_w: drawn by the board; on recent GPUs the mean of the last second.
        temperature_c: of the chip.
        throttle_reasons: values of `CLOCK_REASONS` that hold now.
        utilisation: share of the last sampling period, a sixth of a second to a second, in which some kernel ran.
        own_memory_bytes: memory of the GPU that this process uses.
        other_processes: how many other processes compute on it, or hold memory in order to.
    """

    sm_clock_mhz: int | None = None
    default_sm_clock_mhz: int | None = None
    max_sm_clock_mhz: int | None = None
    power_w: float | None = None
    temperature_c: int | None = None
    throttle_reasons: tuple[str, ...] | None = None
    utilisation: float | None = None
    own_memory_bytes: int | None = None
    other_processes: int | None = None


def state_on(device: str) -> GpuState | None:
    """What the GPU is doing now; None where the work is the processor's."""
    return state() if device == "cuda" else None


def state(index: int = 0) -> GpuState | None:
    """What a GPU is doing now; to be asked by the process that uses it. None without NVML or without such a GPU.

    Args:
        index: as this process counts its GPUs, that is, among those in CUDA_VISIBLE_DEVICES where that is set.
    """
    ask = nvml.questions(index)
    if ask is None:
        return None
    power, bits, use = ask("GetPowerUsage"), _reason_bits(ask), ask("GetUtilizationRates")
    own, others = _processes(ask)
    return GpuState(
        sm_clock_mhz=ask("GetClockInfo", SM_CLOCK),
        default_sm_clock_mhz=_default_clock(ask),
        max_sm_clock_mhz=ask("GetMaxClockInfo", SM_CLOCK),
        power_w=None if power is None else power / 1000,
        temperature_c=ask("GetTemperature", CORE_TEMPERATURE),
        throttle_reasons=None if bits is None else tuple(name for bit, name in CLOCK_REASONS.items() if bits & bit),
        utilisation=None if use is None else use.gpu / 100,
        own_memory_bytes=own,
        other_processes=others,
    )


def describe(index: int = 0) -> dict[str, str | int | float | bool] | None:
    """What a GPU is and how it is set up, flat; what it does not say is left out. No serial numbers.

    Args:
        index: as for `state`.
    """
    ask = nvml.questions(index)
    if ask is None:
        return None
    memory, limit, capability = ask("GetMemoryInfo"), ask("GetEnforcedPowerLimit"), ask("GetCudaComputeCapability")
    mig, ecc, persistent = ask("GetMigMode"), ask("GetEccMode"), ask("GetPersistenceMode")
    found = {
        "gpu": ask("GetName"),
        "gpu_driver": ask.system("GetDriverVersion"),
        "gpu_driver_cuda": _cuda_version(ask.system("GetCudaDriverVersion")),
        "gpu_count": ask.system("DeviceGetCount", prefix="nvml"),
        "gpu_compute_capability": None if capability is None else ".".join(map(str, capability)),
        "gpu_cores": ask("GetNumGpuCores"),
        "gpu_memory_bytes": None if memory is None else memory.total,
        "gpu_memory_bus_bits": ask("GetMemoryBusWidth"),
        "gpu_default_sm_clock_mhz": _default_clock(ask),
        "gpu_max_sm_clock_mhz": ask("GetMaxClockInfo", SM_CLOCK),
        "gpu_max_memory_clock_mhz": ask("GetMaxClockInfo", MEMORY_CLOCK),
        "gpu_power_limit_w": None if limit is None else limit / 1000,
        "gpu_persistence": None if persistent is None else bool(persistent),
        "gpu_mig": None if mig is None else bool(mig[0]),
        "gpu_ecc": None if ecc is None else bool(ecc[0]),
    }
    return {name: value for name, value in found.items() if value is not None}


def reasons(*seen: GpuState | None) -> list[str]:
    """Why a block of work on a GPU does not count, by its states before, perhaps within, and after; empty when it does.

    The clock of an idle GPU is low without harm, so a state that says "idle" is not judged by its clock. Take the
    states after warming up and as soon as the work has ended.

    Example:
        >>> reasons(None, GpuState(sm_clock_mhz=900, default_sm_clock_mhz=1500, throttle_reasons=("power cap",)))
        ['SM clock at 60 % of its default', 'GPU throttled: power cap']
    """
    states = [state for state in seen if state is not None]
    found = []
    shares = [share for state in states if (share := _clock_share(state)) is not None]
    slow = bool(shares) and min(shares) < LEAST_CLOCK_SHARE
    if slow:
        found.append(f"SM clock at {100 * min(shares):.0f} % of its default")
    harmless = {POWER_CAP} if shares and not slow else set()
    throttled = {name for state in states for name in state.throttle_reasons or ()} & THROTTLING - harmless
    if throttled:
        found.append(f"GPU throttled: {', '.join(sorted(throttled))}")
    others = max((state.other_processes or 0 for state in states), default=0)
    if others:
        found.append(f"{so_many(others, 'other process', 'other processes')} on the GPU")
    return found


def energy_joules(index: int = 0) -> float | None:
    """Energy that a GPU has used since its driver was loaded: two readings differ by that of the time between.

    None where there is no counter, as on GPUs before Volta; `PowerSampler` helps there.
    """
    ask = nvml.questions(index)
    millijoules = ask("GetTotalEnergyConsumption") if ask is not None else None
    return None if millijoules is None else millijoules / 1000


class PowerSampler:
    """Integrates a GPU's power over the time that a `with` block takes, in a thread.

    Attributes:
        joules: after the block, its energy; None where the GPU does not say its power.

    Example:
        >>> with PowerSampler(index=10_000) as sampler:
        ...     pass
        >>> sampler.joules is None
        True
    """

    def __init__(self, index: int = 0, *, period_s: float = 0.05) -> None:
        self.joules: float | None = None
        self._index, self._period_s = index, period_s
        self._readings: list[tuple[float, float]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="power", daemon=True)

    def __enter__(self) -> "PowerSampler":
        self._read()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._read()
        if len(self._readings) > 1:
            self.joules = integral(self._readings)

    def _run(self) -> None:
        while not self._over.wait(self._period_s):
            self._read()

    def _read(self) -> None:
        ask = nvml.questions(self._index)
        milliwatts = ask("GetPowerUsage") if ask is not None else None
        if milliwatts is not None:
            self._readings.append((time.perf_counter(), milliwatts / 1000))


def integral(readings: Sequence[tuple[float, float]]) -> float:
    """The area under (time, value) pairs by trapezia.

    Example:
        >>> integral([(0.0, 100.0), (1.0, 200.0), (3.0, 200.0)])
        550.0
    """
    return sum((later - earlier) * (low + high) / 2 for (earlier, low), (later, high) in pairwise(readings))


SM_CLOCK, MEMORY_CLOCK, CORE_TEMPERATURE = 1, 2, 0
"""NVML_CLOCK_SM, NVML_CLOCK_MEM and NVML_TEMPERATURE_GPU of nvml.h."""


def _default_clock(ask: nvml.Questions) -> int | None:
    clock: int | None = ask("GetDefaultApplicationsClock", SM_CLOCK)
    return clock or ask("GetMaxCustomerBoostClock", SM_CLOCK)


def _clock_share(seen: GpuState) -> float | None:
    normal = seen.default_sm_clock_mhz or seen.max_sm_clock_mhz
    if seen.sm_clock_mhz is None or not normal or IDLE in (seen.throttle_reasons or ()):
        return None
    return seen.sm_clock_mhz / normal


def _reason_bits(ask: nvml.Questions) -> int | None:
    bits: int | None = ask("GetCurrentClocksEventReasons")
    return ask("GetCurrentClocksThrottleReasons") if bits is None else bits


def _processes(ask: nvml.Questions) -> tuple[int | None, int | None]:
    """Memory of this process and number of others.

    In a container NVML names processes by ids of the host, so that this process is not recognised; then one of those
    listed is taken to be this one.
    """
    listed = ask("GetComputeRunningProcesses")
    if listed is None:
        return None, None
    own = [process for process in listed if process.pid == os.getpid()] or (listed if len(listed) == 1 else [])
    return own[0].usedGpuMemory if own else None, max(0, len(listed) - 1)


def _cuda_version(number: int | None) -> str | None:
    return None if number is None else f"{number // 1000}.{number % 1000 // 10}"
