"""Tables from evidence: states, verdicts, units and traces, by hand-worked numbers."""

import re
from fractions import Fraction
from pathlib import Path

import pytest

from analysis.catalogue import answers, tables
from analysis.catalogue.provenance import explain_cell, of_table
from analysis.evidence import Evidence
from analysis.outlets.render import to_text, write_table
from analysis.paper import one_unit
from analysis.paper.costs import Met
from analysis.tabular.cells import NOT_MEASURED, Table, compared, from_record
from analysis.verbs.tables import explain, show
from bench.counts.conventions import KINDS
from bench.records.store import Found
from tests.bench.test_store import a_record

EMPTY = Evidence(records_root=Path("/nonexistent"))


@pytest.mark.parametrize("name", list(tables.ALL))
def test_every_table_stands_with_and_without_records(name: str, committed: Evidence) -> None:
    whole, bare = tables.table(name, committed), tables.table(name, EMPTY)
    assert whole.id == bare.id == name
    assert len({row.id for row in whole.rows}) == len(whole.rows) > 0
    assert bare.counts().keys() <= {"label", "reported", "missing"}
    for row in whole.rows:
        for cell in row.cells.values():
            if cell.state in ("match", "differs", "measured"):
                assert cell.record is not None or cell.how, (name, row.id)
            if cell.state in ("match", "differs"):
                assert cell.reported is not None


def test_an_unknown_table_names_the_nearest_and_first_those_that_begin_alike() -> None:
    for name, near in (("Table-6u", "table-6, table-6-one-unit, table-7"), ("table-g", "table-gridding, table-")):
        with pytest.raises(KeyError, match=f"no table '{name}'; the nearest are {near}"):
            tables.table(name, EMPTY)


def test_the_titles_are_those_of_the_tables_that_have_something_to_show(committed: Evidence) -> None:
    assert tables.titles(EMPTY) == {
        name: tables.table(name, EMPTY).title for name in tables.ALL if name not in tables.OPTIONAL
    }
    found = tables.titles(committed)
    assert found.keys() >= (tables.ALL.keys() - tables.OPTIONAL) | tables.TRAINED.keys()
    many = tables.tables("table-memory", committed)
    assert len(many) > 1
    assert [name for name in found if name.startswith("table-memory")] == [table.id for table in many]
    assert found["table-memory-2"].startswith("Memory, ")


