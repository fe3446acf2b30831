"""The JSON Schemas of what results/ holds, published beside it; `python -m bench.schemas` writes them. No torch."""

import json
from pathlib import Path
from typing import Any

from bench.record import Record
from bench.reported import Reported
from bench.store import RESULTS

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schemas() -> dict[str, dict[str, Any]]:
    """The schemas by their path below results/.

    Example:
        >>> sorted(schemas())
        ['records/record.schema.json', 'reported/reported.schema.json']
    """
    return {
        "records/record.schema.json": {"$schema": DIALECT, **Record.model_json_schema()},
        "reported/reported.schema.json": {"$schema": DIALECT, **Reported.model_json_schema()},
    }


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
