"""Batches of a run, with and without memory for samples that are the same in every epoch."""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psutil
import pytest
import torch

from dpn.data.augment import NONE
from dpn.data.opening import Asked, open_examples
from dpn.data.people import Example, Examples
from dpn.data.problems import DataError, Problem
from dpn.program.interrupts import handled
from dpn.protocols import Protocol, protocol
from dpn.skeletons import Skeleton
from dpn.training import stream
from dpn.training.order import Steps
from dpn.training.stream import Batches, Stream

HW = (64, 48)
PEOPLE = 12
EPOCHS = 3
ONE_SAMPLE = 64 * 48 * 3 + 5 * 64 + 3 * 64 + 64 + 64
"""Bytes of crop, joints, visible, center and scale, each up to the next multiple of 64."""
STILL = replace(protocol("dpn", "coco"), augmentation=NONE)
MOVING = protocol("dpn", "coco")


class Counting:
    """People of whom it is known how often each was asked for."""

    def __init__(self, broken: int = -1) -> None:
        asked = Asked(data=f"synthetic:seed=1,images={PEOPLE}", split="train", protocol="dpn", input_hw=HW)
        self._examples: Examples = open_examples(asked)
        self.asked: list[int] = []
        self.broken = broken

    @property
    def skeleton(self) -> Skeleton:
        return self._examples.skeleton

    def __len__(self) -> int:
        return len(self._examples)

    def example(self, index: int) -> Example:
        self.asked.append(index)
        if index == self.broken:
            raise DataError(Problem("picture", "", "it cannot be read", "fetch it again"))
        return self._examples.example(index)


class Fourteen(Counting):
    """Two people more."""

    def __init__(self) -> None:
        super().__init__()
        asked = Asked(data=f"synthetic:seed=1,images={PEOPLE + 2}", split="train", protocol="dpn", input_hw=HW)
        self._examples = open_examples(asked)


def batches(stream: Stream, workers: int = 0) -> Iterator[dict[str, torch.Tensor]]:
    steps = Steps(seed=0, count=PEOPLE, batch=4, epochs=EPOCHS)
    return iter(Batches(stream, steps, workers, pinned=False))


def assert_alike(one: Any, other: Any) -> None:
    one, other = list(one), list(other)
    assert len(one) == len(other) == EPOCHS * PEOPLE // 4
    for here, there in zip(one, other, strict=True):
        assert here.keys() == there.keys()
        assert all(here[name].dtype == there[name].dtype and torch.equal(here[name], there[name]) for name in here)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("rules", [STILL, MOVING])
def test_kept_samples_are_those_that_would_be_made_again(rules: Protocol, workers: int) -> None:
    kept = Stream(Counting(), rules, HW, seed=0, room=10**9)
    assert_alike(batches(kept, workers), batches(Stream(Counting(), rules, HW, seed=0)))


@pytest.mark.parametrize("rules", [STILL, MOVING])
@pytest.mark.parametrize(("room", "times", "to_see_its_size"), [(10**9, 1, 0), (0, EPOCHS, 0), (10**4, EPOCHS, 1)])
def test_an_image_is_read_once_only_where_there_is_room(
    rules: Protocol, room: int, times: int, to_see_its_size: int
) -> None:
    examples = Counting()
    list(batches(Stream(examples, rules, HW, seed=0, room=room)))
    assert len(examples.asked) == times * PEOPLE + to_see_its_size


def test_samples_are_kept_to_the_last_byte_of_their_room() -> None:
    for room, times in ((PEOPLE * ONE_SAMPLE, 1), (PEOPLE * ONE_SAMPLE - 1, EPOCHS)):
        examples = Counting()
        list(batches(Stream(examples, STILL, HW, seed=0, room=room)))
        assert len(set(examples.asked)) == PEOPLE
        assert len(examples.asked) == times * PEOPLE + (times > 1)


@pytest.mark.parametrize("rules", [STILL, MOVING])
@pytest.mark.parametrize("broken", [0, 5])
def test_what_cannot_be_made_is_not_kept(rules: Protocol, broken: int) -> None:
    examples = Counting(broken)
    with pytest.raises(DataError, match="cannot be read"):
        list(batches(Stream(examples, rules, HW, seed=0, room=10**9)))


def test_kept_samples_are_put_together_without_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[int]()
    real = Batches._loader

    def loader(self: Batches, steps: Steps, workers: int) -> Any:
        asked.append(workers)
        return real(self, steps, workers)

    monkeypatch.setattr(Batches, "_loader", loader)
    begun = Steps(seed=0, count=PEOPLE + 2, batch=4, epochs=EPOCHS, first=2)  # two people are left out of each epoch
    rooms = [
        list(Batches(Stream(Fourteen(), STILL, HW, seed=0, room=room), begun, 1, pinned=False)) for room in (10**9, 0)
    ]
    assert asked == [1, 1, 0, 1]  # the epoch that was begun, the next one, all others; then without room
    assert len(rooms[0]) == len(rooms[1]) == len(begun)
    for here, there in zip(*rooms, strict=True):
        assert all(torch.equal(here[name], there[name]) for name in there)


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2])
def test_what_a_cluster_sends_to_everybody_is_not_heard_by_workers(number: signal.Signals) -> None:
    """Such as that time is up: they have the handler of the process that forked them."""
    with handled(lambda _number, _frame: os._exit(3), number):
        found = batches(Stream(Counting(), MOVING, HW, seed=0), workers=1)
        next(found)
        for worker in psutil.Process().children():
            worker.send_signal(number)
        assert len(list(found)) == EPOCHS * PEOPLE // 4 - 1


def test_a_worker_does_not_tell_of_a_killed_reader(capsys: pytest.CaptureFixture[str]) -> None:
    """multiprocessing shows what ends the thread that hands tensors over by this hook."""
    for error in (EOFError(), ConnectionResetError("gone"), RuntimeError("else")):
        stream._said(type(error), error, None)
    assert capsys.readouterr().err == "RuntimeError: else\n"
