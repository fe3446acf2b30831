"""Stored counts are checked against fresh ones: equal is verified, missing is added, different is an error."""

from pathlib import Path

import pytest

from bench.counting import Outcome, count_records, count_subject, layer_columns, measure
from bench.macs import count
from bench.provenance import measured
from bench.store import Store
from bench.subject import SubjectError, parse_hw, resolve
from dpn.build import build
from dpn.spec import replace
from dpn.zoo import ZOO

SUBJECT = resolve("dpn1_32")


def test_a_second_measurement_verifies_the_first(tmp_path: Path) -> None:
    first, second = Outcome(), Outcome()
    measure(SUBJECT, Store(tmp_path), first)
    files = {path: path.read_bytes() for path in tmp_path.rglob("*.jsonl")}
    measure(SUBJECT, Store(tmp_path), second)
    assert first.added - 1 == second.verified == len(files) - 1 == 7  # the opinions are not asked twice
    assert (first.verified, second.added, second.differing) == (0, 0, [])
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.jsonl")} == files


def test_a_contradicted_record_is_reported_and_kept(tmp_path: Path) -> None:
    store = Store(tmp_path)
    (right,) = (record for record in count_records(SUBJECT) if record.metric == "macs")
    wrong = {"by_kind": dict.fromkeys(right.detail["by_kind"], 0) | {"convolution": 1}}
    store.append(right.model_copy(update={"value": 1, "detail": right.detail | wrong}))
    outcome = Outcome()
    measure(SUBJECT, store, outcome)
    (line,) = outcome.differing
    assert "macs of dpn1_32: stored 1, counted now 894566400" in line
    assert [record.value for record in Store(tmp_path).records if record.metric == "macs"] == [1]


def test_a_changed_detail_is_noticed_too(tmp_path: Path) -> None:
    store = Store(tmp_path)
    (right,) = (record for record in count_records(SUBJECT) if record.metric == "layers")
    columns = right.detail["columns"] | {"macs": right.detail["columns"]["macs"][::-1]}
    store.append(right.model_copy(update={"detail": right.detail | {"columns": columns}}))
    outcome = Outcome()
    measure(SUBJECT, store, outcome)
    assert [("operators changed" in line) for line in outcome.differing] == [True]


def test_verify_writes_nothing(tmp_path: Path) -> None:
    outcome = Outcome()
    measure(SUBJECT, Store(tmp_path), outcome, write=False)
    assert outcome.added == 7
    assert list(tmp_path.rglob("*.jsonl")) == []


def test_opinions_are_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measure(SUBJECT, Store(tmp_path), Outcome())
    monkeypatch.setattr("bench.counting.second_opinions", lambda *_: pytest.fail("asked again"))
    measure(SUBJECT, Store(tmp_path), Outcome())
    (record,) = (record for record in Store(tmp_path).records if record.metric == "second_opinions")
    assert record.value == 4


def test_free_operators_are_told_but_not_compared(tmp_path: Path) -> None:
    """Another version of torch makes the same network of other free operators."""
    store = Store(tmp_path)
    (right,) = (record for record in count_records(SUBJECT) if record.metric == "macs")
    store.append(right.model_copy(update={"detail": right.detail | {"free": {"aten::another": 1}}}))
    outcome = Outcome()
    measure(SUBJECT, store, outcome, write=False)
    assert (outcome.verified, outcome.differing) == (1, [])


def test_columns_hold_the_whole_count() -> None:
    net = build(replace(ZOO["dpn1_32"], name="small", width=8))
    counted = count(net, (1, 3, 64, 64))
    columns = layer_columns(counted)
    assert {len(column) for column in columns.values()} == {len(counted.operators)}
    assert sum(columns["macs"]) == counted.macs
    assert sum(columns["live_macs"]) == counted.live_macs


def test_incomplete_counts_are_marked(tmp_path: Path) -> None:
    outcome = Outcome()
    measure(resolve("tests.bench.networks:with_fourier_transform", (8, 8)), Store(tmp_path), outcome)
    (found,) = outcome.incomplete.values()
    assert any("_fft" in operator for operator in found)
    counts = [record for record in Store(tmp_path).records if record.metric != "second_opinions"]
    assert [record.complete for record in counts] == [False] * 7


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("gpu", "--device 'gpu' is none of meta, cpu, cuda"),
        ("cuda:99", "no device 'cuda:99' here .* such as --device cpu"),
    ],
)
def test_a_device_that_is_none_is_refused_in_one_line(device: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        count_subject(SUBJECT, device)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_came_out_as_no_number_is_refused_before_it_is_written(value: float) -> None:
    """JSON would hold a null in its place, which nobody could read."""
    with pytest.raises(ValueError, match=f"the latency of a came out as {value}, of which there is no record"):
        measured("a", "digest", "latency", value, protocol={})


@pytest.mark.parametrize("text", ["", "256", "256,192", "0x10", "-1x5", "256x192x3", "1e2x4", "256x 192", "999999x1"])
def test_an_input_size_has_one_form(text: str) -> None:
    with pytest.raises(SubjectError, match="HEIGHTxWIDTH"):
        parse_hw(text)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_package:build", "cannot import 'no_such_package'"),
        ("tests.bench.networks:nothing", "has no 'nothing'"),
        ("tests.bench.networks:needs_arguments", "when called without arguments"),
        ("tests.bench.networks:returns_a_number", "must return a torch.nn.Module, not a int"),
        (":", "package.module:factory"),
        ("tests.bench.networks:", "package.module:factory"),
    ],
)
def test_a_name_that_stands_for_no_network(name: str, message: str) -> None:
    with pytest.raises(SubjectError, match=message):
        resolve(name).factory()


def test_a_zoo_network_checks_its_input() -> None:
    with pytest.raises(ValueError, match="multiples of 8, for example 256x192"):
        resolve("dpn1_32", (255, 192))
