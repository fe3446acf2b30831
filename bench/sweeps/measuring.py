"""Counts and times networks into a store, with a progress bar and one line on what came of it."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.records.record import EXACT
from bench.records.store import Store
from bench.subject import Subject
from bench.sweeps.choices import Choices
from bench.sweeps.plan import Plan
from bench.sweeps.sweep import Progress, Sweep
from dpn import checkout
from dpn.program.progress import progress
from dpn.program.quantities import so_many


def count_networks(subjects: Sequence[Subject], store: Store, *, write: bool = True, strict: bool = False) -> str:
    """Counts networks afresh: adds what the store lacks, checks what it has.

    Args:
        subjects: the networks; none of them an ONNX file.
        store: the records.
        write: add what is missing; else that is wrong.
        strict: an incomplete count is wrong.

    Returns:
        What is wrong and what to do, in one line; empty when all is well.
    """
    from bench.recording import counting

    outcome, missing = counting.Outcome(), list[str]()
    with progress("counting", len(subjects)) as bar:
        for subject in subjects:
            bar.advance(0, subject.name)
            before = outcome.added
            counting.measure(subject, store, outcome, write=write)
            if outcome.added > before:
                missing.append(subject.name)
            bar.advance(1)
            if not bar.seen and len(subjects) > 1:
                print(f"counted {subject.name}", file=sys.stderr, flush=True)
    for name, operators in outcome.incomplete.items():
        print(f"warning: the count of {name} is incomplete: {', '.join(operators)}", file=sys.stderr)
    for line in outcome.differing:
        print(f"differs: {line}", file=sys.stderr)
    lacked = "added" if write else "missing"
    print(f"{so_many(len(subjects), 'network')} counted: {outcome.verified} stored records verified, {outcome.added} "
          f"{lacked}, {len(outcome.differing)} differ")  # fmt: skip
    if outcome.differing:
        return ("a stored count is contradicted; mend the network or the counter, or if the change is meant, measure "
                "again after raising the metric's version in bench/records/record.py, for a network of your own after "
                f"removing its lines from {store.root / EXACT}")  # fmt: skip
    if missing and not write:
        return (f"no current count of {', '.join(missing)}: the network is new or has changed; run: python -m bench "
                f"measure {' '.join(missing)}, with --input and --records as here, and commit "
                f"{store.root / EXACT}")  # fmt: skip
    if outcome.incomplete and strict:
        return "a count is incomplete, see the warnings; leave out --strict to accept it"
    return ""


def measure_cells(
    subjects: Sequence[Subject], choices: Choices, plan: Plan, store: Store, *, again: bool = False
) -> tuple[set[str], str]:
    """Measures the cells of some networks, with a progress bar; says what was refused and what was flagged.

    Returns:
        The keys of the cells' records, and what is wrong in one line: empty unless a network has no record in the end,
        because all of its cells were refused.
    """
    work = [(subject, choices.cells(subject)) for subject in subjects]
    total = sum(len(cells) for _, cells in work)
    with progress(total=total) as bar:

        def tell(text: str, cells: float) -> None:
            bar.advance(cells, text or None)
            if not bar.seen and text and not cells:  # waiting, networks built, rounds done
                print(text, file=sys.stderr, flush=True)

        swept = Sweep(store, plan, tell, again=again).run(work)
    for line in swept.refused:
        print(f"left out: {line}", file=sys.stderr)
    print(f"{total} cells: {swept.measured} records added, {swept.present} there already, "
          f"{len(swept.refused)} left out, {swept.flagged} flagged")  # fmt: skip
    return swept.keys, _nothing(swept) if swept.empty else ""


def _nothing(swept: Progress) -> str:
    """That nothing could be measured of some networks, with the first reason."""
    first = next((line for line in swept.refused if f" of {swept.empty[0]} at " in line), "")
    return (f"nothing could be measured of {', '.join(swept.empty)}, for the reasons above, such as: {first}; every "
            "start tries again")  # fmt: skip


def open_store(records: Path, *, write: bool = False) -> Store:
    """The store in a folder, with a warning for each line of it that cannot be read.

    Args:
        records: the folder; it need not be there.
        write: it will be written, so better fail now than when the first result is there.

    Raises:
        ValueError: there is a file in the folder's place, the folder cannot be written, or DPN_COMMIT names no commit.
    """
    if records.exists() and not records.is_dir():
        raise ValueError(f"--records {records} is a file; name a folder")
    there = next(folder for folder in (records, *records.absolute().parents) if folder.is_dir())
    if write and not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(f"--records {records} cannot be written; name another folder")
    if write:
        checkout.commit()  # raises
    store = Store(records)
    for warning in store.warnings():
        print(f"warning: {warning}", file=sys.stderr)
    return store
