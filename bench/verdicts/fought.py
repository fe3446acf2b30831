"""Duels that were fought live, as `python -m bench duel --json` printed them, read back for a report. No torch."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt, ValidationError, field_validator

from bench.statistics import Verdict


class Fought(BaseModel):
    """The outcome of one duel.

    Attributes:
        name: what was timed, which two revisions or networks, and how they were run.
        verdict: of the second against the first.
        ratio: of their times, above 1 when the second is slower.
        interval: of the ratio.
        effect: the smallest difference that mattered.
        rounds: pairs of fresh processes.
        reason: why this verdict.
        machine: the machine's key.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    name: str
    verdict: Verdict
    ratio: PositiveFloat
    interval: tuple[PositiveFloat, PositiveFloat]
    effect: PositiveFloat
    rounds: PositiveInt
    reason: str
    machine: str

    @field_validator("interval")
    @classmethod
    def _in_order(cls, ends: tuple[float, float]) -> tuple[float, float]:
        if ends[0] > ends[1]:
            raise ValueError("its lower end comes first")
        return ends


def read(path: Path) -> tuple[Fought, ...]:
    """The duels of a file, one JSON object a line.

    Raises:
        ValueError: a line is no duel.
    """
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            found.append(Fought.model_validate_json(line))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = ".".join(map(str, first["loc"]))
            where = f"{field}: " if field else ""
            raise ValueError(
                f"{path}, line {number}: not a duel: {where}{first['msg']}; write it with python -m bench duel --json"
            ) from None
    return tuple(found)
