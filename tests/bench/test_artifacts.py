"""What is written for the workers of a cell: reference, statistics, ONNX file, counts."""

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bench.cell import Cell
from bench.recording.counting import count_subject
from bench.running import torch_networks
from bench.running.artifacts import prepare
from bench.running.runners import MODEL, REFERENCE, read_reference
from bench.running.torch_networks import STATISTICS, calibrate, example, flatten, network, norms, seeded
from bench.subject import resolve
from tests.bench.onnx_models import convolution

CELL = Cell(subject="dpn1_32", input_hw=(64, 48))


@pytest.fixture(autouse=True)
def _threads_as_before() -> Any:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_the_reference_is_fp32_eager_on_the_input(tmp_path: Path) -> None:
    prepare(CELL, tmp_path, onnx=False)
    image, (heatmaps,) = read_reference(tmp_path)
    assert np.array_equal(image, example(CELL).numpy())
    torch.set_num_threads(1)
    with torch.inference_mode():
        assert np.array_equal(heatmaps, network(CELL, tmp_path)(torch.from_numpy(image)).numpy())
    assert {path.name for path in tmp_path.iterdir()} == {REFERENCE, STATISTICS}


def test_an_answer_without_tensors_is_refused_because_nothing_could_be_compared(tmp_path: Path) -> None:
    cell = Cell(subject="tests.bench.networks:silent", input_hw=(8, 6))
    with pytest.raises(RuntimeError, match="networks:silent holds no tensors"):
        prepare(cell, tmp_path, onnx=False)
    assert not (tmp_path / REFERENCE).exists()


@pytest.mark.parametrize("onnx", [False, True])
def test_an_answer_that_is_not_finite_is_refused_because_everything_agrees_with_it(tmp_path: Path, onnx: bool) -> None:
    subject = "tests.bench.networks:overflowing"
    if onnx:
        subject = str(convolution(tmp_path / "net.onnx", (1, 3, 8, 6), value=float("inf")))
    with pytest.raises(RuntimeError, match=f"^the answer of {re.escape(subject)} to random numbers is not finite"):
        prepare(Cell(subject=subject, input_hw=(8, 6)), tmp_path, onnx=False)
    assert not (tmp_path / REFERENCE).exists()


