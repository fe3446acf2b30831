"""What training costs beside the network: waiting for data, the trainer around each step, and the choice of precision.

Run it from the checkout, on an otherwise idle machine; it takes about five minutes and is no part of the test suite:

    .venv/bin/python tests/benchmarks/training_speed.py [--recipe quick/dpn1_32_lite] [--rounds 20] [--threads 1]

A real run of the trainer, with log, saving and worker process, takes turns with a bare loop in the same process: the
same network, precision, memory format, threads and batch on tensors that are ready, targets among them; forward pass,
loss, backward pass, Adam. The run is the recipe's on fewer images, so that the share of the first epoch, in which
samples are made, is the recipe's own. Its first steps after each turn are not timed, since batches were made
meanwhile. Last, the bare loop runs in both precisions and memory formats, in turn. Printed are the share of the time
that steps waited for data, the median of the paired ratios with its 95 % interval (of the order statistics), and the
four times of a step. The script fails (exit code 1) when steps wait for 5 % of the time or more, when the median ratio
is below 0.95, or when another precision or format is faster than the recipe's by more than 3 %; of precisions only
where the processor has arithmetic for bf16, since elsewhere a recipe is in bf16 for its scores and not for its speed.
"""

import argparse
import copy
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dpn.data.samples import to_input
from dpn.half_precision import TYPES, arithmetic
from dpn.heatmaps import encode
from dpn.processor import multiplies_in
from dpn.training import run
from dpn.training.options import RunOptions
from dpn.training.prepare import Prepared, prepare
from dpn.training.recipes import Recipe, find
from dpn.training.stream import Batches
from dpn.training.task import stages_loss

MOST_WAITING, LEAST_RATIO, MOST_FASTER = 0.05, 0.95, 1.03
BLOCK, UNTIMED = 12, 6
READY = 4
FORMATS = (("bf16", True), ("bf16", False), ("fp32", True), ("fp32", False))


class Bare:
    """A loop over batches that are ready.

    Attributes:
        net: trained by it.
    """

    def __init__(self, prepared: Prepared, batches: list[dict[str, Tensor]], recipe: Recipe) -> None:
        self.net: nn.Module = copy.deepcopy(prepared.net).train()
        if recipe.channels_last:
            self.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._adam = torch.optim.Adam(self.net.parameters(), lr=recipe.lr)
        self._half = TYPES.get(recipe.precision)
        self._ready = cycle(
            (to_input(batch["crop"], channels_last=recipe.channels_last),
             *encode(batch["joints"], batch["visible"], prepared.codec)) for batch in batches
        )  # fmt: skip
        self.seconds(2)  # the first steps are not what is compared

    def seconds(self, steps: int) -> float:
        """Time of so many steps."""
        begin = time.perf_counter()
        for images, targets, weights in islice(self._ready, steps):
            self._adam.zero_grad()
            with arithmetic("cpu", self._half):
                with torch.autocast("cpu", self._half, enabled=self._half is not None):
                    loss = stages_loss(self.net(images), targets, weights, (images.shape[2], images.shape[3]))
                loss.backward()  # type: ignore[no-untyped-call]
            self._adam.step()
        return time.perf_counter() - begin


class Turns(Batches):
    """Batches of a run that lets a bare loop have its turns between them; times are kept here."""

    bare: Bare
    trainer_s: list[float]
    bare_s: list[float]
    waited_s = 0.0

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        of = type(self)
        begin = time.perf_counter()
        batches = super().__iter__()
        for number in range(len(self)):
            place = number % (UNTIMED + BLOCK)
            if not place and number:
                of.trainer_s.append(time.perf_counter() - begin)
                of.bare_s.append(of.bare.seconds(BLOCK))
            asked = time.perf_counter()
            if place == UNTIMED:
                begin = asked
            batch = next(batches)
            if place >= UNTIMED:
                of.waited_s += time.perf_counter() - asked
            yield batch


