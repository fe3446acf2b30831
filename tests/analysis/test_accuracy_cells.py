"""Measured AP and PCKh stand beside the print where they were measured as the paper did, and only there."""

from pathlib import Path
from typing import Any

import pytest

from analysis.catalogue import answers, tables
from analysis.catalogue.provenance import explain_cell
from analysis.evidence import Evidence
from bench.records.store import Store
from tests.analysis.made_up_runs import accuracy_record, evidence_of

NEVER = "no network has been trained or evaluated here"


def evidence(root: Path, *records: Any) -> Evidence:
    store = Store(root)
    for record in records:
        store.append(record)
    return Evidence(records_root=root)


def test_a_measured_ap_is_compared_wherever_it_is_printed(tmp_path: Path) -> None:
    """65.2 and 64.5: Tables II and IV print two numbers for DPN1_64."""
    there = evidence(tmp_path, accuracy_record("dpn1_64", "ap", 0.64499))
    first = tables.table("table-2", there).cell("dpm_ap_measured", "dpn1_64")
    assert (first.text, first.state, first.note) == ("64.5", "match", "")
    second = tables.table("table-4", there).cell("ap_32x24_ap_measured", "dpn1_64")
    assert (second.text, second.state, second.note) == ("64.5", "differs", "-0.7")
    assert tables.table("table-2", there).cell("dpm_ap_measured", "dpn2_64").state == "missing"


def test_rows_and_columns_are_there_where_anything_is_measured(tmp_path: Path) -> None:
    there = evidence(tmp_path, accuracy_record("dpn4_64", "ap", 0.7), accuracy_record("sbl_r50", "ap", 0.7041))
    assert [row.id for row in tables.table("table-2", there).rows if row.id.endswith("ap_measured")] == [
        "dpm_ap_measured"
    ]
    six = tables.table("table-6", there)
    assert six.cell("sbl_r50", "ap_measured").state == "match"
    assert [note for note in six.notes if note.startswith("AP, measured")] != []
    for name in ("table-3", "table-5", "table-7"):
        table = tables.table(name, there)
        assert not any("measured: trained weights" in note for note in table.notes)
        assert not any(row.id.endswith("ap_measured") for row in table.rows)
    assert "pckh_measured" not in [column.id for column in tables.table("table-7", there).columns]


def test_pckh_stands_in_table_7(tmp_path: Path) -> None:
    there = evidence(tmp_path, accuracy_record("dpn4_64_mpii", "pckh", 0.8861))
    assert tables.table("table-7", there).cell("dpn4_64_mpii", "pckh_measured").text == "88.6"
    assert "ap_measured" not in [column.id for column in tables.table("table-6", there).columns]


@pytest.mark.parametrize(
    "change",
    [
        {"boxes": "truth", "people": 6352}, {"people": 88_153}, {"flip": False}, {"shift": False}, {"codec": "dark"},
        {"input_hw": [384, 288]}, {"data": "coco val2017, first 100 images"}, {"data": "synthetic val"},
        {"images_digest": "0123456789ab"},
    ],
)  # fmt: skip
def test_what_was_measured_otherwise_is_not_compared(change: dict[str, Any], tmp_path: Path) -> None:
    there = evidence(tmp_path, accuracy_record("dpn4_64", "ap", 0.699, **change))
    assert "dpm_ap_measured" not in [row.id for row in tables.table("table-2", there).rows]
    assert "ap_measured" not in [column.id for column in tables.table("table-6", there).columns]


def test_a_record_of_an_older_network_is_stale(tmp_path: Path) -> None:
    record = accuracy_record("dpn4_64", "ap", 0.699).model_copy(update={"spec_digest": "older"})
    cell = tables.table("table-6", evidence(tmp_path, record)).cell("dpn4_64", "ap_measured")
    assert (cell.state, cell.text) == ("stale", "69.9")


def test_explain_leads_to_the_record(tmp_path: Path) -> None:
    there = evidence(tmp_path, accuracy_record("dpn4_64", "ap", 0.6988))
    told = "\n".join(explain_cell(tables.table("table-6", there), "dpn4_64", "ap_measured", tmp_path))
    assert "reported: '69.9', table-6, row dpn4_64, column ap" in told
    assert "measured: 0.6988, ap of dpn4_64 (" in told
    assert "weights sha256:0123456789ab" in told
    assert f"in {tmp_path}/made-up/ap.jsonl, spec digest" in told


def test_the_page_does_not_say_that_nothing_is_evaluated_when_something_is(tmp_path: Path) -> None:
    assert any(NEVER in line for line in answers.missing(Evidence(records_root=tmp_path / "none")))
    coco = evidence(tmp_path / "coco", accuracy_record("dpn4_64", "ap", 0.69))
    assert not any("quoted from the paper" in line for line in answers.missing(coco))
    synthetic = evidence_of(tmp_path / "synthetic", names=["dpn1_32_lite"], seeds=1)
    (line,) = [line for line in answers.missing(synthetic) if "quoted from the paper" in line]
    assert "trained here on synthetic figures only" in line
