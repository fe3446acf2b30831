"""Every operator that torch calls: seen, without the price that torch puts on it, and called by itself."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class Dispatch(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves its __init_subclass__ bare
    """A dispatch mode that imports no compiler."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch ships it without annotations

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Torch would import its compiler, for two seconds, only to keep it away from this mode."""
        return False


@contextmanager
def unfused() -> Iterator[None]:
    """Inside, attention and transformer layers of `torch.nn` do without their fused calls of evaluation mode.

    No graph of ONNX has a counterpart of those, and no counter sees what they are made of.
    """
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
