"""Where the numbers of a table or a page come from, in lines that fit below it."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

from analysis.evidence import Evidence
from analysis.tabular.cells import Table
from analysis.timing import timings
from bench.machine import environment, processor
from bench.records.record import EXACT, Record
from dpn import checkout
from dpn.processor import cores

SHORT = 10
"""Digits of a commit that are shown."""


def records_of(table: Table) -> list[Record]:
    """The records behind a table's cells, each once."""
    cells = (cell for row in table.rows for cell in row.cells.values())
    found = (record for cell in cells for record in (cell.record, *cell.further) if record is not None)
    return list({record.key(): record for record in found}.values())


def of_table(table: Table) -> str:
    """One line: which of the paper's tables are quoted, how many records stand behind it, counted when and where."""
    cells = [cell for row in table.rows for cell in row.cells.values()]
    quoted = dict.fromkeys(cell.reported.table for cell in cells if cell.reported is not None)
    parts = []
    if quoted:
        parts.append("reported: " + ", ".join(f"{name}.csv" for name in quoted))
    if records := records_of(table):
        parts.append("measured: " + of_records(records))
    return "; ".join(parts) or "computed, as the rows say"


def of_records(records: Iterable[Record]) -> str:
    """How many records, of which metrics, from which machines, commits and days; a count is of any machine."""
    found = list(records)
    metrics = ", ".join(sorted({record.metric for record in found}))
    commits = sorted({record.commit[:SHORT] + ("+changes" if record.dirty else "") for record in found})
    days = sorted({record.recorded_at[:10] for record in found})
    span = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    machines = sorted({record.machine for record in found} - {EXACT})
    where = f"on {', '.join(machines)}, " if machines else ""
    return f"{len(found)} records ({metrics}), {where}commit {', '.join(commits)}, {span}"


def of_page(evidence: Evidence) -> dict[str, str]:
    """What the page says of itself: machine, versions, commit, records, and lines of records that were skipped."""
    head, dirty = checkout.commit()
    records = evidence.store.records
    return {
        "made on": f"{processor.name()}, {cores()} cores, {environment.memory_gib()} GiB",
        "with": ", ".join(f"{tool} {version}" for tool, version in environment.versions().items()),
        "from commit": head[:SHORT] + (" with uncommitted changes" if dirty else ""),
        "records": of_records(records) if records else "none",
        "timed on": "; ".join(_timed_on(evidence, machine) for machine in timings.machines(evidence)) or "no machine",
        "skipped lines": "; ".join(evidence.store.warnings()) or "none",
    }


def _timed_on(evidence: Evidence, machine: str) -> str:
    """A machine with what its newest record says of it, and how many networks were timed there."""
    records = [record for record in evidence.store.records if record.machine == machine]
    newest, networks = records[-1], {record.subject for record in records if record.metric in timings.TIMED}
    known = newest.environment
    facts = [str(known[name]) for name in ("gpu", "cpu") if name in known]
    facts += [name for name in [_widest_vectors(str(known.get("cpu_vector", "")))] if name]
    for name, words in (("cpu_tsc_mhz", "{} MHz"), ("cache_l2_kib", "L2 of {} KiB"), ("memory_gib", "{} GiB")):
        facts += [words.format(known[name])] if name in known else []
    told = f" ({', '.join(facts)})" if facts else ""
    return f"{machine}{told}: {len(networks)} networks"


def _widest_vectors(extensions: str) -> str:
    """What an x86 processor multiplies vectors with at best, which sets two of one name apart; empty where unknown.

    Example:
        >>> _widest_vectors("avx avx2 avx512_bf16 avx512f fma"), _widest_vectors("avx avx2 fma")
        ('AVX-512 with bf16', 'AVX2')
    """
    named = (("avx512_bf16", "AVX-512 with bf16"), ("avx512f", "AVX-512"), ("avx2", "AVX2"))
    return next((name for flag, name in named if flag in extensions.split()), "")


def explain_cell(table: Table, row: str, column: str, records: Path) -> list[str]:
    """Lines that lead from a cell back to its printed string and its record, with the record's file.

    Raises:
        KeyError: the table has no such row or column; names those it has.
    """
    cell = table.cell(row, column)
    note = f" {cell.note}" if cell.note else ""
    lines = [f"{table.id}, row {row}, column {column}: {cell.text}{note} [{cell.state}]"]
    if cell.value is not None and str(cell.value) != cell.text:
        lines.append(f"  exact: {float(cell.value) if isinstance(cell.value, Fraction) else cell.value}")
    lines += [f"  {source}" for source in cell.sources()]
    if cell.record is not None:
        record = cell.record
        lines.append(f"  in {records / record.machine / record.metric}.jsonl, spec digest {record.spec_digest}")
        lines.append("  with " + ", ".join(f"{tool} {version}" for tool, version in record.versions.items()))
    return lines
