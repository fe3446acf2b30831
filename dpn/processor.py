"""What Linux says of the processor, and which half precision it multiplies in. Imports no torch."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")

ARITHMETIC = {
    "bf16": frozenset({"avx512_bf16", "amx_bf16", "bf16"}),
    "fp16": frozenset({"avx512_fp16", "amx_fp16", "asimdhp"}),
}
"""Instruction sets that multiply in a type, of x86 and of ARM: without one, torch's convolutions in it were seen to
take many times as long as those in fp32."""


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


def multiplies_in(precision: str) -> bool:
    """Whether the processor has arithmetic for "bf16" or "fp16"; False where that is not known."""
    return not ARITHMETIC[precision].isdisjoint(instruction_sets())
