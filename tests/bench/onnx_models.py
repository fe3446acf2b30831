"""Small ONNX files for tests: a convolution whose weights are all a half."""

from pathlib import Path

import numpy as np
import pytest


def convolution(
    path: Path,
    shape: tuple[int | str, ...] = (1, 3, 8, 6),
    *,
    inputs: int = 1,
    apart: str = "",
    value: float = 0.5,
    opset: int = 17,
) -> Path:
    """Writes a 3x3 convolution of three channels to five; its weights lie in the file `apart`, if one is named.

    Where the package onnx is not installed, the test that asks is skipped.
    """
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    images = [helper.make_tensor_value_info(f"x{number}", TensorProto.FLOAT, shape) for number in range(inputs)]
    answer = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    weight = numpy_helper.from_array(np.full((5, 3, 3, 3), value, dtype=np.float32), "w")
    source, nodes = "x0", []
    if shape[-1] == 3:  # images with their channels last
        source = "t"
        nodes.append(helper.make_node("Transpose", ["x0"], ["t"], perm=[0, 3, 1, 2]))
    nodes.append(helper.make_node("Conv", [source, "w"], ["y"], pads=[1, 1, 1, 1]))
    graph = helper.make_graph(nodes, "convolution", images, [answer], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    onnx.save(model, path, save_as_external_data=bool(apart), location=apart or None, size_threshold=0)
    return path
