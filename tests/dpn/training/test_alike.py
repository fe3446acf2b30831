"""Processes that would go on with different runs end with the same words, before they exchange anything."""

import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist

from dpn.training.alike import check_alike, differing
from dpn.training.errors import TrainingError
from tests.dpn.training.runs import STEPS, command, finished, started, wait_for

RUN = {"step": 10, "train data": "a 1", "torch": "2.13.0"}


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ([RUN], ""),
        ([RUN | {"step": 0}], "step 10 in process 0 and 0 in process 1"),
        ([RUN, RUN | {"step": 0}, RUN | {"step": 0}], "step 10 in process 0 and 0 in process 2"),
        ([RUN | {"train data": "b 2", "torch": "2"}],
         "train data a 1 in process 0 and b 2 in process 1, torch 2.13.0 in process 0 and 2 in process 1"),
    ],
)  # fmt: skip
def test_what_differs_is_named(others: list[dict[str, Any]], words: str) -> None:
    assert differing([RUN, *others]) == words


@pytest.mark.parametrize("rank", [0, 1])
def test_all_processes_refuse_what_is_not_one_run(monkeypatch: pytest.MonkeyPatch, rank: int) -> None:
    check_alike(RUN)
    runs = [RUN, RUN | {"step": 0}]

    def gather(found: list[Any], mine: object) -> None:
        assert mine == runs[rank]
        found[:] = runs

    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    monkeypatch.setattr(dist, "all_gather_object", gather)
    with pytest.raises(
        TrainingError, match=r"^the processes of this run differ: step 10 .* one --folder that they sha"
    ):
        check_alike(runs[rank])
    runs[1] = RUN
    check_alike(RUN)


TWO = {"devices": "2", "accelerator": "cpu"}


@pytest.mark.slow
def test_processes_with_folders_of_their_own_end_before_the_first_step(tmp_path: Path, unused_port: int) -> None:
    """As on two machines whose disks are their own, of which the first one's holds the run."""
    folders = tmp_path / "0", tmp_path / "1"
    with started(command(folders[0], **TWO, save_every_s="0", keep_gb="0")) as process:
        wait_for(process, folders[0] / "last.pt")
    step = torch.load(folders[0] / "last.pt", weights_only=True)["step"]
    assert 0 < step < STEPS
    joined = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(unused_port), "WORLD_SIZE": "2"}
    with ExitStack() as stack:
        ranks: list[subprocess.Popen[str]] = [
            stack.enter_context(started(command(folder, **TWO), **joined, LOCAL_RANK=str(rank), RANK=str(rank)))
            for rank, folder in enumerate(folders)
        ]
        said = [rank.communicate(timeout=300)[1] for rank in ranks]
    words = f"error: the processes of this run differ: step {step} in process 0 and 0 in process 1; give all machines"
    assert all(line.startswith(words) for line in said), said
    assert [rank.returncode for rank in ranks] == [1, 1]


@pytest.mark.slow
def test_two_processes_train_a_network_with_weights_that_nothing_uses(tmp_path: Path) -> None:
    done = finished(command(tmp_path / "run", network="tiny_network:with_idle_weights", epochs="1", drops="1",
                            precision="bf16", **TWO))  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
