"""What records of counts must hold: multiply-adds, layers, receptive fields, opinions. Imports no torch."""

from typing import Annotated, Any, Self

from pydantic import Field, create_model, model_validator

from bench.counts.conventions import AT_OUTPUT, KINDS
from bench.records.fields.parts import AnyDetail, Columns, Counted, Part, Whole

ByKind: Any = create_model("ByKind", __base__=Part, **dict.fromkeys((*KINDS, AT_OUTPUT), (Whole, ...)))  # type: ignore[call-overload]


class MacsDetail(AnyDetail):
    """Multiply-adds by kind of operator."""

    by_kind: ByKind


class Macs(Counted):
    """Multiply-adds, which are the sum over their kinds."""

    detail: MacsDetail

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        of_kinds = sum(getattr(self.detail.by_kind, kind) for kind in KINDS)
        if of_kinds != self.value:
            raise ValueError(f"value: it is {self.value}, and the kinds in detail.by_kind add up to {of_kinds}")
        return self


class LayerColumns(Columns):
    """A row for each counted operator."""

    module: list[str]
    kernel: list[list[int]]
    dilation: list[list[int]]
    out_channels: list[int]
    macs: list[Whole]
    live_macs: list[Whole]
    params: list[Whole]
    activations: list[Whole]
    weight_bytes: list[Whole]
    activation_bytes: list[Whole]


class LayersDetail(AnyDetail):
    """The operators, and the maps of a network's parts, (C, H, W)."""

    columns: LayerColumns
    maps: dict[str, list[int]]


class Layers(Counted):
    """The counted operators of a network."""

    detail: LayersDetail


class FieldColumns(Columns):
    """A row for each group of equal convolutions."""

    module: list[str]
    depth: Annotated[list[int], Field(min_length=1)]
    height: list[int]
    rows_read: list[int | None]
    kernel: list[int]
    dilation: list[int]
    convolutions: list[int]


class FieldDetail(AnyDetail):
    """How a network's convolutions lie, which reads which, and how deep its output lies (not told by version 1)."""

    columns: FieldColumns
    depth: Annotated[int, Field(ge=0)] | None = None
    links: list[Annotated[list[int], Field(min_length=2, max_length=2)]]
    reason: str = ""


class ReceptiveField(Counted):
    """A receptive field."""

    detail: FieldDetail


class Opinion(Part):
    """What another tool counts, or why it does not."""

    counter: str
    version: str
    total: int | None
    unexplained: int | None
    extras: dict[str, int]
    failure: str

    @model_validator(mode="after")
    def _told(self) -> Self:
        if not self.failure and (self.total is None or self.unexplained is None):
            raise ValueError("a counter that did not fail must have a total and say what is unexplained")
        return self


class OpinionsDetail(AnyDetail):
    """One opinion for each tool."""

    opinions: list[Opinion]


class Opinions(Counted):
    """Counts by other tools."""

    detail: OpinionsDetail
