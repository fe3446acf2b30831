"""Tables and sentences about speed, from made-up times whose answers are worked out by hand."""

import csv
import io
import statistics
from pathlib import Path
from typing import Any

import pytest

from analysis.catalogue import answers, tables
from analysis.catalogue.provenance import explain_cell, of_page, of_table
from analysis.evidence import Evidence
from analysis.outlets.render import to_csv
from analysis.timing import speed, speed_answer, timings
from analysis.timing.speed_saved import pairs, savings
from bench.records.store import Store
from bench.statistics import share_interval
from dpn.zoo import ZOO
from tests.analysis import made_up_speed as made_up
from tests.bench.timing_records import timing_record

NOTHING = Evidence(records_root=Path("/nonexistent"))
SPEED_TABLES = (*speed.PER_MACHINE, "table-ceilings", "table-noise")


@pytest.fixture(scope="module")
def timed(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """Eight networks timed in four settings, with memory, ceilings and trials, and two networks on a GPU."""
    store = made_up.fill(tmp_path_factory.mktemp("records"))
    for name in ("dpn4_64", "hrnet_w32"):
        spec = ZOO[name]
        store.append(made_up.memory(name, [101e6, 100e6, 102e6]))
        for batch, rate in ((1, 90.0), (8, 200.0)):
            store.append(
                timing_record(
                    name, [[rate] * 3] * 5, metric="throughput", unit="image/second", batch=batch,
                    spec_digest=spec.digest(),
                )
            )  # fmt: skip
        store.append(timing_record(name, [[0.002] * 3] * 5, machine="a-gpu", device="cuda", spec_digest=spec.digest()))
    for threads in (1, 2):
        store.append(made_up.ceiling("arithmetic_ceiling", 60e9 * threads, precision="fp32", threads=threads))
    store.append(made_up.ceiling("copy_ceiling", 1e10, threads=1))
    for index in range(20):
        store.append(made_up.trial(index, 1.0, seen=1.2 if index == 3 else 1.0))
    for index in range(10):
        store.append(made_up.trial(index, 1.1, seen=1.0 if index < 2 else 1.1))
        store.append(made_up.trial(index, 1.25))
    return Evidence(records_root=store.root)


@pytest.mark.parametrize("name", SPEED_TABLES)
def test_without_records_each_table_names_the_command(name: str) -> None:
    (row,) = tables.table(name, NOTHING).rows
    assert "python -m bench" in row.cells["command"].text


@pytest.mark.parametrize("name", SPEED_TABLES)
def test_every_number_leads_back_to_records(name: str, timed: Evidence) -> None:
    for table in tables.tables(name, timed):
        for row in table.rows:
            for column, cell in row.cells.items():
                if cell.state == "measured":
                    assert cell.record is not None
                    lines = "\n".join(explain_cell(table, row.id, column, timed.records_root))
                    assert cell.record.commit[:10] in lines
        assert "records" in of_table(table) or table.rows[0].id == "none"


def test_latency_is_the_median_with_its_interval_in_milliseconds(timed: Evidence) -> None:
    seconds = made_up.seconds_of(ZOO["dpn4_64"], "eager", 1)
    times = [time for process in made_up.processes(seconds) for time in process]
    cell = tables.table("table-latency", timed).cell("dpn4_64", "eager_1")
    assert cell.value == pytest.approx(1e3 * statistics.median(times))
    assert cell.note == f"{980 * seconds:.0f}–{1020 * seconds:.0f}"  # medians of the outermost processes
    assert "15 samples of 5 fresh processes; 95 % interval" in cell.how
    assert f"on {made_up.MACHINE}, commit " in of_table(tables.table("table-latency", timed))


def test_rows_stand_in_the_papers_order_and_other_machines_follow(timed: Evidence) -> None:
    first, second = tables.tables("table-latency", timed)
    assert [row.id for row in first.rows] == list(made_up.COMPARED)
    assert [column.id for column in first.columns[4:]] == ["eager_1", "eager_2", "onnxruntime_1", "onnxruntime_2"]
    assert (first.id, second.id) == ("table-latency", "table-latency-2")
    assert "made-up-2-cores" in first.caption
    assert "a-gpu" in second.caption
    assert second.columns[4].label == "GPU"
    assert [row.id for row in second.rows] == ["hrnet_w32", "dpn4_64"]
    assert tables.table("table-latency-2", timed) == second
    with pytest.raises(KeyError, match="2 machines have records of latency"):
        tables.table("table-latency-3", timed)


def test_flags_are_marked_and_explained(tmp_path: Path) -> None:
    spec = ZOO["dpn4_64"]
    flags = ("disturbed", "budget spent")
    Store(tmp_path).append(timing_record("dpn4_64", [[0.05] * 3] * 5, spec_digest=spec.digest(), flags=flags))
    table = tables.table("table-latency", Evidence(records_root=tmp_path))
    assert table.cell("dpn4_64", "eager_1").note == "50.0–50.0*‡"
    assert [note[0] for note in table.notes if note[0] in "*†‡"] == ["*", "‡"]


def test_stale_times_and_times_at_other_sizes_are_told_apart(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.append(timing_record("dpn4_64", [[0.05] * 3] * 5, spec_digest="of an older definition"))
    store.append(timing_record("dpn4_32", [[0.01] * 3] * 5, spec_digest=ZOO["dpn4_32"].digest(), input_hw=[64, 48]))
    evidence = Evidence(records_root=tmp_path)
    (row,) = tables.table("table-latency", evidence).rows
    assert (row.id, row.cells["eager_1"].state) == ("dpn4_64", "stale")
    assert speed_answer.answer(evidence).endswith("none has a current record.")
    assert (
        "Latency on made-up-2-cores was measured before a definition changed, for dpn4_64; there, run: python -m bench "
        "measure dpn4_64 --metric latency --backend eager --threads 1." in answers.missing(evidence)
    )


def test_what_is_to_be_measured_again_is_named_with_its_metric_and_its_machine(tmp_path: Path) -> None:
    """Peak memory of an older definition on one machine; the same networks are current on the other."""
    store = Store(tmp_path)
    for name in ("dpn4_32", "dpn4_64"):
        store.append(made_up.memory(name, [1e8]))
        for backend, threads in (("eager", 2), ("openvino", 1)):
            old = made_up.memory(name, [1e8], machine="another", backend=backend, threads=threads, metric_version=1)
            store.append(old)
    (line,) = [line for line in answers.missing(Evidence(records_root=tmp_path)) if "definition" in line]
    assert line == (
        "Memory on another was measured before a definition changed, for dpn4_32, dpn4_64; there, run: python -m bench "
        "measure dpn4_32 dpn4_64 --metric memory --backend eager,openvino --threads 2,1."
    )


def test_an_order_that_no_count_supports_is_not_spoken_of(tmp_path: Path) -> None:
    made_up.fill(tmp_path)
    for path in tmp_path.glob("exact/*.jsonl"):
        path.unlink()
    assert "Kendall" not in speed_answer.answer(Evidence(records_root=tmp_path))


def test_a_readers_own_network_has_its_row(tmp_path: Path) -> None:
    Store(tmp_path).append(timing_record("mine:network", [[0.05] * 3] * 5))
    table = tables.table("table-latency", Evidence(records_root=tmp_path))
    assert table.cell("mine:network", "eager_1").text == "50.0"
    assert table.cell("mine:network", "macs").state == "missing"


def test_time_saved_is_a_ratio_of_processes(timed: Evidence) -> None:
    """Half of the speed: the share of time is twice that of multiply-adds, in every setting."""
    table = tables.table("table-time-saved", timed)
    macs, time = (table.cell("dpn4_64/hrnet_w32", column).value for column in ("macs", "eager_1"))
    assert macs == pytest.approx(100 * 3_224_371_200 / made_up.counted("hrnet_w32", "macs"))
    assert time == pytest.approx(2 * macs)
    # Ratios of five to five medians 2 % around their centres: the exact interval leaves out the two outermost of 25.
    low, high = (float(end) for end in table.cell("dpn4_64/hrnet_w32", "eager_1").note.split("–"))
    assert 2 * macs * 0.96 <= low < 2 * macs < high <= 2 * macs * 1.041
    assert len(table.rows) == 15


def test_only_networks_with_one_input_are_compared(timed: Evidence) -> None:
    found = list(pairs(timed))
    assert ("dpn4_64", "hrnet_w32") in found
    assert ("dpn4_64_mpii", "pil") in found
    assert all("openpose" not in pair and "mask_rcnn_r50" not in pair for pair in found)


def test_the_answer_counts_what_multiply_adds_bought(timed: Evidence) -> None:
    found = savings(timed, made_up.MACHINE)
    # DPN4_32 and DPN4_64 take less than all five, DPN2_hrnet less than Hourglass and HRNet-w48; four settings each.
    assert len(found) == 4 * (5 + 5 + 2)
    slower = {(s.ours, s.other) for s in found if s.times.verdict == "slower"}
    assert slower == {(s.ours, s.other) for s in found if 2 * s.macs_share > 1.05}
    text = answers.ALL["speed"](timed)
    assert (
        "Of 49 comparisons of a DPN with a network that takes more multiply-adds (12 pairs in the settings of 2" in text
    )
    told = sum(row.cells["slower"].value for row in tables.table("table-time-verdicts", timed).rows[:-1])
    assert told == sum(s.times.verdict == "slower" for s in found) > 0
    assert "multiply-adds in 24 of 24 in eager, 24 of 24 in onnxruntime, 1 of 1 in eager on a GPU, and clearly" in text
    assert "dpn4_64 takes 42 % of hrnet_w32's multiply-adds and 84 % of its time in every setting " in text
    assert "in every setting (intervals from 82 to 87 %)." in text  # 0.8435 times 0.99 / 1.02 and 1.02 / 0.99
    assert "and 100 % of its time on a GPU in every setting (intervals from 100 to 100 %)." in text
    assert "Over 8 networks on made-up-2-cores (eager, 1 thread)" in text


def test_a_flagged_time_and_too_few_processes_decide_nothing(tmp_path: Path) -> None:
    """In two settings DPN4_64 has a fifth of HRNet-W32's time, but one is disturbed, the other of three processes."""
    store = made_up.fill(tmp_path, names=("dpn4_64", "hrnet_w32"))
    for backend, flags, number in (("compile", ("disturbed",), 5), ("openvino", (), 3)):
        for name, seconds in (("dpn4_64", 0.2), ("hrnet_w32", 1.0)):
            store.append(timing_record(
                name, made_up.processes(seconds)[:number], spec_digest=ZOO[name].digest(), backend=backend, flags=flags,
            ))  # fmt: skip
    evidence = Evidence(records_root=tmp_path)
    text = answers.ALL["speed"](evidence)
    assert (
        "(1 pair in the settings of 1 machine), 2 of which are set aside, the DPN is faster in 4 of 4 and slower in 0."
        in text
    )
    assert "in 2 of 2 in eager, 2 of 2 in onnxruntime, and clearly more" in text
    rows = tables.table("table-time-verdicts", evidence).rows
    assert [row.cells["aside"].value for row in rows] == [0, 1, 0, 1]
    assert "84 % of its time in every setting (intervals from 82 to 87 %)." in text
    for backend, threads in made_up.SPEEDS:
        for name in ("dpn4_64", "hrnet_w32"):
            store.append(timing_record(
                name, made_up.processes(1.0), spec_digest=ZOO[name].digest(), backend=backend, threads=threads,
                flags=("disturbed",),
            ))  # fmt: skip
    text = answers.ALL["speed"](Evidence(records_root=tmp_path))
    assert "1 machine) all are set aside." in text
    assert "% of its time" not in text


def test_tables_say_what_confidence_their_intervals_have(timed: Evidence, tmp_path: Path) -> None:
    store = Store(tmp_path)
    for name, number, confidence in (("hrnet_w32", 3, 0.75), ("dpn4_32", 5, 0.9375), ("dpn4_64", 6, 0.96875)):
        store.append(timing_record(
            name, [[0.05] * 3] * number, spec_digest=ZOO[name].digest(), detail={"confidence": confidence}
        ))  # fmt: skip
    table = tables.table("table-latency", Evidence(records_root=tmp_path))
    told = "Confidence of the intervals: 1 of 75 % (3 processes), 1 of 93.75 % (5 processes), 1 of 95 % or more."
    assert told in table.notes
    assert "95" not in table.caption
    assert "; 93.75 % interval" in table.cell("dpn4_32", "eager_1").how
    saved = tables.table("table-time-saved", timed)
    assert "Confidence of the intervals: 60 of 95 % or more." in saved.notes


def test_what_multiply_adds_bought_is_told_from_both_sides_by_back_end(tmp_path: Path) -> None:
    """DPN4_64 has 42 % of HRNet-W32's multiply-adds, and here a quarter of its time in one back end, all in another."""
    store = made_up.fill(tmp_path, names=("dpn4_64", "hrnet_w32"))
    macs = {name: made_up.counted(name, "macs") for name in ("dpn4_64", "hrnet_w32")}
    share = macs["dpn4_64"] / macs["hrnet_w32"]
    for backend, ratio in (("channels_last", 0.25), ("compile", share), ("openvino", 1.0)):
        for name, seconds in (("dpn4_64", ratio), ("hrnet_w32", 1.0)):
            store.append(timing_record(
                name, made_up.processes(seconds), spec_digest=ZOO[name].digest(), backend=backend,
            ))  # fmt: skip
    evidence = Evidence(records_root=tmp_path)
    text = answers.ALL["speed"](evidence)
    assert "(1 pair in the settings of 1 machine), the DPN is faster in 6 of 7 and slower in 0." in text
    assert (
        "less time than multiply-adds in 2 of 2 in eager, 0 of 1 in channels_last, 0 of 1 in compile, 2 of 2 in "
        "onnxruntime, 1 of 1 in openvino, and clearly more in 1 of all."
    ) in text
    assert "25 to 100 % of its time by machine and setting (intervals from " in text
    table = tables.table("table-time-verdicts", evidence)
    columns = ("comparisons", "faster", "slower", "larger", "smaller", "aside", "together")
    counts = {row.id: [row.cells[column].value for column in columns] for row in table.rows}
    assert counts["made-up-2-cores/channels_last"] == [1, 1, 0, 0, 1, 0, 1]
    assert counts["made-up-2-cores/openvino"] == [1, 0, 0, 1, 0, 0, 1]


def test_files_of_speed_have_the_intervals_and_flags_that_the_page_shows(timed: Evidence, tmp_path: Path) -> None:
    def line(name: str, row: str, evidence: Evidence = timed) -> dict[str, str]:
        found = csv.DictReader(io.StringIO(to_csv(tables.table(name, evidence))))
        return next(one for one in found if one["row"] == row)

    noise = line("table-noise", "made-up-2-cores/harness")
    assert [float(noise[f"ratio_1{end}"]) for end in ("", "_low", "_high", "_n")] == pytest.approx(
        [5.0, 0.1265, 24.87, 20], rel=1e-3  # 1 of 20; Clopper and Pearson
    )  # fmt: skip
    seconds = made_up.seconds_of(ZOO["dpn4_64"], "eager", 1)
    latency = line("table-latency", "dpn4_64")
    assert [float(latency[f"eager_1_{end}"]) for end in ("low", "high", "n")] == pytest.approx(
        [980 * seconds, 1020 * seconds, 5]
    )
    assert 0 < float(line("table-time-saved", "dpn4_64/hrnet_w32")["eager_1_p"]) < 0.02
    assert line("table-memory", "dpn4_64")["eager_1_n"] == "3"
    flags = ("disturbed", "budget spent")
    roofline = {"share": 0.5, "bound": "copy", "floor_s": 1.0, "arithmetic_ceiling": 1e9, "copy_ceiling": 1e9}
    Store(tmp_path).append(timing_record(
        "dpn4_64", [[0.05] * 3] * 5, spec_digest=ZOO["dpn4_64"].digest(), flags=flags, detail={"roofline": roofline},
    ))  # fmt: skip
    flagged = Evidence(records_root=tmp_path)
    assert line("table-latency", "dpn4_64", flagged)["eager_1_flags"] == "disturbed; budget spent"
    assert line("table-roofline", "dpn4_64", flagged)["eager_1_flags"].endswith("; copy is the nearer ceiling")


def test_throughput_has_a_column_for_each_batch(timed: Evidence) -> None:
    table = tables.table("table-throughput", timed)
    assert table.cell("dpn4_64", "eager_1").text == "90.0"
    assert table.cell("dpn4_64", "eager_1_batch8").text == "200"
    assert [column.group for column in table.columns[2:]] == ["eager (images/s)", "eager, batch 8 (images/s)"]


def test_the_answer_says_what_share_of_anothers_memory_a_dpn_takes(tmp_path: Path) -> None:
    """Per device, over every setting in which both are measured and current; a larger batch is left out."""
    store = Store(tmp_path)
    store.append(timing_record("dpn4_64", [[0.05] * 3] * 5, spec_digest=ZOO["dpn4_64"].digest()))
    for backend, ours in (("eager", 30e6), ("openvino", 20e6)):
        store.append(made_up.memory("dpn4_64", [ours], backend=backend))
        store.append(made_up.memory("hrnet_w32", [100e6], backend=backend))
        store.append(made_up.memory("sbl_r50", [200e6], backend=backend, metric_version=1))
    store.append(made_up.memory("dpn4_64", [90e6], batch=8))
    store.append(made_up.memory("hrnet_w32", [100e6], batch=8))
    text = speed_answer.answer(Evidence(records_root=tmp_path))
    assert text == "dpn4_64 takes 20 to 30 % of hrnet_w32's memory at the peak of a call, by machine and setting."


def test_memory_in_megabytes(timed: Evidence) -> None:
    table = tables.table("table-memory", timed)
    cells = [table.cell("dpn4_64", column) for column in ("weights", "tensors", "eager_1")]
    assert [cell.text for cell in cells] == ["13.3", "50.0", "101"]
    assert "3 processes, 100000000 to 102000000 bytes" in cells[2].how


def test_the_roofline_is_a_share_of_the_ceiling(timed: Evidence, tmp_path: Path) -> None:
    """20 of 60 GMAC/s without dilation, 10 with it."""
    table = tables.table("table-roofline", timed)
    assert [table.cell(name, "eager_1").text for name in ("hrnet_w32", "dpn4_64")] == ["33", "17"]
    assert table.cell("hrnet_w32", "eager_1").note == ""
    roofline = {"share": 1.5, "bound": "copy", "floor_s": 1.0, "arithmetic_ceiling": 1e9, "copy_ceiling": 1e9}
    record = timing_record("dpn4_64", [[0.6]], spec_digest=ZOO["dpn4_64"].digest(), detail={"roofline": roofline})
    Store(tmp_path).append(record)
    cell = tables.table("table-roofline", Evidence(records_root=tmp_path)).cell("dpn4_64", "eager_1")
    assert (cell.text, cell.note) == ("150", "copy")


def test_ceilings_name_what_reached_them(timed: Evidence) -> None:
    table = tables.table("table-ceilings", timed)
    row = "made-up-2-cores/arithmetic/fp32/2"
    assert table.cell(row, "rate").text == "120"
    assert table.cell(row, "winner").text == "onnxruntime convolution"
    assert table.cell(row, "second").text == "torch matmul 2048: 84.0"


def test_a_ceiling_that_was_disturbed_is_marked(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.append(made_up.ceiling("copy_ceiling", 12e9, threads=1))
    store.append(made_up.ceiling("copy_ceiling", 24e9, threads=2).model_copy(update={"flags": ("disturbed",)}))
    table = tables.table("table-ceilings", Evidence(records_root=tmp_path))
    assert [row.cells["rate"].note for row in table.rows] == ["", "*"]
    assert [note[:12] for note in table.notes[1:]] == ["*: disturbed"]


def test_the_noise_floor_is_decided_from_the_raw_rounds(timed: Evidence) -> None:
    table = tables.table("table-noise", timed)
    cells = {column: table.cell("made-up-2-cores/harness", column) for column in ("ratio_1", "ratio_1.1", "ratio_1.25")}
    assert [cell.text for cell in cells.values()] == ["1 of 20", "8 of 10", "10 of 10"]
    assert cells["ratio_1"].note == "0.1–24.9 %"  # Clopper and Pearson
    # The factor of asv is 1.1: it cannot see a slowdown of exactly ten percent reliably.
    assert float(str(table.cell("made-up-2-cores/asv", "ratio_1.1").value)) < 80
    assert table.cell("made-up-2-cores/pytest_benchmark", "ratio_1").text == "1 of 20"
    assert "dpn1_32 at 64x48 in 8 rounds" in table.notes[0]


def add_copies(store: Store, *seconds: float, subject: str = "dpn1_32", digest: str = "", **protocol: Any) -> None:
    """A made-up copy of a small network for each time, of today's definition where none is named."""
    for number, one in enumerate(seconds):
        times = [[one * (1 + 0.001 * process)] for process in range(6)]
        store.append(timing_record(
            subject, times, metric="copy", input_hw=[64, 48], copy_number=number, copies=len(seconds),
            spec_digest=digest or ZOO[subject].digest(), **protocol,
        ))  # fmt: skip


def test_the_verdicts_say_what_was_measured_in_turns(timed: Evidence, tmp_path: Path) -> None:
    def in_turns(evidence: Evidence) -> list[tuple[Any, Any]]:
        rows = tables.table("table-time-verdicts", evidence).rows
        return [(row.cells["comparisons"].value, row.cells["together"].value) for row in rows]

    assert in_turns(timed) == [(number, number) for number, _ in in_turns(timed)]
    store = made_up.fill(tmp_path, ("sbl_r50", "dpn4_64"))
    for record in store.current():
        if record.subject == "sbl_r50" and record.metric == "latency" and record.protocol["backend"] == "eager":
            processes = [{**process, "round": "another"} for process in record.detail["processes"]]
            store.append(record.model_copy(update={"detail": {**record.detail, "processes": processes}}))
    mixed = Evidence(records_root=tmp_path)
    assert in_turns(mixed) == [(2, 0), (2, 2)]
    assert "2 were not timed in turns, and show nothing within 30 %." in speed_answer.answer(mixed)
    assert "in turns" not in speed_answer.answer(timed)


def test_pairs_of_records_stand_below_the_duels(timed: Evidence, tmp_path: Path) -> None:
    """Of three copies one is slower by a fifth, which makes two false alarms of three pairs."""
    assert not any("records" in row.id for row in tables.table("table-noise", timed).rows)
    store = Store(tmp_path)
    store.append(made_up.trial(0, 1.0, machine="another"))
    add_copies(store, 0.1, 0.1, 0.12)
    table = tables.table("table-noise", Evidence(records_root=tmp_path))
    assert [row.id for row in table.rows] == [
        "another/harness", "another/pytest_benchmark", "another/asv", "made-up-2-cores/records",
    ]  # fmt: skip
    assert [row.rule_above for row in table.rows] == [False, False, False, True]
    assert table.cell("made-up-2-cores/records", "ratio_1").text == "2 of 3"
    assert table.cell("made-up-2-cores/records", "ratio_1.25").text == "3 of 3"
    assert table.cell("another/harness", "ratio_1.25").state == "missing"
    assert len(table.notes) == 3
    (note,) = (note for note in table.notes if "3 copies of dpn1_32 at 64x48 (eager, 1 thread)" in note)
    assert "flagged" not in note


def test_what_records_of_different_hours_can_show_is_told_by_the_records_themselves(timed: Evidence) -> None:
    """The made-up processes of a record lie a few percent apart, so that half as slow again is found, a quarter not."""
    note = tables.table("table-noise", timed).notes[-1]
    assert note.startswith("Records of different hours have intervals that are 30 % wider at either end. Of ")
    number = note.partition(" latencies")[0].rpartition(" ")[2]
    assert note.endswith(f"0 by 25 %, {number} by 40 %, {number} by 50 %, {number} by 100 %.")


def test_copies_alone_are_a_noise_floor(tmp_path: Path) -> None:
    add_copies(Store(tmp_path), 0.1, 0.1, 0.12)
    there = Evidence(records_root=tmp_path)
    table = tables.table("table-noise", there)
    assert [column.id for column in table.columns[2:]] == ["ratio_1", "ratio_1.1", "ratio_1.25"]
    (note,) = table.notes
    assert note.startswith("Pairs of records are all pairs of 3 copies")
    words = (
        "pairs of records of one network called faster or slower on made-up-2-cores; so compared, 3 of 3 slowdowns by "
        "25 % are found"
    )
    assert speed_answer.cards(there) == [("2 of 3", words)]
    assert not any("noise floor" in sentence for sentence in answers.missing(there))


def test_copies_that_were_disturbed_are_compared_and_said_to_be(tmp_path: Path) -> None:
    add_copies(Store(tmp_path), 0.1, 0.1, flags=("disturbed", "budget spent"))
    (note,) = tables.table("table-noise", Evidence(records_root=tmp_path)).notes
    assert "2 of 2 copies are flagged (disturbed), as a busy machine makes them; elsewhere" in note


def test_duels_of_a_network_with_itself_alone_have_no_other_columns(tmp_path: Path) -> None:
    Store(tmp_path).append(made_up.trial(0, 1.0))
    table = tables.table("table-noise", Evidence(records_root=tmp_path))
    assert [column.id for column in table.columns[2:]] == ["ratio_1"]
    assert len(table.notes) == 2


def test_sets_of_copies_are_told_apart_and_older_definitions_are_left_out(tmp_path: Path) -> None:
    """Of a network that the zoo lacks the newest definition is today's."""
    store = Store(tmp_path)
    add_copies(store, 0.1, 0.1)
    add_copies(store, 0.1, 0.1, 0.1, backend="onnxruntime")
    add_copies(store, 0.1, 0.2, digest="of an older definition")
    for digest in ("first", "second"):
        add_copies(store, 0.1, 0.1, subject="mine:network", digest=digest)
    there = Evidence(records_root=tmp_path)
    assert [one.records[0].spec_digest for one in there.copies][2:] == ["second"]
    words = [row.cells["rule"].text for row in tables.table("table-noise", there).rows]
    assert [one.partition("records of ")[2].partition(": ")[0] for one in words] == [
        "2 copies of dpn1_32 at 64x48 (eager, 1 thread)", "3 copies of dpn1_32 at 64x48 (onnxruntime, 1 thread)",
        "2 copies of mine:network at 64x48 (eager, 1 thread)",
    ]  # fmt: skip


def test_a_trial_fought_again_counts_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.append(made_up.trial(0, 1.0, seen=1.3))
    store.append(made_up.trial(0, 1.0))
    assert tables.table("table-noise", Evidence(records_root=tmp_path)).cell(
        "made-up-2-cores/harness", "ratio_1"
    ).text == "0 of 1"  # fmt: skip


def test_the_exact_interval_of_a_share() -> None:
    """Of none in n the upper end is 1 - 0.025^(1/n); the interval of all is its mirror image."""
    none, everything = share_interval(0, 50), share_interval(50, 50)
    assert none.high == pytest.approx(1 - 0.025 ** (1 / 50))
    assert (everything.low, everything.high) == pytest.approx((1 - none.high, 1.0))


def test_the_first_screen_shows_machines_and_noise_floor(timed: Evidence) -> None:
    cards = answers.cards(timed)
    assert ("8", "networks timed on made-up-2-cores") in cards
    assert ("2", "networks timed on a-gpu") in cards
    ((number, words),) = [card for card in cards if "noise floor" in card[1]]
    assert number == "1 of 20"
    assert "0.1 to 24.9 %" in words
    assert any("noise floor is not measured" in label for _, label in answers.cards(NOTHING))
    assert "made-up-2-cores: 9 networks" not in of_page(timed)["timed on"]
    assert "made-up-2-cores: 8 networks" in of_page(timed)["timed on"]
    assert any(line.startswith("Of 49 comparisons of a DPN with") for line in answers.findings(timed))


def test_what_is_missing_is_said(timed: Evidence) -> None:
    sentences = "\n".join(answers.missing(timed))
    assert "Not measured on any machine: energy" in sentences
    assert "No GPU" not in sentences
    assert "Latency on a-gpu is not measured for dpn1_32" in sentences
    bare = "\n".join(answers.missing(NOTHING))
    assert "Not measured on any machine: latency, throughput, memory, energy; run: python -m bench measure" in bare
    assert "No GPU was timed" in bare
    assert "The noise floor of no machine is measured" in bare
    assert answers.ALL["speed"](NOTHING).startswith("No time is measured yet; run: python -m bench measure")


def test_refused_cells_are_listed_until_they_are_measured(tmp_path: Path) -> None:
    store = made_up.fill(tmp_path, names=("dpn4_64",))
    for name, backend in (("dpn4_64", "openvino"), ("dpn4_32", "openvino"), ("dpn4_64", "eager")):
        store.append(made_up.refusal(name, "it is not installed", backend=backend))
    (line,) = [line for line in answers.missing(Evidence(records_root=tmp_path)) if "Could not" in line]
    assert line == (
        "Could not be measured on made-up-2-cores: latency of dpn4_64 (openvino, 1 thread), latency of dpn4_32 "
        "(openvino, 1 thread): it is not installed."
    )


def test_settings_are_sorted_and_named(timed: Evidence) -> None:
    found = [str(setting) for setting in timings.settings(timed, made_up.MACHINE, "throughput")]
    assert found == ["eager, 1 thread", "eager, batch 8, 1 thread"]
    bf16 = timings.setting_of(timing_record("x", [[1.0]], precision="bf16", threads=4).protocol)
    assert (bf16.id, bf16.group, bf16.place) == ("eager_bf16_4", "eager, bf16", "4 threads")
