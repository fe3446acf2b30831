"""Tables VI and VII: the compared networks, as printed, and once more in one unit."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

from analysis import cost_cells, published
from analysis.cells import Cell, Column, Row, Table, from_print, from_record, label
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
        Column(id="basis", label="built from", align="left", hide_on_phone=True),
    ]
    return Table(
        id=name,
        title=f"{title(name)}, as printed",
        caption=captions()[name],
        columns=tuple(columns),
        rows=rows,
        notes=tuple(_notes(name, rows)),
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
    if any(cell.state == "missing" for row in rows for cell in row.cells.values()):
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


def _one_unit(evidence: Evidence, name: str, ours: str) -> Table:
    printed = evidence.reported[name]
    shown: dict[str, dict[str, Cell]] = {}
    macs: dict[str, Fraction] = {}
    for row in printed.rows[1:]:
        gflops = printed.cell(row, "gflops")
        converted = published.macs_as_printed(evidence, name, row)
        if converted is None or gflops.number is None:
            continue
        found = evidence.found(gflops.subject, "macs")
        convention = published.PUBLISHED_AS[name, row].convention
        macs[row] = converted if found.record is None else Fraction(int(found.record.value))
        shown[row] = {
            "method": label(printed.cell(row, "method").printed),
            "printed": from_print(gflops),
            "convention": label(convention),
            "converted": Cell(
                text=round_printed(converted / 10**9, 1),
                value=converted,
                state="reported",
                reported=gflops,
                how=f"the print as {convention}, in multiply-adds",
            ),
            "measured": from_record(found, lambda v: round_printed(Fraction(v) / 10**9, 3)),
        }
    by_print = _ranks({row: Fraction(printed.cell(row, "gflops").number or 0) for row in shown})
    by_macs = _ranks(macs)
    for row, cells in shown.items():
        source = "measured" if cells["measured"].record else "printed, converted"
        ratio = macs[row] / macs[ours]
        as_printed = Fraction(cells["printed"].value) / Fraction(shown[ours]["printed"].value)  # type: ignore[arg-type]
        cells["ratio_printed"] = Cell(
            text=round_printed(as_printed, 1), value=as_printed, state="reported", how="ratio of the printed costs"
        )
        cells["ratio"] = Cell(
            text=round_printed(ratio, 1),
            value=ratio,
            state="measured" if cells["measured"].record else "reported",
            how=f"multiply-adds ({source}) over those of {ours}",
        )
        cells["rank_printed"], cells["rank"] = label(str(by_print[row])), label(str(by_macs[row]))
    columns = (
        Column(id="method", label="Method", align="left"),
        Column(id="printed", label="printed", group="GFLOPs"),
        Column(id="convention", label="convention", group="GFLOPs", align="left", hide_on_phone=True),
        Column(id="converted", label="from print", group="MACs (10^9)"),
        Column(id="measured", label="measured", group="MACs (10^9)"),
        Column(id="ratio_printed", label="printed", group="times DPN4_64"),
        Column(id="ratio", label="one unit", group="times DPN4_64"),
        Column(id="rank_printed", label="printed", group="rank by cost", hide_on_phone=True),
        Column(id="rank", label="one unit", group="rank by cost", hide_on_phone=True),
    )
    notes = (
        "From print: the printed digits taken back through their convention to multiply-adds; only as exact as they.",
        "In one unit: measured multiply-adds where the network is built, else those from print.",
        "SBL's print counts deconvolutions at their output size, which cannot be taken out of a printed sum.",
    )
    return Table(
        id=f"{name}-one-unit",
        title=f"{title(name)}, in one unit",
        caption="The printed costs in one unit: multiply-adds of one image, in billions, cheapest rank 1.",
        columns=columns,
        rows=tuple(Row(row, cells, rule_above=row in OURS) for row, cells in shown.items()),
        notes=notes,
    )


def _ranks(values: dict[str, Fraction]) -> dict[str, int]:
    """1 for the smallest; equal values share the better rank."""
    return {key: 1 + sum(other < value for other in values.values()) for key, value in values.items()}
