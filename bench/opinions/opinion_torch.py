"""The count of torch's own FlopCounterMode, halved, and what it has no rule for."""

import torch
from torch import nn

from bench.counts.macs import Count
from bench.opinions.missed_calls import Below
from bench.opinions.opinion import Answer, blank_copy


def ask(net: nn.Module, shape: tuple[int, ...], _: Count, device: str) -> Answer:
    """Counts the calls that reach torch's dispatcher."""
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    model, image = blank_copy(net, device), torch.zeros(shape, device=device)
    with Below(counter.flop_registry) as below, counter:
        model(image)
    return counter.get_total_flops() // 2, below.missed
