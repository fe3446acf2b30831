"""Tables VI and VII: the compared networks, as printed, and once more in one unit."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

from analysis import accuracy_cells, cost_cells, published
from analysis.cells import Cell, Column, Row, State, Table, from_print, from_record, label
from analysis.cost_cells import GIMACS, cost, title
from analysis.evidence import Evidence
from bench.conventions import CONVENTIONS, round_printed
from bench.reported import ReportedTable, captions

INPUT_HW = {"table-6": (256, 192), "table-7": (256, 256)}
"""The input sizes that the tables' captions give."""

OURS = ("dpn4_32", "dpn4_32_mpii")
"""The first row of the paper's own networks."""


def table_6(evidence: Evidence) -> Table:
    """COCO: reported parameters and costs beside measured ones, each in the convention of its print."""
    return _comparison(evidence, "table-6", "ap", "AP")


def table_7(evidence: Evidence) -> Table:
    """MPII: reported parameters and costs beside measured ones, each in the convention of its print."""
    return _comparison(evidence, "table-7", "pckh", "PCKh@0.5")


def _comparison(evidence: Evidence, name: str, accuracy: str, accuracy_label: str) -> Table:
    printed = evidence.reported[name]
    evaluated = accuracy_cells.any_found(evidence, (printed.cell(row, accuracy) for row in printed.rows[1:]))
    rows = tuple(_compared_row(evidence, printed, row, accuracy) for row in printed.rows[1:])
    columns = [Column(id="method", label="Method", align="left")]
    if "backbone" in printed.columns:
        columns.append(Column(id="backbone", label="Backbone", align="left", hide_on_phone=True))
    columns += [
        Column(id="params_reported", label="reported", group="#Params"),
        Column(id="params_measured", label="measured (M)", group="#Params"),
        Column(id="gflops_reported", label="reported", group="GFLOPs"),
        Column(id="gflops_measured", label="measured", group="GFLOPs"),
        Column(id="convention", label="convention of the print", group="GFLOPs", align="left", hide_on_phone=True),
        Column(id=accuracy, label="reported", group=accuracy_label),
        *((accuracy_cells.column(accuracy, accuracy_label),) if evaluated else ()),
        Column(id="basis", label="built from", align="left", hide_on_phone=True),
    ]
    return Table(
        id=name,
        title=f"{title(name)}, as printed",
        caption=captions()[name],
        columns=tuple(columns),
        rows=rows,
        notes=(*_notes(name, rows), *((accuracy_cells.NOTES[accuracy],) if evaluated else ())),
    )


def _compared_row(evidence: Evidence, printed: ReportedTable, row: str, accuracy: str) -> Row:
    params, gflops = printed.cell(row, "params"), printed.cell(row, "gflops")
    known = published.PUBLISHED_AS.get((printed.name, row))
    measured = cost(evidence, params.subject, known.resolve() if known else GIMACS, gflops)
    if measured.record is not None and measured.record.protocol["input_hw"] != list(INPUT_HW[printed.name]):
        size = "x".join(map(str, evidence.zoo[params.subject].input_hw))
        measured = replace(measured, note=f"at {size}")
    cells = {
        "method": label(printed.cell(row, "method").printed),
        "params_reported": from_print(params),
        "params_measured": cost_cells.params(evidence, params.subject, params),
        "gflops_reported": from_print(gflops),
        "gflops_measured": measured,
        "convention": label(known.convention if known else "–"),
        "basis": label(evidence.zoo[params.subject].basis if params.subject in evidence.zoo else "–"),
        accuracy: from_print(printed.cell(row, accuracy)),
        f"{accuracy}_measured": accuracy_cells.accuracy(evidence, printed.cell(row, accuracy)),
    }
    if "backbone" in printed.columns:
        cells["backbone"] = label(printed.cell(row, "backbone").printed)
    return Row(row, cells, rule_above=row in OURS)


