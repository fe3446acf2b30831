"""What happens between steps, by a clock of its own: long waits are told of, and slow disks are written seldom."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from dpn.heatmaps import Codec
from dpn.training import flow as module
from dpn.training.flow import Flow
from dpn.training.folder import RunFolder
from dpn.training.recipes import Recipe
from dpn.training.stopping import Stopping
from dpn.training.task import PoseTask
from tests.dpn.training.tiny_network import InModule

RECIPE = Recipe(name="tiny", network="tiny_network:InModule", data="synthetic", augment=True)


class Clock:
    """Seconds that pass when somebody says so."""

    now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(module, "board", lambda *_: None)
    return clock


def steps(folder: Path, clock: Clock, *, step_s: float, waited_s: float = 0.0, augment: bool = True) -> Iterator[int]:
    """Steps of a run that end one after the other, the first ten of which wait for nothing else."""
    recipe = RECIPE if augment else Recipe(**vars(RECIPE) | {"augment": False})
    task = PoseTask(InModule(), recipe, Codec(name="quarter", input_hw=(64, 64), sigma=2), 1000, None)
    device, loss = torch.device("cpu"), {"loss": torch.zeros(())}
    strategy = SimpleNamespace(reduce=lambda value, **_: value, root_device=device)
    trainer: Any = SimpleNamespace(
        strategy=strategy, world_size=1, is_global_zero=True, optimizers=[task.configure_optimizers()]
    )
    flow = Flow(
        folder=RunFolder(folder), recipe=recipe, per_epoch=1000, validate=dict, picture=lambda _: None,
        told=lambda *_: None, stopping=Stopping(), save_every_s=60.0, data={}, versions={}, leg=lambda _: {},
    )  # fmt: skip
    with flow.stopping.watching():  # which is what takes the signals back from it
        flow.on_train_start(trainer, task)
        while True:
            clock.now_s += step_s
            task.waited_s += step_s if task.step < 10 else waited_s
            flow.on_train_batch_end(trainer, task, loss, None, 0)
            yield task.step


@pytest.mark.parametrize(
    ("device", "waited_s", "augment", "said"),
    [
        ("cuda", 0.05, True, "note: the process has waited for samples 50% of the time"),
        ("cuda", 0.01, True, ""),
        ("cuda", 0.05, False, ""),
        ("cpu", 0.05, True, ""),
    ],
)
def test_a_process_with_a_gpu_that_waits_for_samples_is_told_of_once(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], device: str,
    waited_s: float, augment: bool, said: str,
) -> None:  # fmt: skip
    """Not of samples that are kept, which are waited for in the first epoch alone."""
    monkeypatch.setattr(PoseTask, "device", torch.device(device))
    run = steps(tmp_path, clock, step_s=0.1, waited_s=waited_s, augment=augment)
    assert [next(run) for _ in range(109)][-1] == 109
    assert capsys.readouterr().err == ""
    assert [next(run) for _ in range(200)][-1] == 309
    found = capsys.readouterr().err
    assert found.startswith(said)
    assert found.count("\n") == bool(said)


@pytest.mark.parametrize(
    ("saving_s", "saved_at"), [((0.1, 0.1), [7, 14, 21]), ((5.0, 5.0), [7, 14, 30]), ((0.1, 600.0), [7, 14, 21])]
)
def test_states_that_take_long_to_save_are_saved_seldom(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, saving_s: tuple[float, ...], saved_at: list[int]
) -> None:
    """Every 60 s, and after 30 times as long as the quicker one of the last two took; here one after the other."""
    saved: list[tuple[str, int]] = []

    def save(path: Path, state: Any) -> None:
        clock.now_s += saving_s[len(saved) % 2]
        saved.append((path.name, state.step))

    monkeypatch.setattr(module, "save", save)
    run = steps(tmp_path, clock, step_s=10.0)
    while next(run) < 40:
        pass
    assert saved[:3] == [("last.pt", step) for step in saved_at]
