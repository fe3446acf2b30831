"""What records of trained weights' accuracy must hold. Imports no torch."""

from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from bench.records.fields.parts import AnyDetail, Fields, Pair, Part, Share, Size, Whole


class Curve(Part):
    """The score of a training by step."""

    score: list[Pair] = Field(default=[])


class Examples(Part):
    """What a network saw in a few people: x, y and score of each joint."""

    data: str
    split: str
    input_hw: Size
    keypoints: list[list[Annotated[list[float], Field(min_length=3, max_length=3)]]]


class Scores(Part):
    """Every score; the mean similarity is one of COCO's."""

    mean_oks: float | None = None


class AccuracyDetail(AnyDetail):
    """Every score, and what there is to show of a training or of an evaluation."""

    scores: Scores
    curve: Curve = Curve()
    examples: Examples | None = None
    people: Whole | None = None


class AccuracyProtocol(Part):
    """Of which weights on which data: those of a training, by recipe and seed, or those of a file."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["budget", "recipe", "seed"]}, {"required": ["weights"]}]}
    )

    input_hw: Size
    data: str
    data_digest: str
    people: Whole
    protocol: str
    codec: str
    budget: str | None = None
    recipe: str | None = None
    seed: Whole | None = None
    weights: str | None = None

    @model_validator(mode="after")
    def _of_something(self) -> Self:
        if self.weights is None and None in (self.budget, self.recipe, self.seed):
            raise ValueError("names neither budget, recipe and seed of a training nor weights")
        return self


class Accuracy(Fields):
    """AP or PCKh of trained weights."""

    value: Share
    protocol: AccuracyProtocol
    detail: AccuracyDetail

    @model_validator(mode="after")
    def _on_people(self) -> Self:
        if self.protocol.weights is not None and self.detail.people is None:
            raise ValueError("detail.people: an evaluation of weights says of how many people")
        return self
