"""The JSON Schemas of what results/ holds, published there; `python -m bench.records.schemas` writes them. No torch."""

import json
from pathlib import Path
from typing import Any

from pydantic.json_schema import models_json_schema

from bench.records.fields.metrics import OF
from bench.records.record import METRICS, Record
from bench.records.reported import Reported
from bench.records.store import RESULTS

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schemas() -> dict[str, dict[str, Any]]:
    """The schemas by their path below results/.

    Example:
        >>> sorted(schemas())
        ['records/record.schema.json', 'reported/reported.schema.json']
    """
    return {
        "records/record.schema.json": {"$schema": DIALECT, **Record.model_json_schema(), **_by_metric()},
        "reported/reported.schema.json": {"$schema": DIALECT, **Reported.model_json_schema()},
    }


def _by_metric() -> dict[str, Any]:
    """What the records of each metric must hold beside what all records do; its unit, up to the version of now."""
    models = list(dict.fromkeys(OF.values()))
    references, definitions = models_json_schema([(model, "validation") for model in models])
    contents = [
        _if({"metric": {"enum": [name for name, its in OF.items() if its is model]}}, references[model, "validation"])
        for model in models
    ]
    units = [
        {"description": one.meaning}
        | _if({"metric": {"const": one.name}, "metric_version": {"maximum": one.version}},
              {"properties": {"unit": {"const": one.unit}}})
        for one in METRICS.values()
    ]  # fmt: skip
    return {"allOf": [*contents, *units], **_untitled(definitions)}


def _if(properties: dict[str, Any], then: dict[str, Any]) -> dict[str, Any]:
    return {"if": {"properties": properties}, "then": then}


def _untitled(schema: Any) -> Any:
    """Without the titles, which only say the fields' names again."""
    if isinstance(schema, list):
        return [_untitled(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {name: _untitled(one) for name, one in schema.items() if name != "title" or not isinstance(one, str)}


def write(results: Path = RESULTS) -> list[Path]:
    """Writes every schema below a folder and returns the files."""
    written = []
    for name, schema in schemas().items():
        path = results / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(schema, indent=2) + "\n", encoding="utf-8")
        written.append(path)
    return written


if __name__ == "__main__":
    for path in write():
        print(path)
