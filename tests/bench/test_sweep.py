"""Sweeps: what they write, that they lose nothing when they are killed, and what they refuse."""

import json
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, Self

import pytest

from bench.cell import Cell, grid
from bench.machine import environment
from bench.records.record import Record
from bench.records.rows import Row
from bench.records.schemas import schemas
from bench.records.store import Store
from bench.subject import resolve
from bench.sweeps import assemble, ceilings, processes
from bench.sweeps import sweep as sweeping
from bench.sweeps.journal import Journal
from bench.sweeps.plan import Plan
from bench.sweeps.pool import Worker, WorkerError, Zygote
from bench.sweeps.sweep import Progress, Sweep
from dpn import checkout
from tests.bench.onnx_models import convolution
from tests.bench.provenance import provenance_fields
from tests.bench.sweeping import (
    ONE,
    TINY,
    ceilings_known,
    finish,
    journals,
    options,
    records_of,
    results_in_journals,
    results_in_records,
    start,
    sweep,
    workers_below,
)
from tests.bench.waiting import wait_until

pytestmark = pytest.mark.usefixtures("own_lock")

EAGER = Cell(subject="dpn1_32", input_hw=(64, 48))


def named(factory: str, **fields: object) -> Cell:
    return replace(Cell(subject=f"tests.bench.networks:{factory}", input_hw=(8, 6)), **fields)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(convolution(tmp_path_factory.mktemp("onnx") / "convolution.onnx", (1, 3, 64, 48)))


def of_file(file: str) -> list[Cell]:
    return grid([(file, (64, 48))], backend=("onnxruntime", "openvino"), threads=(1,))


def test_records_of_a_sweep_say_everything_and_a_second_sweep_measures_nothing(tmp_path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    ceilings_known(tmp_path, 1)
    cells = [EAGER, replace(EAGER, metric="throughput"), replace(EAGER, metric="memory")]
    assert sweep(tmp_path, *cells, plan=ONE).measured == 3
    for cell in cells:
        (record,) = records_of(tmp_path, cell.metric)
        jsonschema.validate(json.loads(record.model_dump_json()), schemas()["records/record.schema.json"])
        assert provenance_fields(record) >= 30
        assert record.key() == assemble.key(cell, record.spec_digest)
        own = [process.get("median", process.get("value")) for process in record.detail["processes"]]
        assert record.value == median(own)
        assert len(record.detail["processes"]) == ONE.processes
        if cell.metric == "memory":
            assert "hashes are not random" in record.detail["settings"]
        else:
            assert sum(process["samples"] for process in record.detail["processes"]) == len(record.samples)
            assert record.detail["roofline"]["share"] > 0
            assert record.detail["outputs"]["largest_difference"] <= record.detail["outputs"]["tolerance"]
    again = sweep(tmp_path, *cells, plan=ONE)
    assert (again.measured, again.present) == (0, 3)
    assert journals(tmp_path) == []
    assert len(records_of(tmp_path, "latency")) == 1


def test_again_measures_again(tmp_path: Path, file: str) -> None:
    for cell in of_file(file)[:1] * 2:
        assert sweep(tmp_path, cell, plan=ONE, again=True).measured == 1
    first, second = records_of(tmp_path, "latency")
    assert first.key() == second.key()


ODD = (
    [
        named("with_fourier_transform"),  # nobody can count it, so there is no roofline
        named("with_fourier_transform", backend="onnxruntime"),
        named("with_fourier_transform", backend="channels_last", precision="tf32"),
    ],
    [named("talking")],  # prints more than a pipe holds
    [named("noisy")],
    [named("raises")],
    [named("lacks_weights"), named("lacks_weights", threads=2)],
)
"""Cells of five networks, each odd in its way."""


@dataclass(frozen=True)
class Twice:
    """Two sweeps over the odd cells, one after the other, with one process for each cell."""

    root: Path
    first: Progress
    second: Progress

    def refused(self, factory: str) -> list[list[str]]:
        """What each of the two said of the cells of a network that it refused."""
        said = (self.first.refused, self.second.refused)
        return [[line for line in lines if f"networks:{factory} " in line] for lines in said]

    def records(self, factory: str) -> list[Record]:
        return [record for record in Store(self.root).records if record.subject.endswith(f":{factory}")]


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory, lock_of_module: Path) -> Twice:
    assert lock_of_module.is_dir()
    root = tmp_path_factory.mktemp("odd")
    ceilings_known(root, 1)
    work = [(resolve(cells[0].subject, cells[0].input_hw), cells) for cells in ODD]
    return Twice(root, *(Sweep(Store(root), ONE).run(work) for _ in range(2)))


