"""Which machine, which versions and which commit a number was measured with. Imports no torch."""

import os
import platform
import re
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent

TOOLS = ("torch", "numpy", "scipy", "fvcore", "ptflops", "onnx", "onnxruntime", "openvino")
"""Distributions whose versions are kept with every record, where they are installed."""


@cache
def cpu_name() -> str:
    """The processor's name as the system gives it, or the architecture where it gives none."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    match = re.search(r"^model name\s*:\s*(.+)$", text, flags=re.MULTILINE)
    return match[1].strip() if match else platform.processor() or platform.machine()


def cores() -> int:
    """Processors that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def physical_cores() -> int:
    """Physical cores that this process may use: what "all threads" means."""
    physical = psutil.cpu_count(logical=False) or cores()
    return max(1, min(physical, cores()))


def memory_gib() -> int:
    """Installed memory in GiB, rounded; 0 where the system does not say."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
    except (AttributeError, ValueError, OSError):
        return 0


@cache
def machine() -> str:
    """A short key for this machine, made of what decides its speed: "intel-xeon-platinum-8481c-2-cores"."""
    name = re.sub(r"\((?:R|TM|tm|r)\)|CPU|Processor|@.*", " ", cpu_name())
    slug = re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-") or "unknown"
    return f"{slug}-{cores()}-cores"


@cache
def versions() -> dict[str, str]:
    """Versions of Python and of the tools that take part in a measurement."""
    found = {"python": platform.python_version()}
    for tool in TOOLS:
        try:
            found[tool] = metadata.version(tool)
        except metadata.PackageNotFoundError:
            continue
    return found


@cache
def commit() -> tuple[str, bool]:
    """The checkout's commit and whether tracked files outside results/ differ from it; "unknown" outside a checkout."""
    head = _git("rev-parse", "HEAD")
    if head is None:
        return "unknown", True
    changes = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!results")
    return head, bool(changes)


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
