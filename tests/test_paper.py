"""The paper's digits, from networks built and counted here and now, and the committed records against them."""

from decimal import Decimal
from fractions import Fraction

import pytest

from analysis.evidence import Evidence
from bench import suite
from bench.counts.conventions import CONVENTIONS
from bench.recording.count_changes import count_changes
from bench.recording.counting import count_records, count_subject
from bench.records import reported
from bench.records.record import METRICS
from bench.subject import resolve
from dpn.spec import DPNSpec
from dpn.zoo import ZOO

COSTS = [
    cell
    for table in ("table-4", "table-6", "table-7")
    for cell in reported.load(table).cells.values()
    if cell.metric in ("params", "gflops") and cell.subject in ZOO
]


def prints(name: str, metric: str, number: Decimal) -> bool:
    """Whether the network, built and counted now, prints that number."""
    counted, _ = count_subject(resolve(name))
    if metric == "params":
        return reported.compare(Fraction(counted.params, 10**6), number).matches
    return reported.compare(CONVENTIONS["gimacs"].value(counted.macs_by_kind), number).matches


def test_the_sixteen_published_digits() -> None:
    """facts: the costed reading meets all sixteen, the printed one ten."""
    dpn = [cell for cell in COSTS if isinstance(ZOO[cell.subject], DPNSpec)]
    met = {"": 0, "_printed": 0}
    for cell in dpn:
        assert cell.number is not None
        for reading in met:
            met[reading] += prints(cell.subject + reading, cell.metric, cell.number)
    assert (len(dpn), met) == (16, {"": 16, "_printed": 10})


@pytest.mark.parametrize("name", suite.networks("paper"))
def test_stored_counts_are_current(name: str, committed: Evidence) -> None:
    """What is committed under results/records/exact is what the code counts: else measure again and commit."""
    store, subject = committed.store, resolve(name)
    for fresh in count_records(subject, *count_subject(subject)):
        record = store.newest(fresh.key())
        assert record is not None, f"no record of {fresh.metric} for {name}; run: make measure"
        assert count_changes(record, fresh) == ()
    assert store.find(ZOO[name], "second_opinions").record is not None


def test_stored_records_are_of_clean_commits(committed: Evidence) -> None:
    records = committed.store.records
    assert [record.provenance() for record in records if record.dirty] == []
    assert {record.metric for record in records} <= METRICS.keys()


def test_table_1_repeats_two_of_the_digits() -> None:
    table = reported.load("table-1")
    for name in ("dpn4_32", "dpn4_64"):
        number = table.cell("params", name).number
        assert number is not None
        assert prints(name, "params", number)
