"""Tables VI and VII once more: every printed cost in one unit, and what the unit alone does to their order."""

from dataclasses import dataclass
from fractions import Fraction

from analysis.evidence import Evidence
from analysis.paper.comparison import OURS
from analysis.tabular.cells import Cell, Column, Row, State, Table, from_print, from_record, label
from analysis.tabular.cost_cells import title
from analysis.tabular.printed_costs import PUBLISHED_AS, macs_as_printed
from analysis.tabular.printed_words import short_name
from bench.counts.conventions import round_printed

MAIN = {"table-6": "dpn4_64", "table-7": "dpn4_64_mpii"}
"""Each table, and the row whose share of every other is shown."""

COLUMNS = (
    Column(id="method", label="Method", align="left"),
    Column(id="printed", label="printed", group="GFLOPs"),
    Column(id="convention", label="convention", group="GFLOPs", align="left", hide_on_phone=True),
    Column(id="converted", label="from print", group="MACs (10^9)", hide_on_phone=True),
    Column(id="measured", label="measured", group="MACs (10^9)"),
    Column(id="share_printed", label="as printed", group="DPN4_64 takes (%)"),
    Column(id="share", label="in one unit", group="DPN4_64 takes (%)"),
    Column(id="rank_printed", label="printed", group="rank by cost", hide_on_phone=True),
    Column(id="rank", label="one unit", group="rank by cost", hide_on_phone=True),
)


@dataclass(frozen=True, kw_only=True)
class Costed:
    """A row that prints a cost.

    Attributes:
        cells: of the row, those that need no other row.
        printed: the printed number.
        macs: multiply-adds of the print: those counted, or the print's digits taken back where nothing is counted or
            what is counted is not the network that the print belongs to.
        built: multiply-adds counted of the network that is built for the row, whatever the print belongs to.
        exact: whether `macs` has nothing that a printed sum cannot be rid of.
    """

    cells: dict[str, Cell]
    printed: Fraction
    macs: Fraction
    built: Fraction | None
    exact: bool


def table(name: str, evidence: Evidence) -> Table:
    """The costs of Table VI or VII in one unit, and the order they then have.

    Args:
        name: table-6 or table-7.
        evidence: where the prints and the records are.
    """
    rows = costed(evidence, name)
    by_print, by_macs = ranks({key: row.printed for key, row in rows.items()}), _ranks_by_unit(rows)
    return Table(
        id=f"{name}-one-unit",
        title=f"{title(name)}, in one unit",
        caption="The printed costs in one unit: multiply-adds of one image, in billions, cheapest rank 1.",
        columns=COLUMNS,
        rows=tuple(
            Row(
                key,
                row.cells
                | _shares(rows[MAIN[name]], row, MAIN[name])
                | {"rank_printed": label(str(by_print[key])), "rank": label(str(by_macs[key]))},
                rule_above=key in OURS,
            )
            for key, row in rows.items()
        ),
        notes=(
            "From print: the printed digits taken back through their convention to multiply-adds; as exact as they.",
            "In one unit: measured multiply-adds where the print's network is built, else those from print.",
            "SBL's print counts deconvolutions at their output size, which cannot be taken out of a printed sum.",
            *(_other_network(rows, key, MAIN[name]) for key in rows if _is_other(rows[key])),
        ),
    )


def costed(evidence: Evidence, name: str) -> dict[str, Costed]:
    """The rows of Table VI or VII that print a cost."""
    found = {}
    for key in evidence.reported[name].rows[1:]:
        printed, macs = evidence.printed(name, key, "gflops"), macs_as_printed(evidence, name, key)
        if macs is None:
            continue
        published, count = PUBLISHED_AS[name, key], evidence.record(printed.subject, "macs")
        built = Fraction(count.value) if count is not None and count.value else None
        usable = None if published.belongs_to else built
        found[key] = Costed(
            cells={
                "method": label(evidence.printed(name, key, "method").printed),
                "printed": from_print(printed),
                "convention": label(published.convention),
                "converted": Cell(
                    text=_billions(macs, 1), value=macs, state="reported", reported=printed,
                    how=f"the print as {published.convention}, in multiply-adds",
                ),
                "measured": from_record(evidence.found(printed.subject, "macs"), lambda value: _billions(value, 3)),
            },
            printed=Fraction(printed.number or 0),
            macs=macs if usable is None else usable,
            built=built,
            exact=usable is not None or published.resolve().transposed_at == "input",
        )  # fmt: skip
    return found


