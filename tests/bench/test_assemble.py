"""Records from made-up results of processes: which count, what is flagged, what is kept."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from analysis.evidence import Evidence
from bench.cell import Cell
from bench.records.record import METRICS
from bench.records.rows import Row
from bench.records.store import Store
from bench.statistics import median_interval, medians
from bench.sweeps import assemble, sweep
from bench.sweeps.plan import Plan
from bench.sweeps.sweep import Sweep

CELL = Cell(subject="dpn4_64", input_hw=(256, 192), batch=2)

PLAN = Plan(processes=3, most_processes=6)

COUNTS = {"macs": 1_000, "weight_bytes": 50, "activation_bytes": 200}


def result(
    samples: Sequence[float] = (3.0, 1.0, 1.01, 0.99, 1.0, 1.01), *reasons: str, start: int | None = 1
) -> dict[str, Any]:
    return {
        "samples": list(samples), "start": start, "calls": 4, "reasons": list(reasons), "seconds": 1.0,
        "disturbance": {"wall_s": 1.0}, "outputs": {"largest_difference": 1e-6, "tolerance": 1e-4},
        "round": "sweep 7",
    }  # fmt: skip


def made(results: list[dict[str, Any]], bounds: tuple[float, float] | None = None, **fields: Any) -> Any:
    cell = Cell(**{"subject": "dpn4_64", "input_hw": (256, 192), "batch": 2} | fields)
    return assemble.record(cell, "digest", results, PLAN, COUNTS, bounds)


def test_the_key_is_that_of_the_record() -> None:
    assert made([result()] * 3).key() == assemble.key(CELL, "digest")
    refusal = assemble.refusal(CELL, "digest", "no reason")
    assert refusal.key() not in (assemble.key(CELL, "digest"), made([result()] * 3).key())
    assert refusal.protocol == CELL.protocol() | {"of": "latency"}


@pytest.mark.parametrize(
    ("clean", "disturbed", "counts"),
    [(3, 0, 3), (3, 2, 3), (4, 1, 4), (2, 1, 3), (0, 3, 3), (2, 4, 6), (2, 0, 2), (0, 0, 0)],
)
def test_clean_processes_count_where_there_are_enough(clean: int, disturbed: int, counts: int) -> None:
    results = [result((1.0,), "busy", start=0)] * disturbed + [result()] * clean
    counted = assemble.counted(results, PLAN)
    assert len(counted) == counts
    assert (not any(one["reasons"] for one in counted)) is (clean >= PLAN.processes or disturbed == 0)


def test_a_disturbed_process_is_kept_raw_and_does_not_count() -> None:
    disturbed = result((9.0, 8.0, 8.5, 8.2), "other processes used 80 % of a processor")
    record = made([disturbed, result(), result(), result()])
    assert record.flags == ()
    assert record.value == median(record.samples) == 1.0
    (kept,) = record.detail["discarded"]
    assert kept["raw"] == disturbed["samples"]
    assert kept["reasons"] == disturbed["reasons"]
    assert [process["samples"] for process in record.detail["processes"]] == [5, 5, 5]
    assert all(process["warmup"] == [3.0] for process in record.detail["processes"])
    assert Row(record=record, file="any").rounds == ["sweep 7"] * 3


def test_samples_lie_by_process_as_readers_divide_them() -> None:
    results = [result((2.0, 1.0, 1.5)), result((5.0, 1.1), start=1), result((1.2, 1.3, 1.4, 1.6), start=0)]
    record = made(results)
    assert Row(record=record, file="any").times_by_process == [[1.0, 1.5], [1.1], [1.2, 1.3, 1.4, 1.6]]
    assert record.detail["interval"][0] <= record.value <= record.detail["interval"][1]


def test_flags() -> None:
    assert made([result()] * 3).flags == ()
    assert made([result()] * 2 + [result((1.0,) * 6, "busy")]).flags == ("disturbed",)
    assert made([result()] * 2 + [result((1.0,) * 6, start=None)]).flags == ("no steady state",)
    assert made([result(), result(), result((1.2,) * 6, start=0)]).flags == ("budget spent",)  # processes disagree
    assert made([result((1.0, 2.0, 1.0, 2.0), start=0)] * 3).flags == ()  # and here their samples alone do
    slow = result() | {"seconds": PLAN.budget_s / 2}
    assert made([slow] * 2).flags == ("budget spent",)  # they agree, and are fewer than planned
    assert made([slow] * 3).flags == ()
    assert made([memory(100)] * 3, metric="memory").flags == ()


def test_processes_count_alike_and_their_range_is_the_interval() -> None:
    fast, slow = result((1.0,) * 40, start=0), result((1.2,) * 4, start=0)
    record = made([fast, slow, slow])
    assert (record.value, record.detail["interval"]) == (1.2, [1.0, 1.2])
    assert record.detail["confidence"] == 0.75
    assert len(record.samples) == 48


def test_every_committed_time_follows_from_its_samples(committed: Evidence) -> None:
    """Records of version 1 were stated anew by the rule of version 2; whoever doubts a value can do so too."""
    current = [record for record in committed.store.records if record.metric in ("latency", "throughput")]
    current = [record for record in current if record.metric_version == METRICS[record.metric].version]
    assert len(current) > 500
    for record in current:
        samples = iter(record.samples)
        own = medians([list(islice(samples, process["samples"])) for process in record.detail["processes"]])
        interval = median_interval(own)
        assert record.value == median(own)
        assert record.detail["interval"] == [interval.low, interval.high]
        assert record.detail["confidence"] == interval.confidence


def test_without_a_steady_state_the_second_half_counts() -> None:
    record = made([result((9.0, 9.0, 9.0, 1.0, 1.0, 1.0), start=None)] * 3)
    assert record.samples == (1.0,) * 9
    assert not any(process["steady"] for process in record.detail["processes"])


def test_the_roofline_is_of_a_whole_batch_whichever_way_it_is_timed() -> None:
    bounds = (4_000.0, 1_000.0)  # 2 x 1000 MACs take 0.5 s, 50 + 2 x 200 bytes 0.45 s
    latency = made([result((1.0,) * 8, start=0)] * 3, bounds)
    throughput = made([result((2.0,) * 8, start=0)] * 3, bounds, metric="throughput")  # 2 images a second: 1 s a batch
    for record in (latency, throughput):
        assert record.detail["roofline"]["bound"] == "arithmetic"
        assert record.detail["roofline"]["share"] == pytest.approx(0.5)
    assert "roofline" not in made([result()] * 3).detail


def memory(value: int) -> dict[str, Any]:
    return {
        "value": value, "before_bytes": 10, "peak_bytes": value + 10, "peaks": [value + 10] * 5, "weights_bytes": 4,
        "tensor_peak_bytes": 40, "settings": ["one malloc arena"], "peak_reset": True, "seconds": 0.0, "reasons": [],
        "round": "sweep 7",
    }  # fmt: skip


def test_memory_keeps_what_each_process_found_and_once_what_all_share() -> None:
    record = made([memory(100), memory(102), memory(101)], metric="memory")
    assert (record.value, record.samples) == (101, (100, 102, 101))
    assert record.detail == {
        "weights_bytes": 4, "tensor_peak_bytes": 40, "settings": ["one malloc arena"], "peak_reset": True,
        "processes": [
            {
                "value": value, "before_bytes": 10, "peak_bytes": value + 10, "peaks": [value + 10] * 5,
                "round": "sweep 7",
            }
            for value in (100, 102, 101)
        ],
    }  # fmt: skip


def test_energy_beside_others_on_a_gpu_does_not_count_while_there_is_enough_else() -> None:
    clean = {"value": 2.0, "joules": 20.0, "source": "a counter", "seconds": 10.0, "reasons": [], "round": "sweep 7",
             "disturbance": {"wall_s": 10.0}}  # fmt: skip
    beside = clean | {"value": 9.0, "joules": 90.0, "reasons": ["1 other process on the GPU"]}
    record = made([beside, clean, clean, clean], metric="energy")
    assert (record.value, record.samples, record.flags) == (2.0, (2.0,) * 3, ())
    own = {"value": 2.0, "joules": 20.0, "round": "sweep 7", "disturbance": {"wall_s": 10.0}}
    assert record.detail["processes"] == [own] * 3
    assert [process["reasons"] for process in record.detail["discarded"]] == [beside["reasons"]]
    assert made([beside, clean, clean], metric="energy").flags == ("disturbed",)


def test_what_speaks_against_a_gpu_counts_as_what_speaks_against_a_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = {"disturbance": {"wall_s": 1.0, "foreign_cpu_s": 0.5}, "reasons": ["GPU throttled: power cap"]}
    monkeypatch.setattr(sweep, "run_cell", lambda *_: seen)
    found = Sweep(Store(tmp_path), PLAN)._measured(CELL, None, tmp_path)  # type: ignore[arg-type]
    assert found["reasons"] == ["other processes used 50 % of a processor", "GPU throttled: power cap"]


def test_ceilings_of_one_machine_have_one_key() -> None:
    rates = {"slow": {"rate": 1e9}, "fast": {"rate": 2e9}}
    arithmetic = assemble.ceiling("arithmetic", CELL, rates)
    assert (arithmetic.value, arithmetic.detail["winner"]) == (2e9, "fast")
    assert arithmetic.detail["candidates"] == rates
    other = Cell(subject="hrnet_w32", input_hw=(64, 48), backend="openvino")
    assert assemble.ceiling("arithmetic", other, {}).key() == arithmetic.key()
    half = Cell(subject="dpn4_64", input_hw=(256, 192), precision="bf16")
    assert assemble.ceiling("arithmetic", half, {}).key() != arithmetic.key()
    assert assemble.ceiling("copy", half, {}).key() == assemble.ceiling("copy", CELL, {}).key()
