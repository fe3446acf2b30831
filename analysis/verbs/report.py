"""The verb `report` of `python -m analysis`."""

from pathlib import Path

from analysis.outlets.opened import evidence_of
from bench.records.store import RECORDS, RESULTS


def report(out: Path = RESULTS / "report", records: Path = RECORDS) -> None:
    """Makes the report from the records: runs the notebooks and writes one page, with all tables and figures as files.

    Args:
        out: the folder that becomes the report.
        records: the folder of the records.
    """
    from analysis.outlets.report import prepare_environment, write_report

    evidence_of(records)
    prepare_environment()
    page = write_report(out, records=records, done=lambda name: print(f"  {name}", flush=True))
    print(f"report: {page} ({page.stat().st_size / 1e6:.1f} MB)")
