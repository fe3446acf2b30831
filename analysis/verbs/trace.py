"""The verb `trace` of `python -m analysis`: exact receptive fields as records. Torch is imported when it traces."""

from pathlib import Path

from bench.records.store import RECORDS
from bench.subject import resolve
from bench.verbs.arguments import Networks
from dpn.input_size import asked_hw
from dpn.program.cli import Flag, Input


def trace(
    names: Networks = (), suite: str | None = None, input_: Input = None, check: Flag = False,
    records: Path = RECORDS,
) -> int:  # fmt: skip
    """Traces networks and keeps their exact receptive fields as records: adds what is missing, checks what is there.

    Args:
        names: names of the zoo or package.module:factory; or give a suite.
        suite: "paper" is every network of the paper's tables, "quick" a few of them.
        input_: height and width of the input; by default the network's own, 256x192 for a factory.
        check: add nothing, and fail when something is missing.
        records: the folder of the records.
    """
    from analysis.receptive_fields.field_records import measure_fields
    from bench.suite import networks

    if not names and suite is None:
        raise ValueError("name networks, or give --suite paper")
    subjects = [resolve(name, asked_hw(input_)) for name in (*names, *(networks(suite) if suite else ()))]
    return measure_fields(subjects, records, write=not check)
