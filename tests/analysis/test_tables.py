"""Tables from evidence: states, verdicts, units and traces, by hand-worked numbers."""

import re
from fractions import Fraction
from pathlib import Path

import pytest

from analysis import answers, tables
from analysis.cells import NOT_MEASURED, Table, compared, from_record
from analysis.evidence import Evidence
from analysis.provenance import explain_cell, of_table
from bench.conventions import KINDS
from bench.store import RECORDS, Found
from tests.bench.test_store import a_record

REAL = Evidence()
EMPTY = Evidence(records_root=Path("/nonexistent"))


@pytest.mark.parametrize("name", list(tables.ALL))
def test_every_table_stands_with_and_without_records(name: str) -> None:
    whole, bare = tables.table(name, REAL), tables.table(name, EMPTY)
    assert whole.id == bare.id == name
    assert len({row.id for row in whole.rows}) == len(whole.rows) > 0
    assert bare.counts().keys() <= {"label", "reported", "missing"}
    for row in whole.rows:
        for cell in row.cells.values():
            if cell.state in ("match", "differs", "measured"):
                assert cell.record is not None or cell.how, (name, row.id)
            if cell.state in ("match", "differs"):
                assert cell.reported is not None


def test_an_unknown_table_names_the_nearest() -> None:
    with pytest.raises(KeyError, match="table-6"):
        tables.table("table-66", REAL)


def test_the_readings() -> None:
    table = tables.table("table-readings", REAL)
    states = {column: [row.cells[column].state for row in table.rows] for column in ("costed", "printed")}
    assert states["costed"] == ["match"] * 16
    assert states["printed"].count("match") == 10
    assert states["printed"].count("differs") == 6
    assert table.cell("table-6/dpn4_32/gflops", "printed").note == "prints 1.0, -0.1"
    assert answers.digits_met(REAL) == (16, 16, 10)


def test_table_1_is_drawn_from_the_networks() -> None:
    table = tables.table("table-1", REAL)
    assert table.counts().get("differs", 0) == 0
    assert table.cell("conv2", "dpn4_64_built").text == "[1x1, 128; 3x3, 128; 1x1, 512] x4; 1x1, 256"
    assert table.cell("fuse", "dpn4_64_built").state == "measured"
    assert "32, 16, 8, 4, 2, 1" in table.notes[-1]


def test_a_network_that_is_not_as_printed_differs(tmp_path: Path) -> None:
    """Table I compares; it does not repeat the print."""
    evidence = Evidence(records_root=tmp_path)
    record = REAL.record("dpn4_64", "layers")
    assert record is not None
    columns = record.detail["columns"] | {"out_channels": [c + 1 for c in record.detail["columns"]["out_channels"]]}
    evidence.store.append(record.model_copy(update={"detail": record.detail | {"columns": columns}}))
    table = tables.table("table-1", evidence)
    assert table.cell("conv1", "dpn4_64_built").state == "differs"
    assert table.cell("conv1", "dpn4_64_built").text == "[1x1, 65; 3x3, 65; 1x1, 257] x3"
    assert table.cell("conv1", "size_built").state == "match"


def test_costs_stand_beside_their_prints_in_table_4() -> None:
    table = tables.table("table-4", REAL)
    assert [table.cell("gflops_64x48_measured", f"dpn{n}_64").text for n in (1, 2, 3, 4)] == [
        "6.0",
        "7.2",
        "8.4",
        "9.6",
    ]
    assert all(table.cell("gflops_64x48_measured", f"dpn{n}_64").state == "match" for n in (1, 2, 3, 4))


def test_one_unit_by_hand() -> None:
    """PIL prints 63.0 at two operations a multiply-add: 31.5e9; DPN4_64 on MPII has 4,298,113,024."""
    table = tables.table("table-7-one-unit", EMPTY)
    assert table.cell("pil", "converted").value == Fraction(315, 10) * 10**9
    assert table.cell("pil", "share_printed").value == Fraction(400, 63)
    assert table.cell("dpn4_64_mpii", "share").value == 100
    # without a record, 4.0 Gi stands for DPN4_64
    assert table.cell("pil", "share").value == Fraction(400 * 2**30, 315 * 10**8)
    ranks = {row.id: (row.cells["rank_printed"].text, row.cells["rank"].text) for row in table.rows}
    assert ranks["deepercut_r101"] == ("5", "8")
    assert ranks["mca"] == ("9", "9")


