"""Every printed cost has a convention, and the conversion with it is the convention's own inverse."""

from fractions import Fraction

import pytest

from analysis.evidence import Evidence
from analysis.tabular.printed_costs import PUBLISHED_AS, macs_as_printed
from bench.counts.conventions import AT_OUTPUT, KINDS, round_printed

EVIDENCE = Evidence(zoo={})


def costs() -> list[tuple[str, str, str]]:
    """Table, row and column of every printed cost."""
    return [
        (table.name, cell.row, cell.column)
        for table in EVIDENCE.reported.values()
        for cell in table.cells.values()
        if cell.metric == "gflops" and cell.number is not None
    ]


def test_every_printed_cost_has_a_convention_and_nothing_else_has() -> None:
    assert {(table, row) for table, row, _ in costs()} == set(PUBLISHED_AS)


@pytest.mark.parametrize("key", PUBLISHED_AS)
def test_conventions_exist_and_are_argued_in_one_sentence(key: tuple[str, str]) -> None:
    published = PUBLISHED_AS[key]
    assert published.resolve().name == published.convention
    assert published.evidence.endswith(".")
    assert ". " not in published.evidence


@pytest.mark.parametrize(("table", "row", "column"), costs())
def test_the_multiply_adds_print_the_cost_that_they_come_from(table: str, row: str, column: str) -> None:
    macs = macs_as_printed(EVIDENCE, table, row, column)
    number = EVIDENCE.printed(table, row, column).number
    assert macs is not None
    assert number is not None
    whole = -(-macs.numerator // macs.denominator)  # upwards, or a convention that cuts digits off would lose one
    convention = PUBLISHED_AS[table, row].resolve()
    decimals = len(str(number).partition(".")[2])
    by_kind = dict.fromkeys((*KINDS, AT_OUTPUT), 0) | {"convolution": whole}
    assert convention.printed(by_kind, decimals) == str(number)


def test_a_print_belongs_to_the_network_that_is_built_or_to_the_one_it_names(committed: Evidence) -> None:
    """Only hourglass8 is another network than its print's; everywhere else at most the last digit is off."""
    for (table, row), published in PUBLISHED_AS.items():
        if table == "table-4":  # no row of one network
            continue
        printed = committed.printed(table, row, "gflops")
        assert printed.number is not None
        off = {}
        for name in filter(None, (printed.subject, published.belongs_to)):
            by_kind = committed.macs_by_kind(name)
            assert by_kind is not None
            decimals = 0 if published.resolve().whole else 1
            off[name] = abs(Fraction(published.resolve().printed(by_kind, decimals)) - Fraction(printed.number))
        if published.belongs_to:
            assert off[published.belongs_to] == 0
            assert off[printed.subject] > 1
        else:
            assert off[printed.subject] <= Fraction(1, 10)
    assert [row for (_, row), published in PUBLISHED_AS.items() if published.belongs_to] == ["hourglass8"]


def test_in_one_unit_pil_costs_29_and_not_63() -> None:
    macs = macs_as_printed(EVIDENCE, "table-7", "pil")
    assert macs == Fraction(63 * 10**9, 2)
    assert round_printed(macs / 2**30, 0) == "29"


def test_one_unit_reverses_a_ranking_of_table_7() -> None:
    printed = [EVIDENCE.printed("table-7", row, "gflops").number for row in ("pyranet", "deepercut_r101")]
    macs = [macs_as_printed(EVIDENCE, "table-7", row) for row in ("pyranet", "deepercut_r101")]
    assert printed[0] is not None
    assert printed[1] is not None
    assert macs[0] is not None
    assert macs[1] is not None
    assert printed[0] > printed[1]
    assert macs[0] < macs[1]


def test_a_dash_stands_for_no_multiply_adds() -> None:
    assert macs_as_printed(EVIDENCE, "table-6", "openpose") is None