def test_what_can_be_measured_is_measured_once_whatever_the_others_do(twice: Twice) -> None:
    assert (twice.first.measured, twice.first.present) == (2, 0)
    assert (twice.second.measured, twice.second.present) == (0, 2)
    assert journals(twice.root) == []
    uncounted, talking = records_of(twice.root, "latency")
    assert ("roofline" in uncounted.detail, "roofline" in talking.detail) == (False, True)


def test_what_cannot_be_measured_is_refused_in_each_sweep_and_filed_once(twice: Twice) -> None:
    for precision, export in twice.refused("with_fourier_transform"):
        assert "tf32 is not offered by channels_last on cpu" in precision
        assert "cannot be written as an ONNX file" in export
    _, refusal = twice.records("with_fourier_transform")  # the other has no identity, because it was not built
    assert refusal.detail["reason"] in export
    assert (refusal.protocol["of"], refusal.protocol["backend"], refusal.value) == ("latency", "onnxruntime", 0)


def test_outputs_that_differ_are_refused_once(twice: Twice) -> None:
    for (line,) in twice.refused("noisy"):
        assert "differ from fp32 eager" in line
    assert [record.metric for record in twice.records("noisy")] == ["refusal"]


def test_a_network_that_fails_is_refused_in_one_line(twice: Twice) -> None:
    for (line,) in twice.refused("raises"):
        assert line.endswith("LookupError: no joint in an image of (1, 3, 8, 6)")


def test_a_network_that_cannot_be_built_is_refused_each_time_and_nothing_is_kept_of_it(twice: Twice) -> None:
    for lines in twice.refused("lacks_weights"):
        assert len(lines) == 2
        assert all(line.endswith(": FileNotFoundError: weights.pth is missing") for line in lines)
    assert twice.records("lacks_weights") == []  # its name does not say what it would have built


def test_networks_of_which_nothing_is_known_are_told(twice: Twice) -> None:
    empty = [f"tests.bench.networks:{factory}" for factory in ("noisy", "raises", "lacks_weights")]
    assert twice.first.empty == twice.second.empty == empty


def test_a_network_of_which_something_is_known_is_not_called_empty(tmp_path: Path, file: str) -> None:
    cells = [*of_file(file)[:1], replace(of_file(file)[0], precision="bf16")]  # which onnxruntime does not offer
    for _ in range(2):
        progress = sweep(tmp_path, *cells, plan=ONE)
        assert len(progress.refused) == 1
        assert progress.empty == []


def test_the_command_line_fails_when_nothing_could_be_measured_of_a_network(tmp_path: Path, own_lock: Path) -> None:
    from_the_future = str(convolution(tmp_path / "future.onnx", opset=99))
    arguments = ["--metric", "latency", "--backend", "onnxruntime", "--threads", "1", "--records", str(tmp_path / "r")]
    for _ in range(2):
        code, out, err = finish(start("measure", from_the_future, *arguments, temporary=own_lock))
        assert code == 1
        assert "1 cells: 0 records added, 0 there already, 1 left out" in out
        reason, last = err.splitlines()
        assert "onnxruntime cannot run the file: ONNX Runtime only" in reason
        assert "Opset 99" in reason
        assert last.startswith(f"error: nothing could be measured of {from_the_future}")


def result(*reasons: str, samples: tuple[float, ...] = (1.0, 1.0, 1.0), seconds: float = 1.0) -> dict[str, object]:
    return {"samples": list(samples), "start": 0, "reasons": list(reasons), "seconds": seconds}


@pytest.mark.parametrize(
    ("results", "wants"),
    [
        ([], True),
        ([result()] * 5, True),
        ([result()] * 6, False),
        ([result("busy")] * 6, True),  # disturbed: up to the most
        ([result("busy")] * 9, True),
        ([result("busy")] * 10, False),
        ([result("busy")] + [result()] * 6, False),  # as many clean ones as wanted
        ([result(samples=(1.0, 2.0))] * 6, False),  # samples differ, processes do not
        ([*[result()] * 5, result(samples=(1.2,))], True),  # wide
        ([*[result(seconds=12.0)] * 5, result(samples=(1.2,))], False),  # wide, but the budget is spent
        ([result(seconds=40.0)] * 2, True),  # three in any case
        ([result(seconds=40.0)] * 3, False),
    ],
)
def test_when_a_cell_gets_another_process(tmp_path: Path, results: list[dict[str, object]], wants: bool) -> None:
    assert Sweep(Store(tmp_path), Plan())._wants_more(results) is wants


