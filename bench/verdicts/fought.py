"""Duels that were fought live, as `python -m bench duel --json` printed them, read back for a report. No torch."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from bench.statistics import Verdict


class Fought(BaseModel):
    """The outcome of one duel.

    Attributes:
        name: what was timed, and which two revisions or networks.
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
    ratio: float
    interval: tuple[float, float]
    effect: float
    rounds: int
    reason: str
    machine: str


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