def shortened(recipe: Recipe, rounds: int) -> Recipe:
    """The recipe on so many images that its epochs have the rounds' steps, if its images can be chosen."""
    steps = -(-(rounds * (UNTIMED + BLOCK) + 1) // recipe.epochs)
    data = recipe.data
    if data.startswith("synthetic"):
        data = re.sub(r"images=\d+", f"images={max(steps, READY) * recipe.batch}", data)
    return replace(recipe, data=data, val_every=recipe.epochs, val_people=8)


def first_batches(prepared: Prepared, recipe: Recipe) -> list[dict[str, Tensor]]:
    """Some batches, made here."""
    stream = run.Stream(prepared.examples, prepared.protocol, prepared.input_hw, recipe.seed)
    steps = run.Steps(seed=recipe.seed, count=len(prepared.examples), batch=recipe.batch, epochs=recipe.epochs)
    return list(islice(Batches(stream, steps, 0, pinned=False), READY))


def beside_trainer(recipe: Recipe, bare: Bare, threads: int) -> tuple[float, float]:
    """Prints and returns the share of waiting and the median ratio of the trainer's speed to the bare loop's."""
    Turns.bare, Turns.trainer_s, Turns.bare_s = bare, [], []
    run.Batches = Turns  # type: ignore[misc]
    with tempfile.TemporaryDirectory() as folder:
        where = RunOptions(
            folder=Path(folder) / "run", accelerator="cpu", threads=threads, sanity=False, pictures_every=0
        )  # fmt: skip
        run.train(recipe, where)
    ratios = sorted(b / t for b, t in zip(Turns.bare_s, Turns.trainer_s, strict=True))
    waiting, ratio = Turns.waited_s / sum(Turns.trainer_s), statistics.median(ratios)
    beyond = max(0, round((len(ratios) - 1.96 * len(ratios) ** 0.5) / 2))
    trainer_ms, bare_ms = (1000 * statistics.median(all_s) / BLOCK for all_s in (Turns.trainer_s, Turns.bare_s))
    print(f"waiting for data: {waiting:.2%} of the time of a step (below {MOST_WAITING:.0%})")
    print(f"a step: {trainer_ms:.1f} ms in the trainer, {bare_ms:.1f} ms in the bare loop; ratio {ratio:.3f}, "
          f"{ratios[beyond]:.3f} to {ratios[-1 - beyond]:.3f} (at least {LEAST_RATIO})")  # fmt: skip
    return waiting, ratio


def fastest_by(prepared: Prepared, batches: list[dict[str, Tensor]], recipe: Recipe, rounds: int) -> float:
    """Prints the time of a step in each precision and format; returns the recipe's by the shortest."""
    loops = {
        (precision, last): Bare(prepared, batches, replace(recipe, precision=precision, channels_last=last))
        for precision, last in FORMATS
    }  # fmt: skip
    seconds: dict[Any, list[float]] = {key: [] for key in loops}
    for turn in range(rounds):
        for key in loops if turn % 2 == 0 else reversed(loops):
            seconds[key].append(loops[key].seconds(2) / 2)
    mine = seconds[recipe.precision, recipe.channels_last]
    slowest = 0.0
    for key, values in seconds.items():
        ratio = statistics.median(own / other for own, other in zip(mine, values, strict=True))
        if key[0] == recipe.precision or multiplies_in("bf16"):
            slowest = max(slowest, ratio)
        name = f"{key[0]}{' channels_last' if key[1] else ''}"
        print(f"{name:>18}: {1000 * statistics.median(values):7.1f} ms, the recipe's is {ratio:.2f} of it")
    return slowest


def main() -> int:
    """Prints shares, ratios and times; 0 when all are within their bounds."""
    parser = argparse.ArgumentParser(description="Time the trainer beside a bare loop.")
    parser.add_argument("--recipe", default="quick/dpn1_32_lite", help="as for python -m dpn train")
    parser.add_argument("--rounds", type=int, default=20, help="turns of the trainer and of the loop")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    recipe = shortened(find(options.recipe), options.rounds)
    prepared = prepare(recipe)
    batches = first_batches(prepared, recipe)
    print(f"{recipe.name}: {recipe.precision}, batch {recipe.batch}, {options.rounds} turns of {BLOCK} steps, "
          f"{options.threads} threads")  # fmt: skip
    waiting, ratio = beside_trainer(recipe, Bare(prepared, batches, recipe), options.threads)
    slower = fastest_by(prepared, batches, recipe, max(4, options.rounds // 2))
    return int(waiting >= MOST_WAITING or ratio < LEAST_RATIO or slower > MOST_FASTER)


if __name__ == "__main__":
    sys.exit(main())