class FakeZygote:
    """Stands for an interpreter and for each of its processes; a test says what these answer."""

    def __init__(self, _modules: object) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def fork(self) -> Self:
        return self


def test_ceilings_that_a_killed_sweep_measured_are_not_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names, measured = ceilings.candidates("arithmetic", device="cpu"), []

    class Fake(FakeZygote):
        def ask(self, _command: str, *, candidate: str, **_more: object) -> dict[str, object]:
            if candidate == names[3] and names[3] not in measured:
                measured.append(candidate)
                raise KeyboardInterrupt
            measured.append(candidate)
            return {"rate": 1e9 + len(measured), "samples": [], "calls": 1}

    monkeypatch.setattr(processes, "Zygote", Fake)
    with pytest.raises(KeyboardInterrupt), Journal(tmp_path) as journal:
        Sweep(Store(tmp_path), TINY)._ceilings(EAGER, journal)
    with Journal(tmp_path) as journal:
        Sweep(Store(tmp_path), TINY)._ceilings(EAGER, journal)
    (record,) = records_of(tmp_path, "arithmetic_ceiling")
    assert Counter(measured)[names[3]] == 2
    assert all(Counter(measured)[name] == 1 for name in names if name != names[3])
    assert set(record.detail["candidates"]) == set(names)
    assert record.value == max(rate["rate"] for rate in record.detail["candidates"].values())
    assert journals(tmp_path) == []


def test_a_candidate_of_a_ceiling_that_got_no_process_is_not_taken_for_one_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names, forks = ceilings.candidates("arithmetic", device="cpu"), list[int]()

    class Fake(FakeZygote):
        def fork(self) -> Self:
            forks.append(len(forks))
            if len(forks) == 3:
                raise WorkerError("no more processes")
            return super().fork()

        def ask(self, _command: str, *, candidate: str, **_more: object) -> dict[str, object]:
            if candidate == names[0]:
                raise WorkerError("no kernel")
            return {"rate": 1e9, "samples": [], "calls": 1}

    monkeypatch.setattr(processes, "Zygote", Fake)
    with pytest.raises(WorkerError, match="no more processes"), Journal(tmp_path) as journal:
        Sweep(Store(tmp_path), TINY)._ceilings(EAGER, journal)
    assert len(journals(tmp_path)) == 1
    with Journal(tmp_path) as journal:
        Sweep(Store(tmp_path), TINY)._ceilings(EAGER, journal)
    (arithmetic,) = records_of(tmp_path, "arithmetic_ceiling")
    assert {name for name, rate in arithmetic.detail["candidates"].items() if rate["rate"] == 0} == {names[0]}
    (copy,) = records_of(tmp_path, "copy_ceiling")
    again = 2  # the one without a process, and the one that failed, of which the journal says nothing
    assert len(forks) == len(arithmetic.detail["candidates"]) + len(copy.detail["candidates"]) + again


class Rates(FakeZygote):
    """Gives every candidate of a ceiling a rate and notes which were asked; a test says what speaks against it."""

    asked: list[str]
    against: Callable[[str], dict[str, object]]

    def ask(self, _command: str, *, candidate: str, **_more: object) -> dict[str, object]:
        self.asked.append(candidate)
        return {"rate": 1e9 + len(self.asked), "samples": [], "calls": 1} | type(self).against(candidate)


@pytest.fixture(name="rates")
def _rates(monkeypatch: pytest.MonkeyPatch) -> type[Rates]:
    monkeypatch.setattr(processes, "Zygote", Rates)
    monkeypatch.setattr(Rates, "asked", [], raising=False)
    monkeypatch.setattr(Rates, "against", staticmethod(lambda _candidate: {}), raising=False)
    return Rates


def ceilings_of(sweep: Sweep) -> tuple[float, float] | None:
    with Journal(sweep.store.root) as journal:
        found = sweep._ceilings(EAGER, journal)
        assert sweep._ceilings(replace(EAGER, batch=8), journal) == found  # once in a sweep, whatever comes of it
    assert journals(sweep.store.root) == []
    return found


EVERY = [name for kind in ("arithmetic", "copy") for name in ceilings.candidates(kind, device="cpu")]  # type: ignore[arg-type]


