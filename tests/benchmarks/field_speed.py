"""How long exact receptive fields take, against the gradient estimate of the same stack.

Run it from the checkout, on an otherwise idle machine; it takes under a minute and is no part of the test suite:

    .venv/bin/python tests/benchmarks/field_speed.py [--rounds 3] [--channels 32]

The stack is four Dilation Pyramid Modules without shortcuts, 24 layers of 3x3 convolutions with dilations 32 to 1, on
maps of 64x48. Exact are the support and the path counts of the middle unit in every map; estimated are its squared
gradients in every map from 64 images, eight in a pass, with all threads that torch takes. Both take turns in one
process, so that what disturbs the machine disturbs both; printed are the fastest rounds and their ratio. The script
fails (exit code 1) when the exact answer takes a tenth of the estimate's time or more, or when the estimate finds
anything outside the exact support.
"""

import argparse
import sys
import time
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from analysis.effective_fields.effective import squared_gradients
from analysis.effective_fields.random_weights import draw_he
from analysis.receptive_fields.axes import connect
from analysis.receptive_fields.stacks import stack

DILATIONS, MODULES, MAP_HW = (32, 16, 8, 4, 2, 1), 4, (64, 48)
UNIT = (MAP_HW[0] // 2, MAP_HW[1] // 2)
IMAGES = 64
MOST_RATIO = 0.1


def exact() -> dict[str, NDArray[np.bool_]]:
    """The supports by map, having found the path counts too; the graph is built anew, and nothing is remembered."""
    connect.cache_clear()
    graph = stack(DILATIONS, MAP_HW, modules=MODULES)
    supports = graph.backward("output", [UNIT], kind="support")
    counts = graph.backward("output", [UNIT], kind="paths")
    if any(((counts[i].values > 0) != supports[i].values).any() for i in supports):
        raise SystemExit("error: path counts and supports disagree; run the tests of the exact engine")
    return {name: supports[i].values[0] for name, i in graph.names.items() if name != "output"}


def network(channels: int) -> nn.Module:
    """The stack as a network, with ReLU in place behind every convolution."""
    layers: list[nn.Module] = []
    for dilation in DILATIONS * MODULES:
        ins = channels if layers else 3
        layers += [nn.Conv2d(ins, channels, 3, padding=dilation, dilation=dilation), nn.ReLU(inplace=True)]
    net = nn.Sequential(*layers)
    draw_he(net, 0)
    return net


def estimated(net: nn.Module, images: torch.Tensor) -> Mapping[str, NDArray[np.float64]]:
    """Squared gradients by map: the input, and what each convolution returns."""
    found = squared_gradients(net, images, [UNIT])
    layers = {f"layer {1 + i // 2}": found[str(i)] for i in range(0, 2 * len(DILATIONS) * MODULES, 2)}
    return {"input": found["input"], **layers}


def main() -> int:
    """Prints both times and their ratio; 0 when the exact answer is fast enough and nothing lies outside it."""
    parser = argparse.ArgumentParser(description="Time exact receptive fields against the gradient estimate.")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is timed")
    parser.add_argument("--channels", type=int, default=32, help="of the network; the exact answer has none")
    arguments = parser.parse_args()
    net = network(arguments.channels)
    images = torch.randn(IMAGES, 3, *MAP_HW, generator=torch.Generator().manual_seed(0))
    estimated(net, images[:1])  # first calls are not what is compared
    exact_s, estimate_s = [], []
    for _ in range(arguments.rounds):
        begin = time.perf_counter()
        supports = exact()
        middle = time.perf_counter()
        fields = estimated(net, images)
        exact_s.append(middle - begin)
        estimate_s.append(time.perf_counter() - middle)
    outside = [name for name, values in fields.items() if values[0].sum(axis=0)[~supports[name]].any()]
    ratio = min(exact_s) / min(estimate_s)
    print(f"{len(supports)} maps of {MAP_HW[0]}x{MAP_HW[1]}, {IMAGES} images, {arguments.channels} channels, "
          f"{torch.get_num_threads()} threads, fastest of {arguments.rounds} rounds")  # fmt: skip
    print(
        f"   exact {min(exact_s):8.3f} s\nestimate {min(estimate_s):8.3f} s\n   ratio {ratio:8.4f} (below {MOST_RATIO})"
    )
    if outside:
        print(f"gradients outside the exact support in {', '.join(outside)}")
    return int(ratio >= MOST_RATIO or bool(outside))


if __name__ == "__main__":
    sys.exit(main())
