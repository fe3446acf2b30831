"""What several verbs take, with the names that the help shows, and what they do with it first. Imports no torch."""

import sys
from pathlib import Path
from typing import Annotated

import tyro

from analysis.evidence import Evidence
from analysis.receptive_fields.receptive_field import FieldGraph
from bench.subject import Subject, parse_hw, resolve
from dpn.program import cli

NetworkOrNot = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="[NETWORK]")]


def evidence_of(records: Path) -> Evidence:
    """The records of a folder, with a warning for each line that cannot be read.

    Raises:
        ValueError: there is no such folder.
    """
    if not records.is_dir():
        raise ValueError(f"no folder {records}; give a folder of records such as results/records")
    evidence = Evidence(records_root=records)
    for warning in evidence.store.warnings():
        print(f"warning: {warning}", file=sys.stderr)
    cli.note(evidence.store.why_empty())
    return evidence


def traced(name: str, input_hw: str | None) -> tuple[Subject, FieldGraph]:
    """The network of that name with its wiring, for its own input size or the one that was given, such as 256x192."""
    subject = resolve(name, parse_hw(input_hw) if input_hw else None)
    from analysis.receptive_fields.field_trace import trace_subject

    return subject, trace_subject(subject)[1]
