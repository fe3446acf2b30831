"""How a network runs: device, batch, precision, and on how large an input. Imports no torch."""

from dataclasses import dataclass
from typing import Literal

from dpn.data.workers import check_workers
from dpn.input_size import hw_text

Precision = Literal["fp32", "bf16", "fp16"]

MOST_AT_ONCE = 1_024
"""People in a batch; 150 MB of pixels alone at 256x192."""

LARGEST_INPUT_PX = 2_048
"""Height or width of one person's crop; DPN4_32 takes 1.4 GB for a square one."""


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """How a network runs; but for rounding, none of it changes what is found.

    Attributes:
        device: torch's name of it, and the network is moved there; auto is a GPU if torch finds one, else the CPU.
        batch: people at a time.
        workers: processes that read and crop images; 0 reads in this one. By default a GPU has a few, a CPU none.
        precision: of the network; with bf16 and fp16 torch's autocast decides layer by layer. Decoding is in float32.
        channels_last: memory format of the network and its inputs.
    """

    device: str = "auto"
    batch: int = 32
    workers: int | None = None
    precision: Precision = "fp32"
    channels_last: bool = False

    def check(self) -> None:
        """Raises ValueError where no network can run so."""
        if not 1 <= self.batch <= MOST_AT_ONCE:
            raise ValueError(
                f"a batch is at least 1 and at most {MOST_AT_ONCE:,}, not {self.batch}; give another --batch"
            )
        check_workers(self.workers)


def check_input(input_hw: tuple[int, int]) -> None:
    """Raises ValueError where an input (height and width in pixels) is so large that it would fill the memory."""
    if max(input_hw) > LARGEST_INPUT_PX:
        raise ValueError(
            f"an input of {hw_text(input_hw)} is more than {LARGEST_INPUT_PX:,} px on a side; give a smaller --input"
        )
