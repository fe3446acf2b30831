"""What records of what a machine did must hold: times, memory, ceilings, trials, refusals. Imports no torch."""

import math
from collections.abc import Sequence
from itertools import islice
from statistics import median
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from bench.records.fields.parts import (
    AnyDetail,
    Fields,
    More,
    Pair,
    Part,
    Positive,
    Process,
    Setting,
    Share,
    Whole,
    Word,
)

CLOSE = 1e-9
"""How near, relatively, a value is to the median that it is: other programs round the last digits otherwise."""


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
    """A time or rate: the median of the processes' medians, in version 1 of latency and throughput of all samples."""

    POOLED: ClassVar[int] = 1
    """The last version whose value is the median of all samples."""

    metric_version: Positive
    value: More
    samples: tuple[More, ...]
    protocol: Setting
    detail: TimedDetail

    @model_validator(mode="after")
    def _agree(self) -> Self:
        low, high = self.detail.interval
        if not 0 < low <= self.value <= high:
            raise ValueError(f"detail.interval: {low} to {high} is not positive and around the value {self.value}")
        sizes = sum(process.samples for process in self.detail.processes)
        if sizes != len(self.samples):
            raise ValueError(f"detail.processes: their samples add up to {sizes}, not {len(self.samples)}")
        rest = iter(self.samples)
        each = [median(islice(rest, process.samples)) for process in self.detail.processes]
        _check_median(self.value, self.samples if self.metric_version <= self.POOLED else each)
        return self


def _check_median(value: float, of: Sequence[float]) -> None:
    if not math.isclose(value, median(of), rel_tol=CLOSE):
        raise ValueError(f"value: {value} is not the median of its samples, {median(of)}")


class BytesDetail(AnyDetail):
    """Memory by what holds it, where that is known."""

    weights_bytes: float | None = None
    tensor_peak_bytes: float | None = None


class OfSetting(Fields):
    """Something else that a cell has, one sample for each process: memory, energy."""

    value: More
    samples: Annotated[tuple[More, ...], Field(min_length=1)]
    protocol: Setting
    detail: BytesDetail

    @model_validator(mode="after")
    def _agree(self) -> Self:
        _check_median(self.value, self.samples)
        return self


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


class CopySetting(Setting):
    """The protocol of a copy: which of how many."""

    copy_number: Whole
    copies: Positive


class Copy(Timed):
    """A latency of one of several copies of a network."""

    POOLED: ClassVar[int] = 0

    protocol: CopySetting


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
