"""A GPU has its share of the cores to make its samples."""

import pytest

from dpn.training.options import RunOptions


@pytest.mark.parametrize(("cores", "devices", "workers"), [(16, 4, 3), (4, 8, 1), (32, 1, 31), (96, 1, 32)])
def test_each_gpu_has_its_share_of_the_cores_but_one(
    monkeypatch: pytest.MonkeyPatch, cores: int, devices: int, workers: int
) -> None:
    monkeypatch.setattr("dpn.processor.granted_cores", lambda: cores)
    assert RunOptions(accelerator="cpu", devices=devices).workers_each() == 1
    monkeypatch.setattr(RunOptions, "device", lambda _: "cuda")
    assert RunOptions(devices=devices).workers_each() == workers
    monkeypatch.setenv("SLURM_NTASKS", "4")
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "3")  # a task's own, which are not divided once more
    assert RunOptions(devices=devices).workers_each() == 2
    assert [RunOptions(devices=devices, workers=asked).workers_each() for asked in (0, 1, 20)] == [0, 1, 20]