def _notes(name: str, rows: tuple[Row, ...]) -> Iterator[str]:
    """The conventions that the table uses, and why a measured cost is not the printed one where it is not."""
    yield "“GFLOPs” is the paper's word; its column mixes conventions, and a measured cost is in its own row's."
    for convention in dict.fromkeys(row.cells["convention"].text for row in rows):
        if convention in CONVENTIONS:
            yield f"{convention}: {CONVENTIONS[convention].source}."
    for row in rows:
        if row.cells["gflops_measured"].state == "differs":
            yield f"{row.cells['method'].text}: {published.PUBLISHED_AS[name, row.id].evidence}"
    if any(_whole(row) and row.cells["params_measured"].state == "differs" for row in rows):
        yield "Costs that are whole numbers at their source come with whole millions of parameters, too."
    if any(row.cells["gflops_measured"].note.startswith("at ") for row in rows):
        yield "Networks of whole images are counted at the size that their authors give, which is beside their cost."
    yield cost_cells.BASIS_NOTE
    if any(row.cells[column].state == "missing" for row in rows for column in ("params_measured", "gflops_measured")):
        yield "–: not built in this workbench yet, so not measured."


def _whole(row: Row) -> bool:
    convention = CONVENTIONS.get(row.cells["convention"].text)
    return convention is not None and convention.whole


def table_6_one_unit(evidence: Evidence) -> Table:
    """COCO costs in one unit, and the order they then have."""
    return _one_unit(evidence, "table-6", "dpn4_64")


def table_7_one_unit(evidence: Evidence) -> Table:
    """MPII costs in one unit, and the order they then have."""
    return _one_unit(evidence, "table-7", "dpn4_64_mpii")


ONE_UNIT_COLUMNS = (
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


def _one_unit(evidence: Evidence, name: str, ours: str) -> Table:
    printed = evidence.reported[name]
    costs = {row: cost for row in printed.rows[1:] if (cost := _converted(evidence, name, row))}
    prints = {row: Fraction(printed.cell(row, "gflops").number or 0) for row in costs}
    macs = {row: cells["measured"].value or cells["converted"].value for row, cells in costs.items()}
    exact = {row: Fraction(str(value)) for row, value in macs.items()}
    by_print, by_macs = _ranks(prints), _ranks(exact)
    rows = []
    for row, cells in costs.items():
        words = {
            "method": label(printed.cell(row, "method").printed),
            "rank_printed": label(str(by_print[row])),
            "rank": label(str(by_macs[row])),
        }
        measured = cells["measured"].record is not None and costs[ours]["measured"].record is not None
        shares = {
            "share_printed": _share(prints[ours] / prints[row], "reported", f"printed cost of {ours} over this one"),
            "share": _share(
                exact[ours] / exact[row], "measured" if measured else "reported", f"multiply-adds of {ours} over these"
            ),
        }
        rows.append(Row(row, cells | words | shares, rule_above=row in OURS))
    return Table(
        id=f"{name}-one-unit",
        title=f"{title(name)}, in one unit",
        caption="The printed costs in one unit: multiply-adds of one image, in billions, cheapest rank 1.",
        columns=ONE_UNIT_COLUMNS,
        rows=tuple(rows),
        notes=(
            "From print: the printed digits taken back through their convention to multiply-adds; as exact as they.",
            "In one unit: measured multiply-adds where the network is built, else those from print.",
            "SBL's print counts deconvolutions at their output size, which cannot be taken out of a printed sum.",
        ),
    )


def _converted(evidence: Evidence, name: str, row: str) -> dict[str, Cell] | None:
    """A printed cost, what it stands for in multiply-adds, and the measured ones; None where none is printed."""
    gflops = evidence.printed(name, row, "gflops")
    macs = published.macs_as_printed(evidence, name, row)
    if macs is None:
        return None
    convention = published.PUBLISHED_AS[name, row].convention
    how = f"the print as {convention}, in multiply-adds"
    text = round_printed(macs / 10**9, 1)
    return {
        "printed": from_print(gflops),
        "convention": label(convention),
        "converted": Cell(text=text, value=macs, state="reported", reported=gflops, how=how),
        "measured": from_record(
            evidence.found(gflops.subject, "macs"), lambda value: round_printed(Fraction(value) / 10**9, 3)
        ),
    }


def _share(share: Fraction, state: State, how: str) -> Cell:
    return Cell(text=round_printed(100 * share, 1), value=100 * share, state=state, how=how)


def _ranks(values: dict[str, Fraction]) -> dict[str, int]:
    """1 for the smallest; equal values share the better rank."""
    return {key: 1 + sum(other < value for other in values.values()) for key, value in values.items()}
