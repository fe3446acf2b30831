"""The exact peak of live tensors in one call of a PyTorch network: every storage, from its making to its release."""

import weakref
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

BACKENDS = ("eager", "channels_last")
"""Back ends whose every operator passes through PyTorch's dispatcher, so that its maps can be seen."""


class LiveStorages(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves its __init_subclass__ bare
    """Counts the bytes of all storages that operators read or write and that are still alive.

    Workspaces that an operator takes and releases inside are not tensors of the network and are not seen.

    Attributes:
        live: bytes alive now.
        peak: the most that were alive after any operator.

    Example:
        >>> with LiveStorages() as storages:
        ...     image = torch.zeros(1024)
        ...     image = image + 1  # both are alive until the name is given to the sum
        >>> storages.peak, storages.live
        (8192, 4096)
    """

    def __init__(self, known: Iterable[torch.Tensor] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._seen: dict[int, Any] = {}
        self.live = 0
        self.peak = 0
        for tensor in known:
            self._add(tensor)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Runs the operator and counts what it read and what it made."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        for leaf in tree_iter((args, kwargs, result)):
            if isinstance(leaf, torch.Tensor):
                self._add(leaf)
        return result

    def _add(self, tensor: torch.Tensor) -> None:
        try:
            storage = tensor.untyped_storage()
        except NotImplementedError:  # layouts without a storage, such as oneDNN's own
            return
        key, size = storage._cdata, storage.nbytes()
        if key in self._seen:
            return
        self._seen[key] = weakref.finalize(storage, self._drop, key, size)
        self._seen[key].atexit = False
        self.live += size
        self.peak = max(self.peak, self.live)

    def _drop(self, key: int, size: int) -> None:
        del self._seen[key]
        self.live -= size


def weights_bytes(module: nn.Module) -> int:
    """Bytes of parameters and buffers, storages that several share counted once.

    Example:
        >>> weights_bytes(nn.Linear(3, 2))
        32
    """
    storages = (tensor.untyped_storage() for tensor in _weights(module))
    sizes: dict[int, int] = {storage._cdata: storage.nbytes() for storage in storages}
    return sum(sizes.values())


def peak_bytes(call: Callable[[], object], module: nn.Module) -> int:
    """Peak of live bytes in a call: weights, input and maps."""
    with LiveStorages(_weights(module)) as storages:
        call()
    peak: int = storages.peak
    return peak


def _weights(module: nn.Module) -> Iterable[torch.Tensor]:
    yield from module.parameters()
    yield from module.buffers()