def test_ceilings_are_measured_again_when_asked_and_with_another_version_of_a_library_that_reaches_them(
    tmp_path: Path, rates: type[Rates], monkeypatch: pytest.MonkeyPatch
) -> None:
    ceilings_known(tmp_path, 1)
    versions = environment.versions()
    for changed, asked in (({}, []), ({"scipy": "9"}, []), ({"torch": "9"}, EVERY), ({"torch": "9"}, [])):
        monkeypatch.setattr(environment, "versions", lambda changed=changed: versions | changed)
        rates.asked.clear()
        ceilings_of(Sweep(Store(tmp_path), TINY))
        assert rates.asked == asked
    again = Sweep(Store(tmp_path), TINY, again=True)
    again.run([])
    ceilings_of(again)
    assert rates.asked == EVERY
    assert len(records_of(tmp_path, "copy_ceiling")) == 3


def test_a_disturbed_candidate_gets_a_second_process_and_a_ceiling_with_one_that_stays_disturbed_is_flagged(
    tmp_path: Path, rates: type[Rates], monkeypatch: pytest.MonkeyPatch
) -> None:
    once, always = "torch matmul 2048", "torch copy"

    def against(candidate: str) -> dict[str, object]:
        busy = candidate == always or (candidate == once and rates.asked.count(once) == 1)
        return {"reasons": ["busy"]} if busy else {}

    monkeypatch.setattr(rates, "against", staticmethod(against))
    sweep = Sweep(Store(tmp_path), TINY)
    ceilings_of(sweep)
    assert Counter(rates.asked) == Counter([*EVERY, once, always])
    (arithmetic,), (copy,) = (records_of(tmp_path, f"{kind}_ceiling") for kind in ("arithmetic", "copy"))
    assert (arithmetic.flags, copy.flags) == ((), ("disturbed",))
    assert "reasons" not in arithmetic.detail["candidates"][once]
    assert sweep.progress.flagged == 1


def test_where_no_candidate_runs_there_is_no_ceiling_and_a_time_has_its_record_without_a_roofline(
    tmp_path: Path, rates: type[Rates], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_candidate: str) -> dict[str, object]:
        raise WorkerError("no memory")

    monkeypatch.setattr(rates, "against", staticmethod(fails))
    told = list[str]()
    sweep = Sweep(Store(tmp_path), TINY, lambda text, _: told.append(text))
    assert ceilings_of(sweep) is None
    assert told[1].startswith(f"no candidate for a ceiling of this machine ran, such as {EVERY[0]}: no memory and ")
    assert (rates.asked, Store(tmp_path).records) == (EVERY, [])


def test_results_of_other_code_are_forgotten_and_so_are_those_of_a_cell_that_has_its_record(
    tmp_path: Path, file: str
) -> None:
    (cell, _) = of_file(file)
    sweep(tmp_path, cell)
    (record,) = records_of(tmp_path, "latency")
    dead = Journal(tmp_path)
    dead.add("a/cell@other code", {"samples": [1.0]})
    dead.add(sweeping.journal_key(record.key()), {"samples": [1.0]})  # killed between the record and the journal
    dead._file.close()
    assert sweep(tmp_path, cell).present == 1
    assert journals(tmp_path) == []


