"""How fast this machine can go, its arithmetic and copy ceilings, and how near a network comes. Imports no torch.

A ceiling is a bound, so it is the best that was seen: of every installed library, of every shape, of every block of
calls. Other load can only make a block slower, never faster, so the maximum over blocks comes nearest to the truth;
a median would make the machine look slower than it is. Every block's rate is kept. Each candidate runs in a fresh
process (`measure`), and `best` picks among what they reached.
"""

import importlib.util
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from bench.machine import disturbance, gpu
from bench.sampling import workloads
from bench.sampling.workloads import Candidate, Library
from dpn.program.quantities import some

Kind = Literal["arithmetic", "copy"]

BLOCK_S = 0.1
"""Seconds that one block of calls lasts: long against the clock, short against a neighbour's pauses."""

WARMUP_S = 0.2
"""Seconds of calls before the first block: a processor raises its clock, a library packs its weights."""


def candidates(kind: Kind, *, device: str, precision: str = "fp32") -> list[str]:
    """Names of everything installed here that may reach a ceiling.

    Args:
        kind: "arithmetic" or "copy".
        device: "cpu" or "cuda".
        precision: of the arithmetic; copies have none.

    Raises:
        ValueError: no such kind of ceiling.
    """
    if kind not in ("arithmetic", "copy"):
        raise ValueError(f"a ceiling's kind is arithmetic or copy, not {kind!r}")
    found = _copies(device) if kind == "copy" else _arithmetic(device, precision)
    return [str(candidate) for candidate in found if _installed(candidate)]


def renewed(before: Mapping[str, str], now: Mapping[str, str], candidates: Iterable[str]) -> bool:
    """Whether a library of the candidates has another version than when a ceiling was measured, or was not there.

    Example:
        >>> renewed({"torch": "2.11", "scipy": "1.0"}, {"torch": "2.11", "scipy": "1.1"}, ["torch copy"])
        False
    """
    return any(before.get(library) != now.get(library) for library in {name.split()[0] for name in candidates})


def modules(name: str) -> tuple[str, ...]:
    """What a process imports before it measures a candidate.

    Example:
        >>> modules("torch matmul 2048")
        ('torch', 'bench.sampling.workloads')
    """
    library = name.split()[0]
    return (*_NEEDS[library], "bench.sampling.workloads")


def measure(
    kind: Kind, candidate: str, *, device: str, precision: str = "fp32", threads: int = 1, seconds: float = 1.0
) -> dict[str, Any]:
    """What one candidate reaches; meant for a process in which nothing has run before.

    Args:
        kind: "arithmetic" or "copy".
        candidate: a name from `candidates`.
        device: "cpu" or "cuda".
        precision: of the arithmetic.
        threads: of the arithmetic or the copy on the CPU; numpy copies with one whatever this says.
        seconds: of blocks of calls, after the warm-up.

    Returns:
        rate: of the fastest block, in MACs or bytes (read and written) per second.
        samples: the rate of every block.
        calls: calls of a block.
        disturbance: what else the machine did during the blocks.
        reasons: why they count as disturbed.

    Raises:
        ValueError: no such candidate for this device and precision.
    """
    offered = _copies(device) if kind == "copy" else _arithmetic(device, precision)
    chosen = {str(each): each for each in offered}.get(candidate)
    if chosen is None:
        raise ValueError(
            f"{candidate!r} is no candidate for {kind} in {precision} on {device}; see ceilings.candidates"
        )
    load = workloads.build(chosen, device=device, precision=precision, threads=threads)
    states = [gpu.state_on(device)]
    found = block_rates(load.call, load.amount, load.synchronise, seconds=seconds)
    states.append(gpu.state_on(device))
    seen = disturbance.Disturbance(**found["disturbance"])
    return found | {"reasons": disturbance.reasons(seen, threads) + gpu.reasons(*states)}


def block_rates(
    call: Callable[[], object], amount: int, synchronise: Callable[[], object], *, seconds: float = 1.0
) -> dict[str, Any]:
    """Times blocks of calls, each at least `BLOCK_S` long; returns what `measure` returns, but for the reasons.

    Args:
        call: one unit of work.
        amount: MACs or bytes of one call.
        synchronise: waits until the work of all calls is done.
        seconds: of blocks in all.
    """
    single = _warm(call, synchronise)
    calls = max(1, round(BLOCK_S / single))
    rates: list[float] = []
    before, end = disturbance.snapshot(), time.perf_counter() + seconds
    while not rates or time.perf_counter() < end:
        rates.append(calls * amount / _timed(call, synchronise, calls))
    seen = disturbance.between(before, disturbance.snapshot())
    return {"rate": max(rates), "samples": rates, "calls": calls, "disturbance": seen.to_dict()}


