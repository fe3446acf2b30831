"""Ways to read the cost of a network, and the arithmetic of the claims that compare costs with rivals'."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from analysis.claims.checks import (
    Amount,
    Check,
    Recompute,
    UnavailableError,
    all_of,
    compared,
    is_above,
    is_at_most,
    one_unit,
    params,
    printed,
    quotient,
)
from analysis.evidence import Evidence
from bench.counts.conventions import round_printed

COCO_RIVALS = ("hourglass8", "cpn_r50", "sbl_r50", "hrnet_w32", "hrnet_w48")
"""The rows of Table VI that print costs and are not the paper's own."""

MPII_RIVALS = ("deepercut_r101", "sbl_r152_mpii", "mca", "jada", "pyranet", "dlcm", "pil")
"""The rows of Table VII that are not the paper's own."""


@dataclass(frozen=True)
class Cost:
    """A way to read the cost of a row.

    Attributes:
        label: what it is, for the arithmetic's text.
        read: from the evidence, a table and a row.
        remedy: what would supply it where it is missing, before the rows' names.
    """

    label: str
    read: Callable[[Evidence, str, str], Amount]
    remedy: str = ""


def _recorded(evidence: Evidence, _table: str, row: str) -> Amount:
    return params(evidence, row)


PRINTED_PARAMS = Cost("printed parameters", lambda evidence, table, row: printed(evidence, table, row, "params"))
PRINTED_COST = Cost("printed cost", lambda evidence, table, row: printed(evidence, table, row, "gflops"))
RECORDED_PARAMS = Cost("recorded parameters", _recorded, "python -m bench measure")
ONE_UNIT = Cost("cost in Gi multiply-adds", one_unit, "python -m bench measure")
AS_PRINTED = (PRINTED_PARAMS, PRINTED_COST)
AS_MEASURED = (RECORDED_PARAMS, ONE_UNIT)


def each_share(
    test: Callable[[Amount], bool | None], table: str, ours: str, rivals: Sequence[str], costs: Sequence[Cost]
) -> Recompute:
    """Whether our share of every rival's cost passes: one failure decides, one missing share leaves it open."""

    def check(evidence: Evidence) -> Check:
        parts: list[str] = []
        outcomes: list[bool | None] = []
        complete = True
        for cost in costs:
            known, missing = _read(evidence, table, (ours, *rivals), cost)
            shares = {row: quotient(known[ours], known[row]) for row in rivals if ours in known and row in known}
            if shares:
                most = max(shares, key=lambda row: shares[row].value)
                parts.append(f"{cost.label}: {'at most ' * (len(shares) > 1)}{shares[most].text} ({most})")
            if missing:
                remedy = f"; run: {cost.remedy} {' '.join(missing)}" if cost.remedy else ""
                parts.append(f"no {cost.label} of {', '.join(missing)}{remedy}")
            outcomes += map(test, shares.values())
            complete = complete and not missing
        found = compared("; ".join(parts), outcomes)
        return found if complete or found.holds is False else Check(found.text, None)

    return check


def both(*checks: Recompute) -> Recompute:
    """Whether all of several hold: one failure decides, one that stays open leaves it open."""

    def check(evidence: Evidence) -> Check:
        found = [one(evidence) for one in checks]
        return Check("; ".join(one.text for one in found), all_of(one.holds for one in found))

    return check


def _read(evidence: Evidence, table: str, rows: Sequence[str], cost: Cost) -> tuple[dict[str, Amount], list[str]]:
    """The costs that are known, by row, and the rows of the others."""
    known: dict[str, Amount] = {}
    missing = []
    for row in rows:
        try:
            known[row] = cost.read(evidence, table, row)
        except UnavailableError:
            missing.append(row)
    return known, missing


def at_most(limit: Fraction) -> Callable[[Amount], bool | None]:
    """The test that a share in percent is no more than that fraction."""
    return lambda share: is_at_most(share, 100 * limit)


def more_efficient(table: str, score: str, ours: str, rivals: Sequence[str], cost: Cost, factor: Fraction) -> Recompute:
    """Whether our score for each unit of cost is above `factor` times the best rival's."""

    def check(evidence: Evidence) -> Check:
        scores = {row: printed(evidence, table, row, score) for row in (ours, *rivals)}
        costs = {row: cost.read(evidence, table, row) for row in scores}
        rates = {row: quotient(scores[row], costs[row]) for row in scores}  # in percent, all of them
        best = max(rivals, key=lambda row: rates[row].value)
        parts = (
            f"{row} {scores[row].text} / {costs[row].text} = {round_printed(rates[row].value / 100, 1)}"
            for row in (ours, best)
        )
        leads = (quotient(rates[ours], rates[row]) for row in rivals)
        return compared("; ".join(parts), (is_above(lead, 100 * factor) for lead in leads))

    return check
