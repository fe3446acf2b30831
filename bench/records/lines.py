"""From a line of a records file to its record, or to what is wrong with it and what to do. Imports no torch."""

import codecs
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from bench.escaping import one_line
from bench.records.fields.metrics import OF
from bench.records.record import METRICS, SCHEMA_VERSION, Record

SHOWN = 3
"""How many lines with one fault are named by their numbers."""

UNION = frozenset({"int", "float", "str", "bool"})
"""What pydantic adds to the place of an error, for each type that it tried."""


@dataclass(frozen=True)
class Fault:
    """What is wrong with a line.

    Attributes:
        message: names the field.
        newer: nothing is, but this checkout is too old to read it.
    """

    message: str
    newer: bool = False

    def cause(self) -> str:
        """The same for lines with one and the same fault: without numbers, and without the place where JSON breaks."""
        return re.sub(r"Invalid JSON: .*|\d+", "", self.message)


@dataclass(frozen=True)
class Problem:
    """A line of a records file that could not be used."""

    path: Path
    line: int
    fault: Fault

    def __str__(self) -> str:
        return _told([self])


def read_line(line: bytes) -> Record | Fault:
    """The record in a line, with all that its metric asks for, or what is wrong with it."""
    line = line.removeprefix(codecs.BOM_UTF8)  # an editor's, which says nothing
    try:
        record = Record.model_validate_json(line)
    except ValidationError as error:
        return _of_newer_schema(line) or Fault(f"not a record: {first_fault(error)}")
    metric = METRICS.get(record.metric)
    if metric is None:
        return Fault(f"of the metric {record.metric!r}, which is newer than this checkout, or misspelt", newer=True)
    if record.metric_version > metric.version:
        return Fault(f"{metric.name} of version {record.metric_version}, which is newer than this checkout", newer=True)
    if record.unit != metric.unit:
        return Fault(f"not a record of {metric.name}: unit: it is {metric.unit!r}, not {record.unit!r}")
    try:
        OF[metric.name].model_validate(vars(record))
    except ValidationError as error:
        return Fault(f"not a record of {metric.name}: {first_fault(error)}")
    return record


def grouped(problems: Iterable[Problem]) -> list[str]:
    """A sentence for each file and cause, in the order of the first lines."""
    groups: dict[tuple[Path, str], list[Problem]] = {}
    for problem in problems:
        groups.setdefault((problem.path, problem.fault.cause()), []).append(problem)
    return [_told(group) for group in groups.values()]


def _told(alike: list[Problem]) -> str:
    first, more, it = alike[0], len(alike) - SHOWN, "it" if len(alike) == 1 else "them"
    numbers = ", ".join(str(problem.line) for problem in alike[:SHOWN]) + (f" and {more} more" if more > 0 else "")
    where = f"{first.path}, {'line' if len(alike) == 1 else 'lines'} {numbers}: {first.fault.message}; skipped"
    if first.fault.newer:
        return f"{where}, update the checkout to use {it}"
    return f"{where}, restore {it} from git or a copy, or measure again and then remove {it}"


def _of_newer_schema(line: bytes) -> Fault | None:
    try:
        version = json.loads(line)["schema_version"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if type(version) is not int or version <= SCHEMA_VERSION:
        return None
    return Fault(f"of schema {version}, which is newer than this checkout", newer=True)


def first_fault(error: ValidationError) -> str:
    """The first thing that is wrong: its field, and what would be right."""
    found = error.errors(include_url=False)[0]
    place = list(found["loc"])
    if place and place[-1] in UNION:
        place.pop()
    reason = re.sub(r"^Value error, | or instance of \w+$| at line \d+ column \d+$", "", found["msg"])
    return one_line(f"{'.'.join(map(str, place))}: {reason}" if place else reason)
