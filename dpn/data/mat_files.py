"""MATLAB's .mat files as arrays that are what their names promise, and written whole. Imports no torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpn.data.json_files import read_bytes
from dpn.data.mat_format import FormatError, Value, read_variables, written
from dpn.data.problems import DataError, Problem
from dpn.program.whole_files import write_whole

Floats = NDArray[np.float64]
AGAIN = "download it again, or have it written again"
_HDF5 = b"\x89HDF\r\n\x1a\n"
_LARGEST = 1e7
"""No coordinate or length in pixels is larger; a damaged file's often are."""


def problem(path: Path, field: str, message: str, remedy: str = AGAIN) -> DataError:
    """One thing that is wrong with that file, as an error to raise."""
    return DataError(Problem(str(path), field, message, remedy))


def read_mat(path: Path, names: Sequence[str]) -> dict[str, Value]:
    """The named variables of a MATLAB file of version 5 to 7; those that it has not are absent.

    Raises:
        DataError: there is no such file, it is cut short or damaged, or it is of another version.
    """
    content = read_bytes(path)
    if _HDF5 in (content[:8], content[512:520]):
        remedy = "in MATLAB load it and save it with '-v7'; the distributed files are of that version"
        raise problem(path, "", "is a .mat file of version 7.3, which is HDF5", remedy)
    try:
        return read_variables(content, names)
    except FormatError as error:
        raise problem(path, "", f"is no readable .mat file: {error}") from error


def quiet(array: NDArray[Any]) -> Floats:
    """The numbers as float64; a damaged file's NaN may be of the kind that makes NumPy warn whenever it is used."""
    with np.errstate(invalid="ignore", over="ignore"):
        values = array.astype(np.float64)
    values[np.isnan(values)] = np.nan
    return values


def numbers(path: Path, variables: Mapping[str, Value], name: str, shape: tuple[int | None, ...]) -> Floats:
    """The variable of that name as float64, of that shape; None stands for any length.

    MATLAB drops a last dimension of length 1; it is put back.

    Raises:
        DataError: the variable is absent, of another shape, or holds no numbers.
    """
    wanted = " x ".join("N" if length is None else str(length) for length in shape)
    if name not in variables:
        raise problem(path, name, "is missing", f"give a file that holds it, an array of {wanted}")
    array = variables[name]
    if not isinstance(array, np.ndarray):
        raise problem(path, name, "holds no numbers", f"it must be an array of {wanted}")
    if array.ndim == len(shape) - 1 and shape[-1] in (None, 1):
        array = array[..., None]
    fits = array.ndim == len(shape) and all(
        length in (None, found) for length, found in zip(shape, array.shape, strict=True)
    )
    if not fits:
        found = " x ".join(map(str, array.shape))
        raise problem(path, name, f"is an array of {found}", f"it must be {wanted}")
    return quiet(array)


def check_finite(path: Path, name: str, values: Floats, needed: NDArray[np.bool_] | None = None) -> None:
    """Every needed value must be a number of pixels.

    Args:
        path: the file, for the message.
        name: the variable.
        values: (N, ...), the person first.
        needed: of a shape that broadcasts to that of `values`; without it, all are.

    Raises:
        DataError: names the first person with another value, counted from 0.
    """
    wrong = ~(np.abs(values) <= _LARGEST) & (True if needed is None else needed)
    if wrong.any():
        person, *_ = first = tuple(np.argwhere(wrong)[0].tolist())
        raise problem(path, f"{name}, person {person}", f"holds {values[first]}, which is no position in an image")


def write_mat(path: Path, variables: Mapping[str, NDArray[Any] | Sequence[str]]) -> None:
    """Writes a MATLAB file whole or not at all, its folder too; see `dpn.data.mat_format.written`."""
    write_whole(path, written(variables))
