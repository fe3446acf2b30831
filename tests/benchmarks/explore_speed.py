"""How long the explorer takes from a moved slider to a new picture.

Run it from the checkout, on an otherwise idle machine; it takes a few seconds and is no part of the test suite:

    .venv/bin/python tests/benchmarks/explore_speed.py [--rounds 25]

Every round moves the unit of a widget to another row and waits for all that the browser is sent: fields, picture on a
light and on a dark ground, numbers, text. What the browser does with them is not timed. Printed are medians and the
slowest round, for one and for four modules of dilations 32 to 1 on maps of 64x48, with and without shortcuts, and for
the maps that the explorer shows of two networks at 256x192. The script fails (exit code 1) when a median of the stacks
is above 200 ms.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Iterator
from typing import Any

import ipywidgets as widgets

from analysis.explore import SHOWN, explore_network, explore_stack

MOST_MS = 200
NETWORKS = ("dpn4_64", "hrnet_w32")


def controls(box: widgets.Box) -> dict[str, Any]:
    """The widgets that a hand moves, by what stands beside them."""
    column, _ = box.children
    return {widget.description: widget for widget in column.children}


def redraws_ms(box: widgets.Box, rounds: int) -> list[float]:
    """Milliseconds of so many moves of the unit, after one that is not timed."""
    slider, found = controls(box)["unit row"], []
    for number in range(rounds + 1):
        begin = time.perf_counter()
        slider.value = number % 2 + 20
        found.append((time.perf_counter() - begin) * 1000)
    return found[1:]


def stacks(rounds: int) -> Iterator[tuple[str, list[float]]]:
    """Every view of one and of four modules."""
    for modules in (1, 4):
        for shortcuts in (0.0, 0.5):
            box = explore_stack(map_size="64x48", modules=modules, shortcuts=shortcuts)
            for _, show in SHOWN:
                controls(box)["show"].value = show
                name = f"{modules} module{'s' * (modules > 1)}, {'shortcuts' if shortcuts else 'plain'}, {show}"
                yield name, redraws_ms(box, rounds)


def networks(rounds: int) -> Iterator[tuple[str, list[float]]]:
    """The paths of a unit of the output, on the maps that are shown at first."""
    for name in NETWORKS:
        box = explore_network(name)
        controls(box)["show"].value = "paths"
        yield f"{name}, {len(controls(box)['maps shown'].value)} maps, paths", redraws_ms(box, rounds)


def main() -> int:
    """Prints medians and slowest rounds; 0 when every stack is fast enough."""
    parser = argparse.ArgumentParser(description="Time the explorer's redraws.")
    parser.add_argument("--rounds", type=int, default=25, help="moves of the unit for each view")
    rounds = parser.parse_args().rounds
    slow = False
    for judged, rows in ((True, stacks(rounds)), (False, networks(rounds))):
        for name, times_ms in rows:
            median_ms = statistics.median(times_ms)
            print(f"{name:34} median {median_ms:6.1f} ms   slowest {max(times_ms):6.1f} ms")
            slow = slow or (judged and median_ms > MOST_MS)
    if slow:
        print(f"a median is above {MOST_MS} ms", file=sys.stderr)
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())
