"""What the data of the figures have in common: pandas frames with one row per mark, written as csv beside the picture.

Networks come from the zoo and the paper's tables, never from a list here. What has no record has no number.
"""

from typing import Any

import pandas as pd

from bench.records.record import Record

GIGA = 10**9


def value_of(record: Record | None) -> int | float | None:
    """What was measured; None without a record."""
    return None if record is None else record.value


def source_of(record: Record | None) -> str:
    """Where that comes from; empty without a record."""
    return "" if record is None else record.provenance()


def frame(rows: Any, integers: tuple[str, ...]) -> pd.DataFrame:
    """A frame whose counts stay exact integers beside missing ones."""
    return pd.DataFrame(rows).astype(dict.fromkeys(integers, "Int64"))


def rows_of(data: pd.DataFrame) -> list[Any]:
    """The rows as named tuples; what a column holds, its data function says and no annotation can."""
    return list(data.itertuples())
