"""How long a count takes: this project's counter against fvcore on every DPN of the zoo.

Run it from the checkout, on an otherwise idle machine; it takes about a minute and is no part of the test suite:

    .venv/bin/python tests/benchmarks/count_speed.py [--rounds 2]

Both counters work in one process on one thread and take turns network by network, the order changing with every
round, so that what disturbs the machine disturbs both. Building the networks is not timed: ours are built on the meta
device and fvcore's on the CPU, because fvcore crashes on meta tensors. Printed are the sums of each network's fastest
round and their ratio. The script fails (exit code 1) when the ratio is below 10, or when fvcore, left with its
convolutions alone, finds other multiply-adds than ours.
"""

import argparse
import logging
import sys
import time
import warnings
from collections.abc import Callable

import torch
from torch import nn

from bench.counts.macs import count
from dpn.build import build
from dpn.spec import DPNSpec, ModelSpec
from dpn.zoo import ZOO

LEAST_RATIO = 10


def ours(net: nn.Module, spec: ModelSpec) -> int:
    """Multiply-adds by this project's counter."""
    return count(net, (1, 3, *spec.input_hw)).macs


def fvcores(net: nn.Module, spec: ModelSpec) -> int:
    """Multiply-adds of convolutions by fvcore, which counts batch norm and upsampling too."""
    from fvcore.nn import FlopCountAnalysis

    analysis = FlopCountAnalysis(net, torch.zeros(1, 3, *spec.input_hw))
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    return int(analysis.by_operator()["conv"])


def timed(counter: Callable[[nn.Module, ModelSpec], int], spec: ModelSpec, device: str) -> tuple[float, int]:
    """Seconds for one count, and what it found."""
    with torch.device(device):
        net = build(spec).eval()
    begin = time.perf_counter()
    macs = counter(net, spec)
    return time.perf_counter() - begin, macs


def main() -> int:
    """Prints both times and their ratio; 0 when ours is fast enough and both agree."""
    parser = argparse.ArgumentParser(description="Time this project's counter against fvcore.")
    parser.add_argument("--rounds", type=int, default=2, help="how often each network is counted by each counter")
    rounds = parser.parse_args().rounds
    warnings.simplefilter("ignore")  # fvcore raises deprecation warnings of torch.jit
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    specs = [spec for spec in ZOO.values() if isinstance(spec, DPNSpec)]
    contestants = [("ours", ours, "meta"), ("fvcore", fvcores, "cpu")]
    for _, counter, device in contestants:  # imports and first calls are not what is compared
        timed(counter, specs[0], device)
    fastest: dict[tuple[str, str], float] = {}
    disagreements: set[str] = set()
    for turn in range(rounds):
        for spec in specs:
            found = set()
            for name, counter, device in contestants if turn % 2 == 0 else reversed(contestants):
                seconds, macs = timed(counter, spec, device)
                fastest[name, spec.name] = min(seconds, fastest.get((name, spec.name), seconds))
                found.add(macs)
            if len(found) > 1:
                disagreements.add(spec.name)
    totals = {name: sum(fastest[name, spec.name] for spec in specs) for name, _, _ in contestants}
    ratio = totals["fvcore"] / totals["ours"]
    print(f"{len(specs)} networks, fastest of {rounds} rounds, 1 thread")
    for name, seconds in totals.items():
        print(f"{name:>6} {seconds:8.3f} s, {1000 * seconds / len(specs):7.1f} ms a network")
    print(f" ratio {ratio:8.1f} (at least {LEAST_RATIO})")
    if disagreements:
        print(f"different multiply-adds for {', '.join(sorted(disagreements))}")
    return int(ratio < LEAST_RATIO or bool(disagreements))


if __name__ == "__main__":
    sys.exit(main())
