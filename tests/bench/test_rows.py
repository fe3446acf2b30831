"""Every row is the newest record of what it measures, is exact, and leads back to its record."""

import itertools
from pathlib import Path

from analysis.evidence import Evidence
from bench.records.record import Record, identity
from bench.records.rows import ABOUT_MEASURING, Row, quantities, rows, settings
from bench.records.store import Store
from tests.bench.timing_records import count_record, timing_record

TIMES = [[0.5, 0.25], [0.75, 0.125, 0.5]]


def store_of(folder: Path, *records: Record) -> Store:
    store = Store(folder)
    for record in records:
        store.append(record)
    return Store(folder)


def row_of(record: Record) -> Row:
    return Row(record=record, file="file.jsonl")


def test_the_newest_record_counts_whatever_the_network_was(tmp_path: Path) -> None:
    old = count_record("a", "macs", 1, spec_digest="old")
    new = count_record("a", "macs", 2, spec_digest="new")
    (row,) = rows(store_of(tmp_path, old, new))
    assert row.record == new


def test_subject_metric_protocol_and_machine_tell_rows_apart(tmp_path: Path) -> None:
    records = [
        count_record("a", "macs", 1), count_record("b", "macs", 1), count_record("a", "params", 1),
        timing_record("a", TIMES), timing_record("a", TIMES, threads=2), timing_record("a", TIMES, machine="other"),
    ]  # fmt: skip
    found = rows(store_of(tmp_path, *records))
    assert len(found) == len(records)
    assert {identity(row.record) for row in found} == {identity(record) for record in records}


def test_the_order_does_not_depend_on_the_order_of_measuring(tmp_path: Path) -> None:
    records = [count_record("b", "macs", 1), count_record("a", "params", 2), timing_record("a", TIMES)]
    orders = [
        [row.record for row in rows(store_of(tmp_path / str(index), *order))]
        for index, order in enumerate(itertools.permutations(records))
    ]
    assert all(order == orders[0] for order in orders)


def test_every_row_of_this_project_leads_to_its_record(committed: Evidence) -> None:
    store = committed.store
    found = rows(store)
    assert found
    for row in found:
        said = row.as_dict()
        record = store.newest(said["key"])
        assert record is not None
        assert (record.value, record.recorded_at, record.commit) == (said["value"], said["recorded_at"], said["commit"])
        assert (committed.records_root / said["file"]).is_file()


def test_samples_go_to_their_processes() -> None:
    assert row_of(timing_record("a", TIMES)).times_by_process == TIMES


def test_a_rate_becomes_a_time() -> None:
    rates = [[1 / time for time in process] for process in TIMES]
    assert row_of(timing_record("a", rates, metric="throughput")).times_by_process == TIMES


def test_what_is_about_measuring_is_no_quantity() -> None:
    kept = [count_record("a", "macs", 1), timing_record("a", TIMES)]
    left = [timing_record("a", TIMES, metric=metric) for metric in ABOUT_MEASURING]
    assert [row.record for row in quantities(map(row_of, kept + left))] == kept


def test_settings_name_every_entry_of_a_protocol() -> None:
    assert settings({"trial": 3, "input_hw": [64, 48], "threads": 2}) == "64x48, 2 threads, trial 3"
