"""Networks in every back end that is installed, compared with fp32 eager."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.cell import PRECISIONS, Cell
from bench.running import backends
from bench.running.artifacts import prepare
from bench.running.opening import open_runner
from bench.running.runners import REFERENCE, TOLERANCE, Runner, check, largest_difference, read_reference
from bench.running.torch_runners import set_products
from tests.bench.onnx_models import convolution

SMALL: dict[str, Any] = {"subject": "dpn1_32", "input_hw": (64, 48)}


@pytest.fixture(autouse=True)
def _threads_as_before() -> Any:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("prepared")
    assert prepare(Cell(**SMALL), made, onnx=True)["failures"] == {}
    return made


def opened(folder: Path, **fields: Any) -> tuple[Cell, Runner]:
    cell = Cell(**SMALL | fields)
    reason = backends.unavailable(cell)
    if reason is not None:
        pytest.skip(reason)
    return cell, open_runner(cell, folder)


@pytest.mark.parametrize("backend", ["eager", "channels_last", "onnxruntime", "openvino"])
@pytest.mark.parametrize("threads", [1, 2])
def test_every_back_end_gives_what_fp32_eager_gives(folder: Path, backend: str, threads: int) -> None:
    cell, runner = opened(folder, backend=backend, threads=threads)
    runner.call()
    runner.synchronise()
    assert check(runner, cell, folder)["largest_difference"] < 1e-4
    assert list(runner.versions) == [backends.BACKENDS[cell.backend].modules[0]]
    assert all(output.dtype == np.float32 for output in runner.outputs())


@pytest.mark.slow
def test_compiled_gives_what_fp32_eager_gives(tmp_path: Path) -> None:
    cell = Cell(subject="tests.bench.networks:pointwise", input_hw=(8, 6), backend="compile")
    prepare(cell, tmp_path, onnx=False)
    if (reason := backends.unavailable(cell)) is not None:
        pytest.skip(reason)
    assert check(open_runner(cell, tmp_path), cell, tmp_path)["largest_difference"] < 1e-4


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_lower_precision_is_used_and_is_near(folder: Path, precision: str) -> None:
    cell, runner = opened(folder, precision=precision)
    difference = check(runner, cell, folder)["largest_difference"]
    # More than fp32 could ever be off: the arithmetic has the eight or eleven bits that were asked for.
    assert 1e-3 < difference < TOLERANCE[precision]


def test_openvino_computes_in_the_precision_that_is_asked_for_or_says_no(folder: Path) -> None:
    try:
        cell, runner = opened(folder, backend="openvino", precision="bf16")
    except RuntimeError as error:
        assert "openvino computes in f32" in str(error)  # noqa: PT017 - either is right, by the processor
    else:
        assert check(runner, cell, folder)["largest_difference"] > 1e-3


def test_either_of_torchs_switches_for_products_says_the_same() -> None:
    cudnn: Any = torch.backends.cudnn
    before = torch.get_float32_matmul_precision(), cudnn.benchmark
    try:
        for precision, word in (("tf32", "high"), ("fp32", "highest")):
            set_products(precision)
            assert torch.get_float32_matmul_precision() == word
            assert torch.backends.cuda.matmul.allow_tf32 is (precision == "tf32")
            assert torch.backends.cuda.matmul.fp32_precision == ("tf32" if precision == "tf32" else "ieee")
            assert cudnn.allow_tf32 is (precision == "tf32")
            assert {cudnn.conv.fp32_precision == "tf32", cudnn.rnn.fp32_precision == "tf32"} == {precision == "tf32"}
            with cudnn.flags(enabled=True, benchmark=True, allow_tf32=True):  # as a network may do
                assert cudnn.allow_tf32
    finally:
        cudnn.allow_tf32 = True  # as torch starts
        torch.set_float32_matmul_precision(before[0])
        cudnn.benchmark = before[1]


def test_threads_are_those_of_the_cell(folder: Path) -> None:
    for threads in (1, 2):
        opened(folder, threads=threads)
        assert torch.get_num_threads() == threads


def test_calls_do_not_depend_on_each_other(folder: Path) -> None:
    for backend in ("eager", "onnxruntime", "openvino"):
        _, runner = opened(folder, backend=backend)
        first = [output.copy() for output in runner.outputs()]
        runner.call()
        assert all(map(np.array_equal, first, runner.outputs()))


def test_onnx_readers_need_no_torch(folder: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom bench.cell import Cell\n"
        "from bench.running.opening import open_runner\n"
        "from bench.running.runners import check\n"
        "for name in sys.argv[2:]:\n"
        "    cell = Cell(subject='dpn1_32', input_hw=(64, 48), backend=name)\n"
        "    check(open_runner(cell, Path(sys.argv[1])), cell, Path(sys.argv[1]))\n"
        "print('torch' in sys.modules)"
    )
    readers = [name for name in backends.offered("cpu") if backends.BACKENDS[name].from_onnx]
    done = subprocess.run([sys.executable, "-c", code, folder, *readers], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_an_onnx_file_runs_with_its_weights_apart(tmp_path: Path) -> None:
    path = convolution(tmp_path / "net.onnx", (2, 8, 6, 3), apart="weights.bin")
    folder = tmp_path / "folder"
    folder.mkdir()
    for backend in ("onnxruntime", "openvino"):
        cell = Cell(subject=str(path), input_hw=(8, 6), batch=2, backend=backend)
        prepare(cell, folder, onnx=True)
        assert check(open_runner(cell, folder), cell, folder)["largest_difference"] < 1e-5


def test_other_outputs_than_the_reference_are_refused(folder: Path, tmp_path: Path) -> None:
    image, outputs = read_reference(folder)
    cell, runner = opened(folder)
    np.savez(tmp_path / REFERENCE, input=image, output_0=outputs[0][..., ::-1])
    with pytest.raises(
        RuntimeError, match=r"outputs of eager in fp32 on cpu differ from fp32 eager .* it is not timed"
    ):
        check(runner, cell, tmp_path)


def test_a_missing_preparation_says_so(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="prepare writes it"):
        read_reference(tmp_path)


@pytest.mark.parametrize(
    ("outputs", "reason"),
    [
        ([], "0 output tensors where fp32 eager has 1"),
        ([np.zeros((2, 3))], r"shape \(2, 3\) where fp32 eager has \(3,\)"),
        ([np.array([1, np.nan, 3])], "not finite"),
        ([np.array([1, np.inf, 3])], "not finite"),
    ],
)
def test_what_cannot_be_compared_is_an_error(outputs: list[Any], reason: str) -> None:
    with pytest.raises(RuntimeError, match=reason):
        largest_difference(outputs, [np.array([1.0, 2.0, 3.0])])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_reference_that_is_not_finite_is_not_blamed_on_the_back_end(value: float) -> None:
    for got in (1.0, value):
        with pytest.raises(RuntimeError, match="output 0 of fp32 eager has values that are not finite"):
            largest_difference([np.array([got])], [np.array([value])])


@given(
    st.lists(st.floats(-10, 10), min_size=1, max_size=8), st.floats(1e-3, 1e3), st.floats(-0.5, 0.5), st.integers(0, 7)
)
def test_the_difference_is_relative_to_the_largest_value(
    values: list[float], scale: float, gap: float, index: int
) -> None:
    wanted = np.array([*values, 10.0])
    got = wanted.copy()
    got[index % len(wanted)] += gap
    assert largest_difference([scale * got], [scale * wanted]) == pytest.approx(abs(gap) / 10, abs=1e-8)


def test_the_worst_tensor_decides_and_empty_ones_do_not() -> None:
    small, large, empty = np.array([1e-3]), np.array([1e3]), np.zeros((0, 4))
    assert largest_difference([empty, 2 * small, large], [empty, small, large]) == 1.0
    assert largest_difference([np.array([0.25])], [np.zeros(1)]) == 0.25


def test_lower_precisions_have_wider_tolerances() -> None:
    assert set(TOLERANCE) == set(PRECISIONS)
    assert TOLERANCE["fp32"] < TOLERANCE["fp16"] <= TOLERANCE["bf16"] < 1


@pytest.mark.cuda
@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16", "fp16"])
@pytest.mark.parametrize("backend", ["eager", "channels_last", "cudagraph"])
def test_every_back_end_on_a_gpu_gives_what_fp32_eager_gives(folder: Path, backend: str, precision: str) -> None:
    cell, runner = opened(folder, backend=backend, device="cuda", precision=precision)
    for _ in range(3):
        runner.call()
    runner.synchronise()
    check(runner, cell, folder)