def answer(evidence: Evidence) -> str:
    """Chapter 7: what one unit makes of the printed costs."""
    used = [published.resolve() for (name, _), published in PUBLISHED_AS.items() if name in MAIN]
    conventions = len({(c.flops_per_mac, c.divisor, c.transposed_at) for c in used})
    mpii = table("table-7", evidence)
    share, as_printed = (mpii.cell("pil", column) for column in ("share", "share_printed"))
    by_prints = "" if share.state == "measured" else ", by the printed costs,"
    return (
        f"The cost columns of Tables VI and VII mix {conventions} ways of counting. In one unit DPN4_64 takes"
        f"{by_prints} {share.text} % of PIL's multiply-adds, not {as_printed.text} %. "
        f"{_order(evidence)}"
    ).rstrip()


def _order(evidence: Evidence) -> str:
    """What one unit does to the order by cost; empty where the order is not known."""
    found = reranked(evidence)
    if found is None:
        return ""
    unit, built, total = found
    coco = table("table-6", evidence)
    before, after = (coco.cell("sbl_r50", column).text for column in ("rank_printed", "rank"))
    sentence = (
        f"Put into one unit, {unit} of the {total} networks with a printed cost change places within their table: SBL "
        f"goes from place {before} by cost to {after} in Table VI."
    )
    rows = [row for name in MAIN for row in costed(evidence, name).values()]
    others = [short_name(row.cells["method"].text) for row in rows if _is_other(row)]
    if not others:
        return sentence
    which = "which is not the network of its printed cost"
    return f"{sentence} With {' and '.join(others)} as built, {which}, {built} change."


def reranked(evidence: Evidence) -> tuple[int, int, int] | None:
    """Of the rows of both tables that print a cost: how many the unit gives another rank, how many as built, and all.

    As built: where the networks that are built stand for all prints, the few that belong to another network included.
    None where a print can be neither counted nor taken back to multiply-adds, for then the order is not known.
    """
    unit = built = total = 0
    for name in MAIN:
        rows = costed(evidence, name)
        if not all(row.exact for row in rows.values()):
            return None
        by_print = ranks({key: row.printed for key, row in rows.items()})
        unit += _moved(by_print, _ranks_by_unit(rows))
        built += _moved(by_print, _ranks_as_built(rows))
        total += len(rows)
    return unit, built, total


def ranks(values: dict[str, Fraction]) -> dict[str, int]:
    """1 for the smallest; equal values share the better rank.

    Example:
        >>> ranks({"a": Fraction(5), "b": Fraction(2), "c": Fraction(5)})
        {'a': 2, 'b': 1, 'c': 2}
    """
    return {key: 1 + sum(other < value for other in values.values()) for key, value in values.items()}


def _ranks_by_unit(rows: dict[str, Costed]) -> dict[str, int]:
    return ranks({key: row.macs for key, row in rows.items()})


def _ranks_as_built(rows: dict[str, Costed]) -> dict[str, int]:
    return ranks({key: row.macs if row.built is None else row.built for key, row in rows.items()})


def _moved(before: dict[str, int], after: dict[str, int]) -> int:
    return sum(after[key] != rank for key, rank in before.items())


def _shares(ours: Costed, row: Costed, name: str) -> dict[str, Cell]:
    counted = all(one.macs == one.built for one in (ours, row))
    return {
        "share_printed": _share(ours.printed / row.printed, "reported", f"printed cost of {name} over this one"),
        "share": _share(ours.macs / row.macs, "measured" if counted else "reported",
                        f"multiply-adds of {name} over these"),
    }  # fmt: skip


def _share(share: Fraction, state: State, how: str) -> Cell:
    return Cell(text=round_printed(100 * share, 1), value=100 * share, state=state, how=how)


def _is_other(row: Costed) -> bool:
    """Whether the network that is built for a row is another than the one that its print belongs to."""
    return row.built is not None and row.built != row.macs


def _other_network(rows: dict[str, Costed], key: str, name: str) -> str:
    row, built = rows[key], rows[key].built
    assert built is not None
    share = round_printed(100 * rows[name].macs / built, 1)
    return (
        f"{row.cells['method'].text}: the network that is built costs {_billions(built, 3)}, but the print belongs to "
        f"another. Share and rank are the print's; as built they would be {share} % and {_ranks_as_built(rows)[key]}."
    )


def _billions(macs: Fraction | float, decimals: int) -> str:
    return round_printed(Fraction(macs) / 10**9, decimals)
