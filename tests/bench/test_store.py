"""Records are append-only, keyed, safe beside other writers, and a bad line never hides a good one."""

import errno
import fcntl
import multiprocessing
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bench.counts.conventions import AT_OUTPUT, KINDS
from bench.records.lines import Fault, read_line
from bench.records.record import EXACT, METRICS, Record
from bench.records.store import FORWARD, RECORDS, Store
from dpn.spec import replace
from dpn.zoo import ZOO
from tests.bench.timing_records import timing_record
from tests.test_workflows import commit, git

SPEC = ZOO["dpn1_32"]


def a_record(**changes: Any) -> Record:
    value = changes.get("value", 894_566_400)
    fields: dict[str, Any] = {
        "subject": "dpn1_32", "spec_digest": SPEC.digest(), "metric": "macs", "metric_version": METRICS["macs"].version,
        "unit": "MAC", "value": value, "protocol": {"input_hw": [256, 192], "batch": 1},
        "detail": {"by_kind": dict.fromkeys((*KINDS, AT_OUTPUT), 0) | {"convolution": value}},
        "machine": EXACT, "versions": {"python": "3.11"},
        "commit": "0" * 40, "dirty": False, "recorded_at": "2026-01-01T00:00:00+00:00",
    }  # fmt: skip
    return Record(**(fields | changes))


def test_what_is_appended_is_read_back_exactly(tmp_path: Path) -> None:
    records = [
        a_record(value=2**62 + 1), a_record(metric="params", value=1, unit="parameter"),
        timing_record("a", [[0.1, 0.1 + 0.2]]),
    ]  # fmt: skip
    store = Store(tmp_path)
    for record in records:
        store.append(record)
    read = Store(tmp_path)
    assert read.problems == []
    assert sorted(read.records, key=str) == sorted(records, key=str) == sorted(store.records, key=str)
    assert {path.name for path in tmp_path.glob("*/*")} == {"latency.jsonl", "macs.jsonl", "params.jsonl"}


def test_appending_never_rewrites(tmp_path: Path) -> None:
    Store(tmp_path).append(a_record(value=1))
    before = (tmp_path / EXACT / "macs.jsonl").read_bytes()
    Store(tmp_path).append(a_record(value=2))
    assert (tmp_path / EXACT / "macs.jsonl").read_bytes().startswith(before)