def test_ids_may_be_typed_in_any_case(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    explain("TABLE-6", "DPN4_64", "Params", records=tmp_path)
    lines = [line for line in capsys.readouterr().out.splitlines() if not line.startswith(" ")]
    assert [line.partition(":")[0] for line in lines] == [
        f"table-6, row dpn4_64, column params_{kind}" for kind in ("reported", "measured")
    ]


def test_show_without_a_name_lists_the_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show(records=tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert dict(line.split(maxsplit=1) for line in lines) == tables.titles(EMPTY)
    with pytest.raises(ValueError, match="--format and --out are for one table; name it"):
        show(out=tmp_path / "all.txt", records=tmp_path)


def test_a_file_of_text_has_neither_the_colours_nor_the_width_of_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = to_text(tables.table("table-6", EMPTY), for_file=True)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    show("table-6", out=tmp_path / "table.txt", records=tmp_path)
    assert (tmp_path / "table.txt").read_text("utf-8") == expected


def test_show_writes_a_table_as_the_report_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tables.table("table-6", EMPTY)
    expected = {path.suffix[1:]: path.read_text("utf-8") for path in write_table(table, tmp_path / "report")}
    expected["text"] = to_text(table, for_file=True)
    for form in ("text", "tex", "csv", "html"):
        show("table-6", form, records=tmp_path)
        assert capsys.readouterr().out == expected[form]
        show("table-6", form, out=tmp_path / "new" / form, records=tmp_path)
        assert capsys.readouterr().out == f"{tmp_path / 'new' / form}\n"
        assert (tmp_path / "new" / form).read_text("utf-8") == expected[form]


def test_the_readings(committed: Evidence) -> None:
    table = tables.table("table-readings", committed)
    states = {column: [row.cells[column].state for row in table.rows] for column in ("costed", "printed")}
    assert states["costed"] == ["match"] * 16
    assert states["printed"].count("match") == 10
    assert states["printed"].count("differs") == 6
    assert table.cell("table-6/dpn4_32/gflops", "printed").note == "prints 1.0, -0.1"
    assert answers.digits_met(committed) == Met(published=16, counted=16, costed=16, printed=10, one_alone=6)
    assert table.caption.endswith("and 10 by Table I to the letter. Those that only one of them reproduces decide: 6.")
    text = (Path(__file__).parents[2] / "notebooks" / "cost.ipynb").read_text(encoding="utf-8")
    assert "Most published costs are met by both; those that only one of them reproduces decide." in text


def counted(committed: Evidence, root: Path, *names: str) -> Evidence:
    """Evidence of these networks' own counts and of nothing else."""
    evidence = Evidence(records_root=root)
    for name in names:
        for metric in ("params", "macs"):
            record = committed.record(name, metric)
            assert record is not None
            evidence.store.append(record)
    return Evidence(records_root=root)


def test_published_costs_of_networks_that_are_not_counted_are_not_judged(tmp_path: Path, committed: Evidence) -> None:
    """DPN4_64 stands in Table IV with its cost, and in Table VI with its parameters too: three of the sixteen."""
    there = counted(committed, tmp_path, "dpn4_64", "dpn4_64_printed")
    assert answers.digits_met(there) == Met(published=16, counted=3, costed=3, printed=3, one_alone=0)
    assert "Of the 3 counted of 16 published costs of DPN networks," in answers.summary(there)
    assert ("3 of 3", "reproduced by Table I to the letter") in answers.cards(there)
    assert any("misses 0 of the 3 counted of 16 published" in line for line in answers.findings(there))
    one_reading = counted(committed, tmp_path / "one", "dpn4_64")
    assert answers.digits_met(one_reading).counted == 0


@pytest.mark.parametrize("older", [False, True])
def test_without_current_counts_nothing_is_said_that_only_they_could_show(
    tmp_path: Path, older: bool, committed: Evidence
) -> None:
    """No records, or all of older definitions of the networks: the same sentences."""
    evidence = Evidence(records_root=tmp_path)
    for record in committed.store.records if older else ():
        if record.metric in ("params", "macs", "live_macs", "layers"):
            evidence.store.append(record.model_copy(update={"spec_digest": "older"}))
    said = [*answers.findings(evidence), answers.summary(evidence), answers.ALL["comparison"](evidence)]
    assert not any("as printed misses" in line or "divided by 2^30" in line or "change places" in line for line in said)
    assert answers.digits_met(evidence).counted == 0
    assert answers.UNCOUNTED in said[-2]
    assert "none is counted yet" in tables.table("table-readings", evidence).caption
    assert answers.cards(evidence)[0] == ("none", "of 16 published DPN costs counted in both readings")
    assert "DPN4_64 takes, by the printed costs, 13.6 % of PIL's" in said[-1]


def test_the_papers_unit_is_that_of_its_own_costs_and_is_read_off_the_counts(
    tmp_path: Path, committed: Evidence
) -> None:
    (line,) = [line for line in answers.findings(committed) if "divided by 2^30" in line]
    assert line.startswith("The paper's “GFLOPs” of its own DPNs are")
    assert "so 12 of 12 counted costs have the printed digits, against 1 divided by 10^9." in line
    evidence = counted(committed, tmp_path, "dpn4_64")
    assert any("so 2 of 2 counted" in line for line in answers.findings(evidence))
    record = evidence.record("dpn4_64", "macs")
    assert record is not None
    kinds = {kind: 2 * count for kind, count in record.detail["by_kind"].items()}
    evidence.store.append(record.model_copy(
        update={"value": 2 * record.value, "detail": record.detail | {"by_kind": kinds}}
    ))  # fmt: skip
    assert not any("divided by 2^30" in line for line in answers.findings(Evidence(records_root=tmp_path)))


def test_table_1_is_drawn_from_the_networks(committed: Evidence) -> None:
    table = tables.table("table-1", committed)
    assert table.counts().get("differs", 0) == 0
    assert table.cell("conv2", "dpn4_64_built").text == "[1x1, 128; 3x3, 128; 1x1, 512] x4; 1x1, 256"
    assert table.cell("fuse", "dpn4_64_built").state == "measured"
    assert any("32, 16, 8, 4, 2, 1" in note for note in table.notes)


def test_a_network_that_is_not_as_printed_differs(tmp_path: Path, committed: Evidence) -> None:
    """Table I compares; it does not repeat the print."""
    evidence = Evidence(records_root=tmp_path)
    record = committed.record("dpn4_64", "layers")
    assert record is not None
    columns = record.detail["columns"] | {"out_channels": [c + 1 for c in record.detail["columns"]["out_channels"]]}
    evidence.store.append(record.model_copy(update={"detail": record.detail | {"columns": columns}}))
    table = tables.table("table-1", evidence)
    assert table.cell("conv1", "dpn4_64_built").state == "differs"
    assert table.cell("conv1", "dpn4_64_built").text == "[1x1, 65; 3x3, 65; 1x1, 257] x3"
    assert table.cell("conv1", "size_built").state == "match"


def test_costs_stand_beside_their_prints_in_table_4(committed: Evidence) -> None:
    table = tables.table("table-4", committed)
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


def test_what_the_unit_changes_is_told_apart_from_what_another_network_changes(committed: Evidence) -> None:
    """The built hourglass costs 19.2 Gi, its print's 14.3: one unit leaves it cheaper than HRNet-w48, as printed."""
    table = tables.table("table-6-one-unit", committed)
    ranks = {row: tuple(table.cell(row, name).text for name in ("rank_printed", "rank")) for row in (
        "hourglass8", "hrnet_w48", "sbl_r50")}  # fmt: skip
    assert ranks == {"hourglass8": ("7", "7"), "hrnet_w48": ("8", "8"), "sbl_r50": ("6", "3")}
    share = table.cell("hourglass8", "share")
    assert (share.text, share.state) == ("21.0", "reported")
    assert table.cell("hourglass8", "measured").text == "20.592"
    assert table.notes[-1].endswith("Share and rank are the print's; as built they would be 15.7 % and 8.")
    assert one_unit.reranked(committed) == (8, 10, 17)
    assert one_unit.reranked(EMPTY) is None
    said = answers.ALL["comparison"](committed)
    assert "Put into one unit, 8 of the 17 networks with a printed cost change places within their table: SBL" in said
    assert said.endswith("With Hourglass as built, which is not the network of its printed cost, 10 change.")


def test_an_old_count_does_not_stand_for_a_print_in_one_unit(tmp_path: Path) -> None:
    old = a_record(subject="sbl_r50", value=5_426_380_800, spec_digest="older")
    Evidence(records_root=tmp_path).store.append(old)
    table = tables.table("table-6-one-unit", Evidence(records_root=tmp_path))
    assert table.cell("sbl_r50", "measured").state == "stale"
    assert table.cell("sbl_r50", "rank").text == "6"


def test_sbl_is_compared_in_its_own_convention(tmp_path: Path) -> None:
    """5,426,380,800 true multiply-adds print 8.9 as SBL counts, deconvolutions fourfold and digits cut off."""
    spec = EMPTY.zoo["dpn1_32"]
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
    old = a_record(subject="dpn4_64", metric="params", unit="parameter", value=3_336_529, spec_digest="older")
    evidence.store.append(old)
    cell = tables.table("table-6", evidence).cell("dpn4_64", "params_measured")
    assert (cell.text, cell.state) == ("3.3", "stale")
    assert evidence.record("dpn4_64", "params") is None
    evidence.store.append(old.model_copy(update={"spec_digest": spec.digest()}))
    assert tables.table("table-6", evidence).cell("dpn4_64", "params_measured").state == "match"


def test_compared_rounds_at_the_printed_precision() -> None:
    printed = EMPTY.printed("table-6", "dpn4_64", "gflops")  # 3.0
    record = Found(a_record())
    assert compared(record, Fraction("3.0499"), printed).state == "match"
    off = compared(record, Fraction("3.051"), printed)
    assert (off.state, off.note, off.text) == ("differs", "+0.1", "3.1")
    assert compared(Found(None), Fraction(3), printed) == NOT_MEASURED
    dash = EMPTY.printed("table-6", "openpose", "gflops")
    assert compared(record, Fraction("3.051"), dash).state == "measured"
    assert from_record(Found(None), str) == NOT_MEASURED


def test_every_number_leads_back_to_its_record(committed: Evidence) -> None:
    table = tables.table("table-6", committed)
    text = "\n".join(explain_cell(table, "dpn4_64", "params_measured", committed.records_root))
    for part in ("3.3", "match", "3336529", "table-6, row dpn4_64, column params", "params.jsonl", "torch"):
        assert part in text
    with pytest.raises(KeyError, match="the nearest are dpn4_64"):
        explain_cell(table, "dpn9", "params_measured", committed.records_root)
    with pytest.raises(KeyError, match="params_measured"):
        explain_cell(table, "dpn4_64", "speed", committed.records_root)


def test_provenance_lines(committed: Evidence) -> None:
    assert of_table(tables.table("table-fields", committed)) == "computed, as the rows say"
    line = of_table(tables.table("table-6", committed))
    assert re.match(r"reported: table-6\.csv; measured: \d+ records \(macs, params\), commit [0-9a-f]{10}", line)


def test_a_row_without_a_cell_is_refused() -> None:
    table = tables.table("table-6", EMPTY)
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


def test_cells_of_every_machine_are_counted_by_state(committed: Evidence) -> None:
    """Memory was measured on several processors; the first one's table alone has no stale cell."""
    every = tables.tables("table-memory", committed)
    assert len(every) > 1
    row = next(row for row in tables.table("table-agreement", committed).rows if row.id == "table-memory")
    for state in ("measured", "stale", "missing"):
        assert row.cells[state].value == sum(one.counts()[state] for one in every)