def test_another_process_writes_the_same(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    here = prepare(CELL, tmp_path / "here", onnx=False)
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from bench.cell import Cell\nfrom bench.running.artifacts import prepare\n"
        f"print(prepare({CELL!r}, Path(sys.argv[1]), onnx=False))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "there")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == str(here)
    for name in (REFERENCE, STATISTICS):
        with np.load(tmp_path / "here" / name) as one, np.load(tmp_path / "there" / name) as other:
            assert one.files == other.files
            assert all(np.array_equal(one[array], other[array]) for array in one.files)


def test_the_counts_are_those_of_one_image(tmp_path: Path) -> None:
    found = prepare(Cell(subject="dpn1_32", input_hw=(64, 48), batch=2), tmp_path, onnx=False)
    counted, digest = count_subject(resolve("dpn1_32", (64, 48)))
    assert found == {
        "digest": digest, "macs": counted.macs, "weight_bytes": counted.total("weight_bytes"),
        "activation_bytes": counted.total("activation_bytes"), "failures": {},
    }  # fmt: skip
    assert read_reference(tmp_path)[0].shape == (2, 3, 64, 48)


def test_calibrated_batch_norm_gives_maps_of_the_size_of_one() -> None:
    net, image = seeded(CELL), example(CELL)
    calibrate(net, image)
    seen: dict[nn.Module, float] = {}
    for _, module in norms(net):
        module.register_forward_hook(lambda one, _inputs, output: seen.update({one: output.square().mean().item()}))
    with torch.inference_mode():
        net(image)
    assert len(seen) == len(list(norms(net)))
    for module, square in seen.items():
        # Maps of mean square v come out with v / (v + eps), whatever came in.
        assert isinstance(module, nn.BatchNorm2d)
        (variance,) = set(module.running_var.tolist())
        assert square == pytest.approx(variance / (variance + module.eps), rel=1e-3)


def test_without_calibration_maps_vanish() -> None:
    with torch.inference_mode():
        raw, fitted = (net(example(CELL)).abs().max().item() for net in (seeded(CELL), network(CELL)))
    assert raw < 1e-6 < 1e-3 < fitted


def test_statistics_that_were_learnt_are_kept() -> None:
    net = nn.Sequential(nn.BatchNorm2d(3), nn.BatchNorm2d(3)).eval()
    net[0].running_mean.fill_(0.5)
    calibrate(net, torch.full((1, 3, 2, 2), 3.0))
    assert net[0].running_var.tolist() == [1, 1, 1]
    assert net[1].running_var.tolist() == pytest.approx([2.5**2] * 3, rel=1e-4)


class Pair(NamedTuple):
    first: Tensor
    second: list[Tensor]


@dataclass
class Boxed:
    pair: Pair
    more: dict[str, Tensor]
    note: str = ""


def test_answers_are_flattened_in_order() -> None:
    one, two, three, four = (torch.tensor(number) for number in range(4))
    answer = (Boxed(pair=Pair(one, [two, three]), more={"x": four}), None, 3)
    assert [tensor.item() for tensor in flatten(answer)] == [0, 1, 2, 3]


def test_what_onnx_lacks_is_a_failure_of_its_readers_only(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    found = prepare(Cell(subject="tests.bench.networks:with_fourier_transform", input_hw=(8, 8)), tmp_path, onnx=True)
    assert set(found["failures"]) == {"onnxruntime", "openvino"}
    reason = found["failures"]["openvino"]
    assert "with_fourier_transform cannot be written as an ONNX file" in reason
    assert "\n" not in reason
    assert capfd.readouterr().out == ""  # standard output of a worker has no reader
    assert found["macs"] is None  # an operator that nobody counts is no basis for a roofline
    assert not (tmp_path / MODEL).exists()
    assert (tmp_path / REFERENCE).exists()


def test_what_torch_fuses_is_written_in_parts(tmp_path: Path) -> None:
    cell = Cell(subject="tests.bench.networks:transformer", input_hw=(8, 8))
    assert prepare(cell, tmp_path, onnx=True)["failures"] == {}
    assert (tmp_path / MODEL).exists()
    assert torch.backends.mha.get_fastpath_enabled()


def test_a_network_that_registers_layers_in_its_first_call_can_be_prepared(tmp_path: Path) -> None:
    cell = Cell(subject="tests.bench.networks:late", input_hw=(8, 8))
    found = prepare(cell, tmp_path, onnx=True)
    assert found["failures"] == {}
    assert found["macs"] == 64 * (3 * 9 * 4 + 4 * 2)
    image, (output,) = read_reference(tmp_path)
    with torch.inference_mode():
        assert np.array_equal(output, network(cell, tmp_path)(torch.from_numpy(image)).numpy())


def test_a_network_of_another_type_is_told_of_it(tmp_path: Path) -> None:
    cell = Cell(subject="tests.bench.networks:in_half_precision", input_hw=(8, 8))
    with pytest.raises(RuntimeError, match=r"type.*; its weights are torch\.float16 and .* build it with \.to"):
        prepare(cell, tmp_path, onnx=False)


def test_an_onnx_file_is_its_own_reference_and_needs_no_torch(tmp_path: Path) -> None:
    path = convolution(tmp_path / "net.onnx", ("batch", 3, "height", "width"), apart="weights.bin")
    cell = Cell(subject=str(path), input_hw=(8, 6), batch=2, backend="onnxruntime")
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from bench.cell import Cell\nfrom bench.running.artifacts import prepare\n"
        f"print(prepare({cell!r}, Path(sys.argv[1]), onnx=True)['digest'], 'torch' in sys.modules)"
    )
    folder = tmp_path / "folder"
    folder.mkdir()
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [resolve(str(path)).spec_digest(), "False"]
    image, (output,) = read_reference(folder)
    assert image.shape == (2, 3, 8, 6)
    expected = nn.functional.conv2d(torch.from_numpy(image), torch.full((5, 3, 3, 3), 0.5), padding=1)
    assert np.allclose(output, expected, atol=1e-5)


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def torn(_net: nn.Module, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError("the disk is full")

    monkeypatch.setattr(torch_networks, "save_statistics", torn)
    with pytest.raises(OSError, match="full"):
        prepare(CELL, tmp_path, onnx=False)
    assert list(tmp_path.iterdir()) == []


def test_the_input_does_not_depend_on_what_was_drawn_before() -> None:
    first = example(CELL)
    torch.rand(7)
    assert torch.equal(first, torch_networks.example(CELL))
