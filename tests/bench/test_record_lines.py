"""A line is a record only with all that readers of its metric rely on; what is wrong is said once for many lines."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from analysis.evidence import Evidence
from bench.records.fields.metrics import OF
from bench.records.fields.parts import AnyDetail
from bench.records.lines import Fault, read_line
from bench.records.record import METRICS, SCHEMA_VERSION, Record
from bench.records.schemas import schemas
from bench.records.store import RECORDS, Store
from bench.statistics import CONFIDENCE

LINES = {path.stem: path.read_text().splitlines()[0] for path in sorted(RECORDS.glob("*/*.jsonl"))}
"""A committed record of each metric that has any."""


def changed(metric: str, place: str, value: Any) -> str:
    """A committed line with another value at a place such as "detail.by_kind"; without it, where that is None."""
    line = json.loads(LINES[metric])
    *parents, last = place.split(".")
    holder = line
    for name in parents:
        holder = holder[int(name) if isinstance(holder, list) else name]
    if value is None:
        del holder[last]
    else:
        holder[last] = value
    return json.dumps(line)


@cache
def schema() -> Any:
    """The published one; a test that asks it ends here where nothing can, and has looked at reading before."""
    jsonschema = pytest.importorskip("jsonschema")
    return jsonschema.Draft202012Validator(schemas()["records/record.schema.json"])


def fault_of(line: str) -> Fault:
    found = read_line(line.encode())
    assert isinstance(found, Fault), line[:200]
    return found


def test_every_metric_says_what_its_records_hold() -> None:
    assert OF.keys() == METRICS.keys()


def test_every_committed_record_holds_it(committed: Evidence) -> None:
    store, files = committed.store, committed.records_root.glob("*/*.jsonl")
    assert store.problems == []
    assert len(store.records) == sum(path.read_bytes().count(b"\n") for path in files)


def needed(metric: str) -> Iterator[str]:
    for part in ("protocol", "detail"):
        model = OF[metric].model_fields[part].annotation
        assert model is not None
        yield from (f"{part}.{name}" for name, field in model.model_fields.items() if field.is_required())


@pytest.mark.parametrize("metric", LINES)
def test_a_record_that_lacks_an_entry_is_none_and_the_schema_agrees(metric: str) -> None:
    places = list(needed(metric))
    assert "protocol.input_hw" in places or "ceiling" in metric
    for place in places:
        line = changed(metric, place, None)
        assert fault_of(line) == Fault(f"not a record of {metric}: {place}: Field required")
        assert not schema().is_valid(json.loads(line)), place


@pytest.mark.parametrize(
    ("metric", "place", "value"),
    [
        ("macs", "value", 3.5),
        ("macs", "value", -1),
        ("macs", "value", 2**63),
        ("macs", "value", 10**400),
        ("macs", "unit", "banana"),
        ("macs", "detail.by_kind", 5),
        ("macs", "detail.by_kind.linear", None),
        ("macs", "detail.by_kind.linear", -1),
        ("macs", "detail.by_kind.linear", 1),
        ("macs", "value", 0),
        ("macs", "protocol.input_hw", [256]),
        ("macs", "protocol.input_hw", [0, 192]),
        ("macs", "protocol.input_hw", "256x192"),
        ("macs", "protocol.batch", True),
        ("macs", "machine", "../elsewhere"),
        ("params", "detail.interval", "x"),
        ("params", "detail.processes", "x"),
        ("layers", "detail.columns", 3),
        ("layers", "detail.columns.module", "x"),
        ("layers", "detail.maps", "x"),
        ("receptive_field", "detail.links", [[1, 2, 3]]),
        ("second_opinions", "detail.opinions", ["x"]),
        ("latency", "value", 0.0),
        ("latency", "detail.interval", [1.0]),
        ("latency", "detail.processes", [{}]),
        ("latency", "detail.processes.0.round", 3),
        ("latency", "detail.roofline", "x"),
        ("latency", "protocol.threads", "all"),
        ("latency", "samples", ["x"]),
        ("memory", "detail.weights_bytes", "x"),
        ("trial", "protocol.true_ratio", "x"),
        ("trial", "detail.rounds", []),
        ("trial", "detail.rounds.0.a", [0.0]),
        ("refusal", "detail.reason", 5),
        ("arithmetic_ceiling", "detail.candidates", {"torch": 3.0}),
        ("arithmetic_ceiling", "detail.winner", " "),
        ("ap", "value", 1.5),
        ("ap", "detail.scores", "x"),
        ("ap", "detail.scores.mean_oks", "x"),
        ("ap", "detail.curve", "x"),
        ("ap", "protocol.seed", "x"),
        ("ap", "protocol.seed", None),
        ("effective_field", "detail.map", []),
        ("effective_field", "detail.scalars.area_50", None),
        ("effective_field", "protocol.weights", 3),
    ],
)
def test_a_wrong_entry_is_named_and_the_schema_agrees(metric: str, place: str, value: Any) -> None:
    line = changed(metric, place, value)
    fault = fault_of(line)
    named = "protocol" if place == "protocol.seed" and value is None else place.removesuffix(".0")
    named = named.removesuffix(".linear") if "add up" in fault.message else named
    assert named in fault.message
    assert not fault.newer
    if "add up" not in fault.message and value != 10**400:  # a schema knows neither sums nor the size of a float
        assert not schema().is_valid(json.loads(line))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize(
    ("metric", "place"),
    [("macs", "value"), ("latency", "samples.0"), ("latency", "detail.interval.0"), ("ap", "detail.scores.mean_oks")],
)
def test_what_json_has_no_word_for_is_no_number(metric: str, place: str, number: str) -> None:
    line = json.loads(LINES[metric])
    *parents, last = place.split(".")
    holder = line
    for name in parents:
        holder = holder[name]
    holder[int(last) if isinstance(holder, list) else last] = float(number)
    assert place.removesuffix(".0") in fault_of(json.dumps(line)).message


def test_maps_and_columns_are_rectangular() -> None:
    columns = json.loads(LINES["layers"])["detail"]["columns"]
    for name in ("macs", "groups"):  # one that is asked for, and one that is not
        line = changed("layers", f"detail.columns.{name}", columns[name][1:])
        assert "detail.columns: columns of different lengths" in fault_of(line).message
    torn = changed("effective_field", "detail.map", [[1.0], [0.5, 0.5]])
    assert "map has rows of different lengths" in fault_of(torn).message


def test_an_editors_mark_of_its_encoding_hides_no_record() -> None:
    assert isinstance(read_line(b"\xef\xbb\xbf" + LINES["macs"].encode()), Record)


def test_entries_that_nobody_knows_are_let_be() -> None:
    for metric in LINES:
        line = changed(metric, "detail.invented", {"anything": [None]})
        assert isinstance(read_line(line.encode()), Record)
        assert schema().is_valid(json.loads(line))


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        ("schema_version", SCHEMA_VERSION + 1, f"of schema {SCHEMA_VERSION + 1}, which is newer"),
        ("metric_version", 99, "macs of version 99, which is newer"),
        ("metric", "beauty", "of the metric 'beauty', which is newer"),
    ],
)
def test_what_is_merely_newer_is_never_to_be_removed(place: str, value: Any, told: str, tmp_path: Path) -> None:
    line = json.loads(changed("macs", place, value)) | ({"of_tomorrow": 1} if place == "schema_version" else {})
    path = tmp_path / "exact" / "macs.jsonl"
    path.parent.mkdir()
    path.write_text("\n".join([LINES["macs"], *[json.dumps(line)] * 219]))
    store = Store(tmp_path)
    assert len(store.records) == 1
    assert len(store.problems) == 219
    (warning,) = store.warnings()
    assert f"{path}, lines 2, 3, 4 and 216 more: {told}" in warning
    assert "update the checkout" in warning
    assert "remove" not in warning


def test_one_sentence_for_each_file_and_cause(tmp_path: Path) -> None:
    whole = LINES["macs"]
    lines = {
        "macs": [whole[:100], whole, whole[:50], "null", changed("macs", "detail.by_kind", None), whole[:-1], "null"],
        "params": ["null"],
    }
    (tmp_path / "exact").mkdir()
    for name, content in lines.items():
        (tmp_path / "exact" / f"{name}.jsonl").write_text("\n".join(content))
    warnings = Store(tmp_path).warnings()
    heads = [warning.partition(": ")[0].rpartition("/")[2] for warning in warnings]
    assert heads == [
        "macs.jsonl, lines 1, 3, 6",
        "macs.jsonl, lines 4, 7",
        "macs.jsonl, line 5",
        "params.jsonl, line 1",
    ]
    assert all("restore" in warning and "\n" not in warning for warning in warnings)


def test_a_store_without_a_record_says_why(tmp_path: Path) -> None:
    assert "no records below" in Store(tmp_path).why_empty()
    (tmp_path / "exact").mkdir()
    (tmp_path / "exact" / "macs.jsonl").write_text("null\nnull\n")
    assert "none of the 2 lines below" in Store(tmp_path).why_empty()
    (tmp_path / "exact" / "macs.jsonl").write_text(LINES["macs"])
    assert Store(tmp_path).why_empty() == ""


@pytest.mark.parametrize("confidence", ["95 %", 2, "null"])
@pytest.mark.parametrize("metric", ["memory", "macs", "latency"])
def test_the_confidence_of_an_interval_is_a_share_for_every_metric(metric: str, confidence: Any) -> None:
    said = None if confidence == "null" else confidence
    line = json.loads(LINES[metric])
    line["detail"] |= {"interval": [1, 2], "confidence": said}
    assert fault_of(json.dumps(line)).message.startswith(f"not a record of {metric}: detail.confidence: ")
    assert not schema().is_valid(line)


def test_the_usual_confidence_is_the_one_that_intervals_have() -> None:
    assert AnyDetail().confidence == CONFIDENCE


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan")])
@pytest.mark.parametrize("place", ["protocol.scale", "environment.load"])
def test_a_number_that_is_not_finite_is_refused_with_its_line(place: str, number: float) -> None:
    message = f"not a record: {place}: Input should be a finite number"
    assert fault_of(changed("memory", place, number)).message == message