def best(rates: Mapping[str, Mapping[str, Any]]) -> tuple[str, float]:
    """The candidate with the highest rate, and that rate.

    Raises:
        ValueError: no candidate reached anything.

    Example:
        >>> best({"torch matmul 2048": {"rate": 4e10}, "onnxruntime matmul 2048": {"rate": 6e10}})
        ('onnxruntime matmul 2048', 60000000000.0)
    """
    winner = max(rates, key=lambda name: float(rates[name]["rate"]), default=None)
    if winner is None or not rates[winner]["rate"] > 0:
        failures = some([f"{name}: {rate['failure']}" for name, rate in rates.items() if rate.get("failure")], 1)
        raise ValueError(f"no candidate for a ceiling of this machine ran{failures and f', such as {failures}'}")
    return winner, float(rates[winner]["rate"])


def roofline(macs: float, bytes_moved: float, seconds: float, arithmetic: float, copy: float) -> dict[str, Any]:
    """How near a call comes to the least time that this machine's ceilings allow.

    The floor is the longer of two times: all multiply-adds at the arithmetic ceiling, and every counted operator's
    maps and weights, each read or written once, at the copy ceiling. A share above 1 is possible and is not clipped:
    maps that stay in a cache never move through memory, an algorithm such as Winograd's needs fewer multiply-adds,
    and a fused back end never writes the maps between the operators that it joins.

    Args:
        macs: nominal multiply-adds of the call.
        bytes_moved: bytes of maps and weights that its operators read and write.
        seconds: that the call took.
        arithmetic: MACs per second, the machine's ceiling.
        copy: bytes per second, the machine's ceiling.

    Raises:
        ValueError: the time or a ceiling is not positive.

    Example:
        >>> roofline(4e9, 1e8, 0.2, 4e10, 1e10)["share"], roofline(4e9, 1e8, 0.2, 4e10, 1e10)["bound"]
        (0.5, 'arithmetic')
    """
    if not min(seconds, arithmetic, copy) > 0:
        raise ValueError(
            f"a roofline needs positive seconds and ceilings, not {seconds} s, {arithmetic} MAC/s and {copy} byte/s"
        )
    by_arithmetic, by_copy = macs / arithmetic, bytes_moved / copy
    floor = max(by_arithmetic, by_copy)
    return {
        "share": floor / seconds,
        "bound": "arithmetic" if by_arithmetic >= by_copy else "copy",
        "floor_s": floor,
        "arithmetic_ceiling": arithmetic,
        "copy_ceiling": copy,
    }


_NEEDS: dict[str, tuple[str, ...]] = {
    "torch": ("torch",),
    "numpy": ("numpy",),
    "onnxruntime": ("numpy", "onnx", "onnxruntime"),
    "openvino": ("numpy", "onnx", "openvino"),
}

_CPU_LIBRARIES: dict[str, tuple[Library, ...]] = {
    "fp32": ("torch", "onnxruntime", "openvino"),
    "bf16": ("torch", "openvino"),  # ONNX Runtime has no bf16 kernels for the CPU
    "fp16": ("torch",),
}

_CPU_MAPS = ((64, 128, 96), (128, 64, 48), (256, 64, 48), (512, 16, 12))
_CUDA_MAPS = ((64, 128, 96), (256, 64, 48), (512, 32, 24))
_CUDA_BATCH = 64


def _arithmetic(device: str, precision: str) -> list[Candidate]:
    if device == "cuda":
        products = [Candidate(library="torch", operation="matmul", size=(rows,)) for rows in (4096, 8192)]
        return products + [
            Candidate(library="torch", operation="convolution", size=size, channels_last=last, batch=_CUDA_BATCH)
            for size in _CUDA_MAPS
            for last in (False, True)
        ]
    found = []
    for library in _CPU_LIBRARIES.get(precision, ()):
        found.append(Candidate(library=library, operation="matmul", size=(2048,)))
        for last in (False, True) if library == "torch" else (False,):
            found += [
                Candidate(library=library, operation="convolution", size=size, channels_last=last) for size in _CPU_MAPS
            ]
    return found


def _copies(device: str) -> list[Candidate]:
    found = [Candidate(library="torch", operation="copy"), Candidate(library="torch", operation="add")]
    return found if device == "cuda" else [*found, Candidate(library="numpy", operation="copy")]


def _installed(candidate: Candidate) -> bool:
    return all(importlib.util.find_spec(module) is not None for module in _NEEDS[candidate.library])


def _warm(call: Callable[[], object], synchronise: Callable[[], object]) -> float:
    """Calls until `WARMUP_S` has passed, at least twice; seconds of the fastest call."""
    end = time.perf_counter() + WARMUP_S
    _timed(call, synchronise, 1)
    fastest = _timed(call, synchronise, 1)
    while time.perf_counter() < end:
        fastest = min(fastest, _timed(call, synchronise, 1))
    return max(fastest, 1e-9)


def _timed(call: Callable[[], object], synchronise: Callable[[], object], calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        call()
    synchronise()
    return time.perf_counter() - start
