"""The nouns of the claims audit, and the arithmetic that its claims share."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from analysis.evidence import Evidence
from analysis.published import PUBLISHED_AS, macs_as_printed
from bench.conventions import CONVENTIONS, round_printed
from dpn.spec import DPNSpec

ABOUT = Fraction(1, 10)
"""A ratio is "about" or "only" some simple fraction when it is within a tenth of it."""

MUCH = Fraction(1, 2)
"""A cost is "much", "significantly" or "considerably" lower when it is at most half."""

LARGE_MARGIN = 4
"""Points of AP: the text itself says "by a large margin, which is greater than 4 percentage"."""

MILLION = 10**6


class UnavailableError(Exception):
    """What a check needs is neither printed nor recorded; the message says what would change that."""


@dataclass(frozen=True)
class Check:
    """One recomputation: its arithmetic in words, and whether the statement holds; None where that stays open."""

    text: str
    holds: bool | None


Recompute = Callable[[Evidence], Check]


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One quantitative statement of the paper.

    Attributes:
        id: a stable slug.
        quotation: verbatim.
        place: where it stands, "Sec. IV-B, Table II".
        paper: recomputes it from the paper's own printed cells and equations.
        measured: recomputes it from records, from the networks' definitions or by counting pixels; None where only
            training could.
        note: how a vague word was read, and what else a reader should know.
    """

    id: str
    quotation: str
    place: str
    paper: Recompute
    measured: Recompute | None = None
    note: str = ""


@dataclass(frozen=True)
class Amount:
    """An exact number and how it is written in a check's arithmetic."""

    value: Fraction
    text: str


def unchecked(reason: str) -> Recompute:
    """A recomputation that cannot be made, and why."""
    return lambda _: Check(reason, None)


def printed(evidence: Evidence, table: str, row: str, column: str) -> Amount:
    """A printed number, as printed."""
    number = evidence.printed(table, row, column).number
    if number is None:
        raise UnavailableError(f"{table} prints no number in row {row}, column {column}")
    return Amount(Fraction(number), str(number))


def column(evidence: Evidence, table: str, name: str, rows: Iterable[str]) -> dict[str, Amount]:
    """The numbers of a column by row, without the rows that print a dash."""
    found = {row: evidence.printed(table, row, name).number for row in rows}
    return {row: Amount(Fraction(number), str(number)) for row, number in found.items() if number is not None}


def gap(higher: Amount, lower: Amount) -> Amount:
    """A difference, written out: the value, and "64.5 - 59.7 = 4.8"."""
    difference = higher.value - lower.value
    return Amount(difference, f"{higher.text} - {lower.text} = {round_printed(difference, 1)}")


def gaps(evidence: Evidence, table: str, rows: tuple[str, str], columns: Sequence[str]) -> list[Amount]:
    """The differences between two rows of a table, first minus second, column by column."""
    return [gap(printed(evidence, table, rows[0], name), printed(evidence, table, rows[1], name)) for name in columns]


def _arrow(table: str, lower: str, name: str) -> Recompute:
    def check(evidence: Evidence) -> Check:
        (lead,) = gaps(evidence, table, ("dpm", lower), [name])
        arrow = printed(evidence, table, "dpm_gain", name)
        return Check(f"{lead.text}; printed ↑{arrow.text}", lead.value == arrow.value)

    return check


def arrow_claims(table: str, label: str, lower: str, quotations: Mapping[str, str]) -> tuple[Claim, ...]:
    """A claim for each printed arrow of a table: it is the DPM row minus the lower row.

    Args:
        table: "table-2".
        label: "Table II".
        lower: the id of the row that the arrows compare with.
        quotations: the printed cell with its arrow, by column.
    """
    return tuple(
        Claim(
            id=f"{table}-arrow-{name}",
            quotation=quotation,
            place=f"{label}, {name.upper()}",
            paper=_arrow(table, lower, name),
        )
        for name, quotation in quotations.items()
    )


def listed(amounts: Iterable[Amount]) -> str:
    """Their texts, one after the other."""
    return "; ".join(amount.text for amount in amounts)


def params(evidence: Evidence, subject: str) -> Amount:
    """Recorded parameters in millions."""
    record = evidence.record(subject, "params")
    if record is None:
        raise UnavailableError(f"no record of params for {subject!r}; run: python -m bench measure {subject}")
    value = Fraction(record.value) / MILLION
    return Amount(value, f"{round_printed(value, 3)} M")


