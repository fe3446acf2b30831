"""What the processor is and how the system has set it, as flat facts read from Linux. Imports no torch.

A fact that the system does not tell is left out, so elsewhere than on Linux little remains.
"""

import platform
import re
from functools import cache

from dpn.processor import SYSTEM, fields, instruction_sets, read

Fact = str | int | float | bool

VECTOR = re.compile(r"sse4_2|fma|f16c|avx\w*|amx\w*|asimd\w*|sve\d?|sme\d?|bf16|i8mm|neon")
"""Instruction sets that decide how fast arithmetic can be, of x86 and of ARM."""


def name() -> str:
    """As the system gives it, or the architecture where it gives none."""
    return fields().get("model name") or platform.processor() or platform.machine()


def generation() -> str:
    """Family, model and stepping, "f25m17s1": what tells processors apart that a virtual machine names alike.

    On ARM the implementer and the part, "i41pd0c"; empty where the system gives neither.
    """
    found = fields()
    for letters, names in (("fms", ("cpu family", "model", "stepping")), ("ip", ("CPU implementer", "CPU part"))):
        if all(entry in found for entry in names):
            return "".join(
                letter + found[entry].removeprefix("0x") for letter, entry in zip(letters, names, strict=True)
            )
    return ""


@cache
def describe() -> dict[str, Fact]:
    """Identity, instruction sets, caches, and the settings of its clock."""
    found = fields()
    flags = instruction_sets()
    facts: dict[str, Fact | None] = {
        "cpu": name(),
        "cpu_generation": generation() or None,
        "cpu_vendor": found.get("vendor_id"),
        "cpu_microcode": found.get("microcode"),
        "cpu_vector": " ".join(sorted(flag for flag in flags if VECTOR.fullmatch(flag))) or None,
        "cpu_tsc_mhz": _nominal(found.get("bogomips")) if "tsc" in flags else None,
        "cpu_max_mhz": _megahertz(_cpufreq("cpuinfo_max_freq")),
        "cpu_min_mhz": _megahertz(_cpufreq("cpuinfo_min_freq")),
        "cpu_clock_driver": _cpufreq("scaling_driver"),
        "cpu_governor": _cpufreq("scaling_governor"),
        "cpu_energy_preference": _cpufreq("energy_performance_preference"),
        "cpu_turbo": turbo(),
        "cpu_smt": _flag(read(SYSTEM / "cpu/smt/active")),
        "numa_nodes": len(list(SYSTEM.glob("node/node[0-9]*"))) or None,
        "hypervisor": "hypervisor" in flags if flags else None,
        **_caches(),
    }
    return {key: value for key, value in facts.items() if value is not None}


def turbo() -> bool | None:
    """Whether the clock may rise above its nominal rate; None where the system does not say."""
    forbidden = _flag(read(SYSTEM / "cpu/intel_pstate/no_turbo"))
    return _flag(read(SYSTEM / "cpu/cpufreq/boost")) if forbidden is None else not forbidden


def _caches() -> dict[str, Fact]:
    """Sizes in KiB of the caches that the first processor sees, by level and first letter of their type."""
    sizes: dict[str, Fact] = {}
    for folder in sorted(SYSTEM.glob("cpu/cpu0/cache/index*")):
        level, kind, size = (read(folder / entry) for entry in ("level", "type", "size"))
        if level and kind and size and size.endswith("K"):
            sizes[f"cache_l{level}{'' if kind == 'Unified' else kind[0].lower()}_kib"] = int(size[:-1])
    return sizes


def _cpufreq(entry: str) -> str | None:
    return read(SYSTEM / "cpu/cpu0/cpufreq" / entry)


def _megahertz(kilohertz: str | None) -> int | None:
    return None if kilohertz is None else round(int(kilohertz) / 1000)


def _nominal(bogomips: str | None) -> int | None:
    """The rate of the time stamp counter, about the nominal clock: Linux derives bogomips from it, two for each MHz."""
    return None if bogomips is None else round(float(bogomips) / 2)


def _flag(text: str | None) -> bool | None:
    return bool(int(text)) if text in ("0", "1") else None