def test_what_is_current_is_the_newest_under_a_name_whatever_its_definition(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first, second = a_record(value=1), a_record(value=2, spec_digest="another")
    store.append(first)
    store.append(second)
    for there in (store, Store(tmp_path)):
        assert there.current() == [second]
        assert (there.is_current(first), there.is_current(second)) == (False, True)


def test_an_older_record_is_brought_forward_unchanged_and_once(tmp_path: Path) -> None:
    store, first = Store(tmp_path), a_record(value=1)
    assert not store.bring_forward(first.key(), first.subject)
    store.append(first)
    store.append(a_record(value=2, spec_digest="another", recorded_at="2026-01-02T00:00:00+00:00"))
    for _ in range(2):
        assert store.bring_forward(first.key(), first.subject)
    assert store.bring_forward(first.key(), "renamed")
    there = Store(tmp_path)
    assert [record.value for record in there.records] == [1, 2, 1, 1]
    assert there.is_current(first)
    read = [one.model_copy(update={"detail": {**one.detail, FORWARD: ""}}) for one in there.records]
    assert read[2] == read[0]
    assert read[3] == read[0].model_copy(update={"subject": "renamed"})


def test_find_prefers_the_newest_current_record(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for value in (1, 2):
        store.append(a_record(value=value))
    store.append(a_record(value=3, spec_digest="somethingelse"))
    found = store.find(SPEC, "macs")
    assert found.record is not None
    assert (found.record.value, found.stale) == (2, False)


@pytest.mark.parametrize(
    "changes", [{"spec_digest": "older"}, {"metric_version": METRICS["macs"].version + 1}], ids=["spec", "metric"]
)
def test_an_outdated_record_is_stale_not_current(changes: dict[str, Any], tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.append(a_record(**changes))
    found = store.find(SPEC, "macs")
    assert found.record is not None
    assert found.stale


def test_find_asks_for_the_protocol_and_the_machine(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.append(a_record(protocol={"input_hw": [512, 384], "batch": 1}))
    assert store.find(SPEC, "macs").record is None
    assert store.find(SPEC, "macs", protocol={"input_hw": [512, 384]}).record is not None
    assert store.find(SPEC, "macs", protocol={"input_hw": [512, 384]}, machine="other").record is None
    assert store.find(replace(SPEC, name="unknown", width=8), "macs", protocol={}).record is None


def test_a_record_of_the_same_network_under_another_name_is_found(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.append(a_record())
    found = store.find(replace(SPEC, name="renamed"), "macs")
    assert found.record is not None
    assert not found.stale


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"subject": "dpn1_32", "spec_dig', "Invalid JSON"),
        (b"not json at all", "Invalid JSON"),
        (b'{"benchmark": "foreign", "value": 1}', "Field required"),
        (b"\xff\xfe\x00", "Invalid JSON"),
        (b"[1, 2]", "not a record"),
    ],
    ids=["torn", "text", "foreign", "binary", "list"],
)
def test_a_bad_line_is_named_and_the_rest_is_used(line: bytes, message: str, tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.append(a_record(value=1))
    path = tmp_path / EXACT / "macs.jsonl"
    with path.open("ab") as file:
        file.write(line + b"\n")
    store.append(a_record(value=2))
    read = Store(tmp_path)
    assert [record.value for record in read.records] == [1, 2]
    (problem,) = read.problems
    assert (problem.path, problem.line) == (path, 2)
    assert message in problem.fault.message
    assert f"{path}, line 2" in str(problem)


def with_sizes(*sizes: int) -> dict[str, Any]:
    return {"processes": [{"samples": size} for size in sizes]}


@pytest.mark.parametrize("metric", ["latency", "throughput", "copy"])
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"samples": (0.5, 0.5, 0.5)}, "detail.processes: their samples add up to 4, not 3"),
        ({"samples": ()}, "detail.processes: their samples add up to 4, not 0"),
        ({"detail": with_sizes()}, "detail.processes: List should have at least 1 item"),
        ({"detail": with_sizes(4, 1)}, "detail.processes: their samples add up to 5, not 4"),
        ({"detail": with_sizes(4, 0)}, "detail.processes.1.samples: Input should be greater than 0"),
        ({"samples": (0.5, 0.5, 0.0, 0.5)}, "samples.2: Input should be greater than 0"),
        ({"samples": (0.5, -1.0, 0.5, 0.5)}, "samples.1: Input should be greater than 0"),
        ({"detail": {"interval": [10.0, 0.0]}}, "detail.interval: 10.0 to 0.0 is not positive and around the value"),
        ({"detail": {"interval": [0.0, 1.0]}}, "detail.interval: 0.0 to 1.0 is not positive and around the value 0.5"),
        ({"value": 3.0}, "detail.interval: 0.5 to 0.5 is not positive and around the value 3.0"),
        (
            {"value": 0.500001, "detail": {"interval": [0.4, 0.6]}},
            "value: 0.500001 is not the median of its samples, 0.5",
        ),
    ],
)
def test_a_time_that_contradicts_itself_is_named_and_the_rest_is_used(
    metric: str, fields: dict[str, Any], message: str, tmp_path: Path
) -> None:
    """Else one such record would end a comparison of all, without saying where it stands."""
    of_metric = {"metric": metric, "copy_number": 0, "copies": 2}
    good = timing_record("a", [[0.5, 0.5]] * 2, **of_metric)
    bad = good.model_copy(update=fields | {"detail": good.detail | fields.get("detail", {})})
    for record in (good, bad, good):
        Store(tmp_path).append(record)
    read = Store(tmp_path)
    assert read.records == [good, good]
    (problem,) = read.problems
    assert problem.line == 2
    assert f"not a record of {metric}: {message}" in problem.fault.message


