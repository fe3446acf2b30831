"""Lists of objects from JSON as columns of numbers, with a problem for whatever is none. Imports no torch.

Whole columns are looked at first, which takes a fraction of parsing; single values only where a column is not as it
should be. The functions that look are generators: they yield problems and return the column, for `yield from`.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpn.arrays import Floats
from dpn.data.problems import Problem

FIX = "correct the file or download it again"
ABSENT = object()
"""Stands for a field that is not there."""
_INT64 = 2**63
_EXACT = 2**53
"""From here on a float may stand for another whole number than its file's."""

Mask = NDArray[np.bool_]
Finding = Generator[Problem, None, Any]
"""Yields problems, returns what was looked at."""


@dataclass(frozen=True, eq=False)
class Rows:
    """The objects in one list of a file, and their places there.

    Attributes:
        file: the file's name.
        name: of the list; empty where it is the whole file.
        rows: the objects.
        places: the place of each in the list, since some may have been left out.
    """

    file: str
    name: str
    rows: Sequence[Mapping[str, Any]]
    places: Sequence[int]

    def problem(self, row: int, field: str, message: str, remedy: str = FIX) -> Problem:
        """About a field of one of the objects."""
        return Problem(self.file, f"{self.name}[{self.places[row]}].{field}", message, remedy)

    def column(self, field: str) -> list[Any]:
        """That field of every object."""
        return [row.get(field, ABSENT) for row in self.rows]

    def take(self, keep: Sequence[bool] | Mask) -> "Rows":
        """Some of the objects alone."""
        chosen = [row for row, kept in enumerate(keep) if kept]
        return Rows(self.file, self.name, [self.rows[row] for row in chosen], [self.places[row] for row in chosen])


def rows_of(content: Mapping[str, Any], name: str, file: str) -> Finding:
    """The objects of a list, as `Rows`, or None where it is no list."""
    rows = content.get(name, ABSENT)
    if not isinstance(rows, list):
        message = "is missing" if rows is ABSENT else f"is {shown(rows)}, not a list"
        yield Problem(file, name, message, FIX)
        return None
    good = [isinstance(row, dict) for row in rows]
    for place in (place for place, is_good in enumerate(good) if not is_good):
        yield Problem(file, f"{name}[{place}]", f"is {shown(rows[place])}, not an object", FIX)
    return Rows(file, name, rows, range(len(rows))).take(good)


def whole_number(value: object) -> int | None:
    """The whole number that a value is; None of any other, and of a truth value.

    Example:
        >>> whole_number(785), whole_number(785.0), whole_number(0.5), whole_number(True)
        (785, 785, None, None)
    """
    if type(value) is float and value.is_integer() and abs(value) < _EXACT:
        return int(value)
    return value if type(value) is int else None


def whole_numbers(
    rows: Rows, field: str, least: int = -_INT64, most: int = _INT64 - 1, *, optional: bool = False
) -> Finding:  # fmt: skip
    """The column, with None for what is no whole number between these; 785.0 is the number 785.

    Args:
        rows: the objects.
        field: of each.
        least: of the numbers.
        most: likewise.
        optional: whether the field may be absent.
    """
    values = rows.column(field)
    if set(map(type, values)) <= {int} and all(least <= value <= most for value in values):
        return values
    for row, value in enumerate(values):
        number = whole_number(value)
        if number is not None and least <= number <= most:
            values[row] = number
        elif optional and value is ABSENT:
            values[row] = None
        else:
            limit = (
                "" if least == -_INT64 else f" of at least {least}" + (f", at most {most}" if most < _INT64 - 1 else "")
            )
            message = "is missing" if value is ABSENT else f"is {shown(value)}, not a whole number{limit}"
            yield rows.problem(row, field, message)
            values[row] = None
    return values


def finite_numbers(rows: Rows, field: str, remedy: str = FIX) -> Finding:
    """(N,) float64, the column, with NaN for what is no finite number, and the remedy for such."""
    values = rows.column(field)
    numbers = as_numbers(values)
    for row in where(np.isnan(numbers)):
        message = "is missing" if values[row] is ABSENT else f"is {shown(values[row])}, not a finite number"
        yield rows.problem(row, field, message, remedy)
    return numbers


def number_lists(rows: Rows, field: str, length: int) -> Finding:
    """(N, length) float64, the column, with rows of NaN for what is no list of so many finite numbers."""
    values = rows.column(field)
    good = [type(value) is list and len(value) == length for value in values]
    for row in (row for row, is_good in enumerate(good) if not is_good):
        value = values[row]
        message = "is missing" if value is ABSENT else f"is {shown(value)}, not a list of {length} numbers"
        yield rows.problem(row, field, message)
        values[row] = [None] * length
    table = as_numbers(list(chain.from_iterable(values))).reshape(-1, length)
    bad = np.isnan(table).any(1)
    for row in where(bad & np.array(good, bool)):
        place = int(np.isnan(table[row]).argmax())
        yield rows.problem(row, field, f"holds {shown(values[row][place])} at place {place}, not a finite number")
    table[bad] = np.nan
    return table


def as_numbers(values: Sequence[Any]) -> Floats:
    """(N,) float64, with NaN for whatever is no finite number: text, truth values and lists among it."""
    if set(map(type, values)) <= {int, float}:
        try:
            numbers = np.array(values, np.float64)
        except OverflowError:
            numbers = np.array([_number(value) for value in values], np.float64)
    else:
        numbers = np.array([_number(value) for value in values], np.float64)
    numbers[~np.isfinite(numbers)] = np.nan
    return numbers


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return np.nan
    try:
        return float(value)
    except OverflowError:
        return np.nan


def shown(value: object) -> str:
    """The value for a message, never long and never recursive."""
    if isinstance(value, list) and (len(value) > 4 or not all(isinstance(item, int | float) for item in value)):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return "an object"
    if value is None:
        return "null"
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:50]}..."


def where(mask: Mask) -> list[int]:
    """The rows for which it holds."""
    return [int(row) for row in np.flatnonzero(mask)]
