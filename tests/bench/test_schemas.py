"""The published schema of records holds them to what reading does, and says what each metric means."""

import json

import pytest

from bench.records.lines import Fault, read_line
from bench.records.record import METRICS
from bench.records.schemas import schemas
from tests.bench.timing_records import timing_record

SCHEMA = schemas()["records/record.schema.json"]


@pytest.mark.parametrize(("step", "newer"), [(-1, False), (0, False), (1, True)])
def test_another_unit_is_for_versions_to_come(step: int, newer: bool) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    version = METRICS["latency"].version + step
    line = timing_record("a", [[0.1], [0.2]], unit="millisecond", metric_version=version).model_dump_json()
    found = read_line(line.encode())
    assert isinstance(found, Fault)
    assert found.newer is newer
    assert jsonschema.Draft202012Validator(SCHEMA).is_valid(json.loads(line)) is newer


def test_every_metric_has_its_meaning_beside_its_unit() -> None:
    said = [one["description"] for one in SCHEMA["allOf"] if "description" in one]
    assert said == [metric.meaning for metric in METRICS.values()]
