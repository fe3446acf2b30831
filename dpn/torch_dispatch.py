"""What sees every operator that torch calls, without the price that torch puts on it."""

from torch.utils._python_dispatch import TorchDispatchMode


class Dispatch(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves its __init_subclass__ bare
    """A dispatch mode that imports no compiler."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch ships it without annotations

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Torch would import its compiler, for two seconds, only to keep it away from this mode."""
        return False
