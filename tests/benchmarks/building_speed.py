"""How long each network of the zoo takes to build on the meta device and to count, in seconds of CPU.

Run it from the checkout; it takes about a minute and is no part of the test suite:

    .venv/bin/python tests/benchmarks/building_speed.py [--rounds 2] [NAME ...]

One thread, the fastest of some rounds over all networks. The script fails (exit code 1) where a network takes more than
two seconds to build or more than three to count: whoever looks at all of them, as the report does, waits for the sum.
"""

import argparse
import sys
import time

import torch

from bench.counts.macs import count
from dpn.build import build
from dpn.zoo import ZOO

LONGEST_S = {"build": 2.0, "count": 3.0}


def timed(name: str) -> dict[str, float]:
    """Seconds of CPU for building and for counting that network."""
    spec = ZOO[name]
    start = time.process_time()
    with torch.device("meta"):
        net = build(spec)
    built = time.process_time()
    count(net, (1, 3, *spec.input_hw))
    return {"build": built - start, "count": time.process_time() - built}


def main() -> int:
    """Prints a line for each network and the sums; 1 where one is too slow."""
    parser = argparse.ArgumentParser(description="Time how networks are built on the meta device and counted.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="names of the zoo; all by default")
    parser.add_argument("--rounds", type=int, default=2, help="how often each network is built and counted")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(ZOO):
        parser.error(f"no such network: {', '.join(sorted(unknown))}")
    torch.set_num_threads(1)
    names = asked.names or list(ZOO)
    timed(names[0])  # imports and torch's first use of the device are no network's cost
    fastest = {name: dict.fromkeys(LONGEST_S, float("inf")) for name in names}
    for _ in range(asked.rounds):
        for name in names:
            fastest[name] = {what: min(fastest[name][what], seconds) for what, seconds in timed(name).items()}
    slow = []
    print(f"{'network':32} {'build':>8} {'count':>8}   seconds of CPU, fastest of {asked.rounds}")
    for name, took in sorted(fastest.items(), key=lambda item: -sum(item[1].values())):
        print(f"{name:32} {took['build']:8.3f} {took['count']:8.3f}")
        slow += [f"{name} takes {took[what]:.1f} s to {what}" for what in LONGEST_S if took[what] > LONGEST_S[what]]
    print(
        f"{'all':32} {sum(t['build'] for t in fastest.values()):8.3f} {sum(t['count'] for t in fastest.values()):8.3f}"
    )
    for line in slow:
        print(line)
    return int(bool(slow))


if __name__ == "__main__":
    sys.exit(main())
