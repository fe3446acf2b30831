"""Records that one sweep measured in turns are compared as they are; others with room for what an hour can do."""

import pytest

from bench.records.record import Record
from bench.records.rows import Row
from bench.verdicts.turns import APART, compare_times, in_turns
from tests.bench.timing_records import a_process, timing_record

FIVE = [[1.00, 1.01], [1.01, 1.02], [0.99, 1.00], [1.02, 1.00], [1.00, 1.00]]


def times(factor: float) -> list[list[float]]:
    return [[factor * sample for sample in process] for process in FIVE]


def row(record: Record) -> Row:
    return Row(record=record, file="any")


@pytest.mark.parametrize(
    ("factor", "together", "apart"),
    [
        (1.0, "same", "ambiguous"),  # they may lie as far apart all the same
        (1.15, "slower", "ambiguous"),  # less than an hour can make
        (1 / 1.15, "faster", "ambiguous"),
        (1 + APART, "slower", "ambiguous"),
        (1.5, "slower", "slower"),
        (1 / 1.5, "faster", "faster"),
    ],
)
def test_a_difference_that_the_hour_can_make_is_one_of_the_networks_in_turns_alone(
    factor: float, together: str, apart: str
) -> None:
    base = row(timing_record("a", FIVE))
    verdicts = {}
    for sweep in ("sweep", "another sweep", ""):
        found = compare_times(base, row(timing_record("b", times(factor), sweep=sweep)))
        verdicts[sweep] = found.verdict
        assert found.ratio == pytest.approx(factor, rel=0.02)
        assert ("not measured in turns" in found.reason) is (sweep != "sweep")
    assert verdicts == {"sweep": together, "another sweep": apart, "": apart}


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "same"), (1.2, "ambiguous"), (1.6, "slower")])
def test_apart_the_same_is_what_lies_within_the_effect_with_its_room_for_the_hour(factor: float, verdict: str) -> None:
    found = compare_times(row(timing_record("a", FIVE)), row(timing_record("b", times(factor), sweep="")), effect=0.35)
    assert found.verdict == verdict
    assert found.effect == 0.35


def test_apart_the_interval_is_wider_by_what_the_hour_can_make() -> None:
    base, other = row(timing_record("a", FIVE)), timing_record("b", times(2.0))
    inner = compare_times(base, row(other)).interval
    outer = compare_times(base, row(timing_record("b", times(2.0), sweep=""))).interval
    assert outer.low == pytest.approx(inner.low / (1 + APART))
    assert outer.high == pytest.approx(inner.high * (1 + APART))


@pytest.mark.parametrize(
    ("ours", "others", "turns"),
    [
        (range(5), range(5), True),
        (range(5), range(8), True),  # one wanted more processes
        (range(4), range(8), False),
        (range(5), range(3, 8), False),  # the others were measured later
        ((), (), False),
    ],
)
def test_most_rounds_must_be_shared(ours: range, others: range, turns: bool) -> None:
    rows = [
        row(timing_record("a", FIVE, detail={"processes": [a_process([1.0]) | {"round": str(n)} for n in numbers]}))
        for numbers in (ours, others)
    ]
    assert in_turns(*rows) is in_turns(*reversed(rows)) is turns
