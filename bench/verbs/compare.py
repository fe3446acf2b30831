"""The verbs `compare` and `export`: where records come from, which outlet they go to, and exit codes. No torch."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from bench.escaping import one_line
from bench.outlets.files import FILES, csv_text
from bench.outlets.markdown import comment, comparison_summary, summary
from bench.outlets.worded import as_text, times_compared
from bench.records.rows import Row, quantities, rows
from bench.records.store import RECORDS, Store
from bench.sweeps.scratch import Scratch
from bench.verbs.exit_codes import errors_are_2
from bench.verdicts.compare import Compared, Report
from bench.verdicts.compare import compare as compare_records
from bench.verdicts.fought import read as read_duels
from bench.verdicts.gate import Gate
from bench.verdicts.revisions import unpack
from bench.verdicts.unjudged import unjudged
from dpn.program.cli import Flag
from dpn.program.quantities import so_many

RECORDS_IN_GIT = "results/records"

COLUMNS = (
    "verdict", "ratio", "ratio_low", "ratio_high", "p", "subject", "metric", "unit", "machine", "protocol", "base",
    "head", "notes", "base_commit", "base_recorded_at", "base_key", "head_commit", "head_recorded_at", "head_key",
    "file",
)  # fmt: skip


@errors_are_2
def compare(
    base: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="BASE")],
    head: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="HEAD")],
    effect: float = 0.05,
    gate: Annotated[Gate, tyro.conf.OmitArgPrefixes] = Gate(),  # noqa: B008 - frozen
    across_machines: Flag = False,
    format_: Annotated[
        Literal["text", "summary", "comment", "gab", "bmf", "csv", "json"], tyro.conf.arg(name="format")
    ] = "text",
    duels: Path | None = None,
    also_fails: Path | None = None,
    out: Path | None = None,
) -> int:
    """Compares two sets of records: exit code 1 when a gate fails, 2 for every error.

    Args:
        base: a folder of records, or a git revision of this project, whose committed records are read.
        head: likewise; the set that is judged.
        effect: the smallest difference of times that matters.
        gate: what makes the comparison fail.
        across_machines: compare times of different machines too; they never fail.
        format_: text, Markdown (summary, comment), or a file for a program; gab and bmf hold the values of HEAD.
        duels: what python -m bench duel --json printed, to report beside the records; with --gate-time, a side that
            was called slower fails.
        also_fails: a file each of whose lines is a reason to fail, such as the errors of make report.
        out: write to this file instead of standard output.
    """
    gate.check()
    with records_of(base) as old, records_of(head) as new:
        report = compare_records(_opened(old), _opened(new), effect=effect, across_machines=across_machines)
    if not any(entry.base and entry.head for entry in report.compared):
        raise ValueError(f"{base} and {head} have no quantity in common, so that nothing is compared; "
                         "measure the same networks for both")  # fmt: skip
    report = replace(report, duels=read_duels(duels) if duels else (), allowed=gate.allowed(report))
    failures = [*(_lines(also_fails) if also_fails else ()), *gate.failures(report)]
    for warning in gate.warnings(report):
        print(f"warning: {warning}", file=sys.stderr)
    _write(rendered(report, failures, format_), out)
    if out is not None or format_ != "text":
        for failure in failures:
            print(f"fails: {one_line(failure)}", file=sys.stderr)
    return 1 if failures else 0


def export(
    format_: Annotated[Literal["csv", "gab", "bmf", "summary", "json"], tyro.conf.arg(name="format")],
    records: Path = RECORDS,
    out: Path | None = None,
) -> None:
    """Writes the current records for another program, or as Markdown.

    Args:
        format_: csv; gab for github-action-benchmark (customSmallerIsBetter); bmf for Bencher; summary; json.
        records: the folder of records.
        out: write to this file instead of standard output.
    """
    if not records.is_dir():
        raise ValueError(f"no folder {records}; give a folder of records such as {RECORDS_IN_GIT}")
    found = rows(_opened(records))
    _write(summary(found) if format_ == "summary" else _file(format_, found), out)


def rendered(report: Report, failures: Sequence[str], format_: str) -> str:
    """A comparison in one of the formats of the command line."""
    for_people: dict[str, Callable[[Report, Sequence[str]], str]] = {
        "text": as_text, "summary": comparison_summary, "comment": comment,
    }  # fmt: skip
    if format_ in for_people:
        return for_people[format_](report, failures)
    if format_ in ("gab", "bmf"):
        return _file(format_, report.head)
    lines = [_line(entry) for entry in report.compared]
    if format_ == "csv":
        return csv_text(COLUMNS, [line | {"notes": "; ".join(line["notes"])} for line in lines])
    fought = [duel.model_dump() for duel in report.duels]
    answer = {
        "effect": report.effect, "failures": list(failures), "allowed": report.allowed, "rows": lines, "duels": fought,
        "times_compared": times_compared(report), "unjudged": unjudged(report.compared),
        "same_record": sum(entry.same_record for entry in report.compared), "warnings": list(report.warnings),
    }  # fmt: skip
    return json.dumps(answer, indent=1, allow_nan=False) + "\n"


def _file(format_: str, found: Sequence[Row]) -> str:
    """Rows as a file for another program, and on standard error how many of them Bencher is not sent."""
    if format_ == "bmf" and (left_out := sum(not row.trusted for row in quantities(found))):
        print(f"warning: {so_many(left_out, 'row')} left out of bmf, flagged as disturbed or without a steady state; "
              "measure again what Bencher should have", file=sys.stderr)  # fmt: skip
    return FILES[format_](found)


@contextmanager
def records_of(place: str) -> Iterator[Path]:
    """A folder with the records of a folder or of a git revision of this project.

    Raises:
        ValueError: the place is neither, the revision has no records, or they cannot be unpacked.
    """
    if Path(place).is_dir():
        yield Path(place)
        return
    with Scratch() as home:
        unpack(place, [RECORDS_IN_GIT], home, instead="a folder of records")
        yield home / RECORDS_IN_GIT


def _opened(folder: Path) -> Store:
    store = Store(folder)
    for warning in store.warnings():
        print(f"warning: {one_line(warning)}", file=sys.stderr)
    if reason := store.why_empty():
        raise ValueError(reason)
    return store


def _lines(file: Path) -> list[str]:
    return [line for line in file.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]


def _write(text: str, out: Path | None) -> None:
    if out is None:
        print(text, end="")
    else:
        out.write_text(text, encoding="utf-8")


def _line(entry: Compared) -> dict[str, Any]:
    record = entry.row.record
    low, high = entry.interval or (None, None)
    line: dict[str, Any] = {
        "verdict": entry.verdict, "ratio": entry.ratio, "ratio_low": low, "ratio_high": high, "p": entry.p,
        "subject": record.subject, "metric": record.metric, "unit": record.unit, "machine": entry.machine,
        "protocol": json.dumps(record.protocol), "notes": list(entry.notes), "file": entry.row.file,
    }  # fmt: skip
    for side, row in (("base", entry.base), ("head", entry.head)):
        of_row = row.record if row else None
        line |= {
            side: of_row.value if of_row else None,
            f"{side}_commit": of_row.commit if of_row else None,
            f"{side}_recorded_at": of_row.recorded_at if of_row else None,
            f"{side}_key": of_row.key() if of_row else None,
        }
    return line