def test_sbl_is_compared_in_its_own_convention(tmp_path: Path) -> None:
    """5,426,380,800 true multiply-adds print 8.9 as SBL counts, deconvolutions fourfold and digits cut off."""
    spec = REAL.zoo["dpn1_32"]
    evidence = Evidence(records_root=tmp_path, zoo={"sbl_r50": spec})
    by_kind = dict.fromkeys(KINDS, 0) | {
        "convolution": 5_426_380_800 - 1_409_286_144,
        "transposed_convolution": 1_409_286_144,
        "transposed_convolution_at_output": 5_637_144_576,
    }
    evidence.store.append(a_record(subject="sbl_r50", value=5_426_380_800, detail={"by_kind": by_kind}))
    cell = tables.table("table-6", evidence).cell("sbl_r50", "gflops_measured")
    assert (cell.text, cell.state) == ("8.9", "match")
    unit = tables.table("table-6-one-unit", evidence)
    assert unit.cell("sbl_r50", "measured").text == "5.426"


def test_stale_records_are_shown_as_stale(tmp_path: Path) -> None:
    evidence = Evidence(records_root=tmp_path)
    spec = evidence.zoo["dpn4_64"]
    old = a_record(subject="dpn4_64", metric="params", value=3_336_529, spec_digest="older")
    evidence.store.append(old)
    cell = tables.table("table-6", evidence).cell("dpn4_64", "params_measured")
    assert (cell.text, cell.state) == ("3.3", "stale")
    assert evidence.record("dpn4_64", "params") is None
    evidence.store.append(old.model_copy(update={"spec_digest": spec.digest()}))
    assert tables.table("table-6", evidence).cell("dpn4_64", "params_measured").state == "match"


def test_compared_rounds_at_the_printed_precision() -> None:
    printed = REAL.printed("table-6", "dpn4_64", "gflops")  # 3.0
    record = Found(a_record())
    assert compared(record, Fraction("3.0499"), printed).state == "match"
    off = compared(record, Fraction("3.051"), printed)
    assert (off.state, off.note, off.text) == ("differs", "+0.1", "3.1")
    assert compared(Found(None), Fraction(3), printed) == NOT_MEASURED
    dash = REAL.printed("table-6", "openpose", "gflops")
    assert compared(record, Fraction("3.051"), dash).state == "measured"
    assert from_record(Found(None), str) == NOT_MEASURED


def test_every_number_leads_back_to_its_record() -> None:
    table = tables.table("table-6", REAL)
    text = "\n".join(explain_cell(table, "dpn4_64", "params_measured", RECORDS))
    for part in ("3.3", "match", "3336529", "table-6, row dpn4_64, column params", "params.jsonl", "torch"):
        assert part in text
    with pytest.raises(KeyError, match="the nearest are dpn4_64"):
        explain_cell(table, "dpn9", "params_measured", RECORDS)
    with pytest.raises(KeyError, match="params_measured"):
        explain_cell(table, "dpn4_64", "speed", RECORDS)


def test_provenance_lines() -> None:
    assert of_table(tables.table("table-fields", REAL)) == "computed, as the rows say"
    line = of_table(tables.table("table-6", REAL))
    assert re.match(r"reported: table-6\.csv; measured: \d+ records \(macs, params\), commit [0-9a-f]{10}", line)


def test_a_row_without_a_cell_is_refused() -> None:
    table = tables.table("table-6", REAL)
    with pytest.raises(ValueError, match="row 'openpose' has no cell for extra"):
        Table(
            id="x", title="", caption="", rows=table.rows,
            columns=(*table.columns, type(table.columns[0])(id="extra", label="")),
        )  # fmt: skip


def test_answers_say_when_nothing_is_measured() -> None:
    for chapter in ("network", "cost", "ablations"):
        assert answers.ALL[chapter](EMPTY) == answers.UNMEASURED
    assert any("dpn4_64" in sentence and "measure --suite paper" in sentence for sentence in answers.missing(EMPTY))
    assert all(answers.ALL[chapter](EMPTY) for chapter in answers.ALL)
