"""The table of a GPU, and the chapter where some machines are GPUs, from made-up records in the shape of real ones."""

import csv
import io
import itertools
import json
from dataclasses import replace
from pathlib import Path

import pytest

from analysis.catalogue import answers, figures, tables
from analysis.catalogue.provenance import explain_cell, of_page
from analysis.evidence import Evidence
from analysis.outlets.publish import Publisher
from analysis.outlets.render import to_csv
from analysis.tabular.cells import Table
from analysis.timing import speed, speed_answer, timings
from analysis.timing.speed_gpu import ID
from analysis.verbs.tables import show
from bench.records.store import RECORDS, Store
from bench.sampling.cuda_timing import NOT_TORCH
from dpn.zoo import ZOO
from tests.analysis import made_up_speed as made_up
from tests.analysis.made_up_speed import gpu_state
from tests.analysis.test_figures import assert_readable, drawn

COLUMNS = ("setting", "wall", "event", "graph", "launch", "clock", "lowest", "power", "temperature")
ROW = "dpn4_64/eager_tf32_1"
OTHER_GPU = "another-gpu"


def table_of(root: Path, *records: object) -> Table:
    store = Store(root)
    for record in records:
        store.append(record)  # type: ignore[arg-type]
    return tables.table(ID, Evidence(records_root=root))


