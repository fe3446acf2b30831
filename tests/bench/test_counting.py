"""Stored counts are checked against fresh ones: equal is verified, missing is added, different is an error."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bench.counts.macs import count
from bench.recording.counting import Outcome, count_records, count_subject, layer_columns, measure
from bench.records.provenance import measured
from bench.records.rows import rows
from bench.records.store import Store
from bench.subject import Subject, SubjectError, resolve
from dpn.build import build
from dpn.input_size import parse_hw
from dpn.zoo import ZOO
from tests.bench.micro_models import Layers

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
    (right,) = (record for record in count_records(SUBJECT, *count_subject(SUBJECT)) if record.metric == "macs")
    wrong = {"by_kind": dict.fromkeys(right.detail["by_kind"], 0) | {"convolution": 1}}
    store.append(right.model_copy(update={"value": 1, "detail": right.detail | wrong}))
    outcome = Outcome()
    measure(SUBJECT, store, outcome)
    (line,) = outcome.differing
    assert "macs of dpn1_32: stored 1, counted now 894566400" in line
    assert [record.value for record in Store(tmp_path).records if record.metric == "macs"] == [1]


def test_a_changed_detail_is_noticed_too(tmp_path: Path) -> None:
    store = Store(tmp_path)
    (right,) = (record for record in count_records(SUBJECT, *count_subject(SUBJECT)) if record.metric == "layers")
    columns = right.detail["columns"] | {"macs": right.detail["columns"]["macs"][::-1]}
    store.append(right.model_copy(update={"detail": right.detail | {"columns": columns}}))
    outcome = Outcome()
    measure(SUBJECT, store, outcome)
    assert [("operators changed" in line) for line in outcome.differing] == [True]


def own(width: int) -> Subject:
    return Subject("mine:net", (8, 8), lambda: nn.Conv2d(3, width, 1))


def test_a_network_that_is_changed_back_has_its_first_counts_again(tmp_path: Path) -> None:
    """What readers take is the newest record, and that must be of the network that is there now."""

    def said() -> dict[str, float]:
        return {row.record.metric: row.record.value for row in rows(Store(tmp_path))}

    measure(own(4), Store(tmp_path), Outcome())
    first = said()
    measure(own(2), Store(tmp_path), Outcome())
    assert said()["macs"] == 3 * 2 * 64
    checked, back, again = Outcome(), Outcome(), Outcome()
    measure(own(4), Store(tmp_path), checked, write=False)
    assert (checked.added, checked.verified) == (7, 0)
    measure(own(4), Store(tmp_path), back)
    assert (back.added, back.differing) == (7, [])
    assert said() == first
    measure(own(4), Store(tmp_path), again)
    assert (again.added, again.verified) == (0, 7)


def test_a_renamed_network_has_counts_under_its_new_name(tmp_path: Path) -> None:
    measure(own(4), Store(tmp_path), Outcome())
    measure(replace(own(4), name="mine:renamed"), Store(tmp_path), Outcome())
    found = rows(Store(tmp_path))
    assert Counter(row.record.subject for row in found) == {"mine:net": 8, "mine:renamed": 8}
    assert len({row.record.spec_digest for row in found}) == 1


@pytest.mark.parametrize(
    ("net", "shape", "expected"),
    [
        (nn.TransformerEncoderLayer(64, 4, 128, batch_first=True), (1, 192, 64), {"linear1": (128, [192])}),
        (nn.Linear(6, 5), (6,), {"": (5, [])}),
        (nn.Linear(6, 5), (2, 6), {"": (5, [])}),
        (Layers(torch.mv), ((4, 6), (6,)), {"": (4, [])}),
        (Layers(torch.dot), ((6,), (6,)), {"": (1, [])}),
        (Layers(torch.bmm), ((2, 4, 6), (2, 6, 5)), {"": (5, [4])}),
        (Layers(F.scaled_dot_product_attention), ((1, 8, 192, 16),) * 3, {"": (16, [8, 192])}),
        (nn.Conv2d(3, 8, 1), (1, 3, 4, 5), {"": (8, [4, 5])}),
        (nn.ConvTranspose2d(3, 8, 1), (1, 3, 4, 5), {"": (8, [4, 5])}),
        (nn.Conv1d(3, 8, 1), (3, 5), {"": (8, [5])}),
    ],
)
def test_channels_and_positions_of_what_an_operator_returns(
    net: nn.Module, shape: tuple[Any, ...], expected: dict[str, tuple[int, list[int]]]
) -> None:
    columns = layer_columns(count(net, *(shape if isinstance(shape[0], tuple) else (shape,))))
    found = zip(columns["module"], columns["out_channels"], columns["output_hw"], strict=True)
    outputs = {module: (channels, positions) for module, channels, positions in found}
    assert {module: outputs[module] for module in expected} == expected


def _of_some_depth() -> nn.Module:
    """Its constructor reads values, as one with stochastic depth does."""
    rates = [rate.item() for rate in torch.linspace(0, 0.1, 3)]
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.Dropout(rates[1]))


def _choosing() -> nn.Module:
    """Its forward pass reads a value, and what it does depends on its weights and its input."""
    return Layers(lambda one, two, x: two(y) if float((y := one(x)).mean()) > 0 else y, *(nn.Conv2d(3, 3, 1),) * 2)


def _jitted() -> nn.Module:
    """It has weights, which no function can take in their place."""
    with torch.device("cpu"):
        return torch.jit.trace(nn.Conv2d(3, 4, 1), torch.zeros(1, 3, 8, 8))


@pytest.mark.filterwarnings(r"ignore:.*torch\.jit:DeprecationWarning")
@pytest.mark.parametrize(
    ("factory", "macs", "device"),
    [(_of_some_depth, {768}, "meta"), (_choosing, {576, 1152}, "cpu"), (_jitted, {768}, "cpu")],
)
def test_a_network_that_needs_values_is_measured_with_some(
    factory: Callable[[], nn.Module], macs: set[int], device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """And twice the same, whatever the state of torch's random numbers."""
    asked: list[str] = []
    monkeypatch.setattr("bench.recording.counting.second_opinions", lambda *_, device: asked.append(device) or ())
    subject, outcome, again = Subject("mine:net", (8, 8), factory), Outcome(), Outcome()
    measure(subject, Store(tmp_path), outcome)
    assert (outcome.added, asked) == (8, [device])
    assert ("mine:net does not run without data" in capsys.readouterr().err) == (device == "cpu")
    before = torch.random.get_rng_state()
    for seed in range(3):
        torch.manual_seed(seed)
        measure(subject, Store(tmp_path), again)
    torch.random.set_rng_state(before)
    assert (again.added, again.verified, again.differing) == (0, 21, [])
    assert {record.value for record in Store(tmp_path).records if record.metric == "macs"} <= macs


def test_verify_writes_nothing(tmp_path: Path) -> None:
    outcome = Outcome()
    measure(SUBJECT, Store(tmp_path), outcome, write=False)
    assert outcome.added == 7
    assert list(tmp_path.rglob("*.jsonl")) == []


def test_opinions_are_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measure(SUBJECT, Store(tmp_path), Outcome())
    monkeypatch.setattr("bench.recording.counting.second_opinions", lambda *_: pytest.fail("asked again"))
    measure(SUBJECT, Store(tmp_path), Outcome())
    (record,) = (record for record in Store(tmp_path).records if record.metric == "second_opinions")
    assert record.value == 4


def test_free_operators_are_told_but_not_compared(tmp_path: Path) -> None:
    """Another version of torch makes the same network of other free operators."""
    store = Store(tmp_path)
    (right,) = (record for record in count_records(SUBJECT, *count_subject(SUBJECT)) if record.metric == "macs")
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
