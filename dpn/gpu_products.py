"""What a GPU multiplies in, which is not always what the precision says."""

from typing import Any

import torch

from dpn.runtime import Precision


def products() -> str:
    """What convolutions in fp32 are multiplied in on a GPU that can: "tf32", with 10 bits, as torch has it, or "ieee".

    Training leaves torch's choice: published networks were trained either way, and it is several times as fast.
    """
    cudnn: Any = torch.backends.cudnn  # replaced by an object when it is imported, which annotations do not know
    return "tf32" if cudnn.conv.fp32_precision == "tf32" else "ieee"  # or "none", by an older switch


def advice(precision: Precision) -> str:
    """What to do where this GPU only emulates the precision; else an empty text."""
    if precision == "fp32" or torch.cuda.is_bf16_supported(including_emulation=False):
        return ""
    return (
        f"{torch.cuda.get_device_name()} has no arithmetic for bf16 and emulates it slowly; --precision fp32 is faster"
    )
