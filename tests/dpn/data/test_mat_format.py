"""MATLAB's format against scipy's reader and writer; damaged bytes end in `FormatError` alone."""

import io
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.io import loadmat, savemat

from dpn.data.mat_format import (
    _DOUBLE,
    _FLOAT64,
    _INT8,
    _INT32,
    _STRUCTURES,
    Cells,
    FormatError,
    Structures,
    Value,
    _array,
    _element,
    read_variables,
    written,
)

DTYPES = st.sampled_from([np.dtype(name) for name in ("f8", "f4", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8")])
SHAPES = arrays.array_shapes(min_dims=2, max_dims=4, min_side=0, max_side=4)


def saved(variables: dict[str, Any], *, compressed: bool = False) -> bytes:
    file = io.BytesIO()
    savemat(file, variables, do_compression=compressed)
    return file.getvalue()


@given(DTYPES.flatmap(lambda dtype: arrays.arrays(dtype, SHAPES)), st.booleans())
@settings(deadline=None)
def test_numbers_are_read_as_scipy_wrote_them(array: Any, compressed: bool) -> None:
    found = read_variables(saved({"other": 1.0, "it": array}, compressed=compressed), ["it"])
    assert list(found) == ["it"]
    np.testing.assert_array_equal(found["it"], array)


@given(arrays.arrays(np.float64, SHAPES))
@settings(deadline=None)
def test_scipy_reads_what_is_written(array: Any) -> None:
    names = ["ankle", "", "öł"]
    content = written({"preds": array, "names": names})
    np.testing.assert_array_equal(loadmat(io.BytesIO(content))["preds"], array)
    assert ["".join(cell.tolist()) for cell in loadmat(io.BytesIO(content))["names"][0]] == names
    found = read_variables(content, ["preds", "names"])
    np.testing.assert_array_equal(found["preds"], array)
    assert isinstance(found["names"], Cells)
    assert [found["names"][index] for index in range(3)] == names
    assert content == written({"preds": array, "names": names})


def test_the_other_order_of_bytes_is_read() -> None:
    content = written({"it": np.array([[1.5, -2.0]])})
    words = bytearray(content)
    words[124:128] = b"\x01\x00MI"
    for at in range(128, len(content) - 20, 4):
        words[at : at + 4] = content[at : at + 4][::-1]
    name, numbers = content.index(b"it\0\0"), len(content) - 16
    words[name : name + 4] = content[name : name + 4]
    for at in (numbers, numbers + 8):
        words[at : at + 8] = content[at : at + 8][::-1]
    words[numbers - 8 : numbers] = content[numbers - 8 : numbers - 4][::-1] + content[numbers - 4 : numbers][::-1]
    np.testing.assert_array_equal(loadmat(io.BytesIO(bytes(words)))["it"], [[1.5, -2.0]])
    np.testing.assert_array_equal(read_variables(bytes(words), ["it"])["it"], [[1.5, -2.0]])


@pytest.mark.parametrize("compressed", [False, True])
def test_cells_structures_and_text_are_looked_into(compressed: bool) -> None:
    cells = np.empty((1, 3), dtype=object)
    cells[0] = ["ankle", np.arange(3.0), {"x": 1.0, "a_long_name": "öł"}]
    found = read_variables(saved({"it": cells}, compressed=compressed), ["it"])["it"]
    assert isinstance(found, Cells)
    assert len(found) == 3
    assert found[0] == "ankle"
    np.testing.assert_array_equal(found[1], [[0, 1, 2]])
    inside = found[2]
    assert isinstance(inside, Structures)
    assert inside.fields == ("x", "a_long_name")
    assert inside.get(0, "x") == 1
    assert inside.get(0, "a_long_name") == "öł"
    for index, field in ((1, "x"), (-1, "x"), (0, "y")):
        with pytest.raises(FormatError, match="there is no"):
            inside.get(index, field)


def everything_in(found: Value) -> None:
    if isinstance(found, Cells):
        for index in range(len(found)):
            everything_in(found[index])
    elif isinstance(found, Structures):
        for index in range(len(found)):
            for field in found.fields:
                everything_in(found.get(index, field))


@pytest.mark.parametrize("compressed", [False, True])
def test_damaged_bytes_are_an_error_and_nothing_else(compressed: bool) -> None:
    """scipy 1.17 ends with a segmentation fault on some of such files."""
    rng = random.Random(11)
    cells = np.empty((1, 2), dtype=object)
    cells[0] = ["ankle", {"x": 1.0, "point": np.arange(5, dtype=np.int16)}]
    content = saved({"it": cells, "numbers": np.eye(3)}, compressed=compressed)
    refused = 0
    for turn in range(2000):
        damaged = bytearray(content[: rng.randrange(len(content))] if turn % 8 == 0 else content)
        for _ in range(rng.randrange(1, 4) if damaged else 0):
            damaged[rng.randrange(120, len(content)) % len(damaged)] = rng.choice((0, 1, 255, rng.randrange(256)))
        try:
            for found in read_variables(bytes(damaged), ["it", "numbers"]).values():
                everything_in(found)
        except FormatError:
            refused += 1
    assert 500 < refused < 2000


@pytest.mark.parametrize("side", [np.inf, np.nan, 2.0])
def test_dimensions_that_are_no_whole_numbers_are_refused(side: float) -> None:
    """Two of four bytes as one of eight: the element has the same length and another type."""
    content = written({"it": np.eye(2)})
    whole, other = _element(_INT32, np.array((2, 2), "<i4").tobytes()), _element(_FLOAT64, np.float64(side).tobytes())
    assert content.count(whole) == 1
    with pytest.raises(FormatError, match="a head of other types"):
        read_variables(content.replace(whole, other), ["it"])


def test_names_whose_length_is_no_whole_number_are_refused() -> None:
    single = 7
    content = _element(single, np.float32(np.nan).tobytes()) + _element(_INT8, b"x\0")
    with pytest.raises(FormatError, match="structures without fields"):
        read_variables(written({}) + _array(_STRUCTURES, (1, 1), "it", content), ["it"])


def test_more_dimensions_than_an_array_can_have_are_refused() -> None:
    with pytest.raises(FormatError, match="a shape that none can have"):
        read_variables(_with_dimensions(70), ["it"])
    found = read_variables(_with_dimensions(8), ["it"])["it"]
    assert isinstance(found, np.ndarray)
    assert (found.ndim, found.item()) == (8, 1.5)


def _with_dimensions(count: int) -> bytes:
    """One number, in so many dimensions."""
    return written({}) + _array(_DOUBLE, (1,) * count, "it", _element(_FLOAT64, np.array([1.5], "<f8").tobytes()))


def test_other_kinds_of_arrays_are_refused() -> None:
    from scipy.sparse import csc_array

    for array in (np.array([[1j]]), csc_array(np.eye(3))):
        with pytest.raises(FormatError, match="neither real numbers nor text, cells or structures"):
            read_variables(saved({"it": array}), ["it"])
        assert read_variables(saved({"it": array}), ["other"]) == {}