@pytest.mark.parametrize("metric", ["memory", "energy"])
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"value": 0.0}, "value: Input should be greater than 0"),
        ({"value": -1.0}, "value: Input should be greater than 0"),
        ({"value": float("inf")}, "value: "),
        ({"samples": ()}, "samples: Tuple should have at least 1 item"),
        ({"value": 2.5}, "value: 2.5 is not the median of its samples, 2.0"),
    ],
)
def test_memory_and_energy_are_positive_and_the_median_of_their_samples(
    metric: str, fields: dict[str, Any], message: str
) -> None:
    good = timing_record("a", [[3.0, 1.0, 2.0]], metric=metric)
    assert read_line(good.model_dump_json().encode()) == good
    fault = read_line(good.model_copy(update=fields).model_dump_json().encode())
    assert isinstance(fault, Fault)
    assert message in fault.message


@pytest.mark.parametrize(
    ("metric", "version", "value"),
    [("latency", 1, 2.0), ("throughput", 1, 2.0), ("latency", 2, 5.0), ("throughput", 2, 5.0), ("copy", 1, 5.0)],
)
def test_a_time_is_the_median_over_processes_and_was_that_of_all_samples(
    metric: str, version: int, value: float
) -> None:
    fields = {"metric": metric, "metric_version": version, "detail": {"interval": [1.0, 9.0]}}
    times = [[1.0, 2.0, 2.0], [8.0]]
    right, wrong = (
        read_line(timing_record("a", times, value=one, copy_number=0, copies=2, **fields).model_dump_json().encode())
        for one in (value, 7.0 - value)
    )
    assert isinstance(right, Record)
    assert isinstance(wrong, Fault)


