"""What the value, protocol and detail of each metric's records must hold, so that whoever reads one may rely on it.

One model for each metric; entries that a model does not name may be there as well. Imports no torch.
"""

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator

from bench.conventions import AT_OUTPUT, KINDS

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
    """What every metric's records hold: these three; the metrics below say more of them."""

    value: float
    protocol: Any
    detail: Any


class Process(Part):
    """A fresh process: the round in which it was measured, where that was noted."""

    round: str = ""


class AnyDetail(Part):
    """Entries that mean the same for every metric that has them."""

    interval: Pair | None = None
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
    """How a network's convolutions lie, and which reads which."""

    columns: FieldColumns
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


class Setting(Image):
    """The protocol of a cell."""

    device: Word
    backend: Word
    precision: Word
    threads: Positive


class OfProcess(Process):
    """A process whose steady samples are in the record, and how many."""

    samples: Positive


class Roofline(Part):
    """The nearer ceiling, and the share of it that was reached."""

    share: float
    bound: str
    floor_s: float
    arithmetic_ceiling: float
    copy_ceiling: float


class TimedDetail(Part):
    """Which samples are of which process, and the interval of the value."""

    interval: Pair
    confidence: Share
    processes: Annotated[list[OfProcess], Field(min_length=1)]
    roofline: Roofline | None = None


class Timed(Fields):
    """A time, or a rate."""

    value: More
    protocol: Setting
    detail: TimedDetail


class BytesDetail(AnyDetail):
    """Memory by what holds it, where that is known."""

    weights_bytes: float | None = None
    tensor_peak_bytes: float | None = None


class OfSetting(Fields):
    """Something else that a cell has: memory, energy."""

    protocol: Setting
    detail: BytesDetail


class Fought(Part):
    """The samples of both sides in one round."""

    a: Annotated[list[More], Field(min_length=1)]
    b: Annotated[list[More], Field(min_length=1)]


class TrialSetting(Setting):
    """The protocol of a trial."""

    true_ratio: More
    trial: Whole


class TrialDetail(AnyDetail):
    """The rounds of a trial, and the effect that it was fought for."""

    effect: More
    rounds: Annotated[list[Fought], Field(min_length=1)]


class Trial(Fields):
    """A comparison whose true answer is known."""

    protocol: TrialSetting
    detail: TrialDetail


class RefusalSetting(Setting):
    """The protocol of what could not be measured: `of` is the metric."""

    of: Word


class RefusalDetail(AnyDetail):
    """Why not."""

    reason: str


class Refusal(Fields):
    """A cell that cannot be measured."""

    protocol: RefusalSetting
    detail: RefusalDetail


class Machine(Part):
    """The protocol of a machine's ceiling."""

    device: Word
    threads: Positive


class Candidate(Part):
    """What one kind of call reached."""

    rate: float


class CeilingDetail(AnyDetail):
    """What each candidate reached, and which was the fastest."""

    winner: Annotated[str, Field(pattern=r"^(\S|$)")]
    candidates: dict[Word, Candidate]


class Ceiling(Fields):
    """A machine's ceiling."""

    protocol: Machine
    detail: CeilingDetail


class Curve(Part):
    """The score of a training by step."""

    score: list[Pair] = []


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


OF: dict[str, type[Fields]] = {
    "macs": Macs,
    **dict.fromkeys(("params", "live_macs", "activations", "weight_bytes", "activation_bytes"), Counted),
    "layers": Layers,
    "receptive_field": ReceptiveField,
    "second_opinions": Opinions,
    **dict.fromkeys(("latency", "throughput"), Timed),
    **dict.fromkeys(("memory", "energy"), OfSetting),
    **dict.fromkeys(("ap", "pckh"), Accuracy),
    "effective_field": Effective,
    "neighbour_cosine": Cosines,
    **dict.fromkeys(("arithmetic_ceiling", "copy_ceiling"), Ceiling),
    "trial": Trial,
    "refusal": Refusal,
}
"""The model of each metric in `bench.record.METRICS`."""