def one_unit(evidence: Evidence, table: str, row: str, name: str = "gflops", subject: str = "") -> Amount:
    """A cost in Gi multiply-adds: the record's, or else the printed number, converted from its convention.

    Args:
        evidence: the records and the printed cells.
        table: "table-6".
        row: the row's id; in Tables VI and VII also the subject.
        name: the cost's column.
        subject: the network, where the row does not name it.
    """
    by_kind = evidence.macs_by_kind(subject or row)
    gi = CONVENTIONS["gimacs"]
    if by_kind is not None:
        value = gi.value(by_kind)
        return Amount(value, round_printed(value, 3))
    macs = macs_as_printed(evidence, table, row, name)
    if macs is None:
        raise UnavailableError(f"no cost of {row!r} is printed or recorded; run: python -m bench measure {row}")
    value, convention = macs / gi.divisor, PUBLISHED_AS[table, row].resolve()
    surplus = ", deconvolutions counted at output size" if convention.transposed_at == "output" else ""
    shown = evidence.printed(table, row, name).number
    return Amount(value, f"{round_printed(value, 2)} (from the printed {shown} {convention.unit}{surplus})")


def quotient(numerator: Amount, denominator: Amount, decimals: int = 1) -> Amount:
    """A ratio in percent, written out: the value, and "4.0 / 63.0 = 6.3 %".

    Raises:
        UnavailableError: the denominator is 0, as only a record can say that somebody has written by hand.
    """
    if not denominator.value:
        raise UnavailableError(f"nothing is a share of {denominator.text}; look at the records, or measure again")
    value = 100 * numerator.value / denominator.value
    return Amount(value, f"{numerator.text} / {denominator.text} = {round_printed(value, decimals)} %")


def figure(exact: Amount, stated: str) -> Check:
    """Whether a stated figure is the exact value rounded to the stated digits; truncation is not rounding.

    Example:
        >>> figure(Amount(Fraction(886, 924) * 100, "88.6 / 92.4 = 95.887 %"), "95.8")
        Check(text='88.6 / 92.4 = 95.887 %, rounds to 95.9; 95.8 is truncated', holds=False)
    """
    decimals = len(stated.partition(".")[2])
    rounded = round_printed(exact.value, decimals)
    if rounded == stated:
        return Check(f"{exact.text}, rounds to {rounded}", True)
    cut = round_printed(exact.value, decimals, "truncated") == stated
    return Check(f"{exact.text}, rounds to {rounded}{f'; {stated} is truncated' if cut else f', not {stated}'}", False)


def near(exact: Amount, fraction: Fraction) -> bool:
    """Whether a percentage is `ABOUT` a simple fraction."""
    return abs(exact.value / 100 - fraction) <= ABOUT * fraction


def network(evidence: Evidence, name: str) -> DPNSpec:
    """The definition of a DPN."""
    spec = evidence.zoo.get(name)
    if not isinstance(spec, DPNSpec):
        raise UnavailableError(f"the zoo has no DPN named {name!r}; define it in dpn/zoo.py")
    return spec


def reached(dilations: Sequence[int]) -> int:
    """How many pixels of one axis a stack of 3-tap convolutions reads for one output; the square of it in 2-D.

    Example:
        >>> reached((2, 2, 2)), reached((4, 2, 1))  # Fig. 2 (b) and (c)
        (7, 15)
    """
    offsets = {0}
    for radius in dilations:
        offsets = {offset + tap * radius for offset in offsets for tap in (-1, 0, 1)}
    return len(offsets)


def same_costs(evidence: Evidence, pairs: Sequence[tuple[str, str]]) -> Check:
    """Whether each pair has the same recorded parameters and nominal multiply-adds."""
    parts, equal = [], True
    for one, other in pairs:
        for metric in ("params", "macs"):
            records = [evidence.record(subject, metric) for subject in (one, other)]
            values = [record.value for record in records if record is not None]
            if len(values) < 2:
                raise UnavailableError(
                    f"no record of {metric} for both {one!r} and {other!r}; run: python -m bench measure {one} {other}"
                )
            equal &= values[0] == values[1]
            if values[0] != values[1]:
                parts.append(f"{metric} of {one} {values[0]}, of {other} {values[1]}")
    return Check("; ".join(parts) or f"parameters and nominal multiply-adds are equal in {len(pairs)} pairs", equal)
