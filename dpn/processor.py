"""What Linux says of the processor, and whether it has arithmetic for bf16. Imports no torch."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")

BF16 = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""Instruction sets that multiply in bf16, of x86 and of ARM: without one, torch's bf16 convolutions were seen to take
many times as long as those in fp32."""


@cache
def fields() -> Mapping[str, str]:
    """What /proc/cpuinfo says of the first processor, by name; empty elsewhere."""
    try:
        text = CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.strip().partition("\n\n")[0].splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def instruction_sets() -> frozenset[str]:
    """Names of what the processor can do, as Linux has them; empty where it does not say."""
    return frozenset((fields().get("flags") or fields().get("Features") or "").split())


def has_bf16() -> bool:
    """Whether the processor multiplies in bf16; False where that is not known."""
    return not BF16.isdisjoint(instruction_sets())
