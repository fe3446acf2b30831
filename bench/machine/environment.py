"""Which machine, which versions and which commit a number was measured with. Imports no torch."""

import hashlib
import importlib.util
import os
import platform
import re
import sys
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path

from bench.machine import gpu, processor
from bench.machine.processor import Fact
from dpn.processor import SYSTEM, cores, cpu_quota, physical_cores, read

TOOLS = ("torch", "numpy", "scipy", "fvcore", "ptflops", "onnx", "onnxruntime", "openvino")
"""Distributions whose versions are kept with every record, where they are installed."""

VARIABLES = (
    "OMP_NUM_THREADS", "OMP_DYNAMIC", "OMP_PLACES", "OMP_PROC_BIND", "OMP_SCHEDULE", "OMP_WAIT_POLICY",
    "GOMP_CPU_AFFINITY", "GOMP_SPINCOUNT", "KMP_AFFINITY", "KMP_BLOCKTIME", "KMP_SETTINGS", "MKL_NUM_THREADS",
    "MKL_DYNAMIC", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "OPENBLAS_NUM_THREADS", "OPENBLAS_CORETYPE",
    "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ONEDNN_DEFAULT_FPMATH_MODE", "ATEN_CPU_CAPABILITY", "PYTHONMALLOC",
    "PYTHONHASHSEED", "MALLOC_ARENA_MAX", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES", "NVIDIA_TF32_OVERRIDE",
    "CUDA_LAUNCH_BLOCKING", "CUDA_MODULE_LOADING", "CUDA_DEVICE_MAX_CONNECTIONS", "PYTORCH_CUDA_ALLOC_CONF",
    "PYTORCH_NO_CUDA_MEMORY_CACHING", "CUBLAS_WORKSPACE_CONFIG", "TORCH_CUDNN_V8_API_DISABLED",
)  # fmt: skip
"""Variables that threads, arithmetic and memory obey. None of them holds a path."""


def memory_gib() -> int:
    """Installed memory in GiB, rounded; 0 where the system does not say."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
    except (AttributeError, ValueError, OSError):
        return 0


@cache
def machine(device: str = "cpu") -> str:
    """A short key for this machine, made of what decides its speed: "amd-epyc-f25m17s1-2-cores".

    With a GPU it names the processor too, which launches what the GPU runs: "nvidia-h200-on-amd-epyc-f26m2s1".

    Args:
        device: "cpu" or "cuda"; without a GPU the key for "cuda" says so.
    """
    generation = processor.generation()
    host = slug(processor.name()) + (f"-{generation}" if generation else "")
    if device == "cuda" and (name := gpu_name()):
        return f"{slug(name)}-on-{host}"
    return f"{host}-{cores()}-cores" + ("-without-gpu" if device == "cuda" else "")


def slug(name: str) -> str:
    """A product's name as a part of keys and file names.

    Example:
        >>> slug("Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz")
        'intel-xeon-platinum-8481c'
    """
    plain = re.sub(r"\((?:R|TM|tm|r)\)|CPU|Processor|@.*", " ", name)
    return re.sub(r"[^a-z0-9.]+", "-", plain.lower()).rstrip("-").lstrip("-.") or "unknown"


@cache
def gpu_name() -> str | None:
    """The first GPU's name by NVML, or by torch where NVML cannot be had; None without a GPU."""
    found = gpu.describe()
    if found is not None and "gpu" in found:
        return str(found["gpu"])
    try:
        import torch
    except ImportError:
        return None
    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else None


@cache
def describe(device: str = "cpu") -> dict[str, Fact]:
    """System, processor, builds and settings that decide speed or identify a setting, flat.

    Nothing that names a person or a place: no user, host, path or serial number. What the system does not tell, and
    variables that are not set, are left out. Torch is not imported.

    Args:
        device: "cuda" adds what `bench.machine.gpu` knows of the first GPU.

    Example:
        >>> describe()["logical_cores"] >= 1
        True
    """
    facts = _system() | processor.describe() | _python() | _torch() | _variables()
    return facts | (gpu.describe() or {}) if device == "cuda" else facts


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


def _system() -> dict[str, Fact]:
    huge = re.search(r"\[(\w+)\]", read(Path("/sys/kernel/mm/transparent_hugepage/enabled")) or "")
    randomised = read(Path("/proc/sys/kernel/randomize_va_space"))
    facts: dict[str, Fact | None] = {
        "system": platform.system(),
        "kernel": platform.release(),
        "libc": " ".join(platform.libc_ver()).strip() or None,
        "architecture": platform.machine(),
        "product": read(Path("/sys/class/dmi/id/product_name")),
        "container": _container(),
        "physical_cores": physical_cores(),
        "logical_cores": os.cpu_count(),
        "affinity_cores": cores(),
        "cpu_quota": cpu_quota() or "unlimited",
        "memory_gib": memory_gib(),
        "page_bytes": os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else None,
        "huge_pages": huge[1] if huge else None,
        "address_randomisation": int(randomised) if randomised else None,
        "clock_source": read(SYSTEM / "clocksource/clocksource0/current_clocksource"),
        "scheduler": os.sched_getscheduler(0) if hasattr(os, "sched_getscheduler") else None,
        "niceness": os.getpriority(os.PRIO_PROCESS, 0) if hasattr(os, "getpriority") else None,
    }
    return {name: value for name, value in facts.items() if value is not None}


def _container() -> bool:
    marks = (Path("/.dockerenv"), Path("/run/.containerenv"))
    return "container" in os.environ or "KUBERNETES_SERVICE_HOST" in os.environ or any(mark.exists() for mark in marks)


def _python() -> dict[str, Fact]:
    facts: dict[str, Fact] = {
        "python_implementation": platform.python_implementation(),
        "python_compiler": platform.python_compiler(),
        "python_build": " ".join(platform.python_build()),
        "python_optimise": sys.flags.optimize,
        "python_debug": hasattr(sys, "gettotalrefcount"),
    }
    with suppress(OSError):
        facts["python_sha256"] = hashlib.sha256(Path(sys.executable).read_bytes()).hexdigest()[:16]
    return facts


def _torch() -> dict[str, Fact]:
    """Which build of torch is installed, by its own version.py and by the OpenMP library that comes with it."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return {}
    folder = Path(spec.origin).parent
    found = re.findall(r"^(git_version|cuda|hip|debug)\b[^=]*= *(.+)$", read(folder / "version.py") or "", re.MULTILINE)
    facts: dict[str, Fact] = {f"torch_{name}": value.strip("'\"") for name, value in found if value != "None"}
    openmp = sorted({path.name.split(".")[0].split("-")[0] for path in folder.glob("lib/lib[gi]omp*")})
    return facts | ({"torch_openmp": " ".join(openmp)} if openmp else {})


def _variables() -> dict[str, Fact]:
    """Variables that are set and that decide speed; of a preloaded library the file's name alone."""
    facts: dict[str, Fact] = {f"env_{name}": os.environ[name] for name in VARIABLES if name in os.environ}
    if preloaded := os.environ.get("LD_PRELOAD"):
        facts["env_LD_PRELOAD"] = " ".join(Path(entry).name for entry in re.split(r"[:\s]+", preloaded))
    return facts
