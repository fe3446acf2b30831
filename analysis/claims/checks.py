"""The nouns of the claims audit, and the arithmetic that its claims share.

A printed number stands for every number that its author would have rounded to it. A comparison of printed numbers is
true where they satisfy it as they are printed, false where no unrounded numbers could, and open where rounding decides
it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from analysis.evidence import Evidence
from analysis.tabular.printed_costs import PUBLISHED_AS, macs_as_printed
from bench.counts.conventions import CONVENTIONS, round_printed
from bench.records.reported import Reported
from dpn.spec import DPNSpec

ABOUT = Fraction(1, 10)
"""A ratio is "about" or "only" some simple fraction when it is within a tenth of it."""

MUCH = Fraction(1, 2)
"""A cost is "much", "significantly" or "considerably" lower when it is at most half."""

LARGE_MARGIN = 4
"""Points of AP: the text itself says "by a large margin, which is greater than 4 percentage"."""

MILLION = 10**6

ROUNDING = "unrounded numbers may have it"
"""Said where printed numbers contradict a statement and the numbers that they were rounded from may not."""


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
    """A number and how it is written in a check's arithmetic.

    Attributes:
        value: as printed, or exact where it was measured.
        text: with the arithmetic that it came from.
        below: how far below the value the unrounded number may lie; it does not get there.
        above: likewise above.
    """

    value: Fraction
    text: str
    below: Fraction = Fraction(0)
    above: Fraction = Fraction(0)

    @property
    def low(self) -> Fraction:
        """The unrounded number is not smaller."""
        return self.value - self.below

    @property
    def high(self) -> Fraction:
        """The unrounded number is not larger."""
        return self.value + self.above


def is_above(amount: Amount, bound: Fraction | int) -> bool | None:
    """Whether a number is above an exact bound; None where its rounding decides.

    Example:
        >>> lead = Amount(Fraction(4), "68.0 - 64.0 = 4.0", Fraction(1, 10), Fraction(1, 10))
        >>> is_above(lead, 3), is_above(lead, 4), is_above(lead, 5)
        (True, None, False)
    """
    return True if amount.value > bound else None if amount.high > bound else False


def is_at_most(amount: Amount, bound: Fraction | int) -> bool | None:
    """Whether a number is no more than an exact bound; None where its rounding decides."""
    return True if amount.value <= bound else None if amount.low < bound else False


def is_within(amount: Amount, low: Fraction, high: Fraction) -> bool | None:
    """Whether a number lies between two exact bounds or on one of them; None where its rounding decides."""
    if low <= amount.value <= high:
        return True
    return None if amount.low < high and low < amount.high else False


def all_of(outcomes: Iterable[bool | None]) -> bool | None:
    """Whether all hold: one failure decides, one that is open leaves it open.

    Example:
        >>> all_of([True, True]), all_of([True, None]), all_of([None, False])
        (True, None, False)
    """
    found = set(outcomes)
    return False if False in found else None if None in found else True


def unchecked(reason: str) -> Recompute:
    """A recomputation that cannot be made, and why."""
    return lambda _: Check(reason, None)


def printed(evidence: Evidence, table: str, row: str, column: str) -> Amount:
    """A printed number, as printed."""
    found = _as_printed(evidence.printed(table, row, column))
    if found is None:
        raise UnavailableError(f"{table} prints no number in row {row}, column {column}")
    return found


def _as_printed(cell: Reported) -> Amount | None:
    """The cell's number, rounded as whoever printed it rounds: costs by their convention, all else to the nearest.

    Who prints whole costs prints whole millions of parameters, too.
    """
    number = cell.number
    if number is None:
        return None
    published = PUBLISHED_AS.get((cell.table, cell.row)) if cell.metric in ("gflops", "params") else None
    convention = published.resolve() if published else None
    digit = Fraction(Decimal(1).scaleb(int(number.as_tuple().exponent)))
    if convention and convention.whole and number == int(number):
        digit = Fraction(1)
    if convention and convention.rounding == "truncated" and cell.metric == "gflops":
        return Amount(Fraction(number), str(number), above=digit)
    return Amount(Fraction(number), str(number), digit / 2, digit / 2)


def column(evidence: Evidence, table: str, name: str, rows: Iterable[str]) -> dict[str, Amount]:
    """The numbers of a column by row, without the rows that print a dash."""
    found = {row: _as_printed(evidence.printed(table, row, name)) for row in rows}
    return {row: amount for row, amount in found.items() if amount is not None}


def gap(higher: Amount, lower: Amount) -> Amount:
    """A difference, written out: the value, and "64.5 - 59.7 = 4.8"."""
    difference = higher.value - lower.value
    text = f"{higher.text} - {lower.text} = {round_printed(difference, 1)}"
    return Amount(difference, text, higher.below + lower.above, higher.above + lower.below)


def gaps(evidence: Evidence, table: str, rows: tuple[str, str], columns: Sequence[str]) -> list[Amount]:
    """The differences between two rows of a table, first minus second, column by column."""
    return [gap(printed(evidence, table, rows[0], name), printed(evidence, table, rows[1], name)) for name in columns]


def _arrow(table: str, lower: str, name: str) -> Recompute:
    def check(evidence: Evidence) -> Check:
        (lead,) = gaps(evidence, table, ("dpm", lower), [name])
        arrow = printed(evidence, table, "dpm_gain", name)
        return compared(f"{lead.text}; printed ↑{arrow.text}", [is_zero(gap(lead, arrow))])

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


def is_zero(difference: Amount) -> bool | None:
    """Whether two numbers of that difference are equal; None where their rounding decides."""
    return is_within(difference, Fraction(0), Fraction(0))


def compared(text: str, outcomes: Iterable[bool | None]) -> Check:
    """Whether all comparisons hold; where their rounding decides, the text says so."""
    holds = all_of(outcomes)
    return Check(text if holds is not None else f"{text}; {ROUNDING}", holds)


def by_far(leads: Sequence[Amount]) -> Check:
    """Whether all leads are large margins."""
    least = min(leads, key=lambda lead: lead.value)
    text = f"{listed(leads)}; the least is {least.text}"
    return compared(text, (is_above(lead, LARGE_MARGIN) for lead in leads))


def close_behind(deficits: Sequence[Amount], text: str = "") -> Check:
    """Whether no deficit is a large margin, which is how "comparable" and "competitive" are read.

    Args:
        deficits: of a score to a better one.
        text: the arithmetic, where it is more than the deficits'.
    """
    return compared(text or listed(deficits), (is_at_most(deficit, LARGE_MARGIN) for deficit in deficits))


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
    shown = printed(evidence, table, row, name)
    scale = value / shown.value
    text = f"{round_printed(value, 2)} (from the printed {shown.text} {convention.unit}{surplus})"
    return Amount(value, text, scale * shown.below, scale * shown.above)


def quotient(numerator: Amount, denominator: Amount, decimals: int = 1) -> Amount:
    """A ratio in percent, written out: the value, and "4.0 / 63.0 = 6.3 %".

    Raises:
        UnavailableError: the denominator is 0, as only a record can say that somebody has written by hand.
    """
    if not denominator.value:
        raise UnavailableError(f"nothing is a share of {denominator.text}; look at the records, or measure again")
    value = 100 * numerator.value / denominator.value
    low, high = 100 * numerator.low / denominator.high, 100 * numerator.high / denominator.low
    text = f"{numerator.text} / {denominator.text} = {round_printed(value, decimals)} %"
    return Amount(value, text, value - low, high - value)


def figure(exact: Amount, stated: str) -> Check:
    """Whether a stated figure is a value rounded to the stated digits; truncation is not rounding.

    Example:
        >>> figure(Amount(Fraction(886, 924) * 100, "88.6 / 92.4 = 95.887 %"), "95.8")
        Check(text='88.6 / 92.4 = 95.887 %, rounds to 95.9; 95.8 is truncated', holds=False)
    """
    decimals = len(stated.partition(".")[2])
    rounded = round_printed(exact.value, decimals)
    if rounded == stated:
        return Check(f"{exact.text}, rounds to {rounded}", True)
    cut = round_printed(exact.value, decimals, "truncated") == stated
    text = f"{exact.text}, rounds to {rounded}{f'; {stated} is truncated' if cut else f', not {stated}'}"
    half = Fraction(1, 2 * 10**decimals)
    possible = is_within(exact, Fraction(stated) - half, Fraction(stated) + half) is not False
    return compared(text, [None if possible and exact.low < exact.high else False])


def near(share: Amount, fraction: Fraction) -> bool | None:
    """Whether a percentage is `ABOUT` a simple fraction; None where its rounding decides."""
    return is_within(share, 100 * fraction * (1 - ABOUT), 100 * fraction * (1 + ABOUT))


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
