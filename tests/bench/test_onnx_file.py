"""What an ONNX file says of its input; what a name stands for is tested with subjects."""

from pathlib import Path

import onnx
import pytest

from bench.onnx_file import read
from bench.subject import SubjectError, resolve
from tests.bench.onnx_models import convolution


def test_a_negative_extent_is_free_as_one_without_a_number_is(tmp_path: Path) -> None:
    file = read(convolution(tmp_path / "a.onnx", (-1, 3, "height", -1)))
    assert file.shape == (None, 3, None, None)
    assert file.input_shape(2, (32, 24)) == (2, 3, 32, 24)


def test_an_input_of_a_type_that_nobody_knows_is_named(tmp_path: Path) -> None:
    path = convolution(tmp_path / "a.onnx")
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.elem_type = 99
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match=r"a\.onnx takes 1x3x8x6 of no known type \(99\) as 'x0'; images .* float32"):
        read(path)


@pytest.mark.parametrize("location", ["a\0b", "a" * 400])
def test_weights_in_a_file_that_cannot_be_are_refused_by_the_name_of_the_network(
    location: str, tmp_path: Path
) -> None:  # fmt: skip
    path = convolution(tmp_path / "a.onnx", apart="weights.bin")
    model = onnx.load(path, load_external_data=False)
    for entry in model.graph.initializer[0].external_data:
        entry.value = location if entry.key == "location" else entry.value
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match=r"a\.onnx keeps weights in a.*, which is missing .* again$") as caught:
        read(path)
    assert "\0" not in str(caught.value)


def test_a_name_that_no_record_can_hold_is_refused_before_anything_is_measured() -> None:
    with pytest.raises(SubjectError, match=r"caf\\udce9\.onnx' is not UTF-8, .* another name") as caught:
        resolve("caf\udce9.onnx")
    assert str(caught.value).isascii()
