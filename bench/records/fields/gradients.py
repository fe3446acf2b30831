"""What records of gradients must hold: effective fields, cosines of neighbours. Imports no torch."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from bench.records.fields.parts import AnyDetail, Fields, Pair, Part, Positive, Size


class Weights(Part):
    """The protocol of what is measured of weights on images."""

    input_hw: Size
    of: str
    weights: str
    source: str
    images: Positive


class Scalar(Part):
    """A number with its interval, either of which may be unknown."""

    value: float | None
    interval: Pair | None


class Scalars(Part):
    """Scalars of an effective field; the one that stands for all must be there."""

    area_50: Scalar


class EffectiveDetail(AnyDetail):
    """The field as a map (H, W) of shares."""

    map: Annotated[list[Annotated[list[float], Field(min_length=1)]], Field(min_length=1)]
    scalars: Scalars

    @model_validator(mode="after")
    def _rectangular(self) -> Self:
        if len({len(row) for row in self.map}) > 1:
            raise ValueError("map has rows of different lengths")
        return self


class Effective(Fields):
    """An effective receptive field."""

    protocol: Weights
    detail: EffectiveDetail


class Cosine(Part):
    """A cosine with its interval."""

    value: float
    interval: Pair


class CosinesDetail(AnyDetail):
    """The cosine on each map, and which of them a module reads."""

    interval: Pair
    entering: list[str]
    networks: Positive
    maps: dict[str, Cosine]

    @model_validator(mode="after")
    def _has_entering(self) -> Self:
        if absent := [name for name in self.entering if name not in self.maps]:
            raise ValueError(f"maps lacks {', '.join(absent)}, which entering names")
        return self


class Cosines(Fields):
    """What neighbouring outputs share."""

    protocol: Weights
    detail: CosinesDetail
