"""ONNX Runtime and OpenVINO on an ONNX file. Runs in a worker process, without torch."""

import re
from pathlib import Path
from typing import Any

import numpy as np

from bench.cell import Cell
from bench.running import telemetry
from bench.running.runners import MODEL, Arrays, Runner, read_input


class OnnxRuntimeRunner(Runner):
    """ONNX Runtime, one operator after the other, with the input bound once."""

    def __init__(self, cell: Cell, folder: Path) -> None:
        """Opens the file of a cell.

        Raises:
            RuntimeError: ONNX Runtime cannot run it.
        """
        import onnxruntime

        provider: Any = "CPUExecutionProvider"
        if cell.device == "cuda":
            provider = ("CUDAExecutionProvider", {"use_tf32": int(cell.precision == "tf32")})
        image = read_input(folder)
        self.session = open_session(folder / MODEL, cell.threads, provider)
        self.versions = {"onnxruntime": onnxruntime.__version__}
        self.device = cell.device
        self.binding = self.session.io_binding()
        # The binding reads from here in every call, so it must live as long.
        self.input = onnxruntime.OrtValue.ortvalue_from_numpy(image, cell.device, 0)
        self.binding.bind_ortvalue_input(self.session.get_inputs()[0].name, self.input)
        for output in self.session.get_outputs():
            self.binding.bind_output(output.name, cell.device)
        self.options = onnxruntime.RunOptions()
        if cell.device == "cuda":
            self.options.add_run_config_entry("disable_synchronize_execution_providers", "1")

    def call(self) -> None:
        """One forward pass."""
        self.session.run_with_iobinding(self.binding, self.options)

    def synchronise(self) -> None:
        """Waits for the GPU."""
        if self.device == "cuda":
            self.binding.synchronize_outputs()

    def outputs(self) -> Arrays:
        """The tensors of a forward pass."""
        self.call()
        self.synchronise()
        return [np.asarray(array, dtype=np.float32) for array in self.binding.copy_outputs_to_cpu()]


class OpenVinoRunner(Runner):
    """OpenVINO on the CPU, one call at a time."""

    def __init__(self, cell: Cell, folder: Path) -> None:
        """Compiles the file of a cell.

        Raises:
            RuntimeError: OpenVINO cannot run it, or not in this precision on this processor.
        """
        telemetry.switch_off()
        import openvino

        core = openvino.Core()
        wanted = {"fp32": "f32", "bf16": "bf16"}[cell.precision]
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": cell.threads,
            # Without the hint, a processor with bf16 instructions would compute in bf16 what is called fp32.
            "INFERENCE_PRECISION_HINT": wanted,
            # No other back end ties its threads to cores, and a tied thread cannot leave a core that others keep busy.
            "ENABLE_CPU_PINNING": False,
        }
        compiled = core.compile_model(core.read_model(folder / MODEL), "CPU", settings)
        computed = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        if computed != wanted:
            raise RuntimeError(f"openvino computes in {computed} on this processor when asked for {cell.precision}")
        self.versions = {"openvino": openvino.__version__}
        self.request = compiled.create_infer_request()
        self.request.set_input_tensor(openvino.Tensor(read_input(folder)))

    def call(self) -> None:
        """One forward pass."""
        self.request.infer()

    def outputs(self) -> Arrays:
        """The tensors of a forward pass."""
        self.call()
        return [np.array(tensor.data, dtype=np.float32) for tensor in self.request.output_tensors]


RUNNERS: dict[str, Any] = {"onnxruntime": OnnxRuntimeRunner, "openvino": OpenVinoRunner}


def open_session(path: Path, threads: int, provider: Any = "CPUExecutionProvider") -> Any:
    """An `onnxruntime.InferenceSession` on a file.

    Its threads wait for the next operator in a busy loop, as they do for every user, because sleeping between operators
    would time the scheduler. The loop ends with the call: a rival that runs next must not share its core with it.

    Raises:
        RuntimeError: the file cannot be run.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3  # errors only: its warnings are about optimisations that it skips
    options.add_session_config_entry("session.force_spinning_stop", "1")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=[provider])
    except Exception as error:
        raise RuntimeError(f"onnxruntime cannot run the file: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """What ONNX Runtime says is wrong, without its codes, paths and C++ signatures, which come first and are long.

    Example:
        >>> where = "Load model from /a b/model.onnx failed:/src/model.cc:256 Model::Model(ModelProto&&, const Path&)"
        >>> _reason(Exception(f"[ONNXRuntimeError] : 1 : FAIL : {where} Unsupported model IR version: 99"))
        'Unsupported model IR version: 99'
    """
    text = " ".join(str(error).split())
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", text)
    text = re.sub(r"^Load model from .*? failed: ?", "", text)
    text = re.sub(r"^/\S+:\d+ .*?\) (?=[A-Z])", "", text)
    return text[:200]
