"""The records of a folder opened for a reader, who is told what of them cannot be used. Imports no torch."""

import sys
from pathlib import Path

from analysis.evidence import Evidence
from bench.records.store import require_folder
from dpn.program import cli


def evidence_of(records: Path) -> Evidence:
    """The records of a folder, with a warning for each line that cannot be read.

    Raises:
        ValueError: there is no such folder.
    """
    require_folder(records)
    evidence = Evidence(records_root=records)
    for warning in evidence.store.warnings():
        print(f"warning: {warning}", file=sys.stderr)
    cli.note(evidence.store.why_empty())
    return evidence
