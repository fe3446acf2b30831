"""The claims audit: the paper's quantitative statements, recomputed from its own numbers and from measurements.

A stated figure holds when it is the recomputed one rounded to the stated digits. One that is only met when digits are
cut off does not, and the text says "truncated", unless the printed numbers are themselves rounded so much that they
leave it open.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from analysis.claims import introduction, method, tables_2_3, tables_4_5, tables_6_7
from analysis.claims.checks import ABOUT, LARGE_MARGIN, MUCH, Check, Claim, Recompute, UnavailableError
from analysis.evidence import Evidence
from analysis.tabular.cells import Cell, Column, Row, Table

__all__ = ["CLAIMS", "VERDICTS", "Check", "Claim", "ClaimVerdict", "Finding", "audit", "claims_table", "verdict"]

ClaimVerdict = Literal["holds", "holds as printed only", "does not hold", "open"]

VERDICTS: dict[ClaimVerdict, str] = {
    "holds": "true, and nothing measured contradicts it",
    "holds as printed only": "true of the printed numbers, false as measured, as drawn, or in one unit",
    "does not hold": "false by the paper's own numbers, however rounded, or as measured where these leave it open",
    "open": "neither the printed numbers nor the records decide it; the row says where rounding or wording does",
}
"""What each verdict means."""

CLAIMS: tuple[Claim, ...] = (
    *introduction.CLAIMS,
    *method.CLAIMS,
    *tables_2_3.CLAIMS,
    *tables_4_5.CLAIMS,
    *tables_6_7.CLAIMS,
)
"""In the order of the paper's sections, a table beside the text that discusses it."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What became of a claim.

    Attributes:
        id: the claim's.
        quotation: the claim's.
        place: the claim's.
        paper: the arithmetic on the paper's own numbers.
        measured: the arithmetic on what was measured; empty where nothing but training could tell.
        verdict: follows from the two.
        note: the claim's.
    """

    id: str
    quotation: str
    place: str
    paper: str
    measured: str
    verdict: ClaimVerdict
    note: str


def verdict(paper: bool | None, measured: bool | None) -> ClaimVerdict:
    """What follows from the two recomputations; None is one that could not be made.

    Example:
        >>> verdict(paper=True, measured=False)
        'holds as printed only'
    """
    if paper is False:
        return "does not hold"
    if paper is True:
        return "holds as printed only" if measured is False else "holds"
    if measured is None:
        return "open"
    return "holds" if measured else "does not hold"


def audit(evidence: Evidence, claims: tuple[Claim, ...] = CLAIMS) -> tuple[Finding, ...]:
    """Every claim recomputed, in the order of `CLAIMS`."""
    return tuple(_finding(claim, evidence) for claim in claims)


def _finding(claim: Claim, evidence: Evidence) -> Finding:
    paper = _run(claim.paper, evidence)
    measured = Check("", None) if claim.measured is None else _run(claim.measured, evidence)
    return Finding(
        id=claim.id,
        quotation=claim.quotation,
        place=claim.place,
        paper=paper.text,
        measured=measured.text,
        verdict=verdict(paper.holds, measured.holds),
        note=claim.note,
    )


def _run(recompute: Recompute, evidence: Evidence) -> Check:
    try:
        return recompute(evidence)
    except UnavailableError as error:
        return Check(str(error), None)


COLUMNS = (
    Column(id="quotation", label="The paper says", align="left"),
    Column(id="place", label="Where", align="left"),
    Column(id="verdict", label="Verdict", align="left"),
    Column(id="paper", label="By its own numbers", align="left"),
    Column(id="measured", label="As measured", align="left"),
    Column(id="note", label="Note", align="left"),
)
"""Of the audit's table; the ids are attributes of `Finding`."""


def claims_table(evidence: Evidence) -> Table:
    """The audit as a table, one row for each claim; its caption counts the verdicts."""
    findings = audit(evidence)
    counts = Counter(finding.verdict for finding in findings)
    summary = ", ".join(f"{name}: {counts[name]}" for name in VERDICTS)
    return Table(
        id="table-claims",
        title="Claims",
        caption=f"{len(findings)} quantitative statements of the paper, recomputed; {summary}.",
        columns=COLUMNS,
        rows=tuple(finding_row(finding, COLUMNS) for finding in findings),
        stacked=True,
        notes=(
            *(f"{name}: {meaning}." for name, meaning in VERDICTS.items()),
            "A stated figure holds when it equals the recomputed one rounded to the stated digits, not truncated.",
            f"About a fraction: within {ABOUT} of it. Much, significantly, considerably: at most {MUCH}. "
            f"A large margin: more than {LARGE_MARGIN} points of AP or PCKh, as the text says of Table II; "
            "competitive, comparable, slightly lower: behind by no large margin.",
            "Costs in one unit are multiply-adds / 2^30: a record's, or else the printed number converted from its "
            "convention.",
        ),
    )


def finding_row(finding: Finding, columns: Sequence[Column]) -> Row:
    """A finding as a row of a table with some of the audit's columns."""
    texts = {column.id: getattr(finding, column.id) for column in columns}
    return Row(finding.id, {name: Cell(text=text, value=text) for name, text in texts.items()})
