"""What records of several metrics have in common: numbers, columns, processes, settings. Imports no torch."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Whole = Annotated[int, Field(ge=0, lt=2**63)]
"""What is counted; other programs, pandas among them, keep whole numbers in 64 bits."""

Positive = Annotated[int, Field(gt=0, lt=2**63)]
More = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Pair = Annotated[list[float], Field(min_length=2, max_length=2)]
Size = Annotated[list[Positive], Field(min_length=2, max_length=2)]
Word = Annotated[str, Field(pattern=r"^\S")]


class Part(BaseModel):
    """A part of a record: a number is a finite number and a string a string, and further entries are let be."""

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False, defer_build=True)


class Fields(Part):
    """What the records of a metric hold: these three and, of a metric that needs them, more of the record's fields."""

    value: float
    protocol: Any
    detail: Any


class Process(Part):
    """A fresh process: the round in which it was measured, where that was noted."""

    round: str = ""


class AnyDetail(Part):
    """Entries that mean the same for every metric that has them."""

    interval: Pair | None = None
    confidence: Share = 0.95  # of bench.statistics, which imports more than reading a record needs
    processes: list[Process] = []


class Image(Part):
    """The protocol of a count."""

    input_hw: Size
    batch: Positive


class Counted(Fields):
    """A count."""

    value: Whole
    protocol: Image
    detail: AnyDetail


class Columns(Part):
    """Columns of equal length, those that nobody names included."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, list[Any]]

    @model_validator(mode="after")
    def _equal(self) -> Self:
        lengths = {len(column) for _, column in self}
        if len(lengths) > 1:
            raise ValueError(f"columns of different lengths: {sorted(lengths)}")
        return self


class Setting(Image):
    """The protocol of a cell."""

    device: Word
    backend: Word
    precision: Word
    threads: Positive