@pytest.mark.parametrize("edited", [False, True])
def test_processes_of_a_killed_sweep_count_for_the_code_that_they_ran(
    edited: bool, tmp_path: Path, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cell, _) = of_file(file)
    real, measured = sweeping.run_cell, list[Cell]()

    def stopped(worker: object, cell: Cell, *rest: object) -> dict[str, object]:
        if measured:
            raise KeyboardInterrupt
        measured.append(cell)
        return real(worker, cell, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(checkout, "commit", lambda: ("unknown", True))
    monkeypatch.setattr(checkout, "code", lambda: "before")
    monkeypatch.setattr(sweeping, "run_cell", stopped)
    with pytest.raises(KeyboardInterrupt):
        sweep(tmp_path, cell)
    (first,) = results_in_journals(tmp_path)
    monkeypatch.setattr(sweeping, "run_cell", real)
    monkeypatch.setattr(checkout, "code", lambda: "after" if edited else "before")
    assert sweep(tmp_path, cell).measured == 1
    assert (first in results_in_records(tmp_path)) is not edited
    assert journals(tmp_path) == []


@pytest.mark.parametrize(
    ("changed", "value"),
    [
        ("versions", {"torch": "9.9.9"}),
        ("describe", {"cpu_governor": "powersave"}),
        ("describe", {"env_OMP_WAIT_POLICY": "ACTIVE"}),
        ("machine", "another"),
        ("code", "edited"),
    ],
)
def test_results_of_another_setting_wait_for_it_and_those_of_other_code_are_dropped_and_told(
    changed: str, value: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    of = checkout if changed == "code" else environment
    key, found = sweeping.journal_key("m/latency.v2/cell"), getattr(of, changed)()
    with Journal(tmp_path) as dead:
        dead.add(key, {"samples": [1.0]})
        dead.add(key, {"samples": [2.0]})
    monkeypatch.setattr(of, changed, lambda *_: found | value if isinstance(value, dict) else value)
    assert sweeping.journal_key("m/latency.v2/cell") != key
    Sweep(Store(tmp_path), TINY).run([])
    told = "2 results of other code are dropped: 2 of m/latency.v2\n"
    assert capsys.readouterr().err == (told if changed == "code" else "")
    assert len(results_in_journals(tmp_path)) == (0 if changed == "code" else 2)


def test_an_interpreter_that_cannot_fork_is_replaced_for_the_next_rival(
    tmp_path: Path, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = list[Zygote]()

    class Fragile(Zygote):
        def fork(self) -> Worker:
            if not broken:
                broken.append(self)
            if self in broken:
                raise WorkerError("no more processes")
            return super().fork()

    monkeypatch.setattr(sweeping, "Zygote", Fragile)
    (cell, _) = of_file(file)
    progress = sweep(tmp_path, cell, replace(cell, metric="throughput"))
    assert (progress.measured, len(progress.refused)) == (1, 1)
    assert progress.refused[0].endswith(": no more processes")
    assert len(records_of(tmp_path, "throughput")) == 1


def test_a_network_that_fails_costs_no_other_interpreter(
    tmp_path: Path, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ceilings_known(tmp_path, 1)
    started, real = list[Zygote](), sweeping.run_cell

    class Noted(Zygote):
        def __init__(self, *modules: Any, **options: Any) -> None:
            started.append(self)
            super().__init__(*modules, **options)

    def fails(worker: object, cell: Cell, *rest: object) -> dict[str, object]:
        if cell.metric == "latency":
            raise WorkerError("out of memory")
        return real(worker, cell, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(sweeping, "Zygote", Noted)
    monkeypatch.setattr(sweeping, "run_cell", fails)
    (cell, _) = of_file(file)
    progress = sweep(tmp_path, cell, replace(cell, metric="throughput"), plan=ONE)
    assert (progress.measured, len(progress.refused)) == (1, 1)
    assert len(started) == 1


METRICS = ("latency", "throughput")

PROCESSES = 3


def command(root: Path, file: str) -> list[str]:
    return ["measure", file, "--metric", ",".join(METRICS), "--backend", "onnxruntime,openvino",
            "--threads", "1", "--records", str(root), *options(PROCESSES)]  # fmt: skip


def kept(root: Path) -> list[tuple[float, ...]]:
    return [process for metric in METRICS for process in results_in_records(root, metric)]


def keys_of(root: Path) -> set[str]:
    return {record.key() for metric in METRICS for record in records_of(root, metric)}


def killed(kills: int, root: Path, temporary: Path, file: str, wait: Callable[[Path], None]) -> list[Path]:
    """Kills sweeps after a wait, each starting where the one before stopped; one that ends ends its folder.

    Returns:
        The folders, all of them complete in the end.
    """
    folders, seen = [root / "0"], set[tuple[float, ...]]()
    while kills:
        running = start(*command(folders[-1], file), temporary=temporary)
        wait(folders[-1])
        if running.poll() is not None:
            complete(folders[-1], finish(running), seen)
            folders, seen = [*folders, root / str(len(folders))], set()
            continue
        before = results_in_journals(folders[-1])
        running.kill()
        finish(running)
        kills -= 1
        wait_until(lambda: not workers_below(temporary))
        now = results_in_journals(folders[-1]) | set(kept(folders[-1]))
        assert seen | before <= now  # whatever was finished is kept
        seen = now
    complete(folders[-1], finish(start(*command(folders[-1], file), temporary=temporary)), seen)
    wait_until(lambda: not workers_below(temporary))
    assert list(temporary.glob("bench-*")) == []  # nor have the killed ones left anything
    return folders


def complete(root: Path, ended: tuple[int, str, str], seen: set[tuple[float, ...]]) -> None:
    """A sweep ended as if nobody had killed those before it, and used what they had finished."""
    assert (ended[0], ended[2]) == (0, "")
    processes = kept(root)
    assert seen <= set(processes)
    assert len(processes) == len(set(processes)) == 4 * PROCESSES  # each once, and no more than an undisturbed one has
    assert len(keys_of(root)) == sum(len(records_of(root, metric)) for metric in METRICS) == 4
    assert Store(root).problems == []
    assert journals(root) == []


def test_two_kills_cost_nothing_that_was_finished(tmp_path: Path, own_lock: Path, file: str) -> None:
    def until_a_result(root: Path) -> None:
        known = results_in_journals(root)
        wait_until(lambda: bool(results_in_journals(root) - known), seconds=120)

    assert killed(2, tmp_path, own_lock, file, until_a_result) == [tmp_path / "0"]


@pytest.mark.slow
def test_twenty_kills_cost_nothing_that_was_finished(tmp_path: Path, own_lock: Path, file: str) -> None:
    moments = random.Random(5)
    folders = killed(20, tmp_path / "killed", own_lock, file, lambda _: time.sleep(moments.uniform(0.5, 6.0)))
    undisturbed = tmp_path / "undisturbed"
    complete(undisturbed, finish(start(*command(undisturbed, file), temporary=own_lock)), set())
    assert all(keys_of(folder) == keys_of(undisturbed) for folder in folders)


def test_two_sweeps_at_once_share_the_work(tmp_path: Path, own_lock: Path, file: str) -> None:
    root = tmp_path / "records"
    other = str(convolution(tmp_path / "other.onnx", (1, 3, 32, 24)))
    plan = ["--metric", "latency", "--threads", "1", "--records", str(root), *options(2)]
    both = [
        start("measure", *names, "--backend", "onnxruntime,openvino", *plan, temporary=own_lock)
        for names in ((file, other), (other, file))
    ]
    outputs = [finish(running) for running in both]
    assert [(code, err) for code, _, err in outputs] == [(0, "")] * 2
    records: list[Record] = records_of(root, "latency")
    assert len({record.key() for record in records}) == len(records) == 4  # none was measured by both
    assert Store(root).problems == []
    assert journals(root) == []
    counts = [[int(word) for word in out.replace(":", "").split() if word.isdecimal()] for _, out, _ in outputs]
    assert [count[0] for count in counts] == [4, 4]
    assert sum(count[1] for count in counts) == 4


def test_networks_of_one_sweep_take_turns(tmp_path: Path, file: str) -> None:
    """Cells of one setting side by side, each first in some round; the records say in which rounds they were."""
    other = str(convolution(tmp_path / "other.onnx", (1, 3, 32, 24)))
    root, told = tmp_path / "records", list[str]()
    ceilings_known(root, 1)
    work = [
        (resolve(name, size), grid([(name, size)], backend=("onnxruntime", "openvino"), threads=(1,)))
        for name, size in ((file, (64, 48)), (other, (32, 24)))
    ]
    Sweep(Store(root), TINY, lambda text, _: told.append(text)).run(work)
    measured = [text for text in told if "1 thread" in text or "threads" in text]
    first, second = ([str(cell) for cell in cells] for _, cells in work)
    order = [first[0], second[0], first[1], second[1]]
    assert measured == [*order, *order[2:], *order[:2]]
    assert [text for text in told if text.startswith("round")] == ["round 1 of 2 to 2 done", "round 2 of 2 to 2 done"]
    records = records_of(root, "latency")
    for record in records:
        assert record.value == median(process["median"] for process in record.detail["processes"])
    rounds = {tuple(Row(record=record, file="").rounds) for record in records}
    assert len(rounds) == 1
    assert len(set(*rounds)) == TINY.processes


def test_a_network_that_fails_in_a_later_round_does_not_stop_the_others(
    tmp_path: Path, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ceilings_known(tmp_path, 1)
    cells, real, calls = of_file(file), sweeping.run_cell, Counter[str]()

    def fails(worker: object, cell: Cell, *rest: object) -> dict[str, object]:
        calls[cell.backend] += 1
        if calls[cell.backend] == 2 and cell.backend == "openvino":
            raise WorkerError("out of memory")
        return real(worker, cell, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(sweeping, "run_cell", fails)
    progress = sweep(tmp_path, *cells)
    assert (progress.measured, len(progress.refused)) == (1, 1)
    assert "out of memory" in progress.refused[0]
    assert [record.protocol["backend"] for record in records_of(tmp_path, "latency")] == ["onnxruntime"]
    assert journals(tmp_path) == []