@pytest.fixture(scope="module")
def cpu(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """Eight networks timed in four settings on a processor, with memory, throughput and ceilings."""
    store = made_up.fill(tmp_path_factory.mktemp("records"))
    store.append(made_up.memory("dpn4_64", [101e6, 100e6, 102e6]))
    store.append(made_up.ceiling("arithmetic_ceiling", 60e9, precision="fp32", threads=1))
    return Evidence(records_root=store.root)


@pytest.fixture(scope="module")
def mixed(cpu: Evidence, tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """The same, and two GPUs, one of which has most records of all."""
    store = Store(tmp_path_factory.mktemp("records"))
    for record in Store(cpu.records_root).records:
        store.append(record)
    backends = (("channels_last", "fp16", 1), ("channels_last", "fp16", 8), ("cudagraph", "bf16", 1),
                ("eager", "tf32", 1), ("eager", "fp32", 8))  # fmt: skip
    roofline = {"share": 0.1, "bound": "copy", "floor_s": 2e-4, "arithmetic_ceiling": 3e14, "copy_ceiling": 4e12}
    for name, (backend, precision, batch) in itertools.product(made_up.COMPARED, backends):
        seconds = made_up.seconds_of(ZOO[name], "eager", 1) / 50
        store.append(made_up.on_gpu(
            name, seconds, 0.75 * seconds, backend=backend, precision=precision, batch=batch,
            detail={"roofline": roofline},
        ))  # fmt: skip
    store.append(made_up.on_gpu("dpn4_64", machine=OTHER_GPU))
    store.append(made_up.gpu_memory("dpn4_64", 80e6, 96e6))
    store.append(made_up.gpu_memory("hrnet_w32", 200e6, 240e6))
    device = {"device": "cuda", "threads": 1}
    store.append(made_up.ceiling("arithmetic_ceiling", 3e14, made_up.GPU, precision="tf32", **device))
    store.append(made_up.ceiling("copy_ceiling", 4e12, made_up.GPU, **device))
    return Evidence(records_root=store.root)


def test_a_gpu_has_the_times_of_its_calls_and_what_it_was_doing(tmp_path: Path) -> None:
    """Calls of 2 ms, events a tenth less, replays of 1.5 ms; five processes within 2 %; clocks by turns."""
    clocks = itertools.cycle((1980, 1980, 1980, 1755))
    table = table_of(tmp_path, made_up.on_gpu("dpn4_64", read=lambda: gpu_state(sm_clock_mhz=next(clocks))))
    assert [table.cell(ROW, column).text for column in COLUMNS] == [
        "eager, tf32", "2.00", "1.80", "1.50", "25.0", "1980", "1755", "350", "45",
    ]  # fmt: skip
    assert table.cell(ROW, "wall").value == pytest.approx(2.0)
    assert table.cell(ROW, "throttled").text == "no"
    assert made_up.GPU in table.caption
    assert "93.75 % interval 1.96 to 2.04" in table.cell(ROW, "wall").how
    assert not any(note.startswith(("Throttled", "No graph")) for note in table.notes)
    assert any("1 - graph / wall" in note for note in table.notes)
    assert any("L2 cache is warm" in note for note in table.notes)
    for column in (*COLUMNS[1:], "throttled"):
        lines = "\n".join(explain_cell(table, ROW, column, tmp_path))
        assert f"in {tmp_path / made_up.GPU / 'latency.jsonl'}" in lines
    (line,) = csv.DictReader(io.StringIO(to_csv(table)))
    assert [float(line[f"graph_{end}"]) for end in ("low", "high", "n")] == pytest.approx([1.47, 1.53, 5])
    assert float(line["launch"]) == pytest.approx(25.0)


def test_a_made_up_record_is_one_by_the_published_schema() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    published = jsonschema.Draft202012Validator(json.loads((RECORDS / "record.schema.json").read_text()))
    for record in (made_up.on_gpu("dpn4_64"), made_up.gpu_memory("dpn4_64", 80e6, 96e6)):
        published.validate(json.loads(record.model_dump_json()))


def test_a_time_that_no_process_has_is_missing_and_says_why(tmp_path: Path) -> None:
    table = table_of(
        tmp_path, made_up.on_gpu("dpn4_64", graph_s=None), made_up.on_gpu("dpn4_64", backend="onnxruntime"),
        made_up.on_gpu("dpn4_32", read=lambda: None),
        made_up.on_gpu("hrnet_w32", read=lambda: gpu_state(sm_clock_mhz=600)),
    )  # fmt: skip
    ort = "dpn4_64/onnxruntime_tf32_1"
    missing = {
        row.id: [column for column in table.columns if row.cells[column.id].state == "missing"] for row in table.rows
    }
    assert {row: [column.id for column in columns] for row, columns in missing.items()} == {
        "hrnet_w32/eager_tf32_1": ["wall", "event", "graph", "launch", "clock", "lowest", "power", "temperature"],
        "dpn4_32/eager_tf32_1": ["clock", "lowest", "power", "temperature", "throttled"],
        ROW: ["graph", "launch"],
        ort: ["event", "graph", "launch"],
    }
    assert table.cell(ROW, "graph").text == "–"
    assert table.cell(ROW, "graph").value is None
    assert "No graph for dpn4_64 (eager, tf32): operation not permitted when stream is capturing." in table.notes
    assert f"No graph for dpn4_64 (onnxruntime, tf32): {NOT_TORCH}." in table.notes
    assert "No graph for hrnet_w32 (eager, tf32): no block of calls counted." in table.notes


def test_launching_that_costs_nothing_may_be_below_zero_but_not_minus_zero(tmp_path: Path) -> None:
    table = table_of(tmp_path, made_up.on_gpu("dpn4_64", graph_s=0.00202), made_up.on_gpu("dpn4_32", graph_s=0.0020001))
    assert [table.cell(name, "launch").text for name in (ROW, "dpn4_32/eager_tf32_1")] == ["-1.0", "0.0"]


def test_where_a_gpu_was_slowed_down_is_said(tmp_path: Path) -> None:
    """A block at a low clock is discarded, one under a power cap at a full clock counts; others' work slows no GPU."""
    readings = itertools.chain([gpu_state(sm_clock_mhz=1188)], itertools.repeat(gpu_state()))
    capped = gpu_state(throttle_reasons=("power cap",))
    shared = itertools.chain([gpu_state(other_processes=2)], itertools.repeat(gpu_state()))
    table = table_of(
        tmp_path, made_up.on_gpu("dpn4_64", read=lambda: next(readings)),
        made_up.on_gpu("dpn4_32", read=lambda: capped), made_up.on_gpu("hrnet_w32", read=lambda: next(shared)),
    )  # fmt: skip
    assert {row.id.partition("/")[0]: row.cells["throttled"].text for row in table.rows} == {
        "hrnet_w32": "no", "dpn4_64": "yes", "dpn4_32": "yes",
    }  # fmt: skip
    (note,) = (note for note in table.notes if note.startswith("Throttled"))
    assert note.endswith("dpn4_32 (eager, tf32): power cap; dpn4_64 (eager, tf32): SM clock at 60 % of its default.")
    assert "1 of 51 blocks discarded; SM clock at 60 %" in table.cell(ROW, "throttled").how
    assert table.cell(ROW, "lowest").text == "1980"


def test_two_thread_counts_of_one_network_are_two_rows(tmp_path: Path) -> None:
    """Nobody measures so any more: one thread launches."""
    table = table_of(tmp_path, made_up.on_gpu("dpn4_64"), made_up.on_gpu("dpn4_64", threads=2))
    assert len({row.id for row in table.rows}) == len(table.rows) == 2


def test_the_clock_of_an_idle_gpu_is_not_looked_at(tmp_path: Path) -> None:
    states = itertools.cycle((gpu_state(sm_clock_mhz=345, throttle_reasons=("idle",)), gpu_state()))
    table = table_of(tmp_path, made_up.on_gpu("dpn4_64", read=lambda: next(states)))
    assert [table.cell(ROW, column).text for column in ("lowest", "throttled")] == ["1980", "no"]


def test_without_a_gpu_nothing_stands_in_its_place(
    cpu: Evidence, mixed: Evidence, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tables.tables(ID, cpu) == ()
    assert Publisher(records=str(cpu.records_root)).table(ID).text == ""
    assert ID not in tables.titles(cpu)
    assert [table.id for table in tables.tables(ID, mixed)] == [ID, f"{ID}-2"]
    show(f"{ID}-2", records=mixed.records_root)
    assert f"Time of a call on {OTHER_GPU}" in " ".join(capsys.readouterr().out.split())
    show(records=mixed.records_root)
    assert f"What a GPU's time is made of, {OTHER_GPU}" in capsys.readouterr().out


def test_an_older_definition_is_stale(tmp_path: Path) -> None:
    old = made_up.on_gpu("dpn4_64", graph_s=None).model_copy(update={"spec_digest": "of an older definition"})
    table = table_of(tmp_path, old)
    assert [table.cell(ROW, column).state for column in ("wall", "throttled", "graph")] == ["stale", "stale", "missing"]
    (line,) = [line for line in answers.missing(Evidence(records_root=tmp_path)) if "definition" in line]
    assert line.endswith(
        "there, run: python -m bench measure dpn4_64 --metric latency --device cuda --backend eager --precision tf32."
    )


@pytest.mark.parametrize("name", [name for name in speed.PER_MACHINE if name != ID])
def test_the_tables_of_a_processor_are_the_same_beside_those_of_gpus(
    name: str, cpu: Evidence, mixed: Evidence
) -> None:  # fmt: skip
    of_cpu = [table for table in tables.tables(name, mixed) if made_up.MACHINE in table.caption]
    assert [replace(table, id=name) for table in of_cpu] == list(tables.tables(name, cpu))[: len(of_cpu)]
    for table in tables.tables(name, mixed):
        if made_up.GPU in table.caption:
            assert not any("thread" in column.label for column in table.columns)
            assert all(
                made_up.GPU in {cell.record.machine, *(one.machine for one in cell.further)}
                for row in table.rows
                for column, cell in row.cells.items()
                if column not in ("macs", "live", "live_macs") and cell.record is not None
            )


def test_memory_of_a_gpu_is_what_was_allocated_and_what_was_reserved(mixed: Evidence) -> None:
    (table,) = (table for table in tables.tables("table-memory", mixed) if made_up.GPU in table.caption)
    assert [(column.group, column.label) for column in table.columns[-2:]] == [
        ("eager, tf32 (peak)", "allocated"), ("eager, tf32 (peak)", "reserved"),
    ]  # fmt: skip
    cells = [table.cell("dpn4_64", column.id) for column in table.columns[-2:]]
    assert [(cell.text, cell.n) for cell in cells] == [("80.0", 3), ("96.0", 3)]
    assert "allocator reserved of the GPU" in table.caption


def test_a_gpu_has_ceilings_without_threads(mixed: Evidence) -> None:
    rows = tables.table("table-ceilings", mixed).rows
    threads = {row.cells["threads"].text for row in rows if row.cells["machine"].text == made_up.GPU}
    assert threads == {"–"}


def test_verdicts_and_answers_tell_gpus_apart(cpu: Evidence, mixed: Evidence) -> None:
    rows = {row.id: row for row in tables.table("table-time-verdicts", mixed).rows}
    before = tables.table("table-time-verdicts", cpu).rows
    assert [rows[row.id].cells for row in before] == [row.cells for row in before]
    assert {row.removeprefix(f"{made_up.GPU}/") for row in rows if row.startswith(made_up.GPU)} == {
        "channels_last on a GPU", "cudagraph on a GPU", "eager on a GPU",
    }  # fmt: skip
    text = speed_answer.answer(mixed)
    assert "dpn4_64 takes 40 % of hrnet_w32's memory of a GPU at the peak of a call, in every setting." in text
    assert "% of its time on a GPU in every setting" in text
    assert f"on {made_up.GPU} (eager, tf32, GPU)" in text
    assert timings.machines(mixed, "latency") == (made_up.GPU, made_up.MACHINE, OTHER_GPU)
    assert f"{made_up.GPU}: 8 networks" in of_page(mixed)["timed on"]
    assert not any("No GPU" in line for line in answers.missing(mixed))


def test_a_gpu_with_most_records_is_drawn_by_itself(mixed: Evidence) -> None:
    for name in ("figure-latency", "figure-roofline"):
        data = figures.FIGURES[name].data(mixed)
        assert set(data[data.drawn].machine) == {made_up.GPU}
        assert made_up.GPU in figures.FIGURES[name].alt(data)
        assert_readable(drawn(name, mixed))
