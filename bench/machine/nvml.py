"""NVML, NVIDIA's management library, as questions that may go unanswered; nothing is ever set. Imports no torch."""

import os
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any


class Questions:
    """Asks NVML about one GPU by the names of its functions; None where it has no answer."""

    def __init__(self, nvml: ModuleType, handle: Any) -> None:
        self.nvml, self.handle = nvml, handle

    def __call__(self, name: str, *arguments: Any) -> Any:
        """The answer of nvmlDevice`name` about this GPU."""
        return answer(self.nvml, f"nvmlDevice{name}", self.handle, *arguments)

    def system(self, name: str, prefix: str = "nvmlSystem") -> Any:
        """The answer of a question about the system."""
        return answer(self.nvml, f"{prefix}{name}")


def answer(nvml: ModuleType, name: str, *arguments: Any) -> Any:
    """What a function of NVML returns, bytes as text; None where it is not there, not supported or not permitted."""
    function: Callable[..., Any] | None = getattr(nvml, name, None)  # older packages lack newer questions
    if function is None:
        return None
    try:
        answer = function(*arguments)
    except nvml.NVMLError:  # not supported by this GPU, or not permitted to this user
        return None
    return answer.decode() if isinstance(answer, bytes) else answer


def questions(index: int) -> Questions | None:
    """The questions that one GPU answers; None without NVML or without such a GPU.

    Args:
        index: as this process counts its GPUs, that is, among those in CUDA_VISIBLE_DEVICES where that is set.
    """
    nvml = library(os.getpid())
    if nvml is None:
        return None
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = [str(index)] if visible is None else visible.replace(" ", "").split(",")[index : index + 1]
    if not names or not names[0]:
        return None
    by, name = ("Index", int(names[0])) if names[0].isdecimal() else ("UUID", names[0])
    handle = answer(nvml, f"nvmlDeviceGetHandleBy{by}", name)
    return None if handle is None else Questions(nvml, handle)


def number_alike() -> None:
    """Makes CUDA count GPUs by their places on the bus, as NVML does, in this process and those that it starts.

    By itself CUDA counts from the fastest. Called before it starts; whoever has set the variable is obeyed.
    """
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")


@cache
def library(process: int) -> ModuleType | None:
    """NVML, started once for each process: a forked one does not share its parent's; None where it cannot be had."""
    del process
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return pynvml  # type: ignore[no-any-return]
