"""How a network runs: device, batch, precision. Imports no torch."""

from dataclasses import dataclass
from typing import Literal

Precision = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """How a network runs; but for rounding, none of it changes what is found.

    Attributes:
        device: torch's name of it; the network is moved there.
        batch: people at a time.
        workers: processes that read and crop images; 0 reads in this one.
        precision: of the network; with bf16 and fp16 torch's autocast decides layer by layer. Decoding is in float32.
        channels_last: memory format of the network and its inputs.
    """

    device: str = "cpu"
    batch: int = 32
    workers: int = 0
    precision: Precision = "fp32"
    channels_last: bool = False

    def check(self) -> None:
        """Raises ValueError where no network can run so."""
        if self.batch < 1 or self.workers < 0:
            raise ValueError(f"a batch is at least 1 and workers at least 0, not {self.batch} and {self.workers}")