def test_a_torn_last_line_does_not_swallow_the_next_record(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.append(a_record(value=1))
    path = tmp_path / EXACT / "macs.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 2])  # killed while writing the second
    Store(tmp_path).append(a_record(value=3))
    read = Store(tmp_path)
    assert [record.value for record in read.records] == [1, 3]
    assert [problem.line for problem in read.problems] == [2]


def test_a_missing_folder_is_an_empty_store(tmp_path: Path) -> None:
    store = Store(tmp_path / "none")
    assert (store.records, store.problems) == ([], [])


def _append_many(root: Path, start: int) -> None:
    store = Store(root)
    for value in range(start, start + 40):
        store.append(a_record(value=value, detail=a_record(value=value).detail | {"padding": "x" * 20_000}))


def test_two_writers_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_append_many, args=(tmp_path, start)) for start in (0, 1000)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    read = Store(tmp_path)
    assert read.problems == []
    assert sorted(record.value for record in read.records) == [*range(40), *range(1000, 1040)]


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_without_locks_records_are_read_and_none_is_added(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store(tmp_path).append(a_record(value=1))
    path = tmp_path / EXACT / "macs.jsonl"
    before = path.read_bytes()

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    store = Store(tmp_path)
    assert [record.value for record in store.records] == [1]
    with pytest.raises(OSError, match=r"macs\.jsonl cannot be locked .*; name a folder on another file system,"):
        store.append(a_record(value=2))
    assert path.read_bytes() == before


def test_a_lock_that_fails_for_another_reason_is_told_and_is_an_error_for_who_adds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store(tmp_path).append(a_record())

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", fail)
    store = Store(tmp_path)
    assert os.strerror(errno.EIO) in store.warnings()[0]
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        store.append(a_record())
    assert (tmp_path / EXACT / "macs.jsonl").read_bytes().count(b"\n") == 1


@pytest.mark.parametrize("kind", ["folder", "dangling", "circle"])
def test_a_file_that_cannot_be_read_is_told_hides_no_other_and_is_an_error_for_who_adds_to_it(
    kind: str, tmp_path: Path
) -> None:
    Store(tmp_path).append(a_record())
    bad = tmp_path / EXACT / "params.jsonl"
    if kind == "folder":
        bad.mkdir()
    else:
        bad.symlink_to(bad if kind == "circle" else tmp_path / "nowhere")
    store, added = Store(tmp_path), a_record(metric="params", value=1, unit="parameter")
    assert store.records == [a_record()]
    assert store.newest(a_record().key()) == a_record()
    (warning,) = store.warnings()
    assert re.fullmatch(rf"{bad}: [A-Z].*; skipped, make it a file that can be read, or remove it", warning)
    with pytest.raises(OSError, match=re.escape(str(bad))):  # before it is measured, too
        store.newest(added.key())
    if kind != "dangling":
        with pytest.raises(OSError, match=re.escape(str(bad))):
            store.append(added)
    (tmp_path / EXACT / "macs.jsonl").unlink()
    assert Store(tmp_path).why_empty() == f"no file below {tmp_path} can be read, for the reasons above"
    bad.rmdir() if kind == "folder" else bad.unlink()
    store.refresh()
    assert store.warnings() == []
    assert store.newest(added.key()) is None


def test_two_branches_that_both_add_records_merge_with_the_lines_of_both(tmp_path: Path) -> None:
    shutil.copy(RECORDS / ".gitattributes", tmp_path)
    git(tmp_path, "init", "--quiet", "--initial-branch", "main")
    for value, branch in enumerate(("main", "one", "two")):
        if value:
            git(tmp_path, "checkout", "--quiet", "-b", branch, "main")
        Store(tmp_path).append(a_record(value=value))
        git(tmp_path, "add", ".")
        commit(tmp_path, branch)
    git(tmp_path, "merge", "--quiet", "--no-edit", "one")
    store = Store(tmp_path)
    assert store.problems == []
    assert sorted(record.value for record in store.records) == [0, 1, 2]


def test_what_was_recorded_last_is_the_newest_wherever_a_merge_has_put_it(tmp_path: Path) -> None:
    """Of two lines of one second the later is."""
    days = ("2026-01-02", "2026-01-01", "2026-01-02", "2026-01-01")
    written = [
        a_record(
            value=value, recorded_at=f"{day}T00:00:00+00:00", spec_digest=SPEC.digest() if value % 2 else "another"
        )
        for value, day in enumerate(days)
    ]
    for record in written:
        Store(tmp_path).append(record)
    store = Store(tmp_path)
    assert [record.value for record in store.records] == [1, 3, 0, 2]
    assert store.current() == [written[2]]
    assert (store.newest(written[0].key()), store.newest(written[1].key())) == (written[2], written[3])
    assert store.find(SPEC, "macs").record == written[3]


def test_a_record_is_strict() -> None:
    with pytest.raises(ValidationError, match="surprise"):
        a_record(surprise=1)
    with pytest.raises(ValidationError, match="subject"):
        a_record(subject="")
    with pytest.raises(ValidationError, match="frozen"):
        a_record().value = 1  # type: ignore[misc]


def test_the_key_is_what_makes_two_measurements_the_same() -> None:
    base = a_record()
    assert a_record(value=1, subject="alias", commit="f" * 40, recorded_at="2027").key() == base.key()
    for changes in (
        {"spec_digest": "x"}, {"metric": "params"}, {"metric_version": 2}, {"machine": "m"},
        {"protocol": {"input_hw": [256, 192], "batch": 2}},
    ):  # fmt: skip
        assert a_record(**changes).key() != base.key()


def test_provenance_says_where_from() -> None:
    text = a_record(dirty=True).provenance()
    for part in ("macs of dpn1_32", "input_hw 256x192", "any machine", "0000000000+changes", "2026-01-01"):
        assert part in text
