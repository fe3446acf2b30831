"""Which back end runs where, and what is said of those that do not."""

import subprocess
import sys
from typing import get_args

import pytest

from bench.cell import DEVICES, PRECISIONS, BackendName, Cell
from bench.running import backends
from bench.running.backends import BACKENDS, offered, unavailable

CELL = {"subject": "dpn1_32", "input_hw": (64, 48)}


def pretend(monkeypatch: pytest.MonkeyPatch, *, missing: str = "", gpu: str | None = None) -> None:
    found = backends.importlib.util.find_spec
    monkeypatch.setattr(backends.importlib.util, "find_spec", lambda name: None if name == missing else found(name))
    monkeypatch.setattr(backends.environment, "gpu_name", lambda: gpu)


def test_the_catalogue_has_every_back_end_that_a_cell_can_name() -> None:
    assert tuple(BACKENDS) == get_args(BackendName)
    for backend in BACKENDS.values():
        assert set(backend.devices) <= set(DEVICES)
        for precisions in backend.precisions.values():
            assert "fp32" in precisions
            assert set(precisions) <= set(PRECISIONS)
    assert all("tf32" not in backend.precisions.get("cpu", ()) for backend in BACKENDS.values())


@pytest.mark.parametrize(
    ("fields", "missing", "reason"),
    [
        ({"backend": "cudagraph"}, "", "cudagraph runs on cuda only; use --device cuda"),
        ({"backend": "openvino", "device": "cuda"}, "", "openvino runs on cpu only; use --device cpu"),
        ({"precision": "tf32"}, "", "tf32 is not offered by eager on cpu; use --precision fp32, bf16, fp16"),
        ({"backend": "onnxruntime", "precision": "fp16"}, "", "use --precision fp32"),
        (
            {"backend": "onnxruntime"},
            "onnxruntime",
            "is not installed; in the checkout run: pip install -e '.[backends]'",
        ),
        ({"backend": "openvino"}, "openvino", "openvino is not installed; in the checkout run: "),
        ({"device": "cuda"}, "", "no CUDA device was found; use --device cpu"),
        (
            {"subject": "my/net.onnx"},
            "",
            "only onnxruntime and openvino run an ONNX file, not eager; use --backend onn",
        ),
    ],
)
def test_a_reason_names_the_remedy_in_one_line(
    monkeypatch: pytest.MonkeyPatch, fields: dict, missing: str, reason: str
) -> None:
    pretend(monkeypatch, missing=missing)
    said = unavailable(Cell(**CELL | fields))
    assert said is not None
    assert reason in said
    assert "\n" not in said


def test_what_can_run_has_no_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, gpu="a GPU")
    for backend in BACKENDS.values():
        for device in set(backend.devices) & set(offered("cpu")):
            for precision in backend.precisions[device]:
                assert unavailable(Cell(**CELL, backend=backend.name, device=device, precision=precision)) is None
    assert unavailable(Cell(**CELL, device="cuda", precision="tf32")) is None
    assert unavailable(Cell(subject="my/net.onnx", input_hw=(64, 48), backend="onnxruntime")) is None


def test_a_missing_library_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, missing="openvino")
    assert "openvino" not in offered("cpu")
    assert "cudagraph" not in offered("cpu")
    assert "eager" in offered("cpu")


def test_compiling_needs_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends.shutil, "which", lambda _name: None)
    assert "install g++" in str(unavailable(Cell(**CELL, backend="compile")))
    pretend(monkeypatch, missing="triton", gpu="a GPU")
    assert "pip install triton" in str(unavailable(Cell(**CELL, backend="compile", device="cuda")))


def test_asking_what_is_offered_imports_none_of_it() -> None:
    code = (
        "import sys\nfrom bench.running.backends import offered\noffered('cpu')\n"
        "print([name for name in ('torch', 'onnx', 'onnxruntime', 'openvino') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
