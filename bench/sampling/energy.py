"""Energy of an image in steady load, by the counters of the processor or the GPU. Imports no torch.

A counter counts the whole package or board: other load on the machine counts, too, and so does what the device draws
when idle. The idle power just before the load is stated beside the value and is not subtracted.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, Self

from bench.machine import disturbance, gpu
from bench.sampling.timing import Runner

POWERCAP = Path("/sys/class/powercap")

LEAST_S = 10.0
"""Seconds of load: counters step by up to a tenth of a second, power meters average over up to one second."""

IDLE_S = 2.0
WARMUP_S = 1.0


class Meter(Protocol):
    """Measures the energy that a `with` block takes.

    Attributes:
        source: what it reads.
        joules: after the block.
    """

    source: str
    joules: float | None

    def poll(self) -> None:
        """To be called about once a second within the block, so that no counter runs over twice unseen."""

    def __enter__(self) -> object: ...

    def __exit__(self, *_: object) -> None: ...


class Counters:
    """Adds up counters that start again at zero after their range."""

    def __init__(self, source: str, read: Callable[[], list[float]], ranges: list[float]) -> None:
        """Reads `read()` joules of every counter; `ranges` are the joules after which each starts again."""
        self.source = source
        self.joules: float | None = None
        self._read, self._ranges = read, ranges
        self._total = 0.0
        self._last: list[float] = []

    def poll(self) -> None:
        """Adds what was used since the last reading."""
        now = self._read()
        for earlier, later, span in zip(self._last, now, self._ranges, strict=True):
            self._total += later - earlier if later >= earlier else later - earlier + span
        self._last = now

    def __enter__(self) -> Self:
        self._total, self._last = 0.0, self._read()
        return self

    def __exit__(self, *_: object) -> None:
        self.poll()
        self.joules = self._total


class PowerMeter(gpu.PowerSampler):
    """Integrates samples of a GPU's power, where it has no counter of energy."""

    source = "NVML power samples"

    def poll(self) -> None:
        """Nothing to do: a thread reads the power."""


def measure(runner: Runner, batch: int, device: str) -> dict[str, Any]:
    """Joules per image over at least `LEAST_S` seconds of calls in a row.

    Args:
        runner: what to run.
        batch: images a call.
        device: "cpu" or "cuda".

    Returns:
        value: joules per image, idle power included.
        joules, images, seconds, calls: of the load.
        power_w: their mean power.
        idle_power_w: mean power of two seconds without calls, just before.
        source: what was read.
        disturbance: what else the machine did during the load.
        reasons: why a GPU's value does not count, see `bench.machine.gpu.reasons`.

    Raises:
        RuntimeError: energy is not available on this machine, and why.
    """
    make = meter_for(device)
    runner.synchronise()
    idle = _idle_power(make())
    _load(runner, WARMUP_S, lambda: None)
    meter = make()
    states, before = [_state(device)], disturbance.snapshot()
    with meter:
        calls, spent = _load(runner, LEAST_S, meter.poll)
    seen = disturbance.between(before, disturbance.snapshot())
    states.append(_state(device))
    joules = _joules(meter)
    if joules <= 0:
        raise RuntimeError(f"energy is not available: {meter.source} counted nothing in {spent:.0f} s of load")
    return {
        "value": joules / (calls * batch),
        "joules": joules,
        "images": calls * batch,
        "seconds": spent,
        "calls": calls,
        "power_w": joules / spent,
        "idle_power_w": idle,
        "source": meter.source,
        "disturbance": seen.to_dict(),
        "reasons": gpu.reasons(*states),
    }


def meter_for(device: str, powercap: Path = POWERCAP) -> Callable[[], Meter]:
    """What makes meters for a device here.

    Args:
        device: "cpu" or "cuda".
        powercap: the kernel's folder of power zones.

    Raises:
        RuntimeError: energy is not available on this machine, and why.
    """
    if device == "cpu":
        return _rapl(powercap)
    index = _current_gpu()
    if gpu.energy_joules(index) is not None:
        # The counter starts at the driver's load and has 64 bits of millijoules: it does not start again.
        return lambda: Counters("NVML energy counter", lambda: [_counted(index)], [float("inf")])
    state = gpu.state(index)
    if state is None or state.power_w is None:
        raise RuntimeError("energy is not available: NVML tells neither energy nor power; install nvidia-ml-py")
    return lambda: PowerMeter(index)


def _rapl(powercap: Path) -> Callable[[], Meter]:
    zones = [zone for zone in sorted(powercap.glob("intel-rapl:*")) if _is_package(zone)]
    if not zones:
        raise RuntimeError(
            f"energy is not available: this system has no RAPL package counters below {powercap}, as is usual in "
            "virtual machines"
        )
    try:
        ranges = [_joules_of(zone / "max_energy_range_uj") for zone in zones]
        _read_zones(zones)
    except OSError as error:
        raise RuntimeError(
            f"energy is not available: {error.filename} cannot be read; ask the administrator for read access"
        ) from error
    return lambda: Counters("RAPL package counters", lambda: _read_zones(zones), ranges)


def _is_package(zone: Path) -> bool:
    """Packages only: cores and memory are parts of a package, and the platform's zone contains packages."""
    try:
        return (zone / "name").read_text().startswith("package")
    except OSError:
        return False


def _read_zones(zones: list[Path]) -> list[float]:
    return [_joules_of(zone / "energy_uj") for zone in zones]


def _joules_of(path: Path) -> float:
    return int(path.read_text()) / 1e6


def _state(device: str) -> gpu.GpuState | None:
    return gpu.state(_current_gpu()) if device == "cuda" else None


def _current_gpu() -> int:
    import torch

    return torch.cuda.current_device()


def _counted(index: int) -> float:
    joules = gpu.energy_joules(index)
    if joules is None:
        raise RuntimeError("energy is not available: NVML's energy counter stopped answering")
    return joules


def _idle_power(meter: Meter) -> float:
    start = time.perf_counter()
    with meter:
        time.sleep(IDLE_S)
    return _joules(meter) / (time.perf_counter() - start)


def _joules(meter: Meter) -> float:
    if meter.joules is None:
        raise RuntimeError(f"energy is not available: {meter.source} gave no reading")
    return meter.joules


def _load(runner: Runner, seconds: float, poll: Callable[[], None]) -> tuple[int, float]:
    """Calls in a row for at least `seconds`, with a wait and a poll about once a second; calls and seconds."""
    calls, group = 0, 1
    start = time.perf_counter()
    while (spent := time.perf_counter() - start) < seconds:
        if calls:
            group = max(1, int(calls / spent))
        for _ in range(group):
            runner.call()
        runner.synchronise()
        poll()
        calls += group
    return calls, spent
