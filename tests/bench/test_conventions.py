"""Conventions against the values in print, and rounding as mathematics."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.counts.conventions import AT_OUTPUT, CONVENTIONS, KINDS, lookup, printing, round_printed

DECONVOLUTIONS = 1_409_286_144


def counted(**by_kind: int) -> dict[str, int]:
    """A count by kind, with 0 where nothing is said."""
    return dict.fromkeys((*KINDS, AT_OUTPUT), 0) | by_kind


SBL_50 = counted(
    convolution=5_426_380_800 - DECONVOLUTIONS,
    transposed_convolution=DECONVOLUTIONS,
    transposed_convolution_at_output=4 * DECONVOLUTIONS,
)
PUBLISHED = [
    ("SBL-50, digits cut off", SBL_50, "hrnet_summary_truncated", 1, "8.9"),
    ("SBL-50, rounded", SBL_50, "hrnet_summary", 1, "9.0"),
    ("SBL-50, true, in 2^30", SBL_50, "gimacs", 1, "5.1"),
    ("SBL-50, true, in 10^9", SBL_50, "gmacs", 2, "5.43"),
    ("HRNet-w32", counted(convolution=7_645_003_776), "gimacs", 1, "7.1"),
    ("HRNet-w32 in 10^9", counted(convolution=7_645_003_776), "gmacs", 1, "7.6"),
    ("HRNet-w48", counted(convolution=15_691_825_152), "gimacs", 1, "14.6"),
    ("CPN", counted(convolution=6_661_865_472), "gimacs", 1, "6.2"),
    ("DeeperCut, digits cut off", counted(convolution=44_299_190_272), "gimacs_truncated", 1, "41.2"),
    ("DeeperCut, rounded", counted(convolution=44_299_190_272), "gimacs", 1, "41.3"),
    ("MCA", counted(convolution=63_863_619_584), "fpd", 0, "128"),
    ("JADA", counted(convolution=27_440_185_344), "fpd", 0, "55"),
    ("LFP", counted(convolution=22_829_322_956), "fpd", 0, "46"),
    ("PIL", counted(convolution=31_289_442_304), "fpd", 1, "62.6"),
    ("PIL without decimals", counted(convolution=31_289_442_304), "fpd", 0, "63"),
]


@pytest.mark.parametrize(
    ("count", "convention", "decimals", "printed"), [row[1:] for row in PUBLISHED], ids=[row[0] for row in PUBLISHED]
)
def test_published_costs(count: dict[str, int], convention: str, decimals: int, printed: str) -> None:
    assert CONVENTIONS[convention].printed(count, decimals) == printed


def test_exact_values_in_each_unit() -> None:
    count = counted(convolution=3 * 2**30, linear=2**30)
    assert CONVENTIONS["macs"].value(count) == 4 * 2**30
    assert CONVENTIONS["flops"].value(count) == 8 * 2**30
    assert CONVENTIONS["gimacs"].value(count) == 4
    assert CONVENTIONS["gmacs"].value(count) == Fraction(4 * 2**30, 10**9)
    assert CONVENTIONS["fpd"].value(count) == Fraction(8 * 2**30, 10**9)


@pytest.mark.parametrize("kind", KINDS)
def test_the_module_summary_sees_no_products_between_maps(kind: str) -> None:
    count = counted(**{kind: 7, AT_OUTPUT: 28 if kind == "transposed_convolution" else 0})
    seen = {"convolution": 7, "transposed_convolution": 28, "linear": 7, "matmul": 0, "attention": 0}[kind]
    assert CONVENTIONS["hrnet_summary"].value(count) * 2**30 == seen
    assert CONVENTIONS["macs"].value(count) == 7  # never the deconvolutions twice


def test_a_count_that_lacks_a_kind_is_refused() -> None:
    with pytest.raises(KeyError, match="attention"):
        CONVENTIONS["macs"].value(dict.fromkeys(KINDS[:-1], 1))
    with pytest.raises(KeyError, match="at_output"):
        CONVENTIONS["hrnet_summary"].value(dict.fromkeys(KINDS, 1))


def test_lookup_names_all_conventions() -> None:
    assert lookup("fpd") is CONVENTIONS["fpd"]
    with pytest.raises(KeyError, match=r"gimacs_truncated \(DeeperCut's published cost.*\), fpd \(costs in whole"):
        lookup("gflops")


@pytest.mark.parametrize(
    ("cost", "names"),
    [("8.9", {"hrnet_summary_truncated"}), ("8.9G", {"hrnet_summary_truncated"}), ("5.43 GFLOPs", {"gmacs"}),
     ("5426380800", {"macs"}), ("9.0", {"hrnet_summary"}), ("5", {"gmacs", "gimacs", "gimacs_truncated"})],
)  # fmt: skip
def test_a_printed_cost_has_its_conventions(cost: str, names: set[str]) -> None:
    exactly, found = printing(cost, SBL_50)
    assert exactly
    assert set(found) == names
    number = cost.rstrip("GFLOPs ")
    assert set(found.values()) == {number}


def test_a_cost_that_nobody_prints_has_the_nearest() -> None:
    assert printing("9.2", SBL_50) == (False, {"hrnet_summary": "9.0", "hrnet_summary_truncated": "8.9", "fpd": "10.9"})


@pytest.mark.parametrize("cost", ["8,9", "5,426,380,800", "8.9M", "-8.9", "", "nan", "8."])
def test_a_cost_that_is_not_clear_is_refused(cost: str) -> None:
    with pytest.raises(ValueError, match=r"a number such as 8\.9"):
        printing(cost, SBL_50)


def test_every_convention_says_who_counts_so() -> None:
    assert all(name == convention.name for name, convention in CONVENTIONS.items())
    assert all(convention.source and set(convention.kinds) <= set(KINDS) for convention in CONVENTIONS.values())


@given(value=st.fractions(min_value=-(10**12), max_value=10**12), decimals=st.integers(0, 6))
def test_nearest_is_within_half_a_unit_of_the_last_digit(value: Fraction, decimals: int) -> None:
    printed = round_printed(value, decimals)
    assert abs(Fraction(printed) - value) <= Fraction(1, 2 * 10**decimals)
    assert -Decimal(printed).as_tuple().exponent == decimals


@given(value=st.fractions(min_value=-(10**12), max_value=10**12), decimals=st.integers(0, 6))
def test_truncated_never_gets_larger_and_loses_less_than_a_unit(value: Fraction, decimals: int) -> None:
    printed = Fraction(round_printed(value, decimals, "truncated"))
    assert abs(printed) <= abs(value)
    assert abs(value) - abs(printed) < Fraction(1, 10**decimals)


@given(steps=st.integers(-(10**9), 10**9), decimals=st.integers(0, 6))
def test_exact_halves_go_away_from_zero(steps: int, decimals: int) -> None:
    unit = Fraction(1, 10**decimals)
    half = (steps + Fraction(1, 2)) * unit
    expected = (steps + 1) * unit if half > 0 else steps * unit
    assert Fraction(round_printed(half, decimals)) == expected


@given(value=st.fractions(min_value=-(10**6), max_value=10**6), decimals=st.integers(0, 4))
def test_sign_does_not_matter(value: Fraction, decimals: int) -> None:
    for rounding in ("nearest", "truncated"):
        assert Fraction(round_printed(-value, decimals, rounding)) == -Fraction(
            round_printed(value, decimals, rounding)
        )


@pytest.mark.parametrize("name", CONVENTIONS)
@given(macs=st.integers(0, 10**14), decimals=st.integers(0, 3))
def test_macs_of_undoes_printing(name: str, macs: int, decimals: int) -> None:
    convention = CONVENTIONS[name]
    unit_macs = Fraction(convention.divisor, convention.flops_per_mac * 10**decimals)
    found = convention.macs_of(convention.printed(counted(convolution=macs), decimals))
    if convention.rounding == "nearest":
        assert abs(found - macs) <= unit_macs / 2
    else:
        assert 0 <= macs - found < unit_macs


@pytest.mark.parametrize("exact", [10**400 + 7, Fraction(3 * 10**90 + 1, 3)])
def test_numbers_of_any_size_are_rounded(exact: int | Fraction) -> None:
    assert abs(Fraction(round_printed(Fraction(exact), 2)) - exact) <= Fraction(1, 200)
